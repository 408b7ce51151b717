//! Calls of webhooks: who listens, whether the caller may, and what the run gets to see of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};

use super::fire::{Shot, start};
use super::table::{Called, Known};
use super::{Error, Triggers, signature};
use crate::error::{Failure, Kind};
use crate::runs::{Execute, Runs, Ticket};
use crate::workflow::{Respond, WebhookStart};

/// The longest key that is kept as it is, in bytes.
const LONGEST_KEY: usize = 256;

/// A call of a webhook.
#[derive(Debug, Clone, Default)]
pub struct Delivery {
    /// `POST`, …
    pub method: String,
    /// What stands behind `/api/webhooks/`.
    pub path: String,
    /// The query's fields.
    pub query: BTreeMap<String, String>,
    /// Header fields, names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as it came.
    pub body: Vec<u8>,
}

/// What a call started.
pub struct Fired {
    /// One run for each workflow or script that listens, in the order of their ids; those of an earlier call where this one repeats it.
    pub runs: Vec<FiredRun>,
    /// When to answer.
    pub respond: Respond,
}

/// A run that a call started, now or before.
pub struct FiredRun {
    /// Its id.
    pub run_id: String,
    /// The run, where this call started it.
    pub ticket: Option<Ticket>,
}

impl From<Shot> for FiredRun {
    fn from(shot: Shot) -> Self {
        match shot {
            Shot::Started(ticket) => Self { run_id: ticket.run_id.clone(), ticket: Some(ticket) },
            Shot::Before(run_id) => Self { run_id, ticket: None },
        }
    }
}

impl Triggers {
    /// Starts what listens.
    ///
    /// # Errors
    /// `NOT_FOUND`, `METHOD_NOT_ALLOWED` with `details.allowed`, `UNAUTHENTICATED`, `INVALID_JSON`; what
    /// [`crate::runs::Runs::execute_workflow`] says where not one run could be started.
    pub async fn fire(&self, delivery: Delivery) -> Result<Fired, Failure> {
        self.deliver(delivery, None).await
    }

    /// The same for somebody who may start workflows through `runs`, and tries it out: whether it is switched off, signed or repeated does
    /// not matter.
    ///
    /// # Errors
    /// As [`Triggers::fire`].
    pub async fn try_out(&self, delivery: Delivery, runs: &Runs) -> Result<Fired, Failure> {
        self.deliver(delivery, Some(runs)).await
    }

    async fn deliver(&self, delivery: Delivery, test: Option<&Runs>) -> Result<Fired, Failure> {
        if !self.is_armed() {
            return Err(Error::Disarmed.into());
        }
        self.follow_library().await?;
        let called = self.listening(&delivery, test.is_some())?;
        let body = body(&delivery)?;
        let mut fired = Fired { runs: Vec::with_capacity(called.len()), respond: Respond::default() };
        let mut refused = None;
        // Those whose caller waits for more than their beginning wait for the record only once.
        let awaited = called.iter().all(|(known, _)| known.webhook().is_some_and(|webhook| webhook.respond != Respond::Immediately));
        for (known, params) in called {
            let Some(webhook) = known.webhook() else { continue };
            let event = event(&delivery, &params, &body)?;
            let started = match test {
                Some(runs) => try_out(runs, &delivery, &known, event, awaited).await,
                None => self.start(&delivery, &known, webhook, event, awaited).await,
            };
            match started {
                Ok(shot) => {
                    if fired.runs.is_empty() {
                        fired.respond = webhook.respond;
                    }
                    fired.runs.push(shot.into());
                }
                Err(failure) => {
                    tracing::warn!(trigger_id = %known.id, error = %failure, "a webhook could not start what it is for");
                    refused.get_or_insert(failure);
                }
            }
        }
        match refused {
            Some(failure) if fired.runs.is_empty() => Err(failure),
            _ => Ok(fired),
        }
    }

    async fn start(
        &self,
        delivery: &Delivery,
        known: &Known,
        webhook: &WebhookStart,
        event: Box<RawValue>,
        awaited: bool,
    ) -> Result<Shot, Failure> {
        let key = match &webhook.dedupe_key {
            Some(place) => {
                let event: Value = serde_json::from_str(event.get()).map_err(|error| Error::Json(error.to_string()))?;
                place.of(&event).map(short)
            }
            None => None,
        };
        let execute = Execute { input: event, trigger: format!("webhook:{}", trimmed(&delivery.path)), awaited, ..Execute::default() };
        self.inner.shoot(known, key, None, execute).await
    }

    /// Those that a call starts, and the parameters in its path for each.
    fn listening(&self, delivery: &Delivery, test: bool) -> Result<Vec<Called>, Error> {
        let all = self.inner.table.called(&delivery.path, test);
        if all.is_empty() {
            return Err(Error::Unknown(trimmed(&delivery.path).to_owned()));
        }
        let with_method = |(known, _): &&Called| known.webhook().is_some_and(|webhook| webhook.methods.contains(&delivery.method));
        let mut called: Vec<Called> = all.iter().filter(with_method).cloned().collect();
        if called.is_empty() {
            let mut allowed: Vec<_> =
                all.iter().filter_map(|(known, _)| known.webhook()).flat_map(|webhook| webhook.methods.clone()).collect();
            allowed.sort_unstable();
            allowed.dedup();
            return Err(Error::Method { path: trimmed(&delivery.path).to_owned(), method: delivery.method.clone(), allowed });
        }
        if !test {
            let given = delivery.headers.get("x-signature-256").map(String::as_str);
            let secret = |known: &Arc<Known>| known.webhook().and_then(|webhook| webhook.secret.clone());
            called.retain(|(known, _)| secret(known).is_none_or(|secret| signature::matches(&secret, &delivery.body, given)));
        }
        if called.is_empty() { Err(Error::Signature) } else { Ok(called) }
    }
}

async fn try_out(runs: &Runs, delivery: &Delivery, known: &Known, event: Box<RawValue>, awaited: bool) -> Result<Shot, Failure> {
    let execute = Execute { input: event, trigger: format!("webhook_test:{}", trimmed(&delivery.path)), awaited, ..Execute::default() };
    start(runs, known, execute).await.map(Shot::Started)
}

fn trimmed(path: &str) -> &str {
    path.trim_matches('/')
}

/// A key as it is kept: a long one by what tells it from others.
fn short(key: String) -> String {
    if key.len() <= LONGEST_KEY {
        return key;
    }
    Sha256::digest(&key).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the run gets as its input.
#[derive(Serialize)]
struct Event<'a> {
    method: &'a str,
    path: &'a str,
    params: &'a BTreeMap<String, String>,
    query: &'a BTreeMap<String, String>,
    headers: &'a BTreeMap<String, String>,
    body: &'a RawValue,
}

pub(super) fn event(delivery: &Delivery, params: &BTreeMap<String, String>, body: &RawValue) -> Result<Box<RawValue>, Failure> {
    let event =
        Event { method: &delivery.method, path: trimmed(&delivery.path), params, query: &delivery.query, headers: &delivery.headers, body };
    to_raw_value(&event).map_err(|error| Failure::new(Kind::Internal, error.to_string()))
}

/// JSON where the call says so, or where it says nothing and it is; text otherwise; null where there is none.
pub(super) fn body(delivery: &Delivery) -> Result<Box<RawValue>, Error> {
    if delivery.body.is_empty() {
        return Ok(RawValue::NULL.to_owned());
    }
    let text = std::str::from_utf8(&delivery.body).map_err(|_| Error::Text)?;
    let media = delivery.headers.get("content-type").map_or("", |value| value.split(';').next().unwrap_or_default().trim());
    let says_json = media.eq_ignore_ascii_case("application/json") || media.to_ascii_lowercase().ends_with("+json");
    if says_json || media.is_empty() {
        match serde_json::from_str::<Box<RawValue>>(text) {
            Ok(json) => return Ok(json),
            Err(error) if says_json => return Err(Error::Json(error.to_string())),
            Err(_) => {}
        }
    }
    to_raw_value(text).map_err(|error| Error::Json(error.to_string()))
}

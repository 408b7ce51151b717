//! The table of webhooks: which workflows a call starts.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::{Error, signature};
use crate::error::{Failure, Kind};
use crate::runs::{Execute, Observer, Runs, Ticket};
use crate::workflow;

/// When the caller of a webhook gets its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Respond {
    /// Once the runs are on record.
    #[default]
    Immediately,
    /// Once the first run ended.
    OnFinish,
    /// Once a node of the first run gives the answer.
    ResponseNode,
}

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
    /// One run for each workflow that listens, in the order of their ids.
    pub runs: Vec<Ticket>,
    /// When to answer.
    pub respond: Respond,
}

/// One `webhook_trigger` of one workflow.
#[derive(Debug, Clone)]
struct Hook {
    workflow_id: Arc<str>,
    node_id: String,
    methods: Vec<String>,
    respond: Respond,
    secret: Option<String>,
}

#[derive(Default)]
struct Table {
    hooks: RwLock<HashMap<String, Vec<Arc<Hook>>>>,
    armed: AtomicBool,
}

/// The webhooks of all stored workflows that can run.
pub struct Webhooks {
    runs: Runs,
    table: Arc<Table>,
    /// The library's generation that the table was made with.
    generation: AtomicU64,
}

impl Webhooks {
    /// Webhooks that follow the changes of workflows, none of them armed yet.
    pub fn new(runs: Runs) -> Self {
        let table = Arc::new(Table::default());
        runs.workflows().observe(Arc::clone(&table) as Arc<dyn Observer>);
        let generation = AtomicU64::new(runs.library_generation());
        Self { runs, table, generation }
    }

    /// Arms the webhooks of the workflows there are, and follows their changes.
    ///
    /// # Errors
    /// Where the stored workflows cannot be read.
    pub async fn open(runs: Runs) -> Result<Self, Failure> {
        let webhooks = Self::new(runs);
        webhooks.arm().await?;
        Ok(webhooks)
    }

    /// Arms the webhooks of the workflows there are.
    ///
    /// # Errors
    /// Where the stored workflows cannot be read; none is armed then.
    pub async fn arm(&self) -> Result<(), Failure> {
        self.table.armed.store(true, Ordering::SeqCst);
        self.generation.store(self.runs.library_generation(), Ordering::Relaxed);
        self.runs.workflows().announce().await.inspect_err(|_| self.disarm())
    }

    /// Forgets all webhooks: calls start nothing until they are armed again.
    pub fn disarm(&self) {
        self.table.armed.store(false, Ordering::SeqCst);
        self.table.write().clear();
    }

    /// Whether calls start anything.
    pub(super) fn is_armed(&self) -> bool {
        self.table.armed.load(Ordering::SeqCst)
    }

    pub(super) fn runs(&self) -> &Runs {
        &self.runs
    }

    /// How many are armed.
    pub fn count(&self) -> usize {
        self.table.read().values().map(Vec::len).sum()
    }

    /// Starts the workflows that listen.
    ///
    /// # Errors
    /// `NOT_FOUND`, `METHOD_NOT_ALLOWED` with `details.allowed`, `UNAUTHENTICATED`, `INVALID_JSON`; what [`Runs::execute_workflow`] says
    /// where not one run could be started.
    pub async fn fire(&self, delivery: Delivery) -> Result<Fired, Failure> {
        if !self.is_armed() {
            return Err(Error::Disarmed.into());
        }
        self.follow_library().await?;
        let hooks = self.table.listening(&delivery)?;
        let event = event(&delivery)?;
        let mut fired = Fired { runs: Vec::with_capacity(hooks.len()), respond: Respond::default() };
        let mut refused = None;
        // Those whose caller waits for more than their beginning wait for the record only once.
        let awaited = hooks.iter().all(|hook| hook.respond != Respond::Immediately);
        for hook in hooks {
            let execute = Execute {
                input: event.clone(),
                trigger: format!("webhook:{}", trimmed(&delivery.path)),
                start_node: Some(hook.node_id.clone()),
                awaited,
                ..Execute::default()
            };
            match self.runs.execute_workflow(&hook.workflow_id, execute).await {
                Ok(ticket) => {
                    if fired.runs.is_empty() {
                        fired.respond = hook.respond;
                    }
                    fired.runs.push(ticket);
                }
                Err(failure) => {
                    tracing::warn!(workflow_id = %hook.workflow_id, error = %failure, "a webhook could not start its workflow");
                    refused.get_or_insert(failure);
                }
            }
        }
        match refused {
            Some(failure) if fired.runs.is_empty() => Err(failure),
            _ => Ok(fired),
        }
    }

    /// A node type that changed can make a workflow run, or keep it from running.
    async fn follow_library(&self) -> Result<(), Failure> {
        let generation = self.runs.library_generation();
        if self.generation.swap(generation, Ordering::Relaxed) != generation {
            self.runs.workflows().announce().await?;
        }
        Ok(())
    }
}

impl Table {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<String, Vec<Arc<Hook>>>> {
        self.hooks.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<String, Vec<Arc<Hook>>>> {
        self.hooks.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hooks that this call is for, its signature checked.
    fn listening(&self, delivery: &Delivery) -> Result<Vec<Arc<Hook>>, Error> {
        let path = trimmed(&delivery.path);
        let table = self.read();
        let all = table.get(path).ok_or_else(|| Error::Unknown(path.to_owned()))?;
        let mut hooks: Vec<_> = all.iter().filter(|hook| hook.methods.contains(&delivery.method)).cloned().collect();
        if hooks.is_empty() {
            let mut allowed: Vec<_> = all.iter().flat_map(|hook| hook.methods.iter().cloned()).collect();
            allowed.sort_unstable();
            allowed.dedup();
            return Err(Error::Method { path: path.to_owned(), method: delivery.method.clone(), allowed });
        }
        let given = delivery.headers.get("x-signature-256").map(String::as_str);
        hooks.retain(|hook| hook.secret.as_ref().is_none_or(|secret| signature::matches(secret, &delivery.body, given)));
        if hooks.is_empty() { Err(Error::Signature) } else { Ok(hooks) }
    }

    fn disarm(table: &mut HashMap<String, Vec<Arc<Hook>>>, id: &str) {
        table.retain(|_, hooks| {
            hooks.retain(|hook| &*hook.workflow_id != id);
            !hooks.is_empty()
        });
    }
}

impl Observer for Table {
    fn changed(&self, id: &str, triggers: &[workflow::Trigger]) {
        let mut table = self.write();
        Self::disarm(&mut table, id);
        // Under the lock, so that nothing is armed behind the back of whoever just disarmed everything.
        if !self.armed.load(Ordering::SeqCst) {
            return;
        }
        for (path, hook) in triggers.iter().filter_map(|trigger| hook(id, trigger)) {
            let hooks = table.entry(path).or_default();
            hooks.push(Arc::new(hook));
            hooks.sort_by(|a, b| a.workflow_id.cmp(&b.workflow_id));
        }
    }

    fn deleted(&self, id: &str) {
        Self::disarm(&mut self.write(), id);
    }
}

fn hook(workflow_id: &str, trigger: &workflow::Trigger) -> Option<(String, Hook)> {
    if trigger.node_type != "webhook_trigger" {
        return None;
    }
    let text = |field: &str| trigger.config.get(field).and_then(Value::as_str);
    let methods = match trigger.config.get("methods").and_then(Value::as_array) {
        Some(methods) => methods.iter().filter_map(Value::as_str).map(str::to_ascii_uppercase).collect(),
        None => vec!["POST".to_owned()],
    };
    let respond = match text("respond") {
        Some("on_finish") => Respond::OnFinish,
        Some("response_node") => Respond::ResponseNode,
        _ => Respond::Immediately,
    };
    let path = trimmed(text("path")?).to_owned();
    let secret = text("secret").filter(|secret| !secret.is_empty()).map(str::to_owned);
    Some((path, Hook { workflow_id: workflow_id.into(), node_id: trigger.node_id.clone(), methods, respond, secret }))
}

fn trimmed(path: &str) -> &str {
    path.trim_matches('/')
}

/// What the run gets as its input.
#[derive(Serialize)]
struct Event<'a> {
    method: &'a str,
    path: &'a str,
    params: BTreeMap<String, String>,
    query: &'a BTreeMap<String, String>,
    headers: &'a BTreeMap<String, String>,
    body: Box<RawValue>,
}

pub(super) fn event(delivery: &Delivery) -> Result<Box<RawValue>, Failure> {
    let event = Event {
        method: &delivery.method,
        path: trimmed(&delivery.path),
        params: BTreeMap::new(),
        query: &delivery.query,
        headers: &delivery.headers,
        body: body(delivery)?,
    };
    to_raw_value(&event).map_err(|error| Failure::new(Kind::Internal, error.to_string()))
}

/// JSON where the call says so, or where it says nothing and it is; text otherwise; null where there is none.
fn body(delivery: &Delivery) -> Result<Box<RawValue>, Error> {
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

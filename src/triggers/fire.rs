//! From something that happened to a run: once for each thing that happened, whatever is killed when.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::value::to_raw_value;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::Inner;
use super::table::Known;
use crate::error::{Failure, Kind};
use crate::failpoint;
use crate::runs::{Execute, Runs, Ticket};
use crate::store::triggers::{FiredFile, NewFiring};

/// Those that are counted.
const KINDS: [&str; 5] = ["schedule", "screen", "startup", "watch_folder", "webhook"];

/// What came of something that happened.
pub(super) enum Shot {
    /// A run.
    Started(Ticket),
    /// It had started this run before.
    Before(String),
}

/// What starts a run now: nothing else may start one for the same reason before that is on record.
pub(super) struct Claims(Vec<Arc<Mutex<()>>>);

impl Default for Claims {
    fn default() -> Self {
        Self((0..64).map(|_| Arc::default()).collect())
    }
}

impl Claims {
    async fn claim(&self, trigger_id: &str, key: &str) -> Option<OwnedMutexGuard<()>> {
        let mut hasher = DefaultHasher::new();
        (trigger_id, key).hash(&mut hasher);
        let place = usize::try_from(hasher.finish() % self.0.len() as u64).ok()?;
        Some(Arc::clone(self.0.get(place)?).lock_owned().await)
    }
}

/// How often triggers fired since the server started.
#[derive(Debug, Default)]
pub(super) struct Counts([AtomicU64; KINDS.len()]);

impl Counts {
    pub(super) fn by_kind(&self) -> Vec<(&'static str, u64)> {
        KINDS.into_iter().zip(&self.0).map(|(kind, count)| (kind, count.load(Ordering::Relaxed))).collect()
    }

    fn add(&self, kind: &str) {
        if let Some((_, count)) = KINDS.iter().zip(&self.0).find(|(known, _)| **known == kind) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Whether it may go better a little later.
pub(super) fn may_pass(failure: &Failure) -> bool {
    matches!(failure.code, Kind::RateLimited | Kind::StorageFull | Kind::ServiceUnavailable)
}

impl Inner {
    /// Starts what `known` starts. With a `key` that happens once and never again.
    ///
    /// # Errors
    /// As [`crate::runs::Runs::execute_workflow`] and [`crate::runs::Runs::execute_script`].
    pub(super) async fn shoot(
        self: &Arc<Self>,
        known: &Known,
        key: Option<String>,
        file: Option<FiredFile>,
        execute: Execute,
    ) -> Result<Shot, Failure> {
        let kind = known.listens.as_ref().map_or("webhook", |listens| listens.kind());
        let firing = NewFiring { trigger_id: known.id.to_string(), kind, key: key.clone(), at: self.clock.now(), file };
        let Some(key) = key else {
            let ticket = start(&self.runs, known, Execute { firing: Some(Arc::new(firing)), ..execute }).await?;
            self.counts.add(kind);
            return Ok(Shot::Started(ticket));
        };
        if let Some(full) = self.store.failing() {
            // What is started now would wait for room on the disk, again and again.
            return Err(full.into());
        }
        let claim = self.claims.claim(&known.id, &key).await;
        if let Some(run_id) = self.store.fired(&known.id, &key).await? {
            return Ok(Shot::Before(run_id));
        }
        // Who claims it waits until it is on record.
        let execute = Execute { firing: Some(Arc::new(firing)), awaited: false, ..execute };
        failpoint::here("trigger.fire.before");
        let started = start(&self.runs, known, execute).await;
        failpoint::here("trigger.fire.after");
        match started {
            Ok(ticket) => {
                self.counts.add(kind);
                Ok(Shot::Started(ticket))
            }
            Err(failure) => {
                if failure.code == Kind::StorageFull {
                    // The row waits for room on the disk, and would be there though its run was refused.
                    tokio::spawn(Arc::clone(self).take_back(known.id.to_string(), key, claim));
                }
                Err(failure)
            }
        }
    }

    async fn take_back(self: Arc<Self>, trigger_id: String, key: String, claim: Option<OwnedMutexGuard<()>>) {
        while let Err(error) = self.store.forget_firing(&trigger_id, &key).await {
            if matches!(error, crate::store::Error::Closed) {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        drop(claim);
    }
}

/// Runs what a trigger starts.
pub(super) async fn start(runs: &Runs, known: &Known, mut execute: Execute) -> Result<Ticket, Failure> {
    if let Some(parameters) = &known.parameters {
        execute.parameters = json(parameters)?;
    }
    match (&known.source.workflow_id, &known.source.script) {
        (Some(workflow), _) => {
            execute.start_node.clone_from(&known.source.node_id);
            runs.execute_workflow(workflow, execute).await
        }
        (None, Some(script)) => runs.execute_script(script, execute).await,
        (None, None) => Err(Failure::new(Kind::Internal, "the trigger names nothing that it starts")),
    }
}

/// JSON text of a value.
pub(super) fn json(value: &impl Serialize) -> Result<Box<serde_json::value::RawValue>, Failure> {
    to_raw_value(value).map_err(|error| Failure::new(Kind::Internal, error.to_string()))
}

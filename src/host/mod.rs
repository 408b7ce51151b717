//! The seam between a script and the machine.
//!
//! [`protocol`] is everything a script can ask for; [`Host`] runs a program in a runner (a child process that holds the script engine
//! and nothing else), checks each of its calls against the grant, puts its steps on record and acts through the capabilities.

pub mod protocol;

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::error::Failure;
use crate::policy::Grant;
use protocol::{Json, Program, Record, ScriptError, Start};

/// One run to be done.
pub struct Job {
    /// What to run. Runners stay warm for the same program with the same permissions.
    pub program: Arc<Program>,
    /// This run's own values.
    pub start: Start,
    /// What it may do.
    pub grant: Grant,
    /// Where its steps go.
    pub journal: Arc<dyn Journal>,
    /// Stops it, whatever it is doing.
    pub cancel: CancellationToken,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// With a value.
    Succeeded(Json),
    /// With an error.
    Failed(ScriptError),
    /// Somebody asked for it to stop.
    Cancelled,
}

/// Where a run's records go: the host writes, `runs` keeps.
pub trait Journal: Send + Sync {
    /// Keeps `record`, in order. Does not wait for the disk.
    fn record(&self, record: Record);
    /// Resolves once everything recorded so far is committed.
    fn durable(&self) -> BoxFuture<'_, Result<(), Failure>>;
    /// The answer that the run gives to the webhook that started it.
    fn respond(&self, answer: Answer);
    /// Runs a script of the library within this run's grant, and gives its result.
    fn run_script(&self, path: String, parameters: Json, cancel: CancellationToken) -> BoxFuture<'_, Result<Json, Failure>>;
}

/// What a webhook's caller gets.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header fields.
    pub headers: BTreeMap<String, String>,
    /// The body: a text is sent as it is, anything else as JSON.
    pub body: Json,
}

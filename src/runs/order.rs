//! What a run is started with, and where it stands among others.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use super::programs::Prepared;
use crate::error::Failure;
use crate::host::protocol::{Json, Mode, Pause};
use crate::policy::{Learned, Permissions};
use crate::store::triggers::NewFiring;

/// What a run is started with.
#[derive(Debug, Clone)]
pub struct Execute {
    /// What the script sees as `params`: a JSON object.
    pub parameters: Json,
    /// What the script sees as `input`: its trigger's event, or null.
    pub input: Json,
    /// What starts it: `manual`, `webhook:orders`, …
    pub trigger: String,
    /// The trigger node that fired; without it the graph's own choice.
    pub start_node: Option<String>,
    /// Whoever starts the run waits for its answer or its end, which come after everything before them is on record: so nobody waits
    /// for the record of its beginning alone.
    pub awaited: bool,
    /// Higher ones go first, -10–10; without it what the workflow's settings say, or 0.
    pub priority: Option<i8>,
    /// What starts it, where a trigger does: put on record with the run, or neither is.
    pub firing: Option<Arc<NewFiring>>,
    /// Permissions beside the declared ones, for a script that is in no folder: what a person at their own terminal grants it.
    pub lent: Permissions,
    /// Notes what it asks for.
    pub learned: Option<Learned>,
    /// How it is done.
    pub mode: Mode,
    /// Who looks at each step before it begins, where [`Mode::stepwise`] says so.
    pub stepper: Option<Arc<dyn Stepper>>,
}

/// Goes through a run step by step.
pub trait Stepper: std::fmt::Debug + Send + Sync {
    /// A step is about to begin; resolves once it may.
    fn pause(&self, pause: Pause) -> BoxFuture<'_, Result<(), Failure>>;
    /// A step ended, and put this out.
    fn heard(&self, step_id: &str, output: Option<&Json>);
}

impl Default for Execute {
    fn default() -> Self {
        Self {
            parameters: raw("{}"),
            input: raw("null"),
            trigger: "manual".to_owned(),
            start_node: None,
            awaited: false,
            priority: None,
            firing: None,
            lent: Permissions::default(),
            learned: None,
            mode: Mode::default(),
            stepper: None,
        }
    }
}

/// JSON text that is known to be such.
pub(super) fn raw(text: &str) -> Json {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// What is to be run, and what the record says of it.
pub(super) struct Order {
    pub(super) kind: &'static str,
    pub(super) workflow_id: Option<String>,
    pub(super) script: Option<String>,
    pub(super) prepared: Arc<Prepared>,
}

/// Where a run stands among others.
#[derive(Default)]
pub(super) struct Place {
    /// Its id, where that is settled already.
    pub(super) run_id: Option<String>,
    /// What whoever starts it may do at most, where that is not everything: each of these.
    pub(super) within: Vec<Permissions>,
    /// Who starts it, where it is not its trigger.
    pub(super) by: Option<Arc<str>>,
    /// How many runs stand above it.
    pub(super) depth: u32,
    /// The run that starts it.
    pub(super) parent: Option<String>,
    /// The run that it does again.
    pub(super) retry_of: Option<String>,
    /// It takes no part in the queue.
    pub(super) free: bool,
}

//! The rows of the journal: runs, their steps and logs, and the programs they were started with.

mod list;
mod read;
mod resume;
mod waits;
mod write;

use std::sync::Arc;

use serde_json::value::RawValue;

pub use read::{RunFile, RunQuery, Show};
pub use resume::{OpenRun, OpenStep, Past};
pub use waits::{NewWait, WaitEnd, WaitRow};
pub use write::Write;
pub(in crate::store) use write::insert_steps;

use super::triggers::NewFiring;

/// JSON text, kept as it came.
pub type Json = Box<RawValue>;

/// A run's number in the database; grows with time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey(pub i64);

/// A run as it is created.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// Its number.
    pub key: RunKey,
    /// Its id.
    pub run_id: String,
    /// `workflow` or `script`.
    pub kind: &'static str,
    /// The stored workflow, where it is one.
    pub workflow_id: Option<String>,
    /// The script's path, where it is one.
    pub script: Option<String>,
    /// What started it.
    pub trigger: String,
    /// `queued` or `running`.
    pub status: &'static str,
    /// Its parameters.
    pub parameters: Json,
    /// Its trigger's event.
    pub input: Json,
    /// The trigger node that fired.
    pub start_node: Option<String>,
    /// What started it, where that must not start anything a second time.
    pub firing: Option<Arc<NewFiring>>,
    /// Hash of its program.
    pub program: Arc<str>,
    /// The process that works on it.
    pub owner: Arc<str>,
    /// What whoever started it may do at most, as a JSON list of manifests.
    pub within: Option<String>,
    /// How it is done, as JSON, where that is not the usual way.
    pub mode: Option<String>,
    /// The run that started it.
    pub parent: Option<String>,
    /// The run that it does again.
    pub retry_of: Option<String>,
    /// How many runs stand above it.
    pub depth: u32,
    /// Higher ones go first.
    pub priority: i8,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Where it started at once.
    pub started_at: Option<i64>,
    /// Its end, if that came along.
    pub end: Option<RunEnd>,
}

/// A program, kept once for all its runs.
#[derive(Debug, Clone)]
pub struct ProgramRow {
    /// SHA-256 of `source`, in hex.
    pub hash: Arc<str>,
    /// All sources, as JSON.
    pub source: String,
    /// The graph's nodes as a JSON list of `[id, type]`; empty for a script.
    pub nodes: String,
}

/// A step that began, or that began and ended.
#[derive(Debug, Clone)]
pub struct NewStep {
    /// Its run.
    pub run: RunKey,
    /// Its place in the run, from 0.
    pub seq: u32,
    /// Its id.
    pub step_id: String,
    /// The graph's node.
    pub node_id: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// The step whose output it works on.
    pub input_of: Option<String>,
    /// What else it works on.
    pub input: Option<Json>,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// The number of the event that says so.
    pub start_event: Option<i64>,
    /// Whether it may run again where it broke off.
    pub again: bool,
    /// Its end, if that came along.
    pub end: Option<StepEnd>,
}

/// How a step ended.
#[derive(Debug, Clone)]
pub struct StepEnd {
    /// `succeeded`, `failed`, `skipped`, `cancelled`, `interrupted`.
    pub status: &'static str,
    /// What it put out.
    pub output: Option<Json>,
    /// The output it chose.
    pub handle: Option<String>,
    /// Its error, as JSON.
    pub error: Option<String>,
    /// What it would have done, as JSON.
    pub would: Option<String>,
    /// Whether what was expected of it is so, as JSON.
    pub expectation: Option<String>,
    /// Microseconds since 1970.
    pub finished_at: i64,
    /// The number of the event that says so.
    pub finish_event: i64,
}

impl StepEnd {
    /// The end of a step of which there is nothing more to say.
    pub fn bare(status: &'static str, finished_at: i64, finish_event: i64) -> Self {
        Self { status, output: None, handle: None, error: None, would: None, expectation: None, finished_at, finish_event }
    }
}

/// A line of log.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// The number of its event.
    pub event_id: i64,
    /// Microseconds since 1970.
    pub at: i64,
    /// `debug`, `info`, `warn`, `error`.
    pub level: String,
    /// The text.
    pub message: String,
    /// Whether it was written outside steps.
    pub loose: bool,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// Its status from now on.
    pub status: &'static str,
    /// Its value.
    pub result: Option<Json>,
    /// Its error, as JSON.
    pub error: Option<String>,
    /// Microseconds since 1970.
    pub finished_at: i64,
    /// The number of the event that says so.
    pub finish_event: i64,
}

/// A run as it is stored.
#[derive(Debug, Clone)]
pub struct RunRow {
    /// Its number.
    pub key: RunKey,
    /// Its id.
    pub run_id: String,
    /// `workflow` or `script`.
    pub kind: String,
    /// The stored workflow, where it is one.
    pub workflow_id: Option<String>,
    /// The script's path, where it is one.
    pub script: Option<String>,
    /// What started it.
    pub trigger: String,
    /// Its status.
    pub status: String,
    /// Its parameters.
    pub parameters: Json,
    /// How it is done, as JSON, where that is not the usual way.
    pub mode: Option<String>,
    /// The run that started it.
    pub parent: Option<String>,
    /// The run that it does again.
    pub retry_of: Option<String>,
    /// Its value.
    pub result: Option<Json>,
    /// Its error, as JSON.
    pub error: Option<String>,
    /// Higher ones go first.
    pub priority: i8,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub started_at: Option<i64>,
    /// Microseconds since 1970.
    pub finished_at: Option<i64>,
    /// The number of its last event.
    pub finish_event: Option<i64>,
}

/// A step as it is stored.
#[derive(Debug, Clone)]
pub struct StepRow {
    /// Its id.
    pub step_id: String,
    /// The graph's node.
    pub node_id: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// Its status.
    pub status: String,
    /// The step whose output it works on.
    pub input_of: Option<String>,
    /// What else it works on.
    pub input: Option<Json>,
    /// What it put out.
    pub output: Option<Json>,
    /// The output it chose.
    pub handle: Option<String>,
    /// Its error, as JSON.
    pub error: Option<String>,
    /// What it would have done, as JSON.
    pub would: Option<Json>,
    /// Whether what was expected of it is so, as JSON.
    pub expectation: Option<Json>,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// Microseconds since 1970.
    pub finished_at: Option<i64>,
    /// The number of the event that says it began.
    pub start_event: Option<i64>,
    /// The number of the event that says it ended.
    pub finish_event: Option<i64>,
}

/// A run with all that belongs to it.
#[derive(Debug, Clone)]
pub struct WholeRun {
    /// The run.
    pub run: RunRow,
    /// Its steps, in the order in which they began.
    pub steps: Vec<StepRow>,
    /// What it waited for, and waits for.
    pub waits: Vec<WaitRow>,
    /// Its log.
    pub logs: Vec<LogRow>,
    /// The graph's nodes as a JSON list of `[id, type]`.
    pub nodes: String,
    /// Pictures of its steps.
    pub images: Vec<ImageRow>,
    /// The ids of the films of it.
    pub films: Vec<String>,
}

/// A picture that is to belong to a step.
#[derive(Debug, Clone)]
pub struct NewImage {
    /// The run.
    pub run: RunKey,
    /// The step.
    pub step_id: String,
    /// Which try of it.
    pub attempt: u32,
    /// `before` or `after`.
    pub moment: &'static str,
    /// The picture, as JPEG; none where there was no time for it.
    pub picture: Option<Arc<[u8]>>,
}

/// A picture that belongs to a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageRow {
    /// The step.
    pub step_id: String,
    /// Which try of it.
    pub attempt: u32,
    /// `before` or `after`.
    pub moment: String,
    /// SHA-256 of the picture, in hex; none where there was no time to keep it.
    pub hash: Option<String>,
}

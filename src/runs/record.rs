//! The record of a run, as a reader gets it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::Timestamp;
use super::queue::Queued;
use super::values::{StepImages, images_of};
use crate::error::Kind;
use crate::host::protocol::{Mode, ScriptError};
use crate::mask;
use crate::store::runs::{LogRow, RunRow, StepRow, WaitRow, WholeRun};

/// JSON text that is passed on as it is.
pub type SharedJson = Arc<RawValue>;

/// A run with its steps and log.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "run_id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "kind": "workflow", "workflow_id": "workflow_123", "script": null,
    "trigger": "manual", "status": "succeeded", "dry_run": false, "parent": null, "retry_of": null, "priority": 0, "parameters": {}, "result": { "x": 100, "y": 200 }, "error": null,
    "steps": [{
        "step_id": "node1", "node_id": "node1", "node_type": "click_action", "status": "succeeded", "attempt": 1,
        "input": {}, "output": { "x": 100, "y": 200 }, "handle": null, "error": null,
        "started_at": "2026-01-31T12:00:00.001000Z", "finished_at": "2026-01-31T12:00:00.103000Z"
    }],
    "waits": [],
    "logs": [{ "event_id": 3, "timestamp": "2026-01-31T12:00:00.100000Z", "level": "info", "message": "clicked" }],
    "created_at": "2026-01-31T12:00:00.000000Z", "started_at": "2026-01-31T12:00:00.001000Z", "finished_at": "2026-01-31T12:00:00.104000Z"
}))]
pub struct Run {
    /// Its id.
    pub run_id: String,
    /// `workflow` or `script`.
    pub kind: String,
    /// The stored workflow, where it is one.
    pub workflow_id: Option<String>,
    /// The script's path, where it is one.
    pub script: Option<String>,
    /// What started it: `manual`, `webhook:orders`, `script:<run_id>`, …
    pub trigger: String,
    /// Where it stands.
    pub status: RunStatus,
    /// Whether it only describes what it would do.
    pub dry_run: bool,
    /// The run that started it.
    pub parent: Option<String>,
    /// The run that it does again.
    pub retry_of: Option<String>,
    /// Higher ones go first, -10–10.
    pub priority: i8,
    /// Its parameters.
    #[schema(value_type = Value)]
    pub parameters: SharedJson,
    /// Its value, once it succeeded.
    #[schema(value_type = Option<Value>)]
    pub result: Option<SharedJson>,
    /// Why it did not succeed.
    pub error: Option<RunError>,
    /// Its steps in the order in which they began; then the graph's nodes that did not run (or not yet).
    pub steps: Vec<Step>,
    /// What it waits for.
    pub waits: Vec<Awaited>,
    /// Its log.
    pub logs: Vec<LogLine>,
    /// The films that were made of it, as `/api/recordings` has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub recordings: Vec<String>,
    /// How it waits for its turn, while it is `queued`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Queued>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// A run in a list: everything but steps and log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunSummary {
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
    /// Where it stands.
    pub status: RunStatus,
    /// Whether it only describes what it would do.
    pub dry_run: bool,
    /// The run that started it.
    pub parent: Option<String>,
    /// The run that it does again.
    pub retry_of: Option<String>,
    /// Higher ones go first, -10–10.
    pub priority: i8,
    /// Its parameters.
    #[schema(value_type = Value)]
    pub parameters: SharedJson,
    /// Its value, once it succeeded.
    #[schema(value_type = Option<Value>)]
    pub result: Option<SharedJson>,
    /// Why it did not succeed.
    pub error: Option<RunError>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

/// A list of runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "runs": [{
        "run_id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "kind": "workflow", "workflow_id": "workflow_123", "script": null,
        "trigger": "manual", "status": "succeeded", "dry_run": false, "parent": null, "retry_of": null, "priority": 0, "parameters": {}, "result": { "x": 100, "y": 200 }, "error": null,
        "created_at": "2026-01-31T12:00:00.000000Z", "started_at": "2026-01-31T12:00:00.001000Z", "finished_at": "2026-01-31T12:00:00.104000Z"
    }],
    "count": 1
}))]
pub struct RunPage {
    /// Newest first.
    pub runs: Vec<RunSummary>,
    /// How many match in all; where words are searched for, 10,000 at most are counted.
    pub count: u64,
}

/// One attempt at a step, or a node that did not run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Step {
    /// Its id: the node's, with the loops' indexes behind it, or the one a script gave.
    pub step_id: String,
    /// The graph's node.
    pub node_id: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// Where it stands.
    pub status: StepStatus,
    /// 1 for the first try; 0 where there was none.
    pub attempt: u32,
    /// What it worked on.
    #[schema(value_type = Option<Value>)]
    pub input: Option<SharedJson>,
    /// What it put out.
    #[schema(value_type = Option<Value>)]
    pub output: Option<SharedJson>,
    /// The output it chose, where it is not the first.
    pub handle: Option<String>,
    /// Why it failed.
    pub error: Option<RunError>,
    /// In a run that only describes: the `calls` it would have made, and the `error` it met with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub would: Option<SharedJson>,
    /// Where something was expected of it: the `result` (`met`, `unmet`, or `unknown` where it could not be seen) and a `message`. `unknown` as
    /// well where it clicked, nothing was expected, and nothing on the screen changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, example = json!({ "result": "met", "message": "the text \"Saved\" is at (120, 40)" }))]
    pub expectation: Option<SharedJson>,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// The screen before and after it, where it used mouse or keyboard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<StepImages>,
}

/// What a run waits for.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Awaited {
    /// Its id; an approval is answered under it.
    pub id: String,
    /// `time`, `approval`, `webhook`, `script`, `workflow`; `control` while a person is at the controls of the desktop.
    pub kind: String,
    /// The step in which it waits.
    pub step_id: Option<String>,
    /// What is asked, called or run.
    #[schema(value_type = Object)]
    pub details: serde_json::Value,
    /// Since when.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// When it is over by itself.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub until: Option<Timestamp>,
}

impl From<WaitRow> for Awaited {
    fn from(row: WaitRow) -> Self {
        let request: serde_json::Value = serde_json::from_str(&row.request).unwrap_or_default();
        let what = request.get("what").and_then(|what| what.get(&row.kind)).cloned().unwrap_or_default();
        let child = request.get("child").and_then(serde_json::Value::as_str);
        Self {
            id: row.id,
            kind: row.kind,
            step_id: row.step_id,
            details: Self::details(what, child),
            since: Timestamp(row.created_at),
            until: row.due.map(Timestamp),
        }
    }
}

impl Awaited {
    /// What of a wait is shown: no secret, nothing that the record has elsewhere.
    pub(super) fn details(mut what: serde_json::Value, child: Option<&str>) -> serde_json::Value {
        if let Some(fields) = what.as_object_mut() {
            fields.remove("secret");
            fields.remove("parameters");
            if let Some(child) = child {
                fields.insert("run_id".to_owned(), child.into());
            }
        }
        mask::value(&mut what);
        what
    }
}

/// A line of a run's log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct LogLine {
    /// The number of its event.
    pub event_id: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// `debug`, `info`, `warn` or `error`.
    pub level: String,
    /// The text.
    pub message: String,
}

/// What went wrong, and where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RunError {
    /// What a caller may branch on, such as `SCRIPT_ERROR`.
    #[schema(value_type = String)]
    pub code: Kind,
    /// A sentence.
    pub message: String,
    /// The graph's node.
    pub node_id: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// From 1.
    pub line: Option<u32>,
    /// From 1.
    pub column: Option<u32>,
    /// Facts beside the sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    pub details: Option<serde_json::Value>,
}

impl From<ScriptError> for RunError {
    fn from(e: ScriptError) -> Self {
        Self { code: e.code, message: e.message, node_id: e.node_id, file: e.file, line: e.line, column: e.column, details: e.details }
    }
}

impl From<RunError> for ScriptError {
    fn from(e: RunError) -> Self {
        Self { code: e.code, message: e.message, node_id: e.node_id, file: e.file, line: e.line, column: e.column, details: e.details }
    }
}

impl RunError {
    pub(super) fn to_text(&self) -> Option<String> {
        serde_json::to_string(self).ok()
    }

    pub(super) fn from_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| Self {
            code: Kind::Internal,
            message: text.to_owned(),
            node_id: None,
            file: None,
            line: None,
            column: None,
            details: None,
        })
    }
}

macro_rules! statuses {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// The word on the wire and on record.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The status of that word.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

statuses! {
    /// Where a run stands.
    RunStatus {
        /// Other runs go first.
        Queued = "queued",
        /// It works.
        Running = "running",
        /// It waits for a time, a person or a call.
        Waiting = "waiting",
        /// It ended with a value.
        Succeeded = "succeeded",
        /// It ended with an error.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
        /// The server ended before it did.
        Interrupted = "interrupted",
    }
}

statuses! {
    /// Where a step stands.
    StepStatus {
        /// Its turn has not come.
        Pending = "pending",
        /// It works.
        Running = "running",
        /// It waits.
        Waiting = "waiting",
        /// It did its work.
        Succeeded = "succeeded",
        /// It did not.
        Failed = "failed",
        /// The run did not come by it, or it is disabled.
        Skipped = "skipped",
        /// It was stopped.
        Cancelled = "cancelled",
        /// The server ended before it did.
        Interrupted = "interrupted",
    }
}

impl RunStatus {
    /// Whether nothing more will happen.
    pub fn is_final(self) -> bool {
        match self {
            Self::Queued | Self::Running | Self::Waiting => false,
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::Interrupted => true,
        }
    }
}

impl From<RunRow> for RunSummary {
    fn from(row: RunRow) -> Self {
        Self {
            run_id: row.run_id,
            kind: row.kind,
            workflow_id: row.workflow_id,
            script: row.script,
            trigger: row.trigger,
            status: RunStatus::parse(&row.status).unwrap_or(RunStatus::Interrupted),
            dry_run: row.mode.as_deref().and_then(|mode| serde_json::from_str::<Mode>(mode).ok()).is_some_and(|mode| mode.dry),
            parent: row.parent,
            retry_of: row.retry_of,
            priority: row.priority,
            parameters: row.parameters.into(),
            result: row.result.map(Into::into),
            error: row.error.as_deref().map(RunError::from_text),
            created_at: Timestamp(row.created_at),
            started_at: row.started_at.map(Timestamp),
            finished_at: row.finished_at.map(Timestamp),
        }
    }
}

impl Run {
    /// A run with nothing but its head.
    pub(super) fn bare(head: RunSummary) -> Self {
        Self {
            run_id: head.run_id,
            kind: head.kind,
            workflow_id: head.workflow_id,
            script: head.script,
            trigger: head.trigger,
            status: head.status,
            dry_run: head.dry_run,
            parent: head.parent,
            retry_of: head.retry_of,
            priority: head.priority,
            parameters: head.parameters,
            result: head.result,
            error: head.error,
            steps: Vec::new(),
            waits: Vec::new(),
            logs: Vec::new(),
            recordings: Vec::new(),
            queue: None,
            created_at: head.created_at,
            started_at: head.started_at,
            finished_at: head.finished_at,
        }
    }
}

impl From<WholeRun> for Run {
    fn from(whole: WholeRun) -> Self {
        let mut run = Self::bare(whole.run.into());
        run.steps = steps(whole.steps);
        if !whole.images.is_empty() {
            for step in &mut run.steps {
                step.images = images_of(&run.run_id, &whole.images, &step.step_id, step.attempt);
            }
        }
        run.steps.extend(left_out(&whole.nodes, &run));
        run.waits = whole.waits.into_iter().filter(|wait| wait.answered_at.is_none()).map(Awaited::from).collect();
        if run.status.is_final() {
            run.waits.clear();
        }
        for step in run.steps.iter_mut().filter(|step| step.status == StepStatus::Running) {
            if run.waits.iter().any(|wait| wait.step_id.as_deref() == Some(step.step_id.as_str())) {
                step.status = StepStatus::Waiting;
            }
        }
        run.logs = whole.logs.into_iter().map(LogLine::from).collect();
        run.recordings = whole.films;
        run
    }
}

impl From<LogRow> for LogLine {
    fn from(row: LogRow) -> Self {
        Self { event_id: row.event_id.unsigned_abs(), timestamp: Timestamp(row.at), level: row.level, message: row.message }
    }
}

/// Puts in each step's input: where it is another step's output, that is stored once, there.
fn steps(rows: Vec<StepRow>) -> Vec<Step> {
    let mut outputs: HashMap<String, SharedJson> = HashMap::with_capacity(rows.len());
    rows.into_iter()
        .map(|row| {
            let input = match &row.input_of {
                Some(source) => outputs.get(source).cloned(),
                None => row.input.clone().map(Into::into),
            };
            let step = Step { input, ..Step::from(row) };
            if let Some(output) = &step.output {
                outputs.insert(step.step_id.clone(), Arc::clone(output));
            }
            step
        })
        .collect()
}

impl From<StepRow> for Step {
    /// Without its input.
    fn from(row: StepRow) -> Self {
        Self {
            step_id: row.step_id,
            node_id: row.node_id,
            node_type: row.node_type,
            status: StepStatus::parse(&row.status).unwrap_or(StepStatus::Interrupted),
            attempt: row.attempt,
            input: None,
            output: row.output.map(Into::into),
            handle: row.handle,
            error: row.error.as_deref().map(RunError::from_text),
            would: row.would.map(Into::into),
            expectation: row.expectation.map(Into::into),
            started_at: Some(Timestamp(row.started_at)),
            finished_at: row.finished_at.map(Timestamp),
            images: None,
        }
    }
}

/// The graph's nodes that no step belongs to: skipped, or still to come.
fn left_out(nodes: &str, run: &Run) -> Vec<Step> {
    let nodes: Vec<(String, String)> = serde_json::from_str(nodes).unwrap_or_default();
    let seen: HashSet<&str> = run.steps.iter().filter_map(|step| step.node_id.as_deref()).collect();
    let status = if run.status.is_final() { StepStatus::Skipped } else { StepStatus::Pending };
    let absent = nodes.into_iter().filter(|(id, _)| !seen.contains(id.as_str()));
    absent
        .map(|(id, node_type)| Step {
            step_id: id.clone(),
            node_id: Some(id),
            node_type: Some(node_type),
            status,
            attempt: 0,
            input: None,
            output: None,
            handle: None,
            error: None,
            would: None,
            expectation: None,
            started_at: None,
            finished_at: None,
            images: None,
        })
        .collect()
}

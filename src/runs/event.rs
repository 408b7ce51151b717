//! What is told of a run while it goes on, and again afterwards: the same events, in the same order.

use serde::Serialize;
use utoipa::ToSchema;

use super::Timestamp;
use super::record::{Awaited, Run, RunError, RunStatus, SharedJson, Step, StepStatus};
use crate::store::runs::WholeRun;

/// Something that happened in a run.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Event {
    /// The run.
    pub run_id: String,
    /// Its number within the run, from 1, without gaps.
    pub event_id: u64,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// What.
    #[serde(flatten)]
    pub what: Happening,
}

/// What happened.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Happening {
    /// The run began.
    RunStarted {
        /// `workflow` or `script`.
        kind: String,
        /// The stored workflow, where it is one.
        workflow_id: Option<String>,
        /// The script's path, where it is one.
        script: Option<String>,
        /// What started it.
        trigger: String,
    },
    /// A step began.
    StepStarted {
        /// Its id.
        step_id: String,
        /// The graph's node.
        node_id: Option<String>,
        /// Its type.
        node_type: Option<String>,
        /// From 1.
        attempt: u32,
    },
    /// A step ended.
    StepFinished {
        /// Its id.
        step_id: String,
        /// The graph's node.
        node_id: Option<String>,
        /// Its type.
        node_type: Option<String>,
        /// From 1.
        attempt: u32,
        /// How.
        status: StepStatus,
        /// What it put out.
        #[schema(value_type = Option<Value>)]
        output: Option<SharedJson>,
        /// The output it chose, where it is not the first.
        handle: Option<String>,
        /// Why it failed.
        error: Option<RunError>,
    },
    /// The run waits, and holds nothing meanwhile where it can be let go.
    WaitStarted {
        /// For what.
        wait: Awaited,
    },
    /// What it waited for has come, or is not waited for any more.
    WaitFinished {
        /// The wait's id.
        wait_id: String,
        /// `time`, `approval`, `webhook`, `script`, `workflow`, `control`.
        kind: String,
        /// The step in which it waited.
        step_id: Option<String>,
    },
    /// A line of log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// The text.
        message: String,
    },
    /// The run ended; nothing comes after.
    RunFinished {
        /// How.
        status: RunStatus,
        /// Its value.
        #[schema(value_type = Option<Value>)]
        result: Option<SharedJson>,
        /// Why it did not succeed.
        error: Option<RunError>,
    },
}

impl Happening {
    /// Its name on the wire.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run_started",
            Self::StepStarted { .. } => "step_started",
            Self::StepFinished { .. } => "step_finished",
            Self::WaitStarted { .. } => "wait_started",
            Self::WaitFinished { .. } => "wait_finished",
            Self::Log { .. } => "log",
            Self::RunFinished { .. } => "run_finished",
        }
    }
}

impl Event {
    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        matches!(self.what, Happening::RunFinished { .. })
    }
}

/// The events of a run after event `after`, out of its rows.
pub(super) fn replay(whole: WholeRun, after: u64) -> Vec<Event> {
    let finish_event = whole.run.finish_event.map(i64::unsigned_abs);
    let numbers: Vec<_> = whole.steps.iter().map(|step| (step.start_event, step.finish_event)).collect();
    let steps: Vec<Step> = whole.steps.into_iter().map(Step::from).collect();
    let head = Run::bare(whole.run.into());
    let run_id = head.run_id;
    let event = |event_id: u64, timestamp: Timestamp, what: Happening| Event { run_id: run_id.clone(), event_id, timestamp, what };
    let mut events = Vec::with_capacity(steps.len() * 2 + whole.logs.len() + 2);
    if let Some(at) = head.started_at {
        let what = Happening::RunStarted { kind: head.kind, workflow_id: head.workflow_id, script: head.script, trigger: head.trigger };
        events.push(event(1, at, what));
    }
    for (step, (start, finish)) in steps.into_iter().zip(numbers) {
        if let (Some(id), Some(at)) = (start, step.started_at) {
            let what = Happening::StepStarted {
                step_id: step.step_id.clone(),
                node_id: step.node_id.clone(),
                node_type: step.node_type.clone(),
                attempt: step.attempt,
            };
            events.push(event(id.unsigned_abs(), at, what));
        }
        if let (Some(id), Some(at)) = (finish, step.finished_at) {
            let what = Happening::StepFinished {
                step_id: step.step_id,
                node_id: step.node_id,
                node_type: step.node_type,
                attempt: step.attempt,
                status: step.status,
                output: step.output,
                handle: step.handle,
                error: step.error,
            };
            events.push(event(id.unsigned_abs(), at, what));
        }
    }
    for wait in whole.waits {
        let (start, finish, since) = (wait.start_event, wait.finish_event, Timestamp(wait.created_at));
        let (wait_id, kind, step_id) = (wait.id.clone(), wait.kind.clone(), wait.step_id.clone());
        let ended_at = wait.answered_at.map_or(since, Timestamp);
        events.push(event(start.unsigned_abs(), since, Happening::WaitStarted { wait: wait.into() }));
        if let Some(id) = finish {
            events.push(event(id.unsigned_abs(), ended_at, Happening::WaitFinished { wait_id, kind, step_id }));
        }
    }
    for log in whole.logs {
        let what = Happening::Log { level: log.level, message: log.message };
        events.push(event(log.event_id.unsigned_abs(), Timestamp(log.at), what));
    }
    if let (Some(id), Some(at)) = (finish_event, head.finished_at) {
        events.push(event(id, at, Happening::RunFinished { status: head.status, result: head.result, error: head.error }));
    }
    events.retain(|event| event.event_id > after);
    events.sort_unstable_by_key(|event| event.event_id);
    events
}

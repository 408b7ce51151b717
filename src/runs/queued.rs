//! Who has a turn and who waits for one, as people see it.

use serde::Serialize;
use utoipa::ToSchema;

use super::held_up;
use super::queue::Queued;
use super::record::RunStatus;
use super::{Runs, Timestamp};

/// Runs that are shown as waiting, of all that do.
const SHOWN: usize = 500;

/// The queue as it stands.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct QueueView {
    /// The runs that go on: those that have their turn, and those that other runs wait for and that need none. One that waits while a
    /// person is at the controls of the desktop keeps its turn, and has a `reason`.
    pub running: Vec<RunInQueue>,
    /// The runs that wait for their turn, the next one first; the first 500.
    pub queued: Vec<RunInQueue>,
    /// How many wait for their turn in all.
    pub count: usize,
    /// Runs that wait for a time, a person or a call, and take part in nothing.
    pub waiting: usize,
    /// How many there can be.
    pub limits: QueueLimits,
}

/// How many runs there can be.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
pub struct QueueLimits {
    /// At once, all workflows together: `MAX_RUNS`.
    pub running: usize,
    /// Waiting for their turn: `MAX_QUEUED_RUNS`. Further ones are refused with 429 and `Retry-After`.
    pub queued: usize,
}

/// A run that has its turn or waits for it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct RunInQueue {
    /// Its id.
    pub run_id: String,
    /// The stored workflow, where it is one.
    pub workflow_id: Option<String>,
    /// The script's path, where it is one.
    pub script: Option<String>,
    /// What started it.
    pub trigger: String,
    /// Higher ones go first.
    pub priority: i8,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When it began.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// From 1, where it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<usize>,
    /// What it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Runs {
    /// The queue as it stands.
    pub fn queue(&self) -> QueueView {
        let inner = &self.inner;
        let held_up = |run_id: &str| {
            let person = inner.find_live(run_id)?.state().held_up.clone()?;
            Some(format!("{}: {person}", held_up::REASON))
        };
        let shown = |run_id: &str, queued: Option<Queued>| {
            let head = inner.find_live(run_id)?.summary();
            let (position, reason) = queued.map(|queued| (queued.position, queued.reason)).unzip();
            let reason = reason.or_else(|| held_up(run_id));
            Some(RunInQueue {
                run_id: head.run_id,
                workflow_id: head.workflow_id,
                script: head.script,
                trigger: head.trigger,
                priority: head.priority,
                created_at: head.created_at,
                started_at: head.started_at,
                position,
                reason,
            })
        };
        let all: Vec<_> = inner.live().values().cloned().collect();
        let standing: Vec<_> = all.iter().map(|live| (live.head.run_id.as_str(), live.summary().status)).collect();
        let goes_on = |run_id: &str, status| status == RunStatus::Running || held_up(run_id).is_some();
        let mut running: Vec<_> =
            standing.iter().filter(|(run_id, status)| goes_on(run_id, *status)).filter_map(|(run_id, _)| shown(run_id, None)).collect();
        running.sort_by_key(|run| (run.started_at, run.created_at));
        let (running_at_once, places) = inner.queue.limits();
        QueueView {
            running,
            queued: inner.queue.waiting(SHOWN).into_iter().filter_map(|(run_id, queued)| shown(&run_id, Some(queued))).collect(),
            count: inner.queue.counts().1,
            waiting: standing.iter().filter(|(run_id, status)| *status == RunStatus::Waiting && !goes_on(run_id, *status)).count(),
            limits: QueueLimits { running: running_at_once, queued: places },
        }
    }
}

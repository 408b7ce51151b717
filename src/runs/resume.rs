//! Going on with the runs that a process left behind, by a crash or by being stopped; and doing a run again from one of its steps.

use std::sync::Arc;

use super::execute::{Drive, Resting};
use super::going_on::may_go_on;
use super::live::{Left, Live, bare_end};
use super::order::{Order, Place};
use super::programs::Prepared;
use super::record::{RunError, RunStatus, RunSummary, StepStatus};
use super::waits::Pending;
use super::{Error, Execute, Runs, Ticket, Timestamp, children, held_up, owner};
use crate::error::{Failure, Kind};
use crate::failpoint;
use crate::host::protocol::{Mode, Past, ScriptError, Start, StepInput, StepStarted};
use crate::policy::Permissions;
use crate::store::runs::{OpenRun, OpenStep, RunEnd, WholeRun, Write};

/// What became of the runs that a process left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Those that go on.
    pub resumed: Vec<String>,
    /// Those that do not: a step was under way that must not be done twice.
    pub interrupted: Vec<String>,
}

/// From where on a run is done again.
#[derive(Debug, Clone, Default)]
pub struct Retry {
    /// The first step that is done again; without it the first one that did not succeed. What broke off before it is left out.
    pub from: Option<String>,
    /// Everything is done again.
    pub all: bool,
    /// The node with which the new run ends.
    pub until: Option<String>,
    /// With the code that the run had, instead of what is stored now.
    pub original: bool,
}

impl Runs {
    /// Goes on with the runs of processes that are gone. What must not be done twice is `interrupted`.
    ///
    /// # Errors
    /// Where the database cannot be read or written.
    pub async fn recover(&self) -> Result<Recovered, Failure> {
        self.look_after(|owner| !owner::is_alive(owner)).await
    }

    /// Starts runs again after [`Runs::pause`], and goes on with those that it put down.
    ///
    /// # Errors
    /// As [`Runs::recover`].
    pub async fn resume(&self) -> Result<(), Failure> {
        self.inner.resume();
        self.look_after(|owner| *owner == *self.inner.owner).await.map(|_| ())
    }

    async fn look_after(&self, left_by: impl Fn(&str) -> bool) -> Result<Recovered, Failure> {
        let inner = &self.inner;
        let open = inner.store.open_runs().await.map_err(Error::from)?;
        failpoint::here("recover.before");
        let mut recovered = Recovered::default();
        let mut drives = Vec::new();
        for run in open {
            if !left_by(&run.owner) || inner.find_live(&run.run.run_id).is_some() {
                continue;
            }
            let id = run.run.run_id.clone();
            failpoint::here("recover.run");
            let unheld = inner.unheld(run.run.workflow_id.as_deref()).await?;
            match self.restore(run, unheld)? {
                Restored::GoesOn(drive) => {
                    drives.push(*drive);
                    recovered.resumed.push(id);
                }
                Restored::Broken(broken) => {
                    broken.end().await?;
                    recovered.interrupted.push(id);
                }
            }
        }
        inner.store.durable().await.map_err(Error::from)?;
        failpoint::here("recover.after");
        // All are known before the first goes on: one may wait for another.
        for mut drive in drives {
            tokio::spawn(async move {
                if let Err(failure) = drive.recall().await {
                    tracing::error!(error = %failure, "a run cannot be gone on with");
                    return;
                }
                drive.complete().await;
            });
        }
        if !recovered.interrupted.is_empty() || !recovered.resumed.is_empty() {
            let (resumed, interrupted) = (recovered.resumed.len(), recovered.interrupted.len());
            tracing::info!(resumed, interrupted, "runs that were left behind were looked after");
        }
        Ok(recovered)
    }

    /// Makes a run again that was left behind; one that the kernel does not hold is over.
    fn restore(&self, mut open: OpenRun, unheld: Option<Error>) -> Result<Restored, Failure> {
        let inner = &self.inner;
        // Who was at the controls then is of no interest any more: whoever is now is asked.
        for wait in open.open_waits.extract_if(.., |wait| wait.kind == held_up::KIND) {
            open.last_event += 1;
            let over = Write::WaitOver { id: wait.id, event: open.last_event, at: Timestamp::now().0 };
            inner.store.write(over).map_err(Error::from)?;
        }
        let prepared = inner.programs.recall(&open.program)?;
        let waits: Vec<Arc<Pending>> = open.open_waits.iter().filter_map(Pending::restored).collect();
        let held = |step: &OpenStep| open.open_waits.iter().any(|wait| wait.step_id.as_deref() == Some(step.step_id.as_str()) && wait.hold);
        let waiting =
            |step: &OpenStep| open.open_waits.iter().any(|wait| wait.step_id.as_deref() == Some(step.step_id.as_str()) && !wait.hold);
        let mode: Mode = open.run.mode.as_deref().and_then(|mode| serde_json::from_str(mode).ok()).unwrap_or_default();
        let blocked = open.open_steps.iter().find(|step| !step.again && !waiting(step));
        let may = may_go_on(&open.run.kind, &prepared.program, open.loose, open.has_steps || !open.open_waits.is_empty());
        let begun = open.run.started_at.is_some();
        // What cannot be read holds it to nothing at all.
        let unread = |_| vec![Permissions::default()];
        let within: Vec<Permissions> =
            open.within.as_deref().map(|within| serde_json::from_str(within).unwrap_or_else(unread)).unwrap_or_default();
        let grant = inner.grant(&prepared, within);
        let head = RunSummary::from(open.run.clone());
        if unheld.is_some() || (begun && (blocked.is_some() || !may || mode.attended)) {
            let error = interruption(&open, blocked, unheld);
            let run = Arc::new(Live::new(Arc::clone(inner), open.run.key, head, grant, open.depth, mode, None));
            return Ok(Restored::Broken(Box::new(Broken { run, open, error })));
        }
        // What was under way begins again; a step that waits, or that noted how it goes on, stays open.
        let mut last_event = open.last_event;
        let mut kept = Vec::new();
        for step in &open.open_steps {
            if (waiting(step) && !held(step)) || step.noted {
                kept.push(step.clone());
                continue;
            }
            last_event += 1;
            let end = bare_end(StepStatus::Interrupted, Timestamp::now().0, last_event);
            inner.store.write(Write::StepEnd { run: open.run.key, seq: step.seq, end: Box::new(end) }).map_err(Error::from)?;
        }
        let resting = waits.iter().zip(&open.open_waits).find(|(_, row)| !row.hold).map(|(pending, row)| Resting::new(pending, row.until));
        let status = if resting.is_some() { RunStatus::Waiting } else { RunStatus::Queued };
        let start = Start {
            run_id: head.run_id.clone(),
            parameters: open.run.parameters.clone(),
            input: open.input,
            start_node: open.start_node,
            started_at: head.created_at.to_string(),
            past: Past::default(),
            mode: mode.clone(),
            round_of: None,
        };
        let left = Left {
            last_event,
            next_seq: open.next_seq,
            loose: open.loose,
            noted: kept.iter().filter(|step| step.noted).map(|step| (step.step_id.clone(), step.attempt)).collect(),
            open: kept.into_iter().map(|step| (step.seq, begun_step(step))).collect(),
            waits,
        };
        let free = open.run.parent.is_some();
        let live = inner.put_live(Live::new(Arc::clone(inner), open.run.key, head, grant, open.depth, mode, None).restored(left));
        if begun {
            live.shows(status);
        }
        Ok(Restored::GoesOn(Box::new(Drive::restored(live, prepared, start, resting, open.crashes, free))))
    }

    /// Does a run again: the finished steps before `from` are not done again, their outputs are used.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` while it goes on; `VALIDATION_ERROR` where it has no such step; as [`Runs::execute_workflow`].
    pub async fn retry(&self, run_id: &str, retry: Retry) -> Result<Ticket, Failure> {
        let inner = &self.inner;
        let not_found = || Error::NotFound { kind: "run", id: run_id.to_owned() };
        let open = inner.store.started_with(run_id).await.map_err(Error::from)?.ok_or_else(not_found)?;
        if open.run.finished_at.is_none() {
            return Err(Error::GoesOn { id: run_id.to_owned(), status: open.run.status.clone() }.into());
        }
        let whole = inner.store.whole_run(run_id, -1).await.map_err(Error::from)?.ok_or_else(not_found)?;
        let before = if retry.all { 0 } else { first_again(&whole, retry.from.as_deref())? };
        let (prepared, ceiling) = self.program_again(&open, retry.original).await?;
        let kind = if open.run.kind == "workflow" { "workflow" } else { "script" };
        let order = Order { kind, workflow_id: open.run.workflow_id.clone(), script: open.run.script.clone(), prepared };
        let mode = Mode { until: retry.until, pinned: true, ..Mode::default() };
        let execute = Execute {
            priority: Some(open.run.priority),
            parameters: open.run.parameters.clone(),
            input: open.input,
            trigger: format!("retry:{run_id}"),
            start_node: open.start_node,
            mode,
            ..Execute::default()
        };
        let place = Place { within: self.held_to(ceiling), by: self.by.clone(), retry_of: Some(run_id.to_owned()), ..Place::default() };
        let (live, mut drive) = inner.make(order, execute, place)?;
        let ticket = Ticket::of(&live);
        // In the order of the queue: the run's own row is written first.
        let reused = match inner.store.reuse_steps(open.run.key, live.key, before, retry.from.is_some()).await {
            Ok(_) => drive.recall().await,
            Err(error) => Err(Error::from(error).into()),
        };
        if let Err(failure) = reused {
            live.refuse(failure.clone());
            tokio::spawn(drive.complete());
            return Err(failure);
        }
        live.leave_room(before);
        tokio::spawn(drive.complete());
        Ok(ticket)
    }

    /// The code for doing a run again: as it is stored now, or as it was where that is wanted, or gone; and what it is held to beside its
    /// caller.
    async fn program_again(&self, open: &OpenRun, original: bool) -> Result<(Arc<Prepared>, Option<Permissions>), Failure> {
        let inner = &self.inner;
        let mut ceiling = None;
        if let Some(id) = &open.run.workflow_id {
            match inner.graph(id).await {
                Ok(graph) if original => {
                    graph.check_held(id)?;
                    ceiling = graph.standing.ceiling.clone();
                }
                Ok(graph) => {
                    graph.check_trust(id)?;
                    return Ok((graph.ready()?, graph.standing.ceiling.clone()));
                }
                Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        } else if let Some(path) = open.run.script.as_ref().filter(|_| !original)
            && let Ok((prepared, _)) = inner.programs.script(path, open.run.parameters.clone())
        {
            let ceiling = inner.check_script(path, &prepared).await?;
            return Ok((prepared, ceiling));
        }
        Ok((inner.programs.recall(&open.program)?, ceiling))
    }
}

/// The place of the first step that is to be done again.
fn first_again(whole: &WholeRun, from: Option<&str>) -> Result<u32, Error> {
    let steps = &whole.steps;
    let place = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    match from {
        // A node that the run did not come to: after everything that it did.
        Some(from) if is_node(&whole.nodes, from) && !steps.iter().any(|step| step.step_id == from) => Ok(place(steps.len())),
        Some(from) => steps.iter().position(|step| step.step_id == from).map(place).ok_or_else(|| {
            Error::Validation(vec![("/from".to_owned(), format!("the run has no step {from:?}: GET /api/runs/{{id}} lists its steps"))])
        }),
        None => {
            let over = |status: &str| matches!(StepStatus::parse(status), Some(StepStatus::Succeeded | StepStatus::Skipped));
            // A loop's own step ends after the steps inside it: what is inside is looked at, not the loop.
            let is_loop = |at: usize| {
                let id = &steps[at].step_id;
                steps[at..].iter().skip(1).any(|step| step.node_id.is_some() && step.step_id.contains('[') && !id.contains('['))
            };
            let first = steps.iter().enumerate().position(|(at, step)| !over(&step.status) && !is_loop(at));
            Ok(place(first.unwrap_or(steps.len())))
        }
    }
}

fn is_node(nodes: &str, id: &str) -> bool {
    let nodes: Vec<(String, String)> = serde_json::from_str(nodes).unwrap_or_default();
    nodes.iter().any(|(node, _)| node == id)
}

fn begun_step(step: OpenStep) -> StepStarted {
    StepStarted {
        step_id: step.step_id,
        node_id: step.node_id,
        node_type: step.node_type,
        attempt: step.attempt,
        input: StepInput::None,
        started_at: step.started_at,
        again: step.again,
    }
}

/// A run that a process left behind.
enum Restored {
    GoesOn(Box<Drive>),
    Broken(Box<Broken>),
}

/// A run that may not go on.
struct Broken {
    run: Arc<Live>,
    open: OpenRun,
    error: ScriptError,
}

impl Broken {
    /// Puts that on record; before it the run that its workflow wants to hear of it.
    async fn end(self) -> Result<(), Failure> {
        let Self { run, open, error } = self;
        children::on_error(&run, &error).await;
        let store = &run.inner.store;
        let at = Timestamp::now().0;
        let mut last = open.last_event;
        for step in &open.open_steps {
            last += 1;
            let end = bare_end(StepStatus::Interrupted, at, last);
            store.write(Write::StepEnd { run: open.run.key, seq: step.seq, end: Box::new(end) }).map_err(Error::from)?;
        }
        let status = RunStatus::Interrupted.as_str();
        let end = RunEnd { status, result: None, error: RunError::from(error).to_text(), finished_at: at, finish_event: last + 1 };
        store.write(Write::RunEnd { run: open.run.key, end: Box::new(end) }).map_err(Error::from)?;
        Ok(())
    }
}

/// Why a run does not go on after its process ended, and what may have happened.
fn interruption(open: &OpenRun, blocked: Option<&OpenStep>, unheld: Option<Error>) -> ScriptError {
    let mut error = ScriptError::from(Failure::new(Kind::ServiceUnavailable, "the server ended before the run did"));
    match blocked {
        Some(step) => may_have_happened(&mut error, &step.step_id, step.node_id.clone(), open.open_steps.len()),
        None if open.open_steps.is_empty() => {}
        None => error.message.push_str(UNDER_WAY),
    }
    if let Some(unheld) = unheld.map(Failure::from) {
        error.message.push_str(&format!("; it is not gone on with: {}", unheld.message));
        error.details = error.details.or(unheld.details);
    }
    error
}

const UNDER_WAY: &str = ": one step was under way, and may have done its work or not";

/// Says of a run that broke off in a step which must not be done twice which one that was, and what to do now.
pub(super) fn may_have_happened(error: &mut ScriptError, step_id: &str, node_id: Option<String>, under_way: usize) {
    match under_way {
        0 | 1 => error.message.push_str(UNDER_WAY),
        n => error.message.push_str(&format!(": {n} steps were under way, and may have done their work or not")),
    }
    error.node_id = node_id;
    let hint = "look whether it did its work, then POST /api/runs/{run_id}/retry, from that step or from the one after it";
    error.details = Some(serde_json::json!({ "step_id": step_id, "hint": hint }));
}

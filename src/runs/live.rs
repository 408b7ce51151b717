//! A run that is going on: numbers its events, puts them on record, and tells whoever listens.

mod journal;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use super::event::{Event, Happening};
use super::execute::{Halt, Inner, Resting};
use super::order::Stepper;
use super::record::{RunError, RunStatus, RunSummary, SharedJson, StepStatus};
use super::waits::Pending;
use super::{Timestamp, audited, masked};
use crate::error::Failure;
use crate::failpoint;
use crate::host::protocol::{Json, Mode, ScriptError, StepFinished, StepInput, StepOutcome, StepStarted};
use crate::host::{Answer, Outcome};
use crate::policy::Grant;
use crate::store::runs::{NewStep, RunEnd, RunKey, StepEnd, Write};

pub(super) use journal::LiveJournal;

/// Events that a listener may lag behind before it is sent to the record.
const LISTENER_BUFFER: usize = 256;

/// One run.
pub(super) struct Live {
    pub(super) key: RunKey,
    /// The run as it stood when it was created.
    pub(super) head: RunSummary,
    pub(super) grant: Grant,
    /// How many runs stand above it.
    pub(super) depth: u32,
    /// How it is done.
    pub(super) mode: Mode,
    stepper: Option<Arc<dyn Stepper>>,
    pub(super) cancel: CancellationToken,
    /// Somebody asked for it to stop, rather than the server.
    pub(super) cancelled: AtomicBool,
    pub(super) inner: Arc<Inner>,
    pub(super) progress: watch::Sender<Progress>,
    state: Mutex<State>,
}

/// What those who wait for a run see of it.
#[derive(Clone, Default)]
pub(super) struct Progress {
    /// What the webhook's caller gets; or why the run could not be put on record, which is then what it hears.
    pub(super) answer: Option<Result<Arc<Answer>, Failure>>,
    pub(super) ended: Option<Arc<Ended>>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its status from now on.
    pub status: RunStatus,
    /// Its value.
    pub result: Option<SharedJson>,
    /// Why it did not succeed.
    pub error: Option<RunError>,
    /// When.
    pub finished_at: Timestamp,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) started_at: Option<i64>,
    last_event: i64,
    next_seq: u32,
    /// It gave its webhook's answer; a second one does not count.
    answered: bool,
    /// The steps that began and did not end: their place and what they are.
    pub(super) open: HashMap<(String, u32), (u32, StepStarted)>,
    /// The step that began last and did not end: what a run that only describes would do belongs to it.
    innermost: Option<(String, u32)>,
    /// The open steps that noted what they go on with: a break does not end them.
    pub(super) noted: HashSet<(String, u32)>,
    /// What the open steps would have done.
    would: HashMap<(String, u32), Vec<serde_json::Value>>,
    /// The waits that are not over, by place.
    pub(super) waits: HashMap<String, Arc<Pending>>,
    /// The wait for which the run is let go, once the script has unwound.
    pub(super) resting: Option<Resting>,
    /// `waiting` or `running`, once it began.
    pub(super) shown: Option<RunStatus>,
    /// It had an effect outside steps.
    pub(super) loose: bool,
    /// Steps that ended since its runner last died.
    pub(super) progressed: bool,
    /// The body of the answer that it gave.
    pub(super) answer: Option<Json>,
    /// Its runner died in the middle of a step that must not be done twice.
    pub(super) interrupted: bool,
    /// Made when somebody listens for the first time.
    pub(super) listeners: Option<broadcast::Sender<Event>>,
    /// The person whom it waits for at the desktop.
    pub(super) held_up: Option<String>,
    /// Why somebody stopped it.
    pub(super) stopped: Option<Failure>,
    /// Why the journal takes no more.
    refused: Option<Failure>,
    closed: bool,
}

impl State {
    pub(super) fn number(&mut self) -> i64 {
        self.last_event += 1;
        self.last_event
    }

    /// Whether nothing more is taken on record.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// Why the journal takes no more.
    pub(super) fn refused(&self) -> Option<&Failure> {
        self.refused.as_ref()
    }

    /// The step in which it is.
    pub(super) fn step(&self) -> Option<&str> {
        self.innermost.as_ref().map(|(step_id, _)| step_id.as_str())
    }

    /// The next step's place is that one, or a later one.
    pub(super) fn leave_room(&mut self, places: u32) {
        self.next_seq = self.next_seq.max(places);
    }

    /// Whether any step is on record.
    pub(super) fn has_steps(&self) -> bool {
        self.next_seq > 0
    }

    fn place(&mut self) -> u32 {
        self.next_seq += 1;
        self.next_seq - 1
    }
}

/// What an earlier process left of a run.
pub(super) struct Left {
    pub(super) last_event: i64,
    pub(super) next_seq: u32,
    pub(super) loose: bool,
    pub(super) open: Vec<(u32, StepStarted)>,
    pub(super) noted: HashSet<(String, u32)>,
    pub(super) waits: Vec<Arc<Pending>>,
}

impl Live {
    pub(super) fn new(
        inner: Arc<Inner>,
        key: RunKey,
        head: RunSummary,
        grant: Grant,
        depth: u32,
        mode: Mode,
        stepper: Option<Arc<dyn Stepper>>,
    ) -> Self {
        Self {
            key,
            head,
            grant,
            depth,
            mode,
            stepper,
            cancel: CancellationToken::new(),
            cancelled: AtomicBool::new(false),
            inner,
            progress: watch::Sender::new(Progress::default()),
            state: Mutex::default(),
        }
    }

    /// The same run, as an earlier process left it.
    #[must_use]
    pub(super) fn restored(self, left: Left) -> Self {
        let mut state = self.state();
        state.started_at = self.head.started_at.map(|at| at.0);
        state.shown = state.started_at.map(|_| self.head.status);
        (state.last_event, state.next_seq, state.loose) = (left.last_event, left.next_seq, left.loose);
        state.open = left.open.into_iter().map(|(seq, step)| ((step.step_id.clone(), step.attempt), (seq, step))).collect();
        state.noted = left.noted;
        state.waits = left.waits.into_iter().map(|pending| (pending.place.clone(), pending)).collect();
        drop(state);
        self
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The live events from now on; all before are on record, or queued for it.
    pub(super) fn listen(&self) -> broadcast::Receiver<Event> {
        let mut state = self.state();
        state.listeners.get_or_insert_with(|| broadcast::Sender::new(LISTENER_BUFFER)).subscribe()
    }

    /// Where it stands now.
    pub(super) fn summary(&self) -> RunSummary {
        let mut head = self.head.clone();
        head.started_at = self.state().started_at.map(Timestamp);
        head.status = match (head.started_at, self.state().shown) {
            (None, _) => RunStatus::Queued,
            (_, shown) => shown.unwrap_or(RunStatus::Running),
        };
        if let Some(ended) = &self.progress.borrow().ended {
            head.status = ended.status;
            head.result.clone_from(&ended.result);
            head.error.clone_from(&ended.error);
            head.finished_at = Some(ended.finished_at);
        }
        head
    }

    /// Whether its turn has come.
    pub(super) fn has_begun(&self) -> bool {
        self.state().started_at.is_some()
    }

    /// The run begins. `on_record`: its row says so already.
    pub(super) fn begin(&self, at: Timestamp, on_record: bool) {
        let mut state = self.state();
        state.started_at = Some(at.0);
        let id = state.number();
        if !on_record {
            self.write(&mut state, Write::RunStarted { run: self.key, at: at.0 });
        }
        self.tell(&state, id, at.0, || Happening::RunStarted {
            kind: self.head.kind.clone(),
            workflow_id: self.head.workflow_id.clone(),
            script: self.head.script.clone(),
            trigger: self.head.trigger.clone(),
        });
    }

    /// The run ends: nothing is taken on record afterwards. Waits until its end is committed.
    pub(super) async fn end(&self, outcome: Outcome) {
        let finished_at = Timestamp::now();
        let outcome = masked::outcome(outcome);
        let refused = self.state().refused.clone().or_else(|| self.inner.store.failing().map(Failure::from));
        let mut ended = match refused {
            Some(failure) => failed(failure, finished_at),
            None => self.ended(outcome, finished_at),
        };
        failpoint::here("run.end.before");
        let event_id = self.put_end(&ended);
        if let Err(error) = self.inner.store.durable().await {
            // What the caller hears and what the record will say, once there is room, are the same.
            if ended.status == RunStatus::Succeeded {
                ended = failed(error.into(), finished_at);
                self.write_end(&mut self.state(), &ended, event_id);
            }
        }
        let (status, result, error) = (ended.status, ended.result.clone(), ended.error.clone());
        let state = self.state();
        self.tell(&state, event_id, finished_at.0, || Happening::RunFinished { status, result, error });
        failpoint::here("run.end.after");
        let began = state.started_at.unwrap_or(finished_at.0);
        drop(state);
        self.inner.counts.ended(status, finished_at.0 - began);
        self.inner.live().remove(&self.head.run_id);
        self.progress.send_modify(|progress| progress.ended = Some(Arc::new(ended)));
    }

    fn ended(&self, outcome: Outcome, finished_at: Timestamp) -> Ended {
        match outcome {
            Outcome::Resting => failed(Failure::new(crate::error::Kind::Internal, "the run was let go for good"), finished_at),
            Outcome::Succeeded(value) => Ended { status: RunStatus::Succeeded, result: Some(value.into()), error: None, finished_at },
            Outcome::Failed(error) if error.code != crate::error::Kind::Cancelled || !self.cancel.is_cancelled() => {
                let status = if self.state().interrupted { RunStatus::Interrupted } else { RunStatus::Failed };
                Ended { status, result: None, error: Some(error.into()), finished_at }
            }
            Outcome::Failed(_) | Outcome::Cancelled => {
                let halt = self.inner.halt();
                if halt != Halt::No && !self.cancelled.load(Ordering::Relaxed) {
                    let what = if halt == Halt::Ending { "the server" } else { "the service graph_execution" };
                    let message = format!("{what} was stopped before the run ended");
                    let failure = Failure::new(crate::error::Kind::ServiceUnavailable, message);
                    let error = Some(ScriptError::from(failure).into());
                    return Ended { status: RunStatus::Interrupted, result: None, error, finished_at };
                }
                let error = self.state().stopped.clone().map(|why| ScriptError::from(why).into());
                Ended { status: RunStatus::Cancelled, result: None, error, finished_at }
            }
        }
    }

    /// Closes the steps that are open, and the run; gives the number of its last event.
    fn put_end(&self, ended: &Ended) -> i64 {
        let mut state = self.state();
        state.closed = true;
        let status = match ended.status {
            RunStatus::Failed => StepStatus::Failed,
            RunStatus::Interrupted => StepStatus::Interrupted,
            RunStatus::Cancelled | RunStatus::Succeeded | RunStatus::Queued | RunStatus::Running | RunStatus::Waiting => {
                StepStatus::Cancelled
            }
        };
        let mut open: Vec<_> = std::mem::take(&mut state.open).into_values().collect();
        open.sort_unstable_by_key(|(seq, _)| *seq);
        for (seq, step) in open {
            let id = state.number();
            self.write(&mut state, Write::StepEnd { run: self.key, seq, end: Box::new(bare_end(status, ended.finished_at.0, id)) });
            self.tell(&state, id, ended.finished_at.0, || step_finished(&step, status, None, None, None));
        }
        let id = state.number();
        self.write_end(&mut state, ended, id);
        id
    }

    fn write_end(&self, state: &mut State, ended: &Ended, event_id: i64) {
        let end = RunEnd {
            status: ended.status.as_str(),
            result: ended.result.as_deref().map(ToOwned::to_owned),
            error: ended.error.as_ref().and_then(RunError::to_text),
            finished_at: ended.finished_at.0,
            finish_event: event_id,
        };
        self.write(state, audited::ended(self.key, ended));
        self.write(state, Write::RunEnd { run: self.key, end: Box::new(end) });
    }

    /// Queues a row. Where the disk is full and much waits already, the run is stopped: it must not go on without a record.
    pub(super) fn write(&self, state: &mut State, write: Write) {
        if let Err(error) = self.inner.store.write(write) {
            state.refused.get_or_insert(error.into());
            self.cancel.cancel();
        }
    }

    /// The run cannot be put on record: it stops, has no further effect, and fails for that reason.
    pub(super) fn refuse(&self, failure: Failure) {
        self.state().refused.get_or_insert(failure);
        self.cancel.cancel();
    }

    /// Somebody stops it, for a reason that goes on record.
    fn stop(&self, why: Failure) {
        self.state().stopped.get_or_insert(why);
        self.cancelled.store(true, Ordering::Relaxed);
        self.cancel.cancel();
    }

    /// Builds the event only where somebody listens.
    pub(super) fn tell(&self, state: &State, id: i64, at: i64, what: impl FnOnce() -> Happening) {
        let here = state.listeners.as_ref().filter(|listeners| listeners.receiver_count() > 0);
        let everywhere = self.inner.everyone.get().filter(|listeners| listeners.receiver_count() > 0);
        if here.is_none() && everywhere.is_none() {
            return;
        }
        let run_id = self.head.run_id.clone();
        let event = Event { run_id, event_id: id.unsigned_abs(), timestamp: Timestamp(at), what: what() };
        if let Some(listeners) = everywhere {
            drop(listeners.send(event.clone()));
        }
        if let Some(listeners) = here {
            drop(listeners.send(event));
        }
    }

    fn step_started(&self, state: &mut State, step: StepStarted) {
        let name = (step.step_id.clone(), step.attempt);
        state.innermost = Some(name.clone());
        if state.open.contains_key(&name) {
            // It goes on after the run was let go within it.
            return;
        }
        let (seq, id) = (state.place(), state.number());
        self.tell(state, id, step.started_at, || started(&step));
        let known = StepStarted {
            step_id: step.step_id.clone(),
            node_id: step.node_id.clone(),
            node_type: step.node_type.clone(),
            attempt: step.attempt,
            input: StepInput::None,
            started_at: step.started_at,
            again: step.again,
        };
        state.open.insert(name, (seq, known));
        self.write(state, Write::Step(Box::new(self.row(seq, id, step, None))));
    }

    fn step_finished(&self, state: &mut State, StepFinished { step, outcome, expectation, finished_at }: StepFinished) {
        let begun = if state.open.is_empty() { None } else { state.open.remove(&(step.step_id.clone(), step.attempt)) };
        let (status, output, handle, error) = match outcome {
            StepOutcome::Succeeded { output, handle } => (StepStatus::Succeeded, Some(output), handle, None),
            StepOutcome::Failed { error, handle } => (StepStatus::Failed, None, handle, Some(RunError::from(error))),
            StepOutcome::Skipped { output, handle } => (StepStatus::Skipped, Some(output), handle, None),
        };
        // A run that only describes did nothing, not even in vain.
        let status = if self.mode.dry { StepStatus::Skipped } else { status };
        state.progressed = true;
        let name = (step.step_id.clone(), step.attempt);
        let would = state.would.remove(&name).unwrap_or_default();
        state.innermost.take_if(|innermost| *innermost == name);
        let would = self.mode.dry.then(|| would_have(&would, error.as_ref()));
        if let Some(stepper) = &self.stepper {
            stepper.heard(&step.step_id, output.as_ref());
        }
        // A step that says everything at once has begun all the same: listeners see both.
        let start_event = begun.is_none().then(|| state.number());
        let finish_event = state.number();
        if status != StepStatus::Skipped {
            self.inner.counts.step(finished_at - step.started_at);
        }
        if let Some(id) = start_event {
            self.tell(state, id, step.started_at, || started(&step));
        }
        self.tell(state, finish_event, finished_at, || {
            step_finished(&step, status, output.clone().map(Into::into), handle.clone(), error.clone())
        });
        let end = StepEnd {
            status: status.as_str(),
            output,
            handle,
            error: error.as_ref().and_then(RunError::to_text),
            would,
            expectation: expectation.map(|expectation| expectation.get().to_owned()),
            finished_at,
            finish_event,
        };
        let write = match (begun, start_event) {
            (Some((seq, _)), _) => Write::StepEnd { run: self.key, seq, end: Box::new(end) },
            (None, start) => Write::Step(Box::new(self.row(state.place(), start.unwrap_or(finish_event), step, Some(end)))),
        };
        self.write(state, write);
    }

    fn row(&self, seq: u32, start_event: i64, step: StepStarted, end: Option<StepEnd>) -> NewStep {
        let (input_of, input) = match step.input {
            StepInput::None => (None, None),
            StepInput::OutputOf(source) => (Some(source), None),
            StepInput::Value(value) => (None, Some(value)),
        };
        NewStep {
            run: self.key,
            seq,
            step_id: step.step_id,
            node_id: step.node_id,
            node_type: step.node_type,
            attempt: step.attempt,
            input_of,
            input,
            started_at: step.started_at,
            start_event: Some(start_event),
            again: step.again,
            end,
        }
    }
}

/// The end of a step of which there is nothing more to say.
pub(super) fn bare_end(status: StepStatus, at: i64, event: i64) -> StepEnd {
    StepEnd::bare(status.as_str(), at, event)
}

/// What a step of a run that only describes would have done.
fn would_have(calls: &[serde_json::Value], error: Option<&RunError>) -> String {
    let mut would = serde_json::json!({ "calls": calls });
    if let (Some(error), Some(fields)) = (error, would.as_object_mut()) {
        fields.insert("error".to_owned(), serde_json::json!(error));
    }
    would.to_string()
}

fn failed(failure: Failure, finished_at: Timestamp) -> Ended {
    Ended { status: RunStatus::Failed, result: None, error: Some(ScriptError::from(failure).into()), finished_at }
}

fn started(step: &StepStarted) -> Happening {
    Happening::StepStarted {
        step_id: step.step_id.clone(),
        node_id: step.node_id.clone(),
        node_type: step.node_type.clone(),
        attempt: step.attempt,
    }
}

pub(super) fn step_finished(
    step: &StepStarted,
    status: StepStatus,
    output: Option<SharedJson>,
    handle: Option<String>,
    error: Option<RunError>,
) -> Happening {
    Happening::StepFinished {
        step_id: step.step_id.clone(),
        node_id: step.node_id.clone(),
        node_type: step.node_type.clone(),
        attempt: step.attempt,
        status,
        output,
        handle,
        error,
    }
}

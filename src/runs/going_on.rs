//! What lets a run be let go, put down and gone on with: whether it may, and what it did so far.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::children;
use super::event::Happening;
use super::execute::{Halt, Resting};
use super::live::{Live, bare_end, step_finished};
use super::record::{RunError, RunStatus, StepStatus};
use super::waits::{self, Pending};
use super::{Error, Timestamp, resume};
use crate::error::{Failure, Kind};
use crate::failpoint::{self, Mutant};
use crate::host::Outcome;
use crate::host::protocol::{Json, Past, PastStep, PastWait, Program, ScriptError, StepOutcome, WaitFor};
use crate::store::runs::{NewWait, StepRow, Write};

impl Live {
    /// What the run did so far. Everything that is queued is on record first.
    pub(super) async fn past(&self) -> Result<Past, Failure> {
        self.inner.store.durable().await.map_err(Error::from)?;
        failpoint::here("run.past");
        let mut past = self.inner.store.past(self.key).await.map_err(Error::from)?;
        if failpoint::is_mutant(Mutant::RerunFinishedStep) {
            past.steps.retain(|(step, _)| step.finished_at.is_none());
        }
        let answered = self.state().answer.clone();
        Ok(Past {
            steps: steps(past.steps),
            waits: past.waits.into_iter().filter_map(waits::past).collect::<HashMap<String, PastWait>>(),
            logged: past.logged,
            answered,
        })
    }

    pub(super) fn pending(&self, place: &str) -> Option<Arc<Pending>> {
        self.state().waits.get(place).cloned()
    }

    pub(super) fn find_pending(&self, wanted: impl Fn(&WaitFor) -> bool) -> Option<Arc<Pending>> {
        self.state().waits.values().find(|pending| wanted(&pending.request.what)).cloned()
    }

    /// Puts a wait on record, and tells of it.
    pub(super) fn begin_wait(&self, pending: &Arc<Pending>, mut row: NewWait) -> Result<(), Failure> {
        let mut state = self.state();
        let id = state.number();
        row.start_event = id;
        let at = row.created_at;
        self.inner.store.write(Write::Wait(Box::new(row))).map_err(Error::from)?;
        state.waits.insert(pending.place.clone(), Arc::clone(pending));
        self.tell(&state, id, at, || Happening::WaitStarted { wait: pending.shown(Timestamp(at)) });
        Ok(())
    }

    /// A wait is over, and that is on record; tells of it.
    pub(super) fn end_wait(&self, pending: &Pending) {
        let mut state = self.state();
        if state.waits.remove(&pending.place).is_none() || state.closed() {
            return;
        }
        let id = state.number();
        self.write(&mut state, Write::WaitTold { id: pending.id.clone(), event: id });
        self.tell(&state, id, Timestamp::now().0, || Happening::WaitFinished {
            wait_id: pending.id.clone(),
            kind: pending.request.what.kind().to_owned(),
            step_id: pending.step_id.clone(),
        });
    }

    /// Tells the run what a wait came to; that is on record.
    pub(super) fn answer(&self, wait_id: &str, answer: PastWait) {
        let pending = self.state().waits.values().find(|pending| pending.id == wait_id).cloned();
        if let Some(pending) = pending {
            pending.answer.send_replace(Some(answer));
        }
    }

    /// The run is to be let go, until that wait is over, or the step in which it stands is out of time.
    pub(super) fn rest_at(&self, pending: &Arc<Pending>, within: Option<Duration>) {
        let until = within.and_then(|within| Instant::now().checked_add(within));
        self.state().resting = Some(Resting { pending: Arc::clone(pending), until });
    }

    pub(super) fn resting(&self) -> Option<Resting> {
        self.state().resting.take()
    }

    /// The record says that it waits, or that it goes on.
    pub(super) fn shows(&self, status: RunStatus) {
        let mut state = self.state();
        if state.shown.replace(status) != Some(status) {
            self.write(&mut state, Write::RunStatus { run: self.key, status: status.as_str(), owner: Arc::clone(&self.inner.owner) });
        }
    }

    /// It waits, until what is given back is dropped.
    pub(super) fn shown_waiting(self: &Arc<Self>) -> impl Drop + use<> {
        self.shows(RunStatus::Waiting);
        ShownWaiting(Arc::clone(self))
    }

    /// Its steps come after so many that were taken over from another run.
    pub(super) fn leave_room(&self, places: u32) {
        self.state().leave_room(places);
    }

    /// Whether any step ended since this was last asked.
    pub(super) fn progressed(&self) -> bool {
        std::mem::take(&mut self.state().progressed)
    }

    /// How long ago it began.
    pub(super) fn age(&self) -> Duration {
        let began = self.state().started_at.unwrap_or_else(|| Timestamp::now().0);
        Duration::from_micros(Timestamp::now().0.saturating_sub(began).max(0).unsigned_abs())
    }

    /// Whether the server, or its part, is what stopped it.
    pub(super) fn was_stopped(&self, outcome: &Outcome) -> bool {
        let stopped = match outcome {
            Outcome::Cancelled => true,
            Outcome::Failed(error) => error.code == Kind::Cancelled && self.cancel.is_cancelled(),
            Outcome::Succeeded(_) | Outcome::Resting => false,
        };
        stopped && self.inner.halt() != Halt::No && !self.cancelled.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Whether nothing would be done twice if it went on from its finished steps.
    pub(super) fn can_go_on(&self, program: &Program) -> bool {
        if self.mode.attended && self.inner.halt() != Halt::No {
            return false;
        }
        let state = self.state();
        if state.closed() || state.refused().is_some() {
            return false;
        }
        let waits = |step_id: &str| state.waits.values().any(|pending| pending.step_id.as_deref() == Some(step_id));
        let open = state.open.values().all(|(_, step)| step.again || waits(&step.step_id));
        open && may_go_on(&self.head.kind, program, state.loose, state.has_steps() || !state.waits.is_empty())
    }

    /// Its runner died: what was under way begins again.
    pub(super) fn break_off(&self, crashes: u32) {
        failpoint::here("runner.died");
        let mut state = self.state();
        let at = Timestamp::now().0;
        let waits: Vec<String> = state.waits.values().filter_map(|pending| pending.step_id.clone()).collect();
        let names: Vec<_> = state.open.keys().filter(|name| !waits.contains(&name.0) && !state.noted.contains(name)).cloned().collect();
        let mut broken: Vec<_> = names.iter().filter_map(|name| state.open.remove(name)).collect();
        broken.sort_unstable_by_key(|(seq, _)| *seq);
        for (seq, step) in broken {
            let id = state.number();
            let end = bare_end(StepStatus::Interrupted, at, id);
            self.write(&mut state, Write::StepEnd { run: self.key, seq, end: Box::new(end) });
            self.tell(&state, id, at, || step_finished(&step, StepStatus::Interrupted, None, None, None));
        }
        self.write(&mut state, Write::RunCrashes { run: self.key, crashes });
    }

    /// Its runner died, and it does not go on. In the middle of a step that must not be done twice, it is `interrupted`, and says so.
    pub(super) fn interrupt(&self, error: &mut ScriptError) {
        let mut state = self.state();
        let under_way = state.open.len();
        let blocked = state.open.values().filter(|(_, step)| !step.again).min_by_key(|(seq, _)| *seq);
        if let Some((_, step)) = blocked {
            resume::may_have_happened(error, &step.step_id, step.node_id.clone(), under_way);
            state.interrupted = true;
        }
    }

    /// The server stops, and the run with it; the record says how to go on.
    pub(super) fn put_down(&self) {
        // Who follows it hears that there is no more to come here, and asks again.
        self.state().listeners = None;
        self.inner.live().remove(&self.head.run_id);
        self.progress.send_modify(|progress| progress.ended = Some(Arc::new(children::put_down())));
    }
}

/// Whether a run may go on at all. A script that uses no steps begins at its top again only where its header says that it may.
pub(super) fn may_go_on(kind: &str, program: &Program, loose: bool, has_steps: bool) -> bool {
    kind == "workflow" || program.resumable || (!loose && has_steps)
}

/// A run that shows that it waits.
struct ShownWaiting(Arc<Live>);

impl Drop for ShownWaiting {
    fn drop(&mut self) {
        self.0.shows(RunStatus::Running);
    }
}

/// How each step stands, by id. One that is still open goes on in the attempt that it began: what broke off was closed.
fn steps(rows: Vec<(StepRow, Option<Json>)>) -> HashMap<String, PastStep> {
    let mut steps: HashMap<String, PastStep> = HashMap::with_capacity(rows.len());
    for (row, note) in rows {
        let status = StepStatus::parse(&row.status).unwrap_or(StepStatus::Interrupted);
        let known = steps.remove(&row.step_id);
        let failed = known.as_ref().map_or(0, |known| known.failed);
        let note = note.or_else(|| known.and_then(|known| known.note));
        let error = row.error.as_deref().map(|text| ScriptError::from(RunError::from_text(text)));
        let output = || row.output.clone().unwrap_or_else(waits::null);
        let (end, failed, over, began_at) = match status {
            StepStatus::Succeeded => (Some(StepOutcome::Succeeded { output: output(), handle: row.handle.clone() }), failed, true, None),
            // What a run that only describes met with an error goes on without, and so it does again.
            StepStatus::Skipped => (Some(StepOutcome::Skipped { output: output(), handle: row.handle.clone() }), failed, true, None),
            StepStatus::Failed => match error {
                Some(error) => (Some(StepOutcome::Failed { error, handle: row.handle.clone() }), failed + 1, true, None),
                None => (None, failed, true, None),
            },
            StepStatus::Interrupted | StepStatus::Cancelled => (None, failed, true, None),
            StepStatus::Pending | StepStatus::Running | StepStatus::Waiting => (None, failed, false, Some(row.started_at)),
        };
        let attempts = if over { row.attempt } else { row.attempt.saturating_sub(1) };
        steps.insert(row.step_id, PastStep { attempts, failed, began_at, end, note });
    }
    steps
}

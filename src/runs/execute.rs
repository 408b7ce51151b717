//! From a request to a run: program, grant, record, a turn among the others, and the end.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use tokio::sync::broadcast;

use super::counts::Counts;
use super::event::Event;
use super::library::Runner;
use super::live::{Live, LiveJournal};
use super::order::{Execute, Order, Place};
use super::programs::{Prepared, Programs};
use super::queue::{self, Claim, Entered, Queue};
use super::record::{RunStatus, RunSummary};
use super::ticket::Ticket;
use super::waits::{self, Pending};
use super::{Error, Runs, Settings, Timestamp, audited};
use crate::error::{Failure, Kind};
use crate::host::protocol::{AwaitedCall, Past, ScriptError, Start, WaitFor};
use crate::host::{Job, Outcome};
use crate::mask;
use crate::policy::{Grant, Permissions};
use crate::store::Store;
use crate::store::runs::{NewRun, Write};

/// A run whose runner died so often in a row, without a step that ended in between, is not gone on with.
const MAX_CRASHES: u32 = 3;

/// What all runs share.
pub(super) struct Inner {
    pub(super) store: Store,
    pub(super) programs: Programs,
    pub(super) runner: Arc<dyn Runner>,
    pub(super) settings: Settings,
    /// Made when somebody listens for the first time: its room for events is a megabyte.
    pub(super) everyone: OnceLock<broadcast::Sender<Event>>,
    pub(super) owner: Arc<str>,
    live: Mutex<HashMap<String, Arc<Live>>>,
    pub(super) queue: Queue,
    halted: AtomicU8,
    pub(super) counts: Counts,
}

/// Why no run is started, as [`Inner::halted`] holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// They are.
    No = 0,
    /// The execution of runs is stopped, and may be started again.
    Stopped = 1,
    /// The server ends.
    Ending = 2,
}

/// Takes part in the queue, or not: a run within a run must not wait for its parent's turn.
enum Turn {
    Taken(queue::Turn),
    /// It has its place.
    Queued(queue::Place),
    /// It has none yet.
    Waits,
    Free,
}

impl Inner {
    pub(super) fn new(store: Store, programs: Programs, runner: Arc<dyn Runner>, settings: Settings) -> Self {
        Self {
            store,
            programs,
            runner,
            everyone: OnceLock::new(),
            owner: super::owner::this_process().into(),
            live: Mutex::default(),
            queue: Queue::new(settings.max_runs, settings.max_queued),
            halted: AtomicU8::new(Halt::No as u8),
            counts: Counts::default(),
            settings,
        }
    }

    pub(super) fn live(&self) -> MutexGuard<'_, HashMap<String, Arc<Live>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find_live(&self, run_id: &str) -> Option<Arc<Live>> {
        self.live().get(run_id).cloned()
    }

    /// The wait for a call at that path, and its run.
    pub(super) fn awaited_call(&self, path: &str) -> Option<(Arc<Live>, Arc<Pending>, AwaitedCall)> {
        let all: Vec<_> = self.live().values().cloned().collect();
        all.into_iter().find_map(|live| {
            let pending = live.find_pending(|what| matches!(what, WaitFor::Webhook(awaited) if same_path(&awaited.path, path)))?;
            match &pending.request.what {
                WaitFor::Webhook(awaited) => Some((live, Arc::clone(&pending), awaited.clone())),
                _ => None,
            }
        })
    }

    pub(super) fn halt(&self) -> Halt {
        match self.halted.load(Ordering::SeqCst) {
            0 => Halt::No,
            1 => Halt::Stopped,
            _ => Halt::Ending,
        }
    }

    /// Starts runs again, unless the server ends.
    pub(super) fn resume(&self) {
        let _ = self.halted.compare_exchange(Halt::Stopped as u8, Halt::No as u8, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Starts no more, and ends what runs; what can be gone on with is put down for that.
    pub(super) async fn stop(&self, why: Halt) {
        self.halted.fetch_max(why as u8, Ordering::SeqCst);
        let open: Vec<_> = self.live().values().cloned().collect();
        for live in &open {
            live.cancel.cancel();
        }
        for live in open {
            drop(live.progress.subscribe().wait_for(|progress| progress.ended.is_some()).await);
        }
    }

    /// Starts a run; resolves once it is on record, or at once where it is awaited.
    pub(super) async fn start(
        self: &Arc<Self>,
        order: Order,
        execute: Execute,
        whose: &Runs,
        ceiling: Option<Permissions>,
    ) -> Result<Ticket, Error> {
        let awaited = execute.awaited;
        let place = Place { within: whose.held_to(ceiling), by: whose.by.clone(), ..Place::default() };
        let live = self.launch(order, execute, place)?;
        if awaited {
            return Ok(Ticket::of(&live));
        }
        if let Err(error) = self.store.durable().await {
            // It may have begun; whoever asked for it hears that it was not taken, so it must not go on, even if there is room again.
            live.refuse(error.clone().into());
            return Err(error.into());
        }
        Ok(Ticket::of(&live))
    }

    /// Puts a run on record and sets it going.
    pub(super) fn launch(self: &Arc<Self>, order: Order, execute: Execute, place: Place) -> Result<Arc<Live>, Error> {
        let (live, drive) = self.make(order, execute, place)?;
        tokio::spawn(drive.complete());
        Ok(live)
    }

    /// Puts a run on record, for whoever has something to do before it is set going.
    pub(super) fn make(self: &Arc<Self>, order: Order, execute: Execute, place: Place) -> Result<(Arc<Live>, Drive), Error> {
        self.check_halt()?;
        let run_id = place.run_id.unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let settings = &order.prepared.settings;
        let priority = execute.priority.or(settings.priority).unwrap_or(0);
        let turn = if place.free {
            Turn::Free
        } else {
            let bound = order.workflow_id.as_deref().map(Arc::from).zip(settings.bound());
            match self.queue.enter(Claim { run_id: run_id.clone(), priority, bound }) {
                Ok(Entered::Now(turn)) => Turn::Taken(turn),
                Ok(Entered::Waits(place)) => Turn::Queued(place),
                Err(waiting) => return Err(Error::Full { waiting, retry_after: self.retry_after(waiting) }),
            }
        };
        let now = Timestamp::now();
        let at_once = !matches!(turn, Turn::Queued(_));
        let key = self.store.next_key(now.0);
        self.programs.put_on_record(&self.store, &order.prepared)?;
        // Whoever starts it may know a secret and say it; the run gets it as it is.
        let shown = mask::json(execute.parameters.clone());
        let row = NewRun {
            key,
            run_id: run_id.clone(),
            kind: order.kind,
            workflow_id: order.workflow_id.clone(),
            script: order.script.clone(),
            trigger: execute.trigger.clone(),
            status: if at_once { "running" } else { "queued" },
            parameters: shown.clone(),
            input: mask::json(execute.input.clone()),
            start_node: execute.start_node.clone(),
            firing: execute.firing.clone(),
            program: Arc::clone(&order.prepared.row.hash),
            owner: Arc::clone(&self.owner),
            within: (!place.within.is_empty()).then(|| serde_json::to_string(&place.within).unwrap_or_default()),
            mode: (!execute.mode.is_usual()).then(|| serde_json::to_string(&execute.mode).unwrap_or_default()),
            parent: place.parent.clone(),
            retry_of: place.retry_of.clone(),
            depth: place.depth,
            priority,
            created_at: now.0,
            started_at: at_once.then_some(now.0),
            end: None,
        };
        let noted = audited::begun(&row, place.by.as_ref());
        self.store.write(Write::Run(Box::new(row)))?;
        self.store.write(noted)?;
        let head = RunSummary {
            run_id: run_id.clone(),
            kind: order.kind.to_owned(),
            workflow_id: order.workflow_id,
            script: order.script,
            trigger: execute.trigger,
            status: RunStatus::Queued,
            dry_run: execute.mode.dry,
            parent: place.parent,
            retry_of: place.retry_of,
            priority,
            parameters: shown.into(),
            result: None,
            error: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        };
        let start = Start {
            run_id,
            parameters: execute.parameters,
            input: execute.input,
            start_node: execute.start_node,
            started_at: now.to_string(),
            past: Past::default(),
            mode: execute.mode.clone(),
            round_of: None,
        };
        let grant = self.grant(&order.prepared, place.within);
        let grant = match execute.learned {
            Some(learned) => grant.learning(learned),
            None => grant,
        };
        let live = Live::new(Arc::clone(self), key, head, grant, place.depth, execute.mode, execute.stepper);
        let live = self.put_live(live);
        if at_once {
            live.begin(now, true);
        }
        let drive = Drive { live: Arc::clone(&live), prepared: order.prepared, start, turn, resting: None, crashes: 0 };
        Ok((live, drive))
    }

    /// In how many seconds there is probably room for another one, as long as runs take here.
    fn retry_after(&self, waiting: usize) -> u64 {
        let (turns, _) = self.queue.limits();
        let each = self.counts.mean().unwrap_or(Duration::from_secs(1));
        let all = each.as_secs_f64() * waiting.max(1) as f64 / turns as f64;
        // Half of them are gone by then.
        Duration::try_from_secs_f64((all / 2.0).ceil()).map_or(60, |wait| wait.as_secs().clamp(1, 60))
    }

    fn check_halt(&self) -> Result<(), Error> {
        match self.halt() {
            Halt::No => Ok(()),
            Halt::Stopped => Err(Error::Stopped),
            Halt::Ending => Err(Error::Stopping),
        }
    }

    /// What a run of that program may do, for somebody who may do no more than each of `within`.
    pub(super) fn grant(&self, prepared: &Prepared, within: Vec<Permissions>) -> Grant {
        let declared = prepared.program.permissions.clone();
        let layers: Vec<_> = [declared, self.settings.allowed.clone()].into_iter().chain(within).collect();
        let settings = &self.settings;
        Grant::new(layers, settings.files.clone()).keeping(Arc::clone(&settings.closed)).with_commands(settings.commands.clone())
    }

    pub(super) fn put_live(&self, live: Live) -> Arc<Live> {
        let live = Arc::new(live);
        self.live().insert(live.head.run_id.clone(), Arc::clone(&live));
        if self.halt() != Halt::No {
            // It came in while everything was being stopped: whoever stops may not have seen it.
            live.cancel.cancel();
        }
        live
    }
}

fn same_path(a: &str, b: &str) -> bool {
    a.trim_matches('/') == b.trim_matches('/')
}

/// A run on its way to its end.
pub(super) struct Drive {
    live: Arc<Live>,
    prepared: Arc<Prepared>,
    start: Start,
    turn: Turn,
    /// What it waits for, where it was let go.
    resting: Option<Resting>,
    /// How often in a row its runner died.
    crashes: u32,
}

/// What a run that was let go waits for.
#[derive(Clone)]
pub(super) struct Resting {
    pub(super) pending: Arc<Pending>,
    /// The step in which it waits is out of time then.
    pub(super) until: Option<Instant>,
}

impl Resting {
    /// For a wait in a step that is out of time at `until`, in microseconds since 1970.
    pub(super) fn new(pending: &Arc<Pending>, until: Option<i64>) -> Self {
        let left = until.map(|until| Duration::from_micros(until.saturating_sub(Timestamp::now().0).max(0).unsigned_abs()));
        Self { pending: Arc::clone(pending), until: left.and_then(|left| Instant::now().checked_add(left)) }
    }
}

impl Drive {
    /// A run that another process left.
    pub(super) fn restored(
        live: Arc<Live>,
        prepared: Arc<Prepared>,
        start: Start,
        resting: Option<Resting>,
        crashes: u32,
        free: bool,
    ) -> Self {
        let turn = if free { Turn::Free } else { Turn::Waits };
        Self { live, prepared, start, turn, resting, crashes }
    }

    /// Lets a retried run know what it need not do again.
    pub(super) async fn recall(&mut self) -> Result<(), Failure> {
        self.start.past = self.live.past().await?;
        Ok(())
    }

    /// Runs it, as often as it is let go and comes back, until it is over or put down.
    pub(super) async fn complete(mut self) {
        let live = Arc::clone(&self.live);
        loop {
            let outcome = match self.resting.take() {
                Some(resting) => self.rest(resting).await,
                // Apart, so that a run that waits does not keep the room for it.
                None => Box::pin(self.run()).await,
            };
            let Some(outcome) = outcome else { continue };
            if live.was_stopped(&outcome) && live.can_go_on(&self.prepared.program) {
                return live.put_down();
            }
            note_end(&live, &outcome);
            if let Outcome::Failed(error) = &outcome
                && error.code != Kind::Cancelled
            {
                super::children::on_error(&live, error).await;
            }
            live.end(outcome).await;
            return;
        }
    }

    /// Waits while it is let go. None: it goes on.
    async fn rest(&mut self, resting: Resting) -> Option<Outcome> {
        let live = Arc::clone(&self.live);
        let (free, _) = (matches!(self.turn, Turn::Free), std::mem::replace(&mut self.turn, Turn::Free));
        live.shows(RunStatus::Waiting);
        // It is read again when it goes on.
        self.start.past = Past::default();
        let end = [resting.until, self.deadline()].into_iter().flatten().min();
        let over = waits::over(&live, &resting.pending, &live.cancel);
        let out_of_time = async {
            match end {
                Some(end) => tokio::time::sleep_until(end.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            over = over => match over {
                Ok(_) => {}
                Err(failure) if failure.code == Kind::Cancelled => return Some(Outcome::Cancelled),
                Err(failure) => return Some(Outcome::Failed(failure.into())),
            },
            // The step finds that out by itself when it comes by here again.
            () = out_of_time => {
                if self.deadline().is_some_and(|end| end <= Instant::now()) {
                    return Some(crate::host::out_of_whole_time(&self.prepared.program));
                }
            }
        }
        self.turn = if free { Turn::Free } else { Turn::Waits };
        if let Err(failure) = self.recall().await {
            return Some(Outcome::Failed(failure.into()));
        }
        None
    }

    /// What it asks of the queue: with the bound that its workflow has now.
    async fn claim(&self) -> Claim {
        let head = &self.live.head;
        let bound = match &head.workflow_id {
            Some(id) => match self.live.inner.graph(id).await {
                Ok(graph) => graph.compiled.settings.bound(),
                Err(_) => self.prepared.settings.bound(),
            },
            None => None,
        };
        Claim { run_id: head.run_id.clone(), priority: head.priority, bound: head.workflow_id.as_deref().map(Arc::from).zip(bound) }
    }

    /// When it must be over as a whole.
    fn deadline(&self) -> Option<Instant> {
        let whole = Duration::try_from_secs_f64(self.prepared.program.limits.timeout?).ok()?;
        let spent = self.live.age();
        Instant::now().checked_add(whole.saturating_sub(spent))
    }

    /// Runs it in a runner. None: it was let go, or its runner died and it goes on.
    async fn run(&mut self) -> Option<Outcome> {
        let live = Arc::clone(&self.live);
        let inner = Arc::clone(&live.inner);
        let permit = match std::mem::replace(&mut self.turn, Turn::Free) {
            Turn::Taken(turn) => Some(turn),
            Turn::Free => None,
            waits => {
                let place = match waits {
                    Turn::Queued(place) => Entered::Waits(place),
                    _ => inner.queue.enter_again(self.claim().await),
                };
                let turn = async {
                    match place {
                        Entered::Now(turn) => turn,
                        Entered::Waits(place) => {
                            if live.has_begun() {
                                live.shows(RunStatus::Queued);
                            }
                            place.turn().await
                        }
                    }
                };
                tokio::select! {
                    biased;
                    () = live.cancel.cancelled() => return Some(Outcome::Cancelled),
                    turn = turn => Some(turn),
                }
            }
        };
        if live.has_begun() {
            live.shows(RunStatus::Running);
        } else {
            live.begin(Timestamp::now(), false);
        }
        let job = Job {
            program: Arc::clone(&self.prepared.program),
            start: self.start.clone(),
            grant: live.grant.clone(),
            journal: Arc::new(LiveJournal(Arc::clone(&live))),
            cancel: live.cancel.clone(),
            deadline: self.deadline(),
        };
        let outcome = AssertUnwindSafe(inner.runner.run(job)).catch_unwind().await.unwrap_or_else(|_| {
            let failure = Failure::new(Kind::Internal, "a defect of TRAE ended the run; the server's log says more");
            Outcome::Failed(ScriptError::from(failure))
        });
        let keeps_turn = permit.map_or(Turn::Free, Turn::Taken);
        match outcome {
            Outcome::Resting => match live.resting() {
                Some(resting) => {
                    // The turn is given back; whether it had one is remembered.
                    self.turn = if matches!(keeps_turn, Turn::Free) { Turn::Free } else { Turn::Waits };
                    self.resting = Some(resting);
                    None
                }
                None => Some(Outcome::Failed(Failure::new(Kind::Internal, "the run was let go, and waits for nothing").into())),
            },
            Outcome::Failed(error) if error.code == Kind::RunnerCrashed => self.go_on_after(error, keeps_turn).await,
            outcome => {
                // A turn is given back with the run's end on record, not before.
                self.turn = keeps_turn;
                Some(outcome)
            }
        }
    }

    /// The runner died: the run goes on where it may, for a few times in a row.
    async fn go_on_after(&mut self, mut error: ScriptError, turn: Turn) -> Option<Outcome> {
        let live = Arc::clone(&self.live);
        self.crashes = if live.progressed() { 1 } else { self.crashes + 1 };
        if live.cancel.is_cancelled() {
            return Some(Outcome::Failed(error));
        }
        if !live.can_go_on(&self.prepared.program) {
            live.interrupt(&mut error);
            return Some(Outcome::Failed(error));
        }
        if self.crashes >= MAX_CRASHES {
            error.message = format!(
                "{}; it did so {} times in a row, so the run is not gone on with: retry it once the cause is found",
                error.message, self.crashes
            );
            error.details = Some(serde_json::json!({ "quarantined": true, "crashes": self.crashes }));
            return Some(Outcome::Failed(error));
        }
        tracing::warn!(run_id = live.head.run_id, crashes = self.crashes, "the runner of a run died; the run goes on");
        live.break_off(self.crashes);
        if let Err(failure) = self.recall().await {
            return Some(Outcome::Failed(failure.into()));
        }
        self.turn = turn;
        None
    }
}

/// Writes the end into the log: which run, not what it did, for that may be anything a user typed or read.
fn note_end(live: &Live, outcome: &Outcome) {
    let RunSummary { run_id, workflow_id, script, .. } = &live.head;
    match outcome {
        Outcome::Failed(error) => tracing::info!(run_id, workflow_id, script, code = error.code.code(), "a run failed"),
        _ => tracing::debug!(run_id, workflow_id, script, "a run ended"),
    }
}

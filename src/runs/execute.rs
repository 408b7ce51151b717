//! From a request to a run: program, grant, record, a turn among the others, and the end.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::FutureExt;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;

use super::counts::Counts;
use super::event::Event;
use super::library::Runner;
use super::live::{Ended, Live, LiveJournal};
use super::programs::{Prepared, Programs};
use super::record::{Run, RunStatus, RunSummary};
use super::{Error, Settings, Timestamp};
use crate::error::{Failure, Kind};
use crate::host::protocol::{Json, ScriptError, Start};
use crate::host::{Answer, Job, Outcome};
use crate::policy::{Grant, Permissions};
use crate::store::Store;
use crate::store::runs::{NewRun, Write};
use crate::store::triggers::NewFiring;

/// So many scripts may stand above one another.
const MAX_DEPTH: u32 = 8;

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
    turns: Arc<Semaphore>,
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
    /// What starts it, where a trigger does: put on record with the run, or neither is.
    pub firing: Option<Arc<NewFiring>>,
    /// Permissions beside the declared ones, for a script that is in no folder: what a person at their own terminal grants it.
    pub lent: Permissions,
}

impl Default for Execute {
    fn default() -> Self {
        Self {
            parameters: raw("{}"),
            input: raw("null"),
            trigger: "manual".to_owned(),
            start_node: None,
            awaited: false,
            firing: None,
            lent: Permissions::default(),
        }
    }
}

/// JSON text that is known to be such.
pub(super) fn raw(text: &str) -> Json {
    RawValue::from_string(text.to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// A run that was started.
pub struct Ticket {
    /// Its id.
    pub run_id: String,
    live: Arc<Live>,
}

impl Ticket {
    /// Where it stands now.
    pub fn status(&self) -> RunStatus {
        self.live.summary().status
    }

    /// Waits for its end. Reads nothing: enough for an answer that wants no steps.
    pub async fn ended(&mut self) -> Arc<Ended> {
        let mut progress = self.live.progress.subscribe();
        let ended = progress.wait_for(|progress| progress.ended.is_some()).await;
        // The sender lives as long as this ticket, so that the wait cannot fail.
        ended
            .ok()
            .and_then(|progress| progress.ended.clone())
            .unwrap_or_else(|| Arc::new(Ended { status: RunStatus::Interrupted, result: None, error: None, finished_at: Timestamp::now() }))
    }

    /// Waits for its end, and reads the whole record. Its end is committed by then.
    pub async fn finished(&mut self) -> Run {
        self.ended().await;
        match self.live.inner.store.whole_run(&self.run_id, -1).await {
            Ok(Some(whole)) if whole.run.finished_at.is_some() => whole.into(),
            // The disk is full: the record cannot be read in full, but how it ended is known.
            _ => Run::bare(self.live.summary()),
        }
    }

    /// The same, for whoever was not told yet that the run was taken ([`Execute::awaited`]).
    ///
    /// # Errors
    /// `STORAGE_FULL`: it is not on record.
    pub async fn recorded(&mut self) -> Result<Arc<Ended>, Failure> {
        let ended = self.ended().await;
        match &ended.error {
            Some(error) if error.code == Kind::StorageFull => Err(Failure::new(error.code, error.message.clone())),
            _ => Ok(ended),
        }
    }

    /// Waits for the answer that the run gives to its webhook, and until all that came before it is on record. None where it ended
    /// without one.
    ///
    /// # Errors
    /// `STORAGE_FULL`: it is not on record.
    pub async fn answered(&mut self) -> Result<Option<Arc<Answer>>, Failure> {
        let mut progress = self.live.progress.subscribe();
        let answer = match progress.wait_for(|progress| progress.answer.is_some() || progress.ended.is_some()).await {
            Ok(progress) => progress.answer.clone(),
            Err(_) => None,
        };
        answer.transpose()
    }
}

/// What is to be run, and what the record says of it.
pub(super) struct Order {
    pub(super) kind: &'static str,
    pub(super) workflow_id: Option<String>,
    pub(super) script: Option<String>,
    pub(super) prepared: Arc<Prepared>,
}

/// Takes part in the queue, or not: a run within a run must not wait for its parent's turn.
enum Turn {
    Taken(OwnedSemaphorePermit),
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
            turns: Arc::new(Semaphore::new(settings.max_runs.max(1))),
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

    /// Starts no more, and ends what runs.
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

    /// Starts a run; resolves once it is on record, or at once where it is awaited. `within` is what whoever starts it may do at most,
    /// where that is not everything.
    pub(super) async fn start(self: &Arc<Self>, order: Order, execute: Execute, within: Option<&Permissions>) -> Result<Ticket, Error> {
        let declared = order.prepared.program.permissions.clone();
        let layers: Vec<_> = [declared, self.settings.allowed.clone()].into_iter().chain(within.cloned()).collect();
        let grant = Grant::new(layers, self.settings.files.clone());
        let turn = match Arc::clone(&self.turns).try_acquire_owned() {
            Ok(permit) => Turn::Taken(permit),
            Err(_) => Turn::Waits,
        };
        let awaited = execute.awaited;
        let live = self.launch(order, execute, grant, 0, CancellationToken::new(), turn)?;
        if awaited {
            return Ok(Ticket { run_id: live.head.run_id.clone(), live });
        }
        if let Err(error) = self.store.durable().await {
            // It may have begun; whoever asked for it hears that it was not taken, so it must not go on, even if there is room again.
            live.refuse(error.clone().into());
            return Err(error.into());
        }
        Ok(Ticket { run_id: live.head.run_id.clone(), live })
    }

    fn launch(
        self: &Arc<Self>,
        order: Order,
        execute: Execute,
        grant: Grant,
        depth: u32,
        cancel: CancellationToken,
        turn: Turn,
    ) -> Result<Arc<Live>, Error> {
        match self.halt() {
            Halt::No => {}
            Halt::Stopped => return Err(Error::Stopped),
            Halt::Ending => return Err(Error::Stopping),
        }
        let waiting = self.live().len();
        if matches!(turn, Turn::Waits) && waiting >= self.settings.max_runs + self.settings.max_queued {
            return Err(Error::Full(waiting));
        }
        let now = Timestamp::now();
        let at_once = !matches!(turn, Turn::Waits);
        let key = self.store.next_key(now.0);
        let run_id = uuid::Uuid::now_v7().to_string();
        self.programs.put_on_record(&self.store, &order.prepared)?;
        let row = NewRun {
            key,
            run_id: run_id.clone(),
            kind: order.kind,
            workflow_id: order.workflow_id.clone(),
            script: order.script.clone(),
            trigger: execute.trigger.clone(),
            status: if at_once { "running" } else { "queued" },
            parameters: execute.parameters.clone(),
            input: execute.input.clone(),
            start_node: execute.start_node.clone(),
            firing: execute.firing.clone(),
            program: Arc::clone(&order.prepared.row.hash),
            owner: Arc::clone(&self.owner),
            created_at: now.0,
            started_at: at_once.then_some(now.0),
            end: None,
        };
        self.store.write(Write::Run(Box::new(row)))?;
        let head = RunSummary {
            run_id: run_id.clone(),
            kind: order.kind.to_owned(),
            workflow_id: order.workflow_id,
            script: order.script,
            trigger: execute.trigger,
            status: RunStatus::Queued,
            parameters: execute.parameters.clone().into(),
            result: None,
            error: None,
            created_at: now,
            started_at: None,
            finished_at: None,
        };
        let start = Start {
            run_id: run_id.clone(),
            parameters: execute.parameters,
            input: execute.input,
            start_node: execute.start_node,
            started_at: now.to_string(),
        };
        let live = Arc::new(Live::new(Arc::clone(self), key, head, grant, depth, cancel));
        self.live().insert(run_id, Arc::clone(&live));
        if self.halt() != Halt::No {
            // It came in while everything was being stopped: whoever stops may not have seen it.
            live.cancel.cancel();
        }
        if at_once {
            live.begin(now, true);
        }
        tokio::spawn(drive(Arc::clone(&live), order.prepared, start, turn));
        Ok(live)
    }
}

async fn drive(live: Arc<Live>, prepared: Arc<Prepared>, start: Start, turn: Turn) {
    let inner = Arc::clone(&live.inner);
    let permit = match turn {
        Turn::Taken(permit) => Some(permit),
        Turn::Free => None,
        Turn::Waits => tokio::select! {
            biased;
            () = live.cancel.cancelled() => {
                return live.end(Outcome::Cancelled).await;
            }
            permit = Arc::clone(&inner.turns).acquire_owned() => {
                live.begin(Timestamp::now(), false);
                permit.ok()
            }
        },
    };
    let job = Job {
        program: Arc::clone(&prepared.program),
        start,
        grant: live.grant.clone(),
        journal: Arc::new(LiveJournal(Arc::clone(&live))),
        cancel: live.cancel.clone(),
    };
    let outcome = AssertUnwindSafe(inner.runner.run(job)).catch_unwind().await.unwrap_or_else(|_| {
        let failure = Failure::new(Kind::Internal, "a defect of TRAE ended the run; the server's log says more");
        Outcome::Failed(ScriptError::from(failure))
    });
    note_end(&live, &outcome);
    live.end(outcome).await;
    drop(permit);
}

/// Writes the end into the log: which run, not what it did, for that may be anything a user typed or read.
fn note_end(live: &Live, outcome: &Outcome) {
    let RunSummary { run_id, workflow_id, script, .. } = &live.head;
    match outcome {
        Outcome::Failed(error) => tracing::info!(run_id, workflow_id, script, code = error.code.code(), "a run failed"),
        _ => tracing::debug!(run_id, workflow_id, script, "a run ended"),
    }
}

/// Runs a script within the run `parent`: with a record of its own, and no more rights than both have.
pub(super) async fn run_child(parent: Arc<Live>, path: String, parameters: Json, cancel: CancellationToken) -> Result<Json, Failure> {
    let inner = Arc::clone(&parent.inner);
    parent.grant.script(&path)?;
    if parent.depth + 1 >= MAX_DEPTH {
        return Err(Error::TooDeep(MAX_DEPTH, path).into());
    }
    let (prepared, parameters) = inner.programs.script(&path, parameters)?;
    let grant = parent.grant.narrowed(&prepared.program.permissions);
    let order = Order { kind: "script", workflow_id: None, script: Some(path.clone()), prepared };
    let execute = Execute { parameters, trigger: format!("script:{}", parent.head.run_id), ..Execute::default() };
    // Both the call that waits and the whole parent can stop it.
    let stop = parent.cancel.child_token();
    let live = inner.launch(order, execute, grant, parent.depth + 1, stop.clone(), Turn::Free)?;
    let mut ticket = Ticket { run_id: live.head.run_id.clone(), live };
    let ended = tokio::select! {
        ended = ticket.ended() => ended,
        () = cancel.cancelled() => {
            stop.cancel();
            ticket.ended().await
        }
    };
    match (&ended.result, &ended.error) {
        (Some(value), _) if ended.status == RunStatus::Succeeded => Ok((**value).to_owned()),
        (_, Some(error)) => {
            let mut failure = Failure::new(error.code, format!("the script {path} failed: {}", error.message));
            failure.details.clone_from(&error.details);
            Err(failure)
        }
        _ => Err(Failure::new(Kind::Cancelled, format!("the script {path} was {}", ended.status.as_str()))),
    }
}

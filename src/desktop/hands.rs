//! The hands of one client that works at the desktop from afar: its actions one after the other, each in its turn, and whatever it
//! holds down let go when it vanishes.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::action::PATIENCE;
use super::{Acting, Action, Desktop, Desktops, Error, Lease, Token, Who};
use crate::error::Failure;
use crate::input::{Button, Hold, KeyHold, Physical};

/// How many actions wait at a time. Of the pointer's movements in a row only the last counts, so that these do not fill it.
const WAITING: usize = 256;
/// How long a client that holds something down keeps its turn without doing anything.
const HOLD: Duration = Duration::from_secs(10);

/// A client's hands. What they hold is let go when this is dropped.
#[derive(Debug)]
pub struct Hands {
    queue: Arc<Queue>,
    complaints: mpsc::Receiver<Failure>,
    _stop: DropGuard,
}

/// What waits to be done.
#[derive(Debug, Default)]
struct Queue {
    jobs: Mutex<VecDeque<Job>>,
    more: Notify,
    /// What the client shows while it is at the controls.
    token: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Job {
    action: Action,
    cancel: CancellationToken,
    asked: Instant,
}

/// What is held down, and where.
struct Held {
    desktop: Arc<Desktop>,
    what: Pressed,
    /// How often all that is held was let go by others until then: after the next time it is not held by this client any more.
    sweeps: u64,
}

#[derive(PartialEq)]
enum Pressed {
    Button(Button),
    Key(String),
    Code(Physical),
}

impl Hands {
    /// Hands of `who` at the desktop that is meant where none is named.
    pub fn new(desktops: Arc<Desktops>, who: String) -> Self {
        Self::at(desktops, None, who)
    }

    /// Hands of `who` at the desktop of that name, or the default one.
    pub fn at(desktops: Arc<Desktops>, target: Option<String>, who: String) -> Self {
        let queue = Arc::new(Queue::default());
        let (complain, complaints) = mpsc::channel(WAITING);
        let stop = CancellationToken::new();
        let worker = Worker { desktops, target, who, queue: Arc::clone(&queue), complain, held: Vec::new(), lease: None, refused_by: None };
        tokio::spawn(worker.work(stop.clone()));
        Self { queue, complaints, _stop: stop.drop_guard() }
    }

    /// Does something when its turn comes, unless `cancel` is set until then. What goes wrong is told by [`Hands::complaint`].
    ///
    /// # Errors
    /// [`Error::TooFast`] where too much waits already.
    pub fn act(&self, action: Action, cancel: CancellationToken) -> Result<(), Error> {
        self.queue.push(Job { action, cancel, asked: Instant::now() })
    }

    /// It is at the controls from now on, as this token proves, or no longer.
    pub fn show(&self, token: Option<Token>) {
        *self.queue.token.lock().unwrap_or_else(PoisonError::into_inner) = token;
    }

    /// The next thing that went wrong. May be dropped while it waits.
    pub async fn complaint(&mut self) -> Failure {
        match self.complaints.recv().await {
            Some(failure) => failure,
            None => std::future::pending().await,
        }
    }
}

impl Queue {
    fn push(&self, job: Job) -> Result<(), Error> {
        let mut jobs = self.lock();
        if let Some(last) = jobs.back_mut()
            && matches!((&last.action, &job.action), (Action::Move(_), Action::Move(_)))
        {
            *last = job;
        } else if jobs.len() < WAITING {
            jobs.push_back(job);
        } else {
            return Err(Error::TooFast);
        }
        drop(jobs);
        self.more.notify_one();
        Ok(())
    }

    /// The next job, once there is one. May be dropped while it waits.
    async fn next(&self) -> Job {
        loop {
            if let Some(job) = self.lock().pop_front() {
                return job;
            }
            self.more.notified().await;
        }
    }

    fn token(&self) -> Option<Token> {
        self.token.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker {
    desktops: Arc<Desktops>,
    target: Option<String>,
    who: String,
    queue: Arc<Queue>,
    complain: mpsc::Sender<Failure>,
    held: Vec<Held>,
    /// Kept as long as something is held down: a run must not come between press and release.
    lease: Option<Lease>,
    /// Whom it was last told of as who is at the controls: once is enough for all the movements of the pointer.
    refused_by: Option<String>,
}

impl Worker {
    async fn work(mut self, stop: CancellationToken) {
        while let Some(job) = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            job = self.next() => Some(job),
        } {
            let moves = matches!(job.action, Action::Move(_));
            let done = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                done = self.perform(job) => done,
            };
            let refused_by = match &done {
                Err(Error::Controlled { holder }) => Some(holder.clone()),
                // What waits belongs to what was stopped.
                Err(Error::Stopped(_)) => {
                    self.queue.lock().clear();
                    None
                }
                _ => None,
            };
            let known = moves && refused_by.is_some() && self.refused_by == refused_by;
            self.refused_by = refused_by;
            if let Some(error) = done.err().filter(|_| !known) {
                // A client that does not listen misses the rest.
                let _ = self.complain.try_send(error.into());
            }
        }
        self.let_go().await;
    }

    /// The next action. Who holds something down and does nothing more loses its turn after a while.
    async fn next(&mut self) -> Job {
        if self.lease.is_some() {
            match tokio::time::timeout(HOLD, self.queue.next()).await {
                Ok(job) => return job,
                Err(_) => self.lease = None,
            }
        }
        self.queue.next().await
    }

    async fn perform(&mut self, job: Job) -> Result<(), Error> {
        let desktop = self.desktops.reach(self.target.as_deref()).await?;
        let stop = job.cancel.child_token();
        let who = Who::action(&self.who, self.queue.token());
        let patience = PATIENCE.saturating_sub(job.asked.elapsed());
        let acting = desktop.turn.again(self.lease.take(), who, &stop, patience).await?;
        self.held.retain(|held| held.sweeps == held.desktop.turn.sweeps());
        // Noted before it is done: if it is broken off, too much is let go rather than too little.
        self.note(&desktop, &job.action);
        let (done, acting) = desktop.act_with(acting, job.action, stop).await;
        self.lease = acting.and_then(Acting::into_lease).filter(|_| !self.held.is_empty());
        done.map(|_| ())
    }

    fn note(&mut self, desktop: &Arc<Desktop>, action: &Action) {
        let what = match action {
            Action::ButtonDown(Hold { button, .. }) | Action::ButtonUp(Hold { button, .. }) => Pressed::Button(*button),
            Action::KeyDown(KeyHold { key }) | Action::KeyUp(KeyHold { key }) => Pressed::Key(key.clone()),
            Action::CodeDown(key) | Action::CodeUp(key) => Pressed::Code(*key),
            _ => return,
        };
        self.held.retain(|held| held.what != what);
        if matches!(action, Action::ButtonDown(_) | Action::KeyDown(_) | Action::CodeDown(_)) {
            self.held.push(Held { desktop: Arc::clone(desktop), what, sweeps: desktop.turn.sweeps() });
        }
    }

    /// Lets go of everything, without waiting for a turn: nobody wants it held.
    async fn let_go(self) {
        let Self { held, lease, .. } = self;
        let released = tokio::task::spawn_blocking(move || {
            for Held { desktop, what, sweeps } in held.into_iter().rev() {
                if desktop.turn.sweeps() != sweeps {
                    continue;
                }
                // A key that does not exist was never down, and a display that is gone holds nothing.
                let _ = match what {
                    Pressed::Button(button) => desktop.input().up(&Hold { x: None, y: None, button }),
                    Pressed::Key(key) => desktop.input().key_up(&KeyHold { key }),
                    Pressed::Code(key) => desktop.input().code_up(key),
                };
            }
        });
        let _ = released.await;
        drop(lease);
    }
}

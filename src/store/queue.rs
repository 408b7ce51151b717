//! What waits to be written: a bounded queue between many writers and the one thread that commits.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Error;
use super::runs::Write;

/// Commits nobody waits for are gathered for so long.
const GATHER: Duration = Duration::from_millis(5);
/// So many are committed without gathering further.
const ENOUGH: usize = 128;
/// So many may wait before writers wait for room.
const BOUND: usize = 20_000;
/// So many bytes may wait, likewise.
const BOUND_BYTES: usize = 64 << 20;

/// Something to be done in the next transaction.
pub(super) enum Item {
    /// A row; nobody waits for it alone.
    Write(Write),
    /// Anything else, with somebody who waits for its result.
    Task(Box<dyn Task>),
    /// Called once everything before it is committed.
    Barrier(Box<dyn FnOnce(Result<(), Error>) + Send>),
}

/// Work on the writing connection, within the common transaction.
pub(super) trait Task: Send {
    /// Does the work.
    fn run(&mut self, connection: &rusqlite::Connection) -> Result<(), Error>;
    /// Tells who waits, after the commit.
    fn done(self: Box<Self>, committed: Result<(), Error>);
}

/// What the writing thread does: waking one that is awake costs a call of the system all the same.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
enum Writer {
    /// It works, or was woken, and looks at the queue before it sleeps again.
    #[default]
    Awake,
    /// It sleeps until anything comes.
    Idle,
    /// It sleeps until somebody waits, or enough has gathered.
    Gathering,
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    writer: Writer,
    /// Bytes of the rows among them.
    bytes: usize,
    /// Somebody waits: commit at once.
    urgent: bool,
    closed: bool,
    /// The writing thread is to write what waits and end; what comes after that waits for the next one.
    resting: bool,
    /// There is no writing thread, and why: rows wait for the next one, whoever wants an answer is told at once.
    down: Option<Error>,
    /// Why the last commit failed; what it should have written is still to be written.
    failing: Option<Error>,
    /// Rows of failed commits, which the writing thread holds, and their bytes.
    kept: (usize, usize),
}

impl Item {
    /// Tells who waits for it that it will not be done. A row has nobody.
    fn refuse(self, error: &Error) {
        match self {
            Self::Task(task) => task.done(Err(error.clone())),
            Self::Barrier(then) => then(Err(error.clone())),
            Self::Write(_) => {}
        }
    }
}

impl State {
    fn ends(&self) -> bool {
        self.closed || self.resting
    }

    fn is_full(&self) -> bool {
        self.items.len() + self.kept.0 >= BOUND || self.bytes + self.kept.1 >= BOUND_BYTES
    }
}

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes the writing thread.
    work: Condvar,
    /// Wakes writers that wait for room.
    room: Condvar,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a row. Waits for room where the disk is slow; refuses where it is full and too much waits already.
    pub(super) fn write(&self, write: Write) -> Result<(), Error> {
        let mut state = self.state();
        while state.is_full() && !write.must_be_kept() && !state.closed {
            if let Some(error) = state.failing.as_ref().or(state.down.as_ref()) {
                return Err(error.clone());
            }
            state = self.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Error::Closed);
        }
        state.bytes += write.bytes();
        state.items.push_back(Item::Write(write));
        let wake = match state.writer {
            Writer::Awake => false,
            Writer::Idle => true,
            Writer::Gathering => state.items.len() >= ENOUGH,
        };
        self.wake(state, wake);
        Ok(())
    }

    /// Adds something that somebody waits for. After closing, it is told so at once.
    pub(super) fn ask(&self, item: Item) {
        let mut state = self.state();
        let refused = if state.closed { Some(Error::Closed) } else { state.down.clone() };
        if let Some(error) = refused {
            drop(state);
            item.refuse(&error);
            return;
        }
        state.items.push_back(item);
        state.urgent = true;
        let wake = state.writer != Writer::Awake;
        self.wake(state, wake);
    }

    fn wake(&self, mut state: MutexGuard<'_, State>, wake: bool) {
        if wake {
            state.writer = Writer::Awake;
        }
        drop(state);
        if wake {
            self.work.notify_one();
        }
    }

    /// Takes everything there is into `batch`, once somebody waits for it, enough has gathered, or it has waited long enough.
    /// With `retry` it returns after that time even when nothing came. False once it is to end and nothing waits.
    pub(super) fn take(&self, batch: &mut Vec<Item>, retry: Option<Duration>) -> bool {
        let mut state = self.state();
        let idle_until = retry.map(|after| Instant::now() + after);
        while state.items.is_empty() && !state.ends() {
            state.writer = Writer::Idle;
            match idle_until.map(|until| until.saturating_duration_since(Instant::now())) {
                Some(left) if left.is_zero() => break,
                Some(left) => state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                None => state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner),
            }
        }
        let gather_until = Instant::now() + GATHER;
        while !state.items.is_empty() && !state.urgent && !state.ends() && state.items.len() < ENOUGH {
            let left = gather_until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            state.writer = Writer::Gathering;
            state = self.work.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.writer = Writer::Awake;
        let open = !state.ends() || !state.items.is_empty();
        batch.extend(state.items.drain(..));
        state.bytes = 0;
        state.urgent = false;
        drop(state);
        self.room.notify_all();
        open
    }

    /// Says how the last commit went, and how many rows and bytes are kept for the next.
    pub(super) fn report(&self, failing: Option<Error>, kept: (usize, usize)) {
        let mut state = self.state();
        if state.failing.is_some() || failing.is_some() {
            state.failing = failing;
            state.kept = kept;
            drop(state);
            self.room.notify_all();
        }
    }

    /// Whether the last commit failed for want of room.
    pub(super) fn failing(&self) -> Option<Error> {
        self.state().failing.clone()
    }

    /// Nothing more is accepted; what waits is still written.
    pub(super) fn close(&self) {
        self.state().closed = true;
        self.work.notify_all();
        self.room.notify_all();
    }

    /// The writing thread is to write what waits and end. What comes after that waits for the next one.
    pub(super) fn rest(&self) {
        self.state().resting = true;
        self.work.notify_all();
    }

    /// Rows that could not be written are for the next thread, before all others. False where there will be none.
    pub(super) fn put_back(&self, rows: &mut Vec<Write>) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        for row in rows.drain(..).rev() {
            state.bytes += row.bytes();
            state.items.push_front(Item::Write(row));
        }
        true
    }

    /// A new writing thread begins.
    pub(super) fn begin(&self) {
        let mut state = self.state();
        (state.resting, state.down, state.failing, state.kept) = (false, None, None, (0, 0));
        drop(state);
        self.room.notify_all();
    }

    /// There is no writing thread, for that reason: whoever waits hears of it; rows are kept for the next thread.
    pub(super) fn down(&self, error: &Error) {
        let mut state = self.state();
        state.down = Some(error.clone());
        let (rows, waiting): (Vec<_>, Vec<_>) = state.items.drain(..).partition(|item| matches!(item, Item::Write(_)));
        state.items.extend(rows);
        drop(state);
        waiting.into_iter().for_each(|item| item.refuse(error));
        self.room.notify_all();
    }

    /// How many rows and requests wait.
    pub(super) fn waiting(&self) -> usize {
        let state = self.state();
        state.items.len() + state.kept.0
    }

    /// Whether nothing more is accepted.
    pub(super) fn is_closed(&self) -> bool {
        self.state().closed
    }
}

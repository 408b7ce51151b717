//! Looking at a session's terminal: what is there, then what comes; and which of those who look may type.
//!
//! Whoever looks longest types, until somebody else takes that over or they go away. A viewer that does not read costs its place in what
//! was printed, and nothing else.

use std::sync::{Arc, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Session;
use super::model::Size;
use super::state::{Phase, Progress};
use crate::policy::AllowedCommand;
use crate::shell::{Error, TerminalSize};

/// Somebody who looks at a session's terminal.
pub struct Viewer {
    session: Arc<Session>,
    id: u64,
    /// Up to where it has seen what was printed. Nothing where it is to see the whole screen.
    place: Option<u64>,
    paused: bool,
    printed: watch::Receiver<()>,
    progress: watch::Receiver<Progress>,
    standing: watch::Receiver<()>,
}

/// What a viewer sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// What its terminal is to print next.
    Printed(Vec<u8>),
    /// How it stands, at the beginning and whenever that changes.
    Standing(Standing),
}

/// How a viewer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Whether what it types is taken.
    pub writer: bool,
    /// How many look.
    pub viewers: usize,
    /// The size of the terminal.
    pub size: TerminalSize,
}

/// What became of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// They are on their way.
    Taken,
    /// Too much waits to be read already; they were dropped.
    Full,
    /// Somebody else types.
    NotYours,
}

/// Who looks, the one who types first.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    last: u64,
    order: Vec<(u64, Option<Size>)>,
}

impl Viewer {
    /// What is to be seen next. Where the viewer was too slow, a reset of its terminal and the whole screen. Nothing once the session has
    /// ended and all was seen. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Seen> {
        loop {
            if self.standing.has_changed().unwrap_or(false) {
                self.standing.borrow_and_update();
                return Some(Seen::Standing(self.stands()));
            }
            self.printed.borrow_and_update();
            let ended = matches!(self.progress.borrow_and_update().phase, Phase::Ended(_));
            if !self.paused || ended {
                if let Some(next) = self.session.state().screen.next(self.place) {
                    self.place = Some(next.place);
                    return Some(Seen::Printed(next.bytes));
                }
                if ended {
                    return None;
                }
            }
            tokio::select! {
                _ = self.printed.changed(), if !self.paused => {}
                _ = self.progress.changed() => {}
                _ = self.standing.changed() => self.standing.mark_changed(),
            }
        }
    }

    /// Sees nothing more until it says that it can again; what is kept meanwhile is not lost.
    pub fn pause(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// What a person typed, who must be the one who types.
    pub fn keys(&self, allowed: &AllowedCommand, bytes: &[u8]) -> Result<Typed, Error> {
        if !self.is_writer() {
            return Ok(Typed::NotYours);
        }
        Ok(if self.session.keys_of(allowed, bytes)? { Typed::Taken } else { Typed::Full })
    }

    /// Says how large the viewer's window is. The terminal takes the size of who types.
    pub fn resize(&self, allowed: &AllowedCommand, size: TerminalSize) -> Result<(), Error> {
        let wanted = Size { cols: size.cols, rows: size.rows };
        let writes = {
            let mut watchers = self.session.watchers();
            watchers.order.iter_mut().filter(|(id, _)| *id == self.id).for_each(|(_, size)| *size = Some(wanted));
            watchers.order.first().is_some_and(|(id, _)| *id == self.id)
        };
        if writes { self.session.resize(allowed, size.cols, size.rows) } else { Ok(()) }
    }

    /// Becomes the one who types.
    pub fn take(&self) {
        self.session.reorder(|order| {
            if let Some(at) = order.iter().position(|(id, _)| *id == self.id) {
                order[..=at].rotate_right(1);
            }
        });
    }

    fn is_writer(&self) -> bool {
        self.session.watchers().order.first().is_some_and(|(id, _)| *id == self.id)
    }

    fn stands(&self) -> Standing {
        let size = self.session.state().screen.size();
        let watchers = self.session.watchers();
        Standing {
            writer: watchers.order.first().is_some_and(|(id, _)| *id == self.id),
            viewers: watchers.order.len(),
            size: TerminalSize { cols: size.cols, rows: size.rows },
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        self.session.reorder(|order| order.retain(|(id, _)| *id != self.id));
    }
}

impl Session {
    /// Looks at the terminal, from what it shows now on.
    pub fn view(self: &Arc<Self>, allowed: &AllowedCommand) -> Result<Viewer, Error> {
        self.is_meant(allowed)?;
        let id = {
            let mut watchers = self.watchers();
            watchers.last += 1;
            let id = watchers.last;
            watchers.order.push((id, None));
            id
        };
        let (printed, progress) = (self.printed.subscribe(), self.state().follow());
        self.standing.send_replace(());
        let mut standing = self.standing.subscribe();
        standing.mark_changed();
        Ok(Viewer { session: Arc::clone(self), id, place: None, paused: false, printed, progress, standing })
    }

    /// How many look.
    pub fn viewers(&self) -> usize {
        self.watchers().order.len()
    }

    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes who looks, or who types; a new one brings the size of its window along.
    fn reorder(&self, change: impl FnOnce(&mut Vec<(u64, Option<Size>)>)) {
        let wanted = {
            let mut watchers = self.watchers();
            let before = watchers.order.first().map(|(id, _)| *id);
            change(&mut watchers.order);
            watchers.order.first().filter(|(id, _)| Some(*id) != before).and_then(|(_, size)| *size)
        };
        if let Some(size) = wanted {
            self.take_size(size);
        }
        self.standing.send_replace(());
    }
}

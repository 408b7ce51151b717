//! A place at a desktop's turn, and something that is done while it is one's turn.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Error;
use super::control::{Changes, Lost, Stop, Who};
use super::turn::{Standing, Turn};

/// A place at a desktop's turn: the right to use its mouse and keyboard, now or when its turn comes. Given back when dropped.
pub struct Lease {
    turn: Arc<Turn>,
    id: u64,
    fate: Arc<OnceLock<Lost>>,
    kept: bool,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.kept {
            self.turn.leave(self.id);
        }
    }
}

/// Something that is being done: nobody takes over before this is dropped.
pub struct Acting {
    turn: Arc<Turn>,
    id: u64,
    fate: Arc<OnceLock<Lost>>,
    /// Its own place, where it has none for longer.
    lease: Option<Lease>,
}

impl std::fmt::Debug for Acting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acting").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Drop for Acting {
    fn drop(&mut self) {
        // Before the place is given back, which is dropped after this.
        self.turn.end(self.id);
    }
}

impl Acting {
    /// With its place, which it goes with.
    fn with(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }

    /// Ends it, and keeps its place, where that is its own.
    pub fn into_lease(mut self) -> Option<Lease> {
        self.lease.take()
    }

    /// The emergency stop that ended it, if one did.
    pub fn stopped(&self) -> Option<Error> {
        match self.fate.get() {
            Some(Lost::Stopped(how)) => Some(Error::Stopped(*how)),
            _ => None,
        }
    }

    /// What became of it, where it was stopped; else what it says itself.
    pub(super) fn outcome<T>(&self, done: Result<T, Error>) -> Result<T, Error> {
        done.map_err(|error| self.stopped().unwrap_or(error))
    }
}

impl Lease {
    pub(super) fn new(turn: Arc<Turn>, id: u64, fate: Arc<OnceLock<Lost>>) -> Self {
        Self { turn, id, fate, kept: false }
    }

    /// A place that belongs to somebody else, and stays theirs.
    pub(super) fn borrowed(turn: Arc<Turn>, id: u64, fate: Arc<OnceLock<Lost>>) -> Self {
        Self { turn, id, fate, kept: true }
    }

    /// The number of the place.
    pub fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn standing(&self) -> Standing {
        self.turn.standing(self.id)
    }

    /// The place stays when this is dropped.
    pub(super) fn keep(mut self) {
        self.kept = true;
    }

    /// Why the place is lost.
    pub(super) fn fate(&self) -> Error {
        match self.fate.get() {
            Some(Lost::Taken(by)) => Error::Displaced(by.clone()),
            Some(Lost::Stopped(how)) => Error::Stopped(*how),
            Some(Lost::Lapsed) => Error::Lapsed,
            None => Error::NotYours { holder: self.turn.holder() },
        }
    }

    /// Begins to do something, which an emergency stop stops by `stop`; none where others go first.
    ///
    /// # Errors
    /// Where the place is lost: it never comes to its turn again.
    pub fn try_begin(&self, stop: &CancellationToken) -> Result<Option<Acting>, Error> {
        match self.turn.begin(self.id, stop) {
            Standing::Holds => {
                let (turn, fate) = (Arc::clone(&self.turn), Arc::clone(&self.fate));
                Ok(Some(Acting { turn, id: self.id, fate, lease: None }))
            }
            Standing::Waits => Ok(None),
            Standing::Gone => Err(self.fate()),
        }
    }

    /// The person who has the turn, where that is what it waits for.
    pub fn person_ahead(&self) -> Option<String> {
        self.turn.person().filter(|(id, _)| *id != self.id).map(|(_, name)| name)
    }

    /// Hears of each change of who stands where. To be asked for before looking, so that none is missed.
    pub fn changes(&self) -> Changes {
        Changes::of(&self.turn)
    }

    /// Begins to do something when its turn comes.
    ///
    /// # Errors
    /// [`Error::Cancelled`] while waiting; where the place is lost.
    pub async fn begin(&self, stop: &CancellationToken) -> Result<Acting, Error> {
        let mut heard = self.turn.listen();
        loop {
            if stop.is_cancelled() {
                return Err(Error::Cancelled);
            }
            if let Some(acting) = self.try_begin(stop)? {
                return Ok(acting);
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = self.turn.changed(&mut heard) => {}
            }
        }
    }

    /// Waits until it is its turn.
    ///
    /// # Errors
    /// As [`Lease::begin`].
    pub(super) async fn held(&self, cancel: &CancellationToken) -> Result<(), Error> {
        let mut heard = self.turn.listen();
        loop {
            match self.standing() {
                Standing::Holds => return Ok(()),
                Standing::Gone => return Err(self.fate()),
                Standing::Waits => {}
            }
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Err(Error::Cancelled),
                () = self.turn.changed(&mut heard) => {}
            }
        }
    }
}

impl Turn {
    /// As [`Turn::soon`], for who has kept the place of what was done before, if there was one.
    pub(super) async fn again(
        self: &Arc<Self>,
        lease: Option<Lease>,
        who: Who,
        stop: &CancellationToken,
        patience: Duration,
    ) -> Result<Acting, Error> {
        if let Some(lease) = lease {
            match lease.begin(stop).await {
                Ok(acting) => return Ok(acting.with(lease)),
                Err(Error::Stopped(how)) => return Err(Error::Stopped(how)),
                // Somebody took over: what was held was let go, and this is an action like any other.
                Err(_) => {}
            }
        }
        self.soon(who, stop, patience).await
    }

    /// Begins to do something that is done soon or not at all: within `patience`, and not while a person is at the controls, unless it is
    /// that person who does it.
    pub(super) async fn soon(self: &Arc<Self>, who: Who, stop: &CancellationToken, patience: Duration) -> Result<Acting, Error> {
        if stop.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if let Some(own) = who.token.as_ref().and_then(|token| self.borrowed(token)).filter(|own| own.standing() == Standing::Holds)
            && let Ok(acting) = tokio::time::timeout(patience, own.begin(stop)).await
        {
            return acting;
        }
        let lease = self.enter(who, None::<Stop>, false);
        self.patient(lease, stop, patience).await
    }

    async fn patient(self: &Arc<Self>, lease: Lease, stop: &CancellationToken, patience: Duration) -> Result<Acting, Error> {
        let until = Instant::now() + patience;
        let mut heard = self.listen();
        loop {
            if let Some(acting) = lease.try_begin(stop)? {
                return Ok(acting.with(lease));
            }
            if let Some(holder) = lease.person_ahead() {
                return Err(Error::Controlled { holder });
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Err(Error::Cancelled),
                () = self.changed(&mut heard) => {}
                () = tokio::time::sleep_until(until.into()) => {
                    let holder = self.holder().unwrap_or_else(|| "somebody else".to_owned());
                    return Err(Error::InUse { holder, waited: patience.as_secs() });
                }
            }
        }
    }
}

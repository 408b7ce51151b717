//! Whose turn it is: one holder at a time of mouse and keyboard, in the order in which they came.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::Error;

/// The turn at a desktop.
pub(super) struct Turn {
    free: Arc<Semaphore>,
    holder: Mutex<Option<String>>,
    /// Who waits for it, in the order of their turns.
    waiting: Mutex<VecDeque<Arc<str>>>,
}

/// Somebody who waits. Dropped, they do no longer.
struct Waiting<'a> {
    turn: &'a Turn,
    who: Arc<str>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.turn.queue().retain(|other| !Arc::ptr_eq(other, &self.who));
    }
}

/// The right to use a desktop's mouse and keyboard. Given back when dropped.
pub struct Lease {
    turn: Arc<Turn>,
    _place: OwnedSemaphorePermit,
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("holder", &self.turn.holder()).finish_non_exhaustive()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Before the place is free: the next holder writes its own name.
        *self.turn.name() = None;
    }
}

impl Turn {
    pub(super) fn new() -> Self {
        Self { free: Arc::new(Semaphore::new(1)), holder: Mutex::default(), waiting: Mutex::default() }
    }

    /// Who has it.
    pub(super) fn holder(&self) -> Option<String> {
        self.name().clone()
    }

    /// Who waits for it, the next one first.
    pub(super) fn waiting(&self) -> Vec<String> {
        self.queue().iter().map(|who| who.to_string()).collect()
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Arc<str>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_taken(&self) -> bool {
        self.free.available_permits() == 0
    }

    /// Waits for it, however long that takes.
    pub(super) async fn wait(self: &Arc<Self>, who: &str, cancel: &CancellationToken) -> Result<Lease, Error> {
        let waiting = Waiting { turn: self, who: who.into() };
        self.queue().push_back(Arc::clone(&waiting.who));
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            place = Arc::clone(&self.free).acquire_owned() => Ok(self.lease(who, place.map_err(|_| Error::Cancelled)?)),
        }
    }

    /// Waits for it, but not for ever.
    pub(super) async fn within(self: &Arc<Self>, who: &str, patience: Duration, cancel: &CancellationToken) -> Result<Lease, Error> {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        // As nearly always: nobody has it.
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(self.lease(who, place));
        }
        match tokio::time::timeout(patience, self.wait(who, cancel)).await {
            Ok(lease) => lease,
            Err(_) => Err(Error::InUse { holder: self.holder().unwrap_or_else(|| "somebody else".to_owned()), waited: patience.as_secs() }),
        }
    }

    fn lease(self: &Arc<Self>, who: &str, place: OwnedSemaphorePermit) -> Lease {
        *self.name() = Some(who.to_owned());
        Lease { turn: Arc::clone(self), _place: place }
    }

    fn name(&self) -> MutexGuard<'_, Option<String>> {
        self.holder.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A run's turn at the desktop: while a person is at the controls it waits, and its record says so.

use tokio_util::sync::CancellationToken;

use super::Journal;
use crate::desktop::{Acting, Error, Lease};
use crate::error::Failure;

/// Begins to use mouse and keyboard once it is the run's turn, however long that takes. Computing stands still meanwhile.
pub(super) async fn turn(lease: &Lease, journal: &dyn Journal, cancel: &CancellationToken) -> Result<Acting, Failure> {
    let mut changes = lease.changes();
    let mut shown = None;
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled.into());
        }
        if let Some(acting) = lease.try_begin(cancel)? {
            return Ok(acting);
        }
        match lease.person_ahead() {
            Some(person) if shown.is_none() => shown = Some(journal.held_up(&person)),
            Some(_) => {}
            None => shown = None,
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => {}
            () = changes.next() => {}
        }
    }
}

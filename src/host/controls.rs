//! A run's turn at the desktop: while a person is at the controls it waits, and its record says so.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::Journal;
use crate::desktop::{Acting, Error, Lease};
use crate::error::Failure;

/// How long a person has held a run up: time that counts for no step's limit. Shared by all runners of the run.
#[derive(Clone, Default)]
pub(super) struct Standstill(Arc<watch::Sender<Stood>>);

#[derive(Default)]
struct Stood {
    /// How many of its runners are held up now, and since when one is.
    now: usize,
    since: Option<Instant>,
    /// Altogether, before that.
    before: Duration,
}

/// A runner is held up until this is dropped.
struct Standing(Standstill);

impl Standstill {
    fn begin(&self) -> Standing {
        self.0.send_modify(|stood| {
            stood.now += 1;
            stood.since.get_or_insert_with(Instant::now);
        });
        Standing(self.clone())
    }

    /// How long, up to now.
    pub(super) fn total(&self) -> Duration {
        let stood = self.0.borrow();
        stood.before + stood.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// Resolves once so much time has passed that counts.
    pub(super) async fn without(&self, span: Duration) {
        let (begun, before) = (Instant::now(), self.total());
        let mut changes = self.0.subscribe();
        loop {
            let stands = changes.borrow_and_update().now > 0;
            let counted = begun.elapsed().saturating_sub(self.total().saturating_sub(before));
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep(span.saturating_sub(counted)), if !stands => return,
            }
        }
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.0.send_modify(|stood| {
            stood.now -= 1;
            if stood.now == 0
                && let Some(since) = stood.since.take()
            {
                stood.before += since.elapsed();
            }
        });
    }
}

/// Begins to use mouse and keyboard once it is the run's turn, however long that takes. Computing stands still meanwhile, and so does the
/// time that a step has.
pub(super) async fn turn(
    lease: &Lease,
    journal: &dyn Journal,
    standstill: &Standstill,
    cancel: &CancellationToken,
) -> Result<Acting, Failure> {
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
            Some(person) if shown.is_none() => shown = Some((journal.held_up(&person), standstill.begin())),
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

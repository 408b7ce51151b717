//! What whoever starts a run holds of it: where it stands, its answer, its end.

use std::sync::Arc;

use super::Timestamp;
use super::live::{Ended, Live};
use super::record::{Run, RunStatus};
use crate::error::{Failure, Kind};
use crate::host::Answer;

/// A run that was started.
#[derive(Clone)]
pub struct Ticket {
    /// Its id.
    pub run_id: String,
    live: Arc<Live>,
}

impl Ticket {
    pub(super) fn of(live: &Arc<Live>) -> Self {
        Self { run_id: live.head.run_id.clone(), live: Arc::clone(live) }
    }

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
        self.live.inner.settle().await;
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

//! How many runs ended and how, how long they and their steps took, since the server started.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::RunStatus;
use crate::tally::{Tally, Totals};

/// Those that a run can end with.
const ENDS: [RunStatus; 4] = [RunStatus::Succeeded, RunStatus::Failed, RunStatus::Cancelled, RunStatus::Interrupted];

/// What is counted as it happens.
#[derive(Debug, Default)]
pub(super) struct Counts {
    ended: [AtomicU64; ENDS.len()],
    runs: Tally,
    steps: Tally,
}

/// What runs have come to since the server started, and what they do now.
#[derive(Debug, Clone)]
pub struct Figures {
    /// How many ended, by status.
    pub ended: Vec<(RunStatus, u64)>,
    /// How long they took, from their start.
    pub runs: Totals,
    /// How long their steps took.
    pub steps: Totals,
    /// How many run now.
    pub running: usize,
    /// How many wait for their turn.
    pub queued: usize,
    /// How large their record is.
    pub stored: crate::store::Size,
}

impl Counts {
    /// A run ended, after so many microseconds.
    pub(super) fn ended(&self, status: RunStatus, micros: i64) {
        if let Some((_, count)) = ENDS.iter().zip(&self.ended).find(|(end, _)| **end == status) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.runs.add(duration(micros));
    }

    /// How long a run takes, where any ended.
    pub(super) fn mean(&self) -> Option<Duration> {
        let totals = self.runs.totals();
        (totals.count > 0).then(|| Duration::try_from_secs_f64(totals.seconds / totals.count as f64).unwrap_or_default())
    }

    /// How many ended in all.
    pub(super) fn all_ended(&self) -> u64 {
        self.ended.iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// A step ended, after so many microseconds.
    pub(super) fn step(&self, micros: i64) {
        self.steps.add(duration(micros));
    }

    pub(super) fn figures(&self, running: usize, queued: usize, stored: crate::store::Size) -> Figures {
        let ended = ENDS.into_iter().zip(&self.ended).map(|(status, count)| (status, count.load(Ordering::Relaxed))).collect();
        Figures { ended, runs: self.runs.totals(), steps: self.steps.totals(), running, queued, stored }
    }
}

/// A clock that was set back makes no negative time.
fn duration(micros: i64) -> Duration {
    Duration::from_micros(u64::try_from(micros).unwrap_or_default())
}

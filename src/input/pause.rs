//! Waiting that can be stopped.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Error;

/// How often a wait looks whether it was cancelled.
const SLICE: Duration = Duration::from_millis(20);
/// The longest duration and interval, in seconds.
const LONGEST: f64 = 60.0;

/// Seconds as a duration, checked: finite and 0–60.
pub(super) fn seconds(value: f64, path: &'static str, name: &'static str) -> Result<Duration, Error> {
    if (0.0..=LONGEST).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(Error::Range { path, name, value, least: 0.0, most: LONGEST })
    }
}

/// Waits, or says that it was cancelled.
pub(super) fn pause(duration: Duration, cancel: &CancellationToken) -> Result<(), Error> {
    let end = Instant::now() + duration;
    loop {
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(SLICE));
    }
}

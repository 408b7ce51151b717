//! What time it is. Tests bring a clock of their own, so that they need not wait for it.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::runs::Timestamp;

/// A clock.
pub trait Clock: Send + Sync {
    /// Microseconds since 1970, UTC.
    fn now(&self) -> i64;
    /// Resolves after so long, or earlier.
    fn wait(&self, at_most: Duration) -> BoxFuture<'_, ()>;
}

/// The machine's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> i64 {
        Timestamp::now().0
    }

    fn wait(&self, at_most: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(at_most))
    }
}

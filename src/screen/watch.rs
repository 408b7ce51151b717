//! Learning that something on the screen has changed: from the X server where it tells (XDamage), else by looking again.

use std::sync::Arc;
use std::time::Instant;

use super::{Bell, Error, Region, Woken};

/// Where something has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// In these rectangles of the virtual screen, and nowhere else.
    In(Vec<Region>),
    /// Nobody knows: two pictures have to be compared ([`super::Frame::differences`]).
    Unknown,
}

/// Watches a screen, from one thread. Another may wake it with its bell.
pub struct Watch {
    bell: Arc<Bell>,
    #[cfg(target_os = "linux")]
    damage: Option<super::damage::Damage>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    #[cfg(target_os = "linux")]
    pub(super) fn new(bell: Arc<Bell>, damage: Option<super::damage::Damage>) -> Self {
        Self { bell, damage }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self { bell }
    }

    /// Waits until something may have changed, and says whether it has: not so where the bell rang first. Where the platform does not
    /// tell, something may have changed at `look_again`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the display is gone.
    pub fn wait(&mut self, look_again: Instant) -> Result<bool, Error> {
        #[cfg(target_os = "linux")]
        if let Some(damage) = &mut self.damage {
            return damage.wait(&self.bell);
        }
        Ok(self.rest(look_again)? == Woken::Late)
    }

    /// Waits until then, or until the bell rings.
    ///
    /// # Errors
    /// [`Error::Failed`] where the system refuses to wait.
    pub fn rest(&self, until: Instant) -> Result<Woken, Error> {
        self.bell.rest(Some(until)).map_err(|error| Error::Failed(format!("waiting failed: {error}")))
    }

    /// Where something has changed since this was asked last. A picture taken afterwards shows all of it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the display is gone.
    pub fn changes(&mut self) -> Result<Changes, Error> {
        #[cfg(target_os = "linux")]
        if let Some(damage) = &mut self.damage {
            return damage.take().map(Changes::In);
        }
        Ok(Changes::Unknown)
    }
}

//! Learning that something on the screen has changed: from the X server where it tells (XDamage), from a VNC server, else by looking again. And where the
//! pointer is, where that can be known.

use std::sync::Arc;
use std::time::Instant;

use super::{Bell, Error, Pointer, Region, Signal, Woken};

/// Where something has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// In these rectangles of the virtual screen, and nowhere else.
    In(Vec<Region>),
    /// Nobody knows: two pictures have to be compared ([`super::Frame::differences`]).
    Unknown,
}

/// What there is to look at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Heard {
    /// The picture may have changed.
    pub picture: bool,
    /// The pointer has moved, or looks otherwise.
    pub pointer: bool,
}

/// Watches a screen, from one thread. Another may wake it with its bell.
pub struct Watch {
    bell: Arc<Bell>,
    remote: Option<super::vnc::Listener>,
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
        Self { bell, remote: None, damage }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn new(bell: Arc<Bell>) -> Self {
        Self { bell, remote: None }
    }

    pub(super) fn of_remote(bell: Arc<Bell>, remote: super::vnc::Listener) -> Self {
        Self {
            bell,
            remote: Some(remote),
            #[cfg(target_os = "linux")]
            damage: None,
        }
    }

    /// Waits until something may have changed, the bell rings, or `until`, and says what has changed. Where the platform does not tell,
    /// the picture may have changed at `look_again`.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the display is gone.
    pub fn wait(&mut self, look_again: Option<Instant>, until: Option<Instant>) -> Result<Heard, Error> {
        if let Some(remote) = &self.remote {
            return remote.wait(&self.bell, until);
        }
        #[cfg(target_os = "linux")]
        if let Some(damage) = &mut self.damage {
            return damage.wait(&self.bell, until);
        }
        let first = [look_again, until].into_iter().flatten().min();
        let woken = self.bell.rest(first).map_err(|error| Error::Failed(format!("waiting failed: {error}")))?;
        Ok(Heard { picture: woken == Woken::Late && first == look_again, pointer: false })
    }

    /// Rings when something may have changed since [`Watch::changes`] was asked last, as long as nobody has heard of it in another way. None where
    /// that cannot be known. Made within a runtime.
    pub fn signal(&self) -> Option<Signal> {
        #[cfg(target_os = "linux")]
        if let Some(damage) = &self.damage {
            return damage.signal().inspect_err(|error| tracing::debug!(%error, "changes are looked for instead")).ok();
        }
        None
    }

    /// The pointer as it is now; `None` where nobody can know.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the display is gone.
    pub fn pointer(&mut self) -> Result<Option<Pointer>, Error> {
        if let Some(remote) = &mut self.remote {
            return Ok(remote.pointer());
        }
        #[cfg(target_os = "linux")]
        if let Some(damage) = &mut self.damage {
            return damage.pointer().map(Some);
        }
        Ok(None)
    }

    /// Where something has changed since this was asked last. A picture taken afterwards shows all of it.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the display is gone.
    pub fn changes(&mut self) -> Result<Changes, Error> {
        if let Some(remote) = &self.remote {
            return remote.take().map(Changes::In);
        }
        #[cfg(target_os = "linux")]
        if let Some(damage) = &mut self.damage {
            return damage.take().map(Changes::In);
        }
        Ok(Changes::Unknown)
    }
}

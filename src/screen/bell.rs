//! A bell: one thread waits for it, any other rings. On Linux the wait is one for open files as well, so that a thread can listen to
//! an X server and to its own process at the same time, and costs nothing while neither says anything.

use std::time::{Duration, Instant};

/// What ended a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// Somebody rang.
    Rung,
    /// One of the files has something to read, or has ended.
    Readable,
    /// Time ran out.
    Late,
}

#[cfg(target_os = "linux")]
pub use linux::Bell;
#[cfg(not(target_os = "linux"))]
pub use portable::Bell;

/// What is left until then; `None` where there is no end.
fn left(until: Option<Instant>) -> Option<Duration> {
    until.map(|until| until.saturating_duration_since(Instant::now()))
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::{BorrowedFd, OwnedFd};
    use std::time::Instant;

    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec};

    use super::{Woken, left};

    /// A bell, as a file that becomes readable.
    #[derive(Debug)]
    pub struct Bell {
        file: OwnedFd,
    }

    impl Bell {
        /// A silent bell.
        ///
        /// # Errors
        /// Where the process may open no more files.
        pub fn new() -> std::io::Result<Self> {
            Ok(Self { file: rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
        }

        /// Wakes whoever waits, or the next who does.
        pub fn ring(&self) {
            // Full is rung as well.
            let _ = rustix::io::write(&self.file, &1u64.to_ne_bytes());
        }

        /// Waits until somebody rings, one of `files` can be read, or `until`. A ring is heard once, and before all else.
        ///
        /// # Errors
        /// Where the system refuses to wait.
        pub fn wait(&self, files: &[BorrowedFd<'_>], until: Option<Instant>) -> std::io::Result<Woken> {
            let mut all: Vec<PollFd<'_>> = Vec::with_capacity(files.len() + 1);
            all.push(PollFd::new(&self.file, PollFlags::IN));
            all.extend(files.iter().map(|file| PollFd::from_borrowed_fd(*file, PollFlags::IN)));
            loop {
                let timeout = left(until).map(|left| Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 }));
                match rustix::event::poll(&mut all, timeout.as_ref()) {
                    Ok(0) => return Ok(Woken::Late),
                    Ok(_) => break,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            if all.first().is_some_and(|bell| !bell.revents().is_empty()) {
                let _ = rustix::io::read(&self.file, &mut [0; 8]);
                return Ok(Woken::Rung);
            }
            Ok(Woken::Readable)
        }

        /// Waits until somebody rings, or `until`.
        ///
        /// # Errors
        /// Where the system refuses to wait.
        pub fn rest(&self, until: Option<Instant>) -> std::io::Result<Woken> {
            self.wait(&[], until)
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod portable {
    use std::sync::{Condvar, Mutex, PoisonError};
    use std::time::Instant;

    use super::{Woken, left};

    /// A bell.
    #[derive(Debug, Default)]
    pub struct Bell {
        rung: Mutex<bool>,
        change: Condvar,
    }

    impl Bell {
        /// A silent bell.
        ///
        /// # Errors
        /// None here; elsewhere it needs a file.
        pub fn new() -> std::io::Result<Self> {
            Ok(Self::default())
        }

        /// Wakes whoever waits, or the next who does.
        pub fn ring(&self) {
            *self.rung.lock().unwrap_or_else(PoisonError::into_inner) = true;
            self.change.notify_all();
        }

        /// Waits until somebody rings, or `until`.
        ///
        /// # Errors
        /// None here; elsewhere the system may refuse to wait.
        pub fn rest(&self, until: Option<Instant>) -> std::io::Result<Woken> {
            let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
            loop {
                if std::mem::take(&mut *rung) {
                    return Ok(Woken::Rung);
                }
                rung = match left(until) {
                    Some(left) if left.is_zero() => return Ok(Woken::Late),
                    Some(left) => self.change.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0,
                    None => self.change.wait(rung).unwrap_or_else(PoisonError::into_inner),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_ring_is_heard_once_also_by_who_comes_later() {
        let bell = Bell::new().unwrap();
        bell.ring();
        bell.ring();
        assert_eq!(bell.rest(None).unwrap(), Woken::Rung);
        assert_eq!(bell.rest(Some(Instant::now() + Duration::from_millis(5))).unwrap(), Woken::Late);
    }

    #[test]
    fn a_waiting_thread_is_woken() {
        let bell = Arc::new(Bell::new().unwrap());
        let other = Arc::clone(&bell);
        let waiting = std::thread::spawn(move || other.rest(None).unwrap());
        bell.ring();
        assert_eq!(waiting.join().unwrap(), Woken::Rung);
    }
}

//! Somebody who listens to an X server until it ends, and says so at once; and meanwhile for a person who wants everything to stop. It
//! costs a sleeping thread.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio_util::sync::CancellationToken;
use x11rb::connection::Connection as _;
use x11rb::rust_connection::RustConnection;

use super::Error;
use super::alarm::{Alarm, LOOK, PACE};
use super::turn::Turn;
use crate::input::Footprints;
use crate::screen::{Bell, Woken};

/// Listens until dropped.
pub(super) struct Sentinel {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Sentinel {
    /// Listens to a display; `gone` is cancelled when it ends. An alarm stops what has the turn.
    pub(super) fn post(
        display: &str,
        gone: CancellationToken,
        turn: &Arc<Turn>,
        footprints: Option<Arc<Footprints>>,
    ) -> Result<Self, Error> {
        let lost = |reason: String| Error::Start(format!("the display {display} cannot be watched over: {reason}"));
        let (connection, screen) = RustConnection::connect(Some(display)).map_err(|error| lost(error.to_string()))?;
        let bell = Arc::new(Bell::new().map_err(|error| lost(error.to_string()))?);
        let (name, wake) = (display.to_owned(), Arc::clone(&bell));
        let mut alarm = Alarm::set(&connection, screen, turn, footprints);
        let thread = std::thread::Builder::new()
            .name("sentinel".to_owned())
            .spawn(move || {
                if !stays(&connection, &wake, alarm.as_mut()) {
                    tracing::warn!("the display {name} is gone");
                    gone.cancel();
                }
            })
            .map_err(|error| lost(error.to_string()))?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

/// Returns when the bell rings (`true`) or the server has ended (`false`).
fn stays(connection: &RustConnection, bell: &Bell, mut alarm: Option<&mut Alarm>) -> bool {
    let mut doubted = Instant::now();
    loop {
        let mut heard = false;
        loop {
            match connection.poll_for_event() {
                // What a server tells everybody, such as a new keyboard layout, is of interest to the alarm alone.
                Ok(Some(event)) => {
                    heard = true;
                    if let Some(alarm) = &mut alarm
                        && alarm.hear(connection, &event).is_err()
                    {
                        return false;
                    }
                }
                Ok(None) => break,
                Err(_) => return false,
            }
        }
        if let Some(alarm) = &mut alarm {
            // Who warps the pointer instead of moving it makes no event: as long as there is something to stop, it is looked for.
            if alarm.looks_again() && doubted.elapsed() >= LOOK {
                alarm.doubt();
                doubted = Instant::now();
            }
            if alarm.look(connection).is_err() {
                return false;
            }
            // Events come by the thousand while somebody uses mouse and keyboard: they are looked at together.
            if heard || alarm.is_waiting() {
                match bell.rest(Some(Instant::now() + PACE)) {
                    Ok(Woken::Late) => {}
                    Ok(Woken::Rung | Woken::Readable) | Err(_) => return true,
                }
                // Before the next wait, which is for the file alone: some may have been read while an answer was waited for.
                continue;
            }
        }
        let again = alarm.as_ref().filter(|alarm| alarm.looks_again()).map(|_| Instant::now() + LOOK);
        match bell.wait(&[connection.stream().as_fd()], again) {
            Ok(Woken::Readable | Woken::Late) => {}
            Ok(Woken::Rung) | Err(_) => return true,
        }
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        self.bell.ring();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

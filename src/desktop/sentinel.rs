//! Somebody who listens to an X server until it ends, and says so at once. It costs a sleeping thread.

use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio_util::sync::CancellationToken;
use x11rb::connection::Connection as _;
use x11rb::rust_connection::RustConnection;

use super::Error;
use crate::screen::{Bell, Woken};

/// Listens until dropped.
pub(super) struct Sentinel {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Sentinel {
    /// Listens to a display; `gone` is cancelled when it ends.
    pub(super) fn post(display: &str, gone: CancellationToken) -> Result<Self, Error> {
        let lost = |reason: String| Error::Start(format!("the display {display} cannot be watched over: {reason}"));
        let (connection, _) = RustConnection::connect(Some(display)).map_err(|error| lost(error.to_string()))?;
        let bell = Arc::new(Bell::new().map_err(|error| lost(error.to_string()))?);
        let (name, wake) = (display.to_owned(), Arc::clone(&bell));
        let thread = std::thread::Builder::new()
            .name("sentinel".to_owned())
            .spawn(move || {
                if !stays(&connection, &wake) {
                    tracing::warn!("the display {name} is gone");
                    gone.cancel();
                }
            })
            .map_err(|error| lost(error.to_string()))?;
        Ok(Self { bell, thread: Some(thread) })
    }
}

/// Returns when the bell rings (`true`) or the server has ended (`false`).
fn stays(connection: &RustConnection, bell: &Bell) -> bool {
    loop {
        // What a server tells everybody, such as a new keyboard layout, is of no interest here.
        match connection.poll_for_event() {
            Ok(Some(_)) => {}
            Err(_) => return false,
            Ok(None) => match bell.wait(&[connection.stream().as_fd()], None) {
                Ok(Woken::Readable) => {}
                Ok(Woken::Rung | Woken::Late) | Err(_) => return true,
            },
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

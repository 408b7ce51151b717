//! Looking at a session's terminal: what was printed so far, then what comes.

use std::sync::Arc;

use tokio::sync::watch;

use super::Session;
use super::state::{Phase, Progress};
use crate::policy::AllowedCommand;
use crate::shell::Error;

/// Somebody who looks at a session's terminal.
pub struct Viewer {
    session: Arc<Session>,
    place: u64,
    printed: watch::Receiver<()>,
    progress: watch::Receiver<Progress>,
}

impl Viewer {
    /// What the terminal printed next. Where the viewer was too slow, a reset of its terminal and what is still kept. Nothing once the
    /// session has ended and all was seen. May be dropped while it waits.
    pub async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            self.printed.borrow_and_update();
            let ended = matches!(self.progress.borrow_and_update().phase, Phase::Ended(_));
            let next = self.session.state().screen.after(self.place);
            if let Some((chunk, place, missed)) = next {
                self.place = place;
                return Some(if missed { [b"\x1bc".as_slice(), &chunk].concat() } else { chunk });
            }
            if ended {
                return None;
            }
            tokio::select! {
                _ = self.printed.changed() => {}
                _ = self.progress.changed() => {}
            }
        }
    }
}

impl Session {
    /// Looks at the terminal, from what is kept of it on.
    pub fn view(self: &Arc<Self>, allowed: &AllowedCommand) -> Result<Viewer, Error> {
        self.is_meant(allowed)?;
        let (printed, progress) = (self.printed.subscribe(), self.state().follow());
        let place = self.state().screen.beginning();
        Ok(Viewer { session: Arc::clone(self), place, printed, progress })
    }
}

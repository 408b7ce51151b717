//! The end of a session: asked for or not, with everything that was started in it, and put on record.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use super::state::Phase;
use super::{GRACE, MARK, Session, rfc3339};
use crate::shell::{SessionEnd, kin};

/// Bytes of the last screen that are kept of a session that ended.
const KEPT_SCREEN: usize = 64 * 1024;

impl Session {
    /// Whether its shell is gone.
    pub fn has_ended(&self) -> bool {
        matches!(self.state().phase(), Phase::Ended(_))
    }

    /// Why it ended, as a sentence for people.
    pub fn end_reason(&self) -> String {
        let phase = self.state().phase();
        match phase {
            Phase::Ended(code) => self.reason(code),
            _ if self.ending().is_some() => self.reason(0),
            _ => "the session goes on".to_owned(),
        }
    }

    /// Ends the shell and everything that was started in it.
    pub(in crate::shell) async fn end(&self, reason: &str) {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| reason.to_owned());
        #[cfg(unix)]
        {
            use rustix::process::Signal;
            if !self.has_ended() {
                // As when a terminal is closed; stopped ones have to go on to hear it.
                let all = self.members().await;
                kin::signal(&all, Signal::HUP);
                kin::signal(&all, Signal::CONT);
                if !self.gone(GRACE).await {
                    kin::signal(&self.members().await, Signal::KILL);
                }
            }
        }
        self.gone(Duration::from_secs(5)).await;
    }

    /// Closes the terminal, at which the shell ends as if its window had been closed.
    pub(in crate::shell) fn hang_up(&self) {
        self.pty.close();
    }

    /// The shell is gone: so is what it left behind.
    pub(super) fn over(&self, code: i32) {
        #[cfg(unix)]
        for _ in 0..20 {
            let left = kin::of_session(self.pty.pid, &format!("{MARK}={}", self.id));
            if left.is_empty() {
                break;
            }
            kin::signal(&left, rustix::process::Signal::KILL);
            std::thread::sleep(Duration::from_millis(10));
        }
        self.pty.close();
        let _ = std::fs::remove_dir_all(&self.folder);
        self.permit.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut screen = {
            let mut state = self.state();
            state.rest();
            state.recorder = None;
            state.screen.model().text(true)
        };
        // Its end is what is seen of it, should it be too much.
        let over = screen.len().saturating_sub(KEPT_SCREEN);
        screen.drain(..screen.ceil_char_boundary(over));
        let end = SessionEnd { ended_at: rfc3339(SystemTime::now()), exit_code: Some(code), reason: self.reason(code), screen };
        // On record first: who sees that it has ended finds how.
        if let Err(failure) = self.runtime.block_on(self.history.ended(self.id.clone(), end)) {
            tracing::warn!(session = self.id, error = %failure, "the end of a session could not be put on record");
        }
        self.state().ended(code);
        self.printed.send_replace(());
    }

    /// Why it ended, with this exit code.
    fn reason(&self, code: i32) -> String {
        match self.ending() {
            Some(reason) => format!("the session was ended: {reason}"),
            None => format!("the session ended: its shell exited with code {code}"),
        }
    }
}

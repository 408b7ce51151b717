//! Shell sessions that a script opens, sends keys to, and looks at.

use std::sync::{Arc, Mutex, PoisonError};

use super::broker::{Broker, json};
use super::protocol::Json;
use crate::error::{Failure, Kind};
use crate::policy::{AllowedCommand, Program};
use crate::shell::{
    self, OpenSession, ScreenText, Session, SessionPlace, ShellSessionInfo, ShellSessionRequest, ShellType, Shells, TerminalSize, WaitFor,
};

/// The sessions that a run opened: they end with it, unless they were to stay.
pub(super) struct Opened {
    shells: Arc<Shells>,
    sessions: Mutex<Vec<String>>,
}

impl Opened {
    pub(super) fn new(shells: Arc<Shells>) -> Self {
        Self { shells, sessions: Mutex::default() }
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        let sessions = std::mem::take(self.sessions.get_mut().unwrap_or_else(PoisonError::into_inner));
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        for id in sessions {
            let shells = Arc::clone(&self.shells);
            // It may have ended by itself.
            runtime.spawn(async move { drop(shells.close(&id).await) });
        }
    }
}

impl Broker {
    pub(super) async fn open_session(&self, open: OpenSession) -> Result<Json, Failure> {
        let OpenSession { shell, name, working_directory, env, cols, rows, record, keep } = open;
        let allowed = self.terminal(shell)?;
        let size = TerminalSize { cols, rows };
        let request = ShellSessionRequest { name, shell_type: shell, working_directory, env, size, record };
        let ShellSessionInfo { session_id, .. } = self.capabilities.shells.open(allowed, request, &self.display().await).await?;
        if !keep {
            self.opened.sessions.lock().unwrap_or_else(PoisonError::into_inner).push(session_id.clone());
        }
        // What it showed first, its prompt, may be waited for.
        json(&SessionPlace { session_id, shell, place: 0 })
    }

    pub(super) async fn session_place(&self, id: &str) -> Result<Json, Failure> {
        let (session, _) = self.session(id).await?;
        json(&SessionPlace { session_id: id.to_owned(), shell: session.shell_type(), place: session.place() })
    }

    pub(super) async fn send_to_session(&self, id: &str, text: &str) -> Result<Json, Failure> {
        let (session, allowed) = self.session(id).await?;
        // What runs in it reads it otherwise.
        if session.reads_commands() {
            self.grant().typed(session.shell_type().as_str(), text)?;
        }
        session.send(&allowed, text)?;
        json(&())
    }

    pub(super) async fn wait_in_session(&self, id: &str, wait: &WaitFor) -> Result<Json, Failure> {
        let (session, allowed) = self.session(id).await?;
        let limit = shell::time_limit(wait.timeout)?;
        json(&session.wait_for(&allowed, wait, limit, self.cancel()).await?)
    }

    pub(super) async fn screen_of_session(&self, id: &str) -> Result<Json, Failure> {
        match self.session(id).await {
            Ok((session, _)) => json(&session.screen(false)),
            Err(failure) if failure.code == Kind::Conflict => {
                let past = self.capabilities.shells.past(id).await?;
                self.grant().command(Program::Terminal { shell: past.shell })?;
                let text = past.end.map(|end| end.screen).unwrap_or_default();
                json(&ScreenText { text, size: TerminalSize::default(), column: 0, row: 0, cursor_visible: false, alternate: false })
            }
            Err(failure) => Err(failure),
        }
    }

    pub(super) async fn close_session(&self, id: &str) -> Result<Json, Failure> {
        match self.session(id).await {
            Ok(_) => self.capabilities.shells.close(id).await?,
            // It is closed.
            Err(failure) if failure.code == Kind::Conflict => {}
            Err(failure) => return Err(failure),
        }
        json(&())
    }

    /// A session that is open, and the permission to use it.
    async fn session(&self, id: &str) -> Result<(Arc<Session>, AllowedCommand), Failure> {
        let session = self.capabilities.shells.session(id).await?;
        let allowed = self.terminal(session.shell_type())?;
        self.capabilities.shells.admits(&session, &allowed)?;
        Ok((session, allowed))
    }

    fn terminal(&self, shell: ShellType) -> Result<AllowedCommand, Failure> {
        let allowed = self.grant().command(Program::Terminal { shell: shell.as_str().to_owned() })?;
        Ok(allowed.within(self.grant().reach()))
    }
}

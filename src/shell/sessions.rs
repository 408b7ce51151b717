//! All sessions: opened, found, ended; and what they and single commands begin with.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

use super::confined::Confined;
use super::history::History;
use super::session::{New, Session, recorder};
use super::{Error, PastSession, ShellSessionInfo, ShellSessionRequest, Shells, environment};
use crate::policy::{AllowedCommand, Program};

/// Variables that may be set for new sessions and single commands.
const VARIABLES: usize = 256;

/// The sessions that are open.
#[derive(Default)]
pub(super) struct Live {
    sessions: Mutex<BTreeMap<String, Arc<Session>>>,
    stopped: AtomicBool,
}

/// What new sessions and single commands begin with.
#[derive(Debug, Clone)]
pub(super) struct Beginning {
    pub(super) directory: PathBuf,
    pub(super) variables: BTreeMap<String, String>,
}

impl Live {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Session>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }
}

impl Shells {
    /// Takes commands and sessions, as it does from the beginning. Called again after a stop.
    pub fn start(&self) {
        self.live.stopped.store(false, Ordering::SeqCst);
    }

    /// Ends all sessions with everything that runs in them, and takes no commands until it is started again.
    pub async fn stop(&self) {
        self.live.stopped.store(true, Ordering::SeqCst);
        let open: Vec<Arc<Session>> = self.live.sessions().values().cloned().collect();
        futures_util::future::join_all(open.iter().map(|session| session.end("the shell service was stopped"))).await;
    }

    /// Closes the terminals of all sessions, without waiting for what runs in them.
    pub(super) fn hang_up(&self) {
        self.live.sessions().values().for_each(|session| session.hang_up());
    }

    /// Opens a session. `allowed` is a [`Program::Terminal`] of its shell, to whose reach all that runs in it is held; `extra_env` (the display, say) is set by the caller and not
    /// checked.
    pub async fn open(
        &self,
        allowed: AllowedCommand,
        request: ShellSessionRequest,
        extra_env: &BTreeMap<String, String>,
    ) -> Result<ShellSessionInfo, Error> {
        let Program::Terminal { shell } = allowed.program() else {
            return Err(Error::invalid("/shell_type", "a session is a terminal, and this permission is for a command"));
        };
        if shell != request.shell_type.as_str() {
            return Err(Error::invalid("/shell_type", format!("the permission is for {shell}")));
        }
        let name = request.name.trim();
        if name.is_empty() || name.chars().count() > 200 || name.chars().any(char::is_control) {
            return Err(Error::invalid("/name", "a name has 1 to 200 characters, without control characters"));
        }
        environment::check(&request.env)?;
        let beginning = self.beginning();
        let directory = match &request.working_directory {
            Some(asked) => super::existing_folder(&beginning.directory.join(asked), asked, "/working_directory")?,
            None => beginning.directory.clone(),
        };
        let argv = self.programs.argv(allowed.program())?;
        let Some((name_of_program, arguments)) = argv.split_first() else {
            return Err(Error::invalid("/shell_type", "this shell is set to an empty command line"));
        };
        let program = self.programs.locate(allowed.program(), name_of_program, &directory)?;
        self.accepts()?;
        let permit = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::TooManySessions(self.max_sessions))?;
        let mut environment = self.environment(&beginning, extra_env);
        let confined = match allowed.reach().filter(|_| self.confine) {
            Some(reach) => {
                let failed = |source| Error::Start { name: name_of_program.clone(), source };
                let confined = Confined::new(reach, &self.programs.search()).map_err(failed)?;
                confined.variables(&mut environment);
                Some(confined)
            }
            None => None,
        };
        environment.extend(request.env.iter().map(|(name, value)| (name.into(), value.into())));
        let new = New {
            id: uuid::Uuid::now_v7().to_string(),
            name: name.to_owned(),
            shell_type: request.shell_type,
            program: &program,
            arguments,
            directory: &directory,
            environment,
            private: &self.private,
            env: self.programs.find("env", Path::new("/")),
            history: Arc::clone(&self.history),
            permit,
            size: request.size,
            recordings: self.recordings.clone(),
            record: request.record.unwrap_or(self.record),
            confined,
        };
        let live = Arc::clone(&self.live);
        let session = Session::open(new, move |id| drop(live.sessions().remove(id))).await?;
        self.live.sessions().insert(session.id().to_owned(), Arc::clone(&session));
        let info = session.info();
        // It may have ended, or the service been stopped, while it was not listed yet.
        if self.live.is_stopped() {
            session.end("the shell service was stopped").await;
        }
        if session.has_ended() {
            self.live.sessions().remove(session.id());
            self.accepts()?;
        }
        if let Err(failure) = self.history.opened(info.clone()).await {
            session.end("it could not be put on record").await;
            return Err(failure.into());
        }
        Ok(info)
    }

    /// The sessions that are open, the oldest first.
    pub fn sessions(&self) -> Vec<ShellSessionInfo> {
        let open: Vec<Arc<Session>> = self.live.sessions().values().cloned().collect();
        open.iter().filter(|session| !session.has_ended()).map(|session| session.info()).collect()
    }

    /// Refuses who may touch less than what runs in a session.
    ///
    /// # Errors
    /// [`Error::Wider`].
    pub fn admits(&self, session: &Session, allowed: &AllowedCommand) -> Result<(), Error> {
        let less = self.confine && allowed.reach().is_some() && allowed.reach() != session.reach();
        if less { Err(Error::Wider(session.id().to_owned())) } else { Ok(()) }
    }

    /// A session that is open.
    ///
    /// # Errors
    /// [`Error::SessionEnded`] where it was once, [`Error::NoSession`] where it never was.
    pub async fn session(&self, id: &str) -> Result<Arc<Session>, Error> {
        self.accepts()?;
        let found = self.live.sessions().get(id).cloned();
        if let Some(session) = found.filter(|session| !session.has_ended()) {
            return Ok(session);
        }
        let ended = self.is_id(id) && self.history.of(id.to_owned(), 1, None).await?.is_some();
        Err(if ended { Error::SessionEnded(id.to_owned()) } else { Error::NoSession(id.to_owned()) })
    }

    /// Ends a session and everything that runs in it.
    ///
    /// # Errors
    /// As [`Shells::session`].
    pub async fn close(&self, id: &str) -> Result<(), Error> {
        self.session(id).await?.end("somebody deleted it").await;
        Ok(())
    }

    /// A session that is open or was once, as it is on record.
    ///
    /// # Errors
    /// [`Error::NoSession`] where it never was.
    pub async fn past(&self, id: &str) -> Result<PastSession, Error> {
        let found = if self.is_id(id) { self.history.session(id.to_owned()).await? } else { None };
        found.ok_or_else(|| Error::NoSession(id.to_owned()))
    }

    /// The last sessions that have ended, at most `limit`, the newest first.
    pub async fn ended(&self, limit: u32) -> Result<Vec<PastSession>, Error> {
        Ok(self.history.past(limit).await?)
    }

    /// The file with the recording of a session, open or not. It grows as long as the session is being recorded.
    ///
    /// # Errors
    /// [`Error::NoSession`] where the session never was, [`Error::NoRecording`] where it was not recorded, or that made room for others.
    pub async fn recording(&self, id: &str) -> Result<PathBuf, Error> {
        self.past(id).await?;
        let path = recorder::path(&self.recordings, id);
        if path.is_file() { Ok(path) } else { Err(Error::NoRecording(id.to_owned())) }
    }

    /// What ran in a session, open or not: at most `limit` commands before the entry `before`, the oldest first, and how many there are.
    ///
    /// # Errors
    /// [`Error::NoSession`] where it never was.
    pub async fn history(&self, id: &str, limit: u32, before: Option<u64>) -> Result<super::HistoryPage, Error> {
        let found = if self.is_id(id) { self.history.of(id.to_owned(), limit, before).await? } else { None };
        found.ok_or_else(|| Error::NoSession(id.to_owned()))
    }

    /// The variables that single commands and new sessions are given; those of a session are [`Session::variables`]. Secrets are masked
    /// by [`masked`](super::masked).
    pub fn variables(&self) -> BTreeMap<String, String> {
        let all = self.environment(&self.beginning(), &BTreeMap::new());
        all.into_iter().map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())).collect()
    }

    /// Sets a variable for single commands and new sessions. The server's own environment stays as it is.
    pub fn set_variable(&self, name: &str, value: &str) -> Result<(), Error> {
        environment::check_one(name, value, "/name", "/value")?;
        let mut beginning = self.beginning.lock().unwrap_or_else(PoisonError::into_inner);
        if beginning.variables.len() >= VARIABLES && !beginning.variables.contains_key(name) {
            return Err(Error::invalid("/name", format!("{VARIABLES} variables are set already, which is as many as there may be")));
        }
        beginning.variables.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// Sets where single commands and new sessions begin; relative paths count from where they began so far.
    pub fn change_directory(&self, path: &str) -> Result<PathBuf, Error> {
        let folder = super::existing_folder(&self.beginning().directory.join(path), path, "/path")?;
        self.beginning.lock().unwrap_or_else(PoisonError::into_inner).directory.clone_from(&folder);
        Ok(folder)
    }

    /// Where single commands and new sessions begin.
    pub fn directory(&self) -> PathBuf {
        self.beginning().directory
    }

    pub(super) fn beginning(&self) -> Beginning {
        self.beginning.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What a command is given: what it inherits, what the caller adds, what was set for all.
    pub(super) fn environment(&self, beginning: &Beginning, extra: &BTreeMap<String, String>) -> BTreeMap<OsString, OsString> {
        let mut all = self.programs.inherited.clone();
        all.extend(extra.iter().chain(&beginning.variables).map(|(name, value)| (name.into(), value.into())));
        all
    }

    pub(super) fn accepts(&self) -> Result<(), Error> {
        if self.live.is_stopped() { Err(Error::Stopped) } else { Ok(()) }
    }

    /// Whether a text may be the id of a session: others need not be looked for.
    fn is_id(&self, text: &str) -> bool {
        uuid::Uuid::try_parse(text).is_ok()
    }
}

pub(super) fn places(max: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(max))
}

/// Where what runs in sessions is kept.
pub(super) type Keeper = Arc<dyn History>;

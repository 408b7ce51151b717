//! What can go wrong here.

use serde_json::{Value, json};

use crate::error::{Classify, Failure, Kind};
use crate::policy::Denied;

/// Why a command was not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is outside what is accepted; nothing was started.
    #[error("{message}")]
    Invalid {
        /// Where it stands in the request, as a JSON Pointer.
        path: &'static str,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The shell is not configured.
    #[error("there is no shell {name:?} here: use one of {known}")]
    UnknownShell {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The program is not on this machine.
    #[error("{name:?} is not installed on this machine, or not on the PATH: {hint}")]
    NotInstalled {
        /// The program's name.
        name: String,
        /// How to get it.
        hint: String,
    },
    /// The operating system refused to start it.
    #[error("{name:?} could not be started: {source}")]
    Start {
        /// The program's name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// The program lies where the run may not read.
    #[error(
        "{program:?} lies where this run's commands may not read: add `read = [{program:?}]` to [permissions] in the script's header, or put it into a folder of the PATH"
    )]
    OutOfReach {
        /// The program.
        program: String,
    },
    /// A session in which more may be touched than by whoever wants to use it.
    #[error(
        "what runs in the session {0} may touch more than this run's commands: open one with shell::open, or grant `read = [\"**\"]` and \
         `write = [\"**\"]` in [permissions] of the script's header, or in the node's config"
    )]
    Wider(String),
    /// Its end could not be waited for.
    #[error("the command was started, but its end could not be waited for: {0}")]
    Wait(std::io::Error),
    /// Somebody asked for it to stop; it was ended.
    #[error("the command was cancelled and ended with everything it started")]
    Cancelled,
    /// The part of the server that runs commands is stopped.
    #[error("commands are switched off at the moment: the shell service was stopped; try again in a moment")]
    Stopped,
    /// As many sessions are open as there may be.
    #[error("{0} sessions are open, which is as many as there may be: delete one, or raise MAX_SHELL_SESSIONS")]
    TooManySessions(usize),
    /// There is no such session, and never was.
    #[error("there is no shell session {0:?}: GET /api/shell/sessions lists those there are")]
    NoSession(String),
    /// It was open once.
    #[error("the shell session {0:?} has ended: open another one; what ran in it is in GET /api/shell/history/{0}")]
    SessionEnded(String),
    /// Something else runs in it for too long.
    #[error("something runs in the session {0:?} and did not end in time: wait for it, or stop it")]
    Busy(String),
    /// What runs in its terminal does not read what is sent.
    #[error("what runs in the session {0:?} does not read: 1 MiB waits already, and this was not sent")]
    NotRead(String),
    /// What a script waited for was not printed.
    #[error("{pattern:?} was not printed: {why}. The screen showed:\n{screen}")]
    NotShown {
        /// The pattern.
        pattern: String,
        /// Why the wait is over.
        why: String,
        /// Whether the session is.
        ended: bool,
        /// The end of what the screen showed.
        screen: String,
    },
    /// It is being recorded already, or is not.
    #[error("{0}")]
    Recording(&'static str),
    /// There is no recording of it.
    #[error("there is no recording of the session {0:?}: POST /api/shell/sessions/{0}/recording begins one")]
    NoRecording(String),
    /// Its recording cannot be written.
    #[error("the session cannot be recorded: {0}")]
    NotRecorded(std::io::Error),
    /// It came up, but never said that it was ready.
    #[error("the shell started, but never showed a prompt. It printed: {0:?}")]
    NoPrompt(String),
    /// The command is not allowed with these variables.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// What ran in sessions cannot be kept or read.
    #[error(transparent)]
    History(#[from] Failure),
}

impl Error {
    pub(super) fn invalid(path: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { path, message: message.into() }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid { .. } | Self::UnknownShell { .. } => Kind::ValidationError,
            Self::NotInstalled { .. } | Self::Stopped | Self::NoPrompt(_) => Kind::ServiceUnavailable,
            Self::Start { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
                std::io::ErrorKind::ArgumentListTooLong => Kind::ValidationError,
                _ => Kind::Internal,
            },
            Self::OutOfReach { .. } | Self::Wider(_) => Kind::PermissionDenied,
            Self::Wait(_) => Kind::Internal,
            Self::Cancelled => Kind::Cancelled,
            Self::TooManySessions(_) | Self::NotRead(_) => Kind::RateLimited,
            Self::NoSession(_) | Self::NoRecording(_) => Kind::NotFound,
            Self::SessionEnded(_) | Self::Busy(_) | Self::Recording(_) | Self::NotShown { ended: true, .. } => Kind::Conflict,
            Self::NotShown { ended: false, .. } => Kind::Timeout,
            Self::NotRecorded(source) => match source.kind() {
                std::io::ErrorKind::StorageFull => Kind::StorageFull,
                _ => Kind::Internal,
            },
            Self::Denied(denied) => denied.kind(),
            Self::History(failure) => failure.code,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Invalid { path, message } => Some(json!({ "path": path, "message": message })),
            Self::NotInstalled { hint, .. } => Some(json!({ "service": "shell", "hint": hint })),
            Self::Stopped => Some(json!({ "service": "shell", "hint": "POST /api/health/restart/shell, or try again in a moment" })),
            Self::NoPrompt(_) => Some(json!({ "service": "shell", "hint": "look at the SHELL_…_INTERACTIVE setting of this shell" })),
            Self::NotShown { pattern, screen, .. } => Some(json!({ "pattern": pattern, "screen": screen })),
            Self::NoSession(id) | Self::SessionEnded(id) | Self::Busy(id) | Self::NotRead(id) | Self::NoRecording(id) => {
                let shown: String = id.chars().take(128).collect();
                Some(json!({ "kind": "session", "id": shown }))
            }
            Self::TooManySessions(limit) => Some(json!({ "limit": limit })),
            Self::Denied(denied) => denied.details(),
            Self::History(failure) => failure.details.clone(),
            _ => None,
        }
    }
}

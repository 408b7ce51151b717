//! What can go wrong here.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};

/// Why the machine did not answer, or a process was left alone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine does not tell.
    #[error("this machine's load and processes cannot be read: {0}")]
    Unreadable(String),
    /// There is no such process.
    #[error("there is no process {0}: it may have ended already")]
    NoSuchProcess(u32),
    /// It is one that must go on.
    #[error("process {pid} is {what} and is left alone from here")]
    Protected {
        /// The process.
        pid: u32,
        /// What it is.
        what: &'static str,
    },
    /// The id belongs to another process by now.
    #[error("process {pid} is another one by now: it began at {began}, not at {expected}; list the processes again")]
    Another {
        /// The process.
        pid: u32,
        /// When the one there is began, in Unix seconds.
        began: u64,
        /// When the one that was meant began.
        expected: u64,
    },
    /// It belongs to somebody else.
    #[error("process {0} belongs to another user: run TRAE as that user to do this")]
    NotOurs(u32),
    /// Anything else.
    #[error("nothing could be done with process {pid}: {reason}")]
    Failed {
        /// The process.
        pid: u32,
        /// Why.
        reason: String,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unreadable(_) => Kind::ServiceUnavailable,
            Self::NoSuchProcess(_) => Kind::NotFound,
            Self::Protected { .. } | Self::NotOurs(_) => Kind::PermissionDenied,
            Self::Another { .. } => Kind::Conflict,
            Self::Failed { .. } => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Unreadable(_) => Some(json!({ "service": "system", "hint": "give TRAE a readable /proc" })),
            Self::NoSuchProcess(pid) => Some(json!({ "kind": "process", "id": pid.to_string() })),
            Self::Another { began, .. } => Some(json!({ "start_time": began })),
            _ => None,
        }
    }
}

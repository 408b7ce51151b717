//! Why a file was not read or written.

use rustix::io::Errno;
use serde_json::{Value, json};

use crate::error::{Classify, Kind};

/// Why a file was not read or written. Each names the path.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing is there.
    #[error("there is no file or folder {0:?}")]
    NotFound(String),
    /// The folder that should hold it is missing.
    #[error("there is no folder {0:?}: create it, or write with create_directories")]
    NoFolder(String),
    /// A folder where a file is wanted.
    #[error("{0:?} is a folder: name a file in it, or list it")]
    IsFolder(String),
    /// A file where a folder is wanted.
    #[error("{0:?} is not a folder")]
    NotAFolder(String),
    /// A device, a pipe, a socket.
    #[error("{0:?} is a device, a pipe or a link, not a file: only plain files are read and written")]
    NotAFile(String),
    /// Over 10 MiB.
    #[error("{0:?} is larger than the 10 MiB that are read at once: read it in parts with a shell command")]
    TooLarge(String),
    /// Not UTF-8.
    #[error("{0:?} is not a text in UTF-8: convert it first, or use a shell command that can read it")]
    NotText(String),
    /// Too many to list.
    #[error("{0:?} has more than 100000 entries: list it with a shell command")]
    TooManyEntries(String),
    /// A folder that is not empty.
    #[error("the folder {0:?} is not empty: remove what is in it first")]
    NotEmpty(String),
    /// Checked for reading, used for writing.
    #[error("{0:?} was allowed for reading only")]
    ReadOnlyPath(String),
    /// A link appeared on the way after the check.
    #[error("{0:?} leads over a link that was not there when it was checked: try again")]
    Link(String),
    /// The operating system refused.
    #[error("TRAE may not {verb} {path:?}: give its user the right to, or use another path")]
    Refused {
        /// The path.
        path: String,
        /// What was tried.
        verb: &'static str,
    },
    /// The disk is full, over a quota, or cannot be written.
    #[error("could not {verb} {path:?} because {reason}; what was there before is still there")]
    Storage {
        /// The path.
        path: String,
        /// What was tried.
        verb: &'static str,
        /// What to do about.
        reason: &'static str,
    },
    /// The system does not tell of changes.
    #[error("folders cannot be watched ({0}): raise fs.inotify.max_user_watches and max_user_instances, or watch fewer of them")]
    Unwatchable(String),
    /// A path that cannot be one.
    #[error("{0:?} is too long for a path")]
    TooLong(String),
    /// Anything else.
    #[error("could not {verb} {path:?}: {source}")]
    Other {
        /// The path.
        path: String,
        /// What was tried.
        verb: &'static str,
        /// What the operating system says.
        source: Errno,
    },
}

impl Error {
    pub(super) fn from_errno(path: String, verb: &'static str, errno: Errno) -> Self {
        let storage = |reason| Self::Storage { path: path.clone(), verb, reason };
        match errno {
            Errno::NOENT => Self::NotFound(path),
            Errno::ISDIR => Self::IsFolder(path),
            Errno::NOTDIR => Self::NotAFolder(path),
            // A device or a pipe without its other end.
            Errno::NXIO | Errno::NODEV => Self::NotAFile(path),
            Errno::LOOP => Self::Link(path),
            Errno::ACCESS | Errno::PERM => Self::Refused { path, verb },
            Errno::NOSPC => storage("the disk is full: free some space"),
            Errno::DQUOT => storage("the user's quota is used up: free some space"),
            Errno::FBIG => storage("it would be larger than files may be here"),
            Errno::ROFS => storage("the disk is mounted read-only: use another path"),
            Errno::NAMETOOLONG => Self::TooLong(path),
            source => Self::Other { path, verb, source },
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound(_) | Self::NoFolder(_) => Kind::NotFound,
            Self::IsFolder(_) | Self::NotAFolder(_) | Self::NotAFile(_) | Self::NotText(_) | Self::TooLong(_) => Kind::ValidationError,
            Self::TooLarge(_) | Self::TooManyEntries(_) => Kind::PayloadTooLarge,
            Self::NotEmpty(_) | Self::Link(_) => Kind::Conflict,
            Self::ReadOnlyPath(_) | Self::Refused { .. } => Kind::PermissionDenied,
            Self::Storage { .. } => Kind::StorageFull,
            Self::Unwatchable(_) => Kind::ServiceUnavailable,
            Self::Other { .. } => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NotFound(path) | Self::NoFolder(path) => Some(json!({ "kind": "file", "id": path })),
            Self::Unwatchable(_) => Some(json!({ "service": "filesystem", "hint": "sysctl fs.inotify.max_user_watches=524288" })),
            _ => None,
        }
    }
}

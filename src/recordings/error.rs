//! Why something is not recorded, or a recording cannot be had.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::policy::Denied;
use crate::{desktop, input, screen, store};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// `recording`, `image`.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// Values that are not accepted: pointer and sentence.
    #[error("{0}: {1}")]
    Invalid(&'static str, String),
    /// One is going on.
    #[error("what is done at this desktop is being recorded already, as {0}: stop that first")]
    Busy(String),
    /// It is over.
    #[error("the recording {0} is over")]
    Over(String),
    /// It is not over.
    #[error("the recording {0} goes on: stop it first")]
    GoesOn(String),
    /// It is of the other kind.
    #[error("the recording {id} is no recording of {wanted}")]
    Other {
        /// Which.
        id: String,
        /// What it would have to be.
        wanted: &'static str,
    },
    /// More films than can be made at a time.
    #[error("{0} films are being made already: stop one of them first")]
    TooMany(usize),
    /// A film cannot be kept.
    #[error("the films in {folder} cannot be kept ({reason}): make room, or let TRAE's user write there; what was kept before is intact")]
    Folder {
        /// The folder.
        folder: String,
        /// What the system says.
        reason: String,
    },
    /// A defect.
    #[error("this ended unexpectedly: the server's log has the reason")]
    Ended,
    /// The screen.
    #[error(transparent)]
    Screen(#[from] screen::Error),
    /// Mouse and keyboard.
    #[error(transparent)]
    Input(#[from] input::Error),
    /// The desktop.
    #[error(transparent)]
    Desktop(#[from] desktop::Error),
    /// The permission.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// What the system says of a file.
    pub(super) fn file(path: &Path, error: &io::Error) -> Self {
        Self::Folder { folder: path.parent().unwrap_or(path).display().to_string(), reason: error.to_string() }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::Invalid(..) => Kind::ValidationError,
            Self::TooMany(_) | Self::Busy(_) | Self::Over(_) | Self::GoesOn(_) | Self::Other { .. } => Kind::Conflict,
            Self::Folder { .. } => Kind::StorageFull,
            Self::Ended => Kind::Internal,
            Self::Screen(error) => error.kind(),
            Self::Input(error) => error.kind(),
            Self::Desktop(error) => error.kind(),
            Self::Denied(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NotFound { kind, id } => Some(json!({ "kind": kind, "id": id })),
            Self::Invalid(path, message) => Some(json!({ "errors": [{ "path": path, "message": message }] })),
            Self::Busy(id) | Self::Over(id) | Self::GoesOn(id) | Self::Other { id, .. } => Some(json!({ "recording_id": id })),
            Self::Folder { folder, .. } => Some(json!({ "hint": format!("look at the disk and the rights of {folder}") })),
            Self::TooMany(_) | Self::Ended => None,
            Self::Screen(error) => error.details(),
            Self::Input(error) => error.details(),
            Self::Desktop(error) => error.details(),
            Self::Denied(error) => error.details(),
            Self::Store(error) => error.details(),
        }
    }
}

//! Why a snapshot was not taken, found, read or clicked.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::policy::Denied;
use crate::{desktop, ocr, screen, store};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// `snapshot`, `template`.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// Several templates have this name.
    #[error("several templates have the name {0:?}: say which one by its id")]
    Ambiguous(String),
    /// The record is there, its image is not, or something else stands in its place.
    #[error("the image of the snapshot {0:?} is gone from the data folder: delete the snapshot, and take another one")]
    Gone(String),
    /// Values outside what is accepted: pointer and sentence.
    #[error("{}", list(.0))]
    Invalid(Vec<(String, String)>),
    /// The folder of images cannot be read or written.
    #[error(
        "the images in {folder} cannot be {verb} ({reason}): make room, or let TRAE's user write there; what was kept before is intact"
    )]
    Folder {
        /// The folder.
        folder: String,
        /// `written`, `read`, …
        verb: &'static str,
        /// What the system says.
        reason: String,
    },
    /// An image that is none.
    #[error("the image of the snapshot {id:?} cannot be read ({reason}): delete the snapshot, and take another one")]
    Damaged {
        /// The snapshot.
        id: String,
        /// What the decoder says.
        reason: String,
    },
    /// Somebody asked for it to stop.
    #[error("it was cancelled: the server, or a part of it, is stopping")]
    Cancelled,
    /// A defect.
    #[error("this ended unexpectedly: the server's log has the reason")]
    Ended,
    /// The screen.
    #[error(transparent)]
    Screen(#[from] screen::Error),
    /// The desktop.
    #[error(transparent)]
    Desktop(#[from] desktop::Error),
    /// The reader.
    #[error(transparent)]
    Ocr(#[from] ocr::Error),
    /// The permission.
    #[error(transparent)]
    Denied(#[from] Denied),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Error {
    /// One value that is not accepted.
    pub(super) fn invalid(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Invalid(vec![(path.into(), message.into())])
    }
}

fn list(errors: &[(String, String)]) -> String {
    let shown = errors.iter().take(3).map(|(path, message)| format!("{path}: {message}")).collect::<Vec<_>>().join("; ");
    if errors.len() > 3 { format!("{shown}; and {} more, see details.errors", errors.len() - 3) } else { shown }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } | Self::Gone(_) => Kind::NotFound,
            Self::Ambiguous(_) => Kind::Conflict,
            Self::Invalid(_) => Kind::ValidationError,
            Self::Folder { .. } => Kind::StorageFull,
            Self::Damaged { .. } | Self::Ended => Kind::Internal,
            Self::Cancelled => Kind::Cancelled,
            Self::Screen(error) => error.kind(),
            Self::Desktop(error) => error.kind(),
            Self::Ocr(error) => error.kind(),
            Self::Denied(error) => error.kind(),
            Self::Store(error) => error.kind(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NotFound { kind, id } => Some(json!({ "kind": kind, "id": id })),
            Self::Gone(id) => Some(json!({ "kind": "snapshot_image", "id": id })),
            Self::Invalid(errors) => {
                let errors: Vec<_> = errors.iter().map(|(path, message)| json!({ "path": path, "message": message })).collect();
                Some(json!({ "errors": errors }))
            }
            Self::Folder { folder, .. } => {
                Some(json!({ "service": "snapshot", "hint": format!("look at the disk and the rights of {folder}") }))
            }
            Self::Ambiguous(_) | Self::Damaged { .. } | Self::Ended | Self::Cancelled => None,
            Self::Screen(error) => error.details(),
            Self::Desktop(error) => error.details(),
            Self::Ocr(error) => error.details(),
            Self::Denied(error) => error.details(),
            Self::Store(error) => error.details(),
        }
    }
}

//! What can go wrong with the database.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Classify, Kind};

/// Why the database could not be opened, read or written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no room left, or the disk cannot be written.
    #[error("the data folder's disk is full or cannot be written ({0}): make room; what was saved before is intact")]
    Full(String),
    /// The file is not a database, or a damaged one. It was left as it is.
    #[error(
        "the database {} is damaged ({reason}) and was left untouched: restore it from a backup, or move it away together with its -wal and -shm files to begin anew",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// The file belongs to another program, or to a later version of this one. It was left as it is.
    #[error("the database {} was left untouched: {reason}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What it is, and what to do.
        reason: String,
    },
    /// The file cannot be opened.
    #[error("the database {} cannot be opened ({reason}): check that its folder exists and may be written", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// The id is taken.
    #[error("{kind} {id:?} exists already: choose another id, or change that one")]
    Taken {
        /// What it is: `workflow`.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// There is no such thing.
    #[error("there is no {kind} {id:?}")]
    Missing {
        /// What it is: `workflow`, `run`.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// It is in use.
    #[error("{kind} {id:?} is used by {}: change these first", named(by))]
    InUse {
        /// What it is: `node_config`.
        kind: &'static str,
        /// Its id.
        id: String,
        /// The workflows that use it: id and name.
        by: Vec<(String, String)>,
    },
    /// The store was closed.
    #[error("the database is closed: the server is stopping")]
    Closed,
    /// A row that breaks a rule of the schema: a defect, and none of the disk's.
    #[error("the database failed: {0}")]
    Constraint(String),
    /// Anything else SQLite says.
    #[error("the database failed: {0}")]
    Sqlite(String),
}

/// The first few workflows, by name and id.
fn named(workflows: &[(String, String)]) -> String {
    let mut shown: Vec<String> = workflows.iter().take(5).map(|(id, name)| format!("the workflow {name:?} ({id})")).collect();
    if workflows.len() > shown.len() {
        shown.push(format!("{} more", workflows.len() - shown.len()));
    }
    shown.join(", ")
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Full(_) => Kind::StorageFull,
            Self::Taken { .. } | Self::InUse { .. } => Kind::Conflict,
            Self::Missing { .. } => Kind::NotFound,
            Self::Closed => Kind::ServiceUnavailable,
            Self::Corrupt { .. } | Self::Foreign { .. } | Self::Open { .. } | Self::Constraint(_) | Self::Sqlite(_) => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Taken { kind, id } | Self::Missing { kind, id } => Some(json!({ "kind": kind, "id": id })),
            Self::InUse { kind, id, by } => {
                let workflows: Vec<_> = by.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect();
                Some(json!({ "kind": kind, "id": id, "workflows": workflows }))
            }
            Self::Full(_) | Self::Closed => Some(json!({ "service": "storage", "hint": self.to_string() })),
            Self::Corrupt { path, .. } | Self::Foreign { path, .. } | Self::Open { path, .. } => Some(json!({ "path": path })),
            Self::Constraint(_) | Self::Sqlite(_) => None,
        }
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode::{CannotOpen, ConstraintViolation, DiskFull, ReadOnly, SystemIoFailure};
        match error.sqlite_error_code() {
            Some(DiskFull | SystemIoFailure | ReadOnly | CannotOpen) => Self::Full(error.to_string()),
            Some(ConstraintViolation) => Self::Constraint(error.to_string()),
            _ => Self::Sqlite(error.to_string()),
        }
    }
}

//! Why the audit log is not kept, signed or read.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::store;

/// Why the audit log is not kept, signed or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The key that signs checkpoints, or the file they are in.
    #[error("the audit log cannot be signed: {} {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::File { .. } => Kind::StorageFull,
            Self::Store(error) => error.kind(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::File { path, .. } => Some(json!({ "path": path })),
            Self::Store(error) => error.details(),
        }
    }
}

//! Why a secret is not kept, found or read.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::store;

/// Why a secret is not kept, found or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none of that name.
    #[error("there is no secret {0:?}: set it with `trae secrets set {0}`, or PUT /api/secrets/{0}")]
    Missing(String),
    /// A name or a value that cannot be. The value is not repeated.
    #[error("{message}")]
    Invalid {
        /// The field, as a JSON Pointer.
        path: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The file that opens all secrets.
    #[error("the identity that opens the secrets ({}) cannot be used: {reason}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// Why, and what to do.
        reason: String,
    },
    /// What is stored was encrypted for another identity, or is not what was stored.
    #[error("the secret {name:?} cannot be opened ({reason}): set it again, or bring back the identity with which it was set")]
    Sealed {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Missing(_) => Kind::NotFound,
            Self::Invalid { .. } => Kind::ValidationError,
            Self::Identity { .. } | Self::Sealed { .. } => Kind::ServiceUnavailable,
            Self::Store(error) => error.kind(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Missing(name) => Some(json!({ "kind": "secret", "id": name })),
            Self::Invalid { path, message } => Some(json!({ "path": path, "message": message })),
            Self::Identity { .. } | Self::Sealed { .. } => Some(json!({ "service": "secrets", "hint": self.to_string() })),
            Self::Store(error) => error.details(),
        }
    }
}

//! Why a key is not made, found or taken.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::store;

/// Why a key is not made, found or taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was sent is no key and no token of this server.
    #[error("this key is not known here: make one with `trae keys create`, or see whether it was revoked")]
    Unknown,
    /// The token was good once.
    #[error("this token has expired: get a new one with POST /api/auth/token")]
    Expired,
    /// A name or a scope that cannot be.
    #[error("{message}")]
    Invalid {
        /// The field, as a JSON Pointer.
        path: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// The file with the secret that signs tokens.
    #[error("the secret that signs tokens ({}) cannot be used: {reason}; mend or delete the file, or set JWT_SECRET_KEY", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system has no random numbers.
    #[error("no key can be made: the system gives no random numbers ({0})")]
    Random(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown | Self::Expired => Kind::Unauthenticated,
            Self::Invalid { .. } => Kind::ValidationError,
            Self::Secret { .. } | Self::Random(_) => Kind::Internal,
            Self::Store(error) => error.kind(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Invalid { path, message } => Some(json!({ "path": path, "message": message })),
            Self::Store(error) => error.details(),
            _ => None,
        }
    }
}

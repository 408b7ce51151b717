//! Why a call of a webhook started nothing.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No workflow listens there.
    #[error("no workflow listens at {0:?}: give a webhook_trigger that path, and see that its workflow has no errors")]
    Unknown(String),
    /// There is no such trigger.
    #[error("there is no trigger {0:?}: GET /api/triggers lists those there are")]
    NoTrigger(String),
    /// Nothing is armed.
    #[error("webhooks start nothing at the moment, as triggers is stopped: try again once it is up")]
    Disarmed,
    /// Not with that method.
    #[error("{method} is not accepted at {path:?}: use {}", allowed.join(", "))]
    Method {
        /// The path.
        path: String,
        /// The method used.
        method: String,
        /// The methods accepted.
        allowed: Vec<String>,
    },
    /// The signature is missing or wrong.
    #[error(
        "the signature is missing or wrong: send `X-Signature-256: sha256=` and the HMAC-SHA256 of the body in hex, made with the webhook's secret"
    )]
    Signature,
    /// The body says it is JSON, and is not.
    #[error("the body is not JSON: {0}")]
    Json(String),
    /// The body is not text.
    #[error("the body is not UTF-8 text: send JSON or text")]
    Text,
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown(_) | Self::NoTrigger(_) => Kind::NotFound,
            Self::Disarmed => Kind::ServiceUnavailable,
            Self::Method { .. } => Kind::MethodNotAllowed,
            Self::Signature => Kind::Unauthenticated,
            Self::Json(_) => Kind::InvalidJson,
            Self::Text => Kind::ValidationError,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Unknown(path) => Some(json!({ "kind": "webhook", "id": path })),
            Self::NoTrigger(id) => Some(json!({ "kind": "trigger", "id": id })),
            Self::Disarmed => Some(json!({ "service": "triggers", "hint": "GET /api/health/service/triggers says why" })),
            Self::Method { allowed, .. } => Some(json!({ "allowed": allowed })),
            Self::Text => Some(json!({ "errors": [{ "path": "", "message": self.to_string() }] })),
            Self::Signature | Self::Json(_) => None,
        }
    }
}

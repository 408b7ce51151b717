//! Why a call of a webhook started nothing.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing listens there.
    #[error("nothing listens at {0:?}: give a webhook trigger that path, and see that GET /api/triggers shows it as armed")]
    Unknown(String),
    /// There is no such trigger.
    #[error("there is no trigger {0:?}: GET /api/triggers lists those there are")]
    NoTrigger(String),
    /// A trigger that is drawn is removed where it is drawn.
    #[error("the trigger {0:?} is drawn in the workflow {1:?}: remove the node {2:?} there, or switch the trigger off")]
    Drawn(String, String, String),
    /// A trigger that is declared is removed where it is declared.
    #[error("the trigger {0:?} is declared in the header of the script {1:?}: remove it there, or switch the trigger off")]
    Declared(String, String),
    /// A trigger that cannot be.
    #[error("{}", .0.iter().map(|(path, message)| format!("{path}: {message}")).collect::<Vec<_>>().join("; "))]
    Wrong(Vec<(String, String)>),
    /// There are too many.
    #[error("{0} triggers were made already, which is the most there can be: delete some, or draw them in a workflow")]
    TooMany(u32),
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

impl Error {
    /// There is no trigger of that id.
    pub(super) fn no_trigger(id: &str) -> Self {
        Self::NoTrigger(id.chars().take(300).collect())
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unknown(_) | Self::NoTrigger(_) => Kind::NotFound,
            Self::Disarmed => Kind::ServiceUnavailable,
            Self::Method { .. } => Kind::MethodNotAllowed,
            Self::Signature => Kind::Unauthenticated,
            Self::Json(_) => Kind::InvalidJson,
            Self::Text | Self::Wrong(_) => Kind::ValidationError,
            Self::Drawn(..) | Self::Declared(..) | Self::TooMany(_) => Kind::Conflict,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Unknown(path) => Some(json!({ "kind": "webhook", "id": path })),
            Self::NoTrigger(id) => Some(json!({ "kind": "trigger", "id": id })),
            Self::Disarmed => Some(json!({ "service": "triggers", "hint": "GET /api/health/service/triggers says why" })),
            Self::Method { allowed, .. } => Some(json!({ "allowed": allowed })),
            Self::Text => Some(json!({ "errors": [{ "path": "", "message": self.to_string() }] })),
            Self::Drawn(id, workflow, node) => {
                Some(json!({ "kind": "trigger", "id": id, "source": { "workflow_id": workflow, "node_id": node } }))
            }
            Self::Declared(id, script) => Some(json!({ "kind": "trigger", "id": id, "source": { "script": script } })),
            Self::Wrong(wrong) => {
                let errors: Vec<_> = wrong.iter().map(|(path, message)| json!({ "path": path, "message": message })).collect();
                Some(json!({ "errors": errors }))
            }
            Self::TooMany(_) => Some(json!({ "kind": "trigger" })),
            Self::Signature | Self::Json(_) => None,
        }
    }
}

//! What kinds of failure there are, and the one shape in which a failure leaves its room.
//!
//! Each room keeps its own `thiserror` enum, says of each variant which [`Kind`] it is ([`Classify`]), and knows nothing of HTTP
//! or exit codes. At a seam (script, wire, journal) the error becomes a [`Failure`]: kind to branch on, sentence to show, details.
//! `api::error` maps kinds to statuses and `cli` to exit codes, each in one match without a catch-all arm.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a caller may branch on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Kind {
    /// The body does not parse as JSON.
    InvalidJson,
    /// A value is outside what is accepted. Nothing was changed.
    ValidationError,
    /// A graph does not compile.
    InvalidWorkflow,
    /// A script does not compile, or raised an error.
    ScriptError,
    /// A key is needed, and missing or wrong.
    Unauthenticated,
    /// Known, but not allowed.
    PermissionDenied,
    /// A shell command was refused as dangerous; it was not started.
    UnsafeCommand,
    /// It came from elsewhere, or asks for more than was approved: somebody has to approve of it first.
    ApprovalRequired,
    /// A browser page of another origin.
    OriginNotAllowed,
    /// A `Host` header this server does not answer to.
    HostNotAllowed,
    /// No such path or thing.
    NotFound,
    /// The path exists, the method does not.
    MethodNotAllowed,
    /// The present state forbids it.
    Conflict,
    /// Larger than the configured limit.
    PayloadTooLarge,
    /// A body that is not `application/json`.
    UnsupportedMediaType,
    /// Too many, too fast.
    RateLimited,
    /// The part is off, or this machine lacks it; the message says how to get it.
    ServiceUnavailable,
    /// The work ran out of its own time limit.
    Timeout,
    /// Somebody asked for it to stop.
    Cancelled,
    /// More operations than allowed.
    LimitOps,
    /// More computing time than allowed.
    LimitTime,
    /// Nested or recursed deeper than allowed.
    LimitDepth,
    /// More memory than allowed.
    LimitMemory,
    /// A source longer than allowed, or one that takes too long to compile.
    LimitSource,
    /// The process that ran the script died.
    RunnerCrashed,
    /// The disk is full or cannot be written.
    StorageFull,
    /// A defect of TRAE itself, or of the machine.
    Internal,
}

impl Kind {
    /// The code as it stands on the wire, such as `NOT_FOUND`.
    pub fn code(self) -> String {
        serde_json::to_value(self).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
    }
}

/// Says what kind of failure a room's error is.
pub trait Classify: std::error::Error {
    /// What a caller may branch on.
    fn kind(&self) -> Kind;
    /// Facts beside the sentence: `service` and `hint`, `kind` and `id`, …
    fn details(&self) -> Option<Value> {
        None
    }
}

/// A failure on its way to a script, over the wire, or into the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What a caller may branch on.
    pub code: Kind,
    /// A sentence that says what to do about it.
    pub message: String,
    /// Facts beside the sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl Failure {
    /// A failure without details.
    pub fn new(code: Kind, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: None }
    }

    /// The same failure, with facts beside the sentence.
    #[must_use]
    pub fn with(mut self, details: Value) -> Self {
        self.details = Some(details);
        self
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl<E: Classify> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { code: error.kind(), message: error.to_string(), details: error.details() }
    }
}

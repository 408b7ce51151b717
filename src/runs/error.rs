//! Why a run could not be started, found or stopped.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::policy::Permissions;
use crate::store;
use crate::workflow::{Problem, Severity};

/// Why not.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("there is no {kind} {id:?}")]
    NotFound {
        /// `run`, `workflow`, `script`.
        kind: &'static str,
        /// Its id or path.
        id: String,
    },
    /// The run is over.
    #[error("the run {id} is {status} already: there is nothing left to cancel")]
    Finished {
        /// The run.
        id: String,
        /// How it ended.
        status: String,
    },
    /// The run is not over.
    #[error("the run {id} is {status}: wait for its end, or cancel it first")]
    GoesOn {
        /// The run.
        id: String,
        /// Where it stands.
        status: String,
    },
    /// What was waited for has come, or is not waited for any more.
    #[error("this is answered already, or its run is over")]
    Answered {
        /// The wait.
        id: String,
    },
    /// The workflow has runs.
    #[error("the workflow {id:?} is running: wait for its runs, or cancel them first")]
    Running {
        /// The workflow.
        id: String,
    },
    /// The graph does not compile.
    #[error("the workflow cannot run: {}", first(.0))]
    Invalid(Vec<Problem>),
    /// A value is outside what is accepted.
    #[error("{}", list(.0))]
    Validation(Vec<(String, String)>),
    /// It came from elsewhere, or asks for more than was approved.
    #[error(
        "the {kind} {id:?} {why}, and waits for approval: look at what it may do (details.permissions), then POST /api/{kind}s/{id}/approve"
    )]
    Untrusted {
        /// `workflow` or `script`.
        kind: &'static str,
        /// Its id or path.
        id: String,
        /// The middle of the sentence.
        why: String,
        /// What it asks for.
        permissions: Box<Permissions>,
    },
    /// It came from elsewhere, and the sandbox is not whole here.
    #[error("the workflow {id:?} came from elsewhere, and such run only where all of the sandbox holds: {why}")]
    Unheld {
        /// Its id.
        id: String,
        /// What is missing.
        why: String,
    },
    /// Whoever approves may not do themselves what they approve of.
    #[error("the {kind} {id:?} asks for more than your key allows: have it approved by somebody whose key does")]
    MayNotApprove {
        /// `workflow` or `script`.
        kind: &'static str,
        /// Its id or path.
        id: String,
        /// What it asks for.
        permissions: Box<Permissions>,
    },
    /// Too many runs wait.
    #[error("{waiting} runs wait already: try again in {retry_after} s, or cancel some")]
    Full {
        /// So many.
        waiting: usize,
        /// After so many seconds some of them have probably had their turn.
        retry_after: u64,
    },
    /// Scripts that start each other without end.
    #[error("scripts call each other {0} deep: let {1:?} not start itself, directly or through others")]
    TooDeep(u32, String),
    /// Runs are stopped.
    #[error("runs are not started at the moment, as graph_execution is stopped: try again once it is up")]
    Stopped,
    /// The server is stopping.
    #[error("the server is stopping: it starts no more runs")]
    Stopping,
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn first(problems: &[Problem]) -> String {
    let mut errors = problems.iter().filter(|problem| problem.severity == Severity::Error);
    let shown = errors.next().map_or("it has no program", |problem| problem.message.as_str());
    match errors.count() {
        0 => shown.to_owned(),
        more => format!("{shown} (and {more} more, see details)"),
    }
}

fn list(errors: &[(String, String)]) -> String {
    errors.iter().map(|(path, message)| format!("{path}: {message}")).collect::<Vec<_>>().join("; ")
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::NotFound { .. } => Kind::NotFound,
            Self::Finished { .. } | Self::GoesOn { .. } | Self::Answered { .. } | Self::Running { .. } => Kind::Conflict,
            Self::Invalid(_) => Kind::InvalidWorkflow,
            Self::Validation(_) => Kind::ValidationError,
            Self::Untrusted { .. } => Kind::ApprovalRequired,
            Self::MayNotApprove { .. } => Kind::PermissionDenied,
            Self::Full { .. } => Kind::RateLimited,
            Self::TooDeep(..) => Kind::LimitDepth,
            Self::Stopped | Self::Stopping | Self::Unheld { .. } => Kind::ServiceUnavailable,
            Self::Store(error) => error.kind(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NotFound { kind, id } => Some(json!({ "kind": kind, "id": id })),
            Self::Finished { id, status } | Self::GoesOn { id, status } => Some(json!({ "kind": "run", "id": id, "status": status })),
            Self::Answered { id } => Some(json!({ "kind": "wait", "id": id })),
            Self::Running { id } => Some(json!({ "kind": "workflow", "id": id })),
            Self::Invalid(problems) => Some(json!({ "problems": problems })),
            Self::Validation(errors) => {
                let errors: Vec<_> = errors.iter().map(|(path, message)| json!({ "path": path, "message": message })).collect();
                Some(json!({ "errors": errors }))
            }
            Self::Untrusted { kind, id, permissions, .. } | Self::MayNotApprove { kind, id, permissions } => {
                Some(json!({ "kind": kind, "id": id, "permissions": permissions }))
            }
            Self::Full { retry_after, .. } => Some(json!({ "retry_after": retry_after })),
            Self::Unheld { .. } => Some(json!({ "service": "sandbox", "hint": "trae doctor" })),
            Self::Stopped => Some(json!({ "service": "graph_execution", "hint": "GET /api/health/service/graph_execution says why" })),
            Self::Stopping => Some(json!({ "service": "graph_execution", "hint": "wait until the server is up again" })),
            Self::TooDeep(..) => None,
            Self::Store(error) => error.details(),
        }
    }
}

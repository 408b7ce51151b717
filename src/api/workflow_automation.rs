//! `/ws/workflow-automation`: start runs, follow them, stop them.
//!
//! In: [`Said`]. Out: the events of every run that was started or subscribed to here, as `GET /api/runs/{run_id}/events` gives them;
//! `pong`; `cancelled`; `error`.

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::StreamExt;
use futures_util::stream::{BoxStream, SelectAll};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract;
use super::socket::{Ended, Handshake, Socket, pong};
use super::visit;
use crate::audit::{Deed, Outcome};
use crate::error::{Failure, Kind};
use crate::keys::Scope;
use crate::runs::{Event, Execute};
use crate::services::Name;

/// How many runs one socket follows at a time.
const FOLLOWED: usize = 100;

/// What a client says.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Said {
    /// Start a stored workflow and follow its run.
    ExecuteWorkflow {
        /// The workflow.
        workflow_id: String,
        /// What the graph sees as `params`.
        #[serde(default)]
        #[schema(value_type = Object, required = false)]
        parameters: Map<String, Value>,
    },
    /// Start a script and follow its run: one of the library by `path`, or any other by `source`.
    ExecuteScript {
        /// Its path in the library.
        #[serde(default)]
        path: Option<String>,
        /// Its text.
        #[serde(default)]
        source: Option<String>,
        /// What the script sees as `params`.
        #[serde(default)]
        #[schema(value_type = Object, required = false)]
        parameters: Map<String, Value>,
    },
    /// Stop a run.
    Cancel {
        /// The run.
        run_id: String,
    },
    /// Follow a run.
    Subscribe {
        /// The run.
        run_id: String,
        /// Only the events after this number.
        #[serde(default)]
        after: Option<u64>,
    },
    /// Answered by `pong`.
    Ping {},
}

/// What to run.
enum Target {
    /// A stored workflow.
    Workflow(String),
    /// A script of the library, by its path.
    Script(String),
    /// A script that is in no folder.
    Source(String),
}

/// Opens the socket. In: `execute_workflow`, `execute_script`, `cancel`, `subscribe`, `ping`; out: the events of the runs.
#[utoipa::path(get, path = "/ws/workflow-automation", tag = "websockets", operation_id = "workflow_automation", responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open(State(state): State<super::State>, request: Request) -> Result<Response> {
    let handshake = Handshake::begin(&state, request).await?;
    let speaking = state.clone();
    Ok(handshake.finish(&state, move |socket| converse(socket, speaking)))
}

/// The same socket, where a frontend expects it.
#[utoipa::path(get, path = "/api/ws/workflow-automation", tag = "websockets", operation_id = "workflow_automation_api", responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open_below_api(state: State<super::State>, request: Request) -> Result<Response> {
    open(state, request).await
}

/// Whether a text is one of its messages.
pub(super) fn understands(text: &str) -> bool {
    extract::read::<Said>(text.as_bytes()).is_ok()
}

async fn converse(mut socket: Socket, state: super::State) -> Ended {
    let mut followed: SelectAll<BoxStream<'static, Event>> = SelectAll::new();
    loop {
        let done = tokio::select! {
            heard = socket.hear() => match heard {
                Err(ended) => return ended,
                Ok(text) => answer(&mut socket, &state, &mut followed, &text).await,
            },
            Some(event) = followed.next() => socket.say(serde_json::to_string(&event).unwrap_or_default()).await,
        };
        if let Err(ended) = done {
            return ended;
        }
    }
}

/// Deals with one message.
async fn answer(
    socket: &mut Socket,
    state: &super::State,
    followed: &mut SelectAll<BoxStream<'static, Event>>,
    text: &str,
) -> Result<(), Ended> {
    let said = match extract::read::<Said>(text.as_bytes()) {
        Ok(said) => said,
        Err(error) => return socket.malformed(error.failure()).await,
    };
    socket.understood();
    let done = match said {
        Said::Ping {} => return socket.say(pong().to_string()).await,
        Said::Cancel { run_id } => match visit::require(Scope::Workflows) {
            Ok(()) => cancel(state, &run_id).await,
            Err(refused) => Err(refused),
        },
        Said::Subscribe { run_id, after } => follow(state, followed, &run_id, after.unwrap_or(0)).await,
        Said::ExecuteWorkflow { workflow_id, parameters } => start(state, followed, Target::Workflow(workflow_id), parameters).await,
        Said::ExecuteScript { path: Some(path), source: None, parameters } => {
            start(state, followed, Target::Script(path), parameters).await
        }
        Said::ExecuteScript { path: None, source: Some(source), parameters } => {
            start(state, followed, Target::Source(source), parameters).await
        }
        Said::ExecuteScript { .. } => {
            Err(Failure::new(Kind::ValidationError, "name a script by `path`, or send one as `source`: one of both")
                .with(json!({ "errors": [{ "path": "/path", "message": "either this or /source" }] })))
        }
    };
    match done {
        Ok(()) => Ok(()),
        Err(failure) => socket.fail(&failure).await,
    }
}

async fn start(
    state: &super::State,
    followed: &mut SelectAll<BoxStream<'static, Event>>,
    what: Target,
    parameters: Map<String, Value>,
) -> Result<(), Failure> {
    visit::require(match what {
        Target::Workflow(_) => Scope::Workflows,
        Target::Script(_) | Target::Source(_) => Scope::Scripts,
    })?;
    has_room(followed)?;
    state.services().enter(Name::GraphExecution)?;
    let parameters = serde_json::value::to_raw_value(&parameters)
        .map_err(|error| Failure::new(Kind::ValidationError, format!("the parameters cannot be passed on: {error}")))?;
    let execute = Execute { parameters, ..Execute::default() };
    let ticket = match what {
        Target::Workflow(id) => state.runs().execute_workflow(&id, execute).await?,
        Target::Script(path) => state.runs().execute_script(&path, execute).await?,
        Target::Source(source) => state.runs().execute_source("script", &source, execute).await?,
    };
    let run_id = ticket.run_id;
    follow(state, followed, &run_id, 0).await
}

async fn follow(
    state: &super::State,
    followed: &mut SelectAll<BoxStream<'static, Event>>,
    run_id: &str,
    after: u64,
) -> Result<(), Failure> {
    has_room(followed)?;
    followed.push(state.runs().subscribe(run_id, after).await?.boxed());
    Ok(())
}

fn has_room(followed: &SelectAll<BoxStream<'static, Event>>) -> Result<(), Failure> {
    if followed.len() < FOLLOWED {
        return Ok(());
    }
    Err(Failure::new(
        Kind::RateLimited,
        format!("this socket follows {FOLLOWED} runs already: wait for one to end, or open another socket"),
    ))
}

/// Stops a run; on record before, as a call of the API is, where that can be kept.
async fn cancel(state: &super::State, run_id: &str) -> Result<(), Failure> {
    let details = json!({ "request_id": visit::request_id() });
    let deed = Deed { actor: visit::actor(), action: "run.cancel".to_owned(), target: Some(run_id.to_owned()), details };
    let noted = state.audit().begin(deed).await;
    let done = state.runs().cancel(run_id).await;
    let outcome = if done.is_ok() { Outcome::Ok } else { Outcome::Refused };
    match noted {
        Ok(noted) => state.audit().end(noted, outcome, json!({})),
        Err(error) => tracing::error!(%error, run_id, "the cancelling of a run is not in the audit log"),
    }
    done
}

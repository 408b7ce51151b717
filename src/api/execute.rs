//! Starting runs: what may be asked of one, the same for workflows and scripts, and what is answered.

use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::error::{Error, Result};
use crate::error::{Failure, Kind};
use crate::host::protocol::{Json, Mode};
use crate::runs::{Execute, RunStatus, Ticket};
use crate::services::Name;
use crate::workflow::MAX_PRIORITY;

/// How to run.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "parameters": { "customer": "Ada" }, "wait": true, "timeout": 30 }))]
pub(crate) struct ExecuteRequest {
    /// What the graph or script sees as `params`.
    #[schema(value_type = Object, required = false)]
    pub(super) parameters: Map<String, Value>,
    /// Answer once the run is over.
    pub(super) wait: bool,
    /// Wait at most so many seconds; the run goes on after that.
    #[schema(exclusive_minimum = 0, maximum = 86400)]
    pub(super) timeout: Option<f64>,
    /// Runs of a higher priority go first, -10–10; without it what the workflow's settings say, or 0.
    #[schema(minimum = -10, maximum = 10)]
    pub(super) priority: Option<i8>,
    /// Describe what would be done instead of doing it: the answer is the finished run, its steps are `skipped` and say what they `would`
    /// have done.
    pub(super) dry_run: bool,
    /// Film the desktop until the run is over: the run's record names the film in `recordings`.
    pub(super) record: bool,
    /// Nodes with a pinned output do not run: they put that out.
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub(super) pinned: bool,
    /// Of a workflow: end with this node.
    pub(super) until: Option<String>,
    /// Of a workflow: run this node alone.
    pub(super) only: Option<String>,
    /// What a node that runs alone works on.
    #[schema(value_type = Option<Value>)]
    pub(super) input: Option<Value>,
}

fn yes() -> bool {
    true
}

/// A run that was started.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "run_id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "status": "running" }))]
pub(crate) struct Started {
    /// Its id.
    run_id: String,
    /// `queued` or `running`.
    status: RunStatus,
}

impl ExecuteRequest {
    /// What the run is started with.
    pub(super) fn execute(&self) -> Result<Execute> {
        let raw = |value: &Value, path: &str| -> Result<Json> {
            serde_json::value::to_raw_value(value).map_err(|error| Error::invalid_at(path, format!("cannot be passed on: {error}")))
        };
        let parameters = raw(&Value::Object(self.parameters.clone()), "/parameters")?;
        if self.input.is_some() && self.only.is_none() {
            return Err(Error::invalid_at("/input", "goes with `only`: a whole run works on its `parameters`"));
        }
        let input = raw(&self.input.clone().unwrap_or_default(), "/input")?;
        let mode = Mode { dry: self.dry_run, pinned: self.pinned, until: self.until.clone(), ..Mode::default() };
        if self.priority.is_some_and(|priority| !(-MAX_PRIORITY..=MAX_PRIORITY).contains(&priority)) {
            return Err(Error::invalid_at("/priority", format!("write a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}")));
        }
        Ok(Execute { parameters, input, mode, priority: self.priority, ..Execute::default() })
    }

    /// Refuses what only a graph has.
    pub(super) fn refuse_parts(&self) -> Result<()> {
        let named = [("/until", self.until.is_some()), ("/only", self.only.is_some())];
        match named.into_iter().find(|(_, named)| *named) {
            Some((path, _)) => Err(Error::invalid_at(path, "a script has no nodes: only a workflow is run in part")),
            None => Ok(()),
        }
    }

    /// Starts the run; with `record`, a film of the desktop `target` begins before that.
    pub(super) async fn start(
        &self,
        state: &super::State,
        target: Option<String>,
        start: impl Future<Output = Result<Ticket, Failure>>,
    ) -> Result<Ticket> {
        if !self.record {
            return Ok(start.await?);
        }
        if self.dry_run {
            return Err(Error::invalid_at("/record", "a run that only describes has nothing to film"));
        }
        let session = state.enter(Name::LiveDesktop)?;
        let film = state.recordings().begin_film(&state.grant(), session, target).await?;
        match start.await {
            Ok(ticket) => {
                let mut filmed = ticket.clone();
                let over = async move { drop(filmed.ended().await) };
                state.recordings().film_of_run(&film, &ticket.run_id, over).await?;
                Ok(ticket)
            }
            Err(failure) => {
                state.recordings().discard(&film).await?;
                Err(failure.into())
            }
        }
    }

    /// Answers that a run was started, or once it is over. A run that only describes is over soon, and wanted for what it says.
    pub(super) async fn answer(&self, ticket: Ticket) -> Result<Response> {
        answer(ticket, self.wait || self.dry_run, self.timeout).await
    }
}

/// Answers that a run was started, or with `wait` once it is over.
pub(super) async fn answer(mut ticket: Ticket, wait: bool, timeout: Option<f64>) -> Result<Response> {
    let run_id = ticket.run_id.clone();
    if !wait {
        return Ok((StatusCode::ACCEPTED, axum::Json(Started { run_id, status: ticket.status() })).into_response());
    }
    let patience = timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let run = match patience {
        None => ticket.finished().await,
        Some(patience) => tokio::time::timeout(patience, ticket.finished()).await.map_err(|_| {
            let message = format!("the run is not over yet and goes on: GET /api/runs/{run_id} says how it stands");
            Failure::new(Kind::Timeout, message).with(json!({ "run_id": run_id }))
        })?,
    };
    Ok(axum::Json(run).into_response())
}

//! `/api/runs`: what ran, what runs, its events as they come, and stopping it.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use chrono::DateTime;
use futures_util::{FutureExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Invalid, Result};
use super::execute::{Started, answer};
use super::extract::{OptionalJson, Path, Query};
use super::success::SuccessResponse;
use super::workflows::{fifty, within_limit};
use crate::error::Kind;
use crate::runs::{Retry, Run, RunFilter, RunPage, RunStatus, Timestamp};
use crate::services::Name;

/// How long a stream of events may be silent, lest something on the way closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which runs. Each that is named narrows the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only this workflow's.
    workflow_id: Option<String>,
    /// Only this script's.
    script: Option<String>,
    /// Only with this status, or with one of several with commas between them: `queued`, `running`, `waiting`, `succeeded`, `failed`,
    /// `cancelled`, `interrupted`.
    #[param(example = "failed,interrupted")]
    status: Option<String>,
    /// Only started by this (`webhook:orders`), or by anything of this kind (`webhook`).
    #[param(example = "manual")]
    trigger: Option<String>,
    /// Only workflows or only scripts.
    #[param(inline)]
    kind: Option<RunKind>,
    /// Only created at this moment or later, RFC 3339.
    #[param(format = DateTime, example = "2026-01-31T12:00:00Z")]
    since: Option<String>,
    /// Only created before this moment, RFC 3339.
    #[param(format = DateTime, example = "2026-02-01T12:00:00Z")]
    until: Option<String>,
    /// Only finished ones with all these words in error, parameters, result or log; also in id, script, workflow and trigger. `word*`
    /// is every word that begins so.
    #[param(example = "order 42")]
    search: Option<String>,
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// Only those before this run.
    before: Option<String>,
}

/// What runs.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RunKind {
    Workflow,
    Script,
}

impl ListQuery {
    fn filter(self) -> Result<RunFilter> {
        let mut wrong = Vec::new();
        let mut invalid = |path: &str, message: String| wrong.push(Invalid { path: path.to_owned(), message });
        let mut statuses = Vec::new();
        for word in self.status.iter().flat_map(|list| list.split(',')) {
            match RunStatus::parse(word.trim()) {
                Some(status) => statuses.push(status),
                None => invalid(
                    "/query/status",
                    format!("{word:?} is no status of a run: queued, running, waiting, succeeded, failed, cancelled, interrupted"),
                ),
            }
        }
        let mut moment = |path, text: Option<&String>| {
            let text = text?;
            let read = DateTime::parse_from_rfc3339(text);
            if read.is_err() {
                invalid(path, "write a moment as RFC 3339 has it, such as 2026-01-31T12:00:00Z".to_owned());
            }
            read.ok().map(|at| Timestamp(at.timestamp_micros()))
        };
        let (since, until) = (moment("/query/since", self.since.as_ref()), moment("/query/until", self.until.as_ref()));
        if !wrong.is_empty() {
            return Err(Error::invalid(wrong));
        }
        let kind = self.kind.map(|kind| match kind {
            RunKind::Workflow => "workflow".to_owned(),
            RunKind::Script => "script".to_owned(),
        });
        Ok(RunFilter {
            workflow_id: self.workflow_id,
            script: self.script,
            statuses,
            trigger: self.trigger,
            kind,
            since,
            until,
            search: self.search,
            limit: Some(within_limit(self.limit)?),
            before: self.before,
        })
    }
}

/// From where on.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Only the events after this number; the header `Last-Event-ID` says the same and wins.
    after: Option<u64>,
}

/// Runs, newest first.
#[utoipa::path(get, path = "/api/runs", tag = "runs", operation_id = "runs_list", params(ListQuery), responses((status = 200, body = RunPage), (status = 422, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>, Query(query): Query<ListQuery>) -> Result<axum::Json<RunPage>> {
    let page = state.runs().list(query.filter()?).await.map_err(|failure| match failure.code {
        // The one run that a list names.
        Kind::NotFound => Error::invalid_at("/query/before", failure.message),
        _ => failure.into(),
    })?;
    Ok(axum::Json(page))
}

/// A run with its steps and log.
#[utoipa::path(get, path = "/api/runs/{run_id}", tag = "runs", operation_id = "runs_get", params(("run_id" = String, Path)), responses((status = 200, body = Run), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<axum::Json<Run>> {
    Ok(axum::Json(state.runs().get(&id).await?.ok_or_else(|| Error::not_found("run", &id))?))
}

/// Stops a run, whatever it is doing.
#[utoipa::path(post, path = "/api/runs/{run_id}/cancel", tag = "runs", operation_id = "runs_cancel", params(("run_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn cancel(State(state): State<super::State>, Path(id): Path<String>) -> Result<axum::Json<SuccessResponse>> {
    state.runs().cancel(&id).await?;
    Ok(axum::Json(SuccessResponse::new("the run was told to stop", Some(json!({ "run_id": id })))))
}

/// From where on a run is done again.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "from": "send" }))]
pub(crate) struct RetryRequest {
    /// The first step that is done again; without it the first one that did not succeed. The finished steps before it are not done again:
    /// their outputs are used. A step before it that broke off is left out.
    from: Option<String>,
    /// Do everything again.
    all: bool,
    /// End with this node.
    until: Option<String>,
    /// `current`: with the workflow or script as it is stored now, or as it was where that is gone; `original`: as it was.
    code: Code,
}

/// With which code a run is done again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize, serde::Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Code {
    /// What is stored now.
    #[default]
    Current,
    /// What it ran with.
    Original,
}

/// Does a run again, as a new run, from one of its steps on.
#[utoipa::path(post, path = "/api/runs/{run_id}/retry", tag = "runs", operation_id = "runs_retry", params(("run_id" = String, Path)), request_body = RetryRequest, responses((status = 202, body = Started), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn retry(
    State(state): State<super::State>,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<RetryRequest>,
) -> Result<Response> {
    state.enter(Name::GraphExecution)?;
    let RetryRequest { from, all, until, code } = request;
    if all && from.is_some() {
        return Err(Error::invalid_at("/all", "goes without `from`"));
    }
    let ticket = state.runs().retry(&id, Retry { from, all, until, original: code == Code::Original }).await?;
    answer(ticket, false, None).await
}

/// A run's events from the start, then live, as server-sent events. Answers 204 where nothing is left to come, so that an
/// `EventSource` does not connect again.
#[utoipa::path(get, path = "/api/runs/{run_id}/events", tag = "runs", operation_id = "runs_events", params(("run_id" = String, Path), EventsQuery, ("Last-Event-ID" = Option<u64>, Header, description = "Only the events after this number")), responses((status = 200, body = String, content_type = "text/event-stream"), (status = 204, description = "The run is over and all of it was seen"), (status = 404, body = ErrorResponse)))]
pub(crate) async fn events(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let after = match headers.get("last-event-id") {
        None => query.after.unwrap_or(0),
        Some(seen) => seen
            .to_str()
            .ok()
            .and_then(|seen| seen.trim().parse().ok())
            .ok_or_else(|| Error::invalid_at("/header/Last-Event-ID", "write the number of an event"))?,
    };
    let events = state.runs().subscribe(&id, after).await?;
    let mut events = Box::pin(events.take_until(Box::pin(state.shutdown().clone().cancelled_owned()))).peekable();
    let ended = matches!(std::pin::Pin::new(&mut events).peek().now_or_never(), Some(None));
    if after > 0 && ended {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let events = events.map(|event| {
        let (name, text) = (event.what.name(), serde_json::to_string(&event).unwrap_or_default());
        Ok::<_, Infallible>(sse::Event::default().id(event.event_id.to_string()).event(name).data(text))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

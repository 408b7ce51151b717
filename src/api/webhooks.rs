//! `/api/webhooks/{path}`: calls from elsewhere that start workflows and scripts; `/api/webhooks-test/{path}`: the same, to try it out.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::{Error, ErrorResponse, Result};
use super::extract::{Path, Raw};
use super::visit;
use crate::audit::Deed;
use crate::error::Kind;
use crate::host::Answer;
use crate::services::Name;
use crate::triggers::{Delivery, Fired, Respond};

/// Starts the workflows and scripts whose webhook has that path. What is answered, and when, is the webhook's to say. A call that repeats
/// another one (by the webhook's `dedupe_key`) starts nothing and is answered with the first one's run and `duplicate: true`.
#[utoipa::path(
    method(get, post, put, patch, delete),
    path = "/api/webhooks/{path}",
    tag = "webhooks",
    params(("path" = String, Path, description = "The webhook's path, with any number of slashes")),
    request_body(content = Object, description = "JSON, or anything else as a text"),
    responses(
        (status = 200, description = "The first run is over, or its own answer", body = Object),
        (status = 202, description = "The runs were started: `{run_ids}`", body = Object),
        (status = 401, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 405, body = ErrorResponse)
    )
)]
pub(crate) async fn receive(
    State(state): State<super::State>,
    Path(path): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Raw(raw): Raw,
) -> Result<Response> {
    enter(&state)?;
    let delivery = delivery(path, &method, &uri, &headers, raw.into());
    let (path, method) = (delivery.path.clone(), delivery.method.clone());
    let done = received(&state, delivery).await;
    if let Err(error) = &done
        && matches!(error.failure().code, Kind::Unauthenticated | Kind::MethodNotAllowed)
    {
        let details = json!({ "request_id": visit::request_id() });
        let deed = Deed { actor: visit::actor(), action: format!("{method} /api/webhooks"), target: Some(path), details };
        state.audit().denied(deed, error.failure());
    }
    done
}

async fn received(state: &super::State, delivery: Delivery) -> Result<Response> {
    if let Some(run_id) = state.triggers().resume(&delivery).await? {
        return Ok((StatusCode::ACCEPTED, axum::Json(json!({ "run_ids": [run_id] }))).into_response());
    }
    answer(state, state.triggers().fire(delivery).await?).await
}

/// The same for somebody who draws a workflow and tries its webhook out: also one that is switched off, without a signature, and as often as
/// one likes.
#[utoipa::path(
    method(get, post, put, patch, delete),
    path = "/api/webhooks-test/{path}",
    tag = "webhooks",
    params(("path" = String, Path, description = "The webhook's path, with any number of slashes")),
    request_body(content = Object, description = "JSON, or anything else as a text"),
    responses(
        (status = 200, description = "The first run is over, or its own answer", body = Object),
        (status = 202, description = "The runs were started: `{run_ids}`", body = Object),
        (status = 404, body = ErrorResponse), (status = 405, body = ErrorResponse), (status = 422, body = ErrorResponse)
    )
)]
pub(crate) async fn try_out(
    State(state): State<super::State>,
    Path(path): Path<String>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Raw(raw): Raw,
) -> Result<Response> {
    enter(&state)?;
    let delivery = delivery(path, &method, &uri, &headers, raw.into());
    answer(&state, state.triggers().try_out(delivery, &state.runs()).await?).await
}

fn enter(state: &super::State) -> Result<()> {
    state.enter(Name::Triggers)?;
    state.enter(Name::GraphExecution)?;
    Ok(())
}

fn delivery(path: String, method: &Method, uri: &Uri, headers: &HeaderMap, body: Vec<u8>) -> Delivery {
    Delivery {
        method: method.as_str().to_owned(),
        path,
        query: url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect(),
        headers: joined(headers),
        body,
    }
}

/// What the caller gets, when the webhook says.
async fn answer(state: &super::State, fired: Fired) -> Result<Response> {
    let Fired { mut runs, respond: when } = fired;
    let run_ids: Vec<_> = runs.iter().map(|run| run.run_id.clone()).collect();
    if runs.iter().all(|run| run.ticket.is_none()) {
        return repeated(state, when, &run_ids).await;
    }
    let first = runs.iter_mut().find_map(|run| run.ticket.as_mut());
    let Some(first) = first.filter(|_| when != Respond::Immediately) else {
        return Ok((StatusCode::ACCEPTED, axum::Json(json!({ "run_ids": run_ids }))).into_response());
    };
    if when == Respond::ResponseNode
        && let Some(answer) = first.answered().await?
    {
        return respond(&answer);
    }
    let ended = first.recorded().await?;
    let answer =
        json!({ "run_id": first.run_id, "status": ended.status, "result": ended.result, "error": ended.error, "run_ids": run_ids });
    Ok(axum::Json(answer).into_response())
}

/// What the caller gets who said the same before: where the first call's run stands.
async fn repeated(state: &super::State, when: Respond, run_ids: &[String]) -> Result<Response> {
    let first = match run_ids.first().filter(|_| when != Respond::Immediately) {
        Some(id) => state.runs().get(id).await?,
        None => None,
    };
    let Some(run) = first else {
        return Ok((StatusCode::ACCEPTED, axum::Json(json!({ "run_ids": run_ids, "duplicate": true }))).into_response());
    };
    let answer = json!({
        "run_id": run.run_id, "status": run.status, "result": run.result, "error": run.error, "run_ids": run_ids, "duplicate": true
    });
    Ok(axum::Json(answer).into_response())
}

fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        all.entry(name.as_str().to_owned()).and_modify(|known| *known = format!("{known}, {value}")).or_insert_with(|| value.into_owned());
    }
    all
}

/// A run's own answer: a text is sent as it is, anything else as JSON.
fn respond(answer: &Answer) -> Result<Response> {
    let status = StatusCode::from_u16(answer.status).ok().filter(|status| status.as_u16() >= 200);
    let status = status
        .ok_or_else(|| Error::new(Kind::ScriptError, format!("the workflow answered {}: write a status from 200 to 599", answer.status)))?;
    let text: Option<String> = serde_json::from_str(answer.body.get()).ok();
    let (kind, body) = match text {
        Some(text) => ("text/plain; charset=utf-8", text),
        None => ("application/json", answer.body.get().to_owned()),
    };
    let mut response = (status, [(CONTENT_TYPE, HeaderValue::from_static(kind))], body).into_response();
    for (name, value) in &answer.headers {
        // What frames the message on its connection is not a workflow's to say.
        let framing = ["connection", "content-length", "transfer-encoding", "upgrade"].iter().any(|own| name.eq_ignore_ascii_case(own));
        if let (false, Ok(name), Ok(value)) = (framing, HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

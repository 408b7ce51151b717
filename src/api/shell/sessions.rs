//! `/api/shell/sessions` and `/api/shell/history`: shells that stay open, and what ran in them.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::extract::{Json, Path, Query};
use super::success::SuccessResponse;
use super::workflows::{fifty, within_limit};
use super::{display, terminal};
use crate::error::Kind;
use crate::services::Name;
use crate::shell::{HistoryEntry, ShellSessionInfo, ShellSessionRequest};

/// The sessions that are open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShellSessionsResponse {
    /// `true`.
    success: bool,
    /// The oldest first.
    sessions: Vec<ShellSessionInfo>,
    /// How many there are.
    count: usize,
}

/// A session that was opened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShellSessionResponse {
    /// `true`.
    success: bool,
    /// As it is now.
    session: ShellSessionInfo,
}

/// What ran in a session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShellHistoryResponse {
    /// `true`.
    success: bool,
    /// The oldest first.
    history: Vec<HistoryEntry>,
    /// How many commands are kept in all.
    count: u64,
}

/// Which commands.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct HistoryQuery {
    /// At most so many of the last ones, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// Only those before the entry with this id.
    before: Option<u64>,
}

/// The sessions that are open.
#[utoipa::path(get, path = "/api/shell/sessions", tag = "shell", operation_id = "shell_sessions_list", responses((status = 200, body = ShellSessionsResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Answer<ShellSessionsResponse>> {
    state.enter(Name::Shell)?;
    let sessions = state.shells().sessions();
    Ok(Answer(ShellSessionsResponse { success: true, count: sessions.len(), sessions }))
}

/// Opens a session: a real shell in a terminal of its own. Without `shell_type` it is PowerShell.
#[utoipa::path(post, path = "/api/shell/sessions", tag = "shell", operation_id = "shell_sessions_create", request_body = ShellSessionRequest, responses((status = 201, body = ShellSessionResponse), (status = 422, body = ErrorResponse), (status = 429, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn create(
    State(state): State<super::State>,
    Json(request): Json<ShellSessionRequest>,
) -> Result<(StatusCode, Answer<ShellSessionResponse>)> {
    state.enter(Name::Shell)?;
    let allowed = terminal(&state, request.shell_type.as_str())?;
    let opened = state.shells().open(allowed, request, &display(&state)).await;
    let session = opened.map_err(|error| {
        let error = Error::from(error);
        if error.failure().code == Kind::RateLimited { error.with_header(RETRY_AFTER, HeaderValue::from_static("10")) } else { error }
    })?;
    Ok((StatusCode::CREATED, Answer(ShellSessionResponse { success: true, session })))
}

/// Ends a session with everything that runs in it.
#[utoipa::path(delete, path = "/api/shell/sessions/{session_id}", tag = "shell", operation_id = "shell_sessions_delete", params(("session_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Shell)?;
    super::session(&state, &id).await?;
    state.shells().close(&id).await?;
    Ok(Answer(SuccessResponse::new("the session was ended with everything that ran in it", Some(json!({ "session_id": id })))))
}

/// What ran in a session, also in one that has ended.
#[utoipa::path(get, path = "/api/shell/history/{session_id}", tag = "shell", operation_id = "shell_history", params(("session_id" = String, Path), HistoryQuery), responses((status = 200, body = ShellHistoryResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn history(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Query(query): Query<HistoryQuery>,
) -> Result<Answer<ShellHistoryResponse>> {
    state.enter(Name::Shell)?;
    let (history, count) = state.shells().history(&id, within_limit(query.limit)?, query.before).await?;
    Ok(Answer(ShellHistoryResponse { success: true, history, count }))
}

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
use crate::shell::{HistoryEntry, PastSession, ScreenText, SessionEnd, ShellSessionInfo, ShellSessionRequest, TerminalSize};

/// The sessions that are open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShellSessionsResponse {
    /// `true`.
    success: bool,
    /// The oldest first.
    sessions: Vec<ShellSessionInfo>,
    /// How many there are.
    count: usize,
    /// The last ones that have ended, the newest first, where they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Vec<EndedSession>>,
}

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct SessionsQuery {
    /// How many of those that have ended, 0–500.
    #[serde(default)]
    #[param(minimum = 0, maximum = 500, default = 0)]
    ended: u32,
}

/// A session that has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EndedSession {
    /// Its id.
    session_id: String,
    /// What people called it.
    name: String,
    /// Its shell.
    shell_type: String,
    /// RFC 3339 UTC.
    created_at: String,
    /// How it ended.
    end: Option<SessionEnd>,
}

/// A session, open or not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShellSessionDetails {
    /// `true`.
    success: bool,
    /// `open` or `ended`.
    status: &'static str,
    /// What is known of it while it is open.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<ShellSessionInfo>,
    /// What is known of it once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<EndedSession>,
}

/// What the terminal of a session shows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShellScreenResponse {
    /// `true`.
    success: bool,
    /// `open` or `ended`: then it is what it showed last.
    status: &'static str,
    /// The screen.
    screen: ScreenText,
}

/// How much of the screen.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ScreenQuery {
    /// Also what went out at its top, up to 1000 lines.
    #[serde(default)]
    scrollback: bool,
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

/// The sessions that are open; with `ended` also the last ones that have ended.
#[utoipa::path(get, path = "/api/shell/sessions", tag = "shell", operation_id = "shell_sessions_list", params(SessionsQuery), responses((status = 200, body = ShellSessionsResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>, Query(query): Query<SessionsQuery>) -> Result<Answer<ShellSessionsResponse>> {
    state.enter(Name::Shell)?;
    let ended = match query.ended {
        0 => None,
        limit => Some(state.shells().ended(within_limit(limit)?).await?.into_iter().map(ended).collect()),
    };
    let sessions = state.shells().sessions();
    Ok(Answer(ShellSessionsResponse { success: true, count: sessions.len(), sessions, ended }))
}

/// A session, open or not.
#[utoipa::path(get, path = "/api/shell/sessions/{session_id}", tag = "shell", operation_id = "shell_sessions_get", params(("session_id" = String, Path)), responses((status = 200, body = ShellSessionDetails), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<ShellSessionDetails>> {
    state.enter(Name::Shell)?;
    let open = state.shells().sessions().into_iter().find(|session| session.session_id == id);
    Ok(Answer(match open {
        Some(session) => ShellSessionDetails { success: true, status: "open", session: Some(session), ended: None },
        None => ShellSessionDetails { success: true, status: "ended", session: None, ended: Some(ended(state.shells().past(&id).await?)) },
    }))
}

/// What the terminal of a session shows as text, or showed last where it has ended.
#[utoipa::path(get, path = "/api/shell/sessions/{session_id}/screen", tag = "shell", operation_id = "shell_sessions_screen", params(("session_id" = String, Path), ScreenQuery), responses((status = 200, body = ShellScreenResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn screen(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Query(query): Query<ScreenQuery>,
) -> Result<Answer<ShellScreenResponse>> {
    state.enter(Name::Shell)?;
    match super::session(&state, &id).await {
        Ok((session, _)) => Ok(Answer(ShellScreenResponse { success: true, status: "open", screen: session.screen(query.scrollback) })),
        Err(error) if error.failure().code == Kind::Conflict => {
            let text = state.shells().past(&id).await?.end.map(|end| end.screen).unwrap_or_default();
            let screen = ScreenText { text, size: TerminalSize::default(), column: 0, row: 0, cursor_visible: false, alternate: false };
            Ok(Answer(ShellScreenResponse { success: true, status: "ended", screen }))
        }
        Err(error) => Err(error),
    }
}

fn ended(past: PastSession) -> EndedSession {
    let PastSession { session_id, name, shell, created_at, end } = past;
    EndedSession { session_id, name, shell_type: shell, created_at, end }
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

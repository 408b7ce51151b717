//! `/api/shell/sessions/{session_id}/recording`: a session written down as it was seen, to be played again.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::error::{ErrorResponse, Result};
use super::extract::Path;
use super::session;
use super::state::blocking;
use super::success::SuccessResponse;
use crate::services::Name;
use crate::shell;

/// Begins to record a session, from what its terminal shows now. A recording that there was before is written over.
#[utoipa::path(post, path = "/api/shell/sessions/{session_id}/recording", tag = "shell", operation_id = "shell_recording_start", params(("session_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn start(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Shell)?;
    let (session, _) = session(&state, &id).await?;
    blocking(move || Ok(session.record()?)).await?;
    Ok(Answer(SuccessResponse::new("the session is being recorded", Some(json!({ "session_id": id })))))
}

/// Stops recording a session. What was recorded stays.
#[utoipa::path(delete, path = "/api/shell/sessions/{session_id}/recording", tag = "shell", operation_id = "shell_recording_stop", params(("session_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn stop(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Shell)?;
    let (session, _) = session(&state, &id).await?;
    session.stop_recording()?;
    Ok(Answer(SuccessResponse::new("the session is no longer recorded", Some(json!({ "session_id": id })))))
}

/// The recording of a session, open or not, in the format asciicast v2: `asciinema play` plays it. While it is being recorded, it is what
/// there is so far.
#[utoipa::path(get, path = "/api/shell/sessions/{session_id}/recording", tag = "shell", operation_id = "shell_recording_get", params(("session_id" = String, Path)), responses((status = 200, body = Vec<u8>, content_type = "application/x-asciicast"), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<Response> {
    state.enter(Name::Shell)?;
    let path = state.shells().recording(&id).await?;
    let bytes = blocking(move || Ok(std::fs::read(path).map_err(shell::Error::NotRecorded)?)).await?;
    let marks = [
        (CONTENT_TYPE, "application/x-asciicast".to_owned()),
        (CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.cast\"")),
        (X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((marks, bytes).into_response())
}

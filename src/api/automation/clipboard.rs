//! `/api/automation/clipboard`: the text on the desktop's clipboard.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::desktop::targets::TargetQuery;
use super::super::error::{ErrorResponse, Result};
use super::super::extract::{Json, Query};
use super::super::success::AutomationResponse;
use crate::api::State as Rooms;
use crate::services::Name;

/// A text for the clipboard.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClipboardSetRequest {
    /// The text.
    text: String,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// The text on the clipboard as `data.text`; empty where there is nothing, 409 where there is something else than a text.
#[utoipa::path(get, path = "/api/automation/clipboard", tag = "automation", operation_id = "clipboard_read", params(TargetQuery), responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn read(State(state): State<Rooms>, Query(query): Query<TargetQuery>) -> Result<Answer<AutomationResponse>> {
    state.enter(Name::ClickAutomation)?;
    state.grant().clipboard()?;
    let text = state.on_desktop(query.target, |desktop, _| Ok(desktop.clipboard().get()?)).await?;
    let message = format!("the clipboard holds {} characters", text.chars().count());
    Ok(Answer(AutomationResponse::new(message, Some(json!({ "text": text })))))
}

/// Puts a text on the clipboard.
#[utoipa::path(post, path = "/api/automation/clipboard", tag = "automation", operation_id = "clipboard_set", request_body = ClipboardSetRequest, responses((status = 200, body = AutomationResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn write(State(state): State<Rooms>, Json(request): Json<ClipboardSetRequest>) -> Result<Answer<AutomationResponse>> {
    state.enter(Name::ClickAutomation)?;
    state.grant().clipboard()?;
    let characters = request.text.chars().count();
    state.on_desktop(request.target, move |desktop, _| Ok(desktop.clipboard().set(&request.text)?)).await?;
    let message = format!("put {characters} characters on the clipboard");
    Ok(Answer(AutomationResponse::new(message, Some(json!({ "characters": characters })))))
}

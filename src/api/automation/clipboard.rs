//! `/api/automation/clipboard`: the text on the desktop's clipboard.

use axum::Json as Answer;
use axum::extract::State;
use serde_json::json;

use super::super::error::{ErrorResponse, Result};
use super::super::extract::Json;
use super::super::success::AutomationResponse;
use crate::api::State as Rooms;
use crate::clipboard::ClipboardText;
use crate::services::Name;

/// The text on the clipboard as `data.text`; empty where there is nothing, 409 where there is something else than a text.
#[utoipa::path(get, path = "/api/automation/clipboard", tag = "automation", operation_id = "clipboard_read", responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn read(State(state): State<Rooms>) -> Result<Answer<AutomationResponse>> {
    state.enter(Name::ClickAutomation)?;
    state.grant().clipboard()?;
    let text = state.on_desktop(|desktop, _| Ok(desktop.clipboard().get()?)).await?;
    let message = format!("the clipboard holds {} characters", text.chars().count());
    Ok(Answer(AutomationResponse::new(message, Some(json!({ "text": text })))))
}

/// Puts a text on the clipboard.
#[utoipa::path(post, path = "/api/automation/clipboard", tag = "automation", operation_id = "clipboard_set", request_body = ClipboardText, responses((status = 200, body = AutomationResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn write(State(state): State<Rooms>, Json(request): Json<ClipboardText>) -> Result<Answer<AutomationResponse>> {
    state.enter(Name::ClickAutomation)?;
    state.grant().clipboard()?;
    let characters = request.text.chars().count();
    state.on_desktop(move |desktop, _| Ok(desktop.clipboard().set(&request.text)?)).await?;
    let message = format!("put {characters} characters on the clipboard");
    Ok(Answer(AutomationResponse::new(message, Some(json!({ "characters": characters })))))
}

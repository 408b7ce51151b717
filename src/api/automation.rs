//! `/api/automation`: the mouse and the keyboard.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract::Json;
use super::state::blocking;
use super::success::AutomationResponse;
use crate::input::{Button, Click, TypeText};
use crate::services::Name;

/// Click at a point, in physical pixels of the whole virtual screen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "x": 100, "y": 200, "button": "left", "clicks": 1, "duration": 0.1, "scale_coordinates": true }))]
pub(crate) struct MouseClickRequest {
    /// From the left.
    x: i32,
    /// From the top.
    y: i32,
    /// Which button.
    #[serde(default)]
    button: Button,
    /// How many times.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100)]
    clicks: u32,
    /// Seconds each click holds the button down.
    #[serde(default = "tenth")]
    #[schema(minimum = 0, maximum = 60)]
    duration: f64,
    /// Map from the size the client was last shown to physical pixels; without a stream there is nothing to map.
    #[serde(default = "yes")]
    #[expect(dead_code, reason = "accepted as the specification says; it takes effect with streams, which set a scale")]
    scale_coordinates: bool,
}

/// Type a text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "text": "Hello World", "interval": 0.01 }))]
pub(crate) struct KeyboardTypeRequest {
    /// The text. A line break presses Return, a tab Tab; other control characters are refused.
    text: String,
    /// Seconds between two characters.
    #[serde(default = "hundredth")]
    #[schema(minimum = 0, maximum = 60)]
    interval: f64,
}

fn one() -> u32 {
    1
}

fn tenth() -> f64 {
    0.1
}

fn hundredth() -> f64 {
    0.01
}

fn yes() -> bool {
    true
}

/// Clicks.
#[utoipa::path(post, path = "/api/automation/mouse/click", tag = "automation", operation_id = "mouse_click", request_body = MouseClickRequest, responses((status = 200, body = AutomationResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn click(State(state): State<super::State>, Json(request): Json<MouseClickRequest>) -> Result<Answer<AutomationResponse>> {
    state.enter(Name::ClickAutomation)?;
    let MouseClickRequest { x, y, button, clicks, duration, .. } = request;
    let click = Click { x, y, button, clicks, duration };
    state.grant().input()?;
    state.on_desktop(move |desktop, cancel| Ok(desktop.input().click(&click, cancel)?)).await?;
    let data = json!({ "x": x, "y": y, "button": button, "clicks": clicks });
    Ok(Answer(AutomationResponse::new(format!("clicked at {x}, {y}"), Some(data))))
}

/// Types a text.
#[utoipa::path(post, path = "/api/automation/keyboard/type", tag = "automation", operation_id = "keyboard_type", request_body = KeyboardTypeRequest, responses((status = 200, body = AutomationResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn type_text(
    State(state): State<super::State>,
    Json(request): Json<KeyboardTypeRequest>,
) -> Result<Answer<AutomationResponse>> {
    state.enter(Name::ClickAutomation)?;
    let text = TypeText { text: request.text, interval: request.interval };
    state.grant().input()?;
    let characters = state.on_desktop(move |desktop, cancel| Ok(desktop.input().type_text(&text, cancel)?)).await?;
    Ok(Answer(AutomationResponse::new(format!("typed {characters} characters"), Some(json!({ "characters": characters })))))
}

/// What automation works with.
#[utoipa::path(get, path = "/api/automation/status", tag = "automation", operation_id = "automation_status", responses((status = 200, body = AutomationResponse)))]
pub(crate) async fn status(State(state): State<super::State>) -> Result<Answer<AutomationResponse>> {
    // Without a screen the rest is still worth knowing.
    let seen = state.on_desktop(|desktop, _| Ok((desktop.name().to_owned(), desktop.screen().bounds()?))).await.ok();
    let data = json!({
        "automation_mode": seen.as_ref().map_or("none", |(name, _)| name),
        "screen_size": seen.as_ref().map(|(_, bounds)| json!({ "width": bounds.width, "height": bounds.height })),
        "scale_factor": 1.0,
        "easyocr_available": false,
        "tesseract_available": tesseract(&state).await,
    });
    Ok(Answer(AutomationResponse::new("automation is ready", Some(data))))
}

/// What can be called; nothing that cannot is listed.
#[utoipa::path(get, path = "/api/automation/capabilities", tag = "automation", operation_id = "automation_capabilities", responses((status = 200, body = Object)))]
pub(crate) async fn capabilities(State(state): State<super::State>) -> Result<Answer<Value>> {
    let on = state.config().services.click_automation;
    let tesseract = tesseract(&state).await;
    let listed = |there: bool, name: &'static str| if there { vec![name] } else { Vec::new() };
    Ok(Answer(json!({
        "mouse_actions": listed(on, "click"),
        "keyboard_actions": listed(on, "type"),
        "ocr_engines": listed(tesseract && state.config().services.ocr, "tesseract"),
        "screenshot_formats": ["png", "jpeg", "webp"],
    })))
}

/// Whether Tesseract can read any language.
async fn tesseract(state: &super::State) -> bool {
    let ocr = Arc::clone(state.ocr());
    blocking(move || Ok(ocr.languages()?)).await.is_ok_and(|languages| !languages.is_empty())
}

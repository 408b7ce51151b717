//! `/api/automation/keyboard`. Keys are named as PyAutoGUI names them.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::error::{ErrorResponse, Result};
use super::super::extract::Json;
use super::super::success::AutomationResponse;
use super::act;
use crate::api::State as Rooms;
use crate::desktop::Action;
use crate::input::{Hotkey, KeyHold, Press, TypeText};

/// Type a text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "text": "Hello World", "interval": 0.01 }))]
pub(crate) struct KeyboardTypeRequest {
    /// The text. A line break presses Return, a tab Tab; other control characters are refused.
    #[schema(max_length = 65536)]
    text: String,
    /// Seconds between two characters.
    #[serde(default = "hundredth")]
    #[schema(minimum = 0, maximum = 60)]
    interval: f64,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// Press a key and let it go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "key": "enter", "presses": 1, "interval": 0 }))]
pub(crate) struct KeyboardPressRequest {
    /// A key as PyAutoGUI spells it: `enter`, `f5`, `a`, `ctrlleft`, …
    key: String,
    /// How many times.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 1000)]
    presses: u32,
    /// Seconds between two presses.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 60)]
    interval: f64,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// Press several keys together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "keys": ["ctrl", "shift", "t"] }))]
pub(crate) struct KeyboardHotkeyRequest {
    /// The keys, in the order in which they go down.
    #[schema(min_items = 1, max_items = 10)]
    keys: Vec<String>,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// Press a key and keep it down, or let it go.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "key": "shift" }))]
pub(crate) struct KeyboardKeyRequest {
    /// A key as PyAutoGUI spells it.
    key: String,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

fn one() -> u32 {
    1
}

fn hundredth() -> f64 {
    0.01
}

/// Types a text, whatever the keyboard's layout.
#[utoipa::path(post, path = "/api/automation/keyboard/type", tag = "automation", operation_id = "keyboard_type", request_body = KeyboardTypeRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn type_text(State(state): State<Rooms>, Json(request): Json<KeyboardTypeRequest>) -> Result<Answer<AutomationResponse>> {
    let KeyboardTypeRequest { text, interval, target } = request;
    // Who calls says what is typed.
    let characters = act(&state, target, Action::Type(TypeText { text, interval, allow_control: true })).await?;
    done(format!("typed {characters} characters"), json!({ "characters": characters }))
}

/// Presses a key and lets it go.
#[utoipa::path(post, path = "/api/automation/keyboard/press", tag = "automation", operation_id = "keyboard_press", request_body = KeyboardPressRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn press(State(state): State<Rooms>, Json(request): Json<KeyboardPressRequest>) -> Result<Answer<AutomationResponse>> {
    let KeyboardPressRequest { key, presses, interval, target } = request;
    act(&state, target, Action::Press(Press { key: key.clone(), presses, interval })).await?;
    done(format!("pressed {key}"), json!({ "key": key, "presses": presses }))
}

/// Presses several keys together: down in their order, up in the reverse one.
#[utoipa::path(post, path = "/api/automation/keyboard/hotkey", tag = "automation", operation_id = "keyboard_hotkey", request_body = KeyboardHotkeyRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn hotkey(State(state): State<Rooms>, Json(request): Json<KeyboardHotkeyRequest>) -> Result<Answer<AutomationResponse>> {
    act(&state, request.target, Action::Hotkey(Hotkey { keys: request.keys.clone() })).await?;
    done(format!("pressed {}", request.keys.join("+")), json!({ "keys": request.keys }))
}

/// Presses a key and keeps it down: until `up`, or until `click_automation` is restarted.
#[utoipa::path(post, path = "/api/automation/keyboard/down", tag = "automation", operation_id = "keyboard_down", request_body = KeyboardKeyRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn down(State(state): State<Rooms>, Json(request): Json<KeyboardKeyRequest>) -> Result<Answer<AutomationResponse>> {
    act(&state, request.target, Action::KeyDown(KeyHold { key: request.key.clone() })).await?;
    done(format!("{} is down", request.key), json!({ "key": request.key }))
}

/// Lets a key go.
#[utoipa::path(post, path = "/api/automation/keyboard/up", tag = "automation", operation_id = "keyboard_up", request_body = KeyboardKeyRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn up(State(state): State<Rooms>, Json(request): Json<KeyboardKeyRequest>) -> Result<Answer<AutomationResponse>> {
    act(&state, request.target, Action::KeyUp(KeyHold { key: request.key.clone() })).await?;
    done(format!("{} is up", request.key), json!({ "key": request.key }))
}

fn done(message: String, data: serde_json::Value) -> Result<Answer<AutomationResponse>> {
    Ok(Answer(AutomationResponse::new(message, Some(data))))
}

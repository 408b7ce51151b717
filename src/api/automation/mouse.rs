//! `/api/automation/mouse`.

use axum::Json as Answer;
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::super::desktop::targets::TargetQuery;
use super::super::error::{ErrorResponse, Result};
use super::super::extract::{Json, Query};
use super::super::success::AutomationResponse;
use super::act;
use crate::api::State as Rooms;
use crate::desktop::Action;
use crate::input::{Button, Click, Drag, Hold, Move, Point, Scroll};
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
    /// Map from the size of streamed pictures (`scale_factor` of `/api/desktop/streaming/configure`) to physical pixels.
    #[serde(default = "yes")]
    scale_coordinates: bool,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// Move the pointer to a point.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "x": 100, "y": 200, "duration": 0.5 }))]
pub(crate) struct MouseMoveRequest {
    /// From the left.
    x: i32,
    /// From the top.
    y: i32,
    /// Seconds the way takes.
    #[serde(default)]
    #[schema(minimum = 0, maximum = 60)]
    duration: f64,
    /// As for a click.
    #[serde(default = "yes")]
    scale_coordinates: bool,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// Press at one point, release at another.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "from_x": 100, "from_y": 200, "to_x": 300, "to_y": 200, "button": "left", "duration": 0.5 }))]
pub(crate) struct MouseDragRequest {
    /// Start, from the left.
    from_x: i32,
    /// Start, from the top.
    from_y: i32,
    /// End, from the left.
    to_x: i32,
    /// End, from the top.
    to_y: i32,
    /// Which button.
    #[serde(default)]
    button: Button,
    /// Seconds the way takes.
    #[serde(default = "quarter")]
    #[schema(minimum = 0, maximum = 60)]
    duration: f64,
    /// As for a click.
    #[serde(default = "yes")]
    scale_coordinates: bool,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// Turn the wheel, where the pointer is or at a point.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "x": 100, "y": 200, "dx": 0, "dy": 3 }))]
pub(crate) struct MouseScrollRequest {
    /// Where to move the pointer first, from the left.
    #[serde(default)]
    x: Option<i32>,
    /// Where to move the pointer first, from the top.
    #[serde(default)]
    y: Option<i32>,
    /// Steps to the right.
    #[serde(default)]
    #[schema(minimum = -1000, maximum = 1000)]
    dx: i32,
    /// Steps down.
    #[serde(default)]
    #[schema(minimum = -1000, maximum = 1000)]
    dy: i32,
    /// As for a click.
    #[serde(default = "yes")]
    scale_coordinates: bool,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// Press or release a button, where the pointer is or at a point.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "x": 100, "y": 200, "button": "left" }))]
pub(crate) struct MouseButtonRequest {
    /// Where to move the pointer first, from the left.
    #[serde(default)]
    x: Option<i32>,
    /// Where to move the pointer first, from the top.
    #[serde(default)]
    y: Option<i32>,
    /// Which button.
    #[serde(default)]
    button: Button,
    /// As for a click.
    #[serde(default = "yes")]
    scale_coordinates: bool,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

fn one() -> u32 {
    1
}

fn tenth() -> f64 {
    0.1
}

fn quarter() -> f64 {
    0.25
}

fn yes() -> bool {
    true
}

/// Clicks.
#[utoipa::path(post, path = "/api/automation/mouse/click", tag = "automation", operation_id = "mouse_click", request_body = MouseClickRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn click(State(state): State<Rooms>, Json(request): Json<MouseClickRequest>) -> Result<Answer<AutomationResponse>> {
    let MouseClickRequest { x, y, button, clicks, duration, scale_coordinates, target } = request;
    let (x, y) = point(&state, scale_coordinates, x, y);
    act(&state, target, Action::Click(Click { x, y, button, clicks, duration })).await?;
    done(format!("clicked at {x}, {y}"), json!({ "x": x, "y": y, "button": button, "clicks": clicks }))
}

/// Moves the pointer, in a straight line where that is to take time.
#[utoipa::path(post, path = "/api/automation/mouse/move", tag = "automation", operation_id = "mouse_move", request_body = MouseMoveRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn move_to(State(state): State<Rooms>, Json(request): Json<MouseMoveRequest>) -> Result<Answer<AutomationResponse>> {
    let (x, y) = point(&state, request.scale_coordinates, request.x, request.y);
    act(&state, request.target, Action::Move(Move { x, y, duration: request.duration })).await?;
    done(format!("moved to {x}, {y}"), json!({ "x": x, "y": y }))
}

/// Presses a button at one point, moves, and releases it at another.
#[utoipa::path(post, path = "/api/automation/mouse/drag", tag = "automation", operation_id = "mouse_drag", request_body = MouseDragRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn drag(State(state): State<Rooms>, Json(request): Json<MouseDragRequest>) -> Result<Answer<AutomationResponse>> {
    let (from_x, from_y) = point(&state, request.scale_coordinates, request.from_x, request.from_y);
    let (to_x, to_y) = point(&state, request.scale_coordinates, request.to_x, request.to_y);
    let MouseDragRequest { button, duration, target, .. } = request;
    act(&state, target, Action::Drag(Drag { from_x, from_y, to_x, to_y, button, duration })).await?;
    let data = json!({ "from_x": from_x, "from_y": from_y, "to_x": to_x, "to_y": to_y, "button": button });
    done(format!("dragged from {from_x}, {from_y} to {to_x}, {to_y}"), data)
}

/// Turns the wheel: positive `dy` scrolls down, positive `dx` to the right.
#[utoipa::path(post, path = "/api/automation/mouse/scroll", tag = "automation", operation_id = "mouse_scroll", request_body = MouseScrollRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn scroll(State(state): State<Rooms>, Json(request): Json<MouseScrollRequest>) -> Result<Answer<AutomationResponse>> {
    let MouseScrollRequest { dx, dy, .. } = request;
    let (x, y) = place(&state, request.scale_coordinates, request.x, request.y);
    act(&state, request.target, Action::Scroll(Scroll { x, y, dx, dy })).await?;
    done(format!("turned the wheel {dy} down and {dx} to the right"), json!({ "dx": dx, "dy": dy }))
}

/// Presses a button and keeps it down: until `up`, or until `click_automation` is restarted.
#[utoipa::path(post, path = "/api/automation/mouse/down", tag = "automation", operation_id = "mouse_down", request_body = MouseButtonRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn down(State(state): State<Rooms>, Json(request): Json<MouseButtonRequest>) -> Result<Answer<AutomationResponse>> {
    let (x, y) = place(&state, request.scale_coordinates, request.x, request.y);
    act(&state, request.target, Action::ButtonDown(Hold { x, y, button: request.button })).await?;
    done("pressed the button".to_owned(), json!({ "button": request.button }))
}

/// Lets a button go.
#[utoipa::path(post, path = "/api/automation/mouse/up", tag = "automation", operation_id = "mouse_up", request_body = MouseButtonRequest, responses((status = 200, body = AutomationResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn up(State(state): State<Rooms>, Json(request): Json<MouseButtonRequest>) -> Result<Answer<AutomationResponse>> {
    let (x, y) = place(&state, request.scale_coordinates, request.x, request.y);
    act(&state, request.target, Action::ButtonUp(Hold { x, y, button: request.button })).await?;
    done("let the button go".to_owned(), json!({ "button": request.button }))
}

/// Where the pointer is, in physical pixels of the whole virtual screen.
#[utoipa::path(get, path = "/api/automation/mouse/position", tag = "automation", operation_id = "mouse_position", params(TargetQuery), responses((status = 200, body = Point), (status = 503, body = ErrorResponse)))]
pub(crate) async fn position(State(state): State<Rooms>, Query(query): Query<TargetQuery>) -> Result<Answer<Point>> {
    state.enter(Name::ClickAutomation)?;
    state.grant().input()?;
    Ok(Answer(state.on_desktop(query.target, |desktop, _| Ok(desktop.input().position()?)).await?))
}

fn done(message: String, data: serde_json::Value) -> Result<Answer<AutomationResponse>> {
    Ok(Answer(AutomationResponse::new(message, Some(data))))
}

/// The point of the screen that is meant.
fn point(state: &Rooms, scale: bool, x: i32, y: i32) -> (i32, i32) {
    if scale { state.desktops().streams().usual().to_screen(x, y) } else { (x, y) }
}

/// The same for a point that may be left out. Half a point stays one, and is refused where it is used.
fn place(state: &Rooms, scale: bool, x: Option<i32>, y: Option<i32>) -> (Option<i32>, Option<i32>) {
    match (x, y) {
        (Some(x), Some(y)) => {
            let (x, y) = point(state, scale, x, y);
            (Some(x), Some(y))
        }
        half => half,
    }
}

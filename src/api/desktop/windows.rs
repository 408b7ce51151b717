//! `/api/desktop/windows`: which windows there are, a picture of one, and what its title bar can do.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::HeaderName;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::pin;
use utoipa::{IntoParams, ToSchema};

use super::super::error::{Error, ErrorResponse, Result};
use super::super::extract::{Json, Path, Query};
use super::super::success::AutomationResponse;
use super::super::visit;
use super::picture::{Shown, Wanted, answer};
use super::targets::TargetQuery;
use crate::api::State as Rooms;
use crate::desktop::Who;
use crate::screen::{Extent, ImageFormat};
use crate::services::Name;
use crate::windows::{Act, Filter, Window};

/// What others are told who has the desktop.
const WHO: &str = "an action over REST";
/// Says how much of a window its picture shows.
const EXTENT: HeaderName = HeaderName::from_static("x-window-extent");

/// The windows that fit.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "windows": [{ "id": 2097164, "title": "notes.txt - Editor", "class": "Editor", "instance": "editor", "pid": 4711, "x": 100, "y": 50, "width": 802, "height": 620, "frame": { "left": 1, "right": 1, "top": 20, "bottom": 5 }, "monitor": 0, "is_focused": true, "is_visible": true, "is_minimized": false, "is_maximized": false, "is_fullscreen": false }], "count": 1 }))]
pub(crate) struct WindowList {
    /// The top-most first; those that are minimized last.
    windows: Vec<Window>,
    /// How many there are.
    count: usize,
}

/// Which windows are meant: those that fit all that is given.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WindowQuery {
    /// A part of the title; capital and small letters are the same.
    title: Option<String>,
    /// A regular expression that a part of the title fits.
    title_regex: Option<String>,
    /// The class or the instance, whole; capital and small letters are the same.
    class: Option<String>,
    /// The process.
    pid: Option<u32>,
    /// The desktop's name; without it the default one.
    target: Option<String>,
}

/// How the picture is to be.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WindowImageQuery {
    /// 1–100; for JPEG.
    #[serde(default = "quality")]
    #[param(minimum = 1, maximum = 100, default = 85)]
    quality: u8,
    /// `jpeg`, `png` or `webp`; without it what `Accept` names, else `jpeg`.
    #[param(inline)]
    format: Option<ImageFormat>,
    /// The desktop's name; without it the default one.
    target: Option<String>,
}

fn quality() -> u8 {
    85
}

/// Where the corner of the window's frame is to be, in physical pixels of the virtual screen.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "x": 100, "y": 50 }))]
pub(crate) struct WindowMoveRequest {
    /// From the left.
    #[schema(minimum = -32768, maximum = 32767)]
    x: i32,
    /// From the top.
    #[schema(minimum = -32768, maximum = 32767)]
    y: i32,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// How large the window is to be, frame included.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "width": 800, "height": 600 }))]
pub(crate) struct WindowResizeRequest {
    /// From left to right.
    #[schema(minimum = 1, maximum = 32767)]
    width: u32,
    /// From top to bottom.
    #[schema(minimum = 1, maximum = 32767)]
    height: u32,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// All windows that fit, the top-most first.
#[utoipa::path(get, path = "/api/desktop/windows", tag = "desktop", operation_id = "desktop_windows", params(WindowQuery), responses((status = 200, body = WindowList), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<Rooms>, Query(query): Query<WindowQuery>) -> Result<Answer<WindowList>> {
    let WindowQuery { title, title_regex, class, pid, target } = query;
    let filter = Filter { title, title_regex, class, pid };
    state.enter(Name::LiveDesktop)?;
    state.grant().screen()?;
    let windows = state.on_desktop(target, move |desktop, _| Ok(desktop.windows().list(&filter)?)).await?;
    Ok(Answer(WindowList { count: windows.len(), windows }))
}

/// One window.
#[utoipa::path(get, path = "/api/desktop/windows/{id}", tag = "desktop", operation_id = "desktop_window", params(("id" = String, Path, description = "The window's number."), TargetQuery), responses((status = 200, body = Window), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<Rooms>, Path(id): Path<String>, Query(query): Query<TargetQuery>) -> Result<Answer<Window>> {
    let id = number(&id)?;
    state.enter(Name::LiveDesktop)?;
    state.grant().screen()?;
    Ok(Answer(state.on_desktop(query.target, move |desktop, _| Ok(desktop.windows().get(id)?)).await?))
}

/// A picture of a window with its frame, without raising it: the bare image, or JSON with `Accept: application/json`. `X-Window-Extent` is
/// `whole`, or `visible` where the display can only show what lies on the screen, with what covers it.
#[utoipa::path(get, path = "/api/desktop/windows/{id}/image", tag = "desktop", operation_id = "desktop_window_image", params(("id" = String, Path, description = "The window's number."), WindowImageQuery), responses((status = 200, content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"), (AutomationResponse = "application/json")), headers(("X-Window-Extent" = String, description = "How much of the window it shows."))), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn image(
    State(state): State<Rooms>,
    Path(id): Path<String>,
    headers: HeaderMap,
    Query(query): Query<WindowImageQuery>,
) -> Result<Response> {
    let id = number(&id)?;
    if !(1..=100).contains(&query.quality) {
        return Err(Error::invalid_at("/query/quality", "write a number from 1 to 100"));
    }
    let wanted = Wanted::by(&headers);
    let format = query.format.or(wanted.format).unwrap_or_default();
    state.enter(Name::LiveDesktop)?;
    state.grant().screen()?;
    let shot = state.on_desktop(query.target, move |desktop, _| {
        let (frame, extent) = desktop.capture_window(id)?;
        Ok((frame.encode(format, u32::from(query.quality))?, frame.width(), frame.height(), extent))
    });
    let (bytes, width, height, extent) = shot.await?;
    let (name, facts) = match extent {
        Extent::Whole => ("whole", json!({ "window": id, "extent": "whole" })),
        Extent::Visible => ("visible", json!({ "window": id, "extent": "visible" })),
    };
    let mut response = answer(Shown { bytes, width, height, format }, facts, wanted.image || !wanted.json);
    response.headers_mut().insert(EXTENT, axum::http::HeaderValue::from_static(name));
    Ok(response)
}

macro_rules! acts {
    ($($name:ident, $path:literal, $id:literal, $doc:literal, $act:expr, $done:literal;)*) => {$(
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = "desktop", operation_id = $id, params(("id" = String, Path, description = "The window's number."), TargetQuery), responses((status = 200, body = AutomationResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
        pub(crate) async fn $name(
            State(state): State<Rooms>,
            Path(id): Path<String>,
            Query(query): Query<TargetQuery>,
        ) -> Result<Answer<AutomationResponse>> {
            act(&state, query.target, &id, $act, $done).await
        }
    )*};
}

acts! {
    focus, "/api/desktop/windows/{id}/focus", "desktop_window_focus",
        "Raises a window and lets keys go to it; one that is minimized comes back.", Act::Focus, "raised";
    minimize, "/api/desktop/windows/{id}/minimize", "desktop_window_minimize",
        "Puts a window away.", Act::Minimize, "minimized";
    maximize, "/api/desktop/windows/{id}/maximize", "desktop_window_maximize",
        "Lets a window fill its monitor.", Act::Maximize, "maximized";
    restore, "/api/desktop/windows/{id}/restore", "desktop_window_restore",
        "Undoes what was last of minimized, fullscreen and maximized.", Act::Restore, "restored";
    close, "/api/desktop/windows/{id}/close", "desktop_window_close",
        "Asks a window to close. Where it asks back and stays, `data.window` is what it is like then, and else null.", Act::Close,
        "asked to close";
}

/// Puts the corner of a window's frame at a point; `data.window` is where it came to.
#[utoipa::path(post, path = "/api/desktop/windows/{id}/move", tag = "desktop", operation_id = "desktop_window_move", params(("id" = String, Path, description = "The window's number.")), request_body = WindowMoveRequest, responses((status = 200, body = AutomationResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn move_to(
    State(state): State<Rooms>,
    Path(id): Path<String>,
    Json(WindowMoveRequest { x, y, target }): Json<WindowMoveRequest>,
) -> Result<Answer<AutomationResponse>> {
    act(&state, target, &id, Act::Move { x, y }, "moved").await
}

/// Gives a window a size, frame included; `data.window` has the one that it took.
#[utoipa::path(post, path = "/api/desktop/windows/{id}/resize", tag = "desktop", operation_id = "desktop_window_resize", params(("id" = String, Path, description = "The window's number.")), request_body = WindowResizeRequest, responses((status = 200, body = AutomationResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn resize(
    State(state): State<Rooms>,
    Path(id): Path<String>,
    Json(WindowResizeRequest { width, height, target }): Json<WindowResizeRequest>,
) -> Result<Answer<AutomationResponse>> {
    act(&state, target, &id, Act::Resize { width, height }, "resized").await
}

async fn act(state: &Rooms, target: Option<String>, id: &str, act: Act, done: &str) -> Result<Answer<AutomationResponse>> {
    let id = number(id)?;
    let cancel = state.enter(Name::ClickAutomation)?.child_token();
    state.grant().input()?;
    let desktop = state.desktops().reach(target.as_deref()).await?;
    let acting = desktop.act_on_window(Who::action(WHO, visit::control_token()), id, act, &cancel);
    pin!(acting);
    let early = tokio::select! {
        biased;
        window = &mut acting => Some(window),
        () = state.shutdown().cancelled() => None,
    };
    let window = match early {
        Some(window) => window?,
        None => {
            cancel.cancel();
            acting.await?
        }
    };
    Ok(Answer(AutomationResponse::new(format!("window {id} was {done}"), Some(json!({ "window": window })))))
}

/// A number that no window can have is that of none.
fn number(id: &str) -> Result<u32> {
    let digits = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    id.parse().ok().filter(|_| digits).ok_or_else(|| Error::not_found("window", id))
}

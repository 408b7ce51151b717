//! `/api/desktop/screenshot` and `/api/desktop/frame`: pictures of the screen.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::super::error::{Error, ErrorResponse, Result};
use super::super::extract::{OptionalJson, Query};
use super::super::success::AutomationResponse;
use crate::api::State as Rooms;
use crate::screen::{Capture, ImageFormat, Region};
use crate::services::Name;

/// What to show.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "monitor": 0, "region": { "x": 0, "y": 0, "width": 800, "height": 600 }, "quality": 85 }))]
pub(crate) struct ScreenshotRequest {
    /// The monitor's number; 0 is the primary one.
    #[serde(default)]
    monitor: usize,
    /// A part of it, counted from its corner.
    #[serde(default)]
    region: Option<Region>,
    /// 1–100; for JPEG.
    #[serde(default = "quality")]
    #[schema(minimum = 1, maximum = 100)]
    quality: u8,
    /// How the picture is written down; without it what `Accept` names, else JPEG.
    #[serde(default)]
    format: Option<ImageFormat>,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// What to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FrameQuery {
    /// The monitor's number; 0 is the primary one.
    #[serde(default)]
    monitor: usize,
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

/// A picture of a monitor or a part of it: JSON with `image_data`, or the bare image with `Accept: image/*`.
#[utoipa::path(post, path = "/api/desktop/screenshot", tag = "desktop", operation_id = "desktop_screenshot", request_body = ScreenshotRequest, responses((status = 200, content((AutomationResponse = "application/json"), (Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"))), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn screenshot(
    State(state): State<Rooms>,
    headers: HeaderMap,
    OptionalJson(request): OptionalJson<ScreenshotRequest>,
) -> Result<Response> {
    let wanted = Wanted::by(&headers);
    let bare = wanted.image;
    let ScreenshotRequest { monitor, region, quality, format, target } = request;
    show(&state, target, Capture { monitor: Some(monitor), region }, format.or(wanted.format), quality, bare).await
}

/// The screen as it is now: the bare image, so that `<img src>` works; JSON with `Accept: application/json`.
#[utoipa::path(get, path = "/api/desktop/frame", tag = "desktop", operation_id = "desktop_frame", params(FrameQuery), responses((status = 200, content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"), (AutomationResponse = "application/json"))), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn frame(State(state): State<Rooms>, headers: HeaderMap, Query(query): Query<FrameQuery>) -> Result<Response> {
    if !(1..=100).contains(&query.quality) {
        return Err(Error::invalid_at("/query/quality", "write a number from 1 to 100"));
    }
    let wanted = Wanted::by(&headers);
    let bare = wanted.image || !wanted.json;
    let FrameQuery { monitor, quality, format, target } = query;
    show(&state, target, Capture { monitor: Some(monitor), region: None }, format.or(wanted.format), quality, bare).await
}

async fn show(
    state: &Rooms,
    target: Option<String>,
    capture: Capture,
    format: Option<ImageFormat>,
    quality: u8,
    bare: bool,
) -> Result<Response> {
    let monitor = capture.monitor;
    let format = format.unwrap_or_default();
    state.enter(Name::LiveDesktop)?;
    state.grant().screen()?;
    let shot = state.on_desktop(target, move |desktop, _| {
        let frame = desktop.screen().capture(&capture)?;
        Ok((frame.encode(format, u32::from(quality))?, frame.width(), frame.height()))
    });
    let (bytes, width, height) = shot.await?;
    Ok(answer(Shown { bytes, width, height, format }, json!({ "monitor": monitor }), bare))
}

/// A picture, written down.
pub(super) struct Shown {
    pub(super) bytes: Vec<u8>,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) format: ImageFormat,
}

/// The bare picture, or JSON with `facts` of it.
pub(super) fn answer(shown: Shown, facts: Value, bare: bool) -> Response {
    let Shown { bytes, width, height, format } = shown;
    let (name, kind) = match format {
        ImageFormat::Jpeg => ("jpeg", "image/jpeg"),
        ImageFormat::Png => ("png", "image/png"),
        ImageFormat::Webp => ("webp", "image/webp"),
    };
    if bare {
        return ([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-store"), (VARY, "Accept")], bytes).into_response();
    }
    let mut data = json!({ "image_data": STANDARD.encode(bytes), "format": name, "width": width, "height": height });
    if let (Some(data), Value::Object(facts)) = (data.as_object_mut(), facts) {
        data.extend(facts);
    }
    let answer = AutomationResponse::new(format!("captured {width} × {height} pixels"), Some(data));
    ([(CACHE_CONTROL, "no-store"), (VARY, "Accept")], axum::Json(answer)).into_response()
}

/// What `Accept` asks for.
pub(super) struct Wanted {
    pub(super) image: bool,
    pub(super) json: bool,
    pub(super) format: Option<ImageFormat>,
}

impl Wanted {
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let mut wanted = Self { image: false, json: false, format: None };
        let listed = headers.get_all(ACCEPT).iter().filter_map(|accept| accept.to_str().ok()).flat_map(|accept| accept.split(','));
        for kind in listed {
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            wanted.image |= kind.starts_with("image/");
            wanted.json |= kind == "application/json";
            let named = match kind.as_str() {
                "image/jpeg" => Some(ImageFormat::Jpeg),
                "image/png" => Some(ImageFormat::Png),
                "image/webp" => Some(ImageFormat::Webp),
                _ => None,
            };
            // Browsers list all they know; a list is no wish for one of them.
            wanted.format = if wanted.format.is_some() && named.is_some() { Some(ImageFormat::Jpeg) } else { wanted.format.or(named) };
        }
        wanted
    }
}

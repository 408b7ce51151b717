//! `/api/desktop/streaming`: what a stream is like that does not say otherwise.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::super::error::{ErrorResponse, Result};
use super::super::extract::Json;
use super::super::success::AutomationResponse;
use crate::api::State as Rooms;
use crate::desktop::Change;

/// How the desktop is streamed.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "streaming_active": true, "client_count": 2, "fps": 5, "quality": 80, "scale_factor": 1.0, "enabled": true }))]
pub(crate) struct StreamingStatus {
    /// Whether anybody watches.
    streaming_active: bool,
    /// How many streams are under way.
    client_count: usize,
    /// Pictures a second, at most, of a stream that does not say otherwise.
    fps: u32,
    /// JPEG quality of such a stream.
    quality: u8,
    /// The size of its pictures as a part of the screen's.
    scale_factor: f64,
    /// Whether streams are switched on (`ENABLE_DESKTOP_STREAMING`).
    enabled: bool,
}

/// What is to be different; what is not named stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "fps": 10, "quality": 90, "scale_factor": 0.8 }))]
pub(crate) struct StreamingConfigureRequest {
    /// Pictures a second, at most.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 60)]
    fps: Option<u32>,
    /// JPEG quality.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 100)]
    quality: Option<u8>,
    /// The size of the pictures as a part of the screen's; also what coordinates of `/api/automation` are divided by.
    #[serde(default)]
    #[schema(minimum = 0.05, maximum = 1)]
    scale_factor: Option<f64>,
}

/// How the desktop is streamed, and to how many.
#[utoipa::path(get, path = "/api/desktop/streaming/status", tag = "desktop", operation_id = "streaming_status", responses((status = 200, body = StreamingStatus)))]
pub(crate) async fn status(State(state): State<Rooms>) -> Result<Answer<StreamingStatus>> {
    let streams = state.desktops().streams();
    let (usual, client_count) = (streams.usual(), streams.clients());
    Ok(Answer(StreamingStatus {
        streaming_active: client_count > 0,
        client_count,
        fps: usual.fps,
        quality: usual.quality,
        scale_factor: usual.scale_factor,
        enabled: state.config().services.desktop_streaming,
    }))
}

/// Changes what streams are like, also those under way where they have not said otherwise.
#[utoipa::path(post, path = "/api/desktop/streaming/configure", tag = "desktop", operation_id = "streaming_configure", request_body = StreamingConfigureRequest, responses((status = 200, body = AutomationResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn configure(
    State(state): State<Rooms>,
    Json(request): Json<StreamingConfigureRequest>,
) -> Result<Answer<AutomationResponse>> {
    let StreamingConfigureRequest { fps, quality, scale_factor } = request;
    let usual = state.desktops().streams().configure(&Change { fps, quality, scale_factor });
    let message = format!("streams have {} pictures a second, quality {} and scale {}", usual.fps, usual.quality, usual.scale_factor);
    Ok(Answer(AutomationResponse::new(message, Some(json!(usual)))))
}

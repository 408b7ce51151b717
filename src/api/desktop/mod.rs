//! `/api/desktop`: what is on the screen, and its windows.

pub(super) mod control;
pub(super) mod picture;
pub(super) mod streaming;
pub(super) mod targets;
pub(super) mod windows;

use axum::Json as Answer;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract::Query;
use crate::screen::Monitor;
use crate::services::Name;
use targets::TargetQuery;

/// What the desktop consists of.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "screens": [{ "index": 0, "name": "HDMI-1", "x": 0, "y": 0, "width": 1920, "height": 1080, "scale_factor": 1.0, "is_primary": true }], "count": 1 }))]
pub(crate) struct DesktopInfo {
    /// All monitors, the primary one first.
    screens: Vec<Monitor>,
    /// How many there are.
    count: usize,
}

/// All monitors: where each is on the virtual screen, and how large.
#[utoipa::path(get, path = "/api/desktop/info", tag = "desktop", operation_id = "desktop_info", params(TargetQuery), responses((status = 200, body = DesktopInfo), (status = 503, body = ErrorResponse)))]
pub(crate) async fn info(State(state): State<super::State>, Query(query): Query<TargetQuery>) -> Result<Answer<DesktopInfo>> {
    state.enter(Name::LiveDesktop)?;
    state.grant().screen()?;
    let screens = state.on_desktop(query.target, |desktop, _| Ok(desktop.screen().monitors()?)).await?;
    Ok(Answer(DesktopInfo { count: screens.len(), screens }))
}

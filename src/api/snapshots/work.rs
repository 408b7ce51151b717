//! `/api/snapshots/ocr` and `/api/snapshots/click`: what is done with a snapshot.

use axum::Json as Answer;
use axum::extract::State;

use super::super::State as Rooms;
use super::super::error::{ErrorResponse, Result};
use super::super::extract::Json;
use super::super::visit;
use crate::services::Name;
use crate::snapshots::{ClickAnswer, ClickRequest, OcrAnswer, OcrRequest};

/// Reads zones of a snapshot.
#[utoipa::path(post, path = "/api/snapshots/ocr/execute", tag = "snapshots", operation_id = "snapshots_ocr", request_body = OcrRequest, responses((status = 200, body = OcrAnswer), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn ocr(State(state): State<Rooms>, Json(request): Json<OcrRequest>) -> Result<Answer<OcrAnswer>> {
    state.enter(Name::Snapshot)?;
    let cancel = state.enter(Name::EnhancedOcr)?;
    Ok(Answer(state.snapshots().read(request, &cancel).await?))
}

/// Clicks at points of a snapshot, where they are on the screen now. What came of each click stands in the answer.
#[utoipa::path(post, path = "/api/snapshots/click/execute", tag = "snapshots", operation_id = "snapshots_click", request_body = ClickRequest, responses((status = 200, body = ClickAnswer), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn click(State(state): State<Rooms>, Json(request): Json<ClickRequest>) -> Result<Answer<ClickAnswer>> {
    state.enter(Name::Snapshot)?;
    let cancel = state.enter(Name::ClickAutomation)?;
    Ok(Answer(state.snapshots().click(&state.grant(), request, visit::control_token(), &cancel).await?))
}

//! `/api/snapshots`: pictures that are kept, their images, reading and clicking in them.

pub(crate) mod templates;
pub(crate) mod work;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::error::{ErrorResponse, Result};
use super::extract::{Json, Path, Query};
use super::success::SuccessResponse;
use super::workflows::{fifty, within_limit};
use crate::screen::ImageFormat;
use crate::services::Name;
use crate::snapshots::{Snapshot, SnapshotRequest};

/// A snapshot, and where its image is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SnapshotResponse {
    #[serde(flatten)]
    snapshot: Snapshot,
    /// Where its image is.
    #[schema(example = "/api/snapshots/0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c01/image")]
    image_url: String,
}

impl From<Snapshot> for SnapshotResponse {
    fn from(snapshot: Snapshot) -> Self {
        let image_url = format!("/api/snapshots/{}/image", snapshot.snapshot_id);
        Self { snapshot, image_url }
    }
}

/// The ids of snapshots.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "snapshots": ["snapshot_001", "snapshot_002"], "count": 2 }))]
pub(crate) struct SnapshotList {
    /// Newest first.
    snapshots: Vec<String>,
    /// How many there are in all.
    count: u64,
}

/// Which of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// After so many.
    #[serde(default)]
    offset: u32,
}

/// Takes a picture of a monitor, or of a part of it, and keeps it.
#[utoipa::path(post, path = "/api/snapshots/create", tag = "snapshots", operation_id = "snapshots_create", request_body = SnapshotRequest, responses((status = 201, body = SnapshotResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 507, body = ErrorResponse)))]
pub(crate) async fn create(
    State(state): State<super::State>,
    Json(request): Json<SnapshotRequest>,
) -> Result<(StatusCode, Answer<SnapshotResponse>)> {
    state.enter(Name::Snapshot)?;
    state.enter(Name::LiveDesktop)?;
    let snapshot = state.snapshots().create(&state.grant(), request).await?;
    Ok((StatusCode::CREATED, Answer(snapshot.into())))
}

/// The ids of all snapshots, newest first.
#[utoipa::path(get, path = "/api/snapshots/list", tag = "snapshots", operation_id = "snapshots_list", params(PageQuery), responses((status = 200, body = SnapshotList), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>, Query(query): Query<PageQuery>) -> Result<Answer<SnapshotList>> {
    state.enter(Name::Snapshot)?;
    let (snapshots, count) = state.snapshots().list(within_limit(query.limit)?, query.offset).await?;
    Ok(Answer(SnapshotList { snapshots, count }))
}

/// What is known of a snapshot.
#[utoipa::path(get, path = "/api/snapshots/{snapshot_id}", tag = "snapshots", operation_id = "snapshots_get", params(("snapshot_id" = String, Path)), responses((status = 200, body = SnapshotResponse), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SnapshotResponse>> {
    state.enter(Name::Snapshot)?;
    Ok(Answer(state.snapshots().get(&id).await?.into()))
}

/// The bare image. It never changes, so that `If-None-Match` with its `ETag` is answered by 304 as long as it is there.
#[utoipa::path(get, path = "/api/snapshots/{snapshot_id}/image", tag = "snapshots", operation_id = "snapshots_image", params(("snapshot_id" = String, Path)), responses((status = 200, content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"))), (status = 304, description = "The client has it already"), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn image(State(state): State<super::State>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response> {
    state.enter(Name::Snapshot)?;
    let image = state.snapshots().image(&id).await?;
    let tag = format!("\"{id}\"");
    let kind = match image.format {
        ImageFormat::Jpeg => "image/jpeg",
        ImageFormat::Png => "image/png",
        ImageFormat::Webp => "image/webp",
    };
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok()).flat_map(|tags| tags.split(','));
    let known = known.map(str::trim).any(|known| known == "*" || known.trim_start_matches("W/") == tag);
    let marks = [
        (ETAG, tag.as_str()),
        // Asked for each time, as it may have been deleted.
        (CACHE_CONTROL, "private, no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    if known {
        return Ok((StatusCode::NOT_MODIFIED, marks).into_response());
    }
    Ok((marks, [(CONTENT_TYPE, kind)], image.bytes).into_response())
}

/// Removes a snapshot: its image and its record.
#[utoipa::path(delete, path = "/api/snapshots/{snapshot_id}", tag = "snapshots", operation_id = "snapshots_delete", params(("snapshot_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Snapshot)?;
    state.snapshots().delete(&id).await?;
    Ok(Answer(SuccessResponse::new("the snapshot was deleted", Some(json!({ "id": id })))))
}

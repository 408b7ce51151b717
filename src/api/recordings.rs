//! `/api/recordings`: what is done at the desktop, recorded and drawn as a workflow; and films of the screen.

use std::io::SeekFrom;

use axum::Json as Answer;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, RANGE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::extract::{Json, OptionalJson, Path, Query};
use super::success::SuccessResponse;
use super::visit;
use super::workflows::{WorkflowDefinition, WorkflowResponse, by_caller, fifty, within_limit};
use crate::error::Kind;
use crate::keys::Scope;
use crate::recordings::{KeepRequest, PauseRequest, Recording, RecordingKind, RecordingRequest};
use crate::runs::Workflow;
use crate::services::Name;
use crate::workflow::Graph;

/// Bytes of a film that are read at once.
const PIECE: u64 = 256 << 10;

/// Recordings.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RecordingList {
    /// Newest first, without their steps.
    recordings: Vec<Recording>,
    /// How many there are in all.
    count: u64,
}

/// Which of them.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct RecordingsQuery {
    /// Of this kind.
    #[param(inline)]
    kind: Option<RecordingKind>,
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// After so many.
    #[serde(default)]
    offset: u32,
}

/// Begins to record, until it is stopped: `video` what a monitor shows, or `input` what is done with mouse and keyboard. Whatever moves mouse and keyboard is heard: hands, other programs, and TRAE's own clients and
/// runs. One recording of input at a time.
///
/// What is typed is kept as it was typed, a password too. So that one is not: pause before it, with the name of a `parameter` that stands
/// for it, and resume after it. While a recording is paused nobody listens.
#[utoipa::path(post, path = "/api/recordings", tag = "recordings", operation_id = "recordings_start", request_body = RecordingRequest, responses((status = 201, body = Recording), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn start(
    State(state): State<super::State>,
    Json(request): Json<RecordingRequest>,
) -> Result<(StatusCode, Answer<Recording>)> {
    let session = state.enter(Name::LiveDesktop)?;
    let recording = state.recordings().start(&state.grant(), session, request).await?;
    Ok((StatusCode::CREATED, Answer(recording)))
}

/// All recordings, newest first.
#[utoipa::path(get, path = "/api/recordings", tag = "recordings", operation_id = "recordings_list", params(RecordingsQuery), responses((status = 200, body = RecordingList), (status = 422, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>, Query(query): Query<RecordingsQuery>) -> Result<Answer<RecordingList>> {
    let (recordings, count) = state.recordings().list(query.kind, within_limit(query.limit)?, query.offset).await?;
    Ok(Answer(RecordingList { recordings, count }))
}

/// A recording, with what was done so far.
#[utoipa::path(get, path = "/api/recordings/{recording_id}", tag = "recordings", operation_id = "recordings_get", params(("recording_id" = String, Path)), responses((status = 200, body = Recording), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<Recording>> {
    Ok(Answer(state.recordings().get(&id).await?))
}

/// Keeps nothing until it goes on: neither what is done nor what is typed. With a `parameter`, the workflow types that parameter where
/// the pause was.
#[utoipa::path(post, path = "/api/recordings/{recording_id}/pause", tag = "recordings", operation_id = "recordings_pause", params(("recording_id" = String, Path)), request_body = PauseRequest, responses((status = 200, body = Recording), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn pause(
    State(state): State<super::State>,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<PauseRequest>,
) -> Result<Answer<Recording>> {
    Ok(Answer(state.recordings().pause(&id, request).await?))
}

/// Goes on after a pause.
#[utoipa::path(post, path = "/api/recordings/{recording_id}/resume", tag = "recordings", operation_id = "recordings_resume", params(("recording_id" = String, Path)), responses((status = 200, body = Recording), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn resume(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<Recording>> {
    Ok(Answer(state.recordings().resume(&id).await?))
}

/// Ends it.
#[utoipa::path(post, path = "/api/recordings/{recording_id}/stop", tag = "recordings", operation_id = "recordings_stop", params(("recording_id" = String, Path)), responses((status = 200, body = Recording), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn stop(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<Recording>> {
    Ok(Answer(state.recordings().stop(&id).await?))
}

/// Removes a recording with its pictures. A workflow that was made of it stays; its nodes have no pictures then.
#[utoipa::path(delete, path = "/api/recordings/{recording_id}", tag = "recordings", operation_id = "recordings_delete", params(("recording_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.recordings().delete(&id).await?;
    Ok(Answer(SuccessResponse::new("the recording was deleted", Some(json!({ "id": id })))))
}

/// What was done, drawn as a workflow that does it again. Each node has in `data.picture` the picture around its target. Nothing is
/// stored.
#[utoipa::path(get, path = "/api/recordings/{recording_id}/workflow", tag = "recordings", operation_id = "recordings_workflow", params(("recording_id" = String, Path)), responses((status = 200, body = WorkflowDefinition), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn workflow(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<Graph>> {
    Ok(Answer(state.recordings().workflow(&id).await?))
}

/// Stores that drawing as a workflow. Needs the scope `workflows` as well.
#[utoipa::path(post, path = "/api/recordings/{recording_id}/workflow", tag = "recordings", operation_id = "recordings_keep", params(("recording_id" = String, Path)), request_body = KeepRequest, responses((status = 201, body = WorkflowResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn keep(
    State(state): State<super::State>,
    Path(id): Path<String>,
    OptionalJson(request): OptionalJson<KeepRequest>,
) -> Result<(StatusCode, Answer<Workflow>)> {
    visit::require(Scope::Workflows)?;
    let drawn = state.recordings().workflow(&id).await?;
    let graph = Graph { id: request.id, name: request.name.unwrap_or(drawn.name), ..drawn };
    Ok((StatusCode::CREATED, Answer(by_caller(&state).create(graph).await?)))
}

/// The film: H.264 in an MP4 file, as far as it is written. A part of it is had by `Range: bytes=…`, so that a browser can begin in its
/// middle.
#[utoipa::path(get, path = "/api/recordings/{recording_id}/video", tag = "recordings", operation_id = "recordings_video", params(("recording_id" = String, Path)), responses((status = 200, body = Vec<u8>, content_type = "video/mp4"), (status = 206, description = "The part that was asked for", body = Vec<u8>, content_type = "video/mp4"), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 416, description = "The film has no such part")))]
pub(crate) async fn video(State(state): State<super::State>, Path(id): Path<String>, headers: HeaderMap) -> Result<Response> {
    let (file, length) = state.recordings().video(&id).await?;
    let mut file = File::from_std(file);
    let failed = |error: std::io::Error| Error::new(Kind::Internal, format!("the film cannot be read: {error}"));
    let name = format!("inline; filename=\"{id}.mp4\"");
    let marks = [
        (CONTENT_TYPE, "video/mp4"),
        (ACCEPT_RANGES, "bytes"),
        // It may still grow, and may have been deleted.
        (CACHE_CONTROL, "private, no-cache"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_DISPOSITION, name.as_str()),
    ];
    let asked = headers.get(RANGE).and_then(|range| range.to_str().ok()).and_then(|range| part(range, length));
    let (status, first, last) = match asked {
        None => (StatusCode::OK, 0, length.saturating_sub(1)),
        Some(Some((first, last))) => (StatusCode::PARTIAL_CONTENT, first, last),
        Some(None) => return Ok((StatusCode::RANGE_NOT_SATISFIABLE, marks, [(CONTENT_RANGE, format!("bytes */{length}"))]).into_response()),
    };
    let size = last - first + 1;
    file.seek(SeekFrom::Start(first)).await.map_err(failed)?;
    let pieces = unfold((file, size), |(mut file, left)| async move {
        let mut piece = vec![0; usize::try_from(left.min(PIECE)).unwrap_or(0)];
        match file.read(&mut piece).await {
            Ok(0) => None,
            Ok(read) => {
                piece.truncate(read);
                Some((Ok(Bytes::from(piece)), (file, left - read as u64)))
            }
            Err(error) => Some((Err(error), (file, 0))),
        }
    });
    let mut response = (status, marks, [(CONTENT_LENGTH, size.to_string())], Body::from_stream(pieces)).into_response();
    if status == StatusCode::PARTIAL_CONTENT
        && let Ok(range) = HeaderValue::from_str(&format!("bytes {first}-{last}/{length}"))
    {
        response.headers_mut().insert(CONTENT_RANGE, range);
    }
    Ok(response)
}

/// The first and the last byte that are asked for; none inside where there are no such bytes. None for what is not understood, as several
/// parts at once: then all of it is answered.
fn part(range: &str, length: u64) -> Option<Option<(u64, u64)>> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = match (first.trim(), last.trim()) {
        ("", last) => {
            let count: u64 = last.parse().ok()?;
            if count == 0 {
                return Some(None);
            }
            (length.saturating_sub(count), length.saturating_sub(1))
        }
        (first, "") => (first.parse().ok()?, length.saturating_sub(1)),
        (first, last) => (first.parse().ok()?, last.parse::<u64>().ok()?.min(length.saturating_sub(1))),
    };
    Some((first < length && first <= last).then_some((first, last)))
}

/// The picture of a step, as JPEG. It never changes.
#[utoipa::path(get, path = "/api/recordings/{recording_id}/images/{sha256}", tag = "recordings", operation_id = "recordings_image", params(("recording_id" = String, Path), ("sha256" = String, Path)), responses((status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = 404, body = ErrorResponse)))]
pub(crate) async fn image(State(state): State<super::State>, Path((id, sha256)): Path<(String, String)>) -> Result<Response> {
    let bytes = state.recordings().image(&id, &sha256).await?;
    let marks = [
        (CONTENT_TYPE, "image/jpeg"),
        (CACHE_CONTROL, "private, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    Ok((marks, [(ETAG, format!("\"{sha256}\""))], bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::part;

    #[test]
    fn parts_are_counted_from_both_ends() {
        assert_eq!(part("bytes=0-9", 100), Some(Some((0, 9))));
        assert_eq!(part("bytes=90-", 100), Some(Some((90, 99))));
        assert_eq!(part("bytes=-10", 100), Some(Some((90, 99))));
        assert_eq!(part("bytes=-1000", 100), Some(Some((0, 99))));
        assert_eq!(part("bytes=50-1000", 100), Some(Some((50, 99))));
        for none in ["bytes=100-", "bytes=9-8", "bytes=-0", "bytes=0-0"] {
            assert_eq!(part(none, if none == "bytes=0-0" { 0 } else { 100 }), Some(None), "{none}");
        }
        for all in ["bytes=0-1,4-5", "lines=0-1", "bytes", "bytes=a-b", "bytes=-"] {
            assert_eq!(part(all, 100), None, "{all}");
        }
    }
}

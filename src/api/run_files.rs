//! `/api/runs/{run_id}/…`: what lies beside a run's record, and the run as a whole to keep.

use std::io::{self, BufWriter, Write};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use tokio::sync::mpsc;

use super::error::{Error, ErrorResponse, Result};
use super::extract::Path;
use crate::runs::RunFile;

/// Pieces of an archive that may wait for its reader.
const AHEAD: usize = 8;
/// Bytes of a piece.
const PIECE: usize = 64 << 10;

/// A picture of a step, as JPEG. It never changes.
#[utoipa::path(get, path = "/api/runs/{run_id}/images/{sha256}", tag = "runs", operation_id = "runs_image", params(("run_id" = String, Path), ("sha256" = String, Path)), responses((status = 200, body = Vec<u8>, content_type = "image/jpeg"), (status = 404, body = ErrorResponse)))]
pub(crate) async fn image(State(state): State<super::State>, Path((run_id, sha256)): Path<(String, String)>) -> Result<Response> {
    match state.runs().file(&run_id, &sha256).await? {
        Some(RunFile::Image(bytes)) => Ok(file(&sha256, "image/jpeg", bytes)),
        _ => Err(Error::not_found("image", &sha256)),
    }
}

/// A value that is too large to stand in the run's record, as JSON. It never changes.
#[utoipa::path(get, path = "/api/runs/{run_id}/values/{sha256}", tag = "runs", operation_id = "runs_value", params(("run_id" = String, Path), ("sha256" = String, Path)), responses((status = 200, body = Value), (status = 404, body = ErrorResponse)))]
pub(crate) async fn value(State(state): State<super::State>, Path((run_id, sha256)): Path<(String, String)>) -> Result<Response> {
    match state.runs().file(&run_id, &sha256).await? {
        Some(RunFile::Value(bytes)) => Ok(file(&sha256, "application/json", bytes)),
        _ => Err(Error::not_found("value", &sha256)),
    }
}

fn file(sha256: &str, kind: &'static str, bytes: Vec<u8>) -> Response {
    let marks = [
        (CONTENT_TYPE, kind),
        (CACHE_CONTROL, "private, max-age=3600"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"),
    ];
    (marks, [(ETAG, format!("\"{sha256}\""))], bytes).into_response()
}

/// The run as a ZIP archive: `run.json`, `events.jsonl`, `script.rhai`, and its large values and pictures.
#[utoipa::path(get, path = "/api/runs/{run_id}/export", tag = "runs", operation_id = "runs_export", params(("run_id" = String, Path)), responses((status = 200, body = Vec<u8>, content_type = "application/zip"), (status = 404, body = ErrorResponse)))]
pub(crate) async fn export(State(state): State<super::State>, Path(run_id): Path<String>) -> Result<Response> {
    let export = state.runs().export(&run_id).await?.ok_or_else(|| Error::not_found("run", &run_id))?;
    let folder = format!("run-{run_id}");
    let name = format!("attachment; filename=\"{folder}.zip\"");
    let (sender, receiver) = mpsc::channel(AHEAD);
    tokio::task::spawn_blocking(move || {
        let mut to = BufWriter::with_capacity(PIECE, Pieces(sender.clone()));
        if let Err(error) = export.write_zip(&folder, &mut to).and_then(|()| to.flush()) {
            // Its reader sees that something is missing; or is the reason.
            drop(sender.blocking_send(Err(error)));
        }
    });
    let pieces =
        unfold(
            receiver,
            |mut receiver: mpsc::Receiver<io::Result<Bytes>>| async move { receiver.recv().await.map(|piece| (piece, receiver)) },
        );
    Ok(([(CONTENT_TYPE, "application/zip".to_owned()), (CONTENT_DISPOSITION, name)], Body::from_stream(pieces)).into_response())
}

/// Where an archive is written to: pieces on their way to a client, at most as fast as it takes them.
struct Pieces(mpsc::Sender<io::Result<Bytes>>);

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = Bytes::copy_from_slice(bytes);
        self.0.blocking_send(Ok(piece)).map_err(|_| io::Error::new(io::ErrorKind::BrokenPipe, "its reader is gone"))?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Taking in a request's body: at most so much, and not for ever.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, StatusCode};
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, timeout_at};

use super::error::Error;
use crate::error::{Failure, Kind};

/// How long a body may take, whatever its size.
const PATIENCE: Duration = Duration::from_secs(10);
/// How fast it has to come beyond that, in bytes a second: a slow line is served, a trickle is not.
const PACE: u64 = 16 * 1024;

/// The whole body, if it has at most `limit` bytes and comes at a bearable pace.
pub(crate) async fn read(body: Body, limit: usize) -> Result<Bytes, Error> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let start = Instant::now();
    let mut stream = body.into_data_stream();
    let mut first = Bytes::new();
    let mut rest: Vec<u8> = Vec::new();
    loop {
        let received = first.len() + rest.len();
        let deadline = start + PATIENCE + Duration::from_secs(received as u64 / PACE);
        let chunk = match timeout_at(deadline, stream.next()).await {
            Err(_) => return Err(too_slow()),
            // One chunk, as nearly always: passed on as it is.
            Ok(None) if rest.is_empty() => return Ok(first),
            Ok(None) => return Ok(rest.into()),
            Ok(Some(Err(error))) => {
                return Err(Error::new(Kind::InvalidJson, format!("the body ended early: {error}")));
            }
            Ok(Some(Ok(chunk))) => chunk,
        };
        if received + chunk.len() > limit {
            return Err(too_large(limit));
        }
        if received == 0 {
            first = chunk;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&first);
                first = Bytes::new();
            }
            rest.extend_from_slice(&chunk);
        }
    }
}

fn too_large(limit: usize) -> Error {
    Failure::new(Kind::PayloadTooLarge, format!("the body is larger than {limit} bytes: send less, or raise MAX_BODY_BYTES"))
        .with(json!({ "limit": limit }))
        .into()
}

fn too_slow() -> Error {
    Error::new(Kind::Timeout, "the body did not come in time: send it without pauses")
        .with_status(StatusCode::REQUEST_TIMEOUT)
        .with_header(CONNECTION, HeaderValue::from_static("close"))
}

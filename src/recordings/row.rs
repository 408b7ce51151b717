//! Recordings as they are on record.

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Error, Recording, RecordingKind, RecordingStatus, not_found};
use crate::store::Store;
use crate::store::recordings::RecordingRow;

/// The word on record for a film.
pub(super) const VIDEO: &str = "video";

/// Writes down how a recording ended; of a film, what it is like and how large.
pub(super) async fn ended(
    store: &Store,
    id: &str,
    status: RecordingStatus,
    reason: Option<String>,
    film: Option<(String, u64)>,
) -> Result<(), Error> {
    let Some(row) = store.recording(id).await? else { return Err(not_found("recording", id)) };
    let (body, size_bytes) = film.unwrap_or_else(|| (row.body.clone(), row.size_bytes));
    let row = RecordingRow { status: status_word(status), reason, body, size_bytes, finished_at: Some(now()), ..row };
    Ok(store.update_recording(row).await?)
}

/// Writes down that a recording is paused, or goes on.
pub(super) async fn keep_status(store: &Store, id: &str, status: RecordingStatus) -> Result<(), Error> {
    let Some(row) = store.recording(id).await? else { return Err(Error::Over(id.to_owned())) };
    Ok(store.update_recording(RecordingRow { status: status_word(status), ..row }).await?)
}

pub(super) fn new_row(id: &str, kind: RecordingKind, name: Option<String>, body: String) -> RecordingRow {
    RecordingRow {
        id: id.to_owned(),
        kind: kind_word(kind),
        name: name.unwrap_or_else(|| format!("Recording of {}", Utc::now().format("%Y-%m-%d %H:%M:%S"))),
        status: status_word(RecordingStatus::Recording),
        reason: None,
        run_id: None,
        body,
        size_bytes: 0,
        started_at: now(),
        finished_at: None,
    }
}

pub(super) fn now() -> i64 {
    Utc::now().timestamp_micros()
}

/// A moment, as the wire writes it.
fn moment(micros: i64) -> String {
    DateTime::<Utc>::from_timestamp_micros(micros).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Micros, true)
}

pub(super) fn kind_word(kind: RecordingKind) -> String {
    match kind {
        RecordingKind::Input => "input",
        RecordingKind::Video => VIDEO,
    }
    .to_owned()
}

fn status_word(status: RecordingStatus) -> String {
    match status {
        RecordingStatus::Recording => "recording",
        RecordingStatus::Paused => "paused",
        RecordingStatus::Finished => "finished",
        RecordingStatus::Interrupted => "interrupted",
    }
    .to_owned()
}

pub(super) fn recording(row: RecordingRow) -> Recording {
    Recording {
        recording_id: row.id,
        kind: if row.kind == VIDEO { RecordingKind::Video } else { RecordingKind::Input },
        video: serde_json::from_str(&row.body).ok(),
        name: row.name,
        status: match row.status.as_str() {
            "recording" => RecordingStatus::Recording,
            "paused" => RecordingStatus::Paused,
            "finished" => RecordingStatus::Finished,
            _ => RecordingStatus::Interrupted,
        },
        reason: row.reason,
        run_id: row.run_id,
        started_at: moment(row.started_at),
        finished_at: row.finished_at.map(moment),
        size_bytes: row.size_bytes,
        steps: None,
    }
}

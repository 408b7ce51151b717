//! `/api/audit`: who did what.

use axum::Json as Answer;
use axum::extract::State;
use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::extract::Query;
use super::workflows::{fifty, within_limit};
use crate::audit::{self, Noted};
use crate::runs::Timestamp;

/// Which entries. Each that is named narrows the list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    /// Only of this actor.
    #[param(example = "key:frontend")]
    actor: Option<String>,
    /// Only this; with a `*` at its end, all that begin so.
    #[param(example = "shell.*")]
    action: Option<String>,
    /// Only at this moment or later, RFC 3339.
    #[param(format = DateTime, example = "2026-01-31T12:00:00Z")]
    since: Option<String>,
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// Only those before this number.
    before: Option<u64>,
}

/// Something that was done, tried or refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "seq": 42, "timestamp": "2026-01-31T12:00:00.000000Z", "actor": "key:frontend", "action": "shell.run", "target": "bash",
    "details": { "command": "ls", "exit_code": 0 }, "result": "ok", "finished_at": "2026-01-31T12:00:00.020000Z",
    "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
}))]
pub(crate) struct AuditEntry {
    /// Its number; grows.
    seq: u64,
    /// When it began, RFC 3339 UTC.
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    /// Who: `key:<name>`, `local` (a server that wants no keys), `cli:<user>`, `run:<run_id>`, `webhook:<path>`, `schedule:…`, `anonymous`.
    actor: String,
    /// What: `POST /api/keys` and the like for a call, `run`, `approval`, `shell.run`, `http.request`, `file.write`, …
    action: String,
    /// With which.
    target: Option<String>,
    /// Facts beside it, and beside what came of it. Nothing that was typed, written or read.
    #[schema(value_type = Object)]
    details: Map<String, Value>,
    /// `begun`, as long as nothing came of it; then `ok`, `denied`, `refused`, `failed`, `cancelled` or `interrupted`.
    result: String,
    /// When that came of it.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// SHA-256 of it and the one before it, in hex.
    hash: String,
}

/// A part of the audit log.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditPage {
    /// Newest first.
    entries: Vec<AuditEntry>,
    /// How many match in all.
    count: u64,
}

impl From<Noted> for AuditEntry {
    fn from(Noted { link, end }: Noted) -> Self {
        let read = |text: Option<String>| text.and_then(|text| serde_json::from_str::<Map<_, _>>(&text).ok()).unwrap_or_default();
        let (mut details, mut result, mut finished_at) = (read(link.row.details), link.row.result, None);
        if let Some((at, outcome, more)) = end {
            details.extend(read(more));
            (result, finished_at) = (outcome, Some(Timestamp(at)));
        }
        Self {
            seq: link.seq,
            timestamp: Timestamp(link.row.at),
            actor: link.row.actor,
            action: link.row.action,
            target: link.row.target,
            details,
            result,
            finished_at,
            hash: audit::hex(&link.hash),
        }
    }
}

/// Who did what, newest first: every call that changes something, every command, run, approval and refusal.
#[utoipa::path(get, path = "/api/audit", tag = "audit", operation_id = "audit", params(AuditQuery), responses((status = 200, body = AuditPage), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>, Query(query): Query<AuditQuery>) -> Result<Answer<AuditPage>> {
    let since = query
        .since
        .map(|text| DateTime::parse_from_rfc3339(&text))
        .transpose()
        .map_err(|_| Error::invalid_at("/query/since", "write a moment as RFC 3339 has it, such as 2026-01-31T12:00:00Z"))?;
    let query = audit::Query {
        actor: query.actor,
        action: query.action,
        since: since.map(|at| at.timestamp_micros()),
        before: query.before,
        limit: within_limit(query.limit)?,
    };
    let (entries, count) = state.audit().list(query).await?;
    Ok(Answer(AuditPage { entries: entries.into_iter().map(AuditEntry::from).collect(), count }))
}

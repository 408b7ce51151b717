//! `/api/queue`: whose turn it is, who waits for one, and who has the desktop.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Result;
use crate::runs::QueueView;

/// The queue of runs, and the desktop's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "running": [{
        "run_id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "workflow_id": "invoices", "script": null, "trigger": "webhook:orders",
        "priority": 0, "created_at": "2026-01-31T12:00:00.000000Z", "started_at": "2026-01-31T12:00:00.001000Z"
    }],
    "queued": [{
        "run_id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c05", "workflow_id": "invoices", "script": null, "trigger": "webhook:orders",
        "priority": 0, "created_at": "2026-01-31T12:00:01.000000Z", "started_at": null, "position": 1,
        "reason": "another run of the workflow invoices goes on: its setting concurrency is 1"
    }],
    "count": 1, "waiting": 0, "limits": { "running": 64, "queued": 10000 },
    "desktop": { "holder": "run 0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "waiting": [] }
}))]
pub(crate) struct QueueResponse {
    #[serde(flatten)]
    runs: QueueView,
    /// Who may use mouse and keyboard; null where no desktop is open.
    desktop: Option<DesktopTurn>,
}

/// One at a time may use mouse and keyboard.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DesktopTurn {
    /// Who does: `run <run_id>`, or a client.
    holder: Option<String>,
    /// Who waits for it, the next one first.
    waiting: Vec<String>,
}

/// Which runs have their turn, which wait for one and why, and who has mouse and keyboard.
#[utoipa::path(get, path = "/api/queue", tag = "runs", operation_id = "queue_get", responses((status = 200, body = QueueResponse)))]
pub(crate) async fn get(State(state): State<super::State>) -> Result<axum::Json<QueueResponse>> {
    let desktop = state.desktops().current().map(|desktop| DesktopTurn { holder: desktop.holder(), waiting: desktop.waiting() });
    Ok(axum::Json(QueueResponse { runs: state.runs().queue(), desktop }))
}

//! What the audit log says of runs: who started one, what came of it, and who answered its questions.
//!
//! Rows go through the same queue as the run's own, ahead of anything that the run does.

use std::sync::Arc;

use serde_json::json;

use super::live::Ended;
use super::record::RunStatus;
use crate::audit::{self, Deed, Outcome};
use crate::host::protocol::Mode;
use crate::store::runs::{NewRun, RunKey, Write};

/// A run begins. Where nobody is named, its trigger started it.
pub(super) fn begun(row: &NewRun, by: Option<&Arc<str>>) -> Write {
    let actor = match (by, &row.parent) {
        (Some(by), _) => by.to_string(),
        (None, Some(parent)) => format!("run:{parent}"),
        (None, None) if row.trigger == "manual" => "local".to_owned(),
        (None, None) => row.trigger.clone(),
    };
    let details = json!({
        "run_id": row.run_id,
        "kind": row.kind,
        "trigger": row.trigger,
        "dry_run": row.mode.as_deref().and_then(|mode| serde_json::from_str::<Mode>(mode).ok()).is_some_and(|mode| mode.dry),
    });
    let target = row.workflow_id.clone().or_else(|| row.script.clone());
    audit::begun(row.key.0, Deed { actor, action: "run".to_owned(), target, details })
}

/// What came of it.
pub(super) fn ended(key: RunKey, ended: &Ended) -> Write {
    let outcome = match ended.status {
        RunStatus::Succeeded => Outcome::Ok,
        RunStatus::Cancelled => Outcome::Cancelled,
        RunStatus::Interrupted => Outcome::Interrupted,
        RunStatus::Failed | RunStatus::Queued | RunStatus::Running | RunStatus::Waiting => Outcome::Failed,
    };
    audit::ended(key.0, outcome, ended.error.as_ref().map_or(json!({}), |error| json!({ "error_code": error.code })))
}

/// Somebody answers a question.
pub(super) fn decided(id: i64, by: Option<&Arc<str>>, named: Option<&str>, run_id: &str, approval: &str, choice: &str) -> Write {
    let actor = by.map_or_else(|| "local".to_owned(), ToString::to_string);
    let details = json!({ "approval": approval, "choice": choice, "by": named });
    audit::noted(id, Deed { actor, action: "approval".to_owned(), target: Some(run_id.to_owned()), details }, Outcome::Ok)
}

/// A call comes that a run waits for.
pub(super) fn woken(id: i64, path: &str, run_id: &str, wait: &str) -> Write {
    let deed = Deed {
        actor: format!("webhook:{path}"),
        action: "run.wake".to_owned(),
        target: Some(run_id.to_owned()),
        details: json!({ "wait": wait }),
    };
    audit::noted(id, deed, Outcome::Ok)
}

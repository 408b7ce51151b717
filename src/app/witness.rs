//! The audit log, as `host` wants it.

use std::sync::Arc;

use serde_json::json;

use crate::audit::{self, Audit, Outcome};
use crate::error::{Failure, Kind};
use crate::host::{self, Deed};

/// Notes what runs do.
pub(super) struct Watching(pub(super) Arc<Audit>);

fn deed(run_id: &str, Deed { action, target, details }: Deed) -> audit::Deed {
    audit::Deed { actor: format!("run:{run_id}"), action: action.to_owned(), target, details }
}

impl host::Witness for Watching {
    fn begins(&self, run_id: &str, begun: Deed) -> Result<i64, Failure> {
        Ok(self.0.queue(deed(run_id, begun))?)
    }

    fn ended(&self, id: i64, outcome: Result<(), &Failure>) {
        match outcome {
            Ok(()) => self.0.end(id, Outcome::Ok, json!({})),
            Err(failure) => {
                let outcome = match failure.code {
                    Kind::PermissionDenied | Kind::UnsafeCommand => Outcome::Denied,
                    Kind::Cancelled => Outcome::Cancelled,
                    _ => Outcome::Failed,
                };
                self.0.end(id, outcome, json!({ "error_code": failure.code, "error": failure.message }));
            }
        }
    }

    fn denied(&self, run_id: &str, action: &'static str, failure: &Failure) {
        self.0.denied(deed(run_id, Deed { action, target: None, details: json!({}) }), failure);
    }
}

//! Runs for somebody who may run some workflows only: these, and nothing else, are run and looked at.

use serde_json::json;

use super::Runs;
use crate::error::{Failure, Kind};

/// Why somebody is refused who may run these workflows only.
pub fn only_these(workflows: &[String]) -> Failure {
    let listed = workflows.join("`, `");
    let message = format!(
        "this key is for `{listed}` only: it runs that, looks at the runs of it and cancels them; for anything else use another key"
    );
    Failure::new(Kind::PermissionDenied, message).with(json!({ "workflows": workflows }))
}

impl Runs {
    /// Refuses a workflow that is none of those, and what is no workflow.
    pub(super) fn check_workflow(&self, id: Option<&str>) -> Result<(), Failure> {
        match &self.only {
            Some(only) if !id.is_some_and(|id| only.iter().any(|other| other == id)) => Err(only_these(only)),
            _ => Ok(()),
        }
    }

    /// Refuses a run that is none of theirs. One that is not there is for whoever looks it up to miss.
    pub(super) async fn check_run(&self, run_id: &str) -> Result<(), Failure> {
        if self.only.is_none() {
            return Ok(());
        }
        if let Some(live) = self.inner.find_live(run_id) {
            return self.check_workflow(live.head.workflow_id.as_deref());
        }
        // Over, but perhaps not written down yet.
        drop(self.inner.store.durable().await);
        match self.inner.store.run(run_id).await? {
            Some(row) => self.check_workflow(row.workflow_id.as_deref()),
            None => Ok(()),
        }
    }
}

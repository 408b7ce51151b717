//! `graph_execution`: runs of workflows and scripts.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::counted;
use crate::error::Failure;
use crate::host::Host;
use crate::runs::Runs;
use crate::services::Service;

/// Runs. Stopped, none is started, those that go on are put down until it is up again, and the warm runners are let go.
pub(super) struct Execution {
    pub(super) runs: Runs,
    pub(super) host: Arc<Host>,
}

impl Service for Execution {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.runs.resume())
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.runs.pause().await;
            self.host.cool();
        })
    }

    fn details(&self) -> String {
        let (figures, runners) = (self.runs.figures(), self.host.runners());
        format!(
            "{} under way, {} waiting; {} warm",
            counted(figures.running, "run"),
            figures.queued,
            counted(runners.busy + runners.idle, "runner")
        )
    }
}

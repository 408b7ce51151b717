//! How what is kept on record starts and stops: the snapshots.

use futures_util::future::BoxFuture;

use crate::error::Failure;
use crate::services::Service;
use crate::snapshots::Snapshots;

/// The snapshots: put in order at the start; at the stop, what is being made or removed comes to its end.
pub(super) struct SnapshotService {
    snapshots: Snapshots,
}

impl SnapshotService {
    pub(super) fn new(snapshots: Snapshots) -> Self {
        Self { snapshots }
    }
}

impl Service for SnapshotService {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(self.snapshots.start().await?) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.snapshots.stop())
    }

    fn details(&self) -> String {
        "records and images are in order".to_owned()
    }
}

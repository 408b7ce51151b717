//! `triggers`: what starts runs by itself.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::counted;
use crate::error::Failure;
use crate::services::Service;
use crate::triggers::Webhooks;

/// Webhooks. Stopped, calls of them start nothing; a start arms what the stored workflows draw.
pub(super) struct Armed(pub(super) Arc<Webhooks>);

impl Service for Armed {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.0.arm())
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async { self.0.disarm() })
    }

    fn details(&self) -> String {
        format!("{} armed", counted(self.0.count(), "webhook"))
    }
}

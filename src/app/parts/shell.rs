//! The part that runs commands: stopping it ends every session.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::Failure;
use crate::services::Service;
use crate::shell::Shells;

/// Commands and shell sessions.
pub(super) struct Shell(pub(super) Arc<Shells>);

impl Service for Shell {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        self.0.start();
        Box::pin(async { Ok(()) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.0.stop())
    }

    fn details(&self) -> String {
        match self.0.sessions().len() {
            0 => "ready, no sessions open".to_owned(),
            1 => "one session open".to_owned(),
            open => format!("{open} sessions open"),
        }
    }
}

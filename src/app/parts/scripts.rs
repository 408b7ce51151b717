//! `scripts`: the script folders.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

use super::super::checks::{Checks, Kept};
use super::{blocking, counted};
use crate::error::{Failure, Kind};
use crate::script::{Checker, Keeper, Library};
use crate::services::Service;

/// The folders' watcher. Stopped, what is live stays so and changes go unnoticed; a restart reads all of it again.
pub(super) struct Folders {
    pub(super) library: Arc<Library>,
    pub(super) checks: Arc<Checks>,
    pub(super) kept: Arc<Kept>,
}

impl Service for Folders {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let (library, checks, kept) = (Arc::clone(&self.library), Arc::clone(&self.checks), Arc::clone(&self.kept));
        Box::pin(blocking(move || {
            let started = library.start(checks as Arc<dyn Checker>, kept as Arc<dyn Keeper>, Handle::current());
            started.map_err(|reason| Failure::new(Kind::ServiceUnavailable, reason))
        }))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let library = Arc::clone(&self.library);
        Box::pin(async {
            let stopped = blocking(move || {
                library.stop();
                Ok(())
            });
            drop(stopped.await);
        })
    }

    fn crashed(&self) -> BoxFuture<'_, Failure> {
        Box::pin(async {
            self.library.ended().await;
            Failure::new(Kind::Internal, "the watcher of the script folders ended; changes are not seen until it is up again")
        })
    }

    fn details(&self) -> String {
        let catalog = self.library.catalog();
        let (scripts, broken) = (catalog.scripts().count(), catalog.errors().count());
        let watched = if self.library.is_watching() { "watched" } else { "read once, as RELOAD=false" };
        format!("{}, {broken} broken; {} {watched}", counted(scripts, "script"), counted(self.library.folders().len(), "folder"))
    }
}

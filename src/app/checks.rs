//! Compiling the files of the library in runners, before they go live.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::host::Host;
use crate::script::{Candidate, Catalog, Checker, LibraryError};

/// So many files are compiled at a time: each takes a process, and there may be hundreds.
const AT_A_TIME: usize = 2;

/// Compiles files in runners of `host`.
pub(super) struct Checks {
    host: Arc<Host>,
    turns: Arc<Semaphore>,
}

impl Checks {
    pub(super) fn new(host: Arc<Host>) -> Self {
        Self { host, turns: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

impl Checker for Checks {
    fn check(&self, catalog: Arc<Catalog>, candidate: Candidate) -> BoxFuture<'static, Option<LibraryError>> {
        let (host, turns) = (Arc::clone(&self.host), Arc::clone(&self.turns));
        Box::pin(async move {
            let program = match catalog.program_of(&candidate) {
                Ok(program) => program,
                Err(error) => return Some(error),
            };
            // Nobody closes them.
            let _turn = turns.acquire_owned().await.ok()?;
            LibraryError::of_check(&candidate.path, &host.check(program).await)
        })
    }
}

//! Compiling the files of the library in runners, before they go live, and keeping those that do.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

use crate::host::Host;
use crate::host::protocol::Program;
use crate::runs::Versions;
use crate::script::{Checker, Keeper, LibraryError};

/// So many files are compiled at a time: each takes a process, and there may be hundreds.
const AT_A_TIME: usize = 2;

/// Keeps the files that go live, version by version.
pub(super) struct Kept(pub(super) Versions);

impl Keeper for Kept {
    fn keep(&self, texts: Vec<(String, String)>) -> BoxFuture<'static, bool> {
        self.0.keep_files(texts)
    }
}

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
    fn check(&self, path: String, program: Program) -> BoxFuture<'static, Option<LibraryError>> {
        let (host, turns) = (Arc::clone(&self.host), Arc::clone(&self.turns));
        Box::pin(async move {
            // Nobody closes them.
            let _turn = turns.acquire_owned().await.ok()?;
            LibraryError::of_check(&path, &host.check(program).await)
        })
    }
}

//! How the desktop, and mouse and keyboard, start, stop and crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use crate::desktop::Desktops;
use crate::error::{Failure, Kind};
use crate::services::Service;

/// The screen. It is opened at its first use, not at the server's start; after that it is kept open.
pub(super) struct LiveDesktop {
    desktops: Arc<Desktops>,
    /// It was open when it was stopped or crashed, so it is opened again at the start.
    open: AtomicBool,
    crashed: AtomicBool,
}

impl LiveDesktop {
    pub(super) fn new(desktops: Arc<Desktops>) -> Self {
        Self { desktops, open: AtomicBool::new(false), crashed: AtomicBool::new(false) }
    }
}

impl Service for LiveDesktop {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async {
            if self.open.load(Ordering::Acquire) {
                self.desktops.ready().await?;
                self.open.store(false, Ordering::Release);
            }
            Ok(())
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let (desktops, crashed) = (Arc::clone(&self.desktops), self.crashed.swap(false, Ordering::AcqRel));
        Box::pin(async move {
            // After a crash somebody else may have opened the next one already.
            let stopped = tokio::task::spawn_blocking(move || if crashed { desktops.tidy() } else { desktops.shutdown() });
            if stopped.await.unwrap_or_default() || crashed {
                self.open.store(true, Ordering::Release);
            }
        })
    }

    fn crashed(&self) -> BoxFuture<'_, Failure> {
        Box::pin(async {
            let error = self.desktops.crashed().await;
            self.crashed.store(true, Ordering::Release);
            error.into()
        })
    }

    fn details(&self) -> String {
        match self.desktops.current() {
            Some(desktop) => {
                let display = desktop.display().unwrap_or("of this session");
                format!("the {} desktop {display} is open, {} watch it", desktop.name(), self.desktops.streams().clients())
            }
            None => "no desktop is open: the first use opens it".to_owned(),
        }
    }
}

/// Mouse, keyboard and clipboard: ready as long as the server is. Its stop ends what is being done and lets go of what is held down.
pub(super) struct ClickAutomation {
    desktops: Arc<Desktops>,
}

impl ClickAutomation {
    pub(super) fn new(desktops: Arc<Desktops>) -> Self {
        Self { desktops }
    }
}

impl Service for ClickAutomation {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let desktops = Arc::clone(&self.desktops);
        Box::pin(async move {
            let let_go = tokio::task::spawn_blocking(move || desktops.current().map(|desktop| desktop.input().let_go()));
            let done = let_go.await.map_err(|_| Failure::new(Kind::Internal, "letting go ended unexpectedly"));
            if let Ok(Some(Err(error))) = done {
                tracing::warn!(%error, "what was held down could not be let go");
            }
        })
    }

    fn details(&self) -> String {
        match self.desktops.current().and_then(|desktop| desktop.holder()) {
            Some(holder) => format!("mouse and keyboard are in use by {holder}"),
            None => "mouse and keyboard are free".to_owned(),
        }
    }
}

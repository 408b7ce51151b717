//! How the desktop, and mouse and keyboard, start, stop and crash.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;

use crate::desktop::{Desktop, Desktops};
use crate::error::Failure;
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
                let clients = self.desktops.streams().clients();
                match self.desktops.all_open().len() {
                    1 => format!("the {} desktop {display} is open, {clients} watch it", desktop.kind().as_str()),
                    open => {
                        format!("the {} desktop {display} and {} more are open, {clients} watch them", desktop.kind().as_str(), open - 1)
                    }
                }
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
            let let_go = tokio::task::spawn_blocking(move || {
                for desktop in desktops.all_open() {
                    if let Err(error) = desktop.input().let_go() {
                        tracing::warn!(%error, "what was held down on {} could not be let go", desktop.name());
                    }
                }
            });
            if let_go.await.is_err() {
                tracing::error!("letting go ended unexpectedly");
            }
        })
    }

    fn details(&self) -> String {
        let held = |desktop: Arc<Desktop>| Some(format!("{} on {}", desktop.holder()?, desktop.name()));
        let holders: Vec<_> = self.desktops.all_open().into_iter().filter_map(held).collect();
        match holders.as_slice() {
            [] => "mouse and keyboard are free".to_owned(),
            holders => format!("mouse and keyboard are in use by {}", holders.join(", ")),
        }
    }
}

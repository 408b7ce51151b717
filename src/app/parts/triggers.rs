//! `triggers`: what starts runs by itself.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::BoxFuture;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::counted;
use crate::error::Failure;
use crate::script::Library;
use crate::services::Service;
use crate::triggers::Triggers;

/// Webhooks, watched folders, schedules, the start of the server. Stopped, nothing starts runs by itself; a start arms what stored workflows
/// draw and scripts declare.
pub(super) struct Armed {
    triggers: Triggers,
    library: Arc<Library>,
    /// Ends what follows the library.
    following: Mutex<CancellationToken>,
}

impl Armed {
    pub(super) fn new(triggers: Triggers, library: Arc<Library>) -> Self {
        Self { triggers, library, following: Mutex::default() }
    }

    /// Takes in what scripts declare as they change.
    fn follow(&self) {
        let stop = CancellationToken::new();
        std::mem::replace(&mut *self.following.lock().unwrap_or_else(PoisonError::into_inner), stop.clone()).cancel();
        let (triggers, mut events) = (self.triggers.clone(), self.library.subscribe());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = stop.cancelled() => return,
                    // That some were missed changes nothing: all of it is read.
                    event = events.recv() => if matches!(event, Err(RecvError::Closed)) { return },
                }
                if let Err(error) = triggers.follow_library().await {
                    tracing::warn!(%error, "the triggers that scripts declare could not be taken in; they are with the next change");
                }
            }
        });
    }
}

impl Service for Armed {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async {
            self.follow();
            self.triggers.arm().await
        })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.following.lock().unwrap_or_else(PoisonError::into_inner).cancel();
            self.triggers.disarm().await;
        })
    }

    fn details(&self) -> String {
        let armed = self.triggers.armed();
        let kinds = [
            ("webhook", "webhook"),
            ("watch_folder", "watched folder"),
            ("schedule", "schedule"),
            ("screen", "screen trigger"),
            ("startup", "start-up trigger"),
        ];
        let counts: Vec<_> = kinds.iter().filter_map(|(kind, what)| Some(counted(*armed.get(*kind)?, what))).collect();
        if counts.is_empty() { "nothing armed".to_owned() } else { format!("{} armed", counts.join(", ")) }
    }
}

//! What handlers reach: every room they may ask, put together by `app`.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::error::{Error, Result};
use super::services::{Desktop, Palette, Runs, Webhooks, Workflows};
use crate::config::Config;
use crate::error::{Failure, Kind};
use crate::policy::Grant;

/// What handlers reach. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    parts: Parts,
    sockets: Arc<Semaphore>,
}

/// The rooms behind the API.
pub struct Parts {
    /// The settings.
    pub config: Arc<Config>,
    /// When the server started.
    pub started: Instant,
    /// The server ends: streams and sockets end as well.
    pub shutdown: CancellationToken,
    /// What a caller without a key may do.
    pub grant: Grant,
    /// Stored workflows.
    pub workflows: Arc<dyn Workflows>,
    /// Runs.
    pub runs: Arc<dyn Runs>,
    /// Webhooks.
    pub webhooks: Arc<dyn Webhooks>,
    /// The desktop.
    pub desktop: Arc<dyn Desktop>,
    /// The node types.
    pub palette: Arc<dyn Palette>,
}

impl State {
    /// Puts the rooms together.
    pub fn new(parts: Parts) -> Self {
        let sockets = Arc::new(Semaphore::new(parts.config.websockets.max_connections));
        Self(Arc::new(Inner { parts, sockets }))
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.parts.config
    }

    /// When the server started.
    pub fn started(&self) -> Instant {
        self.0.parts.started
    }

    /// The server's end.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.parts.shutdown
    }

    /// What the caller may do.
    pub fn grant(&self) -> &Grant {
        &self.0.parts.grant
    }

    /// Stored workflows.
    pub fn workflows(&self) -> &dyn Workflows {
        &*self.0.parts.workflows
    }

    /// Runs.
    pub fn runs(&self) -> &dyn Runs {
        &*self.0.parts.runs
    }

    /// Webhooks.
    pub fn webhooks(&self) -> &dyn Webhooks {
        &*self.0.parts.webhooks
    }

    /// The node types.
    pub fn palette(&self) -> &dyn Palette {
        &*self.0.parts.palette
    }

    /// Free places for sockets.
    pub(crate) fn sockets(&self) -> &Arc<Semaphore> {
        &self.0.sockets
    }

    /// Does something with the desktop where it may block. If the caller goes away meanwhile, `cancel` is set.
    pub(crate) async fn on_desktop<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Desktop, &Grant, &CancellationToken) -> Result<T, Failure> + Send + 'static,
    {
        let (desktop, grant) = (Arc::clone(&self.0.parts.desktop), self.grant().clone());
        let cancel = self.shutdown().child_token();
        let _gone = cancel.clone().drop_guard();
        match tokio::task::spawn_blocking(move || work(&*desktop, &grant, &cancel)).await {
            Ok(done) => Ok(done?),
            Err(_) => Err(Error::new(Kind::Internal, "working with the desktop ended unexpectedly: the server's log has the reason")),
        }
    }
}

//! What handlers reach: every room they may ask, put together by `app`.

use std::sync::Arc;
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::desktop::Desktops;
use crate::host::Host;
use crate::runs::{Runs, Workflows};
use crate::script::Library;
use crate::triggers::Webhooks;

/// What handlers reach. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Parts>);

/// The rooms behind the API.
pub struct Parts {
    /// The settings.
    pub config: Arc<Config>,
    /// Scripts and node types.
    pub library: Arc<Library>,
    /// All runs.
    pub runs: Runs,
    /// The stored workflows.
    pub workflows: Workflows,
    /// The webhooks of stored workflows.
    pub webhooks: Arc<Webhooks>,
    /// The desktops.
    pub desktops: Arc<Desktops>,
    /// Where scripts run.
    pub host: Arc<Host>,
    /// When the server started.
    pub started: Instant,
    /// The server ends: streams and sockets end as well.
    pub shutdown: CancellationToken,
}

impl State {
    /// Puts the rooms together.
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// When the server started.
    pub fn started(&self) -> Instant {
        self.0.started
    }

    /// The server's end.
    pub fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }
}

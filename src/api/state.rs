//! What handlers reach: every room they may ask, put together by `app`.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio_util::sync::CancellationToken;

use super::error::{Error, Result};
use super::metrics::Answered;
use super::passes::Passes;
use super::socket::Sockets;
use super::visit;
use crate::audit::Audit;
use crate::config::Config;
use crate::desktop::{Desktop, Desktops};
use crate::error::{Failure, Kind};
use crate::host::Host;
use crate::keys::Keys;
use crate::ocr::Ocr;
use crate::policy::{Grant, Permissions};
use crate::recordings::Recordings;
use crate::runs::{NodeConfigs, Runs, Workflows};
use crate::script::{Catalog, Library};
use crate::secrets::Vault;
use crate::services::{Name, Services};
use crate::shell::Shells;
use crate::sight::Sight;
use crate::snapshots::Snapshots;
use crate::system::System;
use crate::triggers::Triggers;

/// What handlers reach. Cheap to clone.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    parts: Parts,
    sockets: Arc<Sockets>,
    passes: Arc<Passes>,
    answered: Arc<Answered>,
    description: OnceLock<String>,
}

/// The rooms behind the API.
pub struct Parts {
    /// The settings.
    pub config: Arc<Config>,
    /// When the server started.
    pub started: Instant,
    /// The server ends: streams and sockets end as well.
    pub shutdown: CancellationToken,
    /// What a caller may do whom nothing holds back.
    pub grant: Grant,
    /// API keys.
    pub keys: Arc<Keys>,
    /// Secrets.
    pub secrets: Arc<Vault>,
    /// Who did what.
    pub audit: Arc<Audit>,
    /// Stored workflows.
    pub workflows: Workflows,
    /// Runs.
    pub runs: Runs,
    /// What starts runs by itself.
    pub triggers: Triggers,
    /// Stored node configs.
    pub node_configs: NodeConfigs,
    /// The desktops.
    pub desktops: Arc<Desktops>,
    /// Kept pictures.
    pub snapshots: Snapshots,
    /// What is recorded of the desktops.
    pub recordings: Recordings,
    /// The parts, and how each is.
    pub services: Arc<Services>,
    /// Reading text.
    pub ocr: Arc<Ocr>,
    /// What is to be seen on the desktops.
    pub sight: Sight,
    /// Commands and shell sessions.
    pub shells: Arc<Shells>,
    /// Load and processes.
    pub system: Arc<System>,
    /// Scripts and node types.
    pub library: Arc<Library>,
    /// Where scripts are checked.
    pub host: Arc<Host>,
}

impl State {
    /// Puts the rooms together.
    pub fn new(parts: Parts) -> Self {
        let sockets = Arc::new(Sockets::new(parts.config.websockets.max_connections));
        Self(Arc::new(Inner { parts, sockets, passes: Arc::default(), answered: Arc::default(), description: OnceLock::new() }))
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

    /// API keys.
    pub fn keys(&self) -> &Arc<Keys> {
        &self.0.parts.keys
    }

    /// Who did what.
    pub fn audit(&self) -> &Arc<Audit> {
        &self.0.parts.audit
    }

    /// Secrets.
    pub fn secrets(&self) -> &Vault {
        &self.0.parts.secrets
    }

    /// What the caller of the request that this task serves may do. Where nobody is known, and keys are wanted: nothing.
    pub fn grant(&self) -> Grant {
        let all = &self.0.parts.grant;
        match visit::caller() {
            Some(caller) => caller.for_handlers().map_or_else(|| all.clone(), |permissions| all.narrowed(&permissions)),
            None if self.config().security.api_key_enabled => all.narrowed(&Permissions::default()),
            None => all.clone(),
        }
    }

    /// Stored workflows.
    pub fn workflows(&self) -> &Workflows {
        &self.0.parts.workflows
    }

    /// Stored node configs.
    pub fn node_configs(&self) -> &NodeConfigs {
        &self.0.parts.node_configs
    }

    /// Kept pictures.
    pub fn snapshots(&self) -> &Snapshots {
        &self.0.parts.snapshots
    }

    /// What is recorded of the desktops.
    pub fn recordings(&self) -> &Recordings {
        &self.0.parts.recordings
    }

    /// Runs: those that are started through this may do no more than the caller of the request that this task serves, and are of the
    /// workflows that their key is for, where it is for some only.
    pub fn runs(&self) -> Runs {
        let all = &self.0.parts.runs.by(&visit::actor());
        let caller = visit::caller();
        let theirs = caller.as_ref().and_then(|caller| caller.only_for()).map(|workflows| all.only(workflows));
        let all = theirs.as_ref().unwrap_or(all);
        match caller {
            Some(caller) => caller.for_runs().map_or_else(|| all.clone(), |permissions| all.within(permissions)),
            None if self.config().security.api_key_enabled => all.within(Permissions::default()),
            None => all.clone(),
        }
    }

    /// What starts runs by itself.
    pub fn triggers(&self) -> &Triggers {
        &self.0.parts.triggers
    }

    /// Scripts and node types as they are now.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.0.parts.library.catalog()
    }

    /// The script folders.
    pub fn library(&self) -> &Arc<Library> {
        &self.0.parts.library
    }

    /// How busy the machine is.
    pub fn system(&self) -> &Arc<System> {
        &self.0.parts.system
    }

    /// Where scripts are checked.
    pub fn host(&self) -> &Host {
        &self.0.parts.host
    }

    /// The parts, and how each is.
    pub fn services(&self) -> &Services {
        &self.0.parts.services
    }

    /// Refuses what needs a part that is not at work; else gives a token that is cancelled when it no longer is.
    pub(crate) fn enter(&self, part: Name) -> Result<CancellationToken> {
        Ok(self.services().enter(part)?)
    }

    /// Reading text.
    pub fn ocr(&self) -> &Arc<Ocr> {
        &self.0.parts.ocr
    }

    /// What is to be seen on the desktops.
    pub fn sight(&self) -> &Sight {
        &self.0.parts.sight
    }

    /// The desktops.
    pub fn desktops(&self) -> &Arc<Desktops> {
        &self.0.parts.desktops
    }

    /// Commands and shell sessions.
    pub fn shells(&self) -> &Shells {
        &self.0.parts.shells
    }

    /// The desktop that is open, if one is.
    pub fn open_desktop(&self) -> Option<Arc<Desktop>> {
        self.0.parts.desktops.current()
    }

    /// The description of this server's API; made once.
    pub(crate) fn description(&self, make: impl FnOnce() -> String) -> String {
        self.0.description.get_or_init(make).clone()
    }

    /// The sockets that are open, and how many more may be.
    pub(crate) fn sockets(&self) -> &Arc<Sockets> {
        &self.0.sockets
    }

    /// What browsers show in place of keys.
    pub(crate) fn passes(&self) -> &Arc<Passes> {
        &self.0.passes
    }

    /// The requests that were answered.
    pub(crate) fn answered(&self) -> &Arc<Answered> {
        &self.0.answered
    }

    /// Does something with the desktop that is meant, where it may block. If the caller goes away meanwhile, `cancel` is set.
    pub(crate) async fn on_desktop<T, F>(&self, target: Option<String>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Desktop, &CancellationToken) -> Result<T, Failure> + Send + 'static,
    {
        let desktops = Arc::clone(&self.0.parts.desktops);
        let cancel = self.shutdown().child_token();
        let _gone = cancel.clone().drop_guard();
        blocking(move || work(&*desktops.get(target.as_deref())?, &cancel)).await
    }
}

/// Runs what blocks where it holds nobody up.
pub(crate) async fn blocking<T, F>(work: F) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Error::new(Kind::Internal, "this ended unexpectedly: the server's log has the reason")),
    }
}

//! The parts of the server that can be started, stopped and watched, by the names the API gives them.
//!
//! A part says how it starts, how it stops and when it has crashed ([`Service`]); [`Services`] starts all of them, keeps each alive
//! with a growing pause between attempts, and tells how each is. What a part does is the business of its room: `app` makes the parts.
//! The table of parts is there before the parts are, so that those who ask it can be built before those it asks.
//!
//! Whoever works with a part over a longer time (a stream, a session) enters it ([`Services::enter`]) and ends when the token it was
//! given is cancelled: then the part was stopped, or crashed.

mod supervise;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::SystemTime;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::error::{Failure, Kind};

/// The parts there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Name {
    /// The screen: captures and streams.
    LiveDesktop,
    /// Mouse, keyboard and clipboard.
    ClickAutomation,
    /// Reading text.
    EnhancedOcr,
    /// Node types and stored node configs.
    Node,
    /// Runs of workflows and scripts.
    GraphExecution,
    /// Calls of n8n's webhooks, and of any other.
    N8nIntegration,
    /// Commands and shell sessions.
    Shell,
    /// Stored pictures.
    Snapshot,
    /// The script folders.
    Scripts,
    /// What starts runs by itself.
    Triggers,
    /// The database.
    Storage,
    /// The Proxmox host.
    Proxmox,
}

impl Name {
    /// All of them, in the order in which they start.
    pub const ALL: [Self; 12] = [
        Self::Storage,
        Self::LiveDesktop,
        Self::ClickAutomation,
        Self::EnhancedOcr,
        Self::Shell,
        Self::Scripts,
        Self::Node,
        Self::Snapshot,
        Self::N8nIntegration,
        Self::Proxmox,
        Self::GraphExecution,
        Self::Triggers,
    ];

    /// As it stands on the wire: `live_desktop`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LiveDesktop => "live_desktop",
            Self::ClickAutomation => "click_automation",
            Self::EnhancedOcr => "enhanced_ocr",
            Self::Node => "node",
            Self::GraphExecution => "graph_execution",
            Self::N8nIntegration => "n8n_integration",
            Self::Shell => "shell",
            Self::Snapshot => "snapshot",
            Self::Scripts => "scripts",
            Self::Triggers => "triggers",
            Self::Storage => "storage",
            Self::Proxmox => "proxmox",
        }
    }

    /// The part of that name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }
}

/// What a part must be able to do to be kept alive.
pub trait Service: Send + Sync + 'static {
    /// Brings it up. Called again after a stop or a crash.
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>>;
    /// Ends what it does: afterwards nothing of it is at work. Also called after a crash, to tidy up.
    fn stop(&self) -> BoxFuture<'_, ()>;
    /// Resolves when it has ended by itself, with the reason. A part that cannot never does.
    fn crashed(&self) -> BoxFuture<'_, Failure> {
        Box::pin(std::future::pending())
    }
    /// How it is, as a sentence for people. Does not block.
    fn details(&self) -> String;
}

/// A part and what there is of it.
pub struct Part {
    /// Its name.
    pub name: Name,
    /// How it is run; or why it is switched off, as a sentence that says what to do about it.
    pub service: Result<Arc<dyn Service>, String>,
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// At work.
    Running,
    /// Stopped, and about to start again unless the server ends.
    Stopped,
    /// Switched off by the settings.
    Disabled,
    /// Down: it is tried again by itself.
    Failed,
}

/// How a part is, for whoever asks.
#[derive(Debug, Clone)]
pub struct Report {
    /// How it is.
    pub status: Status,
    /// The same as a sentence, with the reason where it is down.
    pub details: String,
    /// Since when.
    pub since: SystemTime,
    /// How often it was started again.
    pub restarts: u32,
}

/// All parts.
pub struct Services {
    units: BTreeMap<Name, Arc<Unit>>,
}

/// One part, its state, and the way to whoever keeps it alive.
struct Unit {
    name: Name,
    /// None until the parts start, and for one that is switched off.
    service: OnceLock<Arc<dyn Service>>,
    state: Mutex<State>,
    orders: OnceLock<mpsc::Sender<Order>>,
}

struct State {
    status: Status,
    reason: Option<String>,
    since: SystemTime,
    restarts: u32,
    /// Cancelled when it stops or crashes; a new one with each start.
    session: CancellationToken,
}

enum Order {
    Restart(oneshot::Sender<()>),
    End(oneshot::Sender<()>),
}

/// How the server is as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    /// Every part that is switched on is at work, or about to be.
    Healthy,
    /// One is down.
    Degraded,
    /// Nothing can run: what runs, or where its record goes, is down.
    Unhealthy,
}

impl Default for Services {
    fn default() -> Self {
        Self::new()
    }
}

impl Services {
    /// The table of all parts, none of which is up yet.
    pub fn new() -> Self {
        let unit = |name: Name| {
            let reason = Some("the server is starting".to_owned());
            let state = State { status: Status::Stopped, reason, since: SystemTime::now(), restarts: 0, session: CancellationToken::new() };
            (name, Arc::new(Unit { name, service: OnceLock::new(), state: Mutex::new(state), orders: OnceLock::new() }))
        };
        Self { units: Name::ALL.into_iter().map(unit).collect() }
    }

    /// Starts the parts, one after the other, and keeps them alive. One that does not start is reported as failed and tried again.
    pub async fn start(&self, parts: Vec<Part>) {
        for Part { name, service } in parts {
            let Some(unit) = self.units.get(&name) else { continue };
            match service {
                Err(reason) => unit.bring_down(Status::Disabled, Some(reason)),
                Ok(service) => {
                    let (orders, received) = mpsc::channel(4);
                    if unit.service.set(Arc::clone(&service)).is_err() || unit.orders.set(orders).is_err() {
                        continue;
                    }
                    unit.bring_up(service.as_ref()).await;
                    tokio::spawn(supervise::keep_alive(Arc::clone(unit), service, received));
                }
            }
        }
    }

    /// How the server is as a whole. Cheap: this is asked by whoever balances load.
    pub fn overall(&self) -> Overall {
        let mut overall = Overall::Healthy;
        for unit in self.units.values() {
            match (unit.state().status, unit.name) {
                (Status::Failed, Name::GraphExecution | Name::Storage) => return Overall::Unhealthy,
                (Status::Failed, _) => overall = Overall::Degraded,
                _ => {}
            }
        }
        overall
    }

    /// How a part is. `None` where this server has no such part.
    pub fn report(&self, name: Name) -> Option<Report> {
        self.units.get(&name).map(|unit| unit.report())
    }

    /// How all parts are.
    pub fn reports(&self) -> impl Iterator<Item = (Name, Report)> {
        self.units.iter().map(|(name, unit)| (*name, unit.report()))
    }

    /// Whether a part is at work, and a token that is cancelled when it no longer is.
    ///
    /// # Errors
    /// `SERVICE_UNAVAILABLE` with the reason and what to do.
    pub fn enter(&self, name: Name) -> Result<CancellationToken, Failure> {
        let Some(unit) = self.units.get(&name) else {
            return Err(unavailable(name, "this server was built without it", "use another server"));
        };
        let state = unit.state();
        let reason = state.reason.as_deref().unwrap_or("it is being restarted");
        match state.status {
            Status::Running => Ok(state.session.clone()),
            Status::Disabled => Err(unavailable(name, reason, reason)),
            Status::Stopped | Status::Failed => Err(unavailable(name, reason, "it is started again by itself: try again in a moment")),
        }
    }

    /// Stops a part and starts it again; resolves once it is up again, or has failed to come up (see its report).
    ///
    /// # Errors
    /// `SERVICE_UNAVAILABLE` for one that is switched off.
    pub async fn restart(&self, name: Name) -> Result<Report, Failure> {
        let Some((unit, orders)) = self.units.get(&name).and_then(|unit| Some((unit, unit.orders.get()?))) else {
            self.enter(name)?;
            return Err(unavailable(name, "it cannot be restarted", "restart the server"));
        };
        let (reply, done) = oneshot::channel();
        if orders.send(Order::Restart(reply)).await.is_err() || done.await.is_err() {
            return Err(unavailable(name, "the server is ending", "start the server again"));
        }
        Ok(unit.report())
    }

    /// Stops all parts, in the opposite order of their start.
    pub async fn stop(&self) {
        for name in Name::ALL.into_iter().rev() {
            let Some(orders) = self.units.get(&name).and_then(|unit| unit.orders.get()) else { continue };
            let (reply, done) = oneshot::channel();
            if orders.send(Order::End(reply)).await.is_ok() {
                let _ = done.await;
            }
        }
    }
}

impl Unit {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn report(&self) -> Report {
        let state = self.state();
        let (status, since, restarts, reason) = (state.status, state.since, state.restarts, state.reason.clone());
        // The service is asked without the lock: it may take one of its own.
        drop(state);
        let details = reason.unwrap_or_else(|| self.service.get().map(|service| service.details()).unwrap_or_default());
        Report { status, details, since, restarts }
    }

    /// Starts it and notes how that went.
    async fn bring_up(&self, service: &dyn Service) {
        let started = service.start().await;
        let mut state = self.state();
        state.since = SystemTime::now();
        match started {
            Ok(()) => {
                state.status = Status::Running;
                state.reason = None;
                state.session = CancellationToken::new();
            }
            Err(failure) => {
                tracing::warn!(service = self.name.as_str(), error = %failure, "a service did not start; it is tried again");
                state.status = Status::Failed;
                state.reason = Some(failure.message);
            }
        }
    }

    /// Notes that it is down, and ends what works with it.
    fn bring_down(&self, status: Status, reason: Option<String>) {
        let mut state = self.state();
        state.status = status;
        state.reason = reason;
        state.since = SystemTime::now();
        state.session.cancel();
    }

    fn count_restart(&self) {
        self.state().restarts += 1;
    }
}

fn unavailable(name: Name, reason: &str, hint: &str) -> Failure {
    let details = json!({ "service": name.as_str(), "hint": hint });
    Failure::new(Kind::ServiceUnavailable, format!("the service {} is not available: {reason}", name.as_str())).with(details)
}

#[cfg(test)]
mod tests;

//! How each part of the server starts, stops and crashes, for [`crate::services`]. Each has a file of its own.

mod desktop;
mod http;
mod node;
mod ocr;
mod records;
mod runs;
mod scripts;
mod shell;
mod storage;
mod triggers;

pub(crate) mod proxmox;

use std::sync::Arc;

use super::checks::{Checks, Kept};
use crate::config::Config;
use crate::desktop::Desktops;
use crate::error::Failure;
use crate::fetch::Fetch;
use crate::host::Host;
use crate::ocr::Ocr;
use crate::runs::Runs;
use crate::script::Library;
use crate::services::{Name, Part, Service};
use crate::shell::Shells;
use crate::snapshots::Snapshots;
use crate::store::Store;
use crate::triggers::Triggers;

/// What the parts are made of.
pub(super) struct Rooms<'a> {
    pub(super) config: &'a Config,
    pub(super) desktops: &'a Arc<Desktops>,
    pub(super) fetch: &'a Arc<Fetch>,
    pub(super) host: &'a Arc<Host>,
    pub(super) library: &'a Arc<Library>,
    pub(super) ocr: &'a Arc<Ocr>,
    pub(super) runs: &'a Runs,
    pub(super) shells: &'a Arc<Shells>,
    pub(super) snapshots: &'a Snapshots,
    pub(super) store: &'a Store,
    pub(super) triggers: &'a Triggers,
}

/// All parts, in the order in which they start.
pub(super) fn parts(rooms: &Rooms<'_>) -> Vec<Part> {
    Name::ALL.into_iter().map(|name| Part { name, service: service(name, rooms) }).collect()
}

fn service(name: Name, rooms: &Rooms<'_>) -> Result<Arc<dyn Service>, String> {
    let config = rooms.config;
    let switched = |on: bool, variable: &str| if on { Ok(()) } else { Err(format!("set {variable}=true and start again")) };
    Ok(match name {
        Name::EnhancedOcr => {
            switched(config.services.ocr, "ENABLE_OCR")?;
            Arc::new(ocr::Reading(Arc::clone(rooms.ocr)))
        }
        Name::GraphExecution => Arc::new(runs::Execution { runs: rooms.runs.clone(), host: Arc::clone(rooms.host) }),
        Name::N8nIntegration => Arc::new(http::Requests(Arc::clone(rooms.fetch))),
        Name::Node => Arc::new(node::Types(Arc::clone(rooms.library))),
        Name::Scripts => {
            let checks = Arc::new(Checks::new(Arc::clone(rooms.host)));
            Arc::new(scripts::Folders { library: Arc::clone(rooms.library), checks, kept: Arc::new(Kept(rooms.runs.versions())) })
        }
        Name::Storage => Arc::new(storage::Database(rooms.store.clone())),
        Name::Triggers => Arc::new(triggers::Armed::new(rooms.triggers.clone(), Arc::clone(rooms.library))),
        Name::ClickAutomation => {
            switched(config.services.click_automation, "ENABLE_CLICK_AUTOMATION")?;
            Arc::new(desktop::ClickAutomation::new(Arc::clone(rooms.desktops)))
        }
        Name::LiveDesktop => Arc::new(desktop::LiveDesktop::new(Arc::clone(rooms.desktops))),
        Name::Shell => Arc::new(shell::Shell(Arc::clone(rooms.shells))),
        Name::Snapshot => Arc::new(records::SnapshotService::new(rooms.snapshots.clone())),
        Name::Proxmox if config.proxmox.host.is_none() => {
            return Err("set PROXMOX_HOST, PROXMOX_USERNAME and PROXMOX_PASSWORD and start again".to_owned());
        }
        Name::Proxmox => Arc::new(proxmox::Host::new(config.proxmox.clone())),
    })
}

/// Does what blocks where it holds nobody up.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Failure> + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(Failure::new(crate::error::Kind::Internal, format!("this ended unexpectedly: {error}"))))
}

/// `1 script`, `2 scripts`.
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

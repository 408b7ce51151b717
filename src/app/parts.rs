//! How each part of the server starts, stops and crashes, for [`crate::services`].

mod desktop;
mod records;
mod shell;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::config::Config;
use crate::desktop::Desktops;
use crate::error::Failure;
use crate::services::{Name, Part, Service};
use crate::shell::Shells;
use crate::snapshots::Snapshots;

/// All parts, in the order in which they start.
pub(super) fn parts(config: &Config, desktops: &Arc<Desktops>, shells: &Arc<Shells>, snapshots: &Snapshots) -> Vec<Part> {
    Name::ALL.into_iter().map(|name| Part { name, service: service(name, config, desktops, shells, snapshots) }).collect()
}

fn service(
    name: Name,
    config: &Config,
    desktops: &Arc<Desktops>,
    shells: &Arc<Shells>,
    snapshots: &Snapshots,
) -> Result<Arc<dyn Service>, String> {
    let off = |variable: &str| Err(format!("set {variable}=true and start again"));
    match name {
        Name::LiveDesktop => Ok(Arc::new(desktop::LiveDesktop::new(Arc::clone(desktops)))),
        Name::ClickAutomation if !config.services.click_automation => off("ENABLE_CLICK_AUTOMATION"),
        Name::ClickAutomation => Ok(Arc::new(desktop::ClickAutomation::new(Arc::clone(desktops)))),
        Name::EnhancedOcr if !config.services.ocr => off("ENABLE_OCR"),
        Name::Shell => Ok(Arc::new(shell::Shell(Arc::clone(shells)))),
        Name::Snapshot => Ok(Arc::new(records::SnapshotService::new(snapshots.clone()))),
        Name::Proxmox if config.proxmox.host.is_none() => {
            Err("set PROXMOX_HOST, PROXMOX_USERNAME and PROXMOX_PASSWORD and start again".to_owned())
        }
        _ => Ok(Arc::new(Ready)),
    }
}

/// A part that is ready as long as the server is.
struct Ready;

impl Service for Ready {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn details(&self) -> String {
        "ready".to_owned()
    }
}

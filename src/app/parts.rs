//! How each part of the server starts, stops and crashes, for [`crate::services`].

pub(crate) mod proxmox;

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::config::Config;
use crate::error::Failure;
use crate::services::{Name, Part, Service};

/// All parts, in the order in which they start.
pub(super) fn parts(config: &Config) -> Vec<Part> {
    Name::ALL.into_iter().map(|name| Part { name, service: service(name, config) }).collect()
}

fn service(name: Name, config: &Config) -> Result<Arc<dyn Service>, String> {
    let on = |on: bool, variable: &str| {
        if on { Ok(Arc::new(Ready) as Arc<dyn Service>) } else { Err(format!("set {variable}=true and start again")) }
    };
    match name {
        Name::ClickAutomation => on(config.services.click_automation, "ENABLE_CLICK_AUTOMATION"),
        Name::EnhancedOcr => on(config.services.ocr, "ENABLE_OCR"),
        Name::Proxmox if config.proxmox.host.is_none() => {
            Err("set PROXMOX_HOST, PROXMOX_USERNAME and PROXMOX_PASSWORD and start again".to_owned())
        }
        Name::Proxmox => Ok(Arc::new(proxmox::Host::new(config.proxmox.clone()))),
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

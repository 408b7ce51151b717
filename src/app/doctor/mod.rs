//! What this machine has of what the settings ask for, and how to get what is missing.
//!
//! Things are tried rather than looked up: a display is opened, a port listened on, a file written, a shell asked for its version.

mod data;
mod desktop;
mod kernel;
mod port;
mod programs;

use serde::Serialize;

use crate::app::parts::proxmox;
use crate::config::Config;
use crate::ocr;
use programs::Programs;

/// How a thing is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is there and works.
    Ok,
    /// It is not there.
    Missing,
    /// It is there and does not work.
    Broken,
}

/// What was found of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub part: &'static str,
    /// How it is.
    pub status: Status,
    /// Whether the server cannot do its work without it.
    pub needed: bool,
    /// What was found.
    pub details: String,
    /// What mends it: a command where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl Finding {
    fn ok(part: &'static str, details: impl Into<String>) -> Self {
        Self { part, status: Status::Ok, needed: true, details: details.into(), mend: None }
    }

    fn missing(part: &'static str, details: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { part, status: Status::Missing, needed: true, details: details.into(), mend: Some(mend.into()) }
    }

    fn broken(part: &'static str, details: impl Into<String>, mend: impl Into<String>) -> Self {
        Self { status: Status::Broken, ..Self::missing(part, details, mend) }
    }

    /// The same of something without which the rest works.
    fn optional(self) -> Self {
        Self { needed: false, ..self }
    }

    /// Whether the server cannot do its work because of it.
    pub fn is_in_the_way(&self) -> bool {
        self.needed && self.status != Status::Ok
    }
}

/// Looks at everything. Changes nothing but that the data folder is made.
pub async fn examine(config: &Config) -> Vec<Finding> {
    let programs = Programs::new();
    let mut findings = vec![data::folder(config), port::free(config)];
    findings.extend(desktop::display(config).await);
    findings.extend(programs.ocr(config).await);
    findings.extend(programs.shells().await);
    findings.push(models(config));
    findings.extend(kernel::sandbox(config));
    findings.push(proxmox(config).await);
    findings
}

/// The engine that reads beside Tesseract: its files are hashed, and its library and networks loaded.
fn models(config: &Config) -> Finding {
    let part = "neural models";
    if !config.services.ocr {
        return Finding::ok(part, "switched off by ENABLE_OCR=false").optional();
    }
    let folder = &config.ocr.models;
    let mend = format!("trae models install --to {}", folder.display());
    if !folder.exists() {
        return Finding::missing(part, format!("not in {}; Tesseract reads", folder.display()), mend).optional();
    }
    match ocr::Ocr::new(crate::app::ocr_settings(config)).load_neural() {
        Ok(()) => Finding::ok(part, format!("loaded from {}", folder.display())).optional(),
        Err(error) => Finding::broken(part, error.to_string(), mend).optional(),
    }
}

async fn proxmox(config: &Config) -> Finding {
    let part = "proxmox";
    match proxmox::client(&config.proxmox) {
        None => Finding::ok(part, "not configured").optional(),
        Some(Err(error)) => Finding::broken(part, error.to_string(), "apt-get install ca-certificates").optional(),
        Some(Ok(client)) => match client.check().await {
            Ok(version) => Finding::ok(part, format!("Proxmox VE {} at {}", version.version, client.place())).optional(),
            Err(error) => Finding::broken(part, error.to_string(), "see the PROXMOX_ settings: trae config").optional(),
        },
    }
}

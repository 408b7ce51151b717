//! `trae doctor`: what this machine has, and how to get what is missing.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::Args;
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use trae::app::doctor::{self, Finding, Status};

use super::{Place, exit, log_to_stderr, print, runtime};

/// Tell what this machine has, and how to get what is missing.
#[derive(Args)]
pub(super) struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

impl Doctor {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        let config = self.place.config(BTreeMap::new())?;
        let _log = log_to_stderr(&config);
        let findings = runtime(2)?.block_on(doctor::examine(&config));
        let well = !findings.iter().any(Finding::is_in_the_way);
        if self.json {
            print::json(&serde_json::json!({ "ok": well, "findings": findings }));
        } else {
            print::result(&table(&findings));
        }
        if well { Ok(ExitCode::SUCCESS) } else { Err(exit::UNAVAILABLE.into()) }
    }
}

fn table(findings: &[Finding]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["", "status", "what was found", "what mends it"]);
    for finding in findings {
        let status = match finding.status {
            Status::Ok => "ok",
            Status::Missing if finding.needed => "MISSING",
            Status::Missing => "missing (optional)",
            Status::Broken if finding.needed => "BROKEN",
            Status::Broken => "broken (optional)",
        };
        table.add_row([finding.part, status, &finding.details, finding.mend.as_deref().unwrap_or_default()]);
    }
    table.to_string()
}

//! `trae audit`: who did what, and whether the log of it is what was recorded.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::{Map, Value, json};
use trae::app;
use trae::audit::{Deed, Noted, Outcome, Query, hex};
use trae::config::Config;
use trae::error::Failure;
use trae::runs::Timestamp;

use super::serve::failed;
use super::{Place, exit, log_to_stderr, print, runtime};

/// List who did what, and check that nobody changed that.
#[derive(Subcommand)]
pub(super) enum Audit {
    /// List what was done, newest first
    List(List),
    /// Check the whole log, and name what was done to it: exit code 1 where that is anything
    Verify(Verify),
    /// Print the public key that the log is signed with, to be kept elsewhere
    Key(Key),
}

#[derive(Args)]
pub(super) struct List {
    /// Only of this actor: key:NAME, local, cli:NAME, run:ID, webhook:PATH, …
    #[arg(long)]
    actor: Option<String>,
    /// Only this; with a * at its end, all that begin so: shell.*
    #[arg(long)]
    action: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    limit: u32,
    /// Only those before this number
    #[arg(long)]
    before: Option<u64>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Verify {
    /// The public key it must be signed with, where you kept it elsewhere (`trae audit key`)
    #[arg(long)]
    key: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Key {
    #[command(flatten)]
    place: Place,
}

impl Audit {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        match self {
            Self::List(List { actor, action, limit, before, json, place }) => with(place, |config| async move {
                let audit = app::audit(&config).map_err(|failure| failed(&failure))?;
                let query = Query { actor, action, since: None, before, limit };
                let (deeds, _) = audit.list(query).await.map_err(|error| failed(&error.into()))?;
                if json {
                    print::json(&deeds.iter().map(row).collect::<Vec<_>>());
                } else {
                    print::result(&table(&deeds));
                }
                Ok(ExitCode::SUCCESS)
            }),
            Self::Verify(Verify { key, json, place }) => with(place, |config| async move {
                let audit = app::audit(&config).map_err(|failure| failed(&failure))?;
                let report = audit.verify(key.as_deref()).await.map_err(|error| failed(&error.into()))?;
                if json {
                    print::json(&report);
                } else if report.intact {
                    let unsigned = report.entries - report.signed;
                    print::result(&format!("{} entries, all as they were recorded; {unsigned} of them are not signed yet", report.entries));
                    print::note(&format!("signed with {}; the last entry is {}", report.key, report.hash));
                } else {
                    report.findings.iter().for_each(|finding| print::result(&finding.to_string()));
                    print::complaint(&format!("the audit log of {} entries is not what was recorded", report.entries));
                }
                Ok(ExitCode::from(if report.intact { 0 } else { exit::FAILED }))
            }),
            Self::Key(Key { place }) => with(place, |config| async move {
                print::result(&app::audit(&config).map_err(|failure| failed(&failure))?.public_key());
                Ok(ExitCode::SUCCESS)
            }),
        }
    }
}

fn with<F: Future<Output = Result<ExitCode, ExitCode>>>(place: Place, work: impl FnOnce(Config) -> F) -> Result<ExitCode, ExitCode> {
    let config = place.config(BTreeMap::new())?;
    let _log = log_to_stderr(&config);
    runtime(1)?.block_on(work(config))
}

/// What whoever sits at this terminal is called in the log.
pub(super) fn actor() -> String {
    let name = ["USER", "LOGNAME"].into_iter().filter_map(|name| std::env::var(name).ok()).find(|name| !name.is_empty());
    format!("cli:{}", name.unwrap_or_else(|| rustix::process::getuid().as_raw().to_string()))
}

/// Does something that is on record before it is done.
pub(super) async fn noted<T>(
    config: &Config,
    action: &str,
    target: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, ExitCode> {
    let audit = app::audit(config).map_err(|failure| failed(&failure))?;
    let deed = Deed { actor: actor(), action: action.to_owned(), target: Some(target.to_owned()), details: json!({}) };
    let noted = audit.begin(deed).await.map_err(|error| failed(&error.into()))?;
    let done = work.await;
    match &done {
        Ok(_) => audit.end(noted, Outcome::Ok, json!({})),
        Err(failure) => audit.end(noted, Outcome::Refused, json!({ "error_code": failure.code })),
    }
    audit.sign().await.map_err(|error| failed(&error.into()))?;
    done.map_err(|failure| failed(&failure))
}

fn row(Noted { link, end }: &Noted) -> Value {
    let read = |text: Option<&String>| text.and_then(|text| serde_json::from_str::<Map<_, _>>(text).ok()).unwrap_or_default();
    let mut details: Map<String, Value> = read(link.row.details.as_ref());
    details.extend(read(end.as_ref().and_then(|(_, _, more)| more.as_ref())));
    json!({
        "seq": link.seq,
        "timestamp": Timestamp(link.row.at),
        "actor": link.row.actor,
        "action": link.row.action,
        "target": link.row.target,
        "details": details,
        "result": result(link, end.as_ref()),
        "hash": hex(&link.hash),
    })
}

fn result<'a>(link: &'a trae::store::audit::AuditLink, end: Option<&'a (i64, String, Option<String>)>) -> &'a str {
    end.map_or(&link.row.result, |(_, result, _)| result)
}

fn table(deeds: &[Noted]) -> String {
    let moment = |at: i64| Timestamp(at).to_string().chars().take(19).collect::<String>().replace('T', " ");
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["no.", "when", "who", "what", "with", "result"]);
    for Noted { link, end } in deeds {
        table.add_row([
            link.seq.to_string(),
            moment(link.row.at),
            link.row.actor.clone(),
            link.row.action.clone(),
            link.row.target.clone().unwrap_or_default(),
            result(link, end.as_ref()).to_owned(),
        ]);
    }
    table.to_string()
}

//! `trae keys`: who may use the server with API keys on.
//!
//! It writes to the data folder; a server that runs there knows of it at once.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use trae::app;
use trae::config::Config;
use trae::error::Failure;
use trae::keys::{Key, Scope};
use trae::runs::Timestamp;

use super::audit::noted;
use super::serve::failed;
use super::{Place, log_to_stderr, print, runtime};

/// Make, list and revoke API keys.
#[derive(Subcommand)]
pub(super) enum Keys {
    /// Make a key, and print it alone on standard output: it is shown once
    Create(Create),
    /// List the keys, without the keys themselves
    List(List),
    /// Revoke a key
    Revoke(Revoke),
}

#[derive(Args)]
pub(super) struct Create {
    /// What you call it
    #[arg(long)]
    name: String,
    /// What it opens: read, desktop, shell, scripts, workflows, admin; can be given several times
    #[arg(long = "scope", required = true)]
    scopes: Vec<Scope>,
    /// The workflow that it may run, and nothing else: the scopes, among them `workflows`, say what its runs may do; can be given several times
    #[arg(long = "workflow", value_name = "ID")]
    workflows: Vec<String>,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct List {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Revoke {
    /// The key's id, as the list shows it
    id: String,
    #[command(flatten)]
    place: Place,
}

impl Keys {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        match self {
            Self::Create(Create { name, scopes, workflows, place }) => with(place, |config| async move {
                let wanted = config.security.api_key_enabled;
                let keys = app::keys(&config).map_err(|failure| failed(&failure))?;
                let make = async { Ok::<_, Failure>(keys.create_for(&name, scopes.into_iter().collect(), &workflows).await?) };
                let (key, made) = noted(&config, "key.create", &name, make).await?;
                print::result(&key);
                let only = match made.workflows.is_empty() {
                    true => String::new(),
                    false => format!(", for {} only", made.workflows.join(", ")),
                };
                print::note(&format!("key {} ({}), with the scopes {}{only}; it is not shown again", made.id, made.name, made.scopes));
                if !wanted {
                    print::note("nobody asks for it yet: set API_KEY_ENABLED=true");
                }
                Ok(ExitCode::SUCCESS)
            }),
            Self::List(List { json, place }) => with(place, |config| async move {
                let keys = app::keys(&config).map_err(|failure| failed(&failure))?;
                let keys = keys.list().await.map_err(|error| failed(&error.into()))?;
                if json {
                    print::json(&keys.iter().map(row).collect::<Vec<_>>());
                } else {
                    print::result(&table(&keys));
                }
                Ok(ExitCode::SUCCESS)
            }),
            Self::Revoke(Revoke { id, place }) => with(place, |config| async move {
                let keys = app::keys(&config).map_err(|failure| failed(&failure))?;
                noted(&config, "key.revoke", &id, async { Ok(keys.revoke(&id).await?) }).await?;
                print::note(&format!("the key {id} is revoked"));
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

fn row(key: &Key) -> serde_json::Value {
    serde_json::json!({
        "id": key.id,
        "name": key.name,
        "scopes": key.scopes,
        "workflows": key.workflows,
        "created_at": Timestamp(key.created_at),
        "last_used": key.last_used().map(Timestamp),
    })
}

fn table(keys: &[Key]) -> String {
    let moment = |at: i64| Timestamp(at).to_string().chars().take(16).collect::<String>().replace('T', " ");
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["id", "name", "scopes", "only for", "created", "last used"]);
    for key in keys {
        let used = key.last_used().map_or_else(|| "never".to_owned(), moment);
        table.add_row([key.id.clone(), key.name.clone(), key.scopes.to_string(), key.workflows.join(" "), moment(key.created_at), used]);
    }
    table.to_string()
}

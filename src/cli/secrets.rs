//! `trae secrets`: values that scripts and workflows use and nobody reads.
//!
//! It writes to the data folder; a server that runs there uses them at once.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use trae::app;
use trae::config::Config;
use trae::error::Failure;
use trae::runs::Timestamp;
use trae::secrets::{LONGEST, Secret};

use super::audit::noted;
use super::serve::failed;
use super::{Place, exit, log_to_stderr, print, runtime};

/// Set, list and remove secrets.
#[derive(Subcommand)]
pub(super) enum Secrets {
    /// Set a secret: its value is asked for, or read from standard input where that is no terminal
    Set(Set),
    /// List the secrets, without their values
    List(List),
    /// Remove a secret
    Remove(Remove),
}

#[derive(Args)]
pub(super) struct Set {
    /// Its name: letters, digits, _ and -
    name: String,
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
pub(super) struct Remove {
    /// Its name
    name: String,
    #[command(flatten)]
    place: Place,
}

impl Secrets {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        match self {
            Self::Set(Set { name, place }) => with(place, |config| async move {
                let value = value(&name).map_err(|error| {
                    print::complaint(&format!("the value cannot be read: {error}"));
                    ExitCode::from(exit::DATA)
                })?;
                let secrets = app::secrets(&config).map_err(|failure| failed(&failure))?;
                let set = async { Ok::<_, Failure>(secrets.set(&name, &value).await?) };
                let (_, is_new) = noted(&config, "secret.set", &name, set).await?;
                print::note(&format!("the secret {name} is {}", if is_new { "set" } else { "replaced" }));
                Ok(ExitCode::SUCCESS)
            }),
            Self::List(List { json, place }) => with(place, |config| async move {
                let secrets = app::secrets(&config).map_err(|failure| failed(&failure))?;
                let secrets = secrets.list().await.map_err(|error| failed(&error.into()))?;
                if json {
                    print::json(&secrets.iter().map(row).collect::<Vec<_>>());
                } else {
                    print::result(&table(&secrets));
                }
                Ok(ExitCode::SUCCESS)
            }),
            Self::Remove(Remove { name, place }) => with(place, |config| async move {
                let secrets = app::secrets(&config).map_err(|failure| failed(&failure))?;
                noted(&config, "secret.remove", &name, async { Ok(secrets.remove(&name).await?) }).await?;
                print::note(&format!("the secret {name} is removed"));
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

/// The value: typed, unseen, or all that standard input holds but a line break at its end.
fn value(name: &str) -> std::io::Result<String> {
    let stdin = std::io::stdin();
    let mut value = String::new();
    if stdin.is_terminal() {
        let _unseen = Unseen::begin()?;
        let mut terminal = std::io::stderr();
        let _ = write!(terminal, "Value of {name}: ");
        let _ = terminal.flush();
        stdin.read_line(&mut value)?;
        let _ = writeln!(terminal);
    } else {
        // One byte more than there may be, so that it is seen to be too long.
        stdin.lock().take(LONGEST as u64 + 3).read_to_string(&mut value)?;
    }
    let kept = value.strip_suffix('\n').map_or(value.as_str(), |rest| rest.strip_suffix('\r').unwrap_or(rest));
    Ok(kept.to_owned())
}

/// A terminal that does not show what is typed, as long as this lives.
struct Unseen(Termios);

impl Unseen {
    fn begin() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Flush, &quiet)?;
        Ok(Self(before))
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}

fn row(secret: &Secret) -> serde_json::Value {
    serde_json::json!({
        "name": secret.name,
        "created_at": Timestamp(secret.created_at),
        "updated_at": Timestamp(secret.updated_at),
    })
}

fn table(secrets: &[Secret]) -> String {
    let moment = |at: i64| Timestamp(at).to_string().chars().take(16).collect::<String>().replace('T', " ");
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["name", "created", "set"]);
    for secret in secrets {
        table.add_row([secret.name.clone(), moment(secret.created_at), moment(secret.updated_at)]);
    }
    table.to_string()
}

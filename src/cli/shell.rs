//! `trae shell`: the shell sessions of a running server, from one's own terminal.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use trae::config::Config;
use trae::error::Failure;
use trae::fetch::{Fetch, Request};
use trae::policy::{Grant, Permissions};

use super::attach::{self, DetachKey};
use super::{Place, exit, print, runtime};

/// List shell sessions, and use one in this terminal.
#[derive(Subcommand)]
pub(super) enum Shell {
    /// List the sessions that are open
    List(List),
    /// Use a session in this terminal; Ctrl-] leaves it, and it goes on
    Attach(Attach),
}

#[derive(Args)]
pub(super) struct List {
    /// Also so many of those that have ended
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=500))]
    ended: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

#[derive(Args)]
pub(super) struct Attach {
    /// The session's id, or the beginning of it, or its name
    id: String,
    /// Type instead of whoever does
    #[arg(long)]
    take: bool,
    /// The key that leaves the session: ctrl- and a letter, or one of @ [ \ ] ^ _
    #[arg(long, value_name = "KEY", default_value = "ctrl-]")]
    detach_key: DetachKey,
    #[command(flatten)]
    server: Server,
}

/// Which server is asked, and as whom.
#[derive(Args)]
pub(super) struct Server {
    /// Where the server is; without it as HOST, PORT and the other settings say
    #[arg(long, env = "TRAE_URL", value_name = "URL")]
    url: Option<String>,
    /// A key with the scope shell, where the server wants one
    #[arg(long, env = "TRAE_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    #[command(flatten)]
    place: Place,
}

impl Shell {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        let runtime = runtime(1)?;
        let code = match self {
            Self::List(List { ended, json, server }) => runtime.block_on(list(server, ended, json)),
            Self::Attach(Attach { id, take, detach_key, server }) => runtime.block_on(attach(server, &id, take, detach_key)),
        };
        // The thread that reads what is typed may wait for a key for ever.
        runtime.shutdown_background();
        code
    }
}

async fn list(server: Server, ended: u32, json: bool) -> Result<ExitCode, ExitCode> {
    let target = server.target()?;
    let answer = target.sessions(ended).await?;
    if json {
        print::json(&answer);
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["session", "name", "shell", "created", "where", "viewers"]);
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let time = |value: &Value| text(value, "created_at").chars().take(19).collect::<String>().replace('T', " ");
    for session in answer["sessions"].as_array().into_iter().flatten() {
        let viewers = session["viewers"].as_u64().unwrap_or_default().to_string();
        let (id, name, shell) = (text(session, "session_id"), text(session, "name"), text(session, "shell_type"));
        table.add_row([id, name, shell, time(session), text(session, "working_directory"), viewers]);
    }
    for session in answer["ended"].as_array().into_iter().flatten() {
        let (id, name, shell) = (text(session, "session_id"), text(session, "name"), text(session, "shell_type"));
        table.add_row([id, name, shell, time(session), text(&session["end"], "reason"), String::new()]);
    }
    print::result(&table.to_string());
    Ok(ExitCode::SUCCESS)
}

async fn attach(server: Server, wanted: &str, take: bool, detach_key: DetachKey) -> Result<ExitCode, ExitCode> {
    let target = server.target()?;
    let answer = target.sessions(0).await?;
    let sessions: Vec<(&str, &str)> = answer["sessions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|session| Some((session["session_id"].as_str()?, session["name"].as_str()?)))
        .collect();
    let fits: Vec<&str> = match sessions.iter().find(|(id, _)| *id == wanted) {
        Some((id, _)) => vec![id],
        None => sessions.iter().filter(|(id, name)| id.starts_with(wanted) || *name == wanted).map(|(id, _)| *id).collect(),
    };
    let id = match fits.as_slice() {
        [id] => *id,
        // It may have ended, which the server says better.
        [] => wanted,
        several => {
            print::complaint(&format!("{wanted:?} fits {} sessions: {}", several.len(), several.join(", ")));
            return Err(exit::USAGE.into());
        }
    };
    attach::run(&target, id, take, detach_key).await
}

/// A server, and who asks it.
pub(super) struct Target {
    /// Where it is, without a slash at the end.
    pub(super) url: String,
    pub(super) key: Option<String>,
}

impl Server {
    fn target(self) -> Result<Target, ExitCode> {
        let url = match self.url {
            Some(url) => url,
            None => of_settings(&self.place.config(BTreeMap::new())?),
        };
        Ok(Target { url: url.trim_end_matches('/').to_owned(), key: self.key.filter(|key| !key.is_empty()) })
    }
}

/// Where the server is that these settings are for.
fn of_settings(config: &Config) -> String {
    let scheme = if config.server.tls_cert.is_some() { "https" } else { "http" };
    let host = match config.server.host {
        host if host.is_unspecified() => "127.0.0.1".to_owned(),
        IpAddr::V6(host) => format!("[{host}]"),
        IpAddr::V4(host) => host.to_string(),
    };
    format!("{scheme}://{host}:{}", config.server.port)
}

impl Target {
    /// What the server says of its sessions.
    async fn sessions(&self, ended: u32) -> Result<Value, ExitCode> {
        let url = format!("{}/api/shell/sessions?ended={ended}", self.url);
        let failed = |failure: Failure| {
            print::complaint(&failure.message);
            exit::code(failure.code)
        };
        let grant = Grant::new(vec![Permissions::all()], std::env::temp_dir());
        let allowed = grant.url(&url).map_err(|denied| failed(denied.into()))?;
        let headers = self.key.iter().map(|key| ("Authorization".to_owned(), format!("Bearer {key}"))).collect();
        let request = Request { url, method: "GET".to_owned(), headers, query: BTreeMap::new(), body: Value::Null, timeout: 30.0 };
        let answer = Fetch::new().send(allowed, request, &CancellationToken::new()).await.map_err(|error| failed(error.into()))?;
        if answer.status == 200 {
            return Ok(answer.body);
        }
        print::complaint(&said(answer.status, &answer.body));
        Err(exit::FAILED.into())
    }
}

/// What a server's error says.
pub(super) fn said(status: u16, body: &Value) -> String {
    let message = body["error"].as_str().unwrap_or("it does not say why");
    format!("the server answers {status}: {message}")
}

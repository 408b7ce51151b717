//! `settings.json`: each variable of the specification, and what it changes that somebody would notice.
//!
//! Each row is tried twice: with what it sets, when the effect has to be there, and without, when it must not.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::StreamExt as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use serde_json::Value;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::trae::{Place, Served, stdout};
use crate::desktop::display::Display;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    set: BTreeMap<String, String>,
    #[serde(default)]
    with: BTreeMap<String, String>,
    effect: Effect,
}

/// What is looked at: all that is named has to hold.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Effect {
    /// What is put there first: paths and bodies.
    puts: Vec<(String, Value)>,
    /// A request, and what of the last answer is compared.
    get: Option<String>,
    post: Option<String>,
    body: Option<Value>,
    headers: BTreeMap<String, String>,
    times: Option<usize>,
    status: Option<u16>,
    header: Option<String>,
    pointer: Option<String>,
    is: Value,
    /// The log holds it.
    log: Option<String>,
    /// So many threads work on requests.
    threads: Option<usize>,
    /// A node type that is dropped into the script folder is not noticed.
    misses_new_node_type: bool,
    /// A socket is opened, and what becomes of it.
    socket: Option<String>,
    refused: Option<u16>,
    second_refused: Option<u16>,
    closed: Option<u16>,
    pinged: bool,
    /// `POST /api/auth/token` answers a token with that signature.
    token_signed_with: Option<String>,
    /// `trae run` prints it.
    script: Option<String>,
    prints: Option<String>,
    /// On a display with a text on it.
    shows_text: bool,
    /// `trae doctor` finds it.
    doctor: Option<String>,
    details: Option<String>,
}

#[tokio::test]
async fn each_variable_changes_what_it_says() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let rows: Vec<Row> = serde_json::from_str(&include_str!("settings.json").replace("{port}", &free.to_string())).unwrap();
    let mut wrong = Vec::new();
    for row in &rows {
        let set: Vec<_> = row.with.iter().chain(&row.set).map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let unset: Vec<_> = row.with.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        if let Err(seen) = row.effect.holds(&set).await {
            wrong.push(format!("{:?} has no effect: {seen}", row.set));
        }
        // The rows of `with` alone, and the defaults.
        if row.effect.holds(&unset).await.is_ok() {
            wrong.push(format!("{:?}: the effect is there without it", row.set));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let named: Vec<_> = rows.iter().flat_map(|row| row.set.keys()).collect();
    for variable in OF_THE_SPECIFICATION.split_whitespace() {
        assert!(named.iter().any(|name| *name == variable), "{variable} is in no row");
    }
}

/// Those that are tested elsewhere: `RUNS_KEPT` and `RUNS_KEPT_DAYS` in `runs/kept.rs`, `STEP_IMAGES` in `api/run_files.rs`; `OCR_TIMEOUT` in `machine/ocr.rs`; the names and passwords of Proxmox in `integrations/proxmox.rs`.
const OF_THE_SPECIFICATION: &str = "APP_NAME DEBUG ENVIRONMENT HOST PORT RELOAD WORKERS CORS_ORIGINS CORS_CREDENTIALS ENABLE_OCR
    ENABLE_CLICK_AUTOMATION ENABLE_WEBSOCKETS OCR_LANGUAGES OCR_CONFIDENCE_THRESHOLD WEBSOCKET_TIMEOUT
    MAX_WEBSOCKET_CONNECTIONS WEBSOCKET_PING_INTERVAL JWT_SECRET_KEY API_KEY_ENABLED RATE_LIMIT_ENABLED
    RATE_LIMIT_REQUESTS_PER_MINUTE PROXMOX_HOST PROXMOX_PORT";

impl Effect {
    /// Whether it is there; what was seen instead.
    async fn holds(&self, environment: &[(&str, &str)]) -> Result<(), String> {
        let place = Place::new();
        if let Some(script) = &self.script {
            return self.printed(&place, script, environment);
        }
        if let Some(part) = &self.doctor {
            let report: Value = serde_json::from_str(&stdout(&place.run(&["doctor", "--json"], environment))).unwrap_or_default();
            let all = report["findings"].as_array().cloned().unwrap_or_default();
            let found = all.iter().find(|finding| finding["part"] == *part).map(|finding| finding["details"].to_string());
            return same(found.clone().is_some_and(|found| found.contains(self.details.as_deref().unwrap_or_default())), found);
        }
        let served = place.serve(environment);
        if self.get.is_some() || self.post.is_some() {
            self.answered(&served).await?;
        }
        if let Some(path) = &self.socket {
            self.spoken(&served.socket(path)).await?;
        }
        if let Some(wanted) = self.threads {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", served.pid())).unwrap().flatten();
            let names = tasks.map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default());
            let working = names.filter(|name| name.starts_with("tokio")).count();
            same(working >= wanted, working)?;
        }
        if self.misses_new_node_type {
            // What is there at the start is compiled first, and the folders are read once more after that.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let path = place.data().join("scripts/nodes/dropped_in.rhai");
            std::fs::copy("stdlib/nodes/log_message.rhai", path).unwrap();
            let mut listed = false;
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_millis(50)).await;
                listed = listed || reqwest::get(served.url("/api/node-configs/templates/dropped_in")).await.unwrap().status() == 200;
            }
            same(!listed, "the node type is there")?;
        }
        if let Some(secret) = &self.token_signed_with {
            let made = place.run(&["keys", "create", "--name", "a", "--scope", "read"], &[]);
            let asked = reqwest::Client::new().post(served.url("/api/auth/token")).bearer_auth(stdout(&made).trim());
            let answer: Value = asked.send().await.unwrap().json().await.unwrap();
            let token = answer["access_token"].as_str().unwrap_or_default().to_owned();
            let (signed, seal) = token.rsplit_once('.').ok_or("no token")?;
            let right = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap().chain_update(signed).finalize().into_bytes();
            same(URL_SAFE_NO_PAD.encode(right) == seal, token)?;
        }
        if let Some(log) = &self.log {
            let said = served.end();
            same(said.contains(log.as_str()), said)?;
        }
        Ok(())
    }

    async fn answered(&self, served: &Served) -> Result<(), String> {
        let client = reqwest::Client::new();
        for (path, body) in &self.puts {
            let status = client.put(served.url(path)).json(body).send().await.unwrap().status();
            same(status.is_success(), status)?;
        }
        for left in (0..self.times.unwrap_or(1)).rev() {
            let mut request = match (&self.get, &self.post) {
                (Some(path), _) => client.get(served.url(path)),
                (None, path) => client.post(served.url(path.as_deref().unwrap_or_default())),
            };
            for (name, value) in &self.headers {
                request = request.header(name, value);
            }
            if let Some(body) = &self.body {
                request = request.json(body);
            }
            let answer = request.send().await.unwrap();
            if left > 0 {
                continue;
            }
            let status = answer.status().as_u16();
            same(self.status.is_none_or(|wanted| wanted == status), status)?;
            if let Some(name) = &self.header {
                let value = answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
                same(value.as_deref() == self.is.as_str(), value)?;
            }
            if let Some(pointer) = &self.pointer {
                let body: Value = answer.json().await.unwrap();
                same(body.pointer(pointer) == Some(&self.is), body.pointer(pointer))?;
            }
        }
        Ok(())
    }

    async fn spoken(&self, url: &str) -> Result<(), String> {
        let opened = connect_async(url).await;
        if let Some(status) = self.refused {
            return match opened {
                Err(Error::Http(answer)) => same(answer.status().as_u16() == status, answer.status()),
                other => Err(format!("{:?}", other.map(drop))),
            };
        }
        let (mut socket, _) = opened.map_err(|error| error.to_string())?;
        if let Some(status) = self.second_refused {
            return match connect_async(url).await {
                Err(Error::Http(answer)) => same(answer.status().as_u16() == status, answer.status()),
                other => Err(format!("{:?}", other.map(drop))),
            };
        }
        if self.closed.is_some() {
            // Whoever reads answers pings, which counts as being heard.
            tokio::time::sleep(Duration::from_millis(2500)).await;
        }
        let heard = tokio::time::timeout(Duration::from_secs(4), socket.next()).await;
        match (heard, self.closed) {
            (Ok(Some(Ok(Message::Close(frame)))), Some(code)) => {
                let seen = frame.map(|frame| u16::from(frame.code));
                same(seen == Some(code), seen)
            }
            (Ok(Some(Ok(Message::Ping(_)))), None) => same(self.pinged, "a ping"),
            (heard, _) => Err(format!("{heard:?}")),
        }
    }

    fn printed(&self, place: &Place, script: &str, environment: &[(&str, &str)]) -> Result<(), String> {
        let mut display = self.shows_text.then(|| Display::start((800, 600)));
        let mut environment = environment.to_vec();
        let name = display.as_ref().map(|display| display.name().to_owned());
        if let (Some(display), Some(name)) = (&mut display, &name) {
            let says = "echo; echo '  Sphinx of black quartz judge my vow'; exec sleep 100";
            display.launch("xterm", &["-fa", "DejaVu Sans Mono", "-fs", "14", "-geometry", "60x10+0+0", "-e", "sh", "-c", says]);
            environment.extend([("DISPLAY_MODE", "local"), ("DISPLAY", name.as_str())]);
        }
        let file = place.write("probe.rhai", script);
        let done = place.run(&["run", file.to_str().unwrap(), "--allow-all"], &environment);
        let wanted = self.prints.as_deref().unwrap_or_default();
        same(stdout(&done).trim() == wanted, format!("{done:?}"))
    }
}

fn same(holds: bool, seen: impl std::fmt::Debug) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{seen:?}")) }
}

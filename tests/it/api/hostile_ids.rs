//! `hostile_ids.json`: ids that lead elsewhere, are no text or name devices, tried wherever an id is taken.
//!
//! Where that is stands in `/openapi.json`: every path with a `{…}` in it with each of its verbs, and every field and query parameter
//! that is named like an id. A new route is tried without a line here; its body is the example of its description.

use std::collections::BTreeMap;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::served::{self, Server};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    /// As it stands in a path.
    id: String,
    /// Strange, but something may be called so: then it is made, shown and deleted like anything else.
    #[serde(default)]
    may_be: bool,
}

/// What a field or a query parameter that takes an id is called.
const NAMES: &[&str] = &["id", "node_type", "script", "before"];
/// Fields that are called so and take something else: a folder that commands start in, a label in messages, an id that is not kept.
const NO_IDS: &[(&str, &str)] = &[("/api/shell/cd", "path"), ("/api/scripts/check", "path"), ("/api/workflows/import", "id")];
/// What only narrows a list: nothing fits it.
const FILTERS: &[(&str, &str)] = &[
    ("/api/runs", "workflow_id"),
    ("/api/runs", "script"),
    ("/api/runs", "before"),
    ("/api/node-configs/", "node_type"),
    ("/api/shell/history/{session_id}", "before"),
];
/// What no answer may hold.
const SECRET: &str = "sings-in-a-cage";

/// A folder beside the data folder, and an ear at it.
struct Canary {
    folder: PathBuf,
    ear: rustix::fd::OwnedFd,
    _parent: tempfile::TempDir,
}

impl Canary {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("canary");
        std::fs::create_dir_all(folder.join("secret")).unwrap();
        for name in ["secret.rhai", "secret.json", "secret.jpg", "secret.png", "secret/secret.rhai", "key"] {
            std::fs::write(folder.join(name), SECRET).unwrap();
        }
        let ear = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).unwrap();
        for watched in [folder.clone(), folder.join("secret")] {
            let all = WatchFlags::OPEN | WatchFlags::ACCESS | WatchFlags::MODIFY | WatchFlags::ATTRIB;
            let all = all | WatchFlags::CREATE | WatchFlags::DELETE | WatchFlags::MOVE | WatchFlags::DELETE_SELF;
            inotify::add_watch(&ear, &watched, all).unwrap();
        }
        let canary = Self { folder, ear, _parent: parent };
        std::fs::read(canary.folder.join("key")).unwrap();
        assert!(!canary.heard().is_empty(), "whoever opens one of its files is heard");
        canary
    }

    fn data(&self) -> PathBuf {
        self.folder.with_file_name("data")
    }

    /// What has happened to it since the last time.
    fn heard(&self) -> Vec<String> {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.ear, &mut room);
        std::iter::from_fn(|| events.next().ok().map(|event| format!("{:?} {:?}", event.events(), event.file_name()))).collect()
    }

    fn neighbours(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.folder.parent().unwrap()).unwrap();
        let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn rows(canary: &Path) -> Vec<Row> {
    let escaped = canary.join("secret").to_str().unwrap().replace('/', "%2f");
    let text = include_str!("hostile_ids.json").replace("{canary}", &escaped).replace("{long}", &"a".repeat(300));
    serde_json::from_str(&text).unwrap()
}

/// As it stands in a text; none for what is no text.
fn text(id: &str) -> Option<String> {
    let query = format!("id={id}");
    let (_, text) = url::form_urlencoded::parse(query.as_bytes()).next()?;
    (!text.contains(char::REPLACEMENT_CHARACTER)).then(|| text.into_owned())
}

/// One place that takes an id.
struct Place {
    method: String,
    /// As documented.
    path: String,
    body: Option<Value>,
    /// The field or the query parameter; the path itself where there is none.
    field: Option<String>,
    in_query: bool,
}

impl Place {
    fn name(&self) -> String {
        format!("{} {} {}", self.method, self.path, self.field.as_deref().unwrap_or_default())
    }

    fn is_listed(&self, table: &[(&str, &str)]) -> bool {
        table.iter().any(|(path, field)| *path == self.path && self.field.as_deref() == Some(*field))
    }

    /// The request with this id. None where it cannot be written there.
    fn request(&self, id: &str, known: &BTreeMap<&str, String>) -> Option<String> {
        let mut body = self.body.clone();
        let parameter = self.path.split(['{', '}']).nth(1).unwrap_or_default();
        let known = known.get(parameter).map_or("known", String::as_str);
        let path = match &self.field {
            None => fill(&self.path, id),
            Some(field) if self.in_query => format!("{}?{field}={}", fill(&self.path, known), id.replace('\\', "%5c")),
            Some(field) => {
                body.as_mut()?[field.as_str()] = json!(text(id)?);
                fill(&self.path, known)
            }
        };
        let mut head = format!("{} {path} HTTP/1.1\r\nHost: {{host}}\r\n", self.method);
        if self.path.contains("/ws/") {
            head.push_str(
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
            );
        }
        Some(match body {
            None => format!("{head}\r\n"),
            Some(body) => {
                let body = body.to_string();
                format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
        })
    }
}

/// The path with this for the thing it names.
fn fill(path: &str, id: &str) -> String {
    match (path.find('{'), path.find('}')) {
        (Some(from), Some(to)) => format!("{}{id}{}", &path[..from], &path[to + 1..]),
        _ => path.to_owned(),
    }
}

fn takes_an_id(name: &str) -> bool {
    NAMES.contains(&name) || name.ends_with("_id") || name == "path"
}

/// Every place of the description.
fn places(description: &Value) -> Vec<Place> {
    let mut places = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = operation.pointer("/requestBody/content/application~1json/schema/$ref").and_then(Value::as_str);
            let schema = schema.map(|reference| description.pointer(reference.trim_start_matches('#')).unwrap());
            let mut body = schema.map(|schema| schema.get("example").cloned().unwrap_or_else(|| json!({})));
            let fields = schema.and_then(|schema| schema["properties"].as_object()).into_iter().flatten().map(|(name, _)| name);
            let place = |body: &Option<Value>, field: Option<&String>, in_query| Place {
                method: method.to_uppercase(),
                path: path.clone(),
                body: body.clone(),
                field: field.cloned(),
                in_query,
            };
            places.extend(fields.filter(|name| takes_an_id(name)).map(|name| place(&body, Some(name), false)));
            // What the body says besides must not be what is refused.
            if let Some(Value::Object(fields)) = &mut body {
                fields.remove("id");
            }
            let asked = operation["parameters"].as_array().cloned().unwrap_or_default();
            for parameter in &asked {
                let Some(name) = parameter["name"].as_str().map(str::to_owned) else { continue };
                match parameter["in"].as_str() {
                    Some("path") => places.push(place(&body, None, false)),
                    Some("query") if takes_an_id(&name) => places.push(place(&body, Some(&name), true)),
                    _ => {}
                }
            }
        }
    }
    places.retain(|place| !place.is_listed(NO_IDS));
    places
}

/// A server, and what there is on it for a path that something else goes through.
async fn start(canary: &Canary) -> (Server, BTreeMap<&'static str, String>) {
    let server = served::start_with(|config| {
        std::fs::create_dir(canary.data()).unwrap();
        config.storage.data_dir = canary.data();
    })
    .await;
    let (status, template) = server.post("/api/snapshots/templates", &json!({ "name": "known" })).await;
    assert_eq!(status, 201, "{template}");
    let (status, session) = server.post("/api/shell/sessions", &json!({ "name": "known", "shell_type": "bash" })).await;
    assert_eq!(status, 201, "{session}");
    let ids = [("template_id", &template["id"]), ("session_id", &session["session"]["session_id"])];
    (server, ids.map(|(name, id)| (name, id.as_str().unwrap().to_owned())).into())
}

/// A connection for one request after the other, each sent exactly as it is.
struct Line {
    address: SocketAddr,
    stream: Option<TcpStream>,
}

impl Line {
    async fn ask_all<'a>(&mut self, tries: &[(&'a Row, String)]) -> Vec<(&'a Row, String)> {
        let mut answers = Vec::new();
        for (row, request) in tries {
            answers.push((*row, self.ask(request).await));
        }
        answers
    }

    async fn ask(&mut self, request: &str) -> String {
        let request = request.replace("{host}", &self.address.to_string());
        if let Some(stream) = self.stream.take() {
            let answer = self.exchange(stream, &request).await;
            // The server may have closed it while nothing was said on it.
            if !answer.is_empty() {
                return answer;
            }
        }
        let stream = TcpStream::connect(self.address).await.unwrap();
        self.exchange(stream, &request).await
    }

    /// The answer with as much of a body as its head tells; none where the connection was closed before. It stays open where it may.
    async fn exchange(&mut self, mut stream: TcpStream, request: &str) -> String {
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let mut length = None;
        while length.is_none_or(|length| answer.len() < length) {
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read_buf(&mut answer)).await.expect("it answers");
            if !read.is_ok_and(|bytes| bytes > 0) {
                return String::from_utf8_lossy(&answer).into_owned();
            }
            if length.is_none()
                && let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")
            {
                let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
                let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<usize>().ok());
                // Without one it goes on to the end of the connection.
                length = field("content-length:").map(|length| end + 4 + length);
                if length.is_none() {
                    let _ = stream.shutdown().await;
                }
            }
        }
        self.stream = Some(stream);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// What is wrong with an answer.
fn wrong(answer: &str, narrows: bool, may_be: bool) -> Option<String> {
    let status: u16 = answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let body: Value = serde_json::from_str(body).unwrap_or_default();
    let refused = matches!(status, 400 | 404 | 405 | 422) && body["error_code"].is_string() && body["error"].is_string();
    let empty = narrows && status == 200 && body["count"] == 0;
    let clean = !answer.contains(SECRET) && !head.to_lowercase().contains("set-cookie") && !answer.contains('\u{1b}');
    let made = may_be && matches!(status, 200 | 201);
    (!clean || !(refused || empty || made)).then(|| answer.chars().take(300).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_of_any_kind_leads_nowhere_else_by_any_verb() {
    let canary = Canary::new();
    let (server, known) = start(&canary).await;
    let description: Value = reqwest::get(server.url("/openapi.json")).await.unwrap().json().await.unwrap();
    let places = places(&description);
    assert!(places.len() > 50, "only {} places take an id", places.len());
    let before = files(&canary.data());
    let rows = rows(&canary.folder);
    let mut broken = Vec::new();
    // A few at once, since each waits for the disk; over a few connections, since the server looks who made each of them.
    let mut lines: Vec<Line> = (0..6).map(|_| Line { address: server.address, stream: None }).collect();
    for place in &places {
        let tries: Vec<_> = rows.iter().filter_map(|row| Some((row, place.request(&row.id, &known)?))).collect();
        let shares = tries.chunks(tries.len().div_ceil(lines.len()).max(1)).zip(&mut lines);
        let answers = join_all(shares.map(async |(share, line)| line.ask_all(share).await)).await;
        for (row, answer) in answers.into_iter().flatten() {
            if let Some(seen) = wrong(&answer, place.is_listed(FILTERS), row.may_be) {
                broken.push(format!("{} with {}: {seen}", place.name(), row.name));
            }
        }
        let heard = canary.heard();
        if !heard.is_empty() {
            broken.push(format!("{} with one of them touches the canary: {heard:?}", place.name()));
        }
    }
    assert!(broken.is_empty(), "{} of them:\n{}", broken.len(), broken.join("\n"));
    assert_eq!(canary.neighbours(), ["canary", "data"]);
    assert_eq!(files(&canary.data()), before);
    assert_eq!(server.get("/api/health/").await.1["status"], "healthy");
}

/// The files of a folder with their sizes, but for the logs and the database, which live.
fn files(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut found = BTreeMap::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            let name = entry.file_name().into_string().unwrap();
            if entry.file_type().unwrap().is_dir() {
                left.push(path);
            } else if !["trae.db", "backend.log", "audit.checkpoints"].iter().any(|alive| name.starts_with(alive)) {
                found.insert(path, entry.metadata().unwrap().len());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_on_a_socket_leads_nowhere_else() {
    let canary = Canary::new();
    let (server, _) = start(&canary).await;
    for row in rows(&canary.folder) {
        let Some(id) = text(&row.id) else { continue };
        let (mut socket, _) = connect_async(format!("ws://{}/ws/workflow-automation", server.address)).await.unwrap();
        for message in [
            json!({ "type": "execute_workflow", "workflow_id": id }),
            json!({ "type": "execute_script", "path": id }),
            json!({ "type": "cancel", "run_id": id }),
            json!({ "type": "subscribe", "run_id": id }),
        ] {
            socket.send(Message::text(message.to_string())).await.unwrap();
            let answer = socket.next().await.unwrap().unwrap();
            let answer: Value = serde_json::from_str(answer.to_text().unwrap()).unwrap();
            let code = answer["error_code"].as_str().unwrap_or_default();
            assert!(answer["type"] == "error" && matches!(code, "NOT_FOUND" | "VALIDATION_ERROR"), "{} {message}: {answer}", row.name);
            assert!(!answer.to_string().contains(SECRET), "{answer}");
        }
        let heard = canary.heard();
        assert!(heard.is_empty(), "{} touches the canary: {heard:?}", row.name);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_in_a_drawn_node_leads_nowhere_else() {
    let canary = Canary::new();
    let (server, _) = start(&canary).await;
    for row in rows(&canary.folder) {
        let Some(id) = text(&row.id) else { continue };
        for node in [
            served::node("n", "run_script", json!({ "path": id })),
            served::node("n", "run_workflow", json!({ "workflow_id": id })),
            served::node("n", &id, json!({})),
        ] {
            let (status, stored) = server.post("/api/workflows/", &json!({ "name": "drawn", "nodes": [node] })).await;
            assert_eq!(status, 201, "{} {node}: {stored}", row.name);
            let path = format!("/api/workflows/{}/execute", stored["id"].as_str().unwrap());
            let (status, run) = server.post(&path, &json!({ "wait": true, "timeout": 30 })).await;
            let refused = (status == 200 && run["status"] == "failed") || (status == 422 && run["error_code"] == "INVALID_WORKFLOW");
            assert!(refused && !run.to_string().contains(SECRET), "{} {node}: {status} {run}", row.name);
        }
        let heard = canary.heard();
        assert!(heard.is_empty(), "{} touches the canary: {heard:?}", row.name);
    }
    assert_eq!(canary.neighbours(), ["canary", "data"]);
}

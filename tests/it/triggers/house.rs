//! A server on a data folder that outlives it, and what its triggers are asked over HTTP.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use trae::app::{App, Options};
use trae::config::{Config, DisplayMode};
use trae::policy::Permissions;

/// A server.
pub struct House {
    pub app: Arc<App>,
    pub url: String,
    serving: tokio::task::JoinHandle<()>,
}

impl House {
    pub async fn open(data: &Path) -> Self {
        Self::open_with(data, |_| {}).await
    }

    pub async fn open_with(data: &Path, change: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::default();
        config.storage.data_dir = data.to_path_buf();
        config.desktop.mode = DisplayMode::None;
        change(&mut config);
        let options = Options { runner: env!("CARGO_BIN_EXE_trae").into(), allowed: Permissions::all() };
        let app = Arc::new(App::with(config, options).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn({
            let app = Arc::clone(&app);
            async move { app.listen([listener]).await }
        });
        Self { app, url, serving }
    }

    pub async fn close(self) {
        self.app.shutdown().await;
        self.serving.await.unwrap();
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        send(&self.url, method, path, body).await
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.send("GET", path, None).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Draws a workflow.
    pub async fn draw(&self, id: &str, nodes: Value, edges: Value) {
        let (status, answer) = self.send("POST", "/api/workflows/", Some(&json!({ "id": id, "nodes": nodes, "edges": edges }))).await;
        assert!(status == 201 && answer["problems"] == json!([]), "{answer}");
    }

    /// Waits until `path` shows what `is_so` wants; gives it.
    pub async fn until(&self, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        until(&self.url, path, is_so).await
    }
}

pub async fn send(url: &str, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method.parse().unwrap(), format!("{url}{path}"));
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

pub async fn until(url: &str, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let mut last = Value::Null;
    let waiting = async {
        loop {
            last = send(url, "GET", path, None).await.1;
            if is_so(&last) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(seen.is_ok(), "{path} never showed what it should: {last}");
    last
}

/// A workflow that watches a folder; the runs of files whose names begin with `bad` fail.
pub fn watching(config: Value) -> (Value, Value) {
    let node = |id: &str, kind: &str, config: Value| json!({ "id": id, "type": kind, "data": { "config": config } });
    let nodes = json!([
        node("drop", "watch_folder_trigger", config),
        node("is_bad", "if_condition", json!({ "condition": "input.name.starts_with(\"bad\")" })),
        node("no", "fail", json!({ "message": "no good" })),
        node("yes", "transform", json!({ "expression": "nodes.drop" })),
    ]);
    let edges = json!([
        { "id": "a", "source": "drop", "target": "is_bad" },
        { "id": "b", "source": "is_bad", "source_handle": "true", "target": "no" },
        { "id": "c", "source": "is_bad", "source_handle": "false", "target": "yes" },
    ]);
    (nodes, edges)
}

/// The runs of a workflow that are over: how often each file, and with which event and size.
pub fn files(runs: &Value) -> BTreeMap<String, Vec<(String, u64)>> {
    let mut files: BTreeMap<String, Vec<(String, u64)>> = BTreeMap::new();
    for run in runs["runs"].as_array().unwrap().iter().rev() {
        let event = &run["result"];
        let entry = (event["event"].as_str().unwrap_or("failed").to_owned(), event["size"].as_u64().unwrap_or_default());
        files.entry(event["path"].as_str().unwrap_or_default().to_owned()).or_default().push(entry);
    }
    files
}

/// Whether so many runs are there, and all are over.
pub fn are_over(count: u64) -> impl Fn(&Value) -> bool {
    move |page| page["count"] == count && page["runs"].as_array().unwrap().iter().all(|run| run["finished_at"].is_string())
}

//! A server on a free port with a data folder of its own, and a few workflows in it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use trae::app::{App, Options};
use trae::config::{Config, DisplayMode};
use trae::keys::Scope;
use trae::policy::Permissions;

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub serving: tokio::task::JoinHandle<()>,
    pub data: tempfile::TempDir,
    pub app: Arc<App>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

impl Server {
    /// Stops it as SIGTERM does, and starts another one on its data folder.
    pub async fn restarted(self) -> Server {
        self.restarted_with(|_| {}).await
    }

    /// The same with other settings.
    pub async fn restarted_with(mut self, change: impl FnOnce(&mut Config)) -> Server {
        self.app.shutdown().await;
        let (app, data) = app(std::mem::replace(&mut self.data, tempfile::tempdir().unwrap()), change).await;
        serve(app, data).await
    }
}

pub async fn start() -> Server {
    start_with(|_| {}).await
}

pub async fn start_with(change: impl FnOnce(&mut Config)) -> Server {
    // The client under the tests' hands wants one, though it never speaks TLS here. A second time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (app, data) = app(tempfile::tempdir().unwrap(), change).await;
    for (id, nodes) in [
        (
            "known",
            json!([node("start", "manual_trigger", json!({})), node("say", "log_message", json!({ "message": "{{ params.word }}" }))]),
        ),
        ("taken", json!([])),
        ("known-broken", json!([node("start", "nope", json!({}))])),
        ("known-slow", json!([node("start", "manual_trigger", json!({})), node("wait", "delay", json!({ "seconds": 600 }))])),
    ] {
        let edges = match nodes.as_array().and_then(|nodes| nodes.get(1)?.get("id")).and_then(Value::as_str) {
            Some(second) => json!([{ "id": "e", "source": "start", "target": second }]),
            None => json!([]),
        };
        let graph = json!({ "id": id, "name": id, "nodes": nodes, "edges": edges });
        app.workflows.create(serde_json::from_value(graph).unwrap()).await.unwrap();
    }
    serve(app, data).await
}

async fn app(data: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> (Arc<App>, tempfile::TempDir) {
    let mut config = Config::default();
    config.storage.data_dir = data.path().to_path_buf();
    config.ocr.models = data.path().join("models");
    config.desktop.mode = DisplayMode::Virtual;
    config.desktop.virtual_size = (1280, 800);
    change(&mut config);
    let options = Options { runner: env!("CARGO_BIN_EXE_trae").into(), allowed: Permissions::all() };
    (Arc::new(App::with(config, options).await.unwrap()), data)
}

async fn serve(app: Arc<App>, data: tempfile::TempDir) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn({
        let app = Arc::clone(&app);
        async move { app.listen([listener]).await }
    });
    Server { address, shutdown: app.ending(), serving, data, app }
}

pub fn node(id: &str, kind: &str, config: Value) -> Value {
    json!({ "id": id, "type": kind, "position": { "x": 0, "y": 0 }, "data": { "label": id, "config": config } })
}

impl Server {
    /// A key with these scopes, separated by blanks.
    pub async fn key(&self, scopes: &str) -> String {
        let scopes = scopes.split(' ').map(|scope| scope.parse::<Scope>().unwrap()).collect();
        self.app.keys.create("a test", scopes).await.unwrap().0
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        let answer = reqwest::Client::new().post(self.url(path)).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        let answer = reqwest::Client::new().get(self.url(path)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap_or_default())
    }

    /// Sends exactly this and reads until the connection closes. `{host}` stands for the server's address.
    pub async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = request.replace("{host}", &self.address.to_string());
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer)).await.expect("the connection closes");
        String::from_utf8_lossy(&answer).into_owned()
    }
}

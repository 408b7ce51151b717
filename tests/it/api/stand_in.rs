//! A server on a free port whose rooms are simple and predictable.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use trae::api::services::{
    Desktop, Event, Later, Palette, Picture, RunFilter, Runs, Target, Ticket, WebhookCall, WebhookReply, Webhooks, WorkflowFilter,
    Workflows,
};
use trae::api::{Parts, State};
use trae::config::Config;
use trae::error::{Failure, Kind};
use trae::host::Answer;
use trae::host::protocol::Json;
use trae::input::{Click, TypeText};
use trae::policy::{Grant, Permissions};
use trae::screen::{Capture, ImageFormat, Monitor};
use trae::workflow::{Category, NodeKind, NodeType, OnInterrupt, Port};

/// A running server and what its rooms were asked.
pub struct Server {
    pub address: SocketAddr,
    pub shutdown: CancellationToken,
    pub serving: tokio::task::JoinHandle<()>,
    pub asked: Arc<Mutex<Vec<Value>>>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

pub async fn start() -> Server {
    start_with(|_| {}).await
}

pub async fn start_with(change: impl FnOnce(&mut Config)) -> Server {
    // The client under the tests' hands wants one, though it never speaks TLS here. A second time it is there already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = Config::default();
    change(&mut config);
    let connections = config.server.max_connections;
    let shutdown = CancellationToken::new();
    let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
    let rooms = Arc::new(Rooms { asked: Arc::clone(&asked) });
    let state = State::new(Parts {
        config: Arc::new(config),
        started: Instant::now(),
        shutdown: shutdown.clone(),
        grant: Grant::new([Permissions::all()], "files"),
        workflows: rooms.clone(),
        runs: rooms.clone(),
        webhooks: rooms.clone(),
        desktop: rooms.clone(),
        palette: rooms,
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(trae::api::serve(listener, trae::api::door(state), connections, shutdown.clone()));
    Server { address, shutdown, serving, asked }
}

impl Server {
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
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

    pub fn asked(&self) -> Vec<Value> {
        self.asked.lock().unwrap().clone()
    }
}

/// Every room in one.
struct Rooms {
    asked: Arc<Mutex<Vec<Value>>>,
}

impl Rooms {
    fn note(&self, what: Value) {
        self.asked.lock().unwrap().push(what);
    }
}

fn known(kind: &str, id: &str) -> Result<(), Failure> {
    if id.starts_with("known") {
        return Ok(());
    }
    Err(Failure::new(Kind::NotFound, format!("there is no {kind} {id:?}")).with(json!({ "kind": kind, "id": id })))
}

impl Workflows for Rooms {
    fn create(&self, mut graph: Value) -> Later<'_, Value> {
        if graph["name"] == "panic" {
            panic!("as the test asked");
        }
        let taken = graph["id"] == "taken";
        graph["problems"] = json!([]);
        async move { if taken { Err(Failure::new(Kind::Conflict, "that id is taken")) } else { Ok(graph) } }.boxed()
    }

    fn get<'a>(&'a self, id: &'a str) -> Later<'a, Value> {
        async move { known("workflow", id).map(|()| json!({ "id": id, "nodes": [] })) }.boxed()
    }

    fn list(&self, filter: WorkflowFilter) -> Later<'_, Value> {
        self.note(json!({ "limit": filter.limit, "offset": filter.offset, "search": filter.search }));
        async { Ok(json!({ "workflows": [], "count": 0 })) }.boxed()
    }

    fn update<'a>(&'a self, id: &'a str, graph: Value) -> Later<'a, Value> {
        async move { known("workflow", id).map(|()| graph) }.boxed()
    }

    fn delete<'a>(&'a self, id: &'a str) -> Later<'a, ()> {
        async move { known("workflow", id) }.boxed()
    }

    fn validate(&self, _: Value) -> Later<'_, Value> {
        async { Ok(json!({ "valid": true, "problems": [], "script": "", "permissions": {} })) }.boxed()
    }

    fn script<'a>(&'a self, id: &'a str) -> Later<'a, String> {
        async move { known("workflow", id).map(|()| "step(\"start\", \"manual_trigger\");\n".to_owned()) }.boxed()
    }
}

struct Run(String);

impl Ticket for Run {
    fn run_id(&self) -> &str {
        &self.0
    }

    fn finished(&mut self) -> BoxFuture<'_, Result<Value, Failure>> {
        async {
            if self.0.contains("slow") {
                std::future::pending::<()>().await;
            }
            Ok(json!({ "run_id": self.0, "status": "succeeded", "result": 1 }))
        }
        .boxed()
    }
}

impl Runs for Rooms {
    fn execute(&self, what: Target, parameters: Json) -> Later<'_, Box<dyn Ticket>> {
        self.note(json!({ "execute": format!("{what:?}"), "parameters": parameters }));
        async move {
            let id = match what {
                Target::Workflow(id) | Target::Script(id) | Target::Source(id) => id,
            };
            known("workflow", &id)?;
            if id == "known-broken" {
                return Err(Failure::new(Kind::InvalidWorkflow, "it has a cycle").with(json!({ "problems": [] })));
            }
            Ok(Box::new(Run(format!("{id}-run"))) as Box<dyn Ticket>)
        }
        .boxed()
    }

    fn get<'a>(&'a self, run_id: &'a str) -> Later<'a, Value> {
        async move { known("run", run_id).map(|()| json!({ "run_id": run_id })) }.boxed()
    }

    fn list(&self, filter: RunFilter) -> Later<'_, Value> {
        self.note(json!({ "status": filter.status, "limit": filter.limit }));
        async { Ok(json!({ "runs": [], "count": 0 })) }.boxed()
    }

    fn cancel<'a>(&'a self, run_id: &'a str) -> Later<'a, ()> {
        self.note(json!({ "cancel": run_id }));
        async move { known("run", run_id) }.boxed()
    }

    /// `…live…` goes on for ever, `…flood…` as fast as it is read, anything else ends after three events.
    fn subscribe<'a>(&'a self, run_id: &'a str, after: u64) -> Later<'a, BoxStream<'static, Event>> {
        let run = run_id.to_owned();
        async move {
            known("run", &run)?;
            if run.contains("flood") {
                let padding = "x".repeat(100_000);
                return Ok(futures_util::stream::iter(1..).map(move |id| event(&run, id, "log", &padding)).boxed());
            }
            let first = futures_util::stream::iter(["run_started", "log", "run_finished"]).enumerate();
            let live = run.contains("live");
            let told = first.map(move |(index, name)| event(&run, index as u64 + 1, name, "")).filter(move |event| {
                let wanted = event.event_id > after && !(live && event.name == "run_finished");
                async move { wanted }
            });
            Ok(if live { told.chain(futures_util::stream::pending()).boxed() } else { told.boxed() })
        }
        .boxed()
    }
}

fn event(run_id: &str, event_id: u64, name: &'static str, message: &str) -> Event {
    let text = json!({ "type": name, "run_id": run_id, "event_id": event_id, "timestamp": "2030-01-01T00:00:00Z", "message": message });
    Event { event_id, name, text: text.to_string() }
}

impl Webhooks for Rooms {
    fn receive(&self, call: WebhookCall) -> Later<'_, WebhookReply> {
        self.note(serde_json::to_value(&call).unwrap());
        async move {
            match call.path.as_str() {
                "later" => Ok(WebhookReply::Started(vec!["run".to_owned()])),
                "deep/er" => Ok(WebhookReply::Finished {
                    run: json!({ "run_id": "run", "status": "succeeded", "result": { "a": 1 }, "error": null }),
                    run_ids: vec!["run".to_owned()],
                }),
                "answer" => Ok(WebhookReply::Answered(Answer {
                    status: 418,
                    headers: [("X-Tea".to_owned(), "pot".to_owned()), ("Content-Length".to_owned(), "1".to_owned())].into(),
                    body: serde_json::value::to_raw_value("short and stout").unwrap(),
                })),
                path => known("webhook", path).map(|()| WebhookReply::Started(Vec::new())),
            }
        }
        .boxed()
    }
}

impl Desktop for Rooms {
    fn monitors(&self, grant: &Grant) -> Result<Vec<Monitor>, Failure> {
        grant.screen()?;
        let name = "one".to_owned();
        Ok(vec![Monitor { index: 0, name, x: 0, y: 0, width: 800, height: 600, scale_factor: 1.0, is_primary: true }])
    }

    fn capture(&self, _: &Grant, capture: &Capture, format: ImageFormat, quality: u8) -> Result<Picture, Failure> {
        if capture.monitor != Some(0) {
            let details = json!({ "errors": [{ "path": "/monitor", "message": "there is no such monitor" }] });
            return Err(Failure::new(Kind::ValidationError, "there is no such monitor").with(details));
        }
        Ok(Picture { bytes: format!("{format:?} {quality}").into_bytes(), width: 800, height: 600 })
    }

    fn click(&self, _: &Grant, click: &Click, _: &CancellationToken) -> Result<(), Failure> {
        self.note(json!({ "click": click }));
        Ok(())
    }

    fn type_text(&self, _: &Grant, text: &TypeText, _: &CancellationToken) -> Result<u64, Failure> {
        Ok(text.text.chars().count() as u64)
    }

    fn mode(&self) -> &'static str {
        "virtual"
    }

    fn tesseract(&self) -> bool {
        true
    }
}

impl Palette for Rooms {
    fn all(&self) -> Vec<Arc<NodeType>> {
        self.get_one("delay").into_iter().collect()
    }

    fn get(&self, name: &str) -> Option<Arc<NodeType>> {
        self.get_one(name)
    }
}

impl Rooms {
    fn get_one(&self, name: &str) -> Option<Arc<NodeType>> {
        let port = |id: &str| Port { id: id.to_owned(), label: id.to_owned() };
        (name == "delay").then(|| {
            Arc::new(NodeType {
                node_type: "delay".to_owned(),
                name: "Delay".to_owned(),
                description: "Waits.".to_owned(),
                category: Category::Flow,
                kind: NodeKind::Action,
                icon: "clock".to_owned(),
                inputs: vec![port("in")],
                outputs: vec![port("out")],
                outputs_from: Vec::new(),
                schema: json!({ "type": "object" }),
                template: json!({ "seconds": 1 }),
                permissions: json!({}),
                on_interrupt: OnInterrupt::Retry,
                file: "nodes/delay.rhai".to_owned(),
                source: String::new(),
                builtin: true,
            })
        })
    }
}

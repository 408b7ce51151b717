//! The figures of this machine: `make bench`. Each is a median over rounds with its least and greatest, beside something measured in the
//! same run.
#![allow(missing_docs, clippy::unwrap_used, clippy::print_stdout, clippy::panic, clippy::cast_precision_loss)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use trae::app::{App, Options};
use trae::config::{Config, DisplayMode};
use trae::policy::Permissions;
use trae::runs::Execute;

const ROUNDS: usize = 5;
const BINARY: &str = env!("CARGO_BIN_EXE_trae");

fn main() {
    println!("{:<52} {:>10} {:>10} {:>10}", "", "min", "median", "max");
    chains();
    server();
    captures();
}

/// Prints one figure's spread.
fn show(name: &str, unit: &str, mut values: Vec<f64>) {
    values.sort_by(f64::total_cmp);
    println!("{:<52} {:>10.2} {:>10.2} {:>10.2} {unit}", name, values[0], values[values.len() / 2], values[values.len() - 1]);
}

fn config(data: &std::path::Path, mode: DisplayMode) -> Config {
    let mut config = Config::default();
    config.storage.data_dir = data.to_path_buf();
    config.desktop.mode = mode;
    config
}

/// Compile and run a chain of pure nodes, journaled.
fn chains() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let data = tempfile::tempdir().unwrap();
    runtime.block_on(async {
        let options = Options { runner: BINARY.into(), allowed: Permissions::all() };
        let app = App::with(config(data.path(), DisplayMode::None), options).await.unwrap();
        for length in [10, 100, 1_000, 10_000] {
            let id = format!("chain-{length}");
            let graph = serde_json::from_value(chain(&id, length)).unwrap();
            let cold = Instant::now();
            app.workflows.create(graph).await.unwrap();
            app.runs.execute_workflow(&id, Execute::default()).await.unwrap().ended().await;
            show(&format!("chain of {length}: compile and first run"), "ms", vec![cold.elapsed().as_secs_f64() * 1e3]);
            let mut warm = Vec::new();
            for _ in 0..ROUNDS {
                let begun = Instant::now();
                app.runs.execute_workflow(&id, Execute::default()).await.unwrap().ended().await;
                warm.push(begun.elapsed().as_secs_f64() * 1e6 / f64::from(length));
            }
            show(&format!("chain of {length}: a warm run"), "µs a node", warm);
        }
        app.shutdown().await;
    });
}

fn chain(id: &str, length: u32) -> Value {
    let node = |index: u32| match index {
        0 => json!({ "id": "n0", "type": "manual_trigger", "data": {} }),
        _ => json!({ "id": format!("n{index}"), "type": "set_variable", "data": { "config": { "name": "x", "value": index } } }),
    };
    let edge = |index: u32| json!({ "id": format!("e{index}"), "source": format!("n{}", index - 1), "target": format!("n{index}") });
    json!({ "id": id, "name": id, "nodes": (0..length).map(node).collect::<Vec<_>>(), "edges": (1..length).map(edge).collect::<Vec<_>>() })
}

/// Cold start, idle memory, and webhook → if → respond over HTTP beside the same server's health.
fn server() {
    let mut starts = Vec::new();
    let mut memory = Vec::new();
    for _ in 0..ROUNDS {
        let data = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let served = Served::start(data.path());
        starts.push(begun.elapsed().as_secs_f64() * 1e3);
        std::thread::sleep(Duration::from_millis(300));
        memory.push(served.resident() / 1e6);
    }
    show("cold start to the first healthy answer", "ms", starts);
    show("idle memory of the server", "MB", memory);

    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path());
    let graph = include_str!("../examples/workflows/webhook_echo.json");
    served.request("POST", "/api/workflows/", graph);
    for connections in [1, 16] {
        for (name, method, path, body) in
            [("health", "GET", "/api/health/", ""), ("webhook → if → respond", "POST", "/api/webhooks/bench", r#"{"total":150}"#)]
        {
            let (mut rates, mut medians) = (Vec::new(), Vec::new());
            for _ in 0..ROUNDS {
                let (rate, median) = served.load(connections, method, path, body);
                rates.push(rate);
                medians.push(median);
            }
            show(&format!("{name}, {connections} at a time"), "a second", rates);
            show(&format!("{name}, {connections} at a time: p50"), "ms", medians);
        }
    }
}

/// A server in a process of its own, ended when dropped.
struct Served {
    child: Child,
    port: u16,
}

impl Served {
    fn start(data: &std::path::Path) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(BINARY)
            .args(["serve", "--port", &port.to_string(), "--data-dir"])
            .arg(data)
            .env("DISPLAY_MODE", "none")
            .env("LOG_LEVEL", "warn")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let served = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        served.request("GET", "/api/health/", "");
        served
    }

    fn resident(&self) -> f64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
    }

    fn request(&self, method: &str, path: &str, body: &str) {
        Client::connect(self.port).send(&head(method, path, body));
    }

    /// Requests a second and the median in milliseconds, over a second.
    fn load(&self, connections: usize, method: &str, path: &str, body: &str) -> (f64, f64) {
        let message: Arc<str> = head(method, path, body).into();
        let begin = Arc::new(Barrier::new(connections));
        let port = self.port;
        let clients: Vec<_> = (0..connections)
            .map(|_| {
                let (message, begin) = (Arc::clone(&message), Arc::clone(&begin));
                std::thread::spawn(move || {
                    let mut client = Client::connect(port);
                    begin.wait();
                    let begun = Instant::now();
                    let mut times = Vec::new();
                    while begun.elapsed() < Duration::from_secs(1) {
                        let asked = Instant::now();
                        client.send(&message);
                        times.push(asked.elapsed().as_secs_f64() * 1e3);
                    }
                    times
                })
            })
            .collect();
        let mut times: Vec<f64> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        times.sort_by(f64::total_cmp);
        (times.len() as f64, times[times.len() / 2])
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn head(method: &str, path: &str, body: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A connection that is kept.
struct Client(TcpStream);

impl Client {
    fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    fn send(&mut self, message: &str) {
        self.0.write_all(message.as_bytes()).unwrap();
        let mut answer = Vec::new();
        let mut chunk = [0; 8192];
        loop {
            let read = self.0.read(&mut chunk).unwrap();
            assert!(read > 0, "the server closed the connection");
            answer.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            assert!(head.starts_with("HTTP/1.1 2"), "{text}");
            let lower = head.to_ascii_lowercase();
            let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
            if length.is_some_and(|length| body.len() >= length) {
                return;
            }
        }
    }
}

/// A whole 1080p frame as pixels one can look at.
fn captures() {
    let desktops = trae::desktop::Desktops::new(trae::desktop::Settings { mode: trae::desktop::Mode::Virtual, virtual_size: (1920, 1080) });
    let desktop = desktops.default().unwrap();
    let mut times = Vec::new();
    for _ in 0..50 {
        let begun = Instant::now();
        let frame = desktop.screen().capture(&trae::screen::Capture::default()).unwrap();
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        drop(frame);
    }
    show("capture of a 1080p frame", "ms", times);
    desktops.shutdown();
}

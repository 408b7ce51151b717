//! A Chromium that nobody sees, driven over its DevTools protocol, and a place on this machine that it can load pages from.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PATIENCE: Duration = Duration::from_secs(60);

/// What a browser does by itself and a test has no use for, and what it cannot do as root in a container.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--remote-debugging-port=0",
    "--window-size=1400,900",
];

/// Whether there is a browser. Without one a test fails, unless it was said that nothing is to be installed.
pub fn is_there() -> bool {
    let there = Command::new("chromium").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
    if !there && std::env::var("PACKAGES").is_ok_and(|packages| packages == "skip") {
        eprintln!("skipped: chromium is not installed, and PACKAGES=skip says that nothing is to be");
        return false;
    }
    assert!(there, "chromium is not installed: make packages-clients, or PACKAGES=skip to go without");
    true
}

/// A browser with one page. It ends with the test.
pub struct Browser {
    process: Child,
    _profile: tempfile::TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    last: u64,
    /// What the page complained of: warnings, errors, exceptions, what could not be loaded.
    pub complaints: Vec<String>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Browser {
    pub async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new("chromium");
        command.args(FLAGS).arg(format!("--user-data-dir={}", profile.path().display())).arg("about:blank");
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let address = timeout(PATIENCE, listening(profile.path())).await.expect("chromium says where it listens");
        let socket = connect_async(address).await.unwrap().0;
        let mut this = Self { process, _profile: profile, socket, session: String::new(), last: 0, complaints: Vec::new() };
        let target = this.call("Target.createTarget", json!({ "url": "about:blank" })).await["targetId"].clone();
        let attached = this.call("Target.attachToTarget", json!({ "targetId": target, "flatten": true })).await;
        this.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Runtime", "Log", "Page"] {
            this.call(&format!("{domain}.enable"), json!({})).await;
        }
        this
    }

    /// Has something done by its name in the protocol; gives the answer.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let mut message = json!({ "id": self.last, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.socket.send(Message::text(message.to_string())).await.unwrap();
        loop {
            let heard = timeout(PATIENCE, self.socket.next()).await.expect("an answer").unwrap().unwrap();
            let Message::Text(text) = heard else { continue };
            let heard: Value = serde_json::from_str(&text).unwrap();
            if heard["id"] == self.last {
                assert!(heard["error"].is_null(), "{method}: {}", heard["error"]);
                return heard["result"].clone();
            }
            self.note(&heard);
        }
    }

    fn note(&mut self, event: &Value) {
        let params = &event["params"];
        let complaint = match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => Some(&params["exceptionDetails"]),
            Some("Runtime.consoleAPICalled") if ["error", "warning", "assert"].contains(&params["type"].as_str().unwrap_or_default()) => {
                Some(&params["args"])
            }
            Some("Log.entryAdded") if params["entry"]["level"] != "verbose" && params["entry"]["level"] != "info" => Some(&params["entry"]),
            _ => None,
        };
        self.complaints.extend(complaint.map(Value::to_string));
    }

    /// Opens a page, and waits until it is loaded.
    pub async fn open(&mut self, url: &str) {
        let opened = self.call("Page.navigate", json!({ "url": url })).await;
        assert!(opened["errorText"].is_null(), "{url}: {opened}");
        while self.ask("document.readyState").await != "complete" {}
    }

    /// The value of an expression in the page; of a promise, what it resolves with.
    pub async fn ask(&mut self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {answer}");
        answer["result"]["value"].clone()
    }
}

/// Where a browser that has just been started can be spoken to.
async fn listening(profile: &Path) -> String {
    let file = profile.join("DevToolsActivePort");
    loop {
        let said = std::fs::read_to_string(&file).unwrap_or_default();
        if let [port, path] = said.lines().collect::<Vec<_>>()[..] {
            return format!("ws://127.0.0.1:{port}{path}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Serves the files of a folder of the repository; gives the origin.
pub async fn serve_folder(folder: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, folder));
        }
    });
    origin
}

async fn answer(mut stream: TcpStream, folder: &str) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let name = request.split([' ', '?']).nth(1).unwrap_or_default().trim_start_matches('/');
    assert!(!name.contains(".."), "{name}");
    let file = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder).join(name));
    let kind = match name.rsplit('.').next() {
        Some("js") => "text/javascript",
        Some("css") => "text/css",
        _ => "text/html",
    };
    // A browser asks for an icon whether there is one or not.
    let status = if file.is_ok() { "200 OK" } else { "204 No Content" };
    let body = file.unwrap_or_default();
    let head = format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
}

/// A line to a server that can be cut.
pub struct Line {
    /// Where it begins, as `host:port`.
    pub address: String,
    cuts: watch::Sender<u64>,
}

impl Line {
    pub async fn to(server: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let cuts = watch::Sender::new(0);
        let heard = cuts.subscribe();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let mut cut = heard.clone();
                cut.mark_unchanged();
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, cuts }
    }

    /// Ends every connection over it; new ones can be made.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

//! How long a run goes on after it was told to stop, whatever it is doing.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};
use trae::desktop::{Desktops, Mode, Settings};

use crate::desktop::full_of_text;
use crate::report::Target::AtMost;
use crate::report::{show, skip};
use crate::served::Served;

const TIMES: usize = 10;

/// What a run can be busy with, and what it must declare for that.
const BUSY: [(&str, &str, &str); 6] = [
    ("a delay", "", "time::sleep(600)"),
    ("a shell command", "shell = [\"bash\"]", "shell::run(\"sleep 600\")"),
    ("a wait for another server", "http = [\"127.0.0.1\"]", "http::get(params.url)"),
    // An empty one comes to the limit of its operations in no time.
    ("an endless loop", "", "let long = \"\"; long.pad(4000, \"x\"); loop { long.index_of(\"y\"); }"),
    ("an endless loop of steps", "", "loop { step(\"a\", || 1); }"),
    ("reading the screen", "screen = true", "loop { ocr::read(); }"),
];

pub fn measure() {
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (1920, 1080), ..Default::default() });
    let desktop = match desktops.default() {
        Ok(desktop) => Some(desktop),
        Err(error) => {
            skip("cancel: reading the screen", &error.to_string());
            None
        }
    };
    let display = desktop.as_ref().and_then(|desktop| desktop.display().map(str::to_owned));
    let _text = display.as_deref().map(full_of_text);
    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path(), display.as_deref());
    // Accepts connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    for (name, permission, source) in BUSY {
        if display.is_none() && permission.starts_with("screen") {
            continue;
        }
        let source = format!("//! Busy.\n//! ---\n//! [permissions]\n//! {permission}\n//! ---\n{source}\n");
        let times = (0..TIMES).map(|_| cancelled(&served, &source, &url)).collect();
        show(&format!("cancel to run_finished: {name}"), "ms", AtMost(200.0), times);
    }
    drop(served);
    desktops.shutdown();
}

/// Starts a run over a socket, lets it get busy, cancels it over HTTP, and waits for its last event on the socket. In milliseconds.
fn cancelled(served: &Served, source: &str, url: &str) -> f64 {
    let stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut socket, _) = tungstenite::client(format!("ws://127.0.0.1:{}/ws/workflow-automation", served.port), stream).unwrap();
    let order = json!({ "type": "execute_script", "source": source, "parameters": { "url": url } });
    socket.send(Message::text(order.to_string())).unwrap();
    let started = until(&mut socket, "run_started");
    let path = format!("/api/runs/{}/cancel", started["run_id"].as_str().unwrap());
    let mut client = served.client();
    // Long enough to be in the middle of it.
    std::thread::sleep(Duration::from_millis(600));
    let begun = Instant::now();
    client.expect_success("POST", &path, "");
    if source.contains("step(") {
        // A hundred thousand events come before the last one, which says more about who reads them: so the list of runs is asked.
        while !client.expect_success("GET", "/api/runs?limit=1", "").contains("\"cancelled\"") {}
        return begun.elapsed().as_secs_f64() * 1e3;
    }
    let finished = until(&mut socket, "run_finished");
    let took = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(finished["status"], "cancelled", "{finished}");
    took
}

/// Reads on until an event of that name.
fn until(socket: &mut WebSocket<TcpStream>, name: &str) -> Value {
    loop {
        let Message::Text(text) = socket.read().unwrap() else { continue };
        let event: Value = serde_json::from_str(&text).unwrap();
        assert!(event["type"] != "error", "{event}");
        if event["type"] == name {
            return event;
        }
        assert!(event["type"] != "run_finished", "the run ended by itself: {event}");
    }
}

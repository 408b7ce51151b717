//! A server in a process of its own, and a plain client of it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::BINARY;

/// Ended when dropped.
pub struct Served {
    child: Child,
    pub port: u16,
}

impl Served {
    /// Starts a server and waits for its first healthy answer. `display`: the X display it works on.
    pub fn start(data: &Path, display: Option<&str>) -> Self {
        Self::with(data, display, &[])
    }

    /// The same with these settings.
    pub fn with(data: &Path, display: Option<&str>, settings: &[(&str, &str)]) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(BINARY);
        command.args(["serve", "--port", &port.to_string(), "--data-dir"]).arg(data).current_dir(data);
        command.env("DISPLAY_MODE", if display.is_some() { "local" } else { "none" }).env("LOG_LEVEL", "warn");
        // Runs of a made-up past stay.
        command.env("RUNS_KEPT_DAYS", "0");
        command.envs(settings.iter().copied());
        if let Some(display) = display {
            command.env("DISPLAY", display);
        }
        let served = Self { child: command.stdin(Stdio::null()).spawn().unwrap(), port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        served.client().expect_success("GET", "/api/health/", "");
        served
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub fn client(&self) -> Client {
        Client::connect(self.port)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// As `kill -9` does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How many threads it has.
    pub fn threads(&self) -> f64 {
        std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().count() as f64
    }

    /// Bytes of memory it holds.
    pub fn resident(&self) -> f64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<f64>().unwrap() * 4096.0
    }

    /// Seconds of processor time of all its threads that still live.
    pub fn busy(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let spent = tasks.flatten().filter_map(|task| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        });
        spent.sum::<f64>() / 1e9
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A connection that is kept.
pub struct Client(TcpStream);

impl Client {
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(stream)
    }

    /// Sends a request and reads its answer: status and body.
    pub fn ask(&mut self, method: &str, path: &str, body: &str) -> (u16, String) {
        self.send(method, path, body);
        self.answer()
    }

    pub fn expect_success(&mut self, method: &str, path: &str, body: &str) -> String {
        let (status, said) = self.ask(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {said}");
        said
    }

    /// Sends a request only.
    pub fn send(&mut self, method: &str, path: &str, body: &str) {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        self.0.write_all((head + body).as_bytes()).unwrap();
    }

    /// Reads the answer to what was sent.
    pub fn answer(&mut self) -> (u16, String) {
        let mut answer = Vec::new();
        let mut chunk = [0; 65536];
        loop {
            let read = match self.0.read(&mut chunk) {
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                read => read.unwrap(),
            };
            assert!(read > 0, "the server closed the connection");
            answer.extend_from_slice(&chunk[..read]);
            let text = String::from_utf8_lossy(&answer);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let lower = head.to_ascii_lowercase();
            let length = lower.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.trim().parse::<usize>().ok());
            if length.is_some_and(|length| body.len() >= length) {
                return (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned());
            }
        }
    }
}

//! The server as a process of its own, and what must be left of it after an attack.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

/// How long anything may take before it counts as never coming.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// A server that works answers its health at once; this much is left to a busy machine.
const PROMPTLY: Duration = Duration::from_secs(5);
/// Bytes by which an attack may make it grow.
const GROWTH: u64 = 64 << 20;

pub struct Server {
    child: Child,
    pub folder: tempfile::TempDir,
    /// `127.0.0.1:1234`
    pub address: String,
    /// `Authorization: Bearer …` of every request that names no other key.
    pub key: Option<String>,
    before: u64,
}

impl Server {
    /// Starts one on a data folder of its own, with these variables besides.
    pub fn start(environment: &[(&str, &str)]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), environment)
    }

    pub fn start_in(folder: tempfile::TempDir, environment: &[(&str, &str)]) -> Self {
        // The client under the tests' hands wants one, though it never speaks TLS here. A second time it is there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let terminal = folder.path().join("terminal");
        let mut command = command(folder.path(), &["serve"], environment);
        let child = command.env("PORT", "0").stderr(File::create(&terminal).unwrap()).spawn().unwrap();
        let mut server = Self { child, folder, address: String::new(), key: None, before: 0 };
        let deadline = Instant::now() + PATIENCE;
        while server.address.is_empty() {
            let said = fs::read_to_string(&terminal).unwrap_or_default();
            assert!(Instant::now() < deadline && server.child.try_wait().unwrap().is_none(), "no server: {said}");
            if let Some((_, rest)) = said.split_once("serving on http://") {
                server.address = rest.split(|c: char| c.is_whitespace() || c == '"').next().unwrap_or_default().to_owned();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        server
    }

    /// The same with keys wanted; requests show an administrator's unless they name another.
    pub fn with_keys(environment: &[(&str, &str)]) -> Self {
        let all: Vec<_> = [("API_KEY_ENABLED", "true")].iter().chain(environment).copied().collect();
        let mut server = Self::start(&all);
        server.key = Some(server.make_key("admin"));
        server
    }

    /// A key with these scopes, separated by blanks.
    pub fn make_key(&self, scopes: &str) -> String {
        self.make_key_for(scopes, &[])
    }

    /// The same for these workflows only.
    pub fn make_key_for(&self, scopes: &str, workflows: &[&str]) -> String {
        let mut arguments = vec!["keys", "create", "--name", "a test"];
        scopes.split(' ').for_each(|scope| arguments.extend(["--scope", scope]));
        workflows.iter().for_each(|id| arguments.extend(["--workflow", id]));
        let made = command(self.folder.path(), &arguments, &[]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().to_owned()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A file that no attack may make.
    pub fn canary(&self) -> PathBuf {
        self.folder.path().join("canary")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = reqwest::Client::new().request(method, self.url(path)).timeout(PATIENCE);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        answered(self.request(Method::POST, path).json(body)).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        answered(self.request(Method::PUT, path).json(body)).await
    }

    pub async fn get(&self, path: &str) -> (u16, Value) {
        answered(self.request(Method::GET, path)).await
    }

    /// Runs a script that is in no folder, to its end: `status`, `result` and `error`.
    pub async fn run(&self, source: &str) -> Value {
        let mut request = format!("ws://{}/ws/workflow-automation", self.address).into_client_request().unwrap();
        if let Some(key) = &self.key {
            request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        }
        let (mut client, _) = connect_async(request).await.unwrap();
        client.send(Message::text(json!({ "type": "execute_script", "source": source }).to_string())).await.unwrap();
        let ended = async {
            while let Some(Ok(message)) = client.next().await {
                let Ok(said) = serde_json::from_str::<Value>(message.to_text().unwrap_or_default()) else { continue };
                match said["type"].as_str() {
                    Some("run_finished") => return said,
                    Some("error") => {
                        return json!({ "status": "refused", "error": { "code": said["error_code"], "message": said["error"] } });
                    }
                    _ => {}
                }
            }
            panic!("the socket was closed")
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap_or_else(|_| json!({ "status": "never ends" }))
    }

    /// Notes how large it is, before attacks.
    pub fn measured(mut self) -> Self {
        self.before = self.memory();
        self
    }

    /// Asserts what must hold after `attack`: the same process, which answers, has not grown past the bound, and did not do it.
    pub async fn survived(&mut self, attack: &str) {
        self.survived_with(attack, GROWTH).await;
    }

    pub async fn survived_with(&mut self, attack: &str, growth: u64) {
        assert!(self.child.try_wait().unwrap().is_none(), "the server ended after {attack}: {}", self.terminal());
        let health = reqwest::Client::new().get(self.url("/api/health/")).timeout(PROMPTLY).send().await;
        assert!(health.is_ok_and(|answer| answer.status() == 200), "no health after {attack}");
        if self.before > 0 {
            // What was freed goes back to the system a little later.
            let deadline = Instant::now() + PROMPTLY;
            while self.memory() > self.before + growth {
                assert!(Instant::now() < deadline, "{} bytes after {attack}, {} before", self.memory(), self.before);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        assert!(!self.canary().exists() && !self.data().join("files/canary").exists(), "{attack} made the canary");
    }

    pub fn terminal(&self) -> String {
        fs::read_to_string(self.folder.path().join("terminal")).unwrap_or_default()
    }

    /// Its resident memory, in bytes.
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() << 10
    }

    /// The processes that it started and that still run.
    pub fn children(&self) -> Vec<u32> {
        let listed = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.pid())).unwrap_or_default();
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).into_iter().flatten().flatten();
        let all = tasks.map(|task| fs::read_to_string(task.path().join("children")).unwrap_or_default()).chain([listed]);
        let mut pids: Vec<u32> = all
            .flat_map(|text| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
            .filter_map(|pid| pid.parse().ok())
            .collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }

    /// Files, sockets and pipes that it has open.
    pub fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).map_or(0, |entries| entries.count())
    }

    /// Sends it a signal, such as `TERM`.
    pub fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([&format!("-{name}"), &self.pid().to_string()]).status().unwrap().success());
    }

    /// Waits for its end, and gives its exit code.
    pub fn ended(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = Command::new("kill").arg(self.pid().to_string()).status();
            let deadline = Instant::now() + Duration::from_secs(10);
            while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
                if Instant::now() > deadline {
                    let _ = self.child.kill();
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

/// The binary in that folder, with nothing of the test's own environment but the search path.
pub fn command(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trae"));
    command.args(arguments).current_dir(folder).env_clear().stdin(Stdio::null());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("DATA_DIR", folder.join("data"));
    command.env("DISPLAY_MODE", "none").env("LOG_FILE", "none").envs(environment.iter().copied());
    command
}

pub async fn answered(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Waits until `check` holds.
pub async fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

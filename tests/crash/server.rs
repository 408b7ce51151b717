//! The server as a process of its own, its runners, and what is left of either.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions};

/// How long anything may take before it counts as never coming.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The processes that the harness itself started and did not wait for yet.
static OWN: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A server that was started.
pub struct Server {
    child: Child,
    port: u16,
}

/// How starting a server went.
pub enum Started {
    /// It answers.
    Up(Server),
    /// It was killed on its way up, as it was told.
    Killed,
    /// It gave up by itself.
    GaveUp(String),
}

impl Server {
    /// Starts a server on `data` and waits until it answers, or is gone. `told`: what stands in its environment besides.
    pub async fn start(data: &Path, display: &str, told: &[(&str, String)]) -> Started {
        let port = free_port();
        let log =
            || OpenOptions::new().create(true).append(true).open(data.join("server.log")).map(File::into).unwrap_or_else(|_| Stdio::null());
        let mut command = Command::new(env!("CARGO_BIN_EXE_trae"));
        command.arg("serve").current_dir(data).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("DATA_DIR", data.join("data")).env("PORT", port.to_string()).env("DISPLAY_MODE", "local").env("DISPLAY", display);
        command.env("LOG_FILE", "none").env("LOG_LEVEL", "info").envs(told.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(log()).stderr(log());
        let child = spawn(&mut command);
        let mut server = Self { child, port };
        let deadline = Instant::now() + PATIENCE;
        let url = format!("{}/api/health/", server.url());
        loop {
            if let Some(status) = server.exited() {
                return match status {
                    Exit::Killed => Started::Killed,
                    Exit::ByItself(code) => Started::GaveUp(format!("the server ended by itself, with {code}")),
                };
            }
            if reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                return Started::Up(server);
            }
            if Instant::now() > deadline {
                server.kill();
                return Started::GaveUp("the server did not come up".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// How it ended, if it did.
    pub fn exited(&mut self) -> Option<Exit> {
        let status = self.child.try_wait().unwrap()?;
        own().remove(&self.child.id());
        Some(match status.signal() {
            Some(9) => Exit::Killed,
            _ => Exit::ByItself(status.to_string()),
        })
    }

    /// `kill -9`. Gives how it had ended already, if it had.
    pub fn kill(&mut self) -> Option<Exit> {
        if let Some(exit) = self.exited() {
            return Some(exit);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        own().remove(&self.child.id());
        None
    }

    /// `kill -9` to one of its runners, or to what they come from; false where it has none.
    pub fn kill_a_runner(&self, choose: impl FnOnce(usize) -> usize) -> bool {
        let zygotes: Vec<Pid> = children_of(self.child.id()).into_iter().filter(|pid| is_runner(*pid)).collect();
        let runners = zygotes.iter().flat_map(|zygote| children_of(zygote.as_raw_nonzero().get().unsigned_abs()));
        let runners: Vec<Pid> = runners.chain(zygotes.iter().copied()).collect();
        if runners.is_empty() {
            return false;
        }
        rustix::process::kill_process(runners[choose(runners.len())], Signal::KILL).is_ok()
    }
}

/// A port that nobody listens at, below those that connections are given: one of them could take it before the server does.
fn free_port() -> u16 {
    static LAST: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap_or_default();
    loop {
        let port = 20_000 + first.wrapping_add(LAST.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if std::net::TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How a server ended.
#[derive(Debug)]
pub enum Exit {
    /// By `kill -9`, from outside or at a fail-point.
    Killed,
    /// In any other way.
    ByItself(String),
}

/// Starts a process of the harness's own.
pub fn spawn(command: &mut Command) -> Child {
    let mut own = own();
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    own.insert(child.id());
    child
}

fn own() -> MutexGuard<'static, BTreeSet<u32>> {
    OWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on processes whose parent is gone become the harness's.
pub fn adopt_orphans() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
}

/// What servers that are gone left running, after it had time to end.
pub async fn orphans() -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let left = left_running();
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn left_running() -> Vec<String> {
    let own = own();
    let mut left = Vec::new();
    for pid in children_of(std::process::id()) {
        let number = pid.as_raw_nonzero().get().unsigned_abs();
        if own.contains(&number) {
            continue;
        }
        // One that ended waits for somebody to hear of it.
        if let Ok(None) = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG) {
            left.push(format!("{number} {}", command_line(pid)));
        }
    }
    left
}

fn children_of(parent: u32) -> Vec<Pid> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = processes.flatten().filter_map(|entry| Pid::from_raw(entry.file_name().to_str()?.parse().ok()?));
    pids.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: Pid) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in brackets may hold anything; state and parent follow it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

fn command_line(pid: Pid) -> String {
    let line = std::fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

fn is_runner(pid: Pid) -> bool {
    command_line(pid).split(' ').nth(1) == Some("runner")
}

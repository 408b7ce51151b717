//! One runner as the server sees it: a child process, a socket, and what it said when it died.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;

use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::protocol::{FromRunner, Program, ScriptError};
use super::wire::{Decoder, encode};
use crate::error::{Failure, Kind};
use crate::sandbox::Sandbox;
use crate::system::{Protection, System};

/// A child process that runs scripts.
pub(super) struct Runner {
    stream: UnixStream,
    decoder: Decoder,
    outgoing: Vec<u8>,
    /// The program it serves; none until it was given one.
    pub(super) program: Option<Arc<Program>>,
    /// What holds it; known once it was given a program.
    pub(super) sandbox: Sandbox,
    /// The runs it served.
    pub(super) served: u32,
    child: Option<Child>,
    spawner: Spawner,
    _protection: Protection,
}

impl Runner {
    /// Sends a message.
    pub(super) async fn send(&mut self, message: &impl Serialize) -> Result<(), Failure> {
        self.outgoing.clear();
        encode(&mut self.outgoing, message).map_err(|error| Failure::new(Kind::PayloadTooLarge, error.to_string()))?;
        // A runner that is gone is found out by reading.
        let _ = self.stream.write_all(&self.outgoing).await;
        Ok(())
    }

    /// The next message; none once the runner is dead or talks nonsense. Safe to drop half-way.
    pub(super) async fn receive(&mut self) -> Option<FromRunner> {
        loop {
            if let Some(message) = self.decoder.take().ok()? {
                return Some(message);
            }
            let length = self.stream.read_buf(self.decoder.buffer()).await.ok()?;
            if length == 0 {
                return None;
            }
        }
    }

    /// Its process id, while it lives.
    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Ends it, and says why a runner in its state died.
    pub(super) async fn post_mortem(mut self) -> ScriptError {
        let Some(child) = self.child.take() else { return crashed("its process is gone") };
        let (answer, told) = oneshot::channel();
        self.spawner.bury(child, Some(answer));
        let Ok((status, said)) = told.await else { return crashed("its process is gone") };
        cause_of_death(status, &said)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            self.spawner.bury(child, None);
        }
    }
}

/// What ended a runner, told from its exit status and last words.
fn cause_of_death(status: Option<ExitStatus>, said: &str) -> ScriptError {
    if said.contains("memory allocation of") || said.contains("out of memory") {
        return ScriptError { code: Kind::LimitMemory, message: "the script takes more memory than allowed".to_owned(), ..crashed("") };
    }
    if said.contains("overflowed its stack") {
        return ScriptError { code: Kind::LimitDepth, message: "the script nests deeper than the stack holds".to_owned(), ..crashed("") };
    }
    match status {
        Some(status) => match status.signal() {
            Some(signal) => crashed(&format!("signal {signal} ended it")),
            None => crashed(&format!("it ended with code {}", status.code().unwrap_or_default())),
        },
        None => crashed("its process is gone"),
    }
}

fn crashed(how: &str) -> ScriptError {
    let message = format!("the process that ran the script died: {how}");
    ScriptError { code: Kind::RunnerCrashed, message, node_id: None, file: None, line: None, column: None, details: None }
}

/// Starts and buries runners, on a thread of its own that lives as long as the server: a runner asks the kernel to be killed with its
/// parent, and to the kernel the parent is the thread that started it.
#[derive(Clone)]
pub(super) struct Spawner {
    orders: std::sync::mpsc::Sender<Order>,
    system: Arc<System>,
}

enum Order {
    Spawn(oneshot::Sender<std::io::Result<(Child, std::os::unix::net::UnixStream)>>),
    Bury(Child, Option<oneshot::Sender<(Option<ExitStatus>, String)>>),
}

impl Spawner {
    pub(super) fn new(program: PathBuf, system: Arc<System>) -> std::io::Result<Self> {
        let (orders, waiting) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("runner-spawner".to_owned()).spawn(move || {
            while let Ok(order) = waiting.recv() {
                match order {
                    Order::Spawn(answer) => {
                        // Whoever asked may have been cancelled; the runner then dies with its socket.
                        let _ = answer.send(start(&program));
                    }
                    Order::Bury(child, answer) => bury(child, answer),
                }
            }
        })?;
        Ok(Self { orders, system })
    }

    /// Starts a runner. It is ready when it first answers; what is sent before waits in the socket.
    pub(super) async fn spawn(&self) -> Result<Runner, Failure> {
        let failed = |why: String| {
            Failure::new(Kind::Internal, format!("no runner could be started: {why}; free memory or process slots and try again"))
        };
        let (answer, started) = oneshot::channel();
        self.orders.send(Order::Spawn(answer)).map_err(|_| failed("the server is shutting down".to_owned()))?;
        let (child, socket) = started.await.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
        socket.set_nonblocking(true).map_err(|e| failed(e.to_string()))?;
        let stream = UnixStream::from_std(socket).map_err(|e| failed(e.to_string()))?;
        Ok(Runner {
            stream,
            decoder: Decoder::default(),
            outgoing: Vec::new(),
            program: None,
            sandbox: Sandbox::default(),
            served: 0,
            // Whoever may end processes must not end somebody else's run with one.
            _protection: self.system.protect(child.id()),
            child: Some(child),
            spawner: self.clone(),
        })
    }

    fn bury(&self, child: Child, answer: Option<oneshot::Sender<(Option<ExitStatus>, String)>>) {
        // With the thread gone the server is ending, and the kernel buries.
        let _ = self.orders.send(Order::Bury(child, answer));
    }
}

fn start(program: &PathBuf) -> std::io::Result<(Child, std::os::unix::net::UnixStream)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    let child = std::process::Command::new(program)
        .arg("runner")
        .env_clear()
        // One heap: each further one reserves 64 MiB of the address space that the memory limit counts.
        .env("MALLOC_ARENA_MAX", "1")
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    Ok((child, ours))
}

fn bury(mut child: Child, answer: Option<oneshot::Sender<(Option<ExitStatus>, String)>>) {
    // One that died by itself keeps its own status; any other is killed, whatever it is doing.
    let died = match answer {
        Some(_) => wait_briefly(&mut child),
        None => None,
    };
    if died.is_none() {
        let _ = child.kill();
    }
    let status = died.or_else(|| child.wait().ok());
    if let Some(answer) = answer {
        let mut said = Vec::new();
        if let Some(stderr) = child.stderr.take() {
            let _ = stderr.take(16 << 10).read_to_end(&mut said);
        }
        let _ = answer.send((status, String::from_utf8_lossy(&said).into_owned()));
    }
}

/// A process whose socket just closed is about to end.
fn wait_briefly(child: &mut Child) -> Option<ExitStatus> {
    for _ in 0..50 {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    None
}

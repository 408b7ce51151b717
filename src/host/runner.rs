//! One runner as the server sees it: a process, a socket, and what it said when it died.

use std::fs::File;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::RecvFlags;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use super::protocol::{FromRunner, Program, ScriptError};
use super::wire::{Decoder, encode};
use super::zygote::{Born, Zygote};
use crate::error::{Failure, Kind};
use crate::sandbox::Sandbox;
use crate::system::{Protection, System};

/// So many zygotes in a row are asked for a runner, as long as each of them ends over it.
const TRIES: u32 = 4;
/// A runner that says the next thing this soon after an answer is taken for one that goes on like that …
const QUICK: Duration = Duration::from_micros(100);
/// … and looked at for so long: to be woken takes longer. Other threads that have work to do go first.
const GLANCE: Duration = Duration::from_micros(30);

/// A process that runs scripts.
pub(super) struct Runner {
    stream: UnixStream,
    decoder: Decoder,
    outgoing: Vec<u8>,
    /// When it was last sent something; none once it has answered.
    sent: Option<Instant>,
    /// Whether it answered quickly the last time.
    quick: bool,
    /// The program it serves; none until it was given one.
    pub(super) program: Option<Arc<Program>>,
    /// What holds it; known once it was given a program.
    pub(super) sandbox: Sandbox,
    /// The runs it served.
    pub(super) served: u32,
    process: Option<Process>,
    spawner: Spawner,
    _protection: Protection,
}

/// A runner's process: until it is buried, its number is nobody else's.
struct Process {
    pid: u32,
    stderr: File,
}

impl Runner {
    /// Sends a message.
    pub(super) async fn send(&mut self, message: &impl Serialize) -> Result<(), Failure> {
        self.outgoing.clear();
        encode(&mut self.outgoing, message).map_err(|error| Failure::new(Kind::PayloadTooLarge, error.to_string()))?;
        // A runner that is gone is found out by reading.
        let _ = self.stream.write_all(&self.outgoing).await;
        self.sent = Some(Instant::now());
        Ok(())
    }

    /// The next message; none once the runner is dead or talks nonsense. Safe to drop half-way.
    pub(super) async fn receive(&mut self) -> Option<FromRunner> {
        loop {
            if let Some(message) = self.decoder.take().ok()? {
                self.quick = self.sent.take().is_some_and(|sent| sent.elapsed() < QUICK);
                return Some(message);
            }
            if self.sent.is_some() && std::mem::take(&mut self.quick) && self.glance() {
                continue;
            }
            let length = self.stream.read_buf(self.decoder.buffer()).await.ok()?;
            if length == 0 {
                return None;
            }
        }
    }

    /// Looks a moment for the next message of a runner that is quick. Whether there is something; whether it is gone is found out later.
    fn glance(&mut self) -> bool {
        let Some(sent) = self.sent else { return false };
        let mut chunk = [0; 4 << 10];
        while sent.elapsed() < GLANCE {
            match rustix::net::recv(&self.stream, &mut chunk, RecvFlags::DONTWAIT) {
                Ok((_, length @ 1..)) => {
                    self.decoder.buffer().extend_from_slice(chunk.get(..length).unwrap_or_default());
                    return true;
                }
                Err(Errno::AGAIN) => rustix::thread::sched_yield(),
                Ok(_) | Err(_) => return false,
            }
        }
        false
    }

    /// Whether its process has ended, for one that has nothing to say.
    pub(super) fn is_gone(&self) -> bool {
        let peeked = rustix::net::recv(&self.stream, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        !matches!(peeked, Ok((_, 1..)) | Err(Errno::AGAIN | Errno::INTR))
    }

    /// Its process id, while it lives.
    pub(super) fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.pid)
    }

    /// Ends it, and says why a runner in its state died.
    pub(super) async fn post_mortem(mut self) -> ScriptError {
        let Some(process) = self.process.take() else { return crashed("its process is gone") };
        let (answer, told) = oneshot::channel();
        self.spawner.bury(process, Some(answer));
        let Ok((status, said)) = told.await else { return crashed("its process is gone") };
        cause_of_death(status, &said)
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            self.spawner.bury(process, None);
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

/// Has runners forked and buried, on a thread of its own that lives as long as the server: the zygote asks the kernel to be killed with its
/// parent, and to the kernel the parent is the thread that started it.
#[derive(Clone)]
pub(super) struct Spawner {
    orders: std::sync::mpsc::Sender<Order>,
    system: Arc<System>,
}

/// What somebody who waits for a process' end is told: how it ended, and its last words.
type Told = oneshot::Sender<(Option<ExitStatus>, String)>;

enum Order {
    Spawn(oneshot::Sender<std::io::Result<Born>>),
    Bury(Process, Option<Told>),
}

impl Spawner {
    pub(super) fn new(program: PathBuf, system: Arc<System>) -> std::io::Result<Self> {
        let (orders, waiting) = std::sync::mpsc::channel();
        let mut nursery = Nursery { program, system: Arc::clone(&system), zygote: None };
        std::thread::Builder::new().name("runner-spawner".to_owned()).spawn(move || {
            while let Ok(order) = waiting.recv() {
                match order {
                    Order::Spawn(answer) => {
                        // Whoever asked may have been cancelled; the runner then ends with its socket, and is buried with its zygote.
                        let _ = answer.send(nursery.spawn());
                    }
                    Order::Bury(process, answer) => nursery.bury(process, answer),
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
        let Born { pid, socket, stderr } = started.await.map_err(|e| failed(e.to_string()))?.map_err(|e| failed(e.to_string()))?;
        let mut runner = Runner {
            stream: UnixStream::from_std(socket).map_err(|e| failed(e.to_string()))?,
            decoder: Decoder::default(),
            outgoing: Vec::new(),
            sent: None,
            quick: false,
            program: None,
            sandbox: Sandbox::default(),
            served: 0,
            // Whoever may end processes must not end somebody else's run with one.
            _protection: self.system.protect(pid),
            process: None,
            spawner: self.clone(),
        };
        runner.process = Some(Process { pid, stderr: File::from(stderr) });
        Ok(runner)
    }

    fn bury(&self, process: Process, answer: Option<Told>) {
        // With the thread gone the server is ending, and the kernel buries.
        let _ = self.orders.send(Order::Bury(process, answer));
    }
}

/// The zygote that there is, and how to have another.
struct Nursery {
    program: PathBuf,
    system: Arc<System>,
    zygote: Option<Zygote>,
}

impl Nursery {
    /// A new runner. A zygote that somebody has ended is replaced, and its runners, if any are left, end first.
    fn spawn(&mut self) -> std::io::Result<Born> {
        let mut tried = 0;
        let born = loop {
            let zygote = match &mut self.zygote {
                Some(zygote) => zygote,
                None => self.zygote.insert(Zygote::start(&self.program, &self.system)?),
            };
            match zygote.fork() {
                Ok(born) => break born,
                Err(error) => {
                    self.zygote = None;
                    tried += 1;
                    if tried == TRIES {
                        return Err(error);
                    }
                }
            }
        };
        born.socket.set_nonblocking(true)?;
        Ok(born)
    }

    fn bury(&mut self, process: Process, answer: Option<Told>) {
        // A zygote that is gone has taken it along.
        let status = self.zygote.as_mut().and_then(|zygote| zygote.bury(process.pid, answer.is_some()).ok().flatten());
        if let Some(answer) = answer {
            let mut said = Vec::new();
            let _ = process.stderr.take(16 << 10).read_to_end(&mut said);
            let _ = answer.send((status, String::from_utf8_lossy(&said).into_owned()));
        }
    }
}

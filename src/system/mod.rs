//! How busy the machine is, what runs on it, and the end of one process.

mod protected;
mod words;

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::{Value, json};
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, Pid, ProcessRefreshKind, ProcessStatus, ProcessesToUpdate, ThreadKind};

use crate::error::{Classify, Kind};
use crate::policy::AllowedProcess;
pub use words::*;

/// Why the machine did not answer, or a process was not ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// This machine does not tell.
    #[error("this machine's load and processes cannot be read: {0}")]
    Unreadable(String),
    /// There is no such process.
    #[error("there is no process {0}: it may have ended already")]
    NoSuchProcess(u32),
    /// It is one that must go on.
    #[error("process {pid} is {what} and is never ended from here")]
    Protected {
        /// The process.
        pid: u32,
        /// What it is.
        what: &'static str,
    },
    /// It belongs to somebody else.
    #[error("process {0} belongs to another user: run TRAE as that user to end it")]
    NotOurs(u32),
    /// Anything else.
    #[error("process {pid} could not be ended: {reason}")]
    Failed {
        /// The process.
        pid: u32,
        /// Why.
        reason: String,
    },
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unreadable(_) => Kind::ServiceUnavailable,
            Self::NoSuchProcess(_) => Kind::NotFound,
            Self::Protected { .. } | Self::NotOurs(_) => Kind::PermissionDenied,
            Self::Failed { .. } => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Unreadable(_) => Some(json!({ "service": "system", "hint": "give TRAE a readable /proc" })),
            Self::NoSuchProcess(pid) => Some(json!({ "kind": "process", "id": pid.to_string() })),
            _ => None,
        }
    }
}

/// The machine, with what is remembered from look to look: shares of a processor are counted between two of them.
#[derive(Debug)]
pub struct System {
    state: Mutex<Option<State>>,
}

#[derive(Debug)]
struct State {
    machine: sysinfo::System,
    load_looked: Instant,
    load_fresh: bool,
    processes_looked: Option<Instant>,
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    /// Takes the first look, so that the first [`load`](Self::load) has one to compare with.
    pub fn new() -> Self {
        Self { state: Mutex::new(State::open().ok()) }
    }

    /// How busy the machine is, since the last time this was asked. Waits at most 200 ms, and only right after [`new`](Self::new).
    pub fn load(&self) -> Result<Load, Error> {
        let mut guard = self.lock();
        let state = State::get(&mut guard)?;
        let since = state.load_looked.elapsed();
        if state.load_fresh && since < MINIMUM_CPU_UPDATE_INTERVAL {
            std::thread::sleep(MINIMUM_CPU_UPDATE_INTERVAL - since);
        }
        if state.load_fresh || since >= MINIMUM_CPU_UPDATE_INTERVAL {
            state.machine.refresh_cpu_usage();
            state.load_looked = Instant::now();
            state.load_fresh = false;
        }
        state.machine.refresh_memory();
        let (used, total) = (state.machine.used_memory(), state.machine.total_memory());
        Ok(Load {
            cpu_percent: rounded(f64::from(state.machine.global_cpu_usage())),
            memory_percent: share(used, total),
            memory_used: used,
            memory_total: total,
            cores: state.machine.cpus().len(),
            host_name: sysinfo::System::host_name().unwrap_or_default(),
            operating_system: std::env::consts::OS.to_owned(),
        })
    }

    /// What runs, by process id. A process seen for the first time shows its mean since it began.
    pub fn processes(&self) -> Result<Vec<Process>, Error> {
        let mut guard = self.lock();
        let state = State::get(&mut guard)?;
        let known: HashSet<Pid> = state.machine.processes().keys().copied().collect();
        if state.processes_looked.is_none_or(|last| last.elapsed() >= MINIMUM_CPU_UPDATE_INTERVAL) {
            state.machine.refresh_memory();
            let what = ProcessRefreshKind::nothing().with_cpu().with_memory();
            state.machine.refresh_processes_specifics(ProcessesToUpdate::All, true, what);
            state.processes_looked = Some(Instant::now());
        }
        let total = state.machine.total_memory();
        let mut listed: Vec<Process> = state
            .machine
            .processes()
            .values()
            .filter(|process| process.thread_kind() != Some(ThreadKind::Userland))
            .map(|process| Process {
                pid: process.pid().as_u32(),
                name: process.name().to_string_lossy().into_owned(),
                cpu_percent: rounded(if known.contains(&process.pid()) { f64::from(process.cpu_usage()) } else { mean(process) }),
                memory_percent: share(process.memory(), total),
                status: status(process.status()).to_owned(),
            })
            .collect();
        listed.sort_by_key(|process| process.pid);
        Ok(listed)
    }

    /// Asks a process to end, or with `force` ends it at once. The server, its parents and the machine's first process never.
    pub fn kill(&self, process: AllowedProcess, force: bool) -> Result<(), Error> {
        protected::kill(process.pid(), force)
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open() -> Result<Self, Error> {
        let mut machine = sysinfo::System::new().map_err(|error| Error::Unreadable(error.to_string()))?;
        machine.refresh_cpu_usage();
        Ok(Self { machine, load_looked: Instant::now(), load_fresh: true, processes_looked: None })
    }

    fn get(slot: &mut Option<Self>) -> Result<&mut Self, Error> {
        match slot {
            Some(state) => Ok(state),
            None => Ok(slot.insert(Self::open()?)),
        }
    }
}

fn mean(process: &sysinfo::Process) -> f64 {
    match process.run_time() {
        0 => 0.0,
        seconds => process.accumulated_cpu_time() as f64 / 10.0 / seconds as f64,
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(part as f64 * 100.0 / whole as f64) }
}

/// To a hundredth: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

fn status(status: ProcessStatus) -> &'static str {
    match status {
        ProcessStatus::Run => "running",
        ProcessStatus::Sleep => "sleeping",
        ProcessStatus::Idle => "idle",
        ProcessStatus::Stop => "stopped",
        ProcessStatus::Zombie => "zombie",
        ProcessStatus::Tracing => "traced",
        ProcessStatus::Dead => "dead",
        ProcessStatus::UninterruptibleDiskSleep => "waiting",
        _ => "unknown",
    }
}

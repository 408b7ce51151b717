//! How busy the machine is, what runs on it, and the end of one process.

mod error;
mod handle;
mod processes;
mod protected;
mod tree;
mod words;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sysinfo::MINIMUM_CPU_UPDATE_INTERVAL;

use crate::policy::AllowedProcess;
pub use error::Error;
use processes::Sampler;
pub use words::*;

/// The machine, with what is remembered from look to look: shares of a processor are counted between two of them.
#[derive(Debug)]
pub struct System {
    state: Mutex<Option<State>>,
    ours: Arc<Mutex<HashSet<u32>>>,
}

#[derive(Debug)]
struct State {
    machine: sysinfo::System,
    load_looked: Instant,
    load_fresh: bool,
    /// The machine as the list of processes sees it: shares are counted between two looks, and each kind of look has its own.
    listed: sysinfo::System,
    sampler: Sampler,
}

/// Keeps a process of the server's own from being ended, until it is dropped.
#[derive(Debug)]
pub struct Protection {
    pid: u32,
    ours: Arc<Mutex<HashSet<u32>>>,
}

impl Drop for Protection {
    fn drop(&mut self) {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.pid);
    }
}

impl Default for System {
    fn default() -> Self {
        Self::new()
    }
}

impl System {
    /// Takes the first look, so that the first [`load`](Self::load) has one to compare with.
    pub fn new() -> Self {
        Self { state: Mutex::new(State::open().ok()), ours: Arc::default() }
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

    /// What runs at this moment, by process id. A process seen for the first time shows its mean since it began. Never waits.
    pub fn processes(&self) -> Result<Vec<Process>, Error> {
        let mut guard = self.lock();
        let state = State::get(&mut guard)?;
        Ok(state.sampler.look(&mut state.listed))
    }

    /// Ends, stops or continues a process. The server, its parents, what it runs scripts in, and the machine's first process never.
    /// With `began` (a process's `start_time`) only the one that was meant.
    pub fn act(&self, process: AllowedProcess, action: Action, began: Option<u64>) -> Result<(), Error> {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        protected::act(process.pid(), action, began, &ours)
    }

    /// The same to a process and all that it started; gives how many they are. Where one of them is left alone, nothing is done to any.
    pub fn act_on_tree(&self, process: AllowedProcess, action: Action, began: Option<u64>) -> Result<usize, Error> {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner).clone();
        protected::act_on_tree(process.pid(), action, began, &ours)
    }

    /// Those of `pids` that run at this moment.
    pub fn some(&self, pids: &[u32]) -> Result<Vec<Process>, Error> {
        Ok(self.processes()?.into_iter().filter(|process| pids.contains(&process.pid)).collect())
    }

    /// Protects a process of the server's own.
    pub fn protect(&self, pid: u32) -> Protection {
        self.ours.lock().unwrap_or_else(PoisonError::into_inner).insert(pid);
        Protection { pid, ours: Arc::clone(&self.ours) }
    }

    fn lock(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn open() -> Result<Self, Error> {
        let open = || sysinfo::System::new().map_err(|error| Error::Unreadable(error.to_string()));
        let (mut machine, listed) = (open()?, open()?);
        machine.refresh_cpu_usage();
        Ok(Self { machine, load_looked: Instant::now(), load_fresh: true, listed, sampler: Sampler::default() })
    }

    fn get(slot: &mut Option<Self>) -> Result<&mut Self, Error> {
        match slot {
            Some(state) => Ok(state),
            None => Ok(slot.insert(Self::open()?)),
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(part as f64 * 100.0 / whole as f64) }
}

/// To a hundredth: more is noise.
fn rounded(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

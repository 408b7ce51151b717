//! Runners kept warm: one serves successive runs of the same program, and is replaced after a number of runs or when it has grown.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::Runners;
use super::protocol::{FromRunner, Program, ScriptError, ToRunner};
use super::runner::{Runner, Spawner};
use crate::error::{Failure, Kind};

/// Runs after which a runner is replaced, whatever it looks like.
const MAX_SERVED: u32 = 50_000;
/// How often its memory is looked at, in runs.
const LOOK_EVERY: u32 = 256;
/// Memory above which an idle runner is replaced.
const MAX_RESIDENT_BYTES: u64 = 128 << 20;
/// Idle runners that are kept.
const MAX_IDLE: usize = 16;
/// With so many runners of one program at work, a further run waits a moment for one of them: short runs are then served by a few
/// warm processes, and long ones hold nobody up.
const BUSY_ENOUGH: usize = 3;
const MOMENT: Duration = Duration::from_millis(2);
/// Compiling may take this long, and a second more for each 100 KiB of source.
const COMPILE_SECONDS: u64 = 2;

/// The runners.
pub(super) struct Pool {
    spawner: Spawner,
    state: Mutex<State>,
    freed: Notify,
    slots: Arc<Semaphore>,
}

#[derive(Default)]
struct State {
    /// The one used last stands last.
    idle: Vec<Runner>,
    /// How many runners work for each program, by its address.
    busy: HashMap<usize, usize>,
}

/// A runner that serves one run. Dropped without [`Lease::give_back`], it is ended.
pub(super) struct Lease {
    pub(super) runner: Runner,
    _slot: Busy,
}

struct Busy {
    pool: Arc<Pool>,
    key: usize,
    _permit: OwnedSemaphorePermit,
}

impl Pool {
    pub(super) fn new(program: PathBuf, max_runners: usize) -> std::io::Result<Arc<Self>> {
        let slots = Arc::new(Semaphore::new(max_runners.max(1)));
        Ok(Arc::new(Self { spawner: Spawner::new(program)?, state: Mutex::default(), freed: Notify::new(), slots }))
    }

    /// A runner that has compiled `program`.
    pub(super) async fn lease(self: &Arc<Self>, program: &Arc<Program>) -> Result<Lease, ScriptError> {
        let key = Arc::as_ptr(program) as usize;
        let permit = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| Failure::new(Kind::ServiceUnavailable, "the server is shutting down"))?;
        let mut runner = self.warm(program);
        if runner.is_none() && self.state().busy.get(&key).is_some_and(|busy| *busy >= BUSY_ENOUGH) {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            let _ = tokio::time::timeout(MOMENT, freed).await;
            runner = self.warm(program);
        }
        *self.state().busy.entry(key).or_default() += 1;
        let slot = Busy { pool: Arc::clone(self), key, _permit: permit };
        let mut runner = match runner {
            Some(runner) => runner,
            None => self.spawner.spawn().await?,
        };
        if runner.program.is_none() {
            runner = load(runner, program).await?;
        }
        Ok(Lease { runner, _slot: slot })
    }

    /// Everything that is wrong with `program`.
    pub(super) async fn check(self: &Arc<Self>, program: &Program) -> Result<Vec<ScriptError>, ScriptError> {
        let _permit = self.slots.acquire().await.map_err(|_| Failure::new(Kind::ServiceUnavailable, "the server is shutting down"))?;
        let mut runner = self.spawner.spawn().await?;
        runner.send(&ToRunner::Check(program.clone())).await?;
        match tokio::time::timeout(compile_time(program), runner.receive()).await {
            Ok(Some(FromRunner::Checked(errors))) => Ok(errors),
            Ok(_) => Err(runner.post_mortem().await),
            Err(_) => Err(too_long(program)),
        }
    }

    /// Lets all idle runners go.
    pub(super) fn cool(&self) {
        let idle = std::mem::take(&mut self.state().idle);
        drop(idle);
    }

    /// Lets all idle runners go, and starts none any more.
    pub(super) fn close(&self) {
        self.slots.close();
        self.cool();
    }

    pub(super) fn runners(&self) -> Runners {
        let state = self.state();
        Runners { busy: state.busy.values().sum(), idle: state.idle.len() }
    }

    fn warm(&self, program: &Arc<Program>) -> Option<Runner> {
        let mut state = self.state();
        let at = state.idle.iter().rposition(|runner| runner.program.as_ref().is_some_and(|p| Arc::ptr_eq(p, program)))?;
        Some(state.idle.remove(at))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lease {
    /// The run ended as it should: the runner may serve the next one.
    pub(super) fn give_back(mut self) {
        self.runner.served += 1;
        if self.runner.served >= MAX_SERVED
            || (self.runner.served.is_multiple_of(LOOK_EVERY) && resident(&self.runner) > MAX_RESIDENT_BYTES)
        {
            return;
        }
        let pool = Arc::clone(&self._slot.pool);
        let evicted = {
            let mut state = pool.state();
            state.idle.push(self.runner);
            (state.idle.len() > MAX_IDLE).then(|| state.idle.remove(0))
        };
        drop(self._slot);
        drop(evicted);
        pool.freed.notify_one();
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        if let Some(busy) = state.busy.get_mut(&self.key) {
            *busy -= 1;
            if *busy == 0 {
                state.busy.remove(&self.key);
            }
        }
    }
}

async fn load(mut runner: Runner, program: &Arc<Program>) -> Result<Runner, ScriptError> {
    runner.send(&ToRunner::Load(Program::clone(program))).await?;
    match tokio::time::timeout(compile_time(program), runner.receive()).await {
        Ok(Some(FromRunner::Loaded(answer))) => {
            answer?;
            runner.program = Some(Arc::clone(program));
            Ok(runner)
        }
        Ok(_) => Err(runner.post_mortem().await),
        Err(_) => Err(too_long(program)),
    }
}

fn compile_time(program: &Program) -> Duration {
    let size = program.source.len() + program.modules.iter().map(|(_, source)| source.len()).sum::<usize>();
    Duration::from_secs(COMPILE_SECONDS + size as u64 / (100 << 10))
}

fn too_long(program: &Program) -> ScriptError {
    let message = format!("{} takes too long to compile: split it into modules, and put many constants into one map", program.name);
    let failure = Failure::new(Kind::LimitSource, message);
    ScriptError { file: Some(program.name.clone()), ..failure.into() }
}

/// The memory a runner holds, in bytes; 0 where the machine does not say.
fn resident(runner: &Runner) -> u64 {
    let statm = runner.pid().and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/statm")).ok());
    let pages: Option<u64> = statm.and_then(|text| text.split(' ').nth(1)?.parse().ok());
    pages.unwrap_or_default().saturating_mul(4096)
}

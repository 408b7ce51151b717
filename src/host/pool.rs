//! Runners kept warm: one serves successive runs of the same program, and is replaced after a number of runs or when it has grown.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::Runners;
use super::protocol::{FromRunner, Program, ScriptError, ToRunner};
use super::runner::{Runner, Spawner};
use crate::error::{Failure, Kind};
use crate::system::System;

/// Runs after which a runner is replaced, whatever it looks like.
const MAX_SERVED: u32 = 50_000;
/// How often its memory is looked at, in runs.
const LOOK_EVERY: u32 = 256;
/// Memory above which an idle runner is replaced.
const MAX_RESIDENT_BYTES: u64 = 128 << 20;
/// Idle runners that are kept.
const MAX_IDLE: usize = 16;
/// With one runner of a program more at work than there are cores, a further run waits a moment for one of them: short runs are then
/// served by a few warm processes, and long ones hold nobody up. The moment is about what it takes to start another.
const MOMENT: Duration = Duration::from_millis(10);
/// Compiling may take this long, and a second more for each 100 KiB of source.
const COMPILE_SECONDS: u64 = 2;

/// A program whose compiler dies so often in a row is what kills it.
const TRIES: u32 = 3;
/// On a machine that is busy with something else it may take so many times as long.
const BUSY: u32 = 10;

/// The runners.
pub(super) struct Pool {
    spawner: Spawner,
    state: Mutex<State>,
    /// So many runners of one program at work are enough for short runs.
    busy_enough: usize,
    slots: Arc<Semaphore>,
    /// So many start and compile at the same time: more would take each other the time that compiling may take, as after a crash, when
    /// all runs go on at once.
    loading: Semaphore,
}

#[derive(Default)]
struct State {
    /// The one used last stands last.
    idle: Vec<Runner>,
    /// How many runners work for each program, by its address.
    busy: HashMap<usize, usize>,
    /// The runs that wait a moment for a runner of their program, the first one first.
    waiting: VecDeque<(usize, oneshot::Sender<Runner>)>,
}

impl State {
    /// One of a program that nobody uses. Those that somebody has ended meanwhile, or that went with their zygote, are no run's fault.
    fn take_idle(&mut self, program: &Arc<Program>) -> Option<Runner> {
        loop {
            let at = self.idle.iter().rposition(|runner| runner.program.as_ref().is_some_and(|p| Arc::ptr_eq(p, program)))?;
            let runner = self.idle.remove(at);
            if !runner.is_gone() {
                return Some(runner);
            }
        }
    }
}

/// A runner that serves one run. Dropped without [`Lease::give_back`], it is ended.
pub(super) struct Lease {
    pub(super) runner: Runner,
    slot: Busy,
}

struct Busy {
    pool: Arc<Pool>,
    key: usize,
    _permit: OwnedSemaphorePermit,
}

/// Whether there is a runner for a program.
enum Warm {
    Here(Box<Runner>),
    Soon(oneshot::Receiver<Runner>),
    None,
}

/// The runner that came within a moment. One that comes at its very end is not lost.
async fn in_a_moment(mut waiting: oneshot::Receiver<Runner>) -> Option<Runner> {
    match tokio::time::timeout(MOMENT, &mut waiting).await {
        Ok(runner) => runner.ok(),
        Err(_) => {
            waiting.close();
            waiting.try_recv().ok()
        }
    }
}

impl Pool {
    pub(super) fn new(program: PathBuf, max_runners: usize, system: Arc<System>) -> std::io::Result<Arc<Self>> {
        let slots = Arc::new(Semaphore::new(max_runners.max(1)));
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let (spawner, loading) = (Spawner::new(program, system)?, Semaphore::new(2 * cores));
        Ok(Arc::new(Self { spawner, state: Mutex::default(), busy_enough: cores + 1, slots, loading }))
    }

    /// A runner that has compiled `program`.
    pub(super) async fn lease(self: &Arc<Self>, program: &Arc<Program>) -> Result<Lease, ScriptError> {
        let key = Arc::as_ptr(program) as usize;
        let permit = Arc::clone(&self.slots)
            .acquire_owned()
            .await
            .map_err(|_| Failure::new(Kind::ServiceUnavailable, "the server is shutting down"))?;
        let warm = match self.warm(program, key) {
            Warm::Here(runner) => Some(*runner),
            Warm::Soon(waiting) => in_a_moment(waiting).await,
            Warm::None => None,
        };
        let slot = self.busy(key, permit);
        let runner = match warm {
            Some(runner) => runner,
            None => self.start(program).await?,
        };
        Ok(Lease { runner, slot })
    }

    /// A runner that was not there before, unless one of the program has become free until its turn comes.
    async fn start(&self, program: &Arc<Program>) -> Result<Runner, ScriptError> {
        let _turn = self.loading.acquire().await.map_err(|_| Failure::new(Kind::ServiceUnavailable, "the server is shutting down"))?;
        let free = self.state().take_idle(program);
        match free {
            Some(runner) => Ok(runner),
            None => load(self.spawner.spawn().await?, program).await,
        }
    }

    /// Everything that is wrong with `program`.
    pub(super) async fn check(self: &Arc<Self>, program: &Program) -> Result<Vec<ScriptError>, ScriptError> {
        let _permit = self.slots.acquire().await.map_err(|_| Failure::new(Kind::ServiceUnavailable, "the server is shutting down"))?;
        let _turn = self.loading.acquire().await.map_err(|_| Failure::new(Kind::ServiceUnavailable, "the server is shutting down"))?;
        let mut tries = 0;
        loop {
            tries += 1;
            match self.check_once(program).await {
                // Somebody else may have ended it; a program that ends its compiler does so again.
                Err(error) if error.code == Kind::RunnerCrashed && tries < TRIES => {}
                checked => return checked,
            }
        }
    }

    async fn check_once(&self, program: &Program) -> Result<Vec<ScriptError>, ScriptError> {
        let mut runner = self.spawner.spawn().await?;
        runner.send(&ToRunner::Check(program.clone())).await?;
        match compiled(&mut runner, program).await? {
            Some(FromRunner::Checked(errors)) => Ok(errors),
            _ => Err(runner.post_mortem().await),
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

    /// A runner that serves `program`, or a place in the queue for one.
    fn warm(&self, program: &Arc<Program>, key: usize) -> Warm {
        let mut state = self.state();
        if let Some(runner) = state.take_idle(program) {
            return Warm::Here(Box::new(runner));
        }
        if state.busy.get(&key).is_none_or(|busy| *busy < self.busy_enough) {
            return Warm::None;
        }
        let (hand, waiting) = oneshot::channel();
        state.waiting.push_back((key, hand));
        Warm::Soon(waiting)
    }

    fn busy(self: &Arc<Self>, key: usize, permit: OwnedSemaphorePermit) -> Busy {
        *self.state().busy.entry(key).or_default() += 1;
        Busy { pool: Arc::clone(self), key, _permit: permit }
    }

    /// Hands a runner that is free again to whoever waits for one of its program, or keeps it.
    fn take_back(&self, key: usize, mut runner: Runner) {
        let mut state = self.state();
        state.waiting.retain(|(_, hand)| !hand.is_closed());
        while let Some(at) = state.waiting.iter().position(|(wanted, _)| *wanted == key) {
            let Some((_, hand)) = state.waiting.remove(at) else { break };
            match hand.send(runner) {
                Ok(()) => return,
                Err(back) => runner = back,
            }
        }
        state.idle.push(runner);
        let evicted = (state.idle.len() > MAX_IDLE).then(|| state.idle.remove(0));
        drop(state);
        drop(evicted);
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
        let (pool, key) = (Arc::clone(&self.slot.pool), self.slot.key);
        drop(self.slot);
        pool.take_back(key, self.runner);
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
    match compiled(&mut runner, program).await? {
        Some(FromRunner::Loaded(answer)) => {
            runner.sandbox = answer?;
            runner.program = Some(Arc::clone(program));
            Ok(runner)
        }
        _ => Err(runner.post_mortem().await),
    }
}

/// What a runner says that compiles `program`. It is the time that it computes which is limited: a busy machine is not the program's fault.
async fn compiled(runner: &mut Runner, program: &Program) -> Result<Option<FromRunner>, ScriptError> {
    let limit = compile_time(program);
    let (began, mut patience) = (Instant::now(), limit);
    loop {
        if let Ok(said) = tokio::time::timeout(patience, runner.receive()).await {
            return Ok(said);
        }
        let left = computed(runner).map_or(Duration::ZERO, |computed| limit.saturating_sub(computed));
        if left.is_zero() || began.elapsed() > limit * BUSY {
            return Err(too_long(program));
        }
        patience = left.max(Duration::from_millis(20));
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

/// How long a runner has computed. None where the machine does not say.
fn computed(runner: &Runner) -> Option<Duration> {
    #[cfg(target_os = "linux")]
    {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", runner.pid()?)).ok()?;
        // The second field is the program's name in parentheses; the 14th and the 15th are its ticks, by itself and in the kernel.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
        let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
        Some(Duration::from_millis(ticks.saturating_mul(1000) / rustix::param::clock_ticks_per_second().max(1)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = runner;
        None
    }
}

/// The memory a runner holds, in bytes; 0 where the machine does not say.
fn resident(runner: &Runner) -> u64 {
    let statm = runner.pid().and_then(|pid| std::fs::read_to_string(format!("/proc/{pid}/statm")).ok());
    let pages: Option<u64> = statm.and_then(|text| text.split(' ').nth(1)?.parse().ok());
    pages.unwrap_or_default().saturating_mul(4096)
}

//! The seam between a script and the machine.
//!
//! [`protocol`] is everything a script can ask for; [`Host`] runs a program in a runner (a child process that holds the script engine
//! and nothing else), checks each of its calls against the grant, puts its steps on record and acts through the capabilities.

mod broker;
mod clicks;
mod controls;
mod deeds;
mod dry;
mod expecting;
mod pictures;
mod pool;
pub mod protocol;
mod rounds;
mod runner;
mod seeing;
mod templates;
mod terminals;
pub mod wire;
pub mod zygote;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::error::{Failure, Kind};
use crate::policy::{AllowedSecret, Grant};
use broker::Broker;
use pool::{Lease, Pool};
use protocol::{Asked, Call, FromRunner, Json, Past, Pause, Program, Record, Reply, ScriptError, Start, ToRunner, Wait};
use rounds::Worker;

pub use broker::Capabilities;
pub use deeds::Deed;
use pictures::{Encoder, Pictures};
pub use pictures::{Moment, StepPicture};
pub use protocol::Answer;
use templates::NoTemplates;
pub use templates::{TemplateZone, Templates};

/// So many records of one run may wait for the disk. The script waits for it then, and its end does not have to.
const AHEAD: u32 = 1024;

/// One run to be done.
pub struct Job {
    /// What to run. Runners stay warm for the same program with the same permissions.
    pub program: Arc<Program>,
    /// This run's own values.
    pub start: Start,
    /// What it may do.
    pub grant: Grant,
    /// Where its steps go.
    pub journal: Arc<dyn Journal>,
    /// Stops it, whatever it is doing.
    pub cancel: CancellationToken,
    /// When it must be over, waiting included.
    pub deadline: Option<Instant>,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// With a value.
    Succeeded(Json),
    /// With an error.
    Failed(ScriptError),
    /// Somebody asked for it to stop.
    Cancelled,
    /// It was let go until what it waits for has come.
    Resting,
}

/// Where a run's records go: the host writes, `runs` keeps.
pub trait Journal: Send + Sync {
    /// Keeps `record`, in order. Does not wait for the disk.
    fn record(&self, record: Record);
    /// Resolves once everything recorded so far is committed.
    fn durable(&self) -> BoxFuture<'_, Result<(), Failure>>;
    /// The answer that the run gives to the webhook that started it, for when everything recorded so far is committed.
    fn respond(&self, answer: Answer);
    /// Waits, for as long as the run may be held; then says that it is to be let go. What it waits for is on record by then. A step that
    /// is out of time after `within` is told so by whoever asks.
    fn wait(&self, wait: Wait, within: Option<Duration>, cancel: CancellationToken) -> BoxFuture<'_, Result<Waited, Failure>>;
    /// Everything that the run did so far, for a runner that is to help with it.
    fn past(&self) -> BoxFuture<'_, Result<Past, Failure>>;
    /// A step is about to begin; resolves once it may.
    fn pause(&self, pause: Pause) -> BoxFuture<'_, Result<(), Failure>>;
    /// A person is at the controls, and the run waits until what is given back is dropped.
    fn held_up(&self, _person: &str) -> Box<dyn Send> {
        Box::new(())
    }
    /// Somebody stops the run, for this reason.
    fn stop(&self, _why: Failure) {}
    /// Keeps a picture of a step, some time after it was taken: the run may be over by then.
    fn picture(&self, _picture: StepPicture) {}
}

/// What came of a wait so far.
#[derive(Debug, Clone)]
pub enum Waited {
    /// It is over, with this.
    Over(Json),
    /// It takes long.
    Rest,
}

/// How the host runs scripts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The program whose `runner` subcommand is a runner: TRAE's own binary.
    pub runner: PathBuf,
    /// Runners at work at once; further runs wait.
    pub max_runners: usize,
}

/// Runs scripts in runners, on behalf of whoever has a [`Grant`].
pub struct Host {
    capabilities: Capabilities,
    pool: Arc<Pool>,
    around: Around,
    /// None where steps have no pictures.
    encoder: Option<Arc<Encoder>>,
}

/// Says whether what a call needs is at work.
pub trait Gate: Send + Sync {
    /// A token that is cancelled when what the call needs no longer is at work; none where it needs nothing that could be stopped.
    ///
    /// # Errors
    /// Where it is not at work now: `SERVICE_UNAVAILABLE` with the reason.
    fn enter(&self, call: &Call) -> Result<Option<CancellationToken>, Failure>;
}

/// For a host whose capabilities are always at work.
struct Open;

impl Gate for Open {
    fn enter(&self, _: &Call) -> Result<Option<CancellationToken>, Failure> {
        Ok(None)
    }
}

/// Gives the values of secrets to runs that may use them.
pub trait Secrets: Send + Sync {
    /// The value of one.
    fn get(&self, secret: AllowedSecret) -> BoxFuture<'_, Result<String, Failure>>;
}

/// Keeps account of what runs do to the machine.
pub trait Witness: Send + Sync {
    /// A run is about to do something. That is kept in order with what its journal keeps, so that it is on record as soon as the journal
    /// is. Gives a number for [`Witness::ended`].
    ///
    /// # Errors
    /// Where it cannot be kept: then nothing is done.
    fn begins(&self, run_id: &str, deed: Deed) -> Result<i64, Failure>;
    /// What came of it.
    fn ended(&self, deed: i64, outcome: Result<(), &Failure>);
    /// A run was refused something that would have done nothing to the machine.
    fn denied(&self, run_id: &str, action: &'static str, failure: &Failure);
}

/// What stands beside a run's dealings with the machine.
#[derive(Clone)]
struct Around {
    gate: Arc<dyn Gate>,
    secrets: Arc<dyn Secrets>,
    templates: Arc<dyn Templates>,
    witness: Arc<dyn Witness>,
}

/// For a host that nobody watches.
struct Nobody;

impl Witness for Nobody {
    fn begins(&self, _: &str, _: Deed) -> Result<i64, Failure> {
        Ok(0)
    }

    fn ended(&self, _: i64, _: Result<(), &Failure>) {}

    fn denied(&self, _: &str, _: &'static str, _: &Failure) {}
}

/// For a host that was given none.
struct Unknown;

impl Secrets for Unknown {
    fn get(&self, secret: AllowedSecret) -> BoxFuture<'_, Result<String, Failure>> {
        let failure = Failure::new(Kind::NotFound, format!("there is no secret {:?} here", secret.name()));
        Box::pin(async { Err(failure) })
    }
}

/// What the runners do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Runners {
    /// So many run something.
    pub busy: usize,
    /// So many are kept warm.
    pub idle: usize,
}

impl Host {
    /// A host that acts through `capabilities`. No runner is started yet.
    pub fn new(capabilities: Capabilities, settings: Settings) -> std::io::Result<Self> {
        let pool = Pool::new(settings.runner, settings.max_runners, Arc::clone(&capabilities.system))?;
        let around =
            Around { gate: Arc::new(Open), secrets: Arc::new(Unknown), templates: Arc::new(NoTemplates), witness: Arc::new(Nobody) };
        Ok(Self { capabilities, pool, around, encoder: None })
    }

    /// The same host, which asks `gate` before each call.
    #[must_use]
    pub fn behind(mut self, gate: Arc<dyn Gate>) -> Self {
        self.around.gate = gate;
        self
    }

    /// The same host, which `witness` keeps account of.
    #[must_use]
    pub fn watched_by(mut self, witness: Arc<dyn Witness>) -> Self {
        self.around.witness = witness;
        self
    }

    /// The same host, which knows these secrets.
    #[must_use]
    pub fn knowing(mut self, secrets: Arc<dyn Secrets>) -> Self {
        self.around.secrets = secrets;
        self
    }

    /// The same host, which knows these templates.
    #[must_use]
    pub fn with_templates(mut self, templates: Arc<dyn Templates>) -> Self {
        self.around.templates = templates;
        self
    }

    /// The same host, which takes pictures of the screen around what steps do with mouse and keyboard.
    #[must_use]
    pub fn picturing(self) -> Self {
        Self { encoder: Some(Arc::new(Encoder::new())), ..self }
    }

    /// Resolves once all pictures taken so far are on their way to the record.
    pub async fn settled(&self) {
        if let Some(encoder) = &self.encoder {
            encoder.settled().await;
        }
    }

    /// Runs a job to its end. Whatever the script or its runner does, this returns with a reason.
    pub async fn run(&self, job: Job) -> Outcome {
        let broker = Broker::new(job.start.run_id.clone(), self.capabilities.clone(), self.around.clone(), &job, self.encoder.as_ref());
        self.work(job, broker, None).await
    }

    /// The same, with a broker there is; for a runner that does rounds of a loop, and gets them from `rounds`.
    async fn work(&self, job: Job, broker: Broker, rounds: Option<Worker>) -> Outcome {
        let lease = tokio::select! {
            lease = self.pool.lease(&job.program) => lease,
            () = job.cancel.cancelled() => return Outcome::Cancelled,
        };
        match lease {
            Ok(lease) => self.drive(lease, job, broker, rounds).await,
            Err(error) => Outcome::Failed(error),
        }
    }

    /// Everything that is wrong with a program; nothing of it runs.
    pub async fn check(&self, program: Program) -> Vec<ScriptError> {
        self.pool.check(&program).await.unwrap_or_else(|error| vec![error])
    }

    /// Lets the idle runners go; the next run starts a new one.
    pub fn cool(&self) {
        self.pool.cool();
    }

    /// What the runners do.
    pub fn runners(&self) -> Runners {
        self.pool.runners()
    }

    /// Lets the idle runners go, and starts none any more.
    pub fn shutdown(&self) {
        self.pool.close();
    }

    async fn drive(&self, lease: Lease, job: Job, broker: Broker, rounds: Option<Worker>) -> Outcome {
        let Some(deadline) = job.deadline else { return self.attend(lease, job, broker, rounds).await };
        let program = Arc::clone(&job.program);
        // With the future, the lease is dropped and the runner ended.
        tokio::time::timeout_at(deadline.into(), self.attend(lease, job, broker, rounds))
            .await
            .unwrap_or_else(|_| out_of_whole_time(&program))
    }

    /// What a runner's call comes to.
    async fn reply(&self, job: &Job, broker: &mut Broker, rounds: Option<&Worker>, call: Call, within: Option<Duration>) -> Reply {
        let done = match call {
            Call::Wait(wait) => match broker.wait(wait, within).await {
                Ok(Waited::Over(value)) => Ok(value),
                Ok(Waited::Rest) => return Reply::Rest,
                Err(failure) => Err(failure),
            },
            Call::FlowRounds { step_id, rounds, at_once } => self.rounds(job, broker, step_id, rounds, at_once).await,
            Call::FlowNextRound { done } => match rounds {
                Some(worker) => worker.next(done),
                None => Err(Failure::new(Kind::Internal, "this runner does no rounds of a loop")),
            },
            call => broker.handle(call).await,
        };
        done.map_or_else(Reply::Failed, Reply::Value)
    }

    async fn attend(&self, mut lease: Lease, job: Job, mut broker: Broker, rounds: Option<Worker>) -> Outcome {
        let mut computing = Duration::from_secs_f64(job.program.limits.seconds.clamp(0.0, 1e9));
        if let Err(failure) = lease.runner.send(&ToRunner::Start(job.start.clone())).await {
            return Outcome::Failed(failure.into());
        }
        if let (None, Some(lacks)) = (&rounds, lease.runner.sandbox.lacks()) {
            job.journal.record(Record::Log { level: "warn".to_owned(), message: lacks, at: microseconds(), loose: true });
        }
        let mut since = Instant::now();
        let mut ahead = 0;
        loop {
            let message = tokio::select! {
                biased;
                // Whatever it computes, nobody wants it any more: the runner is ended with the lease. First, or a script that never
                // stops talking would never be stopped.
                () = job.cancel.cancelled() => return Outcome::Cancelled,
                message = lease.runner.receive() => message,
                () = tokio::time::sleep_until((since + computing).into()) => return Outcome::Failed(out_of_time(&job.program)),
            };
            match message {
                Some(FromRunner::Record(mut record)) => {
                    let noting = Instant::now();
                    broker.note(&mut record).await;
                    // What the host does meanwhile is not the script's computing.
                    since += noting.elapsed();
                    job.journal.record(record);
                    ahead += 1;
                    if ahead == AHEAD {
                        ahead = 0;
                        computing = computing.saturating_sub(since.elapsed());
                        if let Err(failure) = job.journal.durable().await {
                            return Outcome::Failed(failure.into());
                        }
                        since = Instant::now();
                    }
                }
                Some(FromRunner::Respond(answer)) => job.journal.respond(answer),
                Some(FromRunner::Call(Asked { call, within, target })) => {
                    broker.turn_to(target);
                    computing = computing.saturating_sub(since.elapsed());
                    let within = within.map(|seconds| Duration::try_from_secs_f64(seconds).unwrap_or_default());
                    let standstill = broker.standstill.clone();
                    let stood = standstill.total();
                    let reply = tokio::select! {
                        biased;
                        () = job.cancel.cancelled() => return Outcome::Cancelled,
                        reply = self.reply(&job, &mut broker, rounds.as_ref(), call, within) => reply,
                        // A runner that waits for an answer has nothing to say: it died, and nobody wants the answer.
                        _ = lease.runner.receive() => return died(lease, &job.program).await,
                        () = standstill.without(within.unwrap_or(Duration::MAX)) => {
                            Reply::Failed(Failure::new(Kind::Timeout, "the step took longer than its settings allow"))
                        }
                    };
                    if let Err(failure) =
                        lease.runner.send(&ToRunner::Reply { reply, stood: standstill.total().saturating_sub(stood) }).await
                    {
                        return Outcome::Failed(failure.into());
                    }
                    since = Instant::now();
                }
                // What a script makes of a call that was cancelled under it does not count.
                Some(FromRunner::Finished(_)) if job.cancel.is_cancelled() => return Outcome::Cancelled,
                Some(FromRunner::Finished(result)) => return finished(lease, result, broker.refused, &job.program),
                Some(FromRunner::Resting) => {
                    lease.give_back();
                    // A refusal is not forgotten by waiting.
                    return broker.refused.map_or(Outcome::Resting, |refused| Outcome::Failed(denied(refused, &job.program)));
                }
                Some(FromRunner::Loaded(_) | FromRunner::Checked(_)) | None => return died(lease, &job.program).await,
            }
        }
    }
}

/// Microseconds since 1970.
fn microseconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// What a run comes to whose runner is dead, or talks nonsense.
async fn died(lease: Lease, program: &Program) -> Outcome {
    let mut error = lease.runner.post_mortem().await;
    error.file = Some(program.name.clone());
    Outcome::Failed(error)
}

/// The run took longer than its header allows.
pub fn out_of_whole_time(program: &Program) -> Outcome {
    let seconds = program.limits.timeout.unwrap_or_default();
    let failure = Failure::new(Kind::Timeout, format!("the run took longer than the {seconds} s its header allows"));
    Outcome::Failed(ScriptError { file: Some(program.name.clone()), ..failure.into() })
}

/// A limit or a refusal fails the run even where the script went on as if nothing had happened.
fn finished(lease: Lease, result: Result<Json, ScriptError>, refused: Option<Failure>, program: &Program) -> Outcome {
    let limited =
        result.as_ref().is_err_and(|error| matches!(error.code, Kind::LimitOps | Kind::LimitDepth | Kind::LimitMemory | Kind::Internal));
    if !limited {
        lease.give_back();
    }
    match (result, refused) {
        (Err(error), Some(refused)) if error.code != refused.code => Outcome::Failed(denied(refused, program)),
        (Ok(_), Some(refused)) => Outcome::Failed(denied(refused, program)),
        (Ok(value), None) => Outcome::Succeeded(value),
        (Err(error), _) => Outcome::Failed(error),
    }
}

fn denied(refused: Failure, program: &Program) -> ScriptError {
    ScriptError { file: Some(program.name.clone()), ..refused.into() }
}

fn out_of_time(program: &Program) -> ScriptError {
    let message = format!(
        "the script computed for more than {} s: give it a higher limit in its header, or let it do less at once",
        program.limits.seconds
    );
    ScriptError { file: Some(program.name.clone()), ..Failure::new(Kind::LimitTime, message).into() }
}

//! The language as a script sees it, in real runners.

mod cancel;
mod limits;
mod pictures;
mod reference;
mod sessions;
mod steps;
mod texts;
mod windows;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use trae::desktop::{self, Desktops};
use trae::error::{Failure, Kind};
use trae::host::protocol::{Mode, NodeSource, Past, Pause, Program, Record, Start, Wait, WaitFor};
use trae::host::{Answer, Capabilities, Host, Job, Journal, Outcome, Settings, Waited};
use trae::policy::{Grant, Permissions};
use trae::sight::Sight;
use trae::{fetch, ocr, shell, system};

/// A journal that only remembers: named fake, because `runs` keeps the real one.
#[derive(Default)]
pub struct FakeJournal {
    pub records: Mutex<Vec<Record>>,
    pub answers: Mutex<Vec<Answer>>,
    pub past: Mutex<Past>,
    pub pauses: Mutex<Vec<Pause>>,
    /// It lets go of every run that waits, and keeps what it waits for.
    pub lets_go: Option<Mutex<Vec<Wait>>>,
    /// Nothing can be put on record.
    pub is_full: bool,
}

impl Journal for FakeJournal {
    fn record(&self, record: Record) {
        self.records.lock().unwrap().push(record);
    }

    fn durable(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let done = if self.is_full { Err(Failure::new(Kind::StorageFull, "the disk is full")) } else { Ok(()) };
        Box::pin(async { done })
    }

    fn respond(&self, answer: Answer) {
        self.answers.lock().unwrap().push(answer);
    }

    fn wait(&self, wait: Wait, _: Option<Duration>, cancel: CancellationToken) -> BoxFuture<'_, Result<Waited, Failure>> {
        if let Some(waits) = &self.lets_go {
            waits.lock().unwrap().push(wait);
            return Box::pin(async { Ok(Waited::Rest) });
        }
        let over = |value: serde_json::Value| Ok(Waited::Over(serde_json::value::to_raw_value(&value).unwrap()));
        Box::pin(async move {
            match wait.what {
                WaitFor::Time { seconds } => {
                    let seconds =
                        Duration::try_from_secs_f64(seconds).map_err(|error| Failure::new(Kind::ValidationError, error.to_string()))?;
                    tokio::select! {
                        () = tokio::time::sleep(seconds) => over(serde_json::Value::Null),
                        () = cancel.cancelled() => Err(Failure::new(Kind::Cancelled, "cancelled")),
                    }
                }
                // Stands for a library that holds one script, which doubles a number.
                WaitFor::Script { parameters, .. } => {
                    let number = serde_json::from_str::<serde_json::Value>(parameters.get()).unwrap()["number"].as_i64().unwrap_or(0);
                    over(serde_json::json!(2 * number))
                }
                WaitFor::Workflow { workflow_id, .. } => Err(Failure::new(Kind::NotFound, format!("there is no workflow {workflow_id:?}"))),
                WaitFor::Approval(asked) => {
                    over(serde_json::json!({ "choice": asked.default, "comment": null, "by": "timeout", "at": "" }))
                }
                WaitFor::Webhook(_) => Err(Failure::new(Kind::Timeout, "nobody called in time")),
            }
        })
    }

    fn past(&self) -> BoxFuture<'_, Result<Past, Failure>> {
        Box::pin(async { Ok(self.past.lock().unwrap().clone()) })
    }

    fn pause(&self, pause: Pause) -> BoxFuture<'_, Result<(), Failure>> {
        self.pauses.lock().unwrap().push(pause);
        Box::pin(async { Ok(()) })
    }
}

pub fn host() -> Host {
    Host::new(capabilities(), Settings { runner: env!("CARGO_BIN_EXE_trae").into(), max_runners: 4 }).unwrap()
}

pub fn capabilities() -> Capabilities {
    let ocr = Arc::new(ocr::Ocr::new(ocr::Settings {
        languages: vec!["eng".to_owned()],
        timeout: Duration::from_secs(30),
        confidence_threshold: 0.7,
        models: "no-models".into(),
    }));
    Capabilities {
        desktops: Arc::new(Desktops::new(desktop::Settings {
            mode: desktop::Mode::Virtual,
            virtual_size: (1280, 800),
            ..Default::default()
        })),
        sight: Sight::new(Arc::clone(&ocr)),
        ocr,
        shells: Arc::new(shell::Shells::new(shell::Settings::default())),
        fetch: Arc::new(fetch::Fetch::new()),
        system: Arc::new(system::System::new()),
    }
}

/// A node type that needs no header, for programs that are written here.
pub fn node(name: &str, source: &str) -> NodeSource {
    NodeSource {
        name: name.to_owned(),
        file: format!("nodes/{name}.rhai"),
        source: source.to_owned(),
        schema: serde_json::json!({ "type": "object", "properties": {} }),
        again: true,
    }
}

pub fn program(source: &str) -> Program {
    let pass = "fn run(config, input) { input }";
    let node_types = vec![
        node("manual_trigger", pass),
        node("merge", pass),
        node(
            "set_variable",
            "fn run(config, input) { let out = if type_of(input) == \"map\" { input } else { #{} }; out[config.name] = config.value; out }",
        ),
        node(
            "if_condition",
            "fn run(config, input) { flow::to(if config.condition { \"true\" } else { \"false\" }, #{ result: config.condition }) }",
        ),
        node("for_each", "fn run(config, input) { config.items }"),
        node("parallel", "fn run(config, input) { config.branches }"),
        node("fail", "fn run(config, input) { flow::fail(config.message) }"),
    ];
    Program { name: "test.rhai".to_owned(), source: source.to_owned(), node_types, ..Program::default() }
}

pub struct Ran {
    pub outcome: Outcome,
    pub journal: Arc<FakeJournal>,
}

impl Ran {
    pub fn value(&self) -> serde_json::Value {
        match &self.outcome {
            Outcome::Succeeded(json) => serde_json::from_str(json.get()).unwrap(),
            other => panic!("the run did not succeed: {other:?}"),
        }
    }

    pub fn error(&self) -> trae::host::protocol::ScriptError {
        match &self.outcome {
            Outcome::Failed(error) => error.clone(),
            other => panic!("the run did not fail: {other:?}"),
        }
    }

    /// Every step on record, as `id status`.
    pub fn steps(&self) -> Vec<String> {
        let records = self.journal.records.lock().unwrap();
        let finished = records.iter().filter_map(|record| match record {
            Record::StepFinished(step) => {
                let outcome = serde_json::to_value(&step.outcome).unwrap();
                let name = outcome.as_str().map(str::to_owned).or_else(|| outcome.as_object()?.keys().next().cloned());
                Some(format!("{} {}", step.step.step_id, name.unwrap()))
            }
            _ => None,
        });
        finished.collect()
    }
}

pub fn start() -> Start {
    Start {
        run_id: "run-1".to_owned(),
        parameters: serde_json::value::to_raw_value(&serde_json::json!({ "name": "Ada" })).unwrap(),
        input: serde_json::value::to_raw_value(&()).unwrap(),
        start_node: None,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        past: Past::default(),
        mode: Mode::default(),
        round_of: None,
    }
}

pub fn job(program: Arc<Program>, files: &std::path::Path) -> (Job, Arc<FakeJournal>) {
    let journal = Arc::new(FakeJournal::default());
    let grant = Grant::new(vec![program.permissions.clone(), Permissions::all()], files.canonicalize().unwrap());
    (Job { program, start: start(), grant, journal: journal.clone(), cancel: CancellationToken::new(), deadline: None }, journal)
}

pub async fn run_on(host: &Host, program: Arc<Program>) -> Ran {
    let files = tempfile::tempdir().unwrap();
    let (job, journal) = job(program, files.path());
    Ran { outcome: host.run(job).await, journal }
}

pub async fn run(source: &str) -> Ran {
    run_on(&host(), Arc::new(program(source))).await
}

/// A vault that holds one value.
struct OneSecret;

impl trae::host::Secrets for OneSecret {
    fn get(&self, _: trae::policy::AllowedSecret) -> BoxFuture<'_, Result<String, Failure>> {
        Box::pin(async { Ok("opened".to_owned()) })
    }
}

/// Who looks for a leak must find every secret that was handed out.
#[tokio::test]
async fn a_secret_that_cannot_be_put_on_record_is_not_handed_out() {
    let host = host().knowing(Arc::new(OneSecret));
    for is_full in [false, true] {
        let files = tempfile::tempdir().unwrap();
        let program = Program {
            permissions: Permissions { secrets: vec!["TOKEN".to_owned()], ..Permissions::default() },
            ..program("secrets::get(\"TOKEN\")")
        };
        let (mut job, _) = job(Arc::new(program), files.path());
        job.journal = Arc::new(FakeJournal { is_full, ..FakeJournal::default() });
        match host.run(job).await {
            Outcome::Succeeded(value) => assert!(!is_full && value.get() == "\"opened\"", "{value}"),
            Outcome::Failed(error) => assert!(is_full && error.code == Kind::StorageFull, "{error:?}"),
            other => panic!("{other:?}"),
        }
    }
}

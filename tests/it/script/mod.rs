//! The language as a script sees it, in real runners.

mod cancel;
mod limits;
mod reference;
mod steps;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use trae::desktop::{self, Desktops};
use trae::error::Failure;
use trae::host::protocol::{Json, NodeSource, Program, Record, Start};
use trae::host::{Answer, Capabilities, Host, Job, Journal, Outcome, Settings};
use trae::policy::{Grant, Permissions};
use trae::{fetch, ocr, shell, system};

/// A journal that only remembers: named fake, because `runs` keeps the real one.
#[derive(Default)]
pub struct FakeJournal {
    pub records: Mutex<Vec<Record>>,
    pub answers: Mutex<Vec<Answer>>,
}

impl Journal for FakeJournal {
    fn record(&self, record: Record) {
        self.records.lock().unwrap().push(record);
    }

    fn durable(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn respond(&self, answer: Answer) {
        self.answers.lock().unwrap().push(answer);
    }

    fn run_script(&self, _: String, parameters: Json, _: CancellationToken) -> BoxFuture<'_, Result<Json, Failure>> {
        // Stands for a library that holds one script, which doubles a number.
        let number = serde_json::from_str::<serde_json::Value>(parameters.get()).unwrap()["number"].as_i64().unwrap_or(0);
        Box::pin(async move { Ok(serde_json::value::to_raw_value(&(2 * number)).unwrap()) })
    }
}

pub fn host() -> Host {
    Host::new(capabilities(), Settings { runner: env!("CARGO_BIN_EXE_trae").into(), max_runners: 4 }).unwrap()
}

pub fn capabilities() -> Capabilities {
    Capabilities {
        desktops: Arc::new(Desktops::new(desktop::Settings {
            mode: desktop::Mode::Virtual,
            virtual_size: (1280, 800),
            ..Default::default()
        })),
        ocr: Arc::new(ocr::Ocr::new(ocr::Settings {
            languages: vec!["eng".to_owned()],
            timeout: Duration::from_secs(30),
            confidence_threshold: 0.7,
        })),
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
    }
}

pub fn job(program: Arc<Program>, files: &std::path::Path) -> (Job, Arc<FakeJournal>) {
    let journal = Arc::new(FakeJournal::default());
    let grant = Grant::new(vec![program.permissions.clone(), Permissions::all()], files.canonicalize().unwrap());
    (Job { program, start: start(), grant, journal: journal.clone(), cancel: CancellationToken::new() }, journal)
}

pub async fn run_on(host: &Host, program: Arc<Program>) -> Ran {
    let files = tempfile::tempdir().unwrap();
    let (job, journal) = job(program, files.path());
    Ran { outcome: host.run(job).await, journal }
}

pub async fn run(source: &str) -> Ran {
    run_on(&host(), Arc::new(program(source))).await
}

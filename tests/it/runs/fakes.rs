//! A host that does what a test says, and a library of graphs that compile to nothing much.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::future::BoxFuture;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use trae::error::{Failure, Kind};
use trae::host::protocol::{Json, Program, Record, ScriptError, StepFinished, StepInput, StepOutcome, StepStarted};
use trae::host::{Job, Outcome};
use trae::policy::Permissions;
use trae::runs::{CompiledGraph, Library, LoadedScript, Runner, Runs, Settings};
use trae::store::Store;
use trae::workflow::{Graph, Problem, Severity, StoredConfigs, Trigger};

type Play = dyn Fn(Job) -> BoxFuture<'static, Outcome> + Send + Sync;

/// Does with each job what the test says.
pub struct FakeRunner(Box<Play>);

impl FakeRunner {
    pub fn new<F: Future<Output = Outcome> + Send + 'static>(play: impl Fn(Job) -> F + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self(Box::new(move |job| Box::pin(play(job)))))
    }
}

impl Runner for FakeRunner {
    fn run(&self, job: Job) -> BoxFuture<'_, Outcome> {
        (self.0)(job)
    }
}

/// Graphs compile unless a node's type is `broken`; scripts are those it was given.
#[derive(Default)]
pub struct FakeLibrary {
    pub generation: AtomicU64,
    pub scripts: BTreeMap<String, LoadedScript>,
}

impl Library for FakeLibrary {
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    fn graph(&self, drawn: &Graph, _: &StoredConfigs) -> CompiledGraph {
        let graph = &serde_json::to_value(drawn).unwrap();
        let text = |node: &Value, field: &str| node[field].as_str().unwrap_or_default().to_owned();
        let nodes = graph["nodes"].as_array().cloned().unwrap_or_default();
        let broken = nodes.iter().position(|node| node["type"] == "broken");
        let problems = broken.map(|index| Problem {
            node_id: Some(text(&nodes[index], "id")),
            path: format!("/nodes/{index}/type"),
            message: "there is no node type \"broken\"".to_owned(),
            severity: Severity::Error,
        });
        let triggers = nodes.iter().filter(|node| text(node, "type").ends_with("_trigger"));
        CompiledGraph {
            program: problems.is_none().then(|| Program { name: text(graph, "name"), source: graph.to_string(), ..Program::default() }),
            triggers: triggers
                .map(|node| Trigger { node_id: text(node, "id"), node_type: text(node, "type"), config: node["data"].clone() })
                .collect(),
            nodes: nodes.iter().map(|node| (text(node, "id"), text(node, "type"))).collect(),
            settings: drawn.settings(),
            problems: problems.into_iter().collect(),
        }
    }

    fn check_config(&self, _: &str, _: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
        Ok(Vec::new())
    }

    fn script(&self, path: &str) -> Option<Arc<LoadedScript>> {
        self.scripts.get(path).cloned().map(Arc::new)
    }

    fn source(&self, name: &str, source: &str) -> Result<LoadedScript, Failure> {
        if source.contains("bad header") {
            return Err(Failure::new(Kind::ScriptError, "the header cannot be read"));
        }
        Ok(script(name, source, Permissions::default()))
    }
}

pub fn script(name: &str, source: &str, permissions: Permissions) -> LoadedScript {
    let program = Program { name: name.to_owned(), source: source.to_owned(), permissions, ..Program::default() };
    LoadedScript { program, parameters: None }
}

pub fn runs_on(store: Store, runner: Arc<FakeRunner>) -> Runs {
    Runs::new(store, runner, Arc::new(FakeLibrary::default()), settings())
}

pub fn runs(runner: Arc<FakeRunner>) -> Runs {
    runs_on(Store::in_memory().unwrap(), runner)
}

pub fn settings() -> Settings {
    Settings::new(std::env::temp_dir(), Permissions::all())
}

pub fn json_text(value: &Value) -> Json {
    to_raw_value(value).unwrap()
}

pub fn null() -> Json {
    RawValue::NULL.to_owned()
}

pub fn begun(id: &str, input: StepInput, at: i64) -> StepStarted {
    StepStarted {
        step_id: id.to_owned(),
        node_id: Some(id.split('[').next().unwrap().to_owned()),
        node_type: Some("set_variable".to_owned()),
        attempt: 1,
        input,
        started_at: at,
        again: false,
    }
}

pub fn done(id: &str, input: StepInput, output: &Value, at: i64) -> Record {
    let outcome = StepOutcome::Succeeded { output: json_text(output), handle: None };
    Record::StepFinished(StepFinished { step: begun(id, input, at), outcome, expectation: None, finished_at: at + 5 })
}

pub fn log(message: &str, at: i64) -> Record {
    Record::Log { level: "info".to_owned(), message: message.to_owned(), at, loose: false }
}

pub fn succeeded(value: &Value) -> Outcome {
    Outcome::Succeeded(json_text(value))
}

pub fn failed(message: &str) -> Outcome {
    Outcome::Failed(ScriptError {
        node_id: Some("b".to_owned()),
        file: Some("b.rhai".to_owned()),
        line: Some(3),
        column: Some(7),
        ..Failure::new(Kind::ScriptError, message).into()
    })
}

/// A graph whose nodes are set_variables of those ids.
pub fn chain(ids: &[&str]) -> Graph {
    let nodes: Vec<_> = ids.iter().map(|id| json!({ "id": id, "type": "set_variable", "data": {} })).collect();
    drawn(json!({ "name": "Chain", "nodes": nodes, "edges": [] }))
}

/// The graph that this JSON draws.
pub fn drawn(graph: Value) -> Graph {
    serde_json::from_value(graph).unwrap()
}

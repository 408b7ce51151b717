//! What this room asks of the rooms around it: programs to run, and somebody who runs them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::error::Failure;
use crate::host::protocol::Program;
use crate::host::{Job, Outcome};
use crate::workflow::{Compiled, Graph, Problem, StoredConfigs, Trigger, WorkflowSettings};

/// Runs a program, as the host does.
pub trait Runner: Send + Sync {
    /// Runs `job` to its end.
    fn run(&self, job: Job) -> BoxFuture<'_, Outcome>;
    /// Resolves once what it still had to say of runs, also of such that are over, is on its way to the record.
    fn settled(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }
}

/// Makes programs, out of graphs and of the scripts there are.
pub trait Library: Send + Sync {
    /// Grows whenever a script or a node type changed: programs made before are then stale.
    fn generation(&self) -> u64;
    /// Compiles a graph, whose nodes may name one of `configs`.
    fn graph(&self, graph: &Graph, configs: &StoredConfigs) -> CompiledGraph;
    /// All that is wrong with a node config of that type: a JSON Pointer into it and a sentence each. `Err` says that there is no such
    /// type.
    ///
    /// # Errors
    /// A sentence.
    fn check_config(&self, node_type: &str, config: &Map<String, Value>) -> Result<Vec<(String, String)>, String>;
    /// The script at that path, as it last compiled.
    fn script(&self, path: &str) -> Option<Arc<LoadedScript>>;
    /// Why the file of the script at that path may have been written by somebody else than whom this server works for, as the middle of a
    /// sentence; none where it cannot.
    fn exposed(&self, _path: &str) -> Option<String> {
        None
    }
    /// The triggers that scripts declare in their headers, by the script's path: each its type and its fields.
    fn script_triggers(&self) -> Vec<(String, Vec<(String, Value)>)> {
        Vec::new()
    }
    /// A script that is in no folder.
    ///
    /// # Errors
    /// Where its header cannot be read: a `SCRIPT_ERROR` with the line in its details.
    fn source(&self, name: &str, source: &str) -> Result<LoadedScript, Failure>;
}

/// What came of a graph.
#[derive(Debug, Clone, Default)]
pub struct CompiledGraph {
    /// What to run. None where a problem is an error.
    pub program: Option<Program>,
    /// Its nodes: id and type, in the order in which they would run.
    pub nodes: Vec<(String, String)>,
    /// Its triggers.
    pub triggers: Vec<Trigger>,
    /// What holds for all runs of it.
    pub settings: WorkflowSettings,
    /// All that is wrong with it.
    pub problems: Vec<Problem>,
}

impl CompiledGraph {
    /// What came of a graph; `program` makes its program, where it can run.
    pub fn new(compiled: Compiled, program: impl FnOnce(&Compiled) -> Program) -> Self {
        let program = compiled.is_valid().then(|| program(&compiled));
        Self { program, nodes: compiled.nodes, triggers: compiled.triggers, settings: compiled.settings, problems: compiled.problems }
    }
}

/// A script, ready to run.
#[derive(Debug, Clone)]
pub struct LoadedScript {
    /// What to run.
    pub program: Program,
    /// JSON Schema of its parameters, where its header names any.
    pub parameters: Option<Value>,
}

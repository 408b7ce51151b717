//! What this room asks of the rooms around it: programs to run, and somebody who runs them.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::host::protocol::{Program, ScriptError};
use crate::host::{Job, Outcome};
use crate::policy::Permissions;
use crate::workflow::{Problem, Trigger};

/// Runs a program, as the host does.
pub trait Runner: Send + Sync {
    /// Runs `job` to its end.
    fn run(&self, job: Job) -> BoxFuture<'_, Outcome>;
}

/// Makes programs, out of graphs and of the scripts there are.
pub trait Library: Send + Sync {
    /// Grows whenever a script or a node type changed: programs made before are then stale.
    fn generation(&self) -> u64;
    /// Compiles a graph.
    fn graph(&self, graph: &Value) -> CompiledGraph;
    /// The script at that path, as it last compiled.
    fn script(&self, path: &str) -> Option<Arc<LoadedScript>>;
    /// A script that is in no folder.
    ///
    /// # Errors
    /// Where its header cannot be read.
    fn source(&self, name: &str, source: &str) -> Result<LoadedScript, ScriptError>;
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
    /// All that is wrong with it.
    pub problems: Vec<Problem>,
    /// What it declares.
    pub permissions: Permissions,
}

/// A script, ready to run.
#[derive(Debug, Clone)]
pub struct LoadedScript {
    /// What to run.
    pub program: Program,
    /// JSON Schema of its parameters, where its header names any.
    pub parameters: Option<Value>,
}

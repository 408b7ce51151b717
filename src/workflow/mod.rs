//! The graph: its model, its checks, and its compilation to the text of a Rhai script.
//!
//! Knows neither the script engine nor the web server: node types come in through [`NodeTypes`], expressions are checked through
//! [`Expressions`].

mod argv;
mod check;
mod config;
mod dedupe;
mod drawing;
mod emit;
mod expectation;
mod guard;
mod literal;
mod model;
mod node_type;
mod permissions;
mod plan;
mod schema;
mod settings;
mod taint;
mod template;
mod trigger;

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use dedupe::DedupeKey;
pub use drawing::{Drawing, Fields};
pub use expectation::fault_of_expectation;
pub use model::{Edge, Graph, Node};
pub use node_type::{Category, NodeKind, NodeType, OnInterrupt, Port};
pub use settings::{MAX_PRIORITY, WorkflowSettings};
pub use trigger::{
    After, Becomes, CatchUp, FolderStart, Listens, Overlap, Respond, ScheduleStart, ScreenStart, Segment, TriggerFault, WebhookStart,
};

pub(crate) use schema::nearest;

use crate::policy::Permissions;

/// The node types there are.
pub trait NodeTypes {
    /// The type of that name.
    fn get(&self, name: &str) -> Option<Arc<NodeType>>;
    /// All names, sorted.
    fn names(&self) -> Vec<String>;
}

/// A node config that is stored by itself: a node names it in `data.config_id` and overrides its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredConfig {
    /// The type of the nodes it is for.
    pub node_type: String,
    /// Its fields.
    pub config: Map<String, Value>,
}

/// Stored node configs by id.
pub type StoredConfigs = HashMap<String, StoredConfig>;

/// Checks the expressions of a graph, so that this room need not know the language.
pub trait Expressions {
    /// Whether `text` is one pure expression over `input`, `params`, `nodes`, `run` and `secrets`, without comments.
    fn check(&self, text: &str) -> Result<(), ExpressionError>;
    /// The names of the secrets in an expression.
    fn secrets(&self, _text: &str) -> Vec<String> {
        Vec::new()
    }
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpressionError {
    /// A sentence.
    pub message: String,
    /// From 1, within the expression.
    pub column: u32,
}

/// Something that is wrong with a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// The node it is about, where it is about one.
    pub node_id: Option<String>,
    /// Its place in the graph, as a JSON Pointer: `/nodes/3/data/config/x`.
    pub path: String,
    /// A sentence that says what to do about it.
    pub message: String,
    /// Whether the graph can run all the same.
    pub severity: Severity,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The graph cannot run.
    Error,
    /// It runs, though perhaps not as its author meant.
    Warning,
}

/// A node at which a run may start because something happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trigger {
    /// The node.
    pub node_id: String,
    /// Its type.
    pub node_type: String,
    /// Its config as it is drawn; defaults are not filled in.
    pub config: Value,
}

/// What came of a graph.
#[derive(Debug, Clone, Default)]
pub struct Compiled {
    /// The text of the script; empty where the graph has errors.
    pub script: String,
    /// Everything that is wrong, in the order in which it stands in the graph.
    pub problems: Vec<Problem>,
    /// What the script declares.
    pub permissions: Permissions,
    /// The node types it uses, sorted.
    pub node_types: Vec<String>,
    /// Each node's id and type.
    pub nodes: Vec<(String, String)>,
    /// Where runs may start.
    pub triggers: Vec<Trigger>,
    /// What holds for all runs of it.
    pub settings: WorkflowSettings,
}

impl Compiled {
    /// Whether it can run.
    pub fn is_valid(&self) -> bool {
        self.problems.iter().all(|problem| problem.severity != Severity::Error)
    }
}

/// Checks `graph` and writes it down as a script. No node config is stored.
pub fn compile(graph: &Graph, types: &dyn NodeTypes, expressions: &dyn Expressions) -> Compiled {
    compile_with(graph, types, expressions, &StoredConfigs::new())
}

/// Checks `graph`, whose nodes may name one of `configs`, and writes it down as a script.
pub fn compile_with(graph: &Graph, types: &dyn NodeTypes, expressions: &dyn Expressions, configs: &StoredConfigs) -> Compiled {
    let checked = check::check(graph, types, expressions, configs);
    let mut compiled = Compiled {
        script: String::new(),
        permissions: checked.permissions(),
        node_types: checked.type_names(),
        nodes: graph.nodes.iter().map(|node| (node.id.clone(), node.node_type.clone())).collect(),
        triggers: checked.triggers(),
        settings: graph.settings(),
        problems: Vec::new(),
    };
    let plan = checked.plan.as_ref().filter(|_| checked.problems.iter().all(|problem| problem.severity != Severity::Error));
    if let Some(plan) = plan {
        compiled.script = emit::script(&checked, plan, &compiled.permissions);
    }
    compiled.problems = checked.problems;
    compiled
}

/// All that is wrong with a config of that type by itself: a JSON Pointer into it and a sentence each.
pub fn check_config(node_type: &NodeType, config: &Map<String, Value>, expressions: &dyn Expressions) -> Vec<(String, String)> {
    check::config(node_type, config, expressions)
}

/// Says that there is no node type of that name, and which was probably meant.
pub fn unknown_type(name: &str, types: &dyn NodeTypes) -> String {
    check::unknown_type(name, types)
}

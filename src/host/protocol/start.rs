//! What a runner is given: a program, and one run of it.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Json, StepOutcome};
use crate::error::Failure;
use crate::policy::Permissions;

/// Everything a runner needs to compile a script: sources only, no paths it could open.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Program {
    /// How errors and history name it, such as `reports/daily.rhai`.
    pub name: String,
    /// Its source.
    pub source: String,
    /// The node types it uses.
    pub node_types: Vec<NodeSource>,
    /// The scripts it may import, by the path an `import` names.
    pub modules: Vec<(String, String)>,
    /// What it may call: what is missing here is not even registered.
    pub permissions: Permissions,
    /// How much it may use.
    pub limits: Limits,
    /// A script may begin again from the top where its run broke off, whatever it did outside of steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub resumable: bool,
}

/// One node type as a runner needs it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct NodeSource {
    /// Its name, such as `click_action`.
    pub name: String,
    /// The file it comes from, for errors.
    pub file: String,
    /// Its source.
    pub source: String,
    /// JSON Schema of its config; the defaults in it are filled in before the node runs.
    pub schema: serde_json::Value,
    /// Whether a step of it that was under way when its run broke off may run again.
    #[serde(default)]
    pub again: bool,
}

/// One run of the loaded program.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Start {
    /// Its id.
    pub run_id: String,
    /// What the script sees as `params`.
    pub parameters: Json,
    /// What the script sees as `input`: its trigger's event, or null.
    pub input: Json,
    /// The trigger node that fired; without it the graph's own choice.
    pub start_node: Option<String>,
    /// When it was created, RFC 3339.
    pub started_at: String,
    /// What the run did before, where it is one that goes on.
    #[serde(default)]
    pub past: Past,
    /// How it is to be done.
    #[serde(default)]
    pub mode: Mode,
    /// The runner does rounds of this loop (its step id), and nothing else.
    #[serde(default)]
    pub round_of: Option<String>,
}

/// What a run did before it was let go, broke off, or was retried.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Past {
    /// Its steps by id: each that ended, or that began.
    pub steps: HashMap<String, PastStep>,
    /// The waits that are over, by place, and what they gave.
    pub waits: HashMap<String, PastWait>,
    /// Lines of log that it wrote outside steps: not written again.
    pub logged: u32,
    /// The body of the answer that it gave to its webhook.
    #[serde(default)]
    pub answered: Option<Json>,
}

/// What is on record of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PastStep {
    /// How many attempts are over.
    pub attempts: u32,
    /// How many of them failed.
    pub failed: u32,
    /// Microseconds since 1970: when the attempt that goes on began; none where the next one is a new one.
    pub began_at: Option<i64>,
    /// How the last one ended; none where it broke off or goes on.
    pub end: Option<StepOutcome>,
    /// What it noted for going on: the items of a loop.
    pub note: Option<Json>,
}

/// How a wait ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PastWait {
    /// With this.
    Value(Json),
    /// With an error.
    Failed(Failure),
}

/// How a run is done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mode {
    /// Effects are described, not done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry: bool,
    /// Nodes with a pinned output do not run: they put that out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pinned: bool,
    /// Each step is announced before it begins, and waits until it may.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub stepwise: bool,
    /// The run ends with this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Somebody at a terminal follows it: with them gone nobody goes on with it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub attended: bool,
}

impl Mode {
    /// Whether there is nothing special about it.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// How the runs are done that it starts.
    pub fn for_child(&self) -> Self {
        Self { attended: self.attended, ..Self::default() }
    }
}

/// How much a run may use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Operations of the engine.
    pub operations: u64,
    /// Seconds of computing; waiting for an answer does not count.
    pub seconds: f64,
    /// Bytes of memory above what an idle runner needs.
    pub memory: u64,
    /// Nested calls.
    pub depth: usize,
    /// Bytes of source.
    pub source: usize,
    /// Seconds for the whole run, waiting included.
    #[serde(default)]
    pub timeout: Option<f64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { operations: 50_000_000, seconds: 60.0, memory: 256 << 20, depth: 64, source: 256 << 10, timeout: None }
    }
}

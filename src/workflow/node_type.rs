//! What a node type is: everything its file's header says.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A node type, as its Rhai file describes it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NodeType {
    /// Its name: the file's, such as `click_action`.
    pub node_type: String,
    /// Its name for people, such as `Click`.
    pub name: String,
    /// What it does: the prose at the head of its file.
    pub description: String,
    /// Its shelf in a palette.
    pub category: Category,
    /// How the compiler treats it.
    pub kind: NodeKind,
    /// A hint for a palette's picture.
    pub icon: String,
    /// Where edges come in; none for a trigger.
    pub inputs: Vec<Port>,
    /// Where edges go out; a branch chooses one, the first is the usual one.
    pub outputs: Vec<Port>,
    /// Config fields (JSON Pointers, `*` = every item) whose texts name further outputs, as `/cases/*/handle` of `switch`.
    pub outputs_from: Vec<String>,
    /// JSON Schema of its config. A field with `"expression": true` is an expression without braces.
    pub schema: Value,
    /// A config that its schema accepts.
    pub template: Value,
    /// The permissions it needs. A text `config.<field>` stands for that field's value, or for anything (`*`) where the value is
    /// an expression.
    pub permissions: Value,
    /// What happens to a step of this type that was under way when the server died.
    pub on_interrupt: OnInterrupt,
    /// The file it comes from.
    pub file: String,
    /// The file's text.
    #[serde(skip)]
    pub source: String,
    /// Whether it comes with TRAE or from a user's folder.
    pub builtin: bool,
}

/// A shelf in a palette.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Starts a run.
    Trigger,
    /// Does something.
    Action,
    /// Decides where the run goes.
    Flow,
    /// Works on data.
    Data,
    /// Talks to other systems.
    Integration,
}

/// How the compiler treats a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A start: no inputs.
    Trigger,
    /// One output.
    Action,
    /// Chooses one of several outputs.
    Branch,
    /// Runs what hangs on its output `item` once for each item, then goes on at `done`.
    Loop,
}

/// What happens to a step that was under way when the server died.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInterrupt {
    /// The run is interrupted: doing it twice could do harm.
    #[default]
    Fail,
    /// It runs again.
    Retry,
}

/// Where an edge begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// What an edge's handle names.
    pub id: String,
    /// What a person reads.
    pub label: String,
}

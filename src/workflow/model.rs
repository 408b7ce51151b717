//! The graph as a frontend draws it: the seed's `WorkflowDefinition`, and whatever React Flow keeps beside it.
//!
//! Fields that TRAE does not know survive a round trip. Handles are read in both spellings and written as `source_handle`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::WorkflowSettings;

/// A workflow as it is drawn.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// Its id, where it is stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its name for people.
    #[serde(default = "untitled")]
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: Option<String>,
    /// What it does.
    #[serde(default)]
    pub nodes: Vec<Node>,
    /// In which order.
    #[serde(default)]
    pub edges: Vec<Edge>,
    /// What holds for all its runs, as it was drawn; [`Graph::settings`] reads it.
    #[serde(default, rename = "settings", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<WorkflowSettings>)]
    pub drawn_settings: Option<Value>,
    /// Anything else a client wants to keep.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub metadata: Map<String, Value>,
    /// What a frontend keeps beside it, such as `viewport`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub rest: Map<String, Value>,
}

impl Default for Graph {
    fn default() -> Self {
        Self {
            id: None,
            name: untitled(),
            description: None,
            nodes: Vec::new(),
            edges: Vec::new(),
            drawn_settings: None,
            metadata: Map::new(),
            rest: Map::new(),
        }
    }
}

impl Graph {
    /// What holds for all its runs; what is wrong with it is left out, and a problem of the graph.
    pub fn settings(&self) -> WorkflowSettings {
        WorkflowSettings::read(self.drawn_settings.as_ref()).0
    }

    /// The stored configs that its nodes name.
    pub fn config_ids(&self) -> BTreeSet<&str> {
        self.nodes.iter().filter_map(Node::config_id).filter_map(Value::as_str).collect()
    }
}

/// One node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    /// Its id within the graph.
    #[serde(default)]
    pub id: String,
    /// Its type, such as `click_action`.
    #[serde(rename = "type", default)]
    pub node_type: String,
    /// Where it is drawn.
    #[serde(default = "empty_object")]
    #[schema(value_type = Object)]
    pub position: Value,
    /// Its config (`data.config`, or `data` itself), its settings (`data.settings`), its label.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub data: Map<String, Value>,
    /// What a frontend keeps beside it, such as `selected` and `measured`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub rest: Map<String, Value>,
}

/// What of `data` belongs to the frontend or to every node, and is no config.
const NOT_CONFIG: [&str; 7] = ["label", "description", "icon", "color", "config", "config_id", "settings"];

impl Node {
    /// Where its config stands within `data`: under `config`, or there directly.
    pub(super) fn config_path(&self) -> &'static str {
        if self.data.get("config").is_some_and(Value::is_object) { "/data/config" } else { "/data" }
    }

    /// Its config.
    pub fn config(&self) -> Map<String, Value> {
        match self.data.get("config") {
            Some(Value::Object(config)) => config.clone(),
            _ => self.data.iter().filter(|(key, _)| !NOT_CONFIG.contains(&key.as_str())).map(|(k, v)| (k.clone(), v.clone())).collect(),
        }
    }

    /// The stored config that it names, whatever stands there.
    pub(super) fn config_id(&self) -> Option<&Value> {
        self.data.get("config_id").filter(|id| !id.is_null())
    }

    /// What every node may have: `retry`, `timeout`, `on_error`, `on_interrupt`, `disabled`, `pinned`, `expect`.
    pub fn settings(&self) -> Option<&Value> {
        self.data.get("settings").filter(|settings| !settings.is_null())
    }

    /// What people call it.
    pub fn label(&self) -> Option<&str> {
        self.data.get("label").and_then(Value::as_str)
    }
}

/// One edge.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(from = "EdgeInput")]
pub struct Edge {
    /// Its id within the graph.
    pub id: String,
    /// The node it leaves.
    pub source: String,
    /// The node it enters.
    pub target: String,
    /// The output it leaves by; null where the node has only one.
    pub source_handle: Option<String>,
    /// The input it enters by; null where the node has only one.
    pub target_handle: Option<String>,
    /// What a frontend keeps beside it, such as `animated`.
    #[serde(flatten)]
    #[schema(ignore)]
    pub rest: Map<String, Value>,
}

/// An edge as it may be spelled: React Flow's names beside the seed's, also both at once.
#[derive(Deserialize)]
struct EdgeInput {
    #[serde(default)]
    id: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    source_handle: Option<String>,
    #[serde(default)]
    target_handle: Option<String>,
    #[serde(default, rename = "sourceHandle")]
    source_handle_camel: Option<String>,
    #[serde(default, rename = "targetHandle")]
    target_handle_camel: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl From<EdgeInput> for Edge {
    fn from(edge: EdgeInput) -> Self {
        // Where both spellings are there, React Flow's is the one its editor has just changed.
        Self {
            id: edge.id,
            source: edge.source,
            target: edge.target,
            source_handle: edge.source_handle_camel.or(edge.source_handle),
            target_handle: edge.target_handle_camel.or(edge.target_handle),
            rest: edge.rest,
        }
    }
}

fn untitled() -> String {
    "Untitled Workflow".to_owned()
}

fn empty_object() -> Value {
    Value::Object(Map::new())
}

//! `/api/node-configs/templates`: every node type there is, for a frontend's palette and forms.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::error::{Error, ErrorResponse, Result};
use super::extract::Path;
use crate::services::Name;
use crate::workflow::{Category, NodeType, NodeTypes};

/// A node type: what its nodes are configured with, and how they are connected.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "node_type": "delay", "name": "Delay", "description": "Waits.", "category": "flow", "icon": "clock",
    "schema": { "type": "object", "properties": { "seconds": { "type": "number", "minimum": 0 } }, "required": ["seconds"], "additionalProperties": false },
    "template": { "seconds": 1 },
    "inputs": [{ "id": "input", "label": "Input" }], "outputs": [{ "id": "out", "label": "Out" }],
    "permissions": {}, "source": "builtin", "file": "stdlib/nodes/delay.rhai"
}))]
pub(crate) struct NodeTemplate {
    /// Its name in a graph.
    node_type: String,
    /// Its name for people.
    name: String,
    /// What it does.
    description: String,
    /// Its shelf in a palette.
    #[schema(value_type = String)]
    category: Category,
    /// A hint for a palette's picture.
    icon: String,
    /// The JSON Schema of a config.
    #[schema(value_type = Object)]
    schema: Value,
    /// A config that the schema accepts.
    #[schema(value_type = Object)]
    template: Value,
    /// Where edges come in.
    inputs: Vec<PortTemplate>,
    /// Where edges go out.
    outputs: Vec<PortTemplate>,
    /// The permissions that it needs.
    #[schema(value_type = Object)]
    permissions: Value,
    /// `builtin`, or `user` for a file of a script folder.
    source: &'static str,
    /// The file it comes from.
    file: String,
}

/// Where an edge begins or ends.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PortTemplate {
    /// What an edge's handle names.
    id: String,
    /// What a person reads.
    label: String,
}

/// Every node type.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NodeTemplateList {
    /// By name.
    templates: Vec<NodeTemplate>,
    /// How many there are.
    count: usize,
}

/// Every node type.
#[utoipa::path(get, path = "/api/node-configs/templates", tag = "node-configs", operation_id = "node_templates", responses((status = 200, body = NodeTemplateList), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Json<NodeTemplateList>> {
    state.enter(Name::Node)?;
    let catalog = state.catalog();
    let templates: Vec<_> = catalog.names().iter().filter_map(|name| catalog.get(name)).map(|node_type| template(&node_type)).collect();
    Ok(Json(NodeTemplateList { count: templates.len(), templates }))
}

/// One node type: the JSON Schema of its config, a config to start with, its inputs and outputs.
#[utoipa::path(get, path = "/api/node-configs/templates/{node_type}", tag = "node-configs", operation_id = "node_template", params(("node_type" = String, Path, description = "Such as `click_action`")), responses((status = 200, body = NodeTemplate), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(name): Path<String>) -> Result<Json<NodeTemplate>> {
    state.enter(Name::Node)?;
    let found = state.catalog().get(&name).ok_or_else(|| Error::not_found("node_type", &name))?;
    Ok(Json(template(&found)))
}

/// A node type without what only the compiler needs.
fn template(node_type: &NodeType) -> NodeTemplate {
    let ports = |ports: &[crate::workflow::Port]| {
        ports.iter().map(|port| PortTemplate { id: port.id.clone(), label: port.label.clone() }).collect()
    };
    NodeTemplate {
        node_type: node_type.node_type.clone(),
        name: node_type.name.clone(),
        description: node_type.description.clone(),
        category: node_type.category,
        icon: node_type.icon.clone(),
        schema: node_type.schema.clone(),
        template: node_type.template.clone(),
        inputs: ports(&node_type.inputs),
        outputs: ports(&node_type.outputs),
        permissions: node_type.permissions.clone(),
        source: if node_type.builtin { "builtin" } else { "user" },
        file: node_type.file.clone(),
    }
}

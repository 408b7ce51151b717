//! `/api/node-configs/templates`: every node type there is, for a frontend's palette and forms.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::error::{Error, ErrorResponse, Result};
use super::extract::Path;
use crate::services::Name;
use crate::workflow::{NodeType, NodeTypes};

/// Every node type.
#[utoipa::path(get, path = "/api/node-configs/templates", tag = "node-configs", operation_id = "node_templates", responses((status = 200, body = Object)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Json<Value>> {
    state.enter(Name::Node)?;
    let catalog = state.catalog();
    let all: Vec<Value> = catalog.names().iter().filter_map(|name| catalog.get(name)).map(|node_type| template(&node_type)).collect();
    Ok(Json(json!({ "count": all.len(), "templates": all })))
}

/// One node type: the JSON Schema of its config, a config to start with, its inputs and outputs.
#[utoipa::path(get, path = "/api/node-configs/templates/{node_type}", tag = "node-configs", operation_id = "node_template", params(("node_type" = String, Path, description = "Such as `click_action`")), responses((status = 200, body = Object), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(name): Path<String>) -> Result<Json<Value>> {
    state.enter(Name::Node)?;
    let found = state.catalog().get(&name).ok_or_else(|| Error::not_found("node_type", &name))?;
    Ok(Json(template(&found)))
}

/// A node type without what only the compiler needs.
fn template(node_type: &NodeType) -> Value {
    json!({
        "node_type": node_type.node_type,
        "name": node_type.name,
        "description": node_type.description,
        "category": node_type.category,
        "icon": node_type.icon,
        "schema": node_type.schema,
        "template": node_type.template,
        "inputs": node_type.inputs,
        "outputs": node_type.outputs,
        "permissions": node_type.permissions,
        "source": if node_type.builtin { "builtin" } else { "user" },
        "file": node_type.file,
    })
}

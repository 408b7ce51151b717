//! `/api/node-configs`: configs that are stored by themselves, for nodes to name.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::extract::{Json, Path, Query};
use super::success::SuccessResponse;
use super::workflows::{fifty, within_limit};
use crate::runs::{NodeConfig, NodeConfigDraft, NodeConfigPage};
use crate::services::Name;

/// A config for nodes of one type.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "node_type": "click_action", "config": { "x": 100, "y": 200, "button": "left" } }))]
pub(crate) struct NodeConfigBase {
    /// Made where it is missing.
    #[serde(default)]
    #[schema(pattern = "^[A-Za-z0-9_-]{1,128}$")]
    id: Option<String>,
    /// Such as `click_action`; `GET /api/node-configs/templates` lists all.
    node_type: String,
    /// As the node type's schema says.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    config: Map<String, Value>,
    /// Anything worth keeping beside it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// As it was answered; nothing is done with it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[expect(dead_code, reason = "what was got may be put back with a change")]
    created_at: Value,
    /// As it was answered; nothing is done with it.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    #[expect(dead_code, reason = "what was got may be put back with a change")]
    updated_at: Value,
}

impl From<NodeConfigBase> for NodeConfigDraft {
    fn from(NodeConfigBase { id, node_type, config, metadata, .. }: NodeConfigBase) -> Self {
        Self { id, node_type, config, metadata }
    }
}

/// A stored config for nodes of one type.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes")]
#[schema(example = json!({
    "id": "save-button", "node_type": "click_action", "config": { "x": 100, "y": 200, "button": "left" }, "metadata": null,
    "created_at": "2026-01-31T12:00:00.000000Z", "updated_at": "2026-01-31T12:00:00.000000Z"
}))]
pub(crate) struct NodeConfigResponse {
    /// What a node names in `data.config_id`.
    id: String,
    /// The type of the nodes it is for.
    node_type: String,
    /// Its fields.
    #[schema(value_type = Object)]
    config: Value,
    /// What a client keeps beside it.
    #[schema(value_type = Option<Object>, required = true)]
    metadata: Option<Value>,
    /// RFC 3339 UTC.
    #[schema(format = DateTime)]
    created_at: String,
    /// RFC 3339 UTC.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// A list of node configs.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "only describes")]
pub(crate) struct NodeConfigList {
    /// Newest first.
    node_configs: Vec<NodeConfigResponse>,
    /// How many match in all.
    count: u64,
}

/// Which node configs.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ListQuery {
    /// Only those for nodes of this type.
    node_type: Option<String>,
    /// At most so many, 1–500.
    #[serde(default = "fifty")]
    #[param(minimum = 1, maximum = 500, default = 50)]
    limit: u32,
    /// After so many.
    #[serde(default)]
    offset: u32,
}

/// Stored node configs, newest first.
#[utoipa::path(get, path = "/api/node-configs/", tag = "node-configs", operation_id = "node_configs_list", params(ListQuery), responses((status = 200, body = NodeConfigList), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>, Query(query): Query<ListQuery>) -> Result<Answer<NodeConfigPage>> {
    state.enter(Name::Node)?;
    Ok(Answer(state.node_configs().list(query.node_type.as_deref(), within_limit(query.limit)?, query.offset).await?))
}

/// Stores a node config that fits its node type.
#[utoipa::path(post, path = "/api/node-configs/", tag = "node-configs", operation_id = "node_configs_create", request_body = NodeConfigBase, responses((status = 201, body = NodeConfigResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn create(
    State(state): State<super::State>,
    Json(request): Json<NodeConfigBase>,
) -> Result<(StatusCode, Answer<NodeConfig>)> {
    state.enter(Name::Node)?;
    Ok((StatusCode::CREATED, Answer(state.node_configs().create(request.into()).await?)))
}

/// A stored node config.
#[utoipa::path(get, path = "/api/node-configs/{config_id}", tag = "node-configs", operation_id = "node_configs_get", params(("config_id" = String, Path)), responses((status = 200, body = NodeConfigResponse), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<NodeConfig>> {
    state.enter(Name::Node)?;
    Ok(Answer(state.node_configs().get(&id).await?.ok_or_else(|| Error::not_found("node_config", &id))?))
}

/// Replaces a node config. Workflows that name it run with the new one from now on.
#[utoipa::path(put, path = "/api/node-configs/{config_id}", tag = "node-configs", operation_id = "node_configs_update", params(("config_id" = String, Path)), request_body = NodeConfigBase, responses((status = 200, body = NodeConfigResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn update(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Json(request): Json<NodeConfigBase>,
) -> Result<Answer<NodeConfig>> {
    state.enter(Name::Node)?;
    Ok(Answer(state.node_configs().update(&id, request.into()).await?))
}

/// Removes a node config that no stored workflow names; else `details.workflows` lists those that do.
#[utoipa::path(delete, path = "/api/node-configs/{config_id}", tag = "node-configs", operation_id = "node_configs_delete", params(("config_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Node)?;
    state.node_configs().delete(&id).await?;
    Ok(Answer(SuccessResponse::new("the node config was deleted", Some(json!({ "id": id })))))
}

//! `/api/triggers`: what starts runs by itself.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract::{Json, Path};
use super::success::SuccessResponse;
use crate::triggers::{Trigger, TriggerDraft};

/// A list of triggers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TriggerList {
    /// By id.
    triggers: Vec<Trigger>,
    /// How many there are.
    #[schema(example = 1)]
    count: usize,
}

/// What to change.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "enabled": false }))]
pub(crate) struct TriggerChange {
    /// Whether it may start runs.
    enabled: bool,
}

/// Every trigger, whether it is drawn in a workflow, declared in a script's header or made here; and why it is not armed, where it is not.
#[utoipa::path(get, path = "/api/triggers", tag = "triggers", operation_id = "triggers_list", responses((status = 200, body = TriggerList)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Answer<TriggerList>> {
    let triggers = state.triggers().list().await?;
    Ok(Answer(TriggerList { count: triggers.len(), triggers }))
}

/// Makes a trigger of its own: it starts a workflow or a script without being drawn in it.
#[utoipa::path(post, path = "/api/triggers", tag = "triggers", operation_id = "triggers_create", request_body = TriggerDraft, responses((status = 201, body = Trigger), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn create(State(state): State<super::State>, Json(draft): Json<TriggerDraft>) -> Result<(StatusCode, Answer<Trigger>)> {
    Ok((StatusCode::CREATED, Answer(state.triggers().make(draft).await?)))
}

/// One trigger.
#[utoipa::path(get, path = "/api/triggers/{trigger_id}", tag = "triggers", operation_id = "triggers_get", params(("trigger_id" = String, Path, description = "Such as `orders:hook`")), responses((status = 200, body = Trigger), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<Trigger>> {
    Ok(Answer(state.triggers().get(&id).await?))
}

/// Removes a trigger that was made here. One that is drawn or declared is removed where it is: 409 says where.
#[utoipa::path(delete, path = "/api/triggers/{trigger_id}", tag = "triggers", operation_id = "triggers_delete", params(("trigger_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.triggers().remove(&id).await?;
    Ok(Answer(SuccessResponse::new("the trigger was deleted", Some(json!({ "id": id })))))
}

/// Switches a trigger on or off. It stays so, also when its workflow or script is changed.
#[utoipa::path(patch, path = "/api/triggers/{trigger_id}", tag = "triggers", operation_id = "triggers_change", params(("trigger_id" = String, Path, description = "Such as `orders:hook`")), request_body = TriggerChange, responses((status = 200, body = Trigger), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn change(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Json(change): Json<TriggerChange>,
) -> Result<Answer<Trigger>> {
    Ok(Answer(state.triggers().enable(&id, change.enabled).await?))
}

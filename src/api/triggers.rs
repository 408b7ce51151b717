//! `/api/triggers`: what starts runs by itself.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract::{Json, Path};
use crate::triggers::Trigger;

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

/// Every trigger that is drawn in a stored workflow, and why it is not armed where it is not.
#[utoipa::path(get, path = "/api/triggers", tag = "triggers", operation_id = "triggers_list", responses((status = 200, body = TriggerList)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Answer<TriggerList>> {
    let triggers = state.webhooks().list().await?;
    Ok(Answer(TriggerList { count: triggers.len(), triggers }))
}

/// One trigger.
#[utoipa::path(get, path = "/api/triggers/{trigger_id}", tag = "triggers", operation_id = "triggers_get", params(("trigger_id" = String, Path, description = "Such as `orders:hook`")), responses((status = 200, body = Trigger), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<Trigger>> {
    Ok(Answer(state.webhooks().get(&id).await?))
}

/// Switches a trigger on or off. It stays so, also when its workflow is changed.
#[utoipa::path(patch, path = "/api/triggers/{trigger_id}", tag = "triggers", operation_id = "triggers_change", params(("trigger_id" = String, Path, description = "Such as `orders:hook`")), request_body = TriggerChange, responses((status = 200, body = Trigger), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn change(
    State(state): State<super::State>,
    Path(id): Path<String>,
    Json(change): Json<TriggerChange>,
) -> Result<Answer<Trigger>> {
    Ok(Answer(state.webhooks().enable(&id, change.enabled).await?))
}

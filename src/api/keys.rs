//! `/api/keys`: API keys, for administrators.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract::{Json, Path};
use super::success::SuccessResponse;
use crate::keys::{Key, Scope};
use crate::runs::Timestamp;

/// A key to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "frontend", "scopes": ["read", "desktop"] }))]
pub(crate) struct KeyRequest {
    /// What you call it.
    #[schema(min_length = 1, max_length = 128)]
    name: String,
    /// What it opens.
    #[schema(min_items = 1)]
    scopes: Vec<Scope>,
    /// The workflows that it is for, by their ids: it runs these (`POST /api/workflows/{id}/execute`, `execute_workflow` on
    /// `/ws/workflow-automation`), looks at their runs and cancels them, and does nothing else. Its scopes, `workflows` among them, say what
    /// the runs may do. Without any it is for none in particular.
    #[serde(default)]
    #[schema(required = false, max_items = 64)]
    workflows: Vec<String>,
}

/// A key: all but the key itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyInfo {
    /// Its id.
    id: String,
    /// What its owner calls it.
    name: String,
    /// What it opens.
    scopes: Vec<Scope>,
    /// The workflows that it is for, and nothing else; empty where it is for none in particular.
    workflows: Vec<String>,
    /// When it was made, RFC 3339 UTC.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it was used last, to the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used: Option<Timestamp>,
}

/// A key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct NewKey {
    /// The key itself. It is shown here once and kept nowhere.
    #[schema(example = "trae_…")]
    key: String,
    /// What is known of it from now on.
    #[serde(flatten)]
    info: KeyInfo,
}

/// All keys.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyList {
    /// The oldest first.
    keys: Vec<KeyInfo>,
    /// How many.
    count: usize,
}

impl From<&Key> for KeyInfo {
    fn from(key: &Key) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            scopes: key.scopes.iter().collect(),
            workflows: key.workflows.clone(),
            created_at: Timestamp(key.created_at),
            last_used: key.last_used().map(Timestamp),
        }
    }
}

/// All keys, without the keys themselves.
#[utoipa::path(get, path = "/api/keys", tag = "keys", operation_id = "keys", responses((status = 200, body = KeyList), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Answer<KeyList>> {
    let keys: Vec<KeyInfo> = state.keys().list().await?.iter().map(KeyInfo::from).collect();
    Ok(Answer(KeyList { count: keys.len(), keys }))
}

/// Makes a key and shows it, this once.
#[utoipa::path(post, path = "/api/keys", tag = "keys", operation_id = "create_key", request_body = KeyRequest, responses((status = 201, body = NewKey), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn create(State(state): State<super::State>, Json(request): Json<KeyRequest>) -> Result<(StatusCode, Answer<NewKey>)> {
    let (key, made) = state.keys().create_for(&request.name, request.scopes.into_iter().collect(), &request.workflows).await?;
    Ok((StatusCode::CREATED, Answer(NewKey { key, info: KeyInfo::from(&*made) })))
}

/// Revokes a key, and the tokens that were exchanged for it.
#[utoipa::path(delete, path = "/api/keys/{key_id}", tag = "keys", operation_id = "revoke_key", params(("key_id" = String, Path, description = "The key's id")), responses((status = 200, body = SuccessResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse)))]
pub(crate) async fn revoke(State(state): State<super::State>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.keys().revoke(&id).await?;
    Ok(Answer(SuccessResponse::new("the key is revoked", Some(json!({ "id": id })))))
}

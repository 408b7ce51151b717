//! `/api/secrets`: named values that scripts and workflows use. They are written here, and never read.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::error::{Error, ErrorResponse, Result};
use super::extract::{Json, Path};
use super::success::SuccessResponse;
use crate::runs::Timestamp;
use crate::secrets::{self, Secret};

/// A secret's value.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "value": "…" }))]
pub(crate) struct SecretRequest {
    /// 6 to 65,536 bytes: a shorter one could not be masked where it would be shown.
    #[schema(min_length = 6, max_length = 65_536)]
    value: String,
}

/// A secret: all but its value.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretInfo {
    /// Its name: `secrets.NAME` in expressions, `secrets::get("NAME")` in scripts.
    name: String,
    /// When there was first one of that name, RFC 3339 UTC.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When its value was set.
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// All secrets, without their values.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SecretList {
    /// By name.
    secrets: Vec<SecretInfo>,
    /// How many.
    count: usize,
}

impl From<Secret> for SecretInfo {
    fn from(secret: Secret) -> Self {
        Self { name: secret.name, created_at: Timestamp(secret.created_at), updated_at: Timestamp(secret.updated_at) }
    }
}

/// All secrets by name, without their values.
#[utoipa::path(get, path = "/api/secrets", tag = "secrets", operation_id = "secrets", responses((status = 200, body = SecretList), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<super::State>) -> Result<Answer<SecretList>> {
    let secrets: Vec<SecretInfo> = state.secrets().list().await?.into_iter().map(SecretInfo::from).collect();
    Ok(Answer(SecretList { count: secrets.len(), secrets }))
}

/// Sets a secret, in place of the one of that name where there is one. Runs that ask for it from now on get the new value.
#[utoipa::path(put, path = "/api/secrets/{name}", tag = "secrets", operation_id = "set_secret", params(("name" = String, Path, description = "Letters, digits, `_` and `-`, beginning with a letter or `_`")), request_body = SecretRequest, responses((status = 200, description = "It was replaced", body = SecretInfo), (status = 201, description = "It is new", body = SecretInfo), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, description = "The identity that encrypts it cannot be used", body = ErrorResponse)))]
pub(crate) async fn set(
    State(state): State<super::State>,
    Path(name): Path<String>,
    Json(request): Json<SecretRequest>,
) -> Result<(StatusCode, Answer<SecretInfo>)> {
    let set = state.secrets().set(&name, &request.value).await;
    let (secret, is_new) = set.map_err(|error| match error {
        secrets::Error::Invalid { path: "/name", message } => Error::invalid_at("/path/name", message),
        other => other.into(),
    })?;
    Ok((if is_new { StatusCode::CREATED } else { StatusCode::OK }, Answer(secret.into())))
}

/// Removes a secret. What uses it fails from now on.
#[utoipa::path(delete, path = "/api/secrets/{name}", tag = "secrets", operation_id = "remove_secret", params(("name" = String, Path, description = "Its name")), responses((status = 200, body = SuccessResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse)))]
pub(crate) async fn remove(State(state): State<super::State>, Path(name): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.secrets().remove(&name).await?;
    Ok(Answer(SuccessResponse::new("the secret is removed", Some(json!({ "name": name })))))
}

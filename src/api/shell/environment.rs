//! `/api/shell/env` and `/api/shell/cd`: variables and folder of a session, or what new sessions and single commands begin with.

use std::collections::BTreeMap;

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::error::{ErrorResponse, Result};
use super::extract::{Json, Query};
use super::session;
use super::success::SuccessResponse;
use crate::services::Name;
use crate::shell::masked;

/// Whose variables.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct EnvironmentQuery {
    /// Those of this session; without it what new sessions and single commands are given.
    session_id: Option<String>,
}

/// Variables.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "success": true, "variables": { "PATH": "/usr/bin:/bin", "API_KEY": "***" } }))]
pub(crate) struct EnvironmentResponse {
    /// `true`.
    success: bool,
    /// By name. What looks like a secret is masked.
    variables: BTreeMap<String, String>,
}

/// A variable to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "MY_VAR", "value": "my_value", "session_id": null }))]
pub(crate) struct EnvironmentVariableRequest {
    /// Letters, digits and `_`. Variables that decide which code programs load are refused.
    name: String,
    /// At most 32 KiB.
    value: String,
    /// The session; without it what new sessions and single commands are given.
    #[serde(default)]
    session_id: Option<String>,
}

/// A folder to go to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "path": "/tmp", "session_id": null }))]
pub(crate) struct ChangeDirectoryRequest {
    /// Relative to where the session is, or to where new ones begin so far.
    #[schema(min_length = 1)]
    path: String,
    /// The session; without it where new sessions and single commands begin.
    #[serde(default)]
    session_id: Option<String>,
}

/// The variables of a session, or those that new sessions and single commands are given.
#[utoipa::path(get, path = "/api/shell/env", tag = "shell", operation_id = "shell_env_get", params(EnvironmentQuery), responses((status = 200, body = EnvironmentResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<super::State>, Query(query): Query<EnvironmentQuery>) -> Result<Answer<EnvironmentResponse>> {
    state.enter(Name::Shell)?;
    let variables = match &query.session_id {
        Some(id) => {
            let (session, allowed) = session(&state, id).await?;
            session.variables(&allowed).await?
        }
        None => state.shells().variables(),
    };
    Ok(Answer(EnvironmentResponse { success: true, variables: masked(variables) }))
}

/// Sets a variable. The server's own environment and other sessions stay as they are.
#[utoipa::path(post, path = "/api/shell/env", tag = "shell", operation_id = "shell_env_set", request_body = EnvironmentVariableRequest, responses((status = 200, body = SuccessResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn set(
    State(state): State<super::State>,
    Json(request): Json<EnvironmentVariableRequest>,
) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Shell)?;
    let EnvironmentVariableRequest { name, value, session_id } = request;
    state.grant().variable(&name)?;
    match &session_id {
        Some(id) => {
            let (session, allowed) = session(&state, id).await?;
            session.set_variable(&allowed, &name, &value).await?;
        }
        None => state.shells().set_variable(&name, &value)?,
    }
    let data = json!({ "name": name, "session_id": session_id });
    Ok(Answer(SuccessResponse::new(format!("{name} is set"), Some(data))))
}

/// Goes to a folder. The server's own folder and other sessions stay where they are.
#[utoipa::path(post, path = "/api/shell/cd", tag = "shell", operation_id = "shell_cd", request_body = ChangeDirectoryRequest, responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn change_directory(
    State(state): State<super::State>,
    Json(request): Json<ChangeDirectoryRequest>,
) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Shell)?;
    let ChangeDirectoryRequest { path, session_id } = request;
    let folder = match &session_id {
        Some(id) => {
            let (session, allowed) = session(&state, id).await?;
            session.change_directory(&allowed, &path, "/path").await?
        }
        None => state.shells().change_directory(&path)?,
    };
    let folder = folder.display().to_string();
    let data = json!({ "working_directory": folder, "session_id": session_id });
    Ok(Answer(SuccessResponse::new(format!("now in {folder}"), Some(data))))
}

//! `/api/desktop/targets`: the desktops there are, beside the default one; and how a request names the one it means.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::super::error::{ErrorResponse, Result};
use super::super::extract::{Json, Path};
use super::super::success::SuccessResponse;
use crate::api::State as Rooms;
use crate::api::state::blocking;
use crate::desktop::{TargetInfo, TargetSpec};
use crate::policy::Program;
use crate::services::Name;

/// Which desktop is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct TargetQuery {
    /// The desktop's name; without it the default one.
    pub(crate) target: Option<String>,
}

/// The desktops there are.
#[derive(Serialize, ToSchema)]
pub(crate) struct TargetList {
    /// The default one first, then by name.
    targets: Vec<TargetInfo>,
    /// How many there are.
    count: usize,
}

/// All desktops as they are now. None is opened by looking.
#[utoipa::path(get, path = "/api/desktop/targets", tag = "desktop", operation_id = "desktop_targets", responses((status = 200, body = TargetList), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<Rooms>) -> Result<Answer<TargetList>> {
    state.enter(Name::LiveDesktop)?;
    let desktops = Arc::clone(state.desktops());
    let targets = blocking(move || Ok(desktops.list())).await?;
    Ok(Answer(TargetList { count: targets.len(), targets }))
}

/// One desktop as it is now.
#[utoipa::path(get, path = "/api/desktop/targets/{name}", tag = "desktop", operation_id = "desktop_target", params(("name" = String, Path, description = "Its name; `default` is the one that is meant where none is named.")), responses((status = 200, body = TargetInfo), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<Rooms>, Path(name): Path<String>) -> Result<Answer<TargetInfo>> {
    state.enter(Name::LiveDesktop)?;
    let desktops = Arc::clone(state.desktops());
    Ok(Answer(blocking(move || Ok(desktops.info(&name)?)).await?))
}

/// Keeps a new desktop, which is opened at its first use, also after a restart of the server.
#[utoipa::path(post, path = "/api/desktop/targets", tag = "desktop", operation_id = "desktop_target_create", request_body = TargetSpec, responses((status = 201, body = TargetInfo), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 507, body = ErrorResponse)))]
pub(crate) async fn create(State(state): State<Rooms>, Json(spec): Json<TargetSpec>) -> Result<(StatusCode, Answer<TargetInfo>)> {
    state.enter(Name::LiveDesktop)?;
    for words in spec.commands() {
        state.grant().command(Program::Argv(words.clone()))?;
    }
    let name = spec.name.clone();
    state.desktops().create(spec).await?;
    let desktops = Arc::clone(state.desktops());
    Ok((StatusCode::CREATED, Answer(blocking(move || Ok(desktops.info(&name)?)).await?)))
}

/// Ends a desktop with everything on it, also for those who use it, and forgets it. The default one stays.
#[utoipa::path(delete, path = "/api/desktop/targets/{name}", tag = "desktop", operation_id = "desktop_target_delete", params(("name" = String, Path, description = "Its name.")), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<Rooms>, Path(name): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::LiveDesktop)?;
    state.desktops().delete(&name).await?;
    Ok(Answer(SuccessResponse::new("the desktop was deleted", Some(json!({ "name": name })))))
}

//! `/api/snapshots/templates`: named sets of zones and clicks.

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::super::State as Rooms;
use super::super::automation::text::until;
use super::super::error::{Error, ErrorResponse, Result};
use super::super::extract::{Json, Path, Query};
use super::super::state::blocking;
use super::super::success::SuccessResponse;
use super::super::visit;
use super::super::workflows::within_limit;
use super::PageQuery;
use crate::error::{Failure, Kind};
use crate::screen::{Capture, ImageFormat};
use crate::services::Name;
use crate::sight;
use crate::snapshots::{Action, Applied, SnapshotRequest, Template, TemplateDraft, Zone};

/// A named set of zones and clicks.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SnapshotTemplateRequest, example = json!({
    "name": "Invoice",
    "zones": [{ "id": "zone1", "name": "Title", "x": 100, "y": 50, "width": 200, "height": 30 }],
    "actions": [{ "id": "action1", "name": "Click Button", "x": 150, "y": 300, "action_type": "click" }]
}))]
pub(crate) struct TemplateRequest {
    /// The template's own, where it is sent along with a change.
    #[serde(default)]
    id: Option<String>,
    /// For people.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What is read.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    zones: Vec<Zone>,
    /// Where is clicked.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    actions: Vec<Action>,
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

impl From<TemplateRequest> for TemplateDraft {
    fn from(TemplateRequest { id, name, zones, actions, .. }: TemplateRequest) -> Self {
        Self { id, name, zones, actions }
    }
}

/// A list of templates.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateList {
    /// Newest first.
    templates: Vec<Template>,
    /// How many there are in all.
    count: u64,
}

/// Where to use a template.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "snapshot_id": "snapshot_001", "click": false }))]
pub(crate) struct ApplyRequest {
    /// The snapshot. Without it one is taken of the screen as it is now, and kept.
    #[serde(default)]
    snapshot_id: Option<String>,
    /// The monitor that is taken then; 0 is the primary one.
    #[serde(default)]
    monitor: Option<usize>,
    /// The desktop that is taken then; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
    /// Do its clicks as well.
    #[serde(default)]
    click: bool,
}

/// Templates, newest first.
#[utoipa::path(get, path = "/api/snapshots/templates", tag = "snapshots", operation_id = "snapshot_templates_list", params(PageQuery), responses((status = 200, body = TemplateList), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn list(State(state): State<Rooms>, Query(query): Query<PageQuery>) -> Result<Answer<TemplateList>> {
    state.enter(Name::Snapshot)?;
    let (templates, count) = state.snapshots().templates(within_limit(query.limit)?, query.offset).await?;
    Ok(Answer(TemplateList { templates, count }))
}

/// Keeps a template.
#[utoipa::path(post, path = "/api/snapshots/templates", tag = "snapshots", operation_id = "snapshot_templates_create", request_body = TemplateRequest, responses((status = 201, body = Template), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn create(State(state): State<Rooms>, Json(request): Json<TemplateRequest>) -> Result<(StatusCode, Answer<Template>)> {
    state.enter(Name::Snapshot)?;
    Ok((StatusCode::CREATED, Answer(state.snapshots().create_template(request.into()).await?)))
}

/// A template.
#[utoipa::path(get, path = "/api/snapshots/templates/{template_id}", tag = "snapshots", operation_id = "snapshot_templates_get", params(("template_id" = String, Path)), responses((status = 200, body = Template), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<Rooms>, Path(id): Path<String>) -> Result<Answer<Template>> {
    state.enter(Name::Snapshot)?;
    Ok(Answer(state.snapshots().template(&id).await?))
}

/// Replaces a template.
#[utoipa::path(put, path = "/api/snapshots/templates/{template_id}", tag = "snapshots", operation_id = "snapshot_templates_update", params(("template_id" = String, Path)), request_body = TemplateRequest, responses((status = 200, body = Template), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn update(
    State(state): State<Rooms>,
    Path(id): Path<String>,
    Json(request): Json<TemplateRequest>,
) -> Result<Answer<Template>> {
    state.enter(Name::Snapshot)?;
    Ok(Answer(state.snapshots().update_template(&id, request.into()).await?))
}

/// Removes a template.
#[utoipa::path(delete, path = "/api/snapshots/templates/{template_id}", tag = "snapshots", operation_id = "snapshot_templates_delete", params(("template_id" = String, Path)), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<Rooms>, Path(id): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.enter(Name::Snapshot)?;
    state.snapshots().delete_template(&id).await?;
    Ok(Answer(SuccessResponse::new("the template was deleted", Some(json!({ "id": id })))))
}

/// Reads a template's zones in a snapshot, or on the screen as it is now; with `click` it does its clicks as well.
#[utoipa::path(post, path = "/api/snapshots/templates/{template_id}/apply", tag = "snapshots", operation_id = "snapshot_templates_apply", params(("template_id" = String, Path)), request_body = ApplyRequest, responses((status = 200, body = Applied), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn apply(
    State(state): State<Rooms>,
    Path(id): Path<String>,
    Json(request): Json<ApplyRequest>,
) -> Result<Answer<Applied>> {
    let mut cancel = state.enter(Name::Snapshot)?;
    let mut template = state.snapshots().template(&id).await?;
    if !template.zones.is_empty() {
        cancel = state.enter(Name::EnhancedOcr)?;
    }
    if request.click && !template.actions.is_empty() {
        cancel = state.enter(Name::ClickAutomation)?;
    }
    let ApplyRequest { snapshot_id, monitor, target, click } = request;
    let snapshot_id = match snapshot_id {
        Some(_) if monitor.is_some() || target.is_some() => {
            return Err(Error::invalid_at("/monitor", "a snapshot shows what it shows: leave out monitor and target, or snapshot_id"));
        }
        Some(snapshot_id) => snapshot_id,
        None => {
            state.enter(Name::LiveDesktop)?;
            // Without loss, as it is read.
            let monitor = monitor.unwrap_or(0);
            let wanted = SnapshotRequest { monitor, region: None, quality: 85, format: ImageFormat::Png, target: target.clone() };
            let snapshot_id = state.snapshots().create(&state.grant(), wanted).await?.snapshot_id;
            template.zones = placed(&state, template.zones, monitor, target.as_deref(), &cancel).await?;
            snapshot_id
        }
    };
    Ok(Answer(state.snapshots().apply(&state.grant(), template, &snapshot_id, click, visit::control_token(), &cancel).await?))
}

/// Puts the zones that have a name where they are now, as a picture of a monitor shows them.
async fn placed(
    state: &Rooms,
    mut zones: Vec<Zone>,
    monitor: usize,
    target: Option<&str>,
    cancel: &CancellationToken,
) -> Result<Vec<Zone>> {
    if zones.iter().all(|zone| zone.zone.is_none()) {
        return Ok(zones);
    }
    let desktop = state.desktops().reach(target).await?;
    let screen = Arc::clone(&desktop);
    let whole = blocking(move || Ok(screen.screen().region(&Capture { monitor: Some(monitor), region: None })?)).await?;
    for zone in &mut zones {
        let Some(name) = zone.zone.clone() else { continue };
        let known = state.sight().zone(&name)?;
        let place = sight::Zone { zone: Some(name.clone()), ..sight::Zone::default() };
        let region = until(state, cancel, state.sight().where_is(&desktop, place, cancel)).await?;
        if !whole.encloses(&region) {
            let message = format!("the zone {name:?} is not on monitor {monitor} entirely: say on which one it is");
            return Err(Failure::new(Kind::Conflict, message).into());
        }
        let corner = (region.x.abs_diff(whole.x), region.y.abs_diff(whole.y));
        *zone = zone.clone().placed(corner, (region.width, region.height), known.reading());
    }
    Ok(zones)
}

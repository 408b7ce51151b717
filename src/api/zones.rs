//! `/api/zones`: parts of the screen with names.

use axum::Json as Answer;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::automation::text::{looking, until};
use super::desktop::targets::TargetQuery;
use super::error::{Error, ErrorResponse, Result};
use super::extract::{Json, Path, Query};
use super::state::blocking;
use super::success::{AutomationResponse, SuccessResponse};
use crate::api::State as Rooms;
use crate::desktop::Action;
use crate::files;
use crate::input::{Button, Click};
use crate::policy::Access;
use crate::screen::Region;
use crate::services::Name;
use crate::sight::{NamedZone, Zone};

/// The zones there are.
#[derive(Serialize, ToSchema)]
pub(crate) struct ZoneList {
    /// By name.
    zones: Vec<NamedZone>,
    /// How many there are.
    count: usize,
}

/// Where a zone is now.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "name": "total", "zone": { "x": 300, "y": 212, "width": 120, "height": 24 } }))]
pub(crate) struct ZonePlace {
    /// Its name.
    name: String,
    /// In physical pixels of the virtual screen.
    zone: Region,
}

/// How to click in a zone.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "button": "left", "clicks": 1 }))]
pub(crate) struct ZoneClickRequest {
    /// From its left edge; without it in the middle.
    x: Option<i32>,
    /// From its top edge; without it in the middle.
    y: Option<i32>,
    /// Which button.
    button: Button,
    /// How many times.
    #[schema(minimum = 1, maximum = 100)]
    clicks: u32,
    /// Seconds each click holds the button down.
    #[schema(minimum = 0, maximum = 60)]
    duration: f64,
    /// The desktop; without it the default one.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

impl Default for ZoneClickRequest {
    fn default() -> Self {
        Self { x: None, y: None, button: Button::Left, clicks: 1, duration: 0.1, target: None }
    }
}

/// All zones, by name.
#[utoipa::path(get, path = "/api/zones", tag = "automation", operation_id = "zones_list", responses((status = 200, body = ZoneList)))]
pub(crate) async fn list(State(state): State<Rooms>) -> Result<Answer<ZoneList>> {
    let zones = state.sight().zones();
    Ok(Answer(ZoneList { count: zones.len(), zones }))
}

/// One zone.
#[utoipa::path(get, path = "/api/zones/{name}", tag = "automation", operation_id = "zones_get", params(("name" = String, Path, description = "Its name.")), responses((status = 200, body = NamedZone), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<Rooms>, Path(name): Path<String>) -> Result<Answer<NamedZone>> {
    Ok(Answer(state.sight().zone(&name)?))
}

/// Keeps a zone under a name, in place of the one that had it. `anchor_picture` may also be a file's path (a relative one lies in the data
/// folder's `files/`), whose picture is kept.
#[utoipa::path(put, path = "/api/zones/{name}", tag = "automation", operation_id = "zones_put", params(("name" = String, Path, description = "Its name.")), request_body = NamedZone, responses((status = 200, body = NamedZone), (status = 201, body = NamedZone), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 507, body = ErrorResponse)))]
pub(crate) async fn put(
    State(state): State<Rooms>,
    Path(name): Path<String>,
    Json(mut zone): Json<NamedZone>,
) -> Result<(StatusCode, Answer<NamedZone>)> {
    if !zone.name.is_empty() && zone.name != name {
        return Err(Error::invalid_at("/name", "it is another name than the path's: leave it out"));
    }
    zone.name = name;
    if let Some(file) = zone.anchor_picture.take_if(|picture| !picture.starts_with("data:")) {
        let path = state.grant().path(&file, Access::Read)?;
        let bytes = blocking(move || Ok(files::read_bytes(&path)?)).await?;
        zone.anchor_picture = Some(format!("data:image/png;base64,{}", STANDARD.encode(bytes)));
    }
    let new = state.sight().keep_zone(zone.clone()).await?;
    Ok((if new { StatusCode::CREATED } else { StatusCode::OK }, Answer(zone)))
}

/// Forgets a zone.
#[utoipa::path(delete, path = "/api/zones/{name}", tag = "automation", operation_id = "zones_delete", params(("name" = String, Path, description = "Its name.")), responses((status = 200, body = SuccessResponse), (status = 404, body = ErrorResponse), (status = 507, body = ErrorResponse)))]
pub(crate) async fn delete(State(state): State<Rooms>, Path(name): Path<String>) -> Result<Answer<SuccessResponse>> {
    state.sight().delete_zone(&name).await?;
    Ok(Answer(SuccessResponse::new("the zone was deleted", Some(json!({ "name": name })))))
}

/// Where a zone is on the screen now.
#[utoipa::path(get, path = "/api/zones/{name}/place", tag = "automation", operation_id = "zones_place", params(("name" = String, Path, description = "Its name."), TargetQuery), responses((status = 200, body = ZonePlace), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn locate(
    State(state): State<Rooms>,
    Path(name): Path<String>,
    Query(query): Query<TargetQuery>,
) -> Result<Answer<ZonePlace>> {
    let zone = place(&state, &name, query.target.as_deref()).await?;
    Ok(Answer(ZonePlace { name, zone }))
}

/// Clicks in a zone, where it is now: in its middle, or at a point counted from its corner.
#[utoipa::path(post, path = "/api/zones/{name}/click", tag = "automation", operation_id = "zones_click", params(("name" = String, Path, description = "Its name.")), request_body = ZoneClickRequest, responses((status = 200, body = AutomationResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn click(
    State(state): State<Rooms>,
    Path(name): Path<String>,
    Json(request): Json<ZoneClickRequest>,
) -> Result<Answer<AutomationResponse>> {
    let ZoneClickRequest { x, y, button, clicks, duration, target } = request;
    state.enter(Name::ClickAutomation)?;
    state.grant().input()?;
    let zone = place(&state, &name, target.as_deref()).await?;
    let at = |start: i32, length: u32, offset: Option<i32>| match offset {
        Some(offset) => start.saturating_add(offset),
        None => start.saturating_add_unsigned(length / 2),
    };
    let (x, y) = (at(zone.x, zone.width, x), at(zone.y, zone.height, y));
    super::automation::act(&state, target, Action::Click(Click { x, y, button, clicks, duration })).await?;
    Ok(Answer(AutomationResponse::new(format!("clicked at {x}, {y}"), Some(json!({ "x": x, "y": y, "zone": zone })))))
}

async fn place(state: &Rooms, name: &str, target: Option<&str>) -> Result<Region> {
    let cancel = looking(state, Name::LiveDesktop)?;
    // Before a desktop is opened for it.
    state.sight().zone(name)?;
    let desktop = state.desktops().reach(target).await?;
    let zone = Zone { zone: Some(name.to_owned()), ..Zone::default() };
    until(state, &cancel, state.sight().where_is(&desktop, zone, &cancel)).await
}

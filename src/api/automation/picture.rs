//! `/api/automation/picture`: finding, awaiting and clicking a picture on the screen, comparing two; and waiting until the screen stands still.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::super::error::{Error, ErrorResponse, Result};
use super::super::extract::{Json, Query};
use super::super::state::blocking;
use super::super::success::AutomationResponse;
use super::act;
use super::text::{looking, shown, until};
use crate::api::State as Rooms;
use crate::desktop::Action;
use crate::error::{Failure, Kind};
use crate::files;
use crate::input::{Button, Click};
use crate::policy::Access;
use crate::screen::Region;
use crate::services::Name;
use crate::sight::{FoundPicture, PictureDifference, PictureSearch, PictureSought, StillSearch, Stillness};
use crate::vision::{Needle, difference as differ};

/// Seconds that a picture is waited for, where the caller does not say.
const PATIENCE: f64 = 10.0;

/// A picture to click, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "find": { "picture": "buttons/save.png", "timeout": 10 }, "button": "left", "clicks": 1 }))]
pub(crate) struct PictureClickRequest {
    /// The picture. Without a `timeout` it is waited for as long as 10 seconds.
    find: PictureSearch,
    /// Which button.
    #[serde(default)]
    button: Button,
    /// How many times.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100)]
    clicks: u32,
    /// Seconds each click holds the button down.
    #[serde(default = "tenth")]
    #[schema(minimum = 0, maximum = 60)]
    duration: f64,
    /// Pixels to the right of the picture's middle.
    #[serde(default)]
    offset_x: i32,
    /// Pixels below it.
    #[serde(default)]
    offset_y: i32,
}

/// Two pictures of the same size.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "first": "before.png", "second": "after.png", "tolerance": 8 }))]
pub(crate) struct PictureDifferenceRequest {
    /// A file's path (a relative one lies in the data folder's `files/`), or a `data:` URL with a PNG, JPEG or WebP in base64.
    first: String,
    /// The other, likewise.
    second: String,
    /// Shades by which red, green or blue of a pixel may be off.
    #[serde(default)]
    tolerance: u8,
}

/// A picture that was waited for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PictureAwaited {
    /// Where it is; null where it was waited for until it was gone.
    found: Option<FoundPicture>,
    /// Seconds it took.
    execution_time: f64,
}

/// A point of the virtual screen.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct PixelQuery {
    /// From the left.
    x: i32,
    /// From the top.
    y: i32,
    /// The desktop's name; without it the default one.
    target: Option<String>,
}

/// The colour of a pixel.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "x": 100, "y": 200, "red": 255, "green": 128, "blue": 0, "colour": "#ff8000" }))]
pub(crate) struct Pixel {
    /// From the left.
    x: i32,
    /// From the top.
    y: i32,
    /// 0–255.
    red: u8,
    /// 0–255.
    green: u8,
    /// 0–255.
    blue: u8,
    /// The same as `#rrggbb`.
    colour: String,
}

fn one() -> u32 {
    1
}

fn tenth() -> f64 {
    0.1
}

/// Looks for a picture once. Whether it is there, and else what comes closest and how that looks, stands in the answer. Where it was last seen
/// is looked at first. With a `timeout` it waits, as `wait` does.
#[utoipa::path(post, path = "/api/automation/picture/find", tag = "automation", operation_id = "picture_find", request_body = PictureSearch, responses((status = 200, body = PictureSought), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn find(State(state): State<Rooms>, Json(search): Json<PictureSearch>) -> Result<Answer<PictureSought>> {
    let (gone, target) = (search.gone, search.target.clone());
    let mut sought = sought(&state, search).await?;
    sought.image = shown(&state, target, sought.telling().filter(|_| !gone)).await?;
    Ok(Answer(sought))
}

/// Waits until a picture is on the screen, or with `gone` until it is not. Where it does not come in time, the error's `details` have what
/// comes closest (`nearest`, with its score), the `zone`, and how that looks (`image`, a `data:` URL).
#[utoipa::path(post, path = "/api/automation/picture/wait", tag = "automation", operation_id = "picture_wait", request_body = PictureSearch, responses((status = 200, body = PictureAwaited), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn wait(State(state): State<Rooms>, Json(search): Json<PictureSearch>) -> Result<Answer<PictureAwaited>> {
    let PictureSought { found, execution_time, .. } = sought(&state, patient(search)).await?;
    Ok(Answer(PictureAwaited { found, execution_time }))
}

/// Waits until a picture is on the screen, and clicks in its middle. `data` has the point and what was `found` there.
#[utoipa::path(post, path = "/api/automation/picture/click", tag = "automation", operation_id = "picture_click", request_body = PictureClickRequest, responses((status = 200, body = AutomationResponse), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn click(State(state): State<Rooms>, Json(request): Json<PictureClickRequest>) -> Result<Answer<AutomationResponse>> {
    let PictureClickRequest { find, button, clicks, duration, offset_x, offset_y } = request;
    if find.gone {
        return Err(Error::invalid_at("/find/gone", "what is not there cannot be clicked"));
    }
    // Who may not click need not wait for what is clicked.
    state.enter(Name::ClickAutomation)?;
    state.grant().input()?;
    let target = find.target.clone();
    let Some(found) = sought(&state, patient(find)).await?.found else {
        return Err(Failure::new(Kind::NotFound, "the picture is not there").into());
    };
    let (x, y) = (found.center_x.saturating_add(offset_x), found.center_y.saturating_add(offset_y));
    act(&state, target, Action::Click(Click { x, y, button, clicks, duration })).await?;
    Ok(Answer(AutomationResponse::new(format!("clicked at {x}, {y}"), Some(json!({ "x": x, "y": y, "found": found })))))
}

/// In what two pictures of the same size differ.
#[utoipa::path(post, path = "/api/automation/picture/difference", tag = "automation", operation_id = "picture_difference", request_body = PictureDifferenceRequest, responses((status = 200, body = PictureDifference), (status = 403, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn difference(
    State(state): State<Rooms>,
    Json(request): Json<PictureDifferenceRequest>,
) -> Result<Answer<PictureDifference>> {
    let (first, second) = (needle(&state, &request.first).await?, needle(&state, &request.second).await?);
    let compared = blocking(move || Ok(differ((first.rows(), first.size()), (second.rows(), second.size()), request.tolerance)?));
    let told = compared.await?;
    let narrow = |at: u32| i32::try_from(at).unwrap_or(i32::MAX);
    let region = |part: crate::vision::Rectangle| Region { x: narrow(part.x), y: narrow(part.y), width: part.width, height: part.height };
    let regions = told.regions.into_iter().map(region).collect();
    Ok(Answer(PictureDifference { same: told.pixels == 0, pixels: told.pixels, part: told.part, regions }))
}

/// The colour of a pixel of the screen.
#[utoipa::path(get, path = "/api/automation/screen/pixel", tag = "automation", operation_id = "screen_pixel", params(PixelQuery), responses((status = 200, body = Pixel), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn pixel(State(state): State<Rooms>, Query(query): Query<PixelQuery>) -> Result<Answer<Pixel>> {
    let PixelQuery { x, y, target } = query;
    let cancel = looking(&state, Name::LiveDesktop)?;
    let desktop = state.desktops().reach(target.as_deref()).await?;
    let [red, green, blue] = until(&state, &cancel, state.sight().pixel(&desktop, x, y, &cancel)).await?;
    Ok(Answer(Pixel { x, y, red, green, blue, colour: format!("#{red:02x}{green:02x}{blue:02x}") }))
}

/// Waits until a part of the screen has not changed for `seconds`.
#[utoipa::path(post, path = "/api/automation/screen/still", tag = "automation", operation_id = "screen_still", request_body = StillSearch, responses((status = 200, body = Stillness), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn still(State(state): State<Rooms>, Json(search): Json<StillSearch>) -> Result<Answer<Stillness>> {
    let cancel = looking(&state, Name::LiveDesktop)?;
    let desktop = state.desktops().reach(search.target.as_deref()).await?;
    Ok(Answer(until(&state, &cancel, state.sight().wait_until_still(&desktop, search, &cancel)).await?))
}

/// Waits until a part of the screen changes.
#[utoipa::path(post, path = "/api/automation/screen/change", tag = "automation", operation_id = "screen_change", request_body = StillSearch, responses((status = 200, body = Stillness), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn change(State(state): State<Rooms>, Json(search): Json<StillSearch>) -> Result<Answer<Stillness>> {
    let cancel = looking(&state, Name::LiveDesktop)?;
    let desktop = state.desktops().reach(search.target.as_deref()).await?;
    Ok(Answer(until(&state, &cancel, state.sight().wait_for_change(&desktop, search, None, &cancel)).await?))
}

async fn sought(state: &Rooms, search: PictureSearch) -> Result<PictureSought> {
    let cancel = looking(state, Name::LiveDesktop)?;
    let Some(picture) = &search.picture else {
        return Err(Error::invalid_at("/picture", "say which picture to look for: a file's path, or a data: URL"));
    };
    let mut wanted = needle(state, picture).await?;
    if let Some(mask) = &search.mask {
        wanted = wanted.masked(&needle(state, mask).await?)?;
    }
    let desktop = state.desktops().reach(search.target.as_deref()).await?;
    until(state, &cancel, state.sight().find_picture(&desktop, wanted, search, &cancel)).await
}

/// A picture that a request names.
async fn needle(state: &Rooms, picture: &str) -> Result<Needle> {
    if let Some(needle) = Needle::of_url(picture) {
        return Ok(needle?);
    }
    let path = state.grant().path(picture, Access::Read)?;
    blocking(move || Ok(Needle::decode(&files::read_bytes(&path)?)?)).await
}

fn patient(search: PictureSearch) -> PictureSearch {
    PictureSearch { timeout: search.timeout.or(Some(PATIENCE)), ..search }
}

//! `/api/automation/text`: reading the screen, and finding, awaiting and clicking a text there.

use axum::Json as Answer;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::super::error::{Error, ErrorResponse, Result};
use super::super::extract::Json;
use super::super::success::AutomationResponse;
use super::act;
use crate::api::State as Rooms;
use crate::desktop::Action;
use crate::error::{Failure, Kind};
use crate::input::{Button, Click};
use crate::ocr::{Engine, Preprocess, Reading, Text};
use crate::screen::Region;
use crate::services::Name;
use crate::sight::{FoundText, TextSearch, TextSought, WindowChoice, Zone};

/// Seconds that a text is waited for, where the caller does not say.
const PATIENCE: f64 = 10.0;

/// A part of the screen to read. Without anything the whole virtual screen.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "x": 100, "y": 50, "width": 400, "height": 40, "page_segmentation": 7 }))]
pub(crate) struct TextReadRequest {
    /// Left edge, counted from the corner of the window or monitor where one is given; with `y`, `width` and `height`.
    x: Option<i32>,
    /// Top edge.
    y: Option<i32>,
    /// Width in pixels.
    #[schema(minimum = 1)]
    width: Option<u32>,
    /// Height in pixels.
    #[schema(minimum = 1)]
    height: Option<u32>,
    /// Look at this monitor.
    monitor: Option<usize>,
    /// Look at this window.
    window: Option<WindowChoice>,
    /// Look at the zone of this name; `x`, `y`, `width` and `height` are a part of it then.
    #[schema(max_length = 64)]
    zone: Option<String>,
    /// Tesseract's name of the language, several joined by `+`; without it the configured ones.
    #[schema(max_length = 200)]
    language: Option<String>,
    /// Tesseract's page segmentation mode, 1 or 3–13.
    #[schema(minimum = 1, maximum = 13)]
    page_segmentation: Option<u8>,
    /// Read only these characters.
    whitelist: Option<String>,
    /// What is done to the picture first; without it what the zone says, or `auto`.
    preprocess: Option<Preprocess>,
    /// What reads it; without it Tesseract.
    engine: Option<Engine>,
    /// From which confidence on the text is accepted, 0–1; without it the configured one.
    #[schema(minimum = 0, maximum = 1)]
    confidence_threshold: Option<f64>,
    /// Seconds that the reading may take, waiting for a free engine included, at most `OCR_TIMEOUT`; without it what the zone says, or that.
    #[schema(exclusive_minimum = 0)]
    timeout: Option<f64>,
    /// The desktop; without it the default one.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    target: Option<String>,
}

/// A text to click, and how.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "find": { "text": "Save", "timeout": 10 }, "button": "left", "clicks": 1 }))]
pub(crate) struct TextClickRequest {
    /// The text. Without a `timeout` it is waited for as long as 10 seconds.
    find: TextSearch,
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
    /// Pixels to the right of the text's middle.
    #[serde(default)]
    offset_x: i32,
    /// Pixels below it.
    #[serde(default)]
    offset_y: i32,
}

/// A text that was waited for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TextAwaited {
    /// Where it is; null where it was waited for until it was gone.
    found: Option<FoundText>,
    /// Seconds it took.
    execution_time: f64,
}

fn one() -> u32 {
    1
}

fn tenth() -> f64 {
    0.1
}

/// Reads a part of the screen as it is now. What has not changed since it was last read is not read again.
#[utoipa::path(post, path = "/api/automation/text/read", tag = "automation", operation_id = "text_read", request_body = TextReadRequest, responses((status = 200, body = Text), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn read(State(state): State<Rooms>, Json(request): Json<TextReadRequest>) -> Result<Answer<Text>> {
    let TextReadRequest { x, y, width, height, monitor, window, zone, target, .. } = request;
    let TextReadRequest { language, page_segmentation, whitelist, preprocess, engine, confidence_threshold, timeout, .. } = request;
    let cancel = looking(&state, Name::EnhancedOcr)?;
    let reading = Reading { language, page_segmentation, whitelist, preprocess, engine, confidence_threshold, timeout };
    let desktop = state.desktops().reach(target.as_deref()).await?;
    let zone = Zone { x, y, width, height, monitor, window, zone };
    Ok(Answer(until(&state, &cancel, state.sight().read(&desktop, zone, reading, &cancel)).await?))
}

/// Looks for a text once. Whether it is there, what else fits, what comes closest, how that looks and what was read stands in the answer. With
/// a `timeout` it waits, as `wait` does.
#[utoipa::path(post, path = "/api/automation/text/find", tag = "automation", operation_id = "text_find", request_body = TextSearch, responses((status = 200, body = TextSought), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn find(State(state): State<Rooms>, Json(search): Json<TextSearch>) -> Result<Answer<TextSought>> {
    let (gone, target) = (search.gone, search.target.clone());
    let mut sought = sought(&state, search).await?;
    sought.image = shown(&state, target, sought.telling().filter(|_| !gone)).await?;
    Ok(Answer(sought))
}

/// Waits until a text is on the screen, or with `gone` until it is not. Where it does not come in time, the error's `details` have what comes
/// closest (`nearest`), what was read (`seen`), the `zone`, and a picture of it (`image`, a `data:` URL).
#[utoipa::path(post, path = "/api/automation/text/wait", tag = "automation", operation_id = "text_wait", request_body = TextSearch, responses((status = 200, body = TextAwaited), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn wait(State(state): State<Rooms>, Json(search): Json<TextSearch>) -> Result<Answer<TextAwaited>> {
    let TextSought { found, execution_time, .. } = sought(&state, patient(search)).await?;
    Ok(Answer(TextAwaited { found, execution_time }))
}

/// Waits until a text is on the screen, and clicks in its middle. `data` has the point and what was `found` there.
#[utoipa::path(post, path = "/api/automation/text/click", tag = "automation", operation_id = "text_click", request_body = TextClickRequest, responses((status = 200, body = AutomationResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse), (status = 504, body = ErrorResponse)))]
pub(crate) async fn click(State(state): State<Rooms>, Json(request): Json<TextClickRequest>) -> Result<Answer<AutomationResponse>> {
    let TextClickRequest { find, button, clicks, duration, offset_x, offset_y } = request;
    if find.gone {
        return Err(Error::invalid_at("/find/gone", "what is not there cannot be clicked"));
    }
    // Who may not click need not wait for what is clicked.
    state.enter(Name::ClickAutomation)?;
    state.grant().input()?;
    let target = find.target.clone();
    let Some(found) = sought(&state, patient(find)).await?.found else {
        return Err(Failure::new(Kind::NotFound, "the text is not there").into());
    };
    let (x, y) = (found.center_x.saturating_add(offset_x), found.center_y.saturating_add(offset_y));
    act(&state, target, Action::Click(Click { x, y, button, clicks, duration })).await?;
    Ok(Answer(AutomationResponse::new(format!("clicked at {x}, {y}"), Some(json!({ "x": x, "y": y, "found": found })))))
}

async fn sought(state: &Rooms, search: TextSearch) -> Result<TextSought> {
    let cancel = looking(state, Name::EnhancedOcr)?;
    let desktop = state.desktops().reach(search.target.as_deref()).await?;
    until(state, &cancel, state.sight().find_text(&desktop, search, &cancel)).await
}

/// What stops a look: the part that looks is stopped, or nobody waits for it any more.
pub(in crate::api) fn looking(state: &Rooms, part: Name) -> Result<CancellationToken> {
    let cancel = state.enter(part)?.child_token();
    state.grant().screen()?;
    Ok(cancel)
}

/// How the part of a desktop looks, if there is one, that shows best why something is not there.
pub(super) async fn shown(state: &Rooms, target: Option<String>, part: Option<Region>) -> Result<Option<String>> {
    let Some(part) = part else { return Ok(None) };
    let desktop = state.desktops().reach(target.as_deref()).await?;
    Ok(state.sight().shown(&desktop, part, &CancellationToken::new()).await)
}

/// Looks until it is done, or the server ends.
pub(in crate::api) async fn until<T>(
    state: &Rooms,
    cancel: &CancellationToken,
    looking: impl Future<Output = std::result::Result<T, crate::sight::Error>>,
) -> Result<T> {
    tokio::pin!(looking);
    let done = tokio::select! {
        biased;
        done = &mut looking => done,
        () = state.shutdown().cancelled() => {
            cancel.cancel();
            looking.await
        }
    };
    Ok(done?)
}

fn patient(search: TextSearch) -> TextSearch {
    TextSearch { timeout: search.timeout.or(Some(PATIENCE)), ..search }
}

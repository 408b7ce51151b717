//! `/api/automation`: what can be done with mouse, keyboard and clipboard, and what there is to do it with.

pub(super) mod clipboard;
pub(super) mod keyboard;
pub(super) mod mouse;
pub(super) mod picture;
pub(in crate::api) mod text;

use std::sync::Arc;

use axum::Json as Answer;
use axum::extract::State;
use serde::Serialize;
use tokio::pin;
use utoipa::ToSchema;

use super::desktop::targets::TargetQuery;
use super::error::Result;
use super::extract::Query;
use super::state::blocking;
use super::success::unix_now;
use super::visit;
use crate::desktop::{Action, Who};
use crate::error::Failure;
use crate::services::Name;

/// What others are told who has mouse and keyboard.
const WHO: &str = "an action over REST";

/// How automation is.
#[derive(Serialize, ToSchema)]
pub(crate) struct AutomationStatus {
    /// `true`.
    success: bool,
    /// The same as a sentence.
    message: String,
    /// What it works with.
    data: AutomationSettings,
    /// When, in Unix seconds.
    timestamp: f64,
}

/// What automation works with.
#[derive(Serialize, ToSchema)]
pub(crate) struct AutomationSettings {
    /// `local` (the session's desktop), `virtual` (one of TRAE's own) or `none`.
    #[schema(example = "local")]
    automation_mode: String,
    /// The size of the whole virtual screen; null where there is none.
    screen_size: Option<ScreenSize>,
    /// What coordinates are divided by where `scale_coordinates` is true: the size of streamed pictures as a part of the screen's.
    #[schema(example = 1.0)]
    scale_factor: f64,
    /// Whether the neural reader is loaded.
    easyocr_available: bool,
    /// Whether Tesseract can read any language.
    tesseract_available: bool,
}

/// A width and a height in pixels.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({ "width": 1920, "height": 1080 }))]
pub(crate) struct ScreenSize {
    /// From left to right.
    width: u32,
    /// From top to bottom.
    height: u32,
}

/// What can be called; nothing that cannot is listed.
#[derive(Serialize, ToSchema)]
pub(crate) struct Capabilities {
    /// `POST /api/automation/mouse/{action}`.
    #[schema(example = json!(["click", "move", "drag", "scroll", "down", "up"]))]
    mouse_actions: Vec<&'static str>,
    /// `POST /api/automation/keyboard/{action}`.
    #[schema(example = json!(["type", "press", "hotkey", "down", "up"]))]
    keyboard_actions: Vec<&'static str>,
    /// `GET` and `POST /api/automation/clipboard`.
    #[schema(example = json!(["read", "set"]))]
    clipboard_actions: Vec<&'static str>,
    /// What reads text.
    #[schema(example = json!(["tesseract"]))]
    ocr_engines: Vec<&'static str>,
    /// What can be done with text on the screen.
    #[schema(example = json!(["read", "find", "wait", "click"]))]
    text_actions: Vec<&'static str>,
    /// What can be done with pictures on the screen.
    #[schema(example = json!(["find", "wait", "click", "difference"]))]
    picture_actions: Vec<&'static str>,
    /// How screenshots can be written down.
    #[schema(example = json!(["png", "jpeg", "webp"]))]
    screenshot_formats: Vec<&'static str>,
}

/// What automation works with.
#[utoipa::path(get, path = "/api/automation/status", tag = "automation", operation_id = "automation_status", params(TargetQuery), responses((status = 200, body = AutomationStatus)))]
pub(crate) async fn status(State(state): State<super::State>, Query(query): Query<TargetQuery>) -> Result<Answer<AutomationStatus>> {
    state.desktops().check(query.target.as_deref()).map_err(Failure::from)?;
    // Without a screen the rest is still worth knowing.
    let seen = state.on_desktop(query.target, |desktop, _| Ok((desktop.kind().as_str(), desktop.screen().bounds()?))).await;
    let message = match (&state.enter(Name::ClickAutomation), &seen) {
        (Err(error), _) | (Ok(_), Err(error)) => error.failure().message.clone(),
        (Ok(_), Ok(_)) => "automation is ready".to_owned(),
    };
    let seen = seen.ok();
    let data = AutomationSettings {
        automation_mode: seen.as_ref().map_or("none", |(kind, _)| kind).to_owned(),
        screen_size: seen.map(|(_, bounds)| ScreenSize { width: bounds.width, height: bounds.height }),
        scale_factor: state.desktops().streams().usual().scale_factor,
        easyocr_available: neural(&state).await,
        tesseract_available: tesseract(&state).await,
    };
    Ok(Answer(AutomationStatus { success: true, message, data, timestamp: unix_now() }))
}

/// What can be called; nothing that cannot is listed.
#[utoipa::path(get, path = "/api/automation/capabilities", tag = "automation", operation_id = "automation_capabilities", responses((status = 200, body = Capabilities)))]
pub(crate) async fn capabilities(State(state): State<super::State>) -> Result<Answer<Capabilities>> {
    let on = state.enter(Name::ClickAutomation).is_ok();
    let reading = state.enter(Name::EnhancedOcr).is_ok();
    let engines = [("tesseract", reading && tesseract(&state).await), ("easyocr", reading && neural(&state).await)];
    let engines: Vec<&str> = engines.iter().filter(|(_, there)| *there).map(|(name, _)| *name).collect();
    let reads = !engines.is_empty();
    let sees = state.enter(Name::LiveDesktop).is_ok();
    let listed = |there: bool, names: &[&'static str]| if there { names.to_vec() } else { Vec::new() };
    Ok(Answer(Capabilities {
        mouse_actions: listed(on, &["click", "move", "drag", "scroll", "down", "up"]),
        keyboard_actions: listed(on, &["type", "press", "hotkey", "down", "up"]),
        clipboard_actions: listed(on, &["read", "set"]),
        ocr_engines: engines,
        text_actions: match (reads, on) {
            (true, true) => vec!["read", "find", "wait", "click"],
            (true, false) => vec!["read", "find", "wait"],
            (false, _) => Vec::new(),
        },
        picture_actions: match (sees, on) {
            (true, true) => vec!["find", "wait", "click", "difference"],
            (true, false) => vec!["find", "wait", "difference"],
            (false, _) => vec!["difference"],
        },
        screenshot_formats: listed(sees, &["png", "jpeg", "webp"]),
    }))
}

/// Whether Tesseract can read any language.
async fn tesseract(state: &super::State) -> bool {
    let ocr = Arc::clone(state.ocr());
    blocking(move || Ok(ocr.languages()?)).await.is_ok_and(|languages| !languages.is_empty())
}

/// Whether the neural engine can be used.
async fn neural(state: &super::State) -> bool {
    let ocr = Arc::clone(state.ocr());
    blocking(move || Ok(ocr.neural()?)).await.is_ok()
}

/// Uses mouse or keyboard when its turn comes; says how many characters were typed. If the caller goes away, it stops.
pub(super) async fn act(state: &super::State, target: Option<String>, action: Action) -> Result<u64> {
    let cancel = state.enter(Name::ClickAutomation)?.child_token();
    state.grant().input()?;
    let desktop = state.desktops().reach(target.as_deref()).await?;
    let done = desktop.act(Who::action(WHO, visit::control_token()), action, &cancel);
    pin!(done);
    tokio::select! {
        biased;
        done = &mut done => return Ok(done?),
        () = state.shutdown().cancelled() => cancel.cancel(),
    }
    Ok(done.await?)
}

//! `/api/desktop/control`: who is at the controls, asking for control, giving it and giving it up; and the emergency stop.
//!
//! Over REST nobody notices when a client goes away: it shows its token, and loses its place when nothing is heard of it for
//! `CONTROL_IDLE`. On `/ws/desktop-stream` control ends with the connection.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Json as Answer;
use axum::extract::State;
use chrono::{DateTime, SecondsFormat, Utc};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::error::{Error, ErrorResponse, Result};
use super::super::extract::{Json, OptionalJson, Query};
use super::super::visit;
use super::targets::TargetQuery;
use crate::api::State as Rooms;
use crate::config;
use crate::desktop::control::How;
use crate::desktop::{self, Control, Controls, Desktop, Party, PartyKind};
use crate::services::Name;

/// The longest name, in characters.
const LONGEST: usize = 64;

/// Somebody who has mouse and keyboard, or waits for them.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct ControlParty {
    /// The number of its place.
    pub(crate) id: u64,
    /// What it is.
    kind: PartyKind,
    /// Its name.
    name: String,
    /// The run, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    run_id: Option<String>,
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// When it ends by itself if nothing is done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    until: Option<String>,
    /// It takes over as soon as what is being done just now is over.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    takes: bool,
}

/// An emergency stop.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub(crate) struct EmergencyView {
    /// How it came about.
    how: How,
    /// Who asked for it, as far as that is known.
    by: Option<String>,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What it ended.
    stopped: Vec<String>,
}

/// Who is at the controls.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "holder": { "id": 3, "kind": "person", "name": "Ann", "since": "2026-01-31T12:00:00.000Z", "until": "2026-01-31T12:02:00.000Z" },
    "requests": [{ "id": 5, "kind": "person", "name": "Bob", "since": "2026-01-31T12:01:00.000Z" }],
    "waiting": [{ "id": 2, "kind": "run", "name": "run 0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "run_id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "since": "2026-01-31T11:59:00.000Z" }],
    "emergency": null
}))]
pub(crate) struct ControlView {
    /// Who has mouse and keyboard.
    pub(crate) holder: Option<ControlParty>,
    /// People who ask for control, the next one first; they come before runs.
    pub(crate) requests: Vec<ControlParty>,
    /// Runs and single actions that wait, the next one first. A run that somebody took control from is the first of them.
    pub(crate) waiting: Vec<ControlParty>,
    /// The last emergency stop since the server started.
    emergency: Option<EmergencyView>,
}

/// How control and the emergency stop are set.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "idle": 120, "pause": 10, "hot_key": "ctrl+alt+shift+esc", "corner": "top_left" }))]
pub(crate) struct ControlRules {
    /// Seconds after which a person who does nothing loses control: `CONTROL_IDLE`.
    idle: u64,
    /// Seconds of quiet after an emergency stop: `EMERGENCY_PAUSE`.
    pause: u64,
    /// The hot key at the desktop itself: `EMERGENCY_HOTKEY`.
    hot_key: Option<String>,
    /// The corner of the screen: `EMERGENCY_CORNER`.
    corner: Option<&'static str>,
}

/// The answer to whatever concerns control.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ControlResponse {
    /// `true`.
    success: bool,
    /// How it is set.
    rules: ControlRules,
    /// Where the caller stands; null for who has no place.
    you: Option<ControlPlace>,
    #[serde(flatten)]
    control: ControlView,
}

/// The caller's own place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ControlPlace {
    /// Its number.
    id: u64,
    /// Whether it has control now.
    holds: bool,
    /// To be sent as `X-Control-Token` with everything that is done with mouse and keyboard, and to give control up.
    token: String,
}

/// Who asks.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "name": "Ann" }))]
pub(crate) struct ControlAsk {
    /// How others see them; without it the name of the key, or `somebody`.
    #[schema(min_length = 1, max_length = 64, pattern = r"^[^\x00-\x1f\x7f-\x9f]*$")]
    pub(crate) name: Option<String>,
}

/// To whom control goes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "to": 5 }))]
pub(crate) struct ControlGive {
    /// The number of a place among `requests` or `waiting`.
    pub(crate) to: u64,
}

/// What an emergency stop did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "success": true, "message": "ended: run 0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "stopped": [{ "id": 2, "kind": "run", "name": "run 0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "run_id": "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c04", "since": "2026-01-31T11:59:00.000Z" }] }))]
pub(crate) struct EmergencyResponse {
    /// `true`.
    success: bool,
    /// What was ended, as a sentence.
    message: String,
    /// What was ended.
    stopped: Vec<ControlParty>,
}

fn written(at: SystemTime) -> String {
    DateTime::<Utc>::from(at).to_rfc3339_opts(SecondsFormat::Millis, true)
}

impl From<Party> for ControlParty {
    fn from(party: Party) -> Self {
        let Party { id, kind, name, run_id, since, until, takes } = party;
        Self { id, kind, name, run_id, since: written(since), until: until.map(written), takes }
    }
}

impl From<Controls> for ControlView {
    fn from(controls: Controls) -> Self {
        let all = |parties: Vec<Party>| parties.into_iter().map(Into::into).collect();
        let emergency =
            controls.emergency.map(|stop| EmergencyView { how: stop.how, by: stop.by, at: written(stop.at), stopped: stop.stopped });
        Self { holder: controls.holder.map(Into::into), requests: all(controls.requests), waiting: all(controls.waiting), emergency }
    }
}

impl ControlView {
    /// What those are told who follow it: single actions come and go too fast for that, and when something ends moves with all that is done.
    pub(crate) fn told(mut self) -> Self {
        self.holder.take_if(|holder| holder.kind == PartyKind::Action);
        self.waiting.retain(|party| party.kind != PartyKind::Action);
        self.holder.iter_mut().chain(&mut self.requests).for_each(|party| party.until = None);
        self
    }
}

/// The name that somebody goes by.
pub(crate) fn name(asked: ControlAsk) -> Result<String> {
    let name = asked.name.as_deref().unwrap_or_default().trim();
    if name.is_empty() {
        return Ok(visit::name().unwrap_or_else(|| "somebody".to_owned()));
    }
    if name.chars().count() > LONGEST || name.chars().any(char::is_control) {
        return Err(Error::invalid_at("/name", "a name has from 1 to 64 characters, and no control characters"));
    }
    Ok(name.to_owned())
}

fn rules(config: &config::Desktop) -> ControlRules {
    let corner = config.emergency_corner.map(|corner| match corner {
        config::Corner::TopLeft => "top_left",
        config::Corner::TopRight => "top_right",
        config::Corner::BottomLeft => "bottom_left",
        config::Corner::BottomRight => "bottom_right",
    });
    let config::Desktop { control_idle: idle, emergency_pause: pause, emergency_hotkey: hot_key, .. } = config;
    ControlRules { idle: idle.as_secs(), pause: pause.as_secs(), hot_key: hot_key.clone(), corner }
}

fn answer(state: &Rooms, you: Option<ControlPlace>, controls: Controls) -> Answer<ControlResponse> {
    Answer(ControlResponse { success: true, rules: rules(&state.config().desktop), you, control: controls.into() })
}

/// The desktop that is meant, where it is open.
fn open(state: &Rooms, target: Option<&str>) -> Result<Option<Arc<Desktop>>> {
    state.desktops().check(target)?;
    let name = target.unwrap_or(desktop::DEFAULT);
    Ok(state.desktops().all_open().into_iter().find(|desktop| desktop.name() == name))
}

fn place(id: u64, holds: bool, token: &desktop::Token) -> ControlPlace {
    ControlPlace { id, holds, token: token.as_str().to_owned() }
}

/// Who is at the controls of the desktop, who asks for them, and who waits. With `X-Control-Token`, `you` is the caller's own place.
#[utoipa::path(get, path = "/api/desktop/control", tag = "desktop", operation_id = "desktop_control", params(TargetQuery, ("X-Control-Token" = Option<String>, Header, description = "The token of the caller's place.")), responses((status = 200, body = ControlResponse), (status = 404, body = ErrorResponse)))]
pub(crate) async fn get(State(state): State<Rooms>, Query(TargetQuery { target }): Query<TargetQuery>) -> Result<Answer<ControlResponse>> {
    let Some(desktop) = open(&state, target.as_deref())? else {
        return Ok(answer(&state, None, Controls::default()));
    };
    let you = visit::control_token().and_then(|token| desktop.still_there(&token).map(|(id, holds)| place(id, holds, &token)));
    Ok(answer(&state, you, desktop.controls()))
}

/// Asks for control: it comes at once where nobody has mouse and keyboard, else after whoever has them, before all runs that wait. `you`
/// says whether it has come. Asked again with the token of a place it only says so, and that the caller is still there.
#[utoipa::path(post, path = "/api/desktop/control/request", tag = "desktop", operation_id = "desktop_control_request", params(TargetQuery, ("X-Control-Token" = Option<String>, Header, description = "The token of the caller's place, to keep it.")), request_body = ControlAsk, responses((status = 200, body = ControlResponse), (status = 404, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn request(
    State(state): State<Rooms>,
    Query(TargetQuery { target }): Query<TargetQuery>,
    OptionalJson(asked): OptionalJson<ControlAsk>,
) -> Result<Answer<ControlResponse>> {
    let name = name(asked)?;
    state.enter(Name::ClickAutomation)?;
    state.grant().input()?;
    let desktop = state.desktops().reach(target.as_deref()).await?;
    if let Some(token) = visit::control_token()
        && let Some((id, holds)) = desktop.still_there(&token)
    {
        return Ok(answer(&state, Some(place(id, holds, &token)), desktop.controls()));
    }
    Ok(given(&state, &desktop, desktop.request_control(name, false)?))
}

/// Takes control, whoever has it. A run goes on when control is released; it waits until then at its next use of mouse or keyboard. 409
/// where what is being done just now does not end within 10 s.
#[utoipa::path(post, path = "/api/desktop/control/take", tag = "desktop", operation_id = "desktop_control_take", params(TargetQuery), request_body = ControlAsk, responses((status = 200, body = ControlResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn take(
    State(state): State<Rooms>,
    Query(TargetQuery { target }): Query<TargetQuery>,
    OptionalJson(asked): OptionalJson<ControlAsk>,
) -> Result<Answer<ControlResponse>> {
    let name = name(asked)?;
    let cancel = state.enter(Name::ClickAutomation)?;
    state.grant().input()?;
    let desktop = state.desktops().reach(target.as_deref()).await?;
    if let Some(token) = visit::control_token() {
        // Whoever waits takes over now: one place is enough.
        let _ = desktop.release_control(Some(&token));
    }
    let control = desktop.take_control(name, false)?;
    desktop.taken(&control, &cancel).await?;
    Ok(given(&state, &desktop, control))
}

fn given(state: &Rooms, desktop: &Desktop, control: Control) -> Answer<ControlResponse> {
    let you = Some(place(control.id(), control.holds(), control.token()));
    control.keep();
    answer(state, you, desktop.controls())
}

/// Gives control to somebody who waits for it: a person, or a run.
#[utoipa::path(post, path = "/api/desktop/control/give", tag = "desktop", operation_id = "desktop_control_give", params(TargetQuery, ("X-Control-Token" = String, Header, description = "The token of who has control.")), request_body = ControlGive, responses((status = 200, body = ControlResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn give(
    State(state): State<Rooms>,
    Query(TargetQuery { target }): Query<TargetQuery>,
    Json(ControlGive { to }): Json<ControlGive>,
) -> Result<Answer<ControlResponse>> {
    state.grant().input()?;
    let nobody = || desktop::Error::NotYours { holder: None };
    let desktop = open(&state, target.as_deref())?.ok_or_else(nobody)?;
    let token = visit::control_token().ok_or_else(|| desktop::Error::NotYours { holder: desktop.holder() })?;
    desktop.give_control(&token, to)?;
    Ok(answer(&state, None, desktop.controls()))
}

/// Gives up control, or the place of who waits for it. Without a token: ends the quiet after an emergency stop.
#[utoipa::path(post, path = "/api/desktop/control/release", tag = "desktop", operation_id = "desktop_control_release", params(TargetQuery, ("X-Control-Token" = Option<String>, Header, description = "The token of the place.")), responses((status = 200, body = ControlResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn release(
    State(state): State<Rooms>,
    Query(TargetQuery { target }): Query<TargetQuery>,
) -> Result<Answer<ControlResponse>> {
    state.grant().input()?;
    let nobody = || desktop::Error::NotYours { holder: None };
    let desktop = open(&state, target.as_deref())?.ok_or_else(nobody)?;
    desktop.release_control(visit::control_token().as_ref())?;
    Ok(answer(&state, None, desktop.controls()))
}

/// Ends whatever has mouse and keyboard: a run is cancelled, an action stops in the middle, a person loses control, and all that is held
/// down is let go. For `EMERGENCY_PAUSE` nobody else uses them, unless somebody takes control or ends that by `control/release`; runs that
/// only wait go on afterwards. The hot key and the corner of the screen do the same. Without `target` on every desktop.
#[utoipa::path(post, path = "/api/desktop/emergency-stop", tag = "desktop", operation_id = "desktop_emergency_stop", params(TargetQuery), responses((status = 200, body = EmergencyResponse), (status = 404, body = ErrorResponse)))]
pub(crate) async fn emergency_stop(
    State(state): State<Rooms>,
    Query(TargetQuery { target }): Query<TargetQuery>,
) -> Result<Answer<EmergencyResponse>> {
    state.grant().input()?;
    let desktops = match &target {
        Some(target) => open(&state, Some(target))?.into_iter().collect(),
        None => state.desktops().all_open(),
    };
    // All at once: none waits until another is quiet.
    let stops = desktops.iter().map(|desktop| desktop.emergency_stop(How::Api, visit::name()));
    let stopped: Vec<Party> = join_all(stops).await.into_iter().flatten().collect();
    let names: Vec<_> = stopped.iter().map(|party| party.name.as_str()).collect();
    let message = if names.is_empty() { "nothing had mouse and keyboard".to_owned() } else { format!("ended: {}", names.join(", ")) };
    Ok(Answer(EmergencyResponse { success: true, message, stopped: stopped.into_iter().map(Into::into).collect() }))
}

//! What a client of `/ws/desktop-stream` says, one message at a time.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::super::desktop::control::{ControlAsk, ControlGive};
use super::super::extract;
use crate::desktop::{Action, Change};
use crate::error::{Failure, Kind};
use crate::input::{Button, Click, Hold, KeyHold, Move, Physical, Press, Scroll, TypeText};

/// One message.
pub(super) enum Said {
    /// Begin to show the desktop, or begin anew.
    Start(StreamConfig),
    /// Show it otherwise; what is not named stays.
    Configure(StreamConfig),
    /// Show it no longer.
    Stop,
    /// Answered by `pong`.
    Ping,
    /// An update of a binary stream was shown, and all before it.
    Ack(u32),
    /// Send the next picture whole.
    Keyframe,
    /// Mouse or keyboard, at the desktop of that name; none is the one that is streamed, in whose picture's coordinates it still is.
    Input(Action, Option<String>),
    /// Ask for control.
    RequestControl(ControlAsk),
    /// Take control, whoever has it.
    TakeControl(ControlAsk),
    /// Give control to whoever waits in the place of that number.
    GiveControl(u64),
    /// Give control up, or wait for it no longer.
    ReleaseControl,
    /// End whatever has mouse and keyboard.
    EmergencyStop,
    /// Put a text on the clipboard.
    ClipboardSet(String),
    /// Tell of each change of the clipboard, or no longer.
    ClipboardFollow(bool),
}

/// Why a message is not one.
pub(super) enum Wrong {
    /// It cannot be understood at all.
    Malformed(Failure),
    /// It can, but not with these values.
    Values(Failure),
}

/// How the desktop is to be shown.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "fps": 5, "quality": 80, "scale_factor": 1.0, "monitor": 0, "format": "jpeg" }))]
pub(super) struct StreamConfig {
    /// Pictures a second, at most.
    #[schema(minimum = 1, maximum = 60)]
    fps: Option<u32>,
    /// JPEG quality.
    #[schema(minimum = 1, maximum = 100)]
    quality: Option<u8>,
    /// The size of the pictures as a part of the screen's.
    #[schema(minimum = 0.05, maximum = 1)]
    scale_factor: Option<f64>,
    /// The monitor's number; 0 is the primary one.
    pub(super) monitor: Option<usize>,
    /// How the pictures are sent.
    pub(super) format: Option<StreamFormat>,
    /// The desktop; without it the default one.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub(super) target: Option<String>,
}

/// How pictures are sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StreamFormat {
    /// Each as a JPEG, in base64, in a JSON message.
    #[default]
    Jpeg,
    /// What has changed, in binary messages that the client acknowledges.
    Binary,
}

impl StreamConfig {
    /// What it says of how pictures look and how often they come.
    pub(super) fn change(&self) -> Change {
        let Self { fps, quality, scale_factor, .. } = *self;
        Change { fps, quality, scale_factor }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Begin {
    #[serde(default)]
    config: Option<StreamConfig>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Shown {
    /// The number of the update.
    sequence: u32,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct At {
    x: i32,
    y: i32,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClickAt {
    x: i32,
    y: i32,
    #[serde(default)]
    button: Button,
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100)]
    clicks: u32,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Stroke {
    /// By what it types, as PyAutoGUI spells it.
    #[serde(default)]
    key: Option<String>,
    /// By where it is, as browsers spell it: `KeyA`, `ShiftLeft`.
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    action: StrokeAction,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StrokeAction {
    #[default]
    Press,
    Down,
    Up,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Typed {
    #[schema(max_length = 65536)]
    text: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Copied {
    text: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Follow {
    #[serde(default = "yes")]
    follow: bool,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

/// Reads a message.
pub(super) fn read(text: &str) -> Result<Said, Wrong> {
    let value: Value = serde_json::from_str(text).map_err(|error| Wrong::Malformed(extract::syntax(&error).failure().clone()))?;
    let Value::Object(mut fields) = value else {
        return Err(unknown("a message is a JSON object with a `type`"));
    };
    let Some(Value::String(kind)) = fields.remove("type") else {
        return Err(unknown("the message has no `type`"));
    };
    Ok(match kind.as_str() {
        "start_stream" => Said::Start(fields_as::<Begin>(fields)?.config.unwrap_or_default()),
        // As a part of the message like the start, or by itself.
        "configure" if fields.contains_key("config") => Said::Configure(fields_as::<Begin>(fields)?.config.unwrap_or_default()),
        "configure" => Said::Configure(fields_as(fields)?),
        "stop_stream" => fields_as::<Nothing>(fields).map(|_| Said::Stop)?,
        "ping" => fields_as::<Nothing>(fields).map(|_| Said::Ping)?,
        "ack" => Said::Ack(fields_as::<Shown>(fields)?.sequence),
        "keyframe" => fields_as::<Nothing>(fields).map(|_| Said::Keyframe)?,
        "request_control" => Said::RequestControl(fields_as(fields)?),
        "take_control" => Said::TakeControl(fields_as(fields)?),
        "give_control" => Said::GiveControl(fields_as::<ControlGive>(fields)?.to),
        "release_control" => fields_as::<Nothing>(fields).map(|_| Said::ReleaseControl)?,
        "emergency_stop" => fields_as::<Nothing>(fields).map(|_| Said::EmergencyStop)?,
        "clipboard_set" => Said::ClipboardSet(fields_as::<Copied>(fields)?.text),
        "clipboard_follow" => Said::ClipboardFollow(fields_as::<Follow>(fields)?.follow),
        kind => return input(kind, fields),
    })
}

/// Reads a message that is for mouse or keyboard.
fn input(kind: &str, mut fields: Map<String, Value>) -> Result<Said, Wrong> {
    let target = match fields.remove("target") {
        None | Some(Value::Null) => None,
        Some(Value::String(name)) => Some(name),
        Some(_) => {
            let message = "a desktop's name is a text";
            let details = serde_json::json!({ "errors": [{ "path": "/target", "message": message }] });
            return Err(Wrong::Values(Failure::new(Kind::ValidationError, message).with(details)));
        }
    };
    let action = match kind {
        "mouse_move" => {
            let At { x, y } = fields_as(fields)?;
            Action::Move(Move { x, y, duration: 0.0 })
        }
        "mouse_down" => Action::ButtonDown(fields_as::<Hold>(fields)?),
        "mouse_up" => Action::ButtonUp(fields_as::<Hold>(fields)?),
        "click" => {
            let ClickAt { x, y, button, clicks } = fields_as(fields)?;
            Action::Click(Click { x, y, button, clicks, duration: 0.0 })
        }
        "scroll" => Action::Scroll(fields_as::<Scroll>(fields)?),
        "key" => stroke(fields_as(fields)?)?,
        "type" => Action::Type(TypeText { text: fields_as::<Typed>(fields)?.text, interval: 0.0, allow_control: true }),
        other => {
            let other: String = other.chars().take(64).collect();
            return Err(unknown(&format!("there is no message {other:?}")));
        }
    };
    Ok(Said::Input(action, target))
}

/// A key by what it types, or by where it is.
fn stroke(Stroke { key, code, action }: Stroke) -> Result<Action, Wrong> {
    match (key, code) {
        (Some(key), None) => Ok(match action {
            StrokeAction::Press => Action::Press(Press { key, presses: 1, interval: 0.0 }),
            StrokeAction::Down => Action::KeyDown(KeyHold { key }),
            StrokeAction::Up => Action::KeyUp(KeyHold { key }),
        }),
        (None, Some(code)) => {
            let place = Physical::of_code(&code).map_err(|error| Wrong::Values(error.into()))?;
            Ok(match action {
                StrokeAction::Press => Action::CodePress(place),
                StrokeAction::Down => Action::CodeDown(place),
                StrokeAction::Up => Action::CodeUp(place),
            })
        }
        (Some(_), Some(_)) | (None, None) => {
            let message = "a key is named by `key` (what it types) or by `code` (where it is): give one of them";
            let details = serde_json::json!({ "errors": [{ "path": "/key", "message": message }] });
            Err(Wrong::Values(Failure::new(Kind::ValidationError, message).with(details)))
        }
    }
}

fn unknown(what: &str) -> Wrong {
    const KNOWN: &str = "start_stream, configure, stop_stream, ping, ack, keyframe, mouse_move, mouse_down, mouse_up, click, scroll, key, \
                         type, request_control, take_control, give_control, release_control, emergency_stop, clipboard_set and \
                         clipboard_follow";
    let message = format!("{what}: send one of {KNOWN}");
    let details = serde_json::json!({ "errors": [{ "path": "/type", "message": message }] });
    Wrong::Malformed(Failure::new(Kind::ValidationError, message).with(details))
}

/// The rest of a message as what its type says.
fn fields_as<T: DeserializeOwned + ToSchema + 'static>(fields: Map<String, Value>) -> Result<T, Wrong> {
    let bytes = serde_json::to_vec(&fields).unwrap_or_default();
    extract::read(&bytes).map_err(|error| Wrong::Values(error.failure().clone()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(message: Value) -> Failure {
        match read(&message.to_string()) {
            Err(Wrong::Malformed(failure) | Wrong::Values(failure)) => failure,
            Ok(_) => panic!("{message} was understood"),
        }
    }

    #[test]
    fn values_out_of_range_are_named_by_their_place() {
        for (config, path) in [
            (json!({ "fps": 0 }), "/config/fps"),
            (json!({ "fps": -1 }), "/config/fps"),
            (json!({ "fps": 1_000_000_000 }), "/config/fps"),
            (json!({ "fps": 5.5 }), "/config/fps"),
            (json!({ "quality": 0 }), "/config/quality"),
            (json!({ "quality": 101 }), "/config/quality"),
            (json!({ "scale_factor": 0 }), "/config/scale_factor"),
            (json!({ "scale_factor": -1 }), "/config/scale_factor"),
            (json!({ "scale_factor": 1e9 }), "/config/scale_factor"),
            (json!({ "monitor": -1 }), "/config/monitor"),
            (json!({ "format": "gif" }), "/config/format"),
            (json!({ "speed": 1 }), "/config/speed"),
        ] {
            for kind in ["start_stream", "configure"] {
                let failure = refused(json!({ "type": kind, "config": config }));
                assert_eq!(failure.code, Kind::ValidationError, "{config}");
                assert_eq!(failure.details.unwrap()["errors"][0]["path"], path, "{config}");
            }
        }
        assert!(refused(json!({ "type": "start_stream", "config": { "format": "gif" } })).message.contains("jpeg"));
        for sequence in [json!(-1), json!(1.5), json!("1"), json!(1_u64 << 32), Value::Null] {
            let failure = refused(json!({ "type": "ack", "sequence": sequence }));
            assert_eq!(failure.details.unwrap()["errors"][0]["path"], "/sequence");
        }
        assert_eq!(refused(json!({ "type": "configure", "fps": 0 })).details.unwrap()["errors"][0]["path"], "/fps");
    }

    #[test]
    fn what_is_no_message_says_which_there_are() {
        for message in [json!([]), json!({}), json!({ "type": 1 }), json!({ "type": "fly" })] {
            assert!(refused(message).message.contains("start_stream"));
        }
    }

    #[test]
    fn a_key_is_named_in_one_way() {
        for (message, path) in [
            (json!({ "type": "key" }), "/key"),
            (json!({ "type": "key", "key": "a", "code": "KeyA" }), "/key"),
            (json!({ "type": "key", "code": "a" }), "/code"),
            (json!({ "type": "key", "code": "KeyA", "action": "hold" }), "/action"),
            (json!({ "type": "give_control" }), "/to"),
            (json!({ "type": "give_control", "to": -1 }), "/to"),
            (json!({ "type": "take_control", "name": "" }), "/name"),
            (json!({ "type": "request_control", "name": 5 }), "/name"),
            (json!({ "type": "release_control", "to": 5 }), ""),
            (json!({ "type": "clipboard_set" }), "/text"),
            (json!({ "type": "clipboard_follow", "follow": "yes" }), "/follow"),
        ] {
            let failure = refused(message.clone());
            assert_eq!(failure.details.unwrap()["errors"][0]["path"], path, "{message}");
        }
        let Ok(Said::Input(Action::CodeDown(_), None)) = read(r#"{"type":"key","code":"KeyA","action":"down"}"#) else { panic!() };
    }

    #[test]
    fn a_configuration_may_stand_alone_or_within() {
        for message in [json!({ "type": "configure", "fps": 7 }), json!({ "type": "configure", "config": { "fps": 7 } })] {
            let Ok(Said::Configure(config)) = read(&message.to_string()) else { panic!("{message}") };
            assert_eq!(config.change(), Change { fps: Some(7), ..Change::default() });
        }
    }
}

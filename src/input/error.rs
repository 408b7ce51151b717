//! Why something could not be done with the mouse or the keyboard.

use serde_json::{Value, json};

use super::Point;
use crate::error::{Classify, Kind};

/// Why something could not be done with the mouse or the keyboard.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no display, or it does not answer.
    #[error("the display {display} does not answer ({reason}): start it, or let TRAE start a virtual one")]
    Unavailable {
        /// The display's name, or words for the platform's own.
        display: String,
        /// What the system says.
        reason: String,
    },
    /// Another machine's mouse and keyboard cannot be used.
    #[error(transparent)]
    Remote(#[from] crate::vnc::Error),
    /// There is no display to ask.
    #[error("there is no display: set DISPLAY to that of a running session, or let TRAE start a virtual one")]
    NoDisplay,
    /// The display cannot be driven.
    #[error("the display cannot be driven: {0}")]
    Lacking(String),
    /// A point on no monitor.
    #[error("the point ({}, {}) is on no monitor: {areas}", point.x, point.y)]
    OffScreen {
        /// The point asked for.
        point: Point,
        /// Where the monitors are.
        areas: String,
        /// The field that says it.
        path: &'static str,
    },
    /// A number outside its range.
    #[error("{name} is {value}: give a number from {least} to {most}")]
    Range {
        /// The field.
        path: &'static str,
        /// The field in words.
        name: &'static str,
        /// What was given.
        value: f64,
        /// The least that is accepted.
        least: f64,
        /// The most that is accepted.
        most: f64,
    },
    /// One coordinate without the other.
    #[error("x and y belong together: give both, or neither for the place where the pointer is")]
    HalfPoint,
    /// A character that no key types.
    #[error("the text has the control character U+{code:04X} at position {at}: only line breaks and tabs can be typed")]
    Control {
        /// Its number.
        code: u32,
        /// Its place in characters, from 0.
        at: usize,
    },
    /// A character that presses a key, where nobody said that it may.
    #[error("the text presses {key} at position {at}: take that out, or say that it is meant with `allow_control: true`")]
    NotMeant {
        /// The key.
        key: &'static str,
        /// Its place in characters, from 0.
        at: usize,
    },
    /// A text that is too long.
    #[error("the text has {0} characters: at most {most} are typed at once, put more on the clipboard", most = super::keyboard::LONGEST)]
    TooLong(usize),
    /// A key of a name that is not known.
    #[error("there is no key {name:?}{}", suggestion(near))]
    UnknownKey {
        /// The name.
        name: String,
        /// Names that look like it.
        near: Vec<&'static str>,
        /// The field that says it.
        path: String,
    },
    /// A hotkey without keys, or with more than ten.
    #[error("a hotkey has 1 to 10 keys, not {0}")]
    Keys(usize),
    /// A key that this keyboard does not have.
    #[error("the keyboard of this display has no place for {0}")]
    NoKey(String),
    /// Something else is being typed.
    #[error("the keyboard is in use by a text that is being typed: wait for it, or cancel it")]
    Busy,
    /// Somebody asked for it to stop.
    #[error("it was cancelled")]
    Cancelled,
    /// The display answered with something unexpected.
    #[error("the input did not reach the display: {0}")]
    Failed(String),
}

fn suggestion(near: &[&str]) -> String {
    if near.is_empty() {
        return ": keys are named like enter, f5, ctrlleft, or are a single character".to_owned();
    }
    format!(": did you mean {}?", near.join(", "))
}

impl Error {
    fn path(&self) -> Option<&str> {
        match self {
            Self::OffScreen { path, .. } | Self::Range { path, .. } => Some(path),
            Self::HalfPoint => Some("/x"),
            Self::Control { .. } | Self::NotMeant { .. } | Self::TooLong(_) => Some("/text"),
            Self::UnknownKey { path, .. } => Some(path),
            Self::Keys(_) => Some("/keys"),
            Self::Unavailable { .. }
            | Self::Remote(_)
            | Self::NoDisplay
            | Self::Lacking(_)
            | Self::NoKey(_)
            | Self::Busy
            | Self::Cancelled
            | Self::Failed(_) => None,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. } | Self::NoDisplay | Self::Lacking(_) | Self::NoKey(_) => Kind::ServiceUnavailable,
            Self::OffScreen { .. }
            | Self::Range { .. }
            | Self::HalfPoint
            | Self::Control { .. }
            | Self::NotMeant { .. }
            | Self::TooLong(_)
            | Self::UnknownKey { .. }
            | Self::Keys(_) => Kind::ValidationError,
            Self::Busy => Kind::Conflict,
            Self::Cancelled => Kind::Cancelled,
            Self::Remote(error) => error.kind(),
            Self::Failed(_) => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        if let Some(path) = self.path() {
            return Some(json!({"errors": [{"path": path, "message": self.to_string()}]}));
        }
        match self {
            Self::Unavailable { .. } | Self::NoDisplay => Some(json!({
                "service": "live_desktop",
                "hint": "set DISPLAY to that of a running session, or install a virtual display: apt install xvfb"
            })),
            Self::Remote(error) => error.details(),
            Self::Lacking(_) => Some(json!({"service": "live_desktop", "hint": "use an X server with the XTEST and XKB extensions"})),
            Self::NoKey(_) => Some(json!({"service": "live_desktop", "hint": "use a keyboard layout that has this key"})),
            _ => None,
        }
    }
}

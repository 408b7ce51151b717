//! Why windows cannot be seen, or one not be moved.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};

/// Why windows cannot be seen, or one not be moved.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no display, or it does not answer.
    #[error("the windows of the display {display} cannot be seen ({reason})")]
    Unavailable {
        /// The display's name, or words for the platform's own.
        display: String,
        /// What the system says.
        reason: String,
    },
    /// This platform's windows can only be looked at.
    #[error("windows of this platform can be listed, not moved: use mouse and keyboard")]
    LookOnly,
    /// VNC tells nothing of windows.
    #[error("this desktop is seen through VNC, which knows of no windows: use its picture, mouse and keyboard")]
    Unknowable,
    /// Nobody on the display who could do it.
    #[error("no window manager on the display can {0} a window: start one, such as openbox")]
    NoManager(&'static str),
    /// There is no such window, or no more.
    #[error("there is no window {0}: it has closed, or never was")]
    Gone(u32),
    /// A number outside its range.
    #[error("{} is {value}: give a number from {least} to {most}", path.trim_start_matches('/'))]
    Range {
        /// The field.
        path: &'static str,
        /// What was given.
        value: i64,
        /// The least that is accepted.
        least: i64,
        /// The most that is accepted.
        most: i64,
    },
    /// No regular expression.
    #[error("title_regex is no regular expression: {0}")]
    Pattern(String),
    /// Somebody asked for it to stop.
    #[error("it was cancelled")]
    Cancelled,
    /// The display answered with something unexpected.
    #[error("the window manager could not be asked: {0}")]
    Failed(String),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. } | Self::LookOnly | Self::Unknowable | Self::NoManager(_) => Kind::ServiceUnavailable,
            Self::Gone(_) => Kind::NotFound,
            Self::Range { .. } | Self::Pattern(_) => Kind::ValidationError,
            Self::Cancelled => Kind::Cancelled,
            Self::Failed(_) => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        let hint = match self {
            Self::Range { path, .. } => return Some(json!({"errors": [{"path": path, "message": self.to_string()}]})),
            Self::Pattern(_) => return Some(json!({"errors": [{"path": "/title_regex", "message": self.to_string()}]})),
            Self::Gone(id) => return Some(json!({"kind": "window", "id": id})),
            Self::Cancelled | Self::Failed(_) => return None,
            Self::Unavailable { .. } => "set DISPLAY to that of a running session, or install a virtual display: apt install xvfb",
            Self::LookOnly => "use mouse and keyboard on the window's title bar",
            Self::Unknowable => "find what is meant by its text: /api/snapshots, ocr::find",
            Self::NoManager(_) => "apt install openbox, and start it on the display",
        };
        Some(json!({"service": "live_desktop", "hint": hint}))
    }
}

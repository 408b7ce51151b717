//! Why there is no desktop, or why it cannot be used.

use serde_json::{Value, json};

use super::control::How;
use crate::error::{Classify, Kind};
use crate::{clipboard, input, screen, vnc, windows};

/// Why there is no desktop, or why it cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration says so.
    #[error("this server has no desktop: its configuration turns it off")]
    Off,
    /// There is no program that makes a virtual one.
    #[error("a virtual desktop needs Xvfb, which is not installed: apt install xvfb")]
    NoXvfb,
    /// It did not come up.
    #[error("the desktop did not start: {0}")]
    Start(String),
    /// It is gone.
    #[error("the display {0} is gone: its X server has ended; it is looked for again by itself")]
    Gone(String),
    /// A size that no virtual desktop can have.
    #[error("a virtual desktop cannot be {0}×{1} large: each side has 64 to 16384 pixels")]
    Size(u32, u32),
    /// There is no desktop of this name.
    #[error("there is no desktop {name:?}: there are {}", known.join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
        /// Those there are.
        known: Vec<String>,
    },
    /// It was deleted while somebody was about to use it.
    #[error("the desktop {0} was deleted")]
    Deleted(String),
    /// The name is in use.
    #[error("there is a desktop {0} already: take another name, or delete that one first")]
    Taken(String),
    /// There are enough.
    #[error("there are {0} desktops beside the default one, and no more may be: delete one, or raise MAX_TARGETS")]
    TooMany(usize),
    /// The default desktop cannot be deleted.
    #[error("the default desktop stays: DISPLAY_MODE chooses it")]
    Stays,
    /// What no desktop can be.
    #[error("{1}")]
    Spec(&'static str, String),
    /// Another machine's desktop cannot be reached, or not be as it was asked for.
    #[error(transparent)]
    Remote(#[from] vnc::Error),
    /// The desktop's screen cannot be seen.
    #[error(transparent)]
    Screen(#[from] screen::Error),
    /// The desktop cannot be driven.
    #[error(transparent)]
    Input(#[from] input::Error),
    /// The desktop's clipboard does not answer.
    #[error(transparent)]
    Clipboard(#[from] clipboard::Error),
    /// The desktop's windows cannot be seen, or one not be moved.
    #[error(transparent)]
    Windows(#[from] windows::Error),
    /// Somebody else has mouse and keyboard.
    #[error("mouse and keyboard are in use by {holder}, for more than {waited} s: wait until it ends, or cancel it")]
    InUse {
        /// Who has them.
        holder: String,
        /// How many seconds were waited.
        waited: u64,
    },
    /// A person is at the controls.
    #[error("{holder} is at the controls: ask for control, take it over, or wait until it is released")]
    Controlled {
        /// Who it is.
        holder: String,
    },
    /// Control is somebody else's, or nobody's.
    #[error("control is not yours{}: ask for it first", holder.as_ref().map(|holder| format!(", but {holder}'s")).unwrap_or_default())]
    NotYours {
        /// Whose it is.
        holder: Option<String>,
    },
    /// Nobody of that number waits for control.
    #[error("nobody with the number {0} waits for control: `requests` and `waiting` list who does")]
    NobodyAsks(u64),
    /// Somebody took over.
    #[error("{0} took over")]
    Displaced(String),
    /// An emergency stop.
    #[error("it was ended by the emergency stop ({})", .0.as_str())]
    Stopped(How),
    /// A person did nothing for too long.
    #[error("control ended, as nothing was done for a while: ask for it again")]
    Lapsed,
    /// More is asked for than can be done in time.
    #[error("too many actions wait for their turn: send them more slowly")]
    TooFast,
    /// Somebody asked for it to stop, or it stopped while it waited for its turn.
    #[error("it was cancelled while it waited for its turn at the desktop")]
    Cancelled,
    /// Something ended without a word.
    #[error("{0} ended unexpectedly: the server's log has the reason")]
    Ended(&'static str),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Off | Self::NoXvfb | Self::Start(_) | Self::Gone(_) => Kind::ServiceUnavailable,
            Self::Size(..) | Self::Spec(..) => Kind::ValidationError,
            Self::Unknown { .. } | Self::Deleted(_) => Kind::NotFound,
            Self::Taken(_) | Self::TooMany(_) | Self::Stays => Kind::Conflict,
            Self::Remote(error) => error.kind(),
            Self::Screen(error) => error.kind(),
            Self::Input(error) => error.kind(),
            Self::Clipboard(error) => error.kind(),
            Self::Windows(error) => error.kind(),
            Self::InUse { .. } | Self::Controlled { .. } | Self::NotYours { .. } | Self::Displaced(_) | Self::Stopped(_) | Self::Lapsed => {
                Kind::Conflict
            }
            Self::NobodyAsks(_) => Kind::NotFound,
            Self::TooFast => Kind::RateLimited,
            Self::Cancelled => Kind::Cancelled,
            Self::Ended(_) => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        let hint = match self {
            Self::Off => "choose another desktop mode in the configuration: auto, local or virtual",
            Self::NoXvfb => "apt install xvfb",
            Self::Start(_) => "see whether Xvfb starts by hand: Xvfb -displayfd 1",
            Self::Gone(_) => "start the display again, and connect again",
            Self::InUse { holder, .. } | Self::Controlled { holder } | Self::Displaced(holder) => return Some(json!({"holder": holder})),
            Self::NotYours { holder } => return Some(json!({"holder": holder})),
            Self::NobodyAsks(id) => return Some(json!({"kind": "request", "id": id})),
            Self::Stopped(how) => return Some(json!({"emergency_stop": how})),
            Self::Unknown { name, known } => return Some(json!({"kind": "target", "id": name, "targets": known})),
            Self::Deleted(name) | Self::Taken(name) => return Some(json!({"kind": "target", "id": name})),
            Self::Spec(path, message) => return Some(json!({"errors": [{"path": path, "message": message}]})),
            Self::TooMany(_) | Self::Stays | Self::Size(..) | Self::TooFast | Self::Cancelled | Self::Lapsed | Self::Ended(_) => {
                return None;
            }
            Self::Remote(error) => return error.details(),
            Self::Screen(error) => return error.details(),
            Self::Input(error) => return error.details(),
            Self::Clipboard(error) => return error.details(),
            Self::Windows(error) => return error.details(),
        };
        Some(json!({"service": "live_desktop", "hint": hint}))
    }
}

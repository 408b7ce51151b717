//! The clipboard of a desktop: text in, text out.
//!
//! On X11 any display by its name, since a virtual desktop has a clipboard of its own; elsewhere the platform's one.
//! Pictures and files on the clipboard are not this room's.

// On Linux for the compiler's eyes only, so that it does not rot where most of the work is done.
#[cfg(any(test, not(target_os = "linux")))]
#[cfg_attr(target_os = "linux", expect(dead_code, reason = "X11's own way is used there"))]
mod portable;
#[cfg(target_os = "linux")]
mod x11;
#[cfg(target_os = "linux")]
mod x11_follow;
#[cfg(target_os = "linux")]
mod x11_owner;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::error::{Classify, Kind};
use crate::vnc::Vnc;

/// The longest text, in bytes.
const LONGEST: usize = 16 * 1024 * 1024;

/// A text on the clipboard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ClipboardText {
    /// The text.
    pub text: String,
}

/// Why the clipboard could not be read or set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no display, or it does not answer.
    #[error("the clipboard of the display {display} does not answer ({reason}): start the display, or let TRAE start a virtual one")]
    Unavailable {
        /// The display's name, or words for the platform's own.
        display: String,
        /// What the system says.
        reason: String,
    },
    /// Another machine's clipboard cannot be used.
    #[error(transparent)]
    Remote(#[from] crate::vnc::Error),
    /// There is no display to ask.
    #[error("there is no display: set DISPLAY to that of a running session, or let TRAE start a virtual one")]
    NoDisplay,
    /// The clipboard holds a picture, files, or something else.
    #[error("the clipboard holds something that is not text: copy a text first")]
    NotText,
    /// A text that is too long to set.
    #[error("the text has {0} bytes: the clipboard takes at most {LONGEST}")]
    TooLong(usize),
    /// A text that is too long to read.
    #[error("the text on the clipboard is longer than {LONGEST} bytes: copy less")]
    TooLarge,
    /// The program that copied the text does not hand it over.
    #[error("the program that holds the clipboard does not answer: try again, or copy the text anew")]
    Silent,
    /// Nobody is told of changes here.
    #[error("this platform does not say when its clipboard changes: read it when it is needed")]
    NotTold,
    /// Somebody else took the clipboard at the same moment, or it answered with something unexpected.
    #[error("the clipboard could not be used: {0}")]
    Failed(String),
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. } | Self::NoDisplay | Self::NotTold => Kind::ServiceUnavailable,
            Self::Remote(error) => error.kind(),
            Self::NotText => Kind::Conflict,
            Self::TooLong(_) => Kind::ValidationError,
            Self::TooLarge => Kind::PayloadTooLarge,
            Self::Silent => Kind::Timeout,
            Self::Failed(_) => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Unavailable { .. } | Self::NoDisplay => Some(json!({
                "service": "live_desktop",
                "hint": "set DISPLAY to that of a running session, or install a virtual display: apt install xvfb"
            })),
            Self::Remote(error @ (crate::vnc::Error::NotLatin | crate::vnc::Error::LongText)) => {
                Some(json!({"errors": [{"path": "/text", "message": error.to_string()}]}))
            }
            Self::Remote(error) => error.details(),
            Self::TooLong(_) => Some(json!({"errors": [{"path": "/text", "message": self.to_string()}]})),
            _ => None,
        }
    }
}

/// The clipboard of one display. Safe to share. What was set is gone when this is dropped, as it is when a program ends.
pub struct Clipboard {
    backend: Backend,
}

/// Whose it is.
enum Backend {
    #[cfg(target_os = "linux")]
    X11(x11::X11),
    #[cfg(not(target_os = "linux"))]
    Portable(portable::Portable),
    /// Another machine's.
    Vnc(Arc<Vnc>),
}

/// Hears of each change of a clipboard. It costs a sleeping thread, shared by all who do.
pub struct Changes {
    heard: tokio::sync::watch::Receiver<u64>,
    #[cfg(target_os = "linux")]
    _follower: Option<Arc<x11_follow::Follower>>,
}

impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Changes").finish_non_exhaustive()
    }
}

impl Changes {
    /// Resolves after a change; never again once the display has gone. May be dropped while it waits.
    pub async fn next(&mut self) {
        if self.heard.changed().await.is_err() {
            std::future::pending().await
        }
    }
}

impl std::fmt::Debug for Clipboard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Clipboard").finish_non_exhaustive()
    }
}

impl Clipboard {
    /// Opens the clipboard of the X display named (`:99`), or with `None` the platform's own.
    ///
    /// # Errors
    /// [`Error::NoDisplay`] and [`Error::Unavailable`] where nothing answers.
    pub fn open(display: Option<&str>) -> Result<Self, Error> {
        #[cfg(target_os = "linux")]
        {
            let named = display.map(str::to_owned).or_else(|| std::env::var("DISPLAY").ok().filter(|name| !name.is_empty()));
            Ok(Self { backend: Backend::X11(x11::X11::open(named.ok_or(Error::NoDisplay)?)?) })
        }
        #[cfg(not(target_os = "linux"))]
        {
            let _ = display;
            Ok(Self { backend: Backend::Portable(portable::Portable::open()?) })
        }
    }

    /// That of another machine.
    pub fn of_vnc(vnc: Arc<Vnc>) -> Self {
        Self { backend: Backend::Vnc(vnc) }
    }

    /// The text on the clipboard; empty where nothing is.
    ///
    /// # Errors
    /// [`Error::NotText`], [`Error::TooLarge`]; [`Error::Silent`] where the program that holds the text does not hand it over.
    pub fn get(&self) -> Result<String, Error> {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::X11(x11) => x11.get(),
            #[cfg(not(target_os = "linux"))]
            Backend::Portable(portable) => portable.get(),
            Backend::Vnc(vnc) => Ok(vnc.clipboard()?),
        }
    }

    /// Hears of each change from now on.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the display does not answer; [`Error::NotTold`] where the platform tells nobody.
    pub fn changes(&self) -> Result<Changes, Error> {
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::X11(x11) => x11.changes(),
            #[cfg(not(target_os = "linux"))]
            Backend::Portable(portable) => portable.changes(),
            Backend::Vnc(vnc) => Ok(Changes {
                heard: vnc.clipboard_changes(),
                #[cfg(target_os = "linux")]
                _follower: None,
            }),
        }
    }

    /// Puts a text on the clipboard.
    ///
    /// # Errors
    /// [`Error::TooLong`]; [`Error::Unavailable`] where the display does not answer.
    pub fn set(&self, text: &str) -> Result<(), Error> {
        if text.len() > LONGEST {
            return Err(Error::TooLong(text.len()));
        }
        match &self.backend {
            #[cfg(target_os = "linux")]
            Backend::X11(x11) => x11.set(text),
            #[cfg(not(target_os = "linux"))]
            Backend::Portable(portable) => portable.set(text),
            Backend::Vnc(vnc) => Ok(vnc.set_clipboard(text)?),
        }
    }
}

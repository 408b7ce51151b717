//! Why another machine's desktop cannot be used.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};

/// Why another machine's desktop cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// There is no connection, or the server does not do what it has to.
    #[error("the desktop {name} at {address} is away: {reason}")]
    Away {
        /// What it is called here.
        name: String,
        /// Where it is.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// Its picture has another size than a moment ago.
    #[error("the screen of the desktop {0} has just changed its size: try again")]
    Changed(String),
    /// The address is none.
    #[error("{0:?} is no address of a VNC server: write it like vnc://host:5900")]
    Address(String),
    /// What the certificate is to be checked by is nothing of the kind.
    #[error("{0}")]
    Trust(String),
    /// A text that the server's clipboard cannot take.
    #[error("this server's clipboard takes Latin letters (ISO 8859-1) alone: type the text instead")]
    NotLatin,
    /// A text that is too long for a clipboard.
    #[error("the text is longer than the {} bytes that go over VNC", super::clip::LONGEST)]
    LongText,
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Away { .. } | Self::Changed(_) => Kind::ServiceUnavailable,
            Self::Address(_) | Self::Trust(_) | Self::NotLatin | Self::LongText => Kind::ValidationError,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Away { name, .. } => {
                let hint = "see whether the VNC server runs and lets this machine in; it is tried again by itself";
                Some(json!({ "service": "live_desktop", "target": name, "hint": hint }))
            }
            Self::Changed(name) => Some(json!({ "service": "live_desktop", "target": name, "hint": "try again" })),
            Self::Address(_) | Self::Trust(_) | Self::NotLatin | Self::LongText => None,
        }
    }
}

//! Why something was not seen.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::screen::Region;
use crate::{desktop, ocr, screen, vision, windows};

/// Why something was not seen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was asked for makes no sense.
    #[error("{1}")]
    Invalid(&'static str, String),
    /// No window fits.
    #[error("there is no window like {wanted}; those that are there: {}", list(titles))]
    NoWindow {
        /// What it was to be like.
        wanted: String,
        /// The titles of those there are.
        titles: Vec<String>,
    },
    /// No zone has this name.
    #[error("there is no zone {0:?}: GET /api/zones lists those there are")]
    NoZone(String),
    /// What a zone stands beside is not there.
    #[error("{0}")]
    NoAnchor(Box<NoAnchor>),
    /// A part that reaches beyond what it is a part of.
    #[error("the part {} does not lie in its window, monitor or zone, which is {}: choose one inside it", super::described(*part), super::described(*whole))]
    Beyond {
        /// The part, on the virtual screen.
        part: Region,
        /// What it was to be a part of.
        whole: Region,
    },
    /// A zone that is on no screen.
    #[error("that part lies outside of the screen: what it counts from is {}", super::described(*.0))]
    Outside(Region),
    /// A window of which nothing is on the screen.
    #[error("the window {title:?} is not on the screen, or not that part of it: restore it, or move it there")]
    Unseen {
        /// Its number.
        id: u32,
        /// What stands in its title bar.
        title: String,
    },
    /// It was looked for, and is not there.
    #[error("{}", .0.message)]
    Missed(Box<Missed>),
    /// Somebody asked for it to stop.
    #[error("it was cancelled while it looked at the screen")]
    Cancelled,
    /// Something ended without a word.
    #[error("looking at the screen ended unexpectedly: the server's log has the reason")]
    Ended,
    /// The desktop cannot be used.
    #[error(transparent)]
    Desktop(#[from] desktop::Error),
    /// The screen cannot be seen.
    #[error(transparent)]
    Screen(#[from] screen::Error),
    /// The windows cannot be seen.
    #[error(transparent)]
    Windows(#[from] windows::Error),
    /// The picture cannot be read.
    #[error(transparent)]
    Ocr(#[from] ocr::Error),
    /// The picture cannot be looked for, or compared.
    #[error(transparent)]
    Vision(#[from] vision::Error),
}

/// A zone without what it stands beside, and what there was instead.
#[derive(Debug)]
pub struct NoAnchor {
    pub(super) zone: String,
    /// What it stands beside, in words.
    pub(super) anchor: String,
    /// Where that was looked for.
    pub(super) place: Region,
    /// What was read there.
    pub(super) seen: Option<String>,
    pub(super) nearest: Option<Nearest>,
    /// How that looks; taken once nobody waits for it any more.
    pub(super) image: Option<String>,
}

/// What comes closest to what was looked for.
#[derive(Debug, serde::Serialize)]
pub(super) struct Nearest {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) text: Option<String>,
    pub(super) score: f64,
    pub(super) place: Region,
}

impl std::fmt::Display for NoAnchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { zone, anchor, place, seen, nearest, .. } = self;
        write!(f, "the zone {zone:?} is not on the screen: {anchor}, which it stands beside, is not there, {}", super::described(*place))?;
        if let Some(Nearest { text, score, place }) = nearest {
            let text = text.as_ref().map(|text| format!("{text:?} ")).unwrap_or_default();
            write!(f, "; what comes closest is {text}at ({}, {}), with a score of {score:.2}", place.x, place.y)?;
        }
        match seen {
            Some(seen) => write!(f, "; what was seen: {}", super::text::shortened(seen)),
            None => Ok(()),
        }
    }
}

impl NoAnchor {
    /// The part that shows best what is wrong.
    pub(super) fn telling(&self) -> Region {
        self.nearest.as_ref().map_or(self.place, |nearest| nearest.place)
    }

    fn details(&self) -> Value {
        let Self { zone, place, seen, nearest, image, .. } = self;
        let seen = seen.as_deref().map(super::text::told);
        json!({ "kind": "zone", "id": zone, "zone": place, "seen": seen, "nearest": nearest, "image": image })
    }
}

/// What was looked for in vain, and what there was instead.
#[derive(Debug)]
pub struct Missed {
    pub(super) kind: Kind,
    pub(super) message: String,
    pub(super) details: Value,
}

impl Error {
    pub(super) fn invalid(path: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid(path, message.into())
    }

    /// Whether it may be otherwise in a moment: a window opens, or comes back.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoWindow { .. } | Self::NoAnchor(_) | Self::Unseen { .. } | Self::Outside(_) => true,
            Self::Windows(error) => error.kind() == Kind::NotFound,
            _ => false,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(..) | Self::Beyond { .. } => Kind::ValidationError,
            Self::NoWindow { .. } | Self::NoZone(_) | Self::NoAnchor(_) => Kind::NotFound,
            Self::Unseen { .. } | Self::Outside(_) => Kind::Conflict,
            Self::Missed(missed) => missed.kind,
            Self::Cancelled => Kind::Cancelled,
            Self::Ended => Kind::Internal,
            Self::Desktop(error) => error.kind(),
            Self::Screen(error) => error.kind(),
            Self::Windows(error) => error.kind(),
            Self::Ocr(error) => error.kind(),
            Self::Vision(error) => error.kind(),
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Invalid(path, message) => Some(json!({ "errors": [{ "path": path, "message": message }] })),
            Self::NoWindow { titles, .. } => Some(json!({ "kind": "window", "titles": titles })),
            Self::NoZone(name) => Some(json!({ "kind": "zone", "id": name })),
            Self::NoAnchor(missed) => Some(missed.details()),
            Self::Beyond { whole, .. } => Some(json!({ "errors": [{ "path": "/x", "message": self.to_string() }], "zone": whole })),
            Self::Outside(region) => Some(json!({ "zone": region })),
            Self::Unseen { id, .. } => Some(json!({ "kind": "window", "id": id })),
            Self::Missed(missed) => Some(missed.details.clone()),
            Self::Cancelled | Self::Ended => None,
            Self::Desktop(error) => error.details(),
            Self::Screen(error) => error.details(),
            Self::Windows(error) => error.details(),
            Self::Ocr(error) => error.details(),
            Self::Vision(error) => error.details(),
        }
    }
}

fn list(titles: &[String]) -> String {
    if titles.is_empty() { "none".to_owned() } else { titles.iter().map(|title| format!("{title:?}")).collect::<Vec<_>>().join(", ") }
}

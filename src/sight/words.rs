//! The words of this room: where to look, what for, and what was seen.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ocr::{Engine, Preprocess, Reading};
use crate::screen::Region;
use crate::windows::Filter;

/// Seconds that may be waited for something to appear.
pub const LONGEST_WAIT: f64 = 86_400.0;

/// Which window is looked at: the top-most that fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged, expecting = "a window is its number, a part of its title, or a map of title, title_regex, class and pid")]
pub enum WindowChoice {
    /// The one of this number.
    Id(u32),
    /// One with this in its title.
    Title(String),
    /// One that fits all that is given.
    Fits(Filter),
}

/// A part of the screen. Without anything the whole virtual screen.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Zone {
    /// Left edge, counted from the corner of the window or monitor where one is given, in which the part lies; what of it is over the screen's edge is
    /// left out.
    pub x: Option<i32>,
    /// Top edge, counted likewise.
    pub y: Option<i32>,
    /// Width in pixels.
    #[schema(minimum = 1)]
    pub width: Option<u32>,
    /// Height in pixels.
    #[schema(minimum = 1)]
    pub height: Option<u32>,
    /// A monitor's number.
    pub monitor: Option<usize>,
    /// A window.
    pub window: Option<WindowChoice>,
    /// A zone that has a name; `x`, `y`, `width` and `height` are a part of it then.
    #[schema(max_length = 64)]
    pub zone: Option<String>,
}

/// A part of the screen with a name. Where it is is worked out anew at each use.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "window": "Invoice", "anchor_text": "Total", "x": 60, "y": -4, "width": 120, "height": 24, "whitelist": "0123456789,." }))]
pub struct NamedZone {
    /// What it is called: 1–64 letters, digits, `_` and `-`.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub name: String,
    /// For people.
    #[schema(max_length = 1000)]
    pub description: Option<String>,
    /// Left edge, counted from the corner of the anchor where there is one, else of the window, the monitor, or the virtual screen; with `y`,
    /// `width` and `height`. May be left out for all of a window or monitor.
    pub x: Option<i32>,
    /// Top edge, counted likewise.
    pub y: Option<i32>,
    /// Width in pixels.
    #[schema(minimum = 1)]
    pub width: Option<u32>,
    /// Height in pixels.
    #[schema(minimum = 1)]
    pub height: Option<u32>,
    /// It is on this monitor.
    pub monitor: Option<usize>,
    /// It is in this window.
    pub window: Option<WindowChoice>,
    /// It stands beside this text, which is looked for on that monitor or in that window.
    #[schema(max_length = 200)]
    pub anchor_text: Option<String>,
    /// It stands beside this picture: a `data:` URL.
    pub anchor_picture: Option<String>,
    /// Tesseract's name of the language it is read in; without it the configured ones.
    #[schema(max_length = 200)]
    pub language: Option<String>,
    /// Tesseract's page segmentation mode, 1 or 3–13.
    #[schema(minimum = 1, maximum = 13)]
    pub page_segmentation: Option<u8>,
    /// Read only these characters in it.
    pub whitelist: Option<String>,
    /// What is done to its picture first.
    pub preprocess: Preprocess,
    /// What reads it; without it Tesseract.
    pub engine: Option<Engine>,
    /// Seconds that reading it may take, waiting for a free engine included, at most `OCR_TIMEOUT`; without it that.
    #[schema(exclusive_minimum = 0)]
    pub timeout: Option<f64>,
}

impl NamedZone {
    /// What it is a part of, and which.
    pub fn own_place(&self) -> Zone {
        let Self { x, y, width, height, monitor, ref window, .. } = *self;
        Zone { x, y, width, height, monitor, window: window.clone(), zone: None }
    }

    /// How it is read.
    pub fn reading(&self) -> Reading {
        Reading {
            language: self.language.clone(),
            page_segmentation: self.page_segmentation,
            whitelist: self.whitelist.clone(),
            preprocess: Some(self.preprocess.clone()),
            engine: self.engine,
            confidence_threshold: None,
            timeout: self.timeout,
        }
    }
}

/// A text to look for: `text` or `regex`, where and how. What is left out does not restrict.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "text": "Save", "right_of": "Cancel", "window": { "title": "Editor" }, "timeout": 10 }))]
pub struct TextSearch {
    /// The text; case and white space do not count. Words match that stand side by side.
    #[schema(min_length = 1, max_length = 200)]
    pub text: Option<String>,
    /// A regular expression that a part of a line fits, instead of `text`.
    #[schema(min_length = 1, max_length = 1000)]
    pub regex: Option<String>,
    /// Whether capital and small letters of `text` differ.
    pub match_case: bool,
    /// How much a text must be like `text`, 0–1; without it 0.85. 1 = exactly. What is easily misread counts little, a wrong digit much.
    #[schema(minimum = 0, maximum = 1, example = 0.85)]
    pub min_score: Option<f64>,
    /// Which of several, from 1: in reading order, or with `near` and the like the nearest first.
    #[schema(minimum = 1, maximum = 10_000)]
    pub occurrence: Option<u32>,
    /// Only near this text.
    pub near: Option<String>,
    /// Only on the same height, to the right of this text.
    pub right_of: Option<String>,
    /// Only on the same height, to the left of this text.
    pub left_of: Option<String>,
    /// Only in the same column, above this text.
    pub above: Option<String>,
    /// Only in the same column, below this text.
    pub below: Option<String>,
    /// Pixels that may be between the two.
    pub within: Option<u32>,
    /// Wait until it is there, so many seconds at most. Without it there is one look.
    #[schema(minimum = 0, maximum = 86_400)]
    pub timeout: Option<f64>,
    /// Wait until it is there no more, instead.
    pub gone: bool,
    /// Left edge of the part to look in; with `y`, `width` and `height`. Counted from the window or monitor where one is given.
    pub x: Option<i32>,
    /// Top edge of it.
    pub y: Option<i32>,
    /// Width of it.
    #[schema(minimum = 1)]
    pub width: Option<u32>,
    /// Height of it.
    #[schema(minimum = 1)]
    pub height: Option<u32>,
    /// Look at this monitor.
    pub monitor: Option<usize>,
    /// Look at this window.
    pub window: Option<WindowChoice>,
    /// Look at the zone of this name; `x`, `y`, `width` and `height` are a part of it then.
    #[schema(max_length = 64)]
    pub zone: Option<String>,
    /// Tesseract's name of the language, several joined by `+`; without it the configured ones.
    #[schema(max_length = 200)]
    pub language: Option<String>,
    /// Tesseract's page segmentation mode, 1 or 3–13.
    #[schema(minimum = 1, maximum = 13)]
    pub page_segmentation: Option<u8>,
    /// Read only these characters.
    pub whitelist: Option<String>,
    /// What is done to the picture first; without it what the zone says, or `auto`.
    pub preprocess: Option<Preprocess>,
    /// What reads it; without it Tesseract.
    pub engine: Option<Engine>,
    /// The desktop; without it the one that is meant anyway.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub target: Option<String>,
}

impl TextSearch {
    /// Where to look.
    pub fn zone(&self) -> Zone {
        let Self { x, y, width, height, monitor, ref window, ref zone, .. } = *self;
        Zone { x, y, width, height, monitor, window: window.clone(), zone: zone.clone() }
    }

    /// How to read what is there.
    pub fn reading(&self) -> Reading {
        let Self { language, page_segmentation, whitelist, preprocess, engine, .. } = self;
        Reading {
            language: language.clone(),
            page_segmentation: *page_segmentation,
            whitelist: whitelist.clone(),
            preprocess: preprocess.clone(),
            engine: *engine,
            confidence_threshold: None,
            // Its own says how long it is looked for.
            timeout: None,
        }
    }
}

/// A text that was found, in physical pixels of the virtual screen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "text": "Save", "score": 1.0, "confidence": 0.96, "x": 100, "y": 50, "width": 34, "height": 12, "center_x": 117, "center_y": 56, "groups": [] }))]
pub struct FoundText {
    /// As it was read.
    pub text: String,
    /// How much it is like what was looked for, 0–1.
    pub score: f64,
    /// The least confidence of its words, 0–1.
    pub confidence: f64,
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// Its middle, from the left.
    pub center_x: i32,
    /// Its middle, from the top.
    pub center_y: i32,
    /// What the groups of a regular expression caught.
    pub groups: Vec<Option<String>>,
}

/// What came of a look for a text.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct TextSought {
    /// The one that was asked for; null where it is not there.
    pub found: Option<FoundText>,
    /// All that fit, in order.
    pub matches: Vec<FoundText>,
    /// What comes closest, where nothing fits.
    pub nearest: Option<FoundText>,
    /// The part of the screen that was looked at; null where its window has gone.
    pub zone: Option<Region>,
    /// What was read there, at most 2000 characters.
    pub seen: String,
    /// How many words that were.
    pub words: usize,
    /// How what comes closest looks, or else the part that was looked at, as a `data:` URL: where it was asked what there is, and the text is
    /// not there.
    pub image: Option<String>,
    /// Whether it was known already, as nothing had changed there.
    pub known: bool,
    /// Seconds it took.
    pub execution_time: f64,
}

impl TextSought {
    /// The part of the screen that shows best why it is not there; none where it is.
    pub fn telling(&self) -> Option<Region> {
        let nearest = self.nearest.as_ref().or(self.matches.first());
        let place = nearest.map(|found| Region { x: found.x, y: found.y, width: found.width, height: found.height });
        place.or(self.zone).filter(|_| self.found.is_none())
    }
}

/// A picture to look for on the screen, where and how. What is left out does not restrict.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "picture": "buttons/save.png", "window": { "title": "Editor" }, "timeout": 10 }))]
pub struct PictureSearch {
    /// The picture: a file's path (a relative one lies in the data folder's `files/`), or a `data:` URL with a PNG, JPEG or WebP in base64.
    /// What is transparent in it may be anything.
    #[schema(min_length = 1)]
    pub picture: Option<String>,
    /// A picture of the same size, given likewise: where it is dark, or transparent, what is looked for may be anything.
    #[schema(min_length = 1)]
    pub mask: Option<String>,
    /// How much a place must be like it, 0–1; without it 0.9. 1 = exactly.
    #[schema(minimum = 0, maximum = 1, example = 0.9)]
    pub min_score: Option<f64>,
    /// The sizes in which it is looked for, as parts of its own, at most 16, each 0.1–10; without them its own size alone.
    #[schema(max_items = 16, example = json!([1.0, 1.25, 1.5]))]
    pub scales: Vec<f64>,
    /// Which of several, from 1, from the top and then from the left.
    #[schema(minimum = 1, maximum = 1000)]
    pub occurrence: Option<u32>,
    /// Look for all places; without it a place at which it was seen before, and still is, is enough.
    pub all: bool,
    /// Wait until it is there, so many seconds at most. Without it there is one look.
    #[schema(minimum = 0, maximum = 86_400)]
    pub timeout: Option<f64>,
    /// Wait until it is there no more, instead.
    pub gone: bool,
    /// Left edge of the part to look in; with `y`, `width` and `height`. Counted from the window or monitor where one is given.
    pub x: Option<i32>,
    /// Top edge of it.
    pub y: Option<i32>,
    /// Width of it.
    #[schema(minimum = 1)]
    pub width: Option<u32>,
    /// Height of it.
    #[schema(minimum = 1)]
    pub height: Option<u32>,
    /// Look at this monitor.
    pub monitor: Option<usize>,
    /// Look at this window.
    pub window: Option<WindowChoice>,
    /// Look at the zone of this name; `x`, `y`, `width` and `height` are a part of it then.
    #[schema(max_length = 64)]
    pub zone: Option<String>,
    /// The desktop; without it the one that is meant anyway.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub target: Option<String>,
}

impl PictureSearch {
    /// Where to look.
    pub fn zone(&self) -> Zone {
        let Self { x, y, width, height, monitor, ref window, ref zone, .. } = *self;
        Zone { x, y, width, height, monitor, window: window.clone(), zone: zone.clone() }
    }
}

/// A picture that was found, in physical pixels of the virtual screen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "score": 0.998, "scale": 1.0, "x": 100, "y": 50, "width": 32, "height": 32, "center_x": 116, "center_y": 66 }))]
pub struct FoundPicture {
    /// How much it is like what was looked for, 0–1.
    pub score: f64,
    /// In which size it was found, as a part of its own.
    pub scale: f64,
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// Its middle, from the left.
    pub center_x: i32,
    /// Its middle, from the top.
    pub center_y: i32,
}

/// What came of a look for a picture.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct PictureSought {
    /// The one that was asked for; null where it is not there.
    pub found: Option<FoundPicture>,
    /// All that were found, in order.
    pub matches: Vec<FoundPicture>,
    /// What comes closest, where nothing fits.
    pub nearest: Option<FoundPicture>,
    /// The part of the screen that was looked at; null where its window has gone.
    pub zone: Option<Region>,
    /// How what comes closest looks, or else the part that was looked at, as a `data:` URL: where it was asked what there is, and the picture
    /// is not there.
    pub image: Option<String>,
    /// Whether it was known already, as nothing had changed there.
    pub known: bool,
    /// Seconds it took.
    pub execution_time: f64,
}

impl PictureSought {
    /// The part of the screen that shows best why it is not there; none where it is.
    pub fn telling(&self) -> Option<Region> {
        let nearest = self.nearest.as_ref().or(self.matches.first());
        let place = nearest.map(|found| Region { x: found.x, y: found.y, width: found.width, height: found.height });
        place.or(self.zone).filter(|_| self.found.is_none())
    }
}

/// Wait until a part of the screen has not changed for a while, or until it changes.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(example = json!({ "window": "Editor", "seconds": 1, "timeout": 20 }))]
pub struct StillSearch {
    /// For how long nothing may have changed; without it 1. Only where it is waited for that.
    #[schema(minimum = 0, maximum = 3600, example = 1)]
    pub seconds: Option<f64>,
    /// Seconds to wait at most; without it 10.
    #[schema(minimum = 0, maximum = 86_400, example = 10)]
    pub timeout: Option<f64>,
    /// Left edge of the part to look at; with `y`, `width` and `height`. Counted from the window or monitor where one is given.
    pub x: Option<i32>,
    /// Top edge of it.
    pub y: Option<i32>,
    /// Width of it.
    #[schema(minimum = 1)]
    pub width: Option<u32>,
    /// Height of it.
    #[schema(minimum = 1)]
    pub height: Option<u32>,
    /// Look at this monitor.
    pub monitor: Option<usize>,
    /// Look at this window.
    pub window: Option<WindowChoice>,
    /// Look at the zone of this name; `x`, `y`, `width` and `height` are a part of it then.
    #[schema(max_length = 64)]
    pub zone: Option<String>,
    /// The desktop; without it the one that is meant anyway.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub target: Option<String>,
}

impl StillSearch {
    /// Where to look.
    pub fn zone(&self) -> Zone {
        let Self { x, y, width, height, monitor, ref window, ref zone, .. } = *self;
        Zone { x, y, width, height, monitor, window: window.clone(), zone: zone.clone() }
    }
}

/// What a part of the screen did while it was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stillness {
    /// The part of the screen.
    pub zone: Region,
    /// How often it changed meanwhile.
    pub changes: u32,
    /// Seconds it took.
    pub execution_time: f64,
}

/// In what two pictures differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "same": false, "pixels": 120, "part": 0.004, "regions": [{ "x": 16, "y": 32, "width": 48, "height": 16 }] }))]
pub struct PictureDifference {
    /// Whether they show the same.
    pub same: bool,
    /// Pixels that differ.
    pub pixels: u64,
    /// As a part of all, 0–1.
    pub part: f64,
    /// Around what differs, counted from the pictures' corner.
    pub regions: Vec<Region>,
}

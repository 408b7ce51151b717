//! What is expected of a step once it has done its work.

use serde::{Deserialize, Serialize};

use crate::ocr::Engine;

/// What is to be so once a step has done its work: one of `text`, `regex`, `image`, `pixel`, `window`, `file` and `change`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Expectation {
    /// A text is on the screen.
    pub text: Option<String>,
    /// A part of a line on the screen fits a regular expression.
    pub regex: Option<String>,
    /// A picture is on the screen: a file's path.
    pub image: Option<String>,
    /// A pixel has a colour.
    pub pixel: Option<PixelColour>,
    /// A window is there with this in its title.
    pub window: Option<String>,
    /// A file is there.
    pub file: Option<String>,
    /// The screen shows something else than before the step.
    pub change: bool,
    /// It is not so, instead.
    pub gone: bool,
    /// Seconds in which it becomes so; without it 5.
    pub within: Option<f64>,
    /// How much a text or picture must be like it, 0–1.
    pub min_score: Option<f64>,
    /// Whether capital and small letters of the text differ.
    pub match_case: bool,
    /// Which of several texts or pictures, from 1.
    pub occurrence: Option<u32>,
    /// The text stands near this one.
    pub near: Option<String>,
    /// It stands on the same height, to the right of this one.
    pub right_of: Option<String>,
    /// It stands on the same height, to the left of this one.
    pub left_of: Option<String>,
    /// It stands in the same column, above this one.
    pub above: Option<String>,
    /// It stands in the same column, below this one.
    pub below: Option<String>,
    /// Language of the text; without it the zone's, or the configured ones.
    pub language: Option<String>,
    /// What reads the text; without it what the zone says, or Tesseract.
    pub engine: Option<Engine>,
    /// The sizes in which the picture is looked for, as parts of its own.
    pub scales: Vec<f64>,
    /// Look at the zone of this name.
    pub zone: Option<String>,
    /// Look at the window with this in its title.
    pub in_window: Option<String>,
    /// Look at this monitor.
    pub monitor: Option<usize>,
    /// Left edge of the part to look at; with `y`, `width` and `height`.
    pub x: Option<i32>,
    /// Top edge of it.
    pub y: Option<i32>,
    /// Width of it.
    pub width: Option<u32>,
    /// Height of it.
    pub height: Option<u32>,
}

/// What there was to see before a step of which a change is expected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// A picture of it, by its number.
    Picture(u64),
    /// Its window, or what its zone stands beside, was not there.
    Nothing,
    /// It could not be seen: why.
    Unseen(String),
}

/// The colour of a pixel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PixelColour {
    /// From the left of the virtual screen.
    pub x: i32,
    /// From the top.
    pub y: i32,
    /// As `#rrggbb`.
    pub colour: String,
    /// Shades by which red, green and blue may be off.
    #[serde(default)]
    pub tolerance: u8,
}

/// Whether what was expected is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Met {
    /// It is.
    Met,
    /// It is not.
    Unmet,
    /// It could not be seen.
    Unknown,
}

/// What came of an expectation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether it is so.
    pub result: Met,
    /// The same as a sentence.
    pub message: String,
    /// What there is instead: as in the error of who waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
}

//! The words of this room.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How to read a picture.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// Tesseract's name of the language, several joined by `+` (`eng`, `deu+eng`); without it the configured ones.
    pub language: Option<String>,
    /// Tesseract's page segmentation mode, 1 or 3–13: 6 = one block, 7 = one line, 11 = sparse text. Without it 6, and 11 for pictures
    /// larger than 640×480: on whole screens 11 finds the same words and less noise.
    pub page_segmentation: Option<u8>,
    /// Read only these characters.
    pub whitelist: Option<String>,
    /// What is done to the picture first.
    pub preprocess: Preprocess,
    /// From which confidence on the text is accepted, 0–1; without it the configured one.
    pub confidence_threshold: Option<f64>,
}

/// What is done to a picture before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Preprocess {
    /// Grey, twice as large, dark themes inverted, a border.
    #[default]
    Auto,
    /// Nothing but grey.
    None,
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Text {
    /// The text, lines separated by line breaks, without surrounding white space.
    pub text: String,
    /// The words' mean confidence, 0–1; 0 where there are none.
    pub confidence: f64,
    /// Whether there is a text, and the confidence reaches the threshold.
    #[serde(default)]
    pub accepted: bool,
    /// The words with their boxes, in reading order.
    pub words: Vec<Word>,
    /// The language it was read in.
    pub language: String,
    /// The engine that read it.
    pub engine: String,
    /// Seconds it took.
    pub execution_time: f64,
}

/// One word and where it stands, in pixels of the picture that was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Word {
    /// The word.
    pub text: String,
    /// 0–1.
    pub confidence: f64,
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// The number of its line, from 0.
    pub line: u32,
}

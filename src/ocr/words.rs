//! The words of this room.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// How to read a picture.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Reading {
    /// Tesseract's name of the language, several joined by `+` (`eng`, `deu+eng`); without it the configured ones.
    pub language: Option<String>,
    /// Tesseract's page segmentation mode, 1 or 3–13: 6 = one block, 7 = one line, 11 = sparse text. Without it lines are
    /// looked for first and each is read by itself, unless `preprocess` says something else: then it is 6 where the picture is at most 64 pixels
    /// high, 11 where it is larger than 640×480, and else 4, text of several sizes. The neural engine takes 7, 8, 10 and 13 as one line, and finds
    /// the lines itself else.
    pub page_segmentation: Option<u8>,
    /// Read only these characters.
    pub whitelist: Option<String>,
    /// What is done to the picture first; without it `auto`.
    pub preprocess: Option<Preprocess>,
    /// What reads it; without it Tesseract.
    pub engine: Option<Engine>,
    /// From which confidence on the text is accepted, 0–1; without it the configured one.
    pub confidence_threshold: Option<f64>,
    /// Seconds that the reading may take, waiting for a free engine included, more than 0 and at most `OCR_TIMEOUT`; without it that.
    #[schema(exclusive_minimum = 0)]
    pub timeout: Option<f64>,
}

impl Reading {
    /// What this does not say, as another one says it.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            language: self.language.or(other.language),
            page_segmentation: self.page_segmentation.or(other.page_segmentation),
            whitelist: self.whitelist.or(other.whitelist),
            preprocess: self.preprocess.or(other.preprocess),
            engine: self.engine.or(other.engine),
            confidence_threshold: self.confidence_threshold.or(other.confidence_threshold),
            timeout: self.timeout.or(other.timeout),
        }
    }
}

/// What reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OCREngine, example = "tesseract")]
pub enum Engine {
    /// Tesseract.
    #[default]
    Tesseract,
    /// Neural networks on ONNX Runtime, which `trae models install` brings: better at small and coloured text, and slower.
    Onnx,
    /// Another name of `onnx`.
    Easyocr,
    /// Both, and of what they read the better: the one with the higher confidence. Only Tesseract where the other is not installed.
    Auto,
}

/// What is done to a picture before it is read: `"auto"`, `"none"`, or a list of steps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Preprocess {
    /// What reads screens best: each line is cut out, larger, dark on light, with a border. With a `page_segmentation` all of the picture
    /// at once: `[{"scale": 2}, "invert_dark", {"border": 10}]`.
    #[default]
    Auto,
    /// Nothing but grey.
    None,
    /// These steps, one after the other; grey it is before them.
    Steps(Vec<Step>),
}

/// One thing that is done to a picture before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PreprocessStep)]
pub enum Step {
    /// Nothing: the picture is grey anyway.
    Grey,
    /// Light becomes dark, and dark light.
    Invert,
    /// The same where the background is dark.
    InvertDark,
    /// Its shades are spread from black to white.
    Contrast,
    /// Black or white: what is lighter than the best threshold (Otsu's) is white.
    Threshold,
    /// So many times as large, 1–4, by Lanczos' filter.
    Scale(u32),
    /// A border of so many pixels in the background's shade, 0–200.
    Border(u32),
}

/// What is done to a picture before it is read: `"auto"`, `"none"`, or at most 16 steps, one after the other; grey it is before them. Steps
/// by which a side would have more than 32,000 pixels, or the picture more than 100 million, are refused.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(
    untagged,
    expecting = "preprocess is \"auto\", \"none\", or a list of grey, invert, invert_dark, contrast, threshold, {\"scale\": 2}, {\"border\": 10}"
)]
#[schema(as = Preprocess, example = "auto")]
pub enum Written {
    /// A usual way.
    Named(Usual),
    /// Steps, one after the other.
    Steps(Vec<Step>),
}

/// A usual way to prepare a picture.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = PreprocessName)]
pub enum Usual {
    /// What reads screens best: for Tesseract grey, enlarged, dark themes turned round, with a border; for the neural engine nothing but grey.
    Auto,
    /// Nothing but grey.
    None,
}

impl From<Written> for Preprocess {
    fn from(written: Written) -> Self {
        match written {
            Written::Named(Usual::Auto) => Self::Auto,
            Written::Named(Usual::None) => Self::None,
            Written::Steps(steps) => Self::Steps(steps),
        }
    }
}

impl From<Preprocess> for Written {
    fn from(preprocess: Preprocess) -> Self {
        match preprocess {
            Preprocess::Auto => Self::Named(Usual::Auto),
            Preprocess::None => Self::Named(Usual::None),
            Preprocess::Steps(steps) => Self::Steps(steps),
        }
    }
}

impl PartialSchema for Preprocess {
    fn schema() -> RefOr<Schema> {
        Written::schema()
    }
}

impl ToSchema for Preprocess {
    fn name() -> Cow<'static, str> {
        Written::name()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        Written::schemas(schemas);
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
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
    /// The engine that read it: `tesseract` or `onnx`.
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

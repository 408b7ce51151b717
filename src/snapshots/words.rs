//! The words of this room: what is asked of a snapshot, and what it answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::input::Button;
use crate::ocr::{Engine, Preprocess, Reading};
use crate::screen::{ImageFormat, Region};

/// Zones of one reading, or clicks of one list, at most.
pub const MOST: usize = 10_000;

/// Milliseconds that the clicks of one list may wait in all.
pub const LONGEST_WAIT: u64 = 3_600_000;

/// What to keep a picture of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "monitor": 0, "region": { "x": 0, "y": 0, "width": 800, "height": 600 }, "quality": 85 }))]
pub struct SnapshotRequest {
    /// The monitor's number; 0 is the primary one.
    #[serde(default)]
    pub monitor: usize,
    /// A part of it, counted from its corner.
    #[serde(default)]
    pub region: Option<Region>,
    /// 1–100; for JPEG.
    #[serde(default = "quality")]
    #[schema(minimum = 1, maximum = 100)]
    pub quality: u8,
    /// How the picture is written down.
    #[serde(default)]
    pub format: ImageFormat,
    /// The desktop; without it the default one.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub target: Option<String>,
}

/// A picture of the screen that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Snapshot {
    /// Its id.
    #[schema(example = "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c01")]
    pub snapshot_id: String,
    /// When it was taken, RFC 3339 UTC.
    #[schema(format = DateTime, example = "2026-01-31T12:00:00.000000Z")]
    pub timestamp: String,
    /// The monitor it shows.
    #[schema(example = 0)]
    pub monitor: usize,
    /// The part of it, counted from its corner; null for all of it.
    pub region: Option<Region>,
    /// Pixels from left to right.
    #[schema(example = 800)]
    pub width: u32,
    /// Pixels from top to bottom.
    #[schema(example = 600)]
    pub height: u32,
    /// 1–100.
    #[schema(example = 85)]
    pub quality: u32,
    /// How its image is written down: `jpeg`, `png` or `webp`.
    #[schema(value_type = String, example = "jpeg")]
    pub format: ImageFormat,
    /// Bytes of its image.
    #[schema(example = 48213)]
    pub size_bytes: u64,
    /// The desktop it shows; null for the default one.
    pub target: Option<String>,
}

/// A part of a snapshot that is read, in the snapshot's pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OCRZoneConfig, example = json!({ "id": "zone1", "name": "Title", "x": 100, "y": 50, "width": 200, "height": 30, "language": "eng", "confidence_threshold": 0.8 }))]
pub struct Zone {
    /// Unique among the zones.
    pub id: String,
    /// For people.
    pub name: String,
    /// Left edge; with `y`, `width` and `height`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub x: Option<u32>,
    /// Top edge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub y: Option<u32>,
    /// Width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub width: Option<u32>,
    /// Height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub height: Option<u32>,
    /// In a template the zone of this name instead, which is where it is when the template is applied to the screen as it is now. What it says about
    /// reading counts where nothing is said here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_length = 1, max_length = 64)]
    pub zone: Option<String>,
    /// Tesseract's name of the language, several joined by `+`; without it those of `OCR_LANGUAGES`.
    #[serde(default)]
    pub language: Option<String>,
    /// How sure the reading must be to be accepted, 0–1.
    #[serde(default = "threshold")]
    #[schema(minimum = 0, maximum = 1, default = 0.8)]
    pub confidence_threshold: f64,
    /// Tesseract's page segmentation mode, 1 or 3–13: 6 = one block, 7 = one line, 11 = sparse text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 13)]
    pub page_segmentation: Option<u8>,
    /// Read only these characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whitelist: Option<String>,
    /// What is done to its picture first; without it what the reading says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preprocess: Option<Preprocess>,
    /// What reads it; without it what the reading says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine: Option<Engine>,
    /// Seconds that reading it may take, waiting for a free engine included, at most `OCR_TIMEOUT`, which all zones together may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(exclusive_minimum = 0)]
    pub timeout: Option<f64>,
}

impl Zone {
    /// Its left and top edge, width and height, where it says them.
    pub(super) fn part(&self) -> Option<(u32, u32, u32, u32)> {
        Some((self.x?, self.y?, self.width?, self.height?))
    }

    /// How it is read, as far as it says so.
    pub fn reading(&self) -> Reading {
        Reading {
            language: self.language.clone(),
            page_segmentation: self.page_segmentation,
            whitelist: self.whitelist.clone(),
            preprocess: self.preprocess.clone(),
            engine: self.engine,
            confidence_threshold: Some(self.confidence_threshold),
            timeout: self.timeout,
        }
    }

    /// One that has a name, where that is in a picture; what it does not say of reading is as `own` says.
    #[must_use]
    pub fn placed(self, (x, y): (u32, u32), (width, height): (u32, u32), own: Reading) -> Self {
        let Reading { language, page_segmentation, whitelist, preprocess, engine, timeout, .. } = self.reading().or(own);
        let (x, y, width, height) = (Some(x), Some(y), Some(width), Some(height));
        Self { x, y, width, height, zone: None, language, page_segmentation, whitelist, preprocess, engine, timeout, ..self }
    }
}

/// What a click action does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionType {
    /// One click of the button.
    Click,
    /// Two clicks of the button.
    DoubleClick,
    /// One click of the right button.
    RightClick,
}

/// A click at a point of a snapshot, in the snapshot's pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClickActionConfig, example = json!({ "id": "action1", "name": "Click Button", "x": 150, "y": 300, "action_type": "click", "button": "left", "delay_ms": 100 }))]
pub struct Action {
    /// Unique among the actions.
    pub id: String,
    /// For people.
    pub name: String,
    /// From the left.
    pub x: u32,
    /// From the top.
    pub y: u32,
    /// What it does.
    pub action_type: ActionType,
    /// Which button; a `right_click` is one of the right button whatever stands here.
    #[serde(default)]
    pub button: Button,
    /// Milliseconds before it.
    #[serde(default = "tenth")]
    #[schema(maximum = 3_600_000, default = 100)]
    pub delay_ms: u32,
}

/// What to read in a snapshot.
#[derive(Debug, Clone, PartialEq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OCRExecuteRequest, example = json!({ "snapshot_id": "snapshot_001", "zones": [{ "id": "zone1", "name": "Title", "x": 100, "y": 50, "width": 200, "height": 30, "language": "eng", "confidence_threshold": 0.8 }] }))]
pub struct OcrRequest {
    /// The snapshot.
    pub snapshot_id: String,
    /// Its zones.
    #[schema(min_items = 1, max_items = 10_000)]
    pub zones: Vec<Zone>,
    /// What reads.
    #[serde(default)]
    pub engine: Engine,
    /// What is done to the picture first.
    #[serde(default)]
    pub preprocess: Preprocess,
}

/// What was read in all zones.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = OCRExecuteResponse)]
pub struct OcrAnswer {
    /// `true`.
    pub success: bool,
    /// The snapshot.
    pub snapshot_id: String,
    /// What read: `tesseract` or `onnx`, and `auto` where some zones were read by the one and some by the other.
    #[schema(example = "tesseract")]
    pub engine: String,
    /// Zone by zone, in the order in which they were given.
    pub results: Vec<ZoneResult>,
    /// Seconds it took.
    #[schema(example = 0.21)]
    pub execution_time: f64,
}

/// What was read in one zone.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = OCRZoneResult)]
pub struct ZoneResult {
    /// The zone.
    #[schema(example = "zone1")]
    pub zone_id: String,
    /// Its name.
    #[schema(example = "Title")]
    pub name: String,
    /// The text, lines separated by line breaks.
    #[schema(example = "Invoice 42")]
    pub text: String,
    /// The words' mean confidence, 0–1.
    #[schema(minimum = 0, maximum = 1, example = 0.96)]
    pub confidence: f64,
    /// Whether there is a text, and the confidence reaches the zone's threshold.
    pub accepted: bool,
    /// The language it was read in.
    #[schema(example = "eng")]
    pub language: String,
    /// The words with their boxes in the snapshot's pixels, in reading order.
    pub words: Vec<ZoneWord>,
    /// Seconds it took.
    #[schema(example = 0.08)]
    pub execution_time: f64,
}

/// One word of a zone, in the snapshot's pixels.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = OCRWord, example = json!({ "text": "Invoice", "confidence": 0.96, "x": 104, "y": 56, "width": 61, "height": 14 }))]
pub struct ZoneWord {
    /// The word.
    pub text: String,
    /// 0–1.
    pub confidence: f64,
    /// Left edge.
    pub x: i64,
    /// Top edge.
    pub y: i64,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// Where to click in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ClickExecuteRequest, example = json!({ "snapshot_id": "snapshot_001", "actions": [{ "id": "action1", "name": "Click Button", "x": 150, "y": 300, "action_type": "click", "button": "left", "delay_ms": 100 }], "sequential": true, "delay_between_actions": 500 }))]
pub struct ClickRequest {
    /// The snapshot.
    pub snapshot_id: String,
    /// The clicks, in their order.
    #[schema(min_items = 1, max_items = 10_000)]
    pub actions: Vec<Action>,
    /// Stop at the first that fails; else the others are tried all the same.
    #[serde(default = "yes")]
    pub sequential: bool,
    /// Milliseconds between two of them.
    #[serde(default)]
    #[schema(maximum = 3_600_000)]
    pub delay_between_actions: u32,
}

/// What came of the clicks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = ClickExecuteResponse)]
pub struct ClickAnswer {
    /// Whether all of them were done.
    pub success: bool,
    /// The snapshot.
    pub snapshot_id: String,
    /// Click by click, as far as they were tried.
    pub results: Vec<ActionResult>,
    /// Seconds it took.
    #[schema(example = 0.65)]
    pub execution_time: f64,
}

/// What came of one click.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ClickActionResult, example = json!({ "action_id": "action1", "name": "Click Button", "success": true, "x": 150, "y": 300, "screen_x": 150, "screen_y": 300, "error": null }))]
pub struct ActionResult {
    /// The action.
    pub action_id: String,
    /// Its name.
    pub name: String,
    /// Whether it was done.
    pub success: bool,
    /// From the left of the snapshot.
    pub x: u32,
    /// From the top of the snapshot.
    pub y: u32,
    /// From the left of the whole virtual screen, where it was done.
    pub screen_x: Option<i32>,
    /// From the top of the whole virtual screen, where it was done.
    pub screen_y: Option<i32>,
    /// Why it was not done.
    pub error: Option<String>,
}

/// A named set of zones and clicks as it is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct TemplateDraft {
    /// The template's own id, where it is sent along with a change.
    pub id: Option<String>,
    /// For people.
    pub name: String,
    /// What is read.
    pub zones: Vec<Zone>,
    /// Where is clicked.
    pub actions: Vec<Action>,
}

/// A named set of zones and clicks.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = SnapshotTemplate)]
pub struct Template {
    /// Its id.
    #[schema(example = "0199c3a0-5f0e-7c3a-9b1e-0d2f4a6b8c02")]
    pub id: String,
    /// For people.
    #[schema(example = "Invoice")]
    pub name: String,
    /// What is read.
    pub zones: Vec<Zone>,
    /// Where is clicked.
    pub actions: Vec<Action>,
    /// When it was made, RFC 3339 UTC.
    #[schema(format = DateTime)]
    pub created_at: String,
    /// When it last changed, RFC 3339 UTC.
    #[schema(format = DateTime)]
    pub updated_at: String,
}

/// What came of a template on a snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = TemplateApplied)]
pub struct Applied {
    /// What was read; null where the template has no zones.
    pub ocr: Option<OcrAnswer>,
    /// What was clicked; null where that was not asked for, or the template has no clicks.
    pub clicks: Option<ClickAnswer>,
}

fn quality() -> u8 {
    85
}

fn threshold() -> f64 {
    0.8
}

fn tenth() -> u32 {
    100
}

fn yes() -> bool {
    true
}

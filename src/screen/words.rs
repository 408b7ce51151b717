//! The words of this room: what is asked of a screen, and what it answers.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A rectangle in physical pixels of the whole virtual screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Region {
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width, at least 1.
    pub width: u32,
    /// Height, at least 1.
    pub height: u32,
}

/// One monitor.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Monitor {
    /// Its number; 0 is the primary one.
    pub index: usize,
    /// Its name, such as `HDMI-1`.
    pub name: String,
    /// Left edge on the virtual screen.
    pub x: i32,
    /// Top edge on the virtual screen.
    pub y: i32,
    /// Width in physical pixels.
    pub width: u32,
    /// Height in physical pixels.
    pub height: u32,
    /// Physical pixels for each logical one.
    pub scale_factor: f64,
    /// Whether it is the primary monitor.
    pub is_primary: bool,
}

/// What to capture: a monitor, a region, a region of a monitor, or with neither the whole virtual screen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Capture {
    /// The monitor's number. With a region, the region counts from that monitor's corner.
    pub monitor: Option<usize>,
    /// The part wanted; it must lie on the screen entirely.
    pub region: Option<Region>,
}

/// How a picture is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// Small, lossy.
    #[default]
    Jpeg,
    /// Lossless.
    Png,
    /// Lossless WebP.
    Webp,
}

/// How much of a window its picture shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Extent {
    /// All of it, also what others cover.
    Whole,
    /// What lies on the screen, with what covers it.
    Visible,
}

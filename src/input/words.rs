//! The words of this room: what can be done with a mouse and a keyboard. Coordinates are physical pixels of the virtual screen.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A mouse button.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Button {
    /// The main button.
    #[default]
    Left,
    /// The context menu's button.
    Right,
    /// The wheel's button.
    Middle,
}

/// A point on the virtual screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Point {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
}

/// Move the pointer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Move {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
    /// Seconds the way takes, 0–60.
    #[serde(default)]
    pub duration: f64,
}

/// Click at a point.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Click {
    /// From the left.
    pub x: i32,
    /// From the top.
    pub y: i32,
    /// Which button.
    #[serde(default)]
    pub button: Button,
    /// How many times, 1–100.
    #[serde(default = "one")]
    pub clicks: u32,
    /// Seconds each click holds the button down, 0–60.
    #[serde(default)]
    pub duration: f64,
}

/// Press at one point, release at another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Drag {
    /// Start, from the left.
    pub from_x: i32,
    /// Start, from the top.
    pub from_y: i32,
    /// End, from the left.
    pub to_x: i32,
    /// End, from the top.
    pub to_y: i32,
    /// Which button.
    #[serde(default)]
    pub button: Button,
    /// Seconds the way takes, 0–60.
    #[serde(default = "quarter")]
    pub duration: f64,
}

/// Turn the wheel: positive `dy` scrolls down, positive `dx` right, as browsers count.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
#[derive(Default)]
pub struct Scroll {
    /// Where to move the pointer first, from the left.
    pub x: Option<i32>,
    /// Where to move the pointer first, from the top.
    pub y: Option<i32>,
    /// Steps to the right, −1000–1000.
    pub dx: i32,
    /// Steps down, −1000–1000.
    pub dy: i32,
}

/// Press or release a button where the pointer is, or at a point.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Hold {
    /// Where to move the pointer first, from the left.
    pub x: Option<i32>,
    /// Where to move the pointer first, from the top.
    pub y: Option<i32>,
    /// Which button.
    pub button: Button,
}

/// Type a text, whatever the keyboard layout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TypeText {
    /// The text.
    pub text: String,
    /// Seconds between two characters, 0–60.
    #[serde(default)]
    pub interval: f64,
    /// Whether a line break in it may press Return, and a tab Tab; other control characters are refused anyway.
    #[serde(default)]
    pub allow_control: bool,
}

/// Press a key and let it go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Press {
    /// A key as PyAutoGUI spells it: `enter`, `f5`, `a`, `ctrlleft`, …
    pub key: String,
    /// How many times, 1–1000.
    #[serde(default = "one")]
    pub presses: u32,
    /// Seconds between two presses, 0–60.
    #[serde(default)]
    pub interval: f64,
}

/// Press several keys together, as in `["ctrl", "shift", "t"]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Hotkey {
    /// The keys in the order in which they go down, at most 10.
    pub keys: Vec<String>,
}

/// Press a key and keep it down, or let it go.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyHold {
    /// A key as PyAutoGUI spells it.
    pub key: String,
}

fn one() -> u32 {
    1
}

fn quarter() -> f64 {
    0.25
}

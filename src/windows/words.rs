//! The words of this room: what is asked of windows, and what they are like.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A window as it is now. Places are physical pixels of the virtual screen, with the frame that a window manager draws around it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Window {
    /// Its number: on X11 the id that other programs know it by, too.
    pub id: u32,
    /// What stands in its title bar.
    pub title: String,
    /// What kind of program it is of, such as `XTerm`.
    pub class: String,
    /// The program's own name for it, such as `xterm`.
    pub instance: String,
    /// The process that it is of, where that runs on this machine.
    pub pid: Option<u32>,
    /// Left edge.
    pub x: i32,
    /// Top edge.
    pub y: i32,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// How much of that is frame.
    pub frame: Margins,
    /// The number of the monitor that shows most of it; null where none shows any.
    pub monitor: Option<usize>,
    /// Whether keys go to it.
    pub is_focused: bool,
    /// Whether it is on the screen: not minimized, and not on another workspace. Others may still cover it.
    pub is_visible: bool,
    /// Whether it is put away.
    pub is_minimized: bool,
    /// Whether it fills its monitor.
    pub is_maximized: bool,
    /// Whether it fills its monitor without a frame.
    pub is_fullscreen: bool,
}

/// How thick each side of a frame is, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct Margins {
    /// The left side.
    pub left: u32,
    /// The right side.
    pub right: u32,
    /// The top, with the title bar.
    pub top: u32,
    /// The bottom.
    pub bottom: u32,
}

/// Which windows are meant: those that fit all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Filter {
    /// A part of the title; capital and small letters are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A regular expression that a part of the title fits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title_regex: Option<String>,
    /// The class or the instance, whole; capital and small letters are the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// What can be done with a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Raise it and let keys go to it; one that is minimized comes back.
    Focus,
    /// Put the frame's corner at a point.
    Move {
        /// Left edge.
        x: i32,
        /// Top edge.
        y: i32,
    },
    /// Give it a size, frame included.
    Resize {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// Put it away.
    Minimize,
    /// Let it fill its monitor.
    Maximize,
    /// Undo what was last of minimized, fullscreen and maximized.
    Restore,
    /// Ask it to close, as the cross in its frame does. It may ask back and stay.
    Close,
}

//! The desktop's rooms on real displays.

mod clipboard;
#[path = "../support/display.rs"]
pub mod display;
mod keyboard;
mod mouse;
mod screen;
mod targets;

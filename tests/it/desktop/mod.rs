//! The desktop's rooms on real displays.

mod clipboard;
#[path = "../support/display.rs"]
pub mod display;
mod frames;
mod hands;
mod keyboard;
mod monitors;
mod mouse;
mod screen;
pub mod targets;
mod vnc;
mod windows;

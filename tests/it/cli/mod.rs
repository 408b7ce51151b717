//! The binary itself, as somebody at a terminal uses it.

mod config;
mod doctor;
mod keys;
mod log;
mod settings;
pub mod trae;

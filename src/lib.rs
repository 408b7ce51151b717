//! TRAE, the Trusted Remote Automation Environment: it sees a desktop, moves its mouse, types, reads its text, runs its shells and
//! calls HTTP, all of it from small Rhai scripts in a sandbox, behind a REST/WebSocket API.
//!
//! The map of the house is `src/README.md`; [`app::App`] is the room that knows every other.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout))]

pub mod api;
pub mod app;
pub mod audit;
pub mod clipboard;
pub mod config;
pub mod desktop;
pub mod error;
pub mod failpoint;
pub mod fetch;
pub mod files;
pub mod host;
pub mod input;
pub mod integrations;
pub mod keys;
pub mod logging;
pub mod mask;
pub mod ocr;
pub mod policy;
pub mod recordings;
pub mod runs;
pub mod sandbox;
pub mod schedule;
pub mod screen;
pub mod script;
pub mod secrets;
pub mod services;
pub mod shell;
pub mod sight;
pub mod snapshots;
pub mod store;
pub mod system;
pub mod tally;
pub mod triggers;
pub mod trust;
pub mod vision;
pub mod vnc;
pub mod windows;
pub mod workflow;

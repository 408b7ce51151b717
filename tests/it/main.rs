//! One integration crate, so that everything links once: each area is a module.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    unreachable_pub
)]

mod api;
mod browser;
mod cli;
mod demo;
mod desktop;
mod docker;
mod examples;
mod fuzz;
mod house;
mod integrations;
mod machine;
mod runs;
mod sandbox;
mod script;
mod support;
mod triggers;
mod workflow;

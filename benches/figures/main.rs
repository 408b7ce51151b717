//! The figures of this machine: `make bench`, or `cargo bench --bench figures -- server cancel` for some of them.
//!
//! Each line is the least, the median and the greatest of several rounds; where a figure has a target, the median is held against it.
//! What is measured beside something else (a raw call, another server) is measured in the same run, in turns.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::panic,
    clippy::cast_precision_loss
)]

mod cancel;
mod chains;
mod desktop;
mod history;
mod journal;
mod load;
#[allow(dead_code)]
#[path = "../../tests/it/api/painted/mod.rs"]
mod painted;
mod peer;
mod peers;
mod reload;
mod report;
mod rfb;
mod served;
mod server;
mod sessions;
mod shell;
mod sight;
mod stream;
mod trust;
mod venv;

const BINARY: &str = env!("CARGO_BIN_EXE_trae");
const ROUNDS: usize = 5;

/// A group of figures, and the word that asks for it.
type Group = (&'static str, fn());

const GROUPS: [Group; 13] = [
    ("chains", chains::measure),
    ("journal", journal::measure),
    ("server", server::measure),
    ("desktop", desktop::measure),
    ("stream", stream::measure),
    ("peers", peers::measure),
    ("cancel", cancel::measure),
    ("shell", shell::measure),
    ("sessions", sessions::measure),
    ("history", history::measure),
    ("reload", reload::measure),
    ("sight", sight::measure),
    ("trust", trust::measure),
];

fn main() {
    // Cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = asked.iter().find(|word| !GROUPS.iter().any(|(name, _)| name == word)) {
        println!(
            "there is no group {unknown:?}: chains, journal, server, desktop, stream, peers, cancel, shell, sessions, history, reload, sight, \
             trust"
        );
        std::process::exit(2);
    }
    report::head();
    for (name, measure) in GROUPS {
        if asked.is_empty() || asked.iter().any(|word| word == name) {
            measure();
        }
    }
}

//! The crash harness: clients use a real server, the server (or a runner of it) is killed with -9 at random moments and at named
//! places, and after each start what it promised must hold. `make crash ROUNDS=500` for many rounds, `make crash SEED=…` for one again.
//!
//! `life` is one round, `clients` who uses the server, `book` what it promised them, `check` what must hold, `flows` what is run.
//! Mutants show that the harness finds what it is for: servers that break a promise (`src/failpoint.rs`) are found out.
#![cfg(target_os = "linux")]
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod book;
mod check;
mod clients;
mod flows;
mod life;
mod seed;
mod server;

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::StreamExt as _;

use life::{Outcome, World, live};

/// Rounds that go on at the same time: most of a round is waiting.
const AT_ONCE: u64 = 4;
/// A mutant is found out within so many rounds.
const MUTANT_ROUNDS: u64 = 20;

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.trim().parse().ok())
}

/// An X display to take pictures of, for all rounds.
struct Display {
    server: Child,
    name: String,
}

impl Display {
    fn start() -> Self {
        let mut command = Command::new("Xvfb");
        command.args(["-displayfd", "1", "-screen", "0", "320x200x24", "-nolisten", "tcp", "-noreset"]);
        let mut server = server::spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()));
        let mut number = String::new();
        let mut output = server.stdout.take().unwrap();
        while !number.ends_with('\n') {
            let mut byte = [0];
            output.read_exact(&mut byte).expect("Xvfb says its number");
            number.push(byte[0].into());
        }
        Self { server, name: format!(":{}", number.trim()) }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Every place in the sources at which a server can be told to die.
fn points() -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(text) = std::fs::read_to_string(&path) {
                let named = text.split("failpoint::here(\"").skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned));
                found.extend(named);
            }
        }
    }
    found.sort();
    found
}

fn world(display: &Display, mutant: Option<&'static str>) -> World {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("crash-{}-{}", std::process::id(), mutant.unwrap_or("right")));
    std::fs::create_dir_all(&folder).unwrap();
    World { display: display.name.clone(), points: points(), mutant, folder }
}

fn begin() -> Display {
    let _ = rustls::crypto::ring::default_provider().install_default();
    server::adopt_orphans();
    Display::start()
}

/// What to say of a round that broke something.
fn told(seed: u64, outcome: &Outcome) -> String {
    let folder = outcome.left.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default();
    let broken = outcome.broken.join("\n    ");
    format!("SEED={seed}, killed {}, data left in {folder}\n    {broken}", outcome.kills.join(", then "))
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_and_nothing_is_done_twice() {
    let display = begin();
    let world = world(&display, None);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let (first, rounds) = match setting("CRASH_SEED") {
        Some(seed) => (seed, setting("CRASH_ROUNDS").unwrap_or(1)),
        None => (now * 1000, setting("CRASH_ROUNDS").unwrap_or(25)),
    };
    println!("{rounds} rounds from SEED={first} on, with {} places to die at", world.points.len());
    let (mut promises, mut runs, mut by_files, mut by_the_clock, mut kills, mut bad) = (0, 0, 0, 0, 0, Vec::new());
    let mut died_at: BTreeMap<String, u32> = BTreeMap::new();
    let lives = futures_util::stream::iter(first..first + rounds).map(|seed| {
        let world = &world;
        async move { (seed, live(world, seed).await) }
    });
    let mut lives = lives.buffer_unordered(usize::try_from(AT_ONCE).unwrap_or(1));
    while let Some((seed, outcome)) = lives.next().await {
        promises += outcome.promises;
        runs += outcome.runs;
        by_files += outcome.by_files;
        by_the_clock += outcome.by_the_clock;
        kills += outcome.kills.len();
        for point in &outcome.died_at {
            *died_at.entry(point.split(':').next().unwrap_or(point).to_owned()).or_default() += 1;
        }
        if !outcome.broken.is_empty() {
            println!("{}", told(seed, &outcome));
            bad.push(told(seed, &outcome));
        }
    }
    drop(lives);
    println!("died at {died_at:?}");
    println!("{runs} runs, {by_files} of them by dropped files, {by_the_clock} by the clock");
    println!("{rounds} rounds, {kills} kills, {promises} promises: {} rounds broke something", bad.len());
    assert!(bad.is_empty(), "after a crash this did not hold (repeat it with `make crash SEED=…`):\n  {}", bad.join("\n  "));
    assert!(promises as u64 > rounds * 10 && runs as u64 > rounds, "too little happened for this to mean anything");
    let _ = std::fs::remove_dir_all(&world.folder);
}

/// Rounds with a wrong server, until one is found out.
async fn found_out(mutant: &'static str, of: &str) {
    let display = begin();
    let world = world(&display, Some(mutant));
    let seeds = (1..=MUTANT_ROUNDS).map(|seed| {
        let world = &world;
        async move { (seed, live(world, seed).await) }
    });
    let mut lives = futures_util::stream::iter(seeds).buffer_unordered(2);
    let mut found = Vec::new();
    while let Some((seed, outcome)) = lives.next().await {
        if outcome.broken.iter().any(|sentence| sentence.contains(of)) {
            found.push(told(seed, &outcome));
            break;
        }
    }
    drop(lives);
    let _ = std::fs::remove_dir_all(&world.folder);
    println!("{found:?}");
    assert!(!found.is_empty(), "a server that is told to {mutant} passed {MUTANT_ROUNDS} rounds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_acknowledges_before_it_commits_is_found_out() {
    found_out("ack_before_commit", "acknowledged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_finished_steps_again_is_found_out() {
    found_out("rerun_finished_step", "times").await;
}

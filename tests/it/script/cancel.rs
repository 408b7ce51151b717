//! A cancelled run ends at once, whatever it is doing.

use std::sync::Arc;
use std::time::{Duration, Instant};

use trae::host::Outcome;
use trae::policy::Permissions;

use super::{host, job, program};

/// What a run can be busy with.
const BUSY: &[(&str, &str)] = &[
    ("a delay", "time::sleep(600)"),
    ("a shell command", "shell::run(\"sleep 600\")"),
    ("an endless loop", "loop {}"),
    ("an endless loop of steps", "loop { step(\"a\", || 1); }"),
    ("a wait for another server", "http::get(params.url)"),
    ("reading the screen", "loop { ocr::read(); }"),
    ("slow typing", "keyboard::type_text(#{ text: \"a very long text\", interval: 50.0 })"),
    ("a slow move", "mouse::move_to(#{ x: 500, y: 500, duration: 60.0 })"),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_ends_at_once_whatever_it_does() {
    let host = Arc::new(host());
    let files = tempfile::tempdir().unwrap();
    // Accepts connections and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    for (name, source) in BUSY {
        let mut busy = program(source);
        busy.permissions = Permissions::all();
        busy.limits.operations = u64::MAX;
        let (mut job, _) = job(Arc::new(busy), files.path());
        job.start.parameters = serde_json::value::to_raw_value(&serde_json::json!({ "url": url })).unwrap();
        let cancel = job.cancel.clone();
        let running = tokio::spawn({
            let host = host.clone();
            async move { host.run(job).await }
        });
        tokio::time::sleep(Duration::from_millis(700)).await;
        assert!(!running.is_finished(), "{name} ended by itself");
        let asked = Instant::now();
        cancel.cancel();
        let outcome = running.await.unwrap();
        assert!(matches!(outcome, Outcome::Cancelled), "{name}: {outcome:?}");
        assert!(asked.elapsed() < Duration::from_secs(1), "{name} took {:?} to stop", asked.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_runner_is_a_failed_run_with_a_reason() {
    let host = Arc::new(host());
    let files = tempfile::tempdir().unwrap();
    let mut endless = program("loop {}");
    endless.limits.operations = u64::MAX;
    let (job, _) = job(Arc::new(endless), files.path());
    let running = tokio::spawn({
        let host = host.clone();
        async move { host.run(job).await }
    });
    let runner = loop {
        tokio::time::sleep(Duration::from_millis(50)).await;
        let found = runners().pop();
        if let Some(pid) = found {
            break pid;
        }
    };
    tokio::time::sleep(Duration::from_millis(200)).await;
    std::process::Command::new("kill").args(["-9", &runner.to_string()]).status().unwrap();
    let Outcome::Failed(error) = running.await.unwrap() else { panic!("a run without a runner did not fail") };
    assert_eq!(error.code, trae::error::Kind::RunnerCrashed);
    assert!(error.message.contains("signal 9"), "{}", error.message);
}

/// Killed with what runners come from, the run has failed as well; the next one finds another.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_zygote_takes_its_runners_along_and_is_replaced() {
    let host = Arc::new(host());
    let files = tempfile::tempdir().unwrap();
    let mut endless = program("loop {}");
    endless.limits.operations = u64::MAX;
    let (job_of_it, _) = job(Arc::new(endless), files.path());
    let running = tokio::spawn({
        let host = host.clone();
        async move { host.run(job_of_it).await }
    });
    let runner = loop {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if let Some(pid) = runners().pop() {
            break pid;
        }
    };
    for zygote in forked_by(std::process::id()) {
        std::process::Command::new("kill").args(["-9", &zygote.to_string()]).status().unwrap();
    }
    let Outcome::Failed(error) = running.await.unwrap() else { panic!("a run without a runner did not fail") };
    assert_eq!(error.code, trae::error::Kind::RunnerCrashed);
    until_gone(runner).await;
    let (job, _) = job(Arc::new(program("1 + 1")), files.path());
    let outcome = host.run(job).await;
    assert!(matches!(&outcome, Outcome::Succeeded(two) if two.get() == "2"), "{outcome:?}");
}

/// Waits until a process has ended with all its threads, buried or not.
async fn until_gone(pid: u32) {
    let is_there = || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
        state.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z') || threads > 1)
    };
    let patience = Instant::now() + Duration::from_secs(10);
    while is_there() {
        assert!(Instant::now() < patience, "a runner outlives its zygote, or a kill");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// As where memory runs out: what was kept warm has ended, and no run has anything to do with that.
#[tokio::test(flavor = "multi_thread")]
async fn a_warm_runner_that_was_killed_fails_no_run() {
    let (host, files) = (host(), tempfile::tempdir().unwrap());
    let program = Arc::new(program("1 + 1"));
    for _ in 0..3 {
        let (job, _) = job(Arc::clone(&program), files.path());
        let outcome = host.run(job).await;
        assert!(matches!(&outcome, Outcome::Succeeded(two) if two.get() == "2"), "{outcome:?}");
        let idle = runners().pop().expect("a runner is kept warm");
        std::process::Command::new("kill").args(["-9", &idle.to_string()]).status().unwrap();
        until_gone(idle).await;
    }
}

/// The runners of this test's process: nextest runs each test in one of its own, and they are copies of its only child that is TRAE.
fn runners() -> Vec<u32> {
    forked_by(std::process::id()).into_iter().flat_map(forked_by).collect()
}

fn forked_by(parent: u32) -> Vec<u32> {
    let children = std::process::Command::new("pgrep").args(["-P", &parent.to_string(), "-f", "trae runner"]).output().unwrap();
    String::from_utf8(children.stdout).unwrap().lines().filter_map(|line| line.parse().ok()).collect()
}

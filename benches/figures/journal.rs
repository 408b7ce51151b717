//! What the journal costs, and what it gives: runs that wait, and runs that go on after a kill.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trae::app::Programs;
use trae::desktop::{self, Desktops};
use trae::error::Failure;
use trae::host::protocol::{Past, Pause, Program, Record, Start, Wait};
use trae::host::{self, Answer, Capabilities, Host, Job, Journal, Outcome, Waited};
use trae::policy::{Grant, Permissions};
use trae::runs::{self, Execute, Runner, Runs};
use trae::script::{self, Library};
use trae::store::Store;
use trae::{fetch, ocr, shell, system};

use crate::chains::chain;
use crate::report::Target::{AtMost, None as Untargeted};
use crate::report::{milliseconds, show};
use crate::served::Served;
use crate::{BINARY, ROUNDS};

const NODES: u32 = 1_000;
/// Runs in each round: one alone is a few milliseconds.
const RUNS: u32 = 20;
const WAITING: usize = 1_000;
const INTERRUPTED: usize = 200;
/// Threads that did something stay about so long.
const CALM: Duration = Duration::from_secs(12);

pub fn measure() {
    cost();
    waiting();
    resumed();
}

/// Keeps nothing.
pub struct Nothing;

impl Journal for Nothing {
    fn record(&self, record: Record) {
        drop(record);
    }

    fn durable(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }

    fn respond(&self, _: Answer) {}

    fn wait(&self, _: Wait, _: Option<Duration>, _: CancellationToken) -> BoxFuture<'_, Result<Waited, Failure>> {
        Box::pin(async { Ok(Waited::Rest) })
    }

    fn past(&self) -> BoxFuture<'_, Result<Past, Failure>> {
        Box::pin(async { Ok(Past::default()) })
    }

    fn pause(&self, _: Pause) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(()) })
    }
}

/// The host, which remembers what it was last asked to run.
struct Remembering {
    host: Arc<Host>,
    last: Mutex<Option<(Arc<Program>, Start, Grant)>>,
}

impl Runner for Remembering {
    fn run(&self, job: Job) -> BoxFuture<'_, Outcome> {
        *self.last.lock().unwrap() = Some((Arc::clone(&job.program), job.start.clone(), job.grant.clone()));
        Box::pin(self.host.run(job))
    }
}

/// The same chain, the same host, with the journal and with one that keeps nothing, in turns.
fn cost() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(&data.path().join("trae.db")).unwrap();
    runtime.block_on(async {
        let host = Arc::new(Host::new(capabilities(), host::Settings { runner: BINARY.into(), max_runners: 4 }).unwrap());
        let runner = Arc::new(Remembering { host: Arc::clone(&host), last: Mutex::default() });
        let library = Arc::new(Library::open(script::Settings::default()));
        let settings = runs::Settings::new(data.path(), Permissions::all());
        let runs = Runs::new(store.clone(), Arc::clone(&runner) as Arc<dyn Runner>, Arc::new(Programs::new(library)), settings);
        runs.workflows().create(serde_json::from_value(chain("cost", NODES)).unwrap()).await.unwrap();
        // Both are warm before anything counts.
        runs.execute_workflow("cost", Execute::default()).await.unwrap().ended().await;
        let (program, start, grant) = runner.last.lock().unwrap().take().unwrap();
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let (mut journaled, mut bare) = (0.0, 0.0);
            for _ in 0..RUNS {
                let begun = Instant::now();
                runs.execute_workflow("cost", Execute::default()).await.unwrap().ended().await;
                journaled += begun.elapsed().as_secs_f64() * 1e3 / f64::from(RUNS);
                let (program, start, grant) = (Arc::clone(&program), start.clone(), grant.clone());
                let cancel = CancellationToken::new();
                let begun = Instant::now();
                let outcome = host.run(Job { program, start, grant, journal: Arc::new(Nothing), cancel, deadline: None }).await;
                bare += begun.elapsed().as_secs_f64() * 1e3 / f64::from(RUNS);
                assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
            }
            with.push(journaled);
            without.push(bare);
        }
        let more = with.iter().zip(&without).map(|(with, without)| (with / without - 1.0) * 100.0).collect();
        show(&format!("chain of {NODES} with its journal"), "ms", Untargeted, with);
        show(&format!("chain of {NODES} without one"), "ms", Untargeted, without);
        show("what journaling costs", "%", AtMost(30.0), more);
        runs.shutdown().await;
        host.shutdown();
    });
    store.close();
}

/// What scripts use, with no desktop.
pub fn capabilities() -> Capabilities {
    let ocr = ocr::Settings {
        languages: vec!["eng".to_owned()],
        timeout: Duration::from_secs(30),
        confidence_threshold: 0.7,
        models: "no-models".into(),
    };
    let ocr = Arc::new(ocr::Ocr::new(ocr));
    Capabilities {
        desktops: Arc::new(Desktops::new(desktop::Settings { mode: desktop::Mode::None, ..Default::default() })),
        sight: trae::sight::Sight::new(Arc::clone(&ocr)),
        ocr,
        shells: Arc::new(shell::Shells::new(shell::Settings::default())),
        fetch: Arc::new(fetch::Fetch::new()),
        system: Arc::new(system::System::new()),
    }
}

/// What a thousand runs cost that wait for an hour: threads, memory, processes.
fn waiting() {
    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path(), None);
    let mut client = served.client();
    let waits = |id: &str, seconds: f64| {
        json!({
            "id": id, "name": id,
            "nodes": [
                { "id": "start", "type": "manual_trigger", "data": {} },
                { "id": "wait", "type": "delay", "data": { "config": { "seconds": seconds } } }
            ],
            "edges": [{ "id": "e", "source": "start", "target": "wait" }]
        })
    };
    for (id, seconds) in [("at-once", 0.0), ("an-hour", 3600.0)] {
        client.expect_success("POST", "/api/workflows/", &waits(id, seconds).to_string());
    }
    // As warm as it will be.
    for _ in 0..WAITING {
        client.expect_success("POST", "/api/workflows/at-once/execute", "{}");
    }
    wait_for(&served, "succeeded", WAITING);
    std::thread::sleep(CALM);
    let (threads, memory) = (served.threads(), served.resident());
    for _ in 0..WAITING {
        client.expect_success("POST", "/api/workflows/an-hour/execute", "{}");
    }
    wait_for(&served, "waiting", WAITING);
    std::thread::sleep(CALM);
    show("1,000 runs that wait: threads more", "", AtMost(0.0), vec![served.threads() - threads]);
    show("1,000 runs that wait: memory more", "MB", AtMost(10.0), vec![(served.resident() - memory) / 1e6]);
}

/// From the start of a server to the end of all runs that the one before it left in the middle of a step, or queued behind those.
fn resumed() {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let data = tempfile::tempdir().unwrap();
        let source = [
            "//! Goes on once it may.",
            "//! ---",
            "//! resumable = true",
            "//! [permissions]",
            "//! read = [\"go\"]",
            "//! ---",
            "step(\"hold\", || while !files::exists(\"go\") { time::sleep(0.2); });",
        ];
        let mut served = Served::start(data.path(), None);
        let mut client = served.client();
        client.expect_success("PUT", "/api/scripts/hold.rhai", &json!({ "source": source.join("\n") }).to_string());
        for _ in 0..INTERRUPTED {
            client.expect_success("POST", "/api/scripts/hold.rhai/run", "{}");
        }
        until_held(data.path());
        served.kill();
        std::fs::write(data.path().join("files/go"), "").unwrap();
        times.push(milliseconds(|| {
            served = Served::start(data.path(), None);
            wait_for(&served, "succeeded", INTERRUPTED);
        }));
    }
    show("200 runs that were under way: from the next start to their end", "ms", AtMost(2_000.0), times);
}

/// Waits until as many runs as go on at the same time are in the middle of their step.
fn until_held(data: &Path) {
    let database = rusqlite::Connection::open_with_flags(data.join("trae.db"), rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let held = || database.query_row("SELECT count(*) FROM steps WHERE status = 'running'", [], |row| row.get::<_, i64>(0)).unwrap();
    while held() < 64 {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn wait_for(served: &Served, status: &str, count: usize) {
    let mut client = served.client();
    loop {
        let page: Value = serde_json::from_str(&client.expect_success("GET", &format!("/api/runs?status={status}&limit=1"), "")).unwrap();
        if page["count"].as_u64() == Some(count as u64) {
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

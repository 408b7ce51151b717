//! What safety costs: the door before every request, the audit log, a runner in its sandbox, and a call through the broker.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::Request;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use trae::api::Door;
use trae::audit::{Audit, Deed, Outcome as Done};
use trae::config::Config;
use trae::host::protocol::{Mode, Past, Program, Start};
use trae::host::{self, Host, Job, Outcome};
use trae::policy::{Grant, Permissions};
use trae::store::Store;

use crate::journal::{Nothing, capabilities};
use crate::load::{load, load_as, missing};
use crate::report::Target::{AtMost, None as Untargeted};
use crate::report::{show, skip};
use crate::served::Served;
use crate::{BINARY, ROUNDS};

/// Runs in new runners, and calls of a warm one, in each round.
const COLD: u32 = 20;
/// Requests that are judged in each round.
const JUDGED: u32 = 100_000;
const CALLS: u32 = 5_000;
/// Changes that are put on record in each round, and at a time.
const CHANGES: usize = 5_000;
const AT_ONCE: usize = 16;

pub fn measure() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    match missing() {
        Some(why) => skip("what the door costs", why),
        None => door(&runtime),
    }
    runtime.block_on(audit());
    runtime.block_on(runners());
}

/// What of a request's processor time the checks before it take, measured on the cheapest request there is; what a key costs; and, beside
/// that, everything that stands between HTTP and a handler: the same answer by the same HTTP server without any of it.
fn door(runtime: &Runtime) {
    let (open, closed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = key(closed.path());
    let open = Served::start(open.path(), None);
    let closed = Served::with(closed.path(), None, &[("API_KEY_ENABLED", "true")]);
    let answer: Value = serde_json::from_str(&open.client().expect_success("GET", "/api/health/", "")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let bare = format!("http://{}/api/health/", listener.local_addr().unwrap());
    let end = CancellationToken::new();
    runtime.spawn({
        let end = end.clone();
        let routes = Router::new().route("/api/health/", get(move || std::future::ready(Json(answer.clone()))));
        async move { trae::api::serve(vec![tokio::net::TcpListener::from_std(listener).unwrap()], routes, None, 1024, end).await }
    });
    let (mut with, mut without, mut known, mut anyone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut checks, mut shares) = (Vec::new(), Vec::new());
    // Both are warm before anything counts.
    let _ = (load(&bare, 16, None), load(&open.url("/api/health/"), 16, None));
    for _ in 0..ROUNDS {
        without.push(load(&bare, 16, None).rate);
        let busy = open.busy();
        let loaded = load(&open.url("/api/health/"), 16, None);
        let each = (open.busy() - busy) / loaded.requests;
        with.push(loaded.rate);
        let check = runtime.block_on(judged());
        checks.push(check * 1e6);
        shares.push(check / each * 100.0);
        let busy = (open.busy(), closed.busy());
        let (of_anyone, of_known) =
            (load(&open.url("/api/node-configs/"), 16, None), load_as(&closed.url("/api/node-configs/"), 16, None, Some(&key)));
        anyone.push((open.busy() - busy.0) / of_anyone.requests * 1e6);
        known.push((closed.busy() - busy.1) / of_known.requests * 1e6);
    }
    end.cancel();
    let more = |with: &[f64], without: &[f64]| with.iter().zip(without).map(|(with, without)| (1.0 - with / without) * 100.0).collect();
    show("the checks of one request", "µs", Untargeted, checks);
    show("  of the processor time of a GET /api/health/", "%", AtMost(3.0), shares);
    show("processor time of a GET /api/node-configs/ where no key is wanted", "µs", Untargeted, anyone.clone());
    show("  the same with a key", "µs", Untargeted, known.clone());
    show("  what the key costs", "%", AtMost(3.0), more(&anyone, &known));
    show("GET /api/health/, 16 at a time", "a second", Untargeted, with.clone());
    show("  the same answer by a bare route", "a second", Untargeted, without.clone());
    show("  what all that stands before a handler costs", "%", Untargeted, more(&with, &without));
}

/// Seconds that the checks of a request take.
async fn judged() -> f64 {
    let door = Door::new(Router::new(), &Config::default());
    let request = Request::builder().uri("/api/node-configs/").header("host", "127.0.0.1:8007").body(Body::empty()).unwrap();
    let begun = Instant::now();
    for _ in 0..JUDGED {
        assert!(door.judge(std::hint::black_box(&request)).await.is_ok());
    }
    begun.elapsed().as_secs_f64() / f64::from(JUDGED)
}

/// A key that may look.
fn key(data: &Path) -> String {
    let mut command = Command::new(BINARY);
    command.args(["keys", "create", "--name", "figures", "--scope", "read", "--data-dir"]).arg(data).current_dir(data);
    let made = command.output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    String::from_utf8(made.stdout).unwrap().trim().to_owned()
}

/// A change on record before it is done, and what came of it.
async fn audit() {
    let data = tempfile::tempdir().unwrap();
    let store = Store::open(&data.path().join("trae.db")).unwrap();
    let log = Arc::new(Audit::open(store.clone(), data.path()).unwrap());
    let mut costs = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let tasks: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    for _ in 0..CHANGES / AT_ONCE {
                        let deed = Deed {
                            actor: "key:figures".to_owned(),
                            action: "PUT /api/node-configs".to_owned(),
                            target: Some("/api/node-configs/figures".to_owned()),
                            details: json!({ "peer": "127.0.0.1" }),
                        };
                        let id = log.begin(deed).await.unwrap();
                        log.end(id, Done::Ok, json!({ "status": 200 }));
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        costs.push(begun.elapsed().as_secs_f64() * 1e6 / CHANGES as f64);
    }
    show("a change on record before it is done, 16 at a time", "µs each", Untargeted, costs);
    drop(log);
    store.close();
}

/// A run in a runner that was not there before, and calls of one that is warm.
async fn runners() {
    let host = Arc::new(Host::new(capabilities(), host::Settings { runner: BINARY.into(), max_runners: 4 }).unwrap());
    let files = tempfile::tempdir().unwrap();
    let (mut cold, mut calls) = (Vec::new(), Vec::new());
    let asks = program(&format!("for n in 0..{CALLS} {{ system::env(\"LANG\"); }}"));
    let none = program("for n in 0..0 {}");
    for program in [&asks, &none] {
        run(&host, program, files.path()).await;
    }
    for _ in 0..ROUNDS {
        // Another program each time: no runner has it.
        let mut spent = 0.0;
        for _ in 0..COLD {
            let program = program("1 + 1");
            spent += run(&host, &program, files.path()).await;
        }
        cold.push(spent / f64::from(COLD) * 1e3);
        let empty = run(&host, &none, files.path()).await;
        calls.push((run(&host, &asks, files.path()).await - empty) / f64::from(CALLS) * 1e6);
    }
    show("a run in a new runner, in its sandbox", "ms", AtMost(10.0), cold);
    show("a call of a warm runner through the broker", "µs", AtMost(40.0), calls);
    host.shutdown();
}

fn program(source: &str) -> Arc<Program> {
    let permissions = Permissions { env: vec!["LANG".to_owned()], ..Permissions::default() };
    Arc::new(Program { name: "figures.rhai".to_owned(), source: source.to_owned(), permissions, ..Program::default() })
}

/// Seconds that a run takes.
async fn run(host: &Arc<Host>, program: &Arc<Program>, files: &Path) -> f64 {
    let null = || serde_json::value::RawValue::NULL.to_owned();
    let start = Start {
        run_id: "figures".to_owned(),
        parameters: null(),
        input: null(),
        start_node: None,
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        past: Past::default(),
        mode: Mode::default(),
        round_of: None,
    };
    let grant = Grant::new(vec![program.permissions.clone()], files);
    let job =
        Job { program: Arc::clone(program), start, grant, journal: Arc::new(Nothing), cancel: CancellationToken::new(), deadline: None };
    let (host, begun) = (Arc::clone(host), Instant::now());
    // As the server does: on a task of its own.
    let outcome = tokio::spawn(async move { host.run(job).await }).await.unwrap();
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
    begun.elapsed().as_secs_f64()
}

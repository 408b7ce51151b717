//! What a run leaves on record, and how it ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;
use tokio_util::sync::CancellationToken;
use trae::error::Kind;
use trae::host::protocol::{Record, StepFinished, StepInput, StepOutcome, Wait, WaitFor};
use trae::host::{Answer, Outcome, Waited};
use trae::policy::Permissions;
use trae::runs::{Execute, Happening, RunStatus, Runs, Settings, StepStatus};
use trae::store::Store;

use super::fakes::{FakeLibrary, FakeRunner, begun, chain, done, failed, json_text, log, runs, runs_on, script, settings, succeeded};

#[tokio::test]
async fn a_run_leaves_its_steps_with_their_inputs_and_the_nodes_it_passed_by() {
    let runs = runs(FakeRunner::new(|job| async move {
        job.journal.record(done("a", StepInput::Value(json_text(&json!({ "n": 1 }))), &json!({ "n": 2 }), 1_000));
        job.journal.record(Record::StepStarted(begun("b", StepInput::OutputOf("a".to_owned()), 2_000)));
        job.journal.record(log("half way", 2_500));
        job.journal.record(done("b", StepInput::None, &json!("done"), 2_000));
        job.journal.record(done("c[0]", StepInput::OutputOf("b".to_owned()), &json!(0), 3_000));
        job.journal.record(done("c[1]", StepInput::OutputOf("c[0]".to_owned()), &json!(1), 4_000));
        succeeded(&json!({ "total": 3 }))
    }));
    let mut ticket = runs.execute_graph(&chain(&["a", "b", "c", "never"]), Execute::default()).await.unwrap();
    let run = ticket.finished().await;
    let value = serde_json::to_value(&run).unwrap();
    assert_eq!(value["status"], "succeeded");
    assert_eq!(value["result"], json!({ "total": 3 }));
    assert_eq!(value["kind"], "workflow");
    assert_eq!(value["error"], json!(null));
    let steps: Vec<_> = value["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["step_id"].as_str().unwrap(), s["status"].as_str().unwrap(), s["input"].clone()))
        .collect();
    assert_eq!(
        steps,
        [
            ("a", "succeeded", json!({ "n": 1 })),
            ("b", "succeeded", json!({ "n": 2 })),
            ("c[0]", "succeeded", json!("done")),
            ("c[1]", "succeeded", json!(0)),
            ("never", "skipped", json!(null)),
        ]
    );
    assert_eq!(value["steps"][1]["started_at"], "1970-01-01T00:00:00.002000Z");
    assert_eq!(value["logs"][0]["message"], "half way");
}

#[tokio::test]
async fn json_comes_out_exactly_as_it_went_in() {
    let text = r#"{"z":1.0,"a":1e400,"a":12345678901234567890123,"é":"\u00e9"}"#;
    let runs = runs(FakeRunner::new(move |_| async move { Outcome::Succeeded(serde_json::from_str(text).unwrap()) }));
    let run = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap().finished().await;
    assert_eq!(run.result.unwrap().get(), text);
}

#[tokio::test]
async fn a_failed_run_says_where_and_closes_what_was_open() {
    let runs = runs(FakeRunner::new(|job| async move {
        job.journal.record(Record::StepStarted(begun("a", StepInput::None, 1)));
        let error = trae::error::Failure::new(Kind::Timeout, "too slow").into();
        let outcome = StepOutcome::Failed { error, handle: None };
        job.journal.record(Record::StepFinished(StepFinished {
            step: begun("b", StepInput::None, 2),
            outcome,
            expectation: None,
            finished_at: 3,
        }));
        failed("no such thing")
    }));
    let run = runs.execute_graph(&chain(&["a", "b", "c"]), Execute::default()).await.unwrap().finished().await;
    assert_eq!(run.status, RunStatus::Failed);
    let error = run.error.unwrap();
    assert_eq!((error.code, error.node_id.as_deref(), error.line, error.column), (Kind::ScriptError, Some("b"), Some(3), Some(7)));
    let statuses: Vec<_> = run.steps.iter().map(|step| step.status).collect();
    assert_eq!(statuses, [StepStatus::Failed, StepStatus::Failed, StepStatus::Skipped]);
    assert_eq!(run.steps[1].error.as_ref().unwrap().code, Kind::Timeout);
    assert!(run.steps[0].finished_at.is_some());
}

#[tokio::test]
async fn a_panic_of_the_host_is_a_failed_run() {
    let runs = runs(FakeRunner::new(|_| async move { panic!("a defect") }));
    let run = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap().finished().await;
    assert_eq!(run.status, RunStatus::Failed);
    assert_eq!(run.error.unwrap().code, Kind::Internal);
}

#[tokio::test]
async fn cancel_ends_a_run_and_its_open_step_once() {
    let runs = runs(FakeRunner::new(|job| async move {
        job.journal.record(Record::StepStarted(begun("a", StepInput::None, 1)));
        job.cancel.cancelled().await;
        job.journal.durable().await.unwrap();
        Outcome::Cancelled
    }));
    let mut ticket = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap();
    assert_eq!(runs.get(&ticket.run_id).await.unwrap().unwrap().status, RunStatus::Running);
    runs.cancel(&ticket.run_id).await.unwrap();
    let run = ticket.finished().await;
    assert_eq!(run.status, RunStatus::Cancelled);
    assert_eq!(run.steps[0].status, StepStatus::Cancelled);
    assert_eq!(runs.cancel(&ticket.run_id).await.unwrap_err().code, Kind::Conflict);
    assert_eq!(runs.cancel("nobody").await.unwrap_err().code, Kind::NotFound);
}

#[tokio::test]
async fn no_more_runs_than_allowed_go_on_at_the_same_time_and_the_rest_keep_their_order() {
    let going = Arc::new(AtomicUsize::new(0));
    let (seen, gate) = (Arc::clone(&going), Arc::new(tokio::sync::Semaphore::new(0)));
    let closed = Arc::clone(&gate);
    let runner = FakeRunner::new(move |job| {
        let (going, gate) = (Arc::clone(&seen), Arc::clone(&closed));
        async move {
            assert!(going.fetch_add(1, Ordering::SeqCst) < 2);
            gate.acquire().await.unwrap().forget();
            tokio::task::yield_now().await;
            going.fetch_sub(1, Ordering::SeqCst);
            Outcome::Succeeded(job.start.parameters)
        }
    });
    let limits = Settings { max_runs: 2, max_queued: 4, ..settings() };
    let runs = Runs::new(Store::in_memory().unwrap(), runner, Arc::new(FakeLibrary::default()), limits);
    let mut tickets = Vec::new();
    for _ in 0..6 {
        tickets.push(runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap());
    }
    assert_eq!(tickets[5].status(), RunStatus::Queued);
    let Err(refused) = runs.execute_graph(&chain(&["a"]), Execute::default()).await else { panic!("one too many was taken") };
    assert_eq!(refused.code, Kind::RateLimited);
    runs.cancel(&tickets[4].run_id).await.unwrap();
    let waited = tickets[4].finished().await;
    assert_eq!((waited.status, waited.started_at), (RunStatus::Cancelled, None));
    gate.add_permits(5);
    let mut starts = Vec::new();
    for index in [0, 1, 2, 3, 5] {
        let run = tickets[index].finished().await;
        assert_eq!(run.status, RunStatus::Succeeded);
        starts.push(run.started_at);
    }
    assert!(starts.is_sorted());
}

#[tokio::test]
async fn a_script_within_a_run_has_a_record_of_its_own_and_no_more_rights() {
    let declared = Permissions { screen: true, scripts: vec!["**".to_owned()], ..Permissions::default() };
    let child = Permissions { screen: true, input: true, ..Permissions::default() };
    let mut library = FakeLibrary::default();
    library.scripts.insert("parent.rhai".to_owned(), script("parent.rhai", "parent", declared.clone()));
    library.scripts.insert("child.rhai".to_owned(), script("child.rhai", "child", child));
    library.scripts.insert("endless.rhai".to_owned(), script("endless.rhai", "endless", declared));
    let runner = FakeRunner::new(|job| async move {
        let call = |path: &str| {
            let what = WaitFor::Script { path: path.to_owned(), parameters: json_text(&json!({ "n": 1 })) };
            let wait = Wait { place: "/0".to_owned(), step_id: None, hold: true, what };
            let waiting = job.journal.wait(wait, None, CancellationToken::new());
            async move {
                match waiting.await? {
                    Waited::Over(value) => Ok(value),
                    Waited::Rest => panic!("it was not to be let go"),
                }
            }
        };
        let result = match job.program.source.as_str() {
            "child" => {
                assert!(job.grant.screen().is_ok());
                assert!(job.grant.input().is_err(), "the parent may not use the mouse");
                Ok(job.start.parameters.clone())
            }
            "endless" => call("endless.rhai").await,
            _ if job.start.parameters.get().contains("endless") => call("endless.rhai").await,
            _ => call("child.rhai").await,
        };
        result.map_or_else(|failure: trae::error::Failure| Outcome::Failed(failure.into()), Outcome::Succeeded)
    });
    let runs = Runs::new(Store::in_memory().unwrap(), runner, Arc::new(library), settings());
    let mut ticket = runs.execute_script("parent.rhai", Execute::default()).await.unwrap();
    let run = ticket.finished().await;
    assert_eq!(run.result.unwrap().get(), r#"{"n":1}"#);
    let all = runs.list(trae::runs::RunFilter::default()).await.unwrap();
    assert_eq!(all.count, 2);
    assert_eq!((all.runs[0].script.as_deref(), all.runs[0].trigger.clone()), (Some("child.rhai"), format!("script:{}", run.run_id)));

    let parameters = json_text(&json!({ "which": "endless" }));
    let mut ticket = runs.execute_script("parent.rhai", Execute { parameters, ..Execute::default() }).await.unwrap();
    assert_eq!(ticket.finished().await.error.unwrap().code, Kind::LimitDepth);
}

#[tokio::test]
async fn the_first_answer_reaches_the_webhook_before_the_run_ends() {
    let runs = runs(FakeRunner::new(|job| async move {
        for status in [201, 500] {
            job.journal.respond(Answer { status, headers: std::collections::BTreeMap::new(), body: json_text(&json!("yes")) });
        }
        job.cancel.cancelled().await;
        Outcome::Cancelled
    }));
    let mut ticket = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap();
    assert_eq!(ticket.answered().await.unwrap().unwrap().status, 201);
    runs.cancel(&ticket.run_id).await.unwrap();
    assert_eq!(ticket.ended().await.status, RunStatus::Cancelled);
}

#[tokio::test]
async fn shutdown_interrupts_and_everyone_hears_it() {
    let runs = runs(FakeRunner::new(|job| async move {
        job.journal.record(Record::StepStarted(begun("a", StepInput::None, 1)));
        job.cancel.cancelled().await;
        Outcome::Cancelled
    }));
    let mut all = runs.subscribe_all();
    let mut ticket = runs.execute_graph(&chain(&["a"]), Execute::default()).await.unwrap();
    assert!(matches!(all.recv().await.unwrap().what, Happening::RunStarted { .. }));
    assert!(matches!(all.recv().await.unwrap().what, Happening::StepStarted { .. }));
    runs.shutdown().await;
    assert_eq!(ticket.finished().await.status, RunStatus::Interrupted);
    assert!(matches!(all.recv().await.unwrap().what, Happening::StepFinished { status: StepStatus::Interrupted, .. }));
    assert!(matches!(all.recv().await.unwrap().what, Happening::RunFinished { status: RunStatus::Interrupted, .. }));
    assert!(runs.execute_graph(&chain(&["a"]), Execute::default()).await.is_err());
}

#[tokio::test]
async fn what_a_webhooks_caller_hears_is_on_record_by_then() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("trae.db");
    let runner = FakeRunner::new(|job| async move {
        job.journal.record(done("a", StepInput::None, &json!(1), 1));
        job.journal.respond(Answer { status: 201, headers: std::collections::BTreeMap::new(), body: json_text(&json!("yes")) });
        job.cancel.cancelled().await;
        Outcome::Cancelled
    });
    let runs = runs_on(Store::open(&path).unwrap(), runner);
    let mut ticket = runs.execute_graph(&chain(&["a"]), Execute { awaited: true, ..Execute::default() }).await.unwrap();
    assert_eq!(ticket.answered().await.unwrap().unwrap().status, 201);
    let record = rusqlite::Connection::open(&path).unwrap();
    let status: String = record.query_row("SELECT status FROM runs WHERE run_id = ?", [&ticket.run_id], |row| row.get(0)).unwrap();
    let steps: u32 = record.query_row("SELECT count(*) FROM steps", [], |row| row.get(0)).unwrap();
    assert_eq!((status.as_str(), steps), ("running", 1));
    runs.cancel(&ticket.run_id).await.unwrap();
    assert_eq!(ticket.recorded().await.unwrap().status, RunStatus::Cancelled);
}

#[tokio::test]
async fn a_run_that_ends_before_it_is_written_down_is_written_down_as_ended() {
    let runs = runs(FakeRunner::new(|job| async move { Outcome::Succeeded(job.start.parameters) }));
    let mut tickets = Vec::new();
    for _ in 0..20 {
        tickets.push(runs.execute_graph(&chain(&["a"]), Execute { awaited: true, ..Execute::default() }).await.unwrap());
    }
    for mut ticket in tickets {
        let run = ticket.finished().await;
        assert_eq!((run.status, run.result.unwrap().get()), (RunStatus::Succeeded, "{}"));
        assert!(run.started_at.is_some() && run.finished_at >= run.started_at);
        let events = futures_util::StreamExt::collect::<Vec<_>>(runs.subscribe(&ticket.run_id, 0).await.unwrap()).await;
        assert_eq!(events.iter().map(|event| event.event_id).collect::<Vec<_>>(), [1, 2]);
    }
}

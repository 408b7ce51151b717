//! Reading runs back: lists, events, long runs.

use futures_util::StreamExt;
use serde_json::{Value, json};
use trae::error::Kind;
use trae::host::Outcome;
use trae::host::protocol::{Record, StepInput};
use trae::runs::{Execute, RunFilter, RunStatus, Runs};
use trae::store::Store;

use super::fakes::{FakeRunner, begun, chain, done, failed, log, null, runs, runs_on, succeeded};

async fn events(runs: &Runs, run_id: &str, after: u64) -> Vec<Value> {
    let stream = runs.subscribe(run_id, after).await.unwrap();
    stream.map(|event| serde_json::to_value(event).unwrap()).collect().await
}

/// 1,500 events, more than a listener may lag behind, in bursts.
fn busy() -> Runs {
    runs(FakeRunner::new(|job| async move {
        job.journal.record(Record::StepStarted(begun("slow", StepInput::None, 7)));
        for index in 0..500 {
            job.journal.record(log(&format!("line {index}"), 8));
            job.journal.record(done(&format!("s[{index}]"), StepInput::None, &json!({ "index": index }), 9));
            if index % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        failed("at the end")
    }))
}

#[tokio::test]
async fn events_are_numbered_without_gaps_and_the_same_live_and_from_the_record() {
    let runs = busy();
    let mut ticket = runs.execute_graph(&chain(&["slow", "s"]), Execute::default()).await.unwrap();
    let live = events(&runs, &ticket.run_id, 0).await;
    ticket.finished().await;
    let numbers: Vec<_> = live.iter().map(|event| event["event_id"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=1504).collect::<Vec<_>>());
    assert_eq!(live[0]["type"], "run_started");
    assert_eq!((&live[1]["type"], &live[1]["step_id"]), (&json!("step_started"), &json!("slow")));
    assert_eq!((&live[1502]["type"], &live[1502]["status"]), (&json!("step_finished"), &json!("failed")));
    assert_eq!((&live[1503]["type"], &live[1503]["error"]["line"]), (&json!("run_finished"), &json!(3)));
    assert_eq!(events(&runs, &ticket.run_id, 0).await, live);
    assert_eq!(events(&runs, &ticket.run_id, 1000).await, live[1000..]);
    assert!(events(&runs, &ticket.run_id, 1504).await.is_empty());
    assert_eq!(runs.subscribe("nobody", 0).await.err().unwrap().code, Kind::NotFound);
}

#[tokio::test]
async fn a_reader_that_falls_behind_misses_nothing() {
    let runs = busy();
    let all = runs.subscribe_all();
    let mut ticket = runs.execute_graph(&chain(&["slow"]), Execute::default()).await.unwrap();
    let stream = runs.subscribe(&ticket.run_id, 0).await.unwrap();
    ticket.finished().await;
    assert_eq!(stream.count().await, 1504);
    assert_eq!(all.len(), 1504);
}

#[tokio::test]
async fn lists_filter_and_page_newest_first() {
    let runs =
        runs(FakeRunner::new(
            |job| async move { if job.program.source.contains("bad") { failed("bad") } else { Outcome::Succeeded(null()) } },
        ));
    let mut ids = Vec::new();
    for index in 0..7 {
        let source = if index % 3 == 0 { "bad" } else { "good" };
        let mut ticket = runs.execute_source(&format!("s{}.rhai", index % 2), source, Execute::default()).await.unwrap();
        ticket.ended().await;
        ids.push(ticket.run_id);
    }
    ids.reverse();
    let list = async |filter: RunFilter| {
        let page = runs.list(filter).await.unwrap();
        (page.runs.into_iter().map(|run| run.run_id).collect::<Vec<_>>(), page.count)
    };
    let all = RunFilter::default;
    assert_eq!(list(all()).await, (ids.clone(), 7));
    assert_eq!(list(RunFilter { limit: Some(2), ..all() }).await, (ids[..2].to_vec(), 7));
    assert_eq!(list(RunFilter { limit: Some(2), before: Some(ids[1].clone()), ..all() }).await, (ids[2..4].to_vec(), 7));
    assert_eq!(list(RunFilter { statuses: vec![RunStatus::Failed], ..all() }).await.1, 3);
    let both = RunFilter { statuses: vec![RunStatus::Failed], script: Some("s0.rhai".to_owned()), ..all() };
    assert_eq!(list(both).await, (vec![ids[0].clone(), ids[6].clone()], 2));
    assert_eq!(runs.list(RunFilter { before: Some("nobody".to_owned()), ..all() }).await.unwrap_err().code, Kind::NotFound);
}

#[tokio::test]
async fn a_run_of_ten_thousand_steps_reads_back_whole() {
    let folder = tempfile::tempdir().unwrap();
    let runner = FakeRunner::new(|job| async move {
        job.journal.record(done("s[0]", StepInput::None, &json!({ "n": 0 }), 1));
        for index in 1..10_000_i64 {
            let input = StepInput::OutputOf(format!("s[{}]", index - 1));
            job.journal.record(done(&format!("s[{index}]"), input, &json!({ "n": index }), index));
        }
        succeeded(&json!(null))
    });
    let runs = runs_on(Store::open(&folder.path().join("trae.db")).unwrap(), runner);
    let run = runs.execute_graph(&chain(&["s"]), Execute::default()).await.unwrap().finished().await;
    assert_eq!(run.steps.len(), 10_000);
    assert!(
        run.steps.iter().enumerate().skip(1).all(|(index, step)| step.input.as_ref().unwrap().get() == format!(r#"{{"n":{}}}"#, index - 1))
    );
}

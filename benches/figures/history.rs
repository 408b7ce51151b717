//! A hundred thousand runs on record: listing and filtering them, starting with them, and what keeping them in order costs.

use std::sync::Arc;

use serde_json::value::RawValue;
use trae::store::Store;
use trae::store::runs::{LogRow, NewRun, NewStep, ProgramRow, RunEnd, RunKey, StepEnd, Write};

use crate::ROUNDS;
use crate::report::Target::{AtMost, None as Untargeted};
use crate::report::{milliseconds, show};
use crate::served::Served;

const RUNS: i64 = 100_000;
/// 2026-01-01, in microseconds.
const BEGIN: i64 = 1_767_225_600_000_000;
/// One run every 70 s.
const EACH: i64 = 70_000_000;

pub fn measure() {
    let data = tempfile::tempdir().unwrap();
    fill(data.path());
    let starts = (0..ROUNDS).map(|_| milliseconds(|| drop(Served::start(data.path(), None)))).collect();
    show("start with 100,000 runs to the first healthy answer", "ms", AtMost(300.0), starts);
    let served = Served::start(data.path(), None);
    let mut client = served.client();
    // The first search puts what is left of the words into their index.
    let read = milliseconds(|| drop(client.expect_success("GET", "/api/runs?search=lost", "")));
    show("the words of 100,000 runs, read once", "ms", Untargeted, vec![read]);
    let time = |client: &mut crate::served::Client, query: &str| {
        let mut ask = || milliseconds(|| drop(client.expect_success("GET", &format!("/api/runs?{query}&limit=50"), "")));
        (0..ROUNDS * 2).map(|_| ask()).collect::<Vec<_>>()
    };
    for (name, query) in [
        ("the newest 50", ""),
        ("of a workflow", "workflow_id=workflow-3"),
        ("of a script", "script=reports/daily1.rhai"),
        ("failed", "status=failed"),
        ("succeeded", "status=succeeded"),
        ("failed, cancelled or interrupted", "status=failed,cancelled,interrupted"),
        ("started by webhooks", "trigger=webhook"),
        ("started by one webhook", "trigger=webhook:orders"),
        ("workflows", "kind=workflow"),
        ("since a day", "since=2026-03-01T00:00:00Z"),
        ("of one day", "since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z"),
        ("with a rare word", "search=customer77777"),
        ("with a word that all have", "search=succeeded"),
        ("failed ones with two words", "search=lost+order&status=failed"),
        ("all filters but words", "workflow_id=workflow-3&status=failed&trigger=webhook&kind=workflow&since=2026-01-02T00:00:00Z"),
        ("with a word that all have, of 1,200 of them", "search=succeeded&since=2026-03-01T00:00:00Z&until=2026-03-02T00:00:00Z"),
        ("none at all", "kind=script&trigger=nobody"),
    ] {
        show(&format!("GET /api/runs, {name}"), "ms", AtMost(20.0), time(&mut client, query));
    }
    // Every word that begins so is looked up, and what is found of each put together.
    show("GET /api/runs, with a beginning of a word that all have", "ms", Untargeted, time(&mut client, "search=succ*"));
}

fn json(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

/// Runs of 20 workflows and 7 scripts, each with three steps and a line of log; nine of ten succeeded.
fn fill(data: &std::path::Path) {
    let store = Store::open(&data.join("trae.db")).unwrap();
    let program = ProgramRow { hash: "0".repeat(64).into(), source: "{}".to_owned(), nodes: "[]".to_owned() };
    store.write(Write::Program(Arc::new(program))).unwrap();
    for index in 0..RUNS {
        let at = BEGIN + index * EACH;
        let (run, is_workflow) = (RunKey(at << 11), index % 3 > 0);
        let (status, error) = match index % 20 {
            7 => ("failed", Some(format!("{{\"code\":\"SCRIPT_ERROR\",\"message\":\"the order {index} is lost\"}}"))),
            13 if index % 3 == 0 => ("cancelled", None),
            _ => ("succeeded", None),
        };
        let trigger = ["manual", "webhook:orders", "webhook:returns", "schedule:nightly"][usize::try_from(index % 4).unwrap()];
        let result = json(&format!("{{\"total\":{index},\"text\":\"nothing much happened, and all of it succeeded\"}}"));
        store
            .write(Write::Run(Box::new(NewRun {
                key: run,
                run_id: format!("019b7000-0000-7000-8000-{index:012}"),
                kind: if is_workflow { "workflow" } else { "script" },
                workflow_id: is_workflow.then(|| format!("workflow-{}", index % 20)),
                script: (!is_workflow).then(|| format!("reports/daily{}.rhai", index % 7)),
                trigger: trigger.to_owned(),
                status: "running",
                parameters: json(&format!("{{\"customer\":\"customer{index}\"}}")),
                input: json("null"),
                start_node: None,
                program: "0".repeat(64).into(),
                owner: "1:2:3".into(),
                within: None,
                mode: None,
                parent: None,
                retry_of: None,
                depth: 0,
                priority: 0,
                firing: None,
                created_at: at,
                started_at: Some(at),
                end: None,
            })))
            .unwrap();
        for seq in 0..3 {
            let end = StepEnd {
                expectation: None,
                status: "succeeded",
                output: Some(json("{\"x\":100,\"y\":200}")),
                handle: None,
                error: None,
                would: None,
                finished_at: at + 10,
                finish_event: i64::from(seq) * 2 + 3,
            };
            let step = NewStep {
                run,
                seq,
                step_id: format!("node{seq}"),
                node_id: Some(format!("node{seq}")),
                node_type: Some("set_variable".to_owned()),
                attempt: 1,
                input_of: None,
                input: None,
                started_at: at,
                start_event: Some(i64::from(seq) * 2 + 2),
                again: false,
                end: Some(end),
            };
            store.write(Write::Step(Box::new(step))).unwrap();
        }
        let row = LogRow { event_id: 8, at, level: "info".to_owned(), message: format!("looked at order {index}"), loose: false };
        store.write(Write::Log { run, row }).unwrap();
        let end = RunEnd { status, result: Some(result), error, finished_at: at + 20, finish_event: 9 };
        store.write(Write::RunEnd { run, end: Box::new(end) }).unwrap();
    }
    store.close();
}

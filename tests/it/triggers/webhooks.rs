//! The table of webhooks.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trae::error::Kind;
use trae::host::Outcome;
use trae::policy::{Grant, Permissions};
use trae::runs::Runs;
use trae::store::Store;
use trae::triggers::{Delivery, FiredRun, Respond, Settings, SystemClock, Triggers};
use trae::workflow::Graph;

use crate::runs::fakes::{FakeRunner, drawn, runs_on};

/// Runs that put out what they are given, and their triggers.
async fn echo() -> (Runs, Triggers) {
    let store = Store::in_memory().unwrap();
    let runs = runs_on(store.clone(), FakeRunner::new(|job| async move { Outcome::Succeeded(job.start.input) }));
    let grant = Grant::new(vec![Permissions::all()], std::env::temp_dir());
    let triggers = Triggers::new(runs.clone(), Settings { store, grant, clock: std::sync::Arc::new(SystemClock) });
    triggers.arm().await.unwrap();
    (runs, triggers)
}

async fn output(run: &mut FiredRun) -> Value {
    let run = run.ticket.as_mut().unwrap().finished().await;
    serde_json::from_str(run.result.unwrap().get()).unwrap()
}

fn graph(id: &str, config: &Value) -> Graph {
    drawn(json!({ "id": id, "name": id, "nodes": [{ "id": "hook", "type": "webhook_trigger", "data": config }], "edges": [] }))
}

fn post(path: &str, body: &str) -> Delivery {
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json; charset=utf-8".to_owned())]);
    Delivery { method: "POST".to_owned(), path: path.to_owned(), headers, body: body.into(), ..Delivery::default() }
}

async fn refusal(webhooks: &Triggers, delivery: Delivery) -> trae::error::Failure {
    webhooks.fire(delivery).await.err().unwrap()
}

#[tokio::test]
async fn a_call_starts_every_workflow_that_listens_with_the_call_as_its_input() {
    let (runs, webhooks) = echo().await;
    runs.workflows().create(graph("b", &json!({ "path": "/orders/new", "respond": "immediately" }))).await.unwrap();
    runs.workflows().create(graph("a", &json!({ "path": "orders/new", "respond": "on_finish" }))).await.unwrap();
    let mut fired = webhooks.fire(post("orders/new", r#"{"n": 1.0}"#)).await.unwrap();
    assert_eq!((fired.runs.len(), fired.respond), (2, Respond::OnFinish));
    let run = fired.runs[0].ticket.as_mut().unwrap().finished().await;
    assert_eq!((run.workflow_id.as_deref(), run.trigger.as_str()), (Some("a"), "webhook:orders/new"));
    let event: Value = serde_json::from_str(run.result.unwrap().get()).unwrap();
    assert_eq!((&event["method"], &event["path"], &event["body"]), (&json!("POST"), &json!("orders/new"), &json!({ "n": 1.0 })));
}

#[tokio::test]
async fn paths_methods_and_bodies_are_checked() {
    let (runs, webhooks) = echo().await;
    runs.workflows().create(graph("a", &json!({ "path": "x", "methods": ["put", "POST"] }))).await.unwrap();
    assert_eq!(refusal(&webhooks, post("y", "1")).await.code, Kind::NotFound);
    let wrong = refusal(&webhooks, Delivery { method: "GET".to_owned(), ..post("x", "") }).await;
    assert_eq!((wrong.code, wrong.details.unwrap()["allowed"].clone()), (Kind::MethodNotAllowed, json!(["POST", "PUT"])));
    assert_eq!(refusal(&webhooks, post("x", "{")).await.code, Kind::InvalidJson);
    let binary = Delivery { headers: BTreeMap::new(), body: vec![0xff, 0xfe], ..post("x", "") };
    assert_eq!(refusal(&webhooks, binary).await.code, Kind::ValidationError);
}

#[tokio::test]
async fn a_secret_wants_a_signature() {
    let (runs, webhooks) = echo().await;
    runs.workflows().create(graph("a", &json!({ "path": "x", "secret": "It's a Secret to Everybody" }))).await.unwrap();
    assert_eq!(refusal(&webhooks, post("x", "Hello, World!")).await.code, Kind::Unauthenticated);
    let signed = |signature: &str| {
        let headers = BTreeMap::from([("x-signature-256".to_owned(), signature.to_owned())]);
        Delivery { headers, ..post("x", "Hello, World!") }
    };
    // The example of GitHub's documentation, which signs its webhooks the same way.
    let right = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(webhooks.fire(signed(right)).await.unwrap().runs.len(), 1);
    assert_eq!(refusal(&webhooks, signed(&right.replace('7', "8"))).await.code, Kind::Unauthenticated);
}

#[tokio::test]
async fn only_what_can_run_is_armed() {
    let (runs, webhooks) = echo().await;
    let workflows = runs.workflows();
    workflows.create(graph("a", &json!({ "path": "x" }))).await.unwrap();
    assert!(webhooks.fire(post("x", "1")).await.is_ok());
    let mut draft = graph("a", &json!({ "path": "x" }));
    draft.nodes.push(serde_json::from_value(json!({ "id": "y", "type": "broken" })).unwrap());
    workflows.update("a", draft).await.unwrap();
    assert_eq!(refusal(&webhooks, post("x", "1")).await.code, Kind::NotFound);
    workflows.update("a", graph("a", &json!({ "path": "z" }))).await.unwrap();
    assert_eq!(refusal(&webhooks, post("x", "1")).await.code, Kind::NotFound);
    webhooks.fire(post("z", "1")).await.unwrap().runs[0].ticket.as_mut().unwrap().ended().await;
    workflows.delete("a").await.unwrap();
    assert_eq!(refusal(&webhooks, post("z", "1")).await.code, Kind::NotFound);
}

#[tokio::test]
async fn a_text_in_a_path_comes_before_a_parameter() {
    let (runs, webhooks) = echo().await;
    let hooks = [
        ("any", "orders/{id}"),
        ("new", "orders/new"),
        ("line", "orders/{id}/lines/{no}"),
        ("first", "orders/{order}/lines/1"),
        ("all", "{what}/new"),
    ];
    for (id, path) in hooks {
        runs.workflows().create(graph(id, &json!({ "path": path }))).await.unwrap();
    }
    for (path, id, params) in [
        ("orders/new", "new", json!({})),
        ("orders/4711", "any", json!({ "id": "4711" })),
        ("orders/ä b", "any", json!({ "id": "ä b" })),
        ("orders/7/lines/1", "first", json!({ "order": "7" })),
        ("/orders/7/lines/2/", "line", json!({ "id": "7", "no": "2" })),
        ("parts/new", "all", json!({ "what": "parts" })),
    ] {
        let mut fired = webhooks.fire(post(path, "")).await.unwrap();
        assert_eq!(fired.runs.len(), 1, "{path}");
        let workflow = fired.runs[0].ticket.as_mut().unwrap().finished().await.workflow_id;
        assert_eq!((workflow.as_deref(), output(&mut fired.runs[0]).await["params"].clone()), (Some(id), params), "{path}");
    }
    for path in ["orders", "orders/7/lines", "orders/7/lines/2/x", "orders//lines/1"] {
        assert_eq!(refusal(&webhooks, post(path, "")).await.code, Kind::NotFound, "{path}");
    }
    // A text that is switched off stands in nobody's way.
    webhooks.enable("new:hook", false).await.unwrap();
    let mut fired = webhooks.fire(post("orders/new", "")).await.unwrap();
    assert_eq!(output(&mut fired.runs[0]).await["params"], json!({ "id": "new" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_call_is_answered_with_the_first_ones_run() {
    let (runs, webhooks) = echo().await;
    runs.workflows().create(graph("a", &json!({ "path": "x", "dedupe_key": "input.body.id" }))).await.unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..40 {
        let webhooks = webhooks.clone();
        calls.spawn(async move {
            let body = json!({ "id": number % 4 }).to_string();
            let fired = webhooks.fire(post("x", &body)).await.unwrap();
            (number % 4, fired.runs[0].run_id.clone(), fired.runs[0].ticket.is_some())
        });
    }
    let mut by_key: BTreeMap<i32, Vec<(String, bool)>> = BTreeMap::new();
    while let Some(call) = calls.join_next().await {
        let (key, run, is_first) = call.unwrap();
        by_key.entry(key).or_default().push((run, is_first));
    }
    for calls in by_key.values() {
        assert!(calls.iter().all(|(run, _)| *run == calls[0].0) && calls.iter().filter(|(_, first)| *first).count() == 1, "{calls:?}");
    }
    // Without a key there is nothing to tell them by.
    for _ in 0..2 {
        assert!(webhooks.fire(post("x", "{}")).await.unwrap().runs[0].ticket.is_some());
    }
    assert_eq!(webhooks.firings().into_iter().find(|(kind, _)| *kind == "webhook"), Some(("webhook", 6)));
}

#[tokio::test]
async fn trying_it_out_needs_neither_signature_nor_switch() {
    let (runs, webhooks) = echo().await;
    runs.workflows().create(graph("a", &json!({ "path": "x/{n}", "secret": "s", "dedupe_key": "input.params.n" }))).await.unwrap();
    webhooks.enable("a:hook", false).await.unwrap();
    assert_eq!(refusal(&webhooks, post("x/1", "")).await.code, Kind::NotFound);
    for _ in 0..2 {
        let mut fired = webhooks.try_out(post("x/1", ""), &runs).await.unwrap();
        let run = fired.runs[0].ticket.as_mut().unwrap().finished().await;
        assert_eq!(run.trigger, "webhook_test:x/1");
    }
    assert!(webhooks.get("a:hook").await.unwrap().last_fired.is_none());
}

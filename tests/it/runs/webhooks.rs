//! The table of webhooks.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trae::error::Kind;
use trae::host::Outcome;
use trae::runs::Runs;
use trae::triggers::{Delivery, Respond, Webhooks};
use trae::workflow::Graph;

use super::fakes::{FakeRunner, drawn, runs};

fn echo() -> Runs {
    runs(FakeRunner::new(|job| async move { Outcome::Succeeded(job.start.input) }))
}

fn graph(id: &str, config: &Value) -> Graph {
    drawn(json!({ "id": id, "name": id, "nodes": [{ "id": "hook", "type": "webhook_trigger", "data": config }], "edges": [] }))
}

fn post(path: &str, body: &str) -> Delivery {
    let headers = BTreeMap::from([("content-type".to_owned(), "application/json; charset=utf-8".to_owned())]);
    Delivery { method: "POST".to_owned(), path: path.to_owned(), headers, body: body.into(), ..Delivery::default() }
}

async fn refusal(webhooks: &Webhooks, delivery: Delivery) -> trae::error::Failure {
    webhooks.fire(delivery).await.err().unwrap()
}

#[tokio::test]
async fn a_call_starts_every_workflow_that_listens_with_the_call_as_its_input() {
    let runs = echo();
    runs.workflows().create(graph("b", &json!({ "path": "/orders/new", "respond": "immediately" }))).await.unwrap();
    let webhooks = Webhooks::open(runs.clone()).await.unwrap();
    runs.workflows().create(graph("a", &json!({ "path": "orders/new", "respond": "on_finish" }))).await.unwrap();
    let mut fired = webhooks.fire(post("orders/new", r#"{"n": 1.0}"#)).await.unwrap();
    assert_eq!((fired.runs.len(), fired.respond), (2, Respond::OnFinish));
    let run = fired.runs[0].finished().await;
    assert_eq!((run.workflow_id.as_deref(), run.trigger.as_str()), (Some("a"), "webhook:orders/new"));
    let event: Value = serde_json::from_str(run.result.unwrap().get()).unwrap();
    assert_eq!((&event["method"], &event["path"], &event["body"]), (&json!("POST"), &json!("orders/new"), &json!({ "n": 1.0 })));
}

#[tokio::test]
async fn paths_methods_and_bodies_are_checked() {
    let runs = echo();
    let webhooks = Webhooks::open(runs.clone()).await.unwrap();
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
    let runs = echo();
    let webhooks = Webhooks::open(runs.clone()).await.unwrap();
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
    let runs = echo();
    let webhooks = Webhooks::open(runs.clone()).await.unwrap();
    let workflows = runs.workflows();
    workflows.create(graph("a", &json!({ "path": "x" }))).await.unwrap();
    assert!(webhooks.fire(post("x", "1")).await.is_ok());
    let mut draft = graph("a", &json!({ "path": "x" }));
    draft.nodes.push(serde_json::from_value(json!({ "id": "y", "type": "broken" })).unwrap());
    workflows.update("a", draft).await.unwrap();
    assert_eq!(refusal(&webhooks, post("x", "1")).await.code, Kind::NotFound);
    workflows.update("a", graph("a", &json!({ "path": "z" }))).await.unwrap();
    assert_eq!(refusal(&webhooks, post("x", "1")).await.code, Kind::NotFound);
    webhooks.fire(post("z", "1")).await.unwrap().runs[0].ended().await;
    workflows.delete("a").await.unwrap();
    assert_eq!(refusal(&webhooks, post("z", "1")).await.code, Kind::NotFound);
}

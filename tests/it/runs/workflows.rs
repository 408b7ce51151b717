//! Stored workflows.

use serde_json::json;
use trae::error::Kind;
use trae::host::Outcome;
use trae::runs::Execute;

use super::fakes::{FakeRunner, chain, drawn, null, runs};

#[tokio::test]
async fn a_graph_comes_back_as_drawn_with_its_problems() {
    let runs = runs(FakeRunner::new(|_| async { Outcome::Succeeded(null()) }));
    let workflows = runs.workflows();
    let picture = json!({ "id": "w-1", "name": "Ünicode", "nodes": [{ "id": "x", "type": "broken", "position": { "x": 1.5, "y": -2 }, "data": { "text": "ü" }, "selected": true, "measured": { "width": 1.0 } }], "edges": [], "viewport": { "zoom": 0.1 } });
    let made = workflows.create(drawn(picture.clone())).await.unwrap();
    let problems = made.problems.unwrap();
    assert_eq!((problems[0].node_id.as_deref(), problems[0].path.as_str()), (Some("x"), "/nodes/0/type"));
    let read = serde_json::to_value(workflows.get("w-1").await.unwrap().unwrap()).unwrap();
    for field in ["id", "name", "nodes", "edges", "viewport"] {
        assert_eq!(read[field], picture[field], "{field}");
    }
    assert_eq!(workflows.create(drawn(picture)).await.unwrap_err().code, Kind::Conflict);
    let refused = runs.execute_workflow("w-1", Execute::default()).await.err().unwrap();
    assert_eq!(refused.code, Kind::InvalidWorkflow);
    assert_eq!(refused.details.unwrap()["problems"][0]["node_id"], "x");
    assert_eq!(runs.execute_workflow("w-2", Execute::default()).await.err().unwrap().code, Kind::NotFound);
}

#[tokio::test]
async fn ids_are_checked_and_made() {
    let workflows = runs(FakeRunner::new(|_| async { Outcome::Cancelled })).workflows();
    for id in [json!("a b"), json!(""), json!("../x"), json!("ä"), json!("x".repeat(129))] {
        let refused = workflows.create(drawn(json!({ "id": id, "nodes": [] }))).await.unwrap_err();
        assert_eq!(refused.details.unwrap()["errors"][0]["path"], "/id");
    }
    let made = workflows.create(drawn(json!({ "id": null, "nodes": [] }))).await.unwrap();
    assert_eq!(made.id.len(), 36);
    assert_eq!(workflows.update(&made.id, drawn(json!({ "id": "other" }))).await.unwrap_err().code, Kind::ValidationError);
    assert_eq!(workflows.update("nobody", drawn(json!({ "nodes": [] }))).await.unwrap_err().code, Kind::NotFound);
}

#[tokio::test]
async fn an_update_is_what_runs_next() {
    let runs = runs(FakeRunner::new(|job| async move { super::fakes::succeeded(&json!(job.program.name)) }));
    let workflows = runs.workflows();
    let made = workflows.create(drawn(json!({ "name": "one", "nodes": [] }))).await.unwrap();
    for name in ["two", "three"] {
        let changed = workflows.update(&made.id, drawn(json!({ "name": name, "nodes": [] }))).await.unwrap();
        assert!(changed.updated_at > made.updated_at);
        let run = runs.execute_workflow(&made.id, Execute::default()).await.unwrap().finished().await;
        assert_eq!(run.result.unwrap().get(), format!("{name:?}"));
    }
}

#[tokio::test]
async fn lists_search_and_page() {
    let workflows = runs(FakeRunner::new(|_| async { Outcome::Cancelled })).workflows();
    for name in ["Invoice check", "Login für ÄRZTE", "invoice print"] {
        workflows.create(drawn(json!({ "name": name, "nodes": [] }))).await.unwrap();
    }
    let page = workflows.list(Some("INVOICE"), 1, 0).await.unwrap();
    assert_eq!((page.count, page.workflows[0].graph.get("name")), (2, Some("\"invoice print\"")));
    let page = workflows.list(Some("Ärzte"), 1, 0).await.unwrap();
    assert_eq!(page.count, 1, "capitals of every alphabet are one with their small letters");
    let page = workflows.list(None, 10, 1).await.unwrap();
    assert_eq!((page.count, page.workflows.len()), (3, 2));
}

#[tokio::test]
async fn a_running_workflow_is_not_deleted_and_its_runs_outlive_it() {
    let runs = runs(FakeRunner::new(|job| async move {
        job.cancel.cancelled().await;
        Outcome::Cancelled
    }));
    let made = runs.workflows().create(chain(&["a"])).await.unwrap();
    let mut ticket = runs.execute_workflow(&made.id, Execute::default()).await.unwrap();
    assert_eq!(runs.workflows().delete(&made.id).await.unwrap_err().code, Kind::Conflict);
    runs.cancel(&ticket.run_id).await.unwrap();
    ticket.ended().await;
    runs.workflows().delete(&made.id).await.unwrap();
    assert!(runs.workflows().get(&made.id).await.unwrap().is_none());
    assert!(runs.get(&ticket.run_id).await.unwrap().is_some());
}

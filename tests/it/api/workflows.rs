//! `/api/workflows` and `/api/webhooks`, by what they do.

use serde_json::json;

use super::served::{node, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_kept_as_drawn_changed_and_removed() {
    let server = start().await;
    let drawn = json!({
        "id": "mine", "name": "Mine", "viewport": { "x": 1, "y": 2, "zoom": 1.5 },
        "nodes": [{ "id": "a", "type": "manual_trigger", "position": { "x": 0, "y": 0 }, "data": {}, "measured": { "width": 150 }, "selected": true }],
        "edges": []
    });
    let (status, stored) = server.post("/api/workflows/", &drawn).await;
    assert_eq!(status, 201, "{stored}");
    assert_eq!((&stored["viewport"], &stored["nodes"][0]["measured"]), (&drawn["viewport"], &json!({ "width": 150 })));
    assert_eq!(stored["problems"], json!([]));
    let (_, listed) = server.get("/api/workflows?search=Mine").await;
    assert_eq!((&listed["count"], &listed["workflows"][0]["id"]), (&json!(1), &json!("mine")));
    let client = reqwest::Client::new();
    let changed = client.put(server.url("/api/workflows/mine")).json(&json!({ "name": "Draft", "nodes": [{ "id": "a", "type": "nope" }] }));
    let changed: serde_json::Value = changed.send().await.unwrap().json().await.unwrap();
    assert_eq!(changed["problems"][0]["node_id"], "a", "{changed}");
    assert_eq!(client.delete(server.url("/api/workflows/mine/")).send().await.unwrap().status(), 200);
    assert_eq!(server.get("/api/workflows/mine").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_problem_of_a_graph_is_named_and_nothing_runs() {
    let server = start().await;
    let graph = json!({ "nodes": [
        node("start", "manual_trigger", json!({})),
        node("bad", "click_action", json!({ "x": "left", "y": 1, "z": 2 })),
        node("odd", "set_variable", json!({ "name": "a", "value": "{{ 1 + }}" })),
    ], "edges": [{ "id": "e", "source": "start", "target": "nowhere" }] });
    let (_, checked) = server.post("/api/workflows/validate", &graph).await;
    let paths: Vec<_> = checked["problems"].as_array().unwrap().iter().map(|p| p["path"].as_str().unwrap().to_owned()).collect();
    assert_eq!(checked["valid"], false);
    for path in ["/nodes/1/data/config/x", "/nodes/2/data/config/value", "/edges/0/target"] {
        assert!(paths.iter().any(|found| found.starts_with(path)), "{path} is not among {paths:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_starts_a_run_that_branches_and_answers() {
    let server = start().await;
    let graph: serde_json::Value = serde_json::from_str(include_str!("../../../examples/workflows/webhook_echo.json")).unwrap();
    assert_eq!(server.post("/api/workflows/", &graph).await.0, 201);
    let (status, answer) = server.post("/api/webhooks/bench", &json!({ "total": 150 })).await;
    assert_eq!((status, answer), (200, json!({ "big": true, "total": 150 })));
    let (_, answer) = server.post("/api/webhooks/bench", &json!({ "total": 50 })).await;
    assert_eq!(answer, json!({ "big": false }));
    assert_eq!(server.get("/api/webhooks/bench").await.0, 405);
    assert_eq!(server.get("/api/webhooks/other").await.0, 404);
    let (_, runs) = server.get("/api/runs?status=succeeded").await;
    assert_eq!(runs["count"], 2);
    let id = runs["runs"][0]["run_id"].as_str().unwrap();
    let (_, run) = server.get(&format!("/api/runs/{id}")).await;
    let steps: Vec<_> =
        run["steps"].as_array().unwrap().iter().map(|s| (s["node_id"].as_str().unwrap(), s["status"].as_str().unwrap())).collect();
    assert!(steps.contains(&("no", "succeeded")) && steps.contains(&("yes", "skipped")), "{steps:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_dropped_into_the_folder_is_a_node_type() {
    let server = start().await;
    let source = "//! Twice.\n//! ---\n//! name = \"Twice\"\n//! category = \"data\"\n//! [config.n]\n//! type = \"integer\"\n//! required = true\n//! template = 1\n//! ---\nfn run(config, input) { 2 * config.n }\n";
    let source = source.replace("//! template = 1\n", "");
    std::fs::write(server.data.path().join("scripts/nodes/twice.rhai"), source).unwrap();
    let mut seen = 404;
    for _ in 0..100 {
        seen = server.get("/api/node-configs/templates/twice").await.0;
        if seen == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(seen, 200);
    let graph = json!({ "id": "t", "nodes": [node("start", "manual_trigger", json!({})), node("two", "twice", json!({ "n": 21 }))],
        "edges": [{ "id": "e", "source": "start", "target": "two" }] });
    server.post("/api/workflows/", &graph).await;
    let (status, run) = server.post("/api/workflows/t/execute", &json!({ "wait": true })).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")), "{run}");
    assert_eq!(run["steps"][1]["output"], 42);
}

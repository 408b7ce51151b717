//! `/api/queue`: turns, priorities, bounds, and what is refused.

use std::time::Duration;

use serde_json::{Value, json};

use super::served::{Server, node, start, start_with};

/// A workflow that keeps its turn until it is cancelled.
fn holds(id: &str, settings: Value) -> Value {
    let held = json!({ "shell": "bash", "command": "sleep 300", "timeout": 300 });
    json!({
        "id": id, "name": id, "settings": settings,
        "nodes": [node("start", "manual_trigger", json!({})), node("hold", "shell_command", held)],
        "edges": [{ "id": "e", "source": "start", "target": "hold" }],
    })
}

async fn begin(server: &Server, workflow: &str, more: Value) -> (u16, String) {
    let (status, answer) = server.post(&format!("/api/workflows/{workflow}/execute"), &more).await;
    (status, answer["run_id"].as_str().unwrap_or_default().to_owned())
}

async fn until(server: &Server, run_id: &str, status: &str) -> Value {
    let look = async {
        loop {
            let (_, run) = server.get(&format!("/api/runs/{run_id}")).await;
            if run["status"] == status {
                return run;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), look).await.unwrap_or_else(|_| panic!("{run_id} is never {status}"))
}

async fn cancel(server: &Server, run_id: &str) {
    assert_eq!(server.post(&format!("/api/runs/{run_id}/cancel"), &json!({})).await.0, 200);
    until(server, run_id, "cancelled").await;
}

async fn queued(server: &Server) -> Vec<String> {
    let (_, queue) = server.get("/api/queue").await;
    queue["queued"].as_array().unwrap().iter().map(|run| run["run_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_wait_visibly_and_the_highest_priority_goes_first() {
    let server = start_with(|config| {
        config.runs.max = 1;
        config.runs.max_queued = 3;
    })
    .await;
    for (id, settings) in [("holds", json!({})), ("urgent", json!({ "priority": 5 }))] {
        assert_eq!(server.post("/api/workflows/", &holds(id, settings)).await.0, 201);
    }
    let (_, first) = begin(&server, "holds", json!({})).await;
    until(&server, &first, "running").await;
    let (_, last) = begin(&server, "holds", json!({ "priority": -1 })).await;
    let (_, usual) = begin(&server, "holds", json!({})).await;
    let (_, urgent) = begin(&server, "urgent", json!({})).await;
    assert_eq!(queued(&server).await, [urgent.clone(), usual.clone(), last.clone()]);
    let (_, run) = server.get(&format!("/api/runs/{usual}")).await;
    assert_eq!((&run["status"], &run["queue"]["position"], &run["priority"]), (&json!("queued"), &json!(2), &json!(0)), "{run}");
    assert!(run["queue"]["reason"].as_str().unwrap().contains("MAX_RUNS"), "{run}");
    let (_, queue) = server.get("/api/queue").await;
    assert_eq!((&queue["count"], &queue["limits"]), (&json!(3), &json!({ "running": 1, "queued": 3 })));
    assert_eq!((&queue["running"][0]["run_id"], &queue["queued"][0]["priority"]), (&json!(first), &json!(5)));

    // No more may wait: it is said when to come again.
    let refused = reqwest::Client::new().post(server.url("/api/workflows/holds/execute")).json(&json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    let after: u64 = refused.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    let body: Value = refused.json().await.unwrap();
    assert_eq!((&body["error_code"], &body["details"]["retry_after"]), (&json!("RATE_LIMITED"), &json!(after)));
    assert!((1..=60).contains(&after), "{after}");

    // Whoever is cancelled gives its place up at once.
    cancel(&server, &usual).await;
    let (status, next) = begin(&server, "holds", json!({})).await;
    assert_eq!((status, queued(&server).await), (202, vec![urgent.clone(), next.clone(), last.clone()]));
    for (ends, begins) in [(&first, &urgent), (&urgent, &next), (&next, &last)] {
        cancel(&server, ends).await;
        let run = until(&server, begins, "running").await;
        assert!(run.get("queue").is_none(), "{run}");
    }
    cancel(&server, &last).await;
    assert_eq!(server.get("/api/queue").await.1["running"], json!([]));
    assert_eq!(begin(&server, "holds", json!({ "priority": 11 })).await.0, 422);
    assert_eq!(begin(&server, "holds", json!({ "priority": -128 })).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_has_no_more_runs_at_once_than_its_settings_say() {
    let server = start().await;
    server.post("/api/workflows/", &holds("one", json!({ "concurrency": 1 }))).await;
    let (_, first) = begin(&server, "one", json!({})).await;
    let (_, second) = begin(&server, "one", json!({})).await;
    until(&server, &first, "running").await;
    let (_, run) = server.get(&format!("/api/runs/{second}")).await;
    assert!(run["queue"]["reason"].as_str().unwrap().contains("concurrency is 1"), "{run}");
    // Others do not mind.
    let (_, other) = server.post("/api/workflows/known/execute", &json!({ "wait": true, "parameters": { "word": "hello" } })).await;
    assert_eq!(other["status"], "succeeded");
    cancel(&server, &first).await;
    until(&server, &second, "running").await;
    cancel(&server, &second).await;

    let (_, drawn) = server.post("/api/workflows/", &holds("wrong", json!({ "concurrency": -1, "parallel": 3 }))).await;
    let paths: Vec<_> =
        drawn["problems"].as_array().unwrap_or_else(|| panic!("{drawn}")).iter().map(|problem| problem["path"].clone()).collect();
    assert_eq!((paths, &drawn["settings"]["parallel"]), (vec![json!("/settings/concurrency"), json!("/settings/parallel")], &json!(3)));
    assert_eq!(begin(&server, "wrong", json!({})).await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_waits_for_long_has_no_turn_and_comes_back_with_its_priority() {
    let server = start_with(|config| config.runs.max = 1).await;
    server.post("/api/workflows/", &holds("holds", json!({}))).await;
    let asks = json!({
        "id": "asks", "name": "asks", "settings": { "priority": 3 },
        "nodes": [
            node("start", "manual_trigger", json!({})),
            node("ask", "approval", json!({ "message": "go on?" })),
            node("hold", "shell_command", json!({ "shell": "bash", "command": "sleep 300", "timeout": 300 })),
        ],
        "edges": [{ "id": "a", "source": "start", "target": "ask" }, { "id": "b", "source": "ask", "target": "hold", "source_handle": "approved" }],
    });
    let (_, stored) = server.post("/api/workflows/", &asks).await;
    assert_eq!(stored["problems"], json!([]));
    let (_, asking) = begin(&server, "asks", json!({})).await;
    until(&server, &asking, "waiting").await;
    let (_, holding) = begin(&server, "holds", json!({})).await;
    until(&server, &holding, "running").await;
    let (_, later) = begin(&server, "holds", json!({})).await;
    assert_eq!(server.get("/api/queue").await.1["waiting"], json!(1));
    let (_, approvals) = server.get("/api/approvals").await;
    let id = approvals["approvals"][0]["id"].as_str().unwrap().to_owned();
    let choice = approvals["approvals"][0]["choices"][0].clone();
    assert_eq!(server.post(&format!("/api/approvals/{id}"), &json!({ "choice": choice })).await.0, 200, "{approvals}");
    until(&server, &asking, "queued").await;
    assert_eq!(queued(&server).await, [asking.clone(), later.clone()]);
    cancel(&server, &holding).await;
    until(&server, &asking, "running").await;
    cancel(&server, &asking).await;
    cancel(&server, &later).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_desktop_is_shown_and_who_waits_for_it() {
    let server = start().await;
    let click = |id: &str| {
        json!({
            "id": id, "name": id,
            "nodes": [
                node("start", "manual_trigger", json!({})),
                node("click", "click_action", json!({ "x": 10, "y": 10 })),
                node("hold", "shell_command", json!({ "shell": "bash", "command": "sleep 300", "timeout": 300 })),
            ],
            "edges": [{ "id": "a", "source": "start", "target": "click" }, { "id": "b", "source": "click", "target": "hold" }],
        })
    };
    server.post("/api/workflows/", &click("clicks")).await;
    let (_, first) = begin(&server, "clicks", json!({})).await;
    let has = async |holder: &str, waiting: Value| {
        let look = async {
            while server.get("/api/queue").await.1["desktop"] != json!({ "holder": format!("run {holder}"), "waiting": waiting }) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), look).await.expect("the desktop's turn is shown");
    };
    has(&first, json!([])).await;
    let (_, second) = begin(&server, "clicks", json!({})).await;
    has(&first, json!([format!("run {second}")])).await;
    cancel(&server, &first).await;
    has(&second, json!([])).await;
    cancel(&server, &second).await;
}

//! The server as a process that is killed while it runs something.

use serde_json::{Value, json};

use super::trae::{Place, eventually};

#[tokio::test]
async fn a_run_that_broke_off_with_the_server_is_heard_of_once() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = Place::new();
    let client = reqwest::Client::new();
    let node = |id: &str, kind: &str, config: Value| json!({ "id": id, "type": kind, "data": { "config": config } });
    let drawn = |id: &str, second: Value, settings: Value| {
        let edges = json!([{ "id": "e", "source": "start", "target": second["id"] }]);
        json!({ "id": id, "name": id, "nodes": [node("start", "manual_trigger", json!({})), second], "edges": edges, "settings": settings })
    };
    let tell = json!({ "path": "told.txt", "content": "{{ params.error.details.step_id }} of {{ params.run_id }}\n", "append": true });
    let pay = json!({ "command": "echo paid >> paid.txt; sleep 60", "write": ["paid.txt"] });
    let served = place.serve(&[]);
    for workflow in [
        drawn("handler", node("tell", "send_to_filesystem", tell), json!({})),
        drawn("pays", node("pay", "shell_command", pay), json!({ "error_workflow": "handler" })),
    ] {
        assert_eq!(client.post(served.url("/api/workflows/")).json(&workflow).send().await.unwrap().status(), 201);
    }
    let started = client.post(served.url("/api/workflows/pays/execute")).json(&json!({})).send().await.unwrap();
    let started: Value = started.json().await.unwrap();
    let run_id = started["run_id"].as_str().unwrap().to_owned();
    let paid = || std::fs::read_to_string(place.data().join("files/paid.txt")).unwrap_or_default();
    eventually("the step is under way", || !paid().is_empty());
    std::process::Command::new("kill").args(["-9", &served.pid().to_string()]).status().unwrap();
    drop(served);

    let told = || std::fs::read_to_string(place.data().join("files/told.txt")).unwrap_or_default();
    for _ in 0..2 {
        let served = place.serve(&[]);
        let run: Value = reqwest::get(served.url(&format!("/api/runs/{run_id}"))).await.unwrap().json().await.unwrap();
        assert_eq!((&run["status"], &run["error"]["node_id"]), (&json!("interrupted"), &json!("pay")), "{run}");
        assert!(run["error"]["message"].as_str().unwrap().contains("may have done its work or not"), "{run}");
        eventually("somebody hears of it", || !told().is_empty());
        let runs: Value = reqwest::get(served.url("/api/runs?workflow_id=handler")).await.unwrap().json().await.unwrap();
        assert_eq!((&runs["count"], &runs["runs"][0]["parent"]), (&json!(1), &json!(run_id)), "{runs}");
        drop(served);
    }
    assert_eq!(told(), format!("pay of {run_id}\n"));
    assert_eq!(paid(), "paid\n");
}

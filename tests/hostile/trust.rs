//! What comes from elsewhere, or was drawn by somebody who may do less.

use serde_json::{Value, json};

use super::server::{Server, answered};

#[tokio::test]
async fn an_imported_workflow_does_nothing_until_it_is_approved_as_it_is() {
    let mut server = Server::start(&[]).measured();
    let drawn = |command: &str| {
        json!({
            "id": "taken", "name": "Elsewhere", "trust": "trusted", "approved": true, "owner": "admin", "enabled": true,
            "nodes": [
                { "id": "start", "type": "manual_trigger", "data": {} },
                { "id": "often", "type": "schedule_trigger", "data": { "config": { "every": "1s" } } },
                { "id": "run", "type": "shell_command", "data": { "config": { "command": command, "write": ["*"] } } },
                { "id": "call", "type": "http_request_action", "data": { "config": { "url": "http://127.0.0.1:1/" }, "settings": { "on_error": "continue" } } }
            ],
            "edges": [
                { "id": "1", "source": "start", "target": "run" },
                { "id": "2", "source": "often", "target": "run" },
                { "id": "3", "source": "run", "target": "call" }
            ]
        })
    };
    let taken = json!({ "id": "taken", "name": "Taken", "nodes": [], "edges": [] });
    assert_eq!(server.post("/api/workflows/", &taken).await.0, 201);
    let (status, imported) = server.post("/api/workflows/import", &drawn("touch canary")).await;
    assert_eq!((status, &imported["trust"], &imported["enabled"]), (201, &json!("untrusted"), &json!(false)), "{imported}");
    let said = imported["capabilities"].to_string();
    assert!(["shell", "http", "schedule"].iter().all(|part| said.contains(part)), "{said}");
    let id = imported["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "taken");
    assert_eq!(server.get("/api/workflows/taken").await.1["name"], "Taken");
    let execute = async |server: &Server| server.post(&format!("/api/workflows/{id}/execute"), &json!({ "wait": true })).await;
    assert_eq!(execute(&server).await.1["error_code"], "APPROVAL_REQUIRED");
    // Longer than its schedule waits.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let (_, runs) = server.get(&format!("/api/runs?workflow_id={id}")).await;
    assert_eq!(runs["count"], 0, "{runs}");
    server.survived("an import").await;
    assert_eq!(
        server
            .put(&format!("/api/workflows/{id}"), &json!({ "name": "x", "nodes": drawn("true")["nodes"], "edges": drawn("true")["edges"] }))
            .await
            .0,
        200
    );
    assert_eq!(server.post(&format!("/api/workflows/{id}/approve"), &json!({})).await.1["trust"], "trusted");
    assert_eq!(execute(&server).await.1["status"], "succeeded");
    assert_eq!(
        server
            .put(&format!("/api/workflows/{id}"), &json!({ "name": "y", "nodes": drawn("true")["nodes"], "edges": drawn("true")["edges"] }))
            .await
            .0,
        200
    );
    assert_eq!(execute(&server).await.1["error_code"], "APPROVAL_REQUIRED", "a byte of it changed");
    server.survived("a change").await;
}

#[tokio::test]
async fn what_an_author_draws_does_no_more_for_an_administrator() {
    let mut server = Server::with_keys(&[]).measured();
    let author = server.make_key("read workflows");
    let drawn = json!({
        "id": "theirs", "name": "Theirs",
        "nodes": [{ "id": "start", "type": "manual_trigger", "data": {} }, { "id": "run", "type": "shell_command", "data": { "config": { "command": "touch canary", "write": ["*"] } } }],
        "edges": [{ "id": "1", "source": "start", "target": "run" }]
    });
    let post = reqwest::Client::new().post(server.url("/api/workflows/")).bearer_auth(&author).json(&drawn);
    assert_eq!(answered(post).await.0, 201);
    let (_, run) = server.post("/api/workflows/theirs/execute", &json!({ "wait": true })).await;
    let error: &Value = &run["error"];
    assert_eq!((&run["status"], &error["code"]), (&json!("failed"), &json!("PERMISSION_DENIED")), "{run}");
    server.survived("a workflow with a shell").await;
}

//! Whose workflows and scripts are trusted, and how far: what comes from elsewhere, what changed since, what somebody drew who may do less.

use std::fs;

use axum::http::Method;
use serde_json::{Value, json};

use super::served::{Server, node, start, start_with};

/// Runs a command each day, and once it is told to.
fn graph(command: &str) -> Value {
    json!({
        "name": "From elsewhere",
        "nodes": [
            node("start", "manual_trigger", json!({})),
            node("daily", "schedule_trigger", json!({ "every": "1s" })),
            node("run", "shell_command", json!({ "command": command, "write": ["*"] })),
            node("tell", "http_request_action", json!({ "url": "https://example.invalid/" }))
        ],
        "edges": [
            { "id": "a", "source": "start", "target": "run" },
            { "id": "b", "source": "daily", "target": "run" },
            { "id": "c", "source": "run", "target": "tell" }
        ]
    })
}

async fn send(server: &Server, method: Method, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method, server.url(path)).json(body);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn execute(server: &Server, id: &str, key: Option<&str>) -> (u16, Value) {
    send(server, Method::POST, &format!("/api/workflows/{id}/execute"), key, &json!({ "wait": true })).await
}

/// Whether its schedule is armed, and why not.
async fn armed(server: &Server, id: &str) -> (bool, String) {
    let (_, list) = server.get("/api/triggers").await;
    let triggers = list["triggers"].as_array().unwrap();
    let trigger = triggers.iter().find(|trigger| trigger["source"]["workflow_id"] == id).unwrap_or_else(|| panic!("{list}"));
    (trigger["armed"].as_bool().unwrap(), trigger["reason"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_imported_waits_for_approval_and_again_once_a_byte_of_it_changed() {
    let server = start().await;
    let mut drawn = graph("touch canary");
    // Nobody believes what it says of itself, and it takes nobody's place.
    for (field, value) in
        [("id", json!("known")), ("trust", json!("trusted")), ("approved", json!(true)), ("owner", json!("me")), ("enabled", json!(true))]
    {
        drawn[field] = value;
    }
    let (status, imported) = server.post("/api/workflows/import", &drawn).await;
    assert_eq!((status, &imported["trust"], &imported["enabled"]), (201, &json!("untrusted"), &json!(false)), "{imported}");
    let capabilities = imported["capabilities"].as_array().unwrap();
    for line in ["shell = [\"bash\"]", "http = [\"example.invalid\"]", "write = [\"*\"]", "schedule_trigger"] {
        assert!(capabilities.contains(&json!(line)), "{line} is not among {capabilities:?}");
    }
    assert!(imported.get("approved").is_none() && imported.get("owner").is_none(), "{imported}");
    let id = imported["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "known");
    assert_eq!(server.get("/api/workflows/known").await.1["name"], "known");

    let (status, refused) = execute(&server, &id, None).await;
    assert_eq!((status, &refused["error_code"]), (403, &json!("APPROVAL_REQUIRED")), "{refused}");
    assert_eq!(refused["details"]["permissions"]["shell"], json!(["bash"]), "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("/approve"), "{refused}");
    let (armed_now, reason) = armed(&server, &id).await;
    assert!(!armed_now && reason.contains("approval"), "{reason}");
    // Neither as part of another one, which is trusted.
    let other = json!({ "id": "other", "name": "Other", "nodes": [node("start", "manual_trigger", json!({})), node("it", "run_workflow", json!({ "workflow_id": id }))], "edges": [{ "id": "e", "source": "start", "target": "it" }] });
    assert_eq!(server.post("/api/workflows/", &other).await.0, 201);
    let (_, run) = execute(&server, "other", None).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("APPROVAL_REQUIRED")), "{run}");

    let (status, approved) = server.post(&format!("/api/workflows/{id}/approve"), &json!({})).await;
    assert_eq!((status, &approved["trust"], &approved["enabled"]), (200, &json!("trusted"), &json!(true)), "{approved}");
    assert!(armed(&server, &id).await.0);
    let (status, run) = execute(&server, &id, None).await;
    assert_eq!((status, &run["steps"][1]["output"]["exit_code"]), (200, &json!(0)), "{run}");

    let (status, changed) = send(&server, Method::PUT, &format!("/api/workflows/{id}"), None, &graph("touch canarz")).await;
    assert_eq!((status, &changed["trust"]), (200, &json!("untrusted")), "{changed}");
    assert_eq!(execute(&server, &id, None).await.1["error_code"], "APPROVAL_REQUIRED");
    // Nor by doing an earlier run of it again.
    let (status, refused) = server.post(&format!("/api/runs/{}/retry", run["run_id"].as_str().unwrap()), &json!({})).await;
    assert_eq!((status, &refused["error_code"]), (403, &json!("APPROVAL_REQUIRED")), "{refused}");
    // As it was, it is what was approved.
    let mut before = graph("touch canary");
    before["name"] = json!("From elsewhere");
    let (_, back) = send(&server, Method::PUT, &format!("/api/workflows/{id}"), None, &before).await;
    assert_eq!(back["trust"], "trusted", "{back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stored_config_that_changes_is_a_change_of_what_was_approved() {
    let server = start().await;
    let config = |command: &str| json!({ "id": "cmd", "node_type": "shell_command", "config": { "command": command } });
    assert_eq!(server.post("/api/node-configs/", &config("true")).await.0, 201);
    let mut drawn = graph("x");
    drawn["nodes"][2]["data"] = json!({ "config_id": "cmd" });
    let (_, imported) = server.post("/api/workflows/import", &drawn).await;
    let id = imported["id"].as_str().unwrap().to_owned();
    assert_eq!(server.post(&format!("/api/workflows/{id}/approve"), &json!({})).await.0, 200);
    assert_eq!(execute(&server, &id, None).await.0, 200);
    assert_eq!(send(&server, Method::PUT, "/api/node-configs/cmd", None, &config("touch canary")).await.0, 200);
    assert_eq!(execute(&server, &id, None).await.1["error_code"], "APPROVAL_REQUIRED");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_draws_may_do_no_more_than_they_whoever_starts_it() {
    let server = start_with(|config| config.security.api_key_enabled = true).await;
    let (author, admin) = (server.key("read workflows").await, server.key("admin").await);
    let drawn = json!({
        "id": "drawn", "name": "Drawn", "nodes": [node("start", "manual_trigger", json!({})), node("run", "shell_command", json!({ "command": "true" }))],
        "edges": [{ "id": "e", "source": "start", "target": "run" }]
    });
    let (status, stored) = send(&server, Method::POST, "/api/workflows/", Some(&author), &drawn).await;
    assert_eq!((status, &stored["trust"]), (201, &json!("limited")), "{stored}");
    let (_, run) = execute(&server, "drawn", Some(&admin)).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("PERMISSION_DENIED")), "{run}");
    // Who may not do it, may not approve of it either.
    let approve = "/api/workflows/drawn/approve";
    let (status, refused) = send(&server, Method::POST, approve, Some(&author), &json!({})).await;
    assert_eq!((status, &refused["error_code"]), (403, &json!("PERMISSION_DENIED")), "{refused}");
    assert_eq!(send(&server, Method::POST, approve, Some(&admin), &json!({})).await.0, 200);
    assert_eq!(execute(&server, "drawn", Some(&admin)).await.1["status"], "succeeded");
    // Changed by them again, it is held to what they may again.
    assert_eq!(send(&server, Method::PUT, "/api/workflows/drawn", Some(&author), &drawn).await.0, 200);
    assert_eq!(execute(&server, "drawn", Some(&admin)).await.1["error"]["code"], "PERMISSION_DENIED");
    // And saved by somebody who may, it may.
    assert_eq!(send(&server, Method::PUT, "/api/workflows/drawn", Some(&admin), &drawn).await.1["trust"], "trusted");
    assert_eq!(execute(&server, "drawn", Some(&admin)).await.1["status"], "succeeded");

    let scripter = server.key("read scripts").await;
    let source = json!({ "source": "//! ---\n//! [permissions]\n//! shell = [\"true\"]\n//! ---\nshell::run([\"true\"]).exit_code" });
    assert_eq!(send(&server, Method::PUT, "/api/scripts/theirs.rhai", Some(&scripter), &source).await.0, 201);
    let run = json!({ "wait": true });
    let (_, held) = send(&server, Method::POST, "/api/scripts/theirs.rhai/run", Some(&admin), &run).await;
    assert_eq!(held["error"]["code"], "PERMISSION_DENIED", "{held}");
    assert_eq!(send(&server, Method::POST, "/api/scripts/theirs.rhai/approve", Some(&scripter), &json!({})).await.0, 403);
    assert_eq!(send(&server, Method::POST, "/api/scripts/theirs.rhai/approve", Some(&admin), &json!({})).await.0, 200);
    assert_eq!(send(&server, Method::POST, "/api/scripts/theirs.rhai/run", Some(&admin), &run).await.1["result"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_scripts_are_approved_one_that_asks_for_more_waits() {
    let server = start_with(|config| config.storage.script_approval = true).await;
    let put = async |source: &str| send(&server, Method::PUT, "/api/scripts/own.rhai", None, &json!({ "source": source })).await.0;
    let run = async || send(&server, Method::POST, "/api/scripts/own.rhai/run", None, &json!({ "wait": true })).await;
    let approve = async || send(&server, Method::POST, "/api/scripts/own.rhai/approve", None, &json!({})).await;
    assert_eq!(put("40 + 2").await, 201);
    assert_eq!(run().await.1["result"], 42, "what declares nothing needs no approval");
    let screen = "//! ---\n//! [permissions]\n//! env = [\"HOME\"]\n//! ---\n";
    assert_eq!(put(&format!("{screen}1")).await, 200);
    let (status, refused) = run().await;
    assert_eq!((status, &refused["error_code"]), (403, &json!("APPROVAL_REQUIRED")), "{refused}");
    let (status, approved) = approve().await;
    assert_eq!((status, &approved["permissions"]), (200, &json!({ "env": ["HOME"] })), "{approved}");
    assert_eq!(run().await.1["result"], 1);
    assert_eq!(put(&format!("{screen}2")).await, 200);
    assert_eq!(run().await.1["result"], 2, "it asks for no more than was approved");
    assert_eq!(put("//! ---\n//! [permissions]\n//! env = [\"HOME\", \"PATH\"]\n//! ---\n3").await, 200);
    assert_eq!(run().await.1["error_code"], "APPROVAL_REQUIRED");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_others_may_write_waits_for_approval() {
    use std::os::unix::fs::PermissionsExt as _;

    let server = start().await;
    assert_eq!(send(&server, Method::PUT, "/api/scripts/open.rhai", None, &json!({ "source": "1" })).await.0, 201);
    let file = server.data.path().join("scripts/open.rhai");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let run = async || send(&server, Method::POST, "/api/scripts/open.rhai/run", None, &json!({ "wait": true })).await;
    let (status, refused) = run().await;
    assert_eq!((status, &refused["error_code"]), (403, &json!("APPROVAL_REQUIRED")), "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("can be written by anybody"), "{refused}");
    assert_eq!(send(&server, Method::POST, "/api/scripts/open.rhai/approve", None, &json!({})).await.0, 200);
    assert_eq!(run().await.1["result"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_from_elsewhere_does_not_run_where_commands_are_not_held() {
    let server = start_with(|config| config.shell.sandbox = false).await;
    let (_, imported) = server.post("/api/workflows/import", &graph("true")).await;
    let id = imported["id"].as_str().unwrap().to_owned();
    assert_eq!(server.post(&format!("/api/workflows/{id}/approve"), &json!({})).await.1["trust"], "trusted");
    let (status, refused) = execute(&server, &id, None).await;
    assert_eq!((status, &refused["details"]["service"]), (503, &json!("sandbox")), "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("SHELL_SANDBOX"), "{refused}");
    // Nor one that starts it.
    let own = json!({
        "id": "own", "name": "Own",
        "nodes": [node("start", "manual_trigger", json!({})), node("child", "run_workflow", json!({ "workflow_id": id }))],
        "edges": [{ "id": "a", "source": "start", "target": "child" }]
    });
    assert_eq!(server.post("/api/workflows/", &own).await.0, 201);
    let (_, run) = execute(&server, "own", None).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("SERVICE_UNAVAILABLE")), "{run}");
    let drawn = json!({ "id": "drawn", "name": "Drawn", "nodes": [node("start", "manual_trigger", json!({}))], "edges": [] });
    assert_eq!(server.post("/api/workflows/", &drawn).await.0, 201);
    assert_eq!(execute(&server, "drawn", None).await.1["status"], "succeeded", "what was drawn here runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_what_came_from_elsewhere_is_not_gone_on_with_where_commands_are_not_held_any_more() {
    let server = start().await;
    let mut drawn = graph("true");
    drawn["nodes"][1] = node("daily", "delay", json!({ "seconds": 600 }));
    drawn["edges"] = json!([{ "id": "a", "source": "start", "target": "daily" }, { "id": "b", "source": "daily", "target": "run" }]);
    drawn["nodes"].as_array_mut().unwrap().remove(3);
    let (_, imported) = server.post("/api/workflows/import", &drawn).await;
    let id = imported["id"].as_str().unwrap().to_owned();
    assert_eq!(server.post(&format!("/api/workflows/{id}/approve"), &json!({})).await.1["trust"], "trusted");
    let (status, begun) = send(&server, Method::POST, &format!("/api/workflows/{id}/execute"), None, &json!({})).await;
    assert_eq!(status, 202, "{begun}");
    let path = format!("/api/runs/{}", begun["run_id"].as_str().unwrap());
    let waits = async {
        while server.get(&path).await.1["status"] != "waiting" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), waits).await.expect("it waits");
    let server = server.restarted_with(|config| config.shell.sandbox = false).await;
    let (_, run) = server.get(&path).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("interrupted"), &json!("SERVICE_UNAVAILABLE")), "{run}");
    let said = run["error"]["message"].as_str().unwrap();
    assert!(said.contains("came from elsewhere") && said.contains("SHELL_SANDBOX"), "{said}");
}

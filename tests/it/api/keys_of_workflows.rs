//! A key that is for one workflow: it runs that, looks at its runs and cancels them, and everything else is refused.

use axum::http::Method;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use trae::api::access::{Need, row};
use trae::keys::Scope;

use super::served::{self, Server, node};

async fn ask(server: &Server, method: Method, path: &str, key: &str, body: Option<&Value>) -> (u16, Value) {
    let mut request = reqwest::Client::new().request(method, server.url(path)).bearer_auth(key);
    if let Some(body) = body {
        request = request.json(body);
    }
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// With two workflows, `mine` and `other`; a key of an administrator, and one with all scopes that is for `mine`.
async fn start() -> (Server, String, String) {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let admin = server.key("admin").await;
    for id in ["mine", "other"] {
        let wait = node("wait", "delay", json!({ "seconds": "{{ params.seconds ?? 0 }}" }));
        let edge = json!({ "id": "e", "source": "start", "target": "wait" });
        let drawn = json!({ "id": id, "name": id, "nodes": [node("start", "manual_trigger", json!({})), wait], "edges": [edge] });
        assert_eq!(ask(&server, Method::POST, "/api/workflows/", &admin, Some(&drawn)).await.0, 201);
    }
    let scopes = Scope::ALL.into_iter().collect();
    let (key, made) = server.app.keys.create_for("robot", scopes, &["mine".to_owned()]).await.unwrap();
    assert_eq!(made.workflows, ["mine"]);
    (server, admin, key)
}

fn assert_refused((status, body): &(u16, Value), what: &str) {
    assert_eq!((*status, &body["error_code"]), (403, &json!("PERMISSION_DENIED")), "{what}: {body}");
    assert_eq!(body["details"]["workflows"], json!(["mine"]), "{what}: {body}");
    assert!(body["error"].as_str().unwrap().contains("`mine`"), "{what}: {body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_runs_its_workflow_and_no_other() {
    let (server, admin, key) = start().await;
    let waits = json!({ "wait": true });
    let (status, run) = ask(&server, Method::POST, "/api/workflows/mine/execute", &key, Some(&waits)).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")), "{run}");
    assert_refused(&ask(&server, Method::POST, "/api/workflows/other/execute", &key, Some(&waits)).await, "another");
    // Neither one that is not there, nor with the other's name behind its own.
    assert_refused(&ask(&server, Method::POST, "/api/workflows/nowhere/execute", &key, Some(&waits)).await, "none");
    assert_refused(&ask(&server, Method::POST, "/api/workflows/mine%2f..%2fother/execute", &key, Some(&waits)).await, "a path");
    assert_refused(&ask(&server, Method::POST, "/api/workflows/other/execute", &key, Some(&json!({ "only": "start" }))).await, "a node");
    // Nor does it film what it runs.
    let filmed = ask(&server, Method::POST, "/api/workflows/mine/execute", &key, Some(&json!({ "record": true }))).await;
    assert!(matches!(filmed.0, 403 | 503), "{filmed:?}");

    // Its runs, whoever started them, and no others.
    let path = |run: &Value, rest: &str| format!("/api/runs/{}{rest}", run["run_id"].as_str().unwrap());
    assert_eq!(ask(&server, Method::GET, &path(&run, ""), &key, None).await.1["status"], "succeeded");
    assert_eq!(ask(&server, Method::GET, &path(&run, "/events"), &key, None).await.0, 200);
    let (_, foreign) = ask(&server, Method::POST, "/api/workflows/other/execute", &admin, Some(&waits)).await;
    for (method, rest) in [(Method::GET, ""), (Method::GET, "/events"), (Method::POST, "/cancel")] {
        assert_refused(&ask(&server, method, &path(&foreign, rest), &key, None).await, rest);
    }
    let long = json!({ "parameters": { "seconds": 600 } });
    let (_, theirs) = ask(&server, Method::POST, "/api/workflows/mine/execute", &admin, Some(&long)).await;
    let (_, others) = ask(&server, Method::POST, "/api/workflows/other/execute", &admin, Some(&long)).await;
    assert_refused(&ask(&server, Method::POST, &path(&others, "/cancel"), &key, None).await, "cancels another's");
    assert_refused(&ask(&server, Method::GET, &path(&others, ""), &key, None).await, "looks at another's that goes on");
    assert_eq!(ask(&server, Method::POST, &path(&theirs, "/cancel"), &key, None).await.0, 200);
    assert_eq!(ask(&server, Method::GET, "/api/runs/nowhere", &key, None).await.0, 404);

    // A token that was exchanged for it is no more than it.
    let token = ask(&server, Method::POST, "/api/auth/token", &key, None).await.1["access_token"].as_str().unwrap().to_owned();
    assert_eq!(ask(&server, Method::POST, "/api/workflows/mine/execute", &token, Some(&waits)).await.0, 200);
    assert_refused(&ask(&server, Method::POST, "/api/workflows/other/execute", &token, Some(&waits)).await, "another, by a token");
    assert_refused(&ask(&server, Method::GET, "/api/runs", &token, None).await, "all runs, by a token");
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_its_scopes_are_it_gets_in_nowhere_else() {
    let (server, _, key) = start().await;
    let open = [
        "POST /api/auth/ticket",
        "POST /api/auth/token",
        "GET /api/runs/x",
        "POST /api/runs/x/cancel",
        "GET /api/runs/x/events",
        "GET /api/ws/workflow-automation",
        "GET /ws/workflow-automation",
    ];
    let (description, client) = (serde_json::to_value(trae::api::openapi()).unwrap(), reqwest::Client::new());
    let (mut refused, mut let_in) = (0, Vec::new());
    for (path, item) in description["paths"].as_object().unwrap() {
        let path: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        let path = path.join("/");
        for method in item.as_object().unwrap().keys().filter_map(|name| name.to_uppercase().parse::<Method>().ok()) {
            if row(&method, &path) == Some(Need::Open) {
                continue;
            }
            let sent = client.request(method.clone(), server.url(&path)).bearer_auth(&key).send().await.unwrap();
            let answer = (sent.status().as_u16(), sent.json().await.unwrap_or_default());
            if answer.0 == 403 {
                assert_refused(&answer, &path);
                refused += 1;
            } else {
                let_in.push(format!("{method} {path}"));
            }
        }
    }
    let_in.sort();
    let mut open = open.map(str::to_owned);
    open.sort();
    assert_eq!(let_in, open);
    assert!(refused > 100, "{refused}");
    assert_eq!(ask(&server, Method::GET, "/api/health/", &key, None).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_socket_it_says_no_more() {
    let (server, admin, key) = start().await;
    let (_, foreign) = ask(&server, Method::POST, "/api/workflows/other/execute", &admin, Some(&json!({ "wait": true }))).await;
    let mut request = format!("ws://{}/ws/workflow-automation", server.address).into_client_request().unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    for said in [
        json!({ "type": "execute_workflow", "workflow_id": "other" }),
        json!({ "type": "execute_script", "source": "1" }),
        json!({ "type": "execute_script", "path": "hello.rhai" }),
        json!({ "type": "subscribe", "run_id": foreign["run_id"] }),
        json!({ "type": "cancel", "run_id": foreign["run_id"] }),
    ] {
        socket.send(Message::text(said.to_string())).await.unwrap();
        let answer: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
        assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!("PERMISSION_DENIED")), "{said}: {answer}");
    }
    socket.send(Message::text(json!({ "type": "execute_workflow", "workflow_id": "mine" }).to_string())).await.unwrap();
    let finished = async {
        loop {
            let said: Value = serde_json::from_str(socket.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
            assert_ne!(said["type"], "error", "{said}");
            if said["type"] == "run_finished" {
                return said;
            }
        }
    };
    let finished = tokio::time::timeout(std::time::Duration::from_secs(20), finished).await.unwrap();
    assert_eq!(finished["status"], "succeeded", "{finished}");
}

#[tokio::test]
async fn it_is_made_and_shown_over_http() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let admin = server.key("admin").await;
    let make = async |body: Value| ask(&server, Method::POST, "/api/keys", &admin, Some(&body)).await;
    let (status, made) = make(json!({ "name": "robot", "scopes": ["workflows"], "workflows": ["a", "b-2"] })).await;
    assert_eq!((status, &made["workflows"]), (201, &json!(["a", "b-2"])), "{made}");
    let (_, listed) = ask(&server, Method::GET, "/api/keys", &admin, None).await;
    assert_eq!((&listed["keys"][0]["workflows"], &listed["keys"][1]["workflows"]), (&json!([]), &json!(["a", "b-2"])), "{listed}");
    for (body, at) in [
        (json!({ "name": "a", "scopes": ["workflows"], "workflows": ["a b"] }), "/workflows"),
        (json!({ "name": "a", "scopes": ["workflows"], "workflows": [""] }), "/workflows"),
        (json!({ "name": "a", "scopes": ["workflows"], "workflows": vec!["a"; 65] }), "/workflows"),
        (json!({ "name": "a", "scopes": ["read"], "workflows": ["a"] }), "/scopes"),
    ] {
        let (status, refused) = make(body).await;
        assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!(at)), "{refused}");
    }
    assert_eq!(ask(&server, Method::GET, "/api/keys", &admin, None).await.1["count"], 2);
}

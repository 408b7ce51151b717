//! `/api/audit`: who did what, on record before it is done.

use std::time::Duration;

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::served::{self, Server, node};

async fn entries(server: &Server, query: &str) -> Vec<Value> {
    let (status, page) = server.get(&format!("/api/audit?limit=500&{query}")).await;
    assert_eq!(status, 200, "{page}");
    page["entries"].as_array().unwrap().clone()
}

/// Waits until an entry looks so.
async fn eventually(server: &Server, query: &str, what: impl Fn(&Value) -> bool) -> Value {
    let found = async {
        loop {
            if let Some(entry) = entries(server, query).await.into_iter().find(&what) {
                return entry;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), found).await.unwrap_or_else(|_| panic!("no entry of {query} looks so"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_is_on_record_before_it_runs_and_its_end_after() {
    let server = served::start().await;
    let gate = server.data.path().join("gate");
    let command = format!("until [ -e {} ]; do sleep 0.02; done; exit 3", gate.display());
    let url = server.url("/api/shell/bash");
    let sending = tokio::spawn(async move {
        let sent = reqwest::Client::new().post(url).json(&json!({ "command": command })).send().await.unwrap();
        sent.json::<Value>().await.unwrap()
    });
    // It cannot end before the gate is there, and is on record.
    let begun = eventually(&server, "action=shell.run", |_| true).await;
    assert_eq!((&begun["actor"], &begun["target"], &begun["result"]), (&json!("local"), &json!("bash"), &json!("begun")), "{begun}");
    assert!(begun["details"]["command"].as_str().unwrap().starts_with("until") && begun["finished_at"].is_null(), "{begun}");
    let call = &entries(&server, "action=POST+/api/shell").await[0];
    assert_eq!((&call["target"], &call["result"]), (&json!("/api/shell/bash"), &json!("begun")), "{call}");
    std::fs::write(gate, "").unwrap();
    assert_eq!(sending.await.unwrap()["exit_code"], 3);
    let ended = eventually(&server, "action=shell.run", |entry| entry["result"] != "begun").await;
    assert_eq!((&ended["result"], &ended["details"]["exit_code"], &ended["seq"]), (&json!("ok"), &json!(3), &begun["seq"]), "{ended}");
    let call = eventually(&server, "action=POST+/api/shell", |entry| entry["result"] != "begun").await;
    assert_eq!((&call["result"], &call["details"]["status"]), (&json!("ok"), &json!(200)));
    assert!(server.app.audit.verify(None).await.unwrap().findings.iter().all(|finding| finding.to_string().contains("signed")));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_what_they_do_approvals_and_refusals_are_in_it_and_looking_is_not() {
    let server = served::start().await;
    let graph = json!({
        "id": "asks", "name": "asks",
        "nodes": [
            node("start", "manual_trigger", json!({})),
            node("ask", "approval", json!({ "message": "Go on?" })),
            node("say", "shell_command", json!({ "command": "echo done" })),
            node("keep", "send_to_filesystem", json!({ "path": "kept.txt", "content": "the words" })),
        ],
        "edges": [
            { "id": "a", "source": "start", "target": "ask" },
            { "id": "b", "source": "ask", "source_handle": "approved", "target": "say" },
            { "id": "c", "source": "say", "target": "keep" },
        ],
    });
    assert_eq!(server.post("/api/workflows/", &graph).await.0, 201);
    let (_, started) = server.post("/api/workflows/asks/execute", &json!({})).await;
    let id = started["run_id"].as_str().unwrap().to_owned();
    let begun = eventually(&server, "action=run", |_| true).await;
    assert_eq!((&begun["target"], &begun["details"]["run_id"], &begun["result"]), (&json!("asks"), &json!(id), &json!("begun")));
    let asked = async {
        loop {
            let (_, asked) = server.get("/api/approvals").await;
            if let Some(id) = asked["approvals"][0]["id"].as_str() {
                return id.to_owned();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let asked = tokio::time::timeout(Duration::from_secs(20), asked).await.expect("it asks");
    assert_eq!(server.post(&format!("/api/approvals/{asked}"), &json!({ "choice": "approved" })).await.0, 200);
    let ended = eventually(&server, "action=run", |entry| entry["result"] != "begun").await;
    assert_eq!(ended["result"], "ok", "{ended}");
    let decided = &entries(&server, "action=approval").await[0];
    assert_eq!((&decided["target"], &decided["details"]["choice"]), (&json!(id), &json!("approved")), "{decided}");
    let did = entries(&server, &format!("actor=run:{id}")).await;
    let did: Vec<_> = did.iter().map(|entry| (entry["action"].as_str().unwrap(), entry["target"].as_str().unwrap())).collect();
    assert_eq!(did, [("file.write", "kept.txt"), ("shell.run", "bash")]);

    // A refusal within a run.
    let (_, run) = server.post("/api/scripts/check", &json!({ "source": "1" })).await;
    assert!(run["valid"].as_bool().unwrap());
    let client = reqwest::Client::new();
    let source = "files::write(\"x\", \"y\")";
    client
        .put(server.url("/api/scripts/may_not.rhai"))
        .json(&json!({ "source": format!("//! ---\n//! [permissions]\n//! write = [\"other\"]\n//! ---\n{source}") }))
        .send()
        .await
        .unwrap();
    let (_, run) = server.post("/api/scripts/may_not.rhai/run", &json!({ "wait": true })).await;
    let denied = eventually(&server, &format!("actor=run:{}", run["run_id"].as_str().unwrap()), |entry| entry["result"] != "begun").await;
    assert_eq!(
        (&denied["action"], &denied["result"], &denied["details"]["error_code"]),
        (&json!("file.write"), &json!("denied"), &json!("PERMISSION_DENIED"))
    );
    // What destroys is refused, and was on nobody's machine.
    let (status, _) = server.post("/api/shell/bash", &json!({ "command": "rm -rf /" })).await;
    assert_eq!(status, 403);
    let refused = &entries(&server, "action=shell.run&actor=local").await[0];
    assert_eq!((&refused["result"], &refused["details"]["command"]), (&json!("denied"), &json!("rm -rf /")), "{refused}");

    let all = entries(&server, "").await;
    let text = json!(all).to_string();
    assert!(!text.contains("/api/scripts/check") && !text.contains("GET /api"), "{text}");
    assert!(!text.contains("the words"), "what is written is not in it");
    let numbers: Vec<u64> = all.iter().map(|entry| entry["seq"].as_u64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    let half = entries(&server, &format!("before={}", numbers[3])).await;
    assert_eq!(half[0]["seq"], numbers[4]);
    for bad in ["since=yesterday", "limit=0", "before=x"] {
        assert_eq!(server.get(&format!("/api/audit?{bad}")).await.0, 422, "{bad}");
    }
    server.app.audit.sign().await.unwrap();
    let report = server.app.audit.verify(None).await.unwrap();
    assert!(report.intact && report.entries == report.signed, "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_at_the_door_name_who_was_refused() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let (admin, reader) = (server.key("admin").await, server.key("read").await);
    let client = reqwest::Client::new();
    for (key, path, status) in [(reader.as_str(), "/api/automation/mouse/click", 403), ("trae_wrong", "/api/shell/bash", 401)] {
        let sent = client.post(server.url(path)).bearer_auth(key).json(&json!({ "command": "true", "x": 1, "y": 1 })).send().await.unwrap();
        assert_eq!(sent.status(), status);
    }
    // Who shows nothing tries nothing.
    assert_eq!(client.post(server.url("/api/shell/bash")).send().await.unwrap().status(), 401);
    let evil = client.post(server.url("/api/shell/bash")).header("origin", "https://evil.example").send().await.unwrap();
    assert_eq!(evil.status(), 403);
    assert_eq!(client.get(server.url("/api/audit")).bearer_auth(&reader).send().await.unwrap().status(), 403);
    let page: Value = client.get(server.url("/api/audit?limit=500")).bearer_auth(&admin).send().await.unwrap().json().await.unwrap();
    let denied: Vec<(&str, &str, &str)> = page["entries"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["result"] == "denied")
        .map(|entry| {
            (entry["actor"].as_str().unwrap(), entry["target"].as_str().unwrap(), entry["details"]["error_code"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        denied,
        [
            ("key:a test", "/api/audit", "PERMISSION_DENIED"),
            ("anonymous", "/api/shell/bash", "ORIGIN_NOT_ALLOWED"),
            ("anonymous", "/api/shell/bash", "UNAUTHENTICATED"),
            ("key:a test", "/api/automation/mouse/click", "PERMISSION_DENIED"),
        ]
    );
    assert!(!page.to_string().contains(&reader) && !page.to_string().contains("trae_wrong"), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_socket_does_with_mouse_and_keyboard_is_counted_and_not_written_down() {
    let server = served::start().await;
    let (mut socket, _) = connect_async(format!("ws://{}/ws/desktop-stream", server.address)).await.unwrap();
    for said in [
        json!({ "type": "mouse_move", "x": 10, "y": 10 }),
        json!({ "type": "mouse_move", "x": 20, "y": 20 }),
        json!({ "type": "click", "x": 30, "y": 30 }),
        json!({ "type": "type", "text": "hunter2" }),
    ] {
        socket.send(Message::text(said.to_string())).await.unwrap();
    }
    let begun = eventually(&server, "action=desktop.input", |_| true).await;
    assert_eq!(begun["result"], "begun");
    socket.close(None).await.unwrap();
    let ended = eventually(&server, "action=desktop.input", |entry| entry["result"] == "ok").await;
    assert_eq!((&ended["details"]["actions"], &ended["details"]["moves"]), (&json!(2), &json!(2)), "{ended}");
    assert!(!json!(entries(&server, "").await).to_string().contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_wake_a_run_are_in_it_and_those_that_are_refused() {
    let server = served::start().await;
    let graph = json!({
        "id": "pay", "name": "pay",
        "nodes": [
            node("start", "manual_trigger", json!({})),
            node("paid", "wait_for_webhook", json!({ "path": "paid/{{ run.id }}", "secret": "s" })),
        ],
        "edges": [{ "id": "a", "source": "start", "target": "paid" }],
    });
    assert_eq!(server.post("/api/workflows/", &graph).await.0, 201);
    let signed = json!({ "id": "signed", "name": "signed", "nodes": [node("in", "webhook_trigger", json!({ "path": "orders", "secret": "s" }))], "edges": [] });
    assert_eq!(server.post("/api/workflows/", &signed).await.0, 201);
    assert_eq!(server.post("/api/webhooks/orders", &json!({})).await.0, 401);
    let denied = eventually(&server, "action=POST+/api/webhooks", |_| true).await;
    let code = &denied["details"]["error_code"];
    assert_eq!((&denied["target"], &denied["result"], code), (&json!("orders"), &json!("denied"), &json!("UNAUTHENTICATED")), "{denied}");

    let (_, started) = server.post("/api/workflows/pay/execute", &json!({})).await;
    let id = started["run_id"].as_str().unwrap();
    let path = format!("paid/{id}");
    let waits = async {
        while server.get(&format!("/api/runs/{id}")).await.1["status"] != "waiting" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waits).await.expect("it waits");
    assert_eq!(server.post(&format!("/api/webhooks/{path}"), &json!({})).await.0, 401);
    let denied = eventually(&server, "action=POST+/api/webhooks", |entry| entry["target"] == path.as_str()).await;
    assert_eq!(denied["result"], "denied", "{denied}");
    assert!(entries(&server, "action=run.wake").await.is_empty());
    let signature = {
        use hmac::{Hmac, KeyInit, Mac};
        let mac = Hmac::<sha2::Sha256>::new_from_slice(b"s").unwrap().chain_update("{}").finalize().into_bytes();
        mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let call = reqwest::Client::new().post(server.url(&format!("/api/webhooks/{path}"))).header("content-type", "application/json");
    assert_eq!(call.header("x-signature-256", format!("sha256={signature}")).body("{}").send().await.unwrap().status(), 202);
    let woken = &entries(&server, "action=run.wake").await[0];
    assert_eq!(
        (&woken["actor"], &woken["target"], &woken["result"]),
        (&json!(format!("webhook:{path}")), &json!(id), &json!("ok")),
        "{woken}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_begin_tokens_and_refusals_on_sockets_are_in_it() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let (admin, reader) = (server.key("admin").await, server.key("read").await);
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let post = async |path: &str| client.post(server.url(path)).bearer_auth(&reader).send().await.unwrap();
    assert_eq!(post("/api/auth/token").await.status(), 200);
    let link: Value = post("/api/auth/link").await.json().await.unwrap();
    let link = link["url"].as_str().unwrap().to_owned();
    for status in [303, 401] {
        assert_eq!(client.get(server.url(&link)).send().await.unwrap().status(), status);
    }
    let mut request = tokio_tungstenite::tungstenite::client::IntoClientRequest::into_client_request(format!(
        "ws://{}/ws/workflow-automation",
        server.address
    ))
    .unwrap();
    request.headers_mut().insert("authorization", format!("Bearer {reader}").parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    socket.send(Message::text(json!({ "type": "execute_script", "source": "1" }).to_string())).await.unwrap();
    let looked = async {
        loop {
            let page = client.get(server.url("/api/audit?limit=500")).bearer_auth(&admin).send().await.unwrap();
            let page: Value = page.json().await.unwrap();
            let seen: Vec<(String, String, String)> = page["entries"]
                .as_array()
                .unwrap()
                .iter()
                .map(|entry| ["actor", "action", "result"].map(|field| entry[field].as_str().unwrap().to_owned()).into())
                .collect();
            if seen.iter().any(|(_, action, _)| action == "socket") {
                return (seen, page.to_string());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (seen, text) = tokio::time::timeout(Duration::from_secs(20), looked).await.expect("the socket's refusal is in it");
    for (actor, action, result) in [
        ("key:a test", "POST /api/auth", "ok"),
        ("key:a test", "GET /", "ok"),
        ("anonymous", "GET /", "denied"),
        ("key:a test", "socket", "denied"),
    ] {
        assert!(seen.contains(&(actor.to_owned(), action.to_owned(), result.to_owned())), "{action} {result}: {seen:?}");
    }
    assert!(!text.contains(link.trim_start_matches("/?token=")), "{text}");
}

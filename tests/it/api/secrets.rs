//! Secrets: written and never read, used by who may, and masked wherever they would be shown.

use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::http::HeaderMap;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::served::{self, Server, node};

/// With what each way of writing writes in its own manner.
const SECRET: &str = "s3kr3t \"quoted\"/50%+é=";

async fn set(server: &Server, name: &str, value: &str) -> u16 {
    let client = reqwest::Client::new();
    client.put(server.url(&format!("/api/secrets/{name}"))).json(&json!({ "value": value })).send().await.unwrap().status().as_u16()
}

/// A server that notes what it is sent, and says it back.
async fn listener() -> (String, Arc<Mutex<Vec<String>>>) {
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let noted = Arc::clone(&heard);
    let echo = move |headers: HeaderMap| async move {
        let said = String::from_utf8_lossy(headers["authorization"].as_bytes()).into_owned();
        noted.lock().unwrap().push(said.clone());
        axum::Json(json!({ "you_said": said }))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new().route("/", axum::routing::get(echo))).await });
    (format!("http://{address}/"), heard)
}

/// In which forms a text holds a part of the secret that nobody could write by chance.
fn found(text: &str, secret: &str) -> Vec<String> {
    let escaped = serde_json::to_string(secret).unwrap();
    let percent: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let base64 = STANDARD.encode(secret);
    let forms = [secret, escaped.trim_matches('"'), &percent, &percent.replace('+', "%20"), &base64[..base64.len() - 4]];
    forms.into_iter().filter(|form| text.contains(*form)).map(str::to_owned).collect()
}

/// Fails where a file of the data folder holds it.
fn lies_nowhere(folder: &Path, secret: &str) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            lies_nowhere(&path, secret);
        } else if let Ok(bytes) = std::fs::read(&path) {
            let held = found(&String::from_utf8_lossy(&bytes), secret);
            assert!(held.is_empty(), "{} holds {held:?}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_written_listed_by_name_replaced_and_removed() {
    let server = served::start().await;
    assert_eq!(set(&server, "TOKEN", SECRET).await, 201);
    assert_eq!(set(&server, "TOKEN", "another value").await, 200);
    let (status, list) = server.get("/api/secrets").await;
    assert_eq!((status, &list["count"], &list["secrets"][0]["name"]), (200, &json!(1), &json!("TOKEN")), "{list}");
    assert!(!list.to_string().contains("another") && list["secrets"][0].as_object().unwrap().len() == 3, "{list}");
    // There is no way to read it.
    assert_eq!(server.get("/api/secrets/TOKEN").await.0, 405);
    let client = reqwest::Client::new();
    for (name, body, path) in [
        ("TOKEN", json!({ "value": "short" }), "/value"),
        ("TOKEN", json!({ "value": "long enough", "name": "x" }), "/name"),
        ("1TOKEN", json!({ "value": "long enough" }), "/path/name"),
        ("a%20b", json!({ "value": "long enough" }), "/path/name"),
    ] {
        let refused = client.put(server.url(&format!("/api/secrets/{name}"))).json(&body).send().await.unwrap();
        assert_eq!(refused.status(), 422);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["details"]["errors"][0]["path"], path, "{refused}");
        assert!(!refused.to_string().contains("long enough"), "{refused}");
    }
    let removed = client.delete(server.url("/api/secrets/TOKEN")).send().await.unwrap();
    assert_eq!(removed.status(), 200);
    assert_eq!(client.delete(server.url("/api/secrets/TOKEN")).send().await.unwrap().status(), 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_uses_it_and_nothing_that_is_kept_or_sent_shows_it() {
    let server = served::start().await;
    assert_eq!(set(&server, "TOKEN", SECRET).await, 201);
    let (url, heard) = listener().await;
    let graph = json!({
        "id": "ask", "name": "ask",
        "nodes": [
            node("start", "manual_trigger", json!({})),
            node("call", "http_request_action", json!({ "url": url, "headers": { "Authorization": "Bearer {{ secrets.TOKEN.replaced(\"é\", \"e\") }}" } })),
            node("say", "log_message", json!({ "message": "it is {{ secrets.TOKEN }}" })),
            node("end", "fail", json!({ "message": "no: {{ secrets.TOKEN }}" })),
        ],
        "edges": [
            { "id": "a", "source": "start", "target": "call" },
            { "id": "b", "source": "call", "target": "say" },
            { "id": "c", "source": "say", "target": "end" },
        ],
    });
    let (_, checked) = server.post("/api/workflows/validate", &graph).await;
    assert_eq!((&checked["valid"], &checked["permissions"]["secrets"]), (&json!(true), &json!(["TOKEN"])), "{checked}");
    // A header is ASCII.
    let ascii = SECRET.replace('é', "e");
    assert_eq!(set(&server, "ASCII", &ascii).await, 201);
    assert_eq!(server.post("/api/workflows/", &graph).await.0, 201);
    let (_, run) = server.post("/api/workflows/ask/execute", &json!({ "wait": true, "parameters": { "told": SECRET } })).await;
    assert_eq!(*heard.lock().unwrap(), [format!("Bearer {ascii}")], "{run}");
    assert_eq!(run["status"], "failed");
    assert_eq!(run["error"]["message"], "no: ***", "{run}");
    assert_eq!(run["logs"][0]["message"], "it is ***");
    assert_eq!(run["parameters"]["told"], "***");
    let call = run["steps"].as_array().unwrap().iter().find(|step| step["node_id"] == "call").unwrap();
    assert_eq!(call["output"]["body"]["you_said"], "Bearer ***", "{run}");
    let id = run["run_id"].as_str().unwrap();
    let events = reqwest::get(server.url(&format!("/api/runs/{id}/events"))).await.unwrap().text().await.unwrap();
    let script = reqwest::get(server.url("/api/workflows/ask/script")).await.unwrap().text().await.unwrap();
    let drawn = server.get("/api/workflows/ask").await.1.to_string();
    assert!(drawn.contains("secrets.TOKEN") && script.contains("secrets.TOKEN"), "the name stays where it is used");
    for text in [run.to_string(), events, script, drawn] {
        assert!(found(&text, SECRET).is_empty() && found(&text, &ascii).is_empty(), "{text}");
    }
    server.app.shutdown().await;
    lies_nowhere(server.data.path(), SECRET);
    lies_nowhere(server.data.path(), &ascii);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_shows_it_in_no_form() {
    let server = served::start().await;
    assert_eq!(set(&server, "TOKEN", SECRET).await, 201);
    let source = r#"//! ---
//! [permissions]
//! secrets = ["TOKEN"]
//! shell = ["bash"]
//! ---
let token = secrets::get("TOKEN");
log::info(token);
log::info(json::text(#{ a: token }));
log::info(json::text(json::text([token])));
print("broken " + token.sub_string(0, 8) + "\n" + token.sub_string(8));
let encoded = shell::run(#{ command: "printf %s \"$S\" | base64", env: #{ S: "user:" + token } }).output;
log::info("Basic " + encoded);
step("kept", || #{ plain: token, list: [token] });
throw token;
"#;
    let client = reqwest::Client::new();
    let put = client.put(server.url("/api/scripts/shows.rhai")).json(&json!({ "source": source })).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let (_, run) = server.post("/api/scripts/shows.rhai/run", &json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["logs"].as_array().map(Vec::len)), (&json!("failed"), &Some(5)), "{run}");
    assert_eq!(run["steps"][0]["output"], json!({ "plain": "***", "list": ["***"] }), "{run}");
    assert!(run["error"]["message"].as_str().unwrap().contains("***"), "{run}");
    for line in run["logs"].as_array().unwrap() {
        assert!(line["message"].as_str().unwrap().contains("***"), "{line}");
    }
    assert!(found(&run.to_string(), SECRET).is_empty(), "{run}");
    let basic = run["logs"][4]["message"].as_str().unwrap();
    let inner = STANDARD.encode(format!("user:{SECRET}"));
    assert!(!basic.contains(&inner[8..20]) && !basic.contains(&inner[20..32]), "{basic}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_use_it_does_not() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let admin = server.key("admin").await;
    let client = reqwest::Client::new();
    let ask = async |method: &str, path: &str, key: &str, body: Value| {
        let request = client.request(method.parse().unwrap(), server.url(path)).bearer_auth(key).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap_or_default())
    };
    assert_eq!(ask("PUT", "/api/secrets/TOKEN", &admin, json!({ "value": SECRET })).await.0, 201);
    let other = server.key("read desktop shell scripts workflows").await;
    for (method, path) in [("GET", "/api/secrets"), ("PUT", "/api/secrets/TOKEN"), ("DELETE", "/api/secrets/TOKEN")] {
        assert_eq!(ask(method, path, &other, json!({ "value": SECRET })).await.0, 403, "{method} {path}");
    }
    let header = |secrets: &str| format!("//! ---\n//! [permissions]\n//! secrets = [{secrets}]\n//! ---\n");
    for (name, source) in [
        ("declares.rhai", header("\"TOKEN\"") + "secrets::get(\"TOKEN\").len()"),
        ("another.rhai", header("\"OTHER\"") + "secrets::get(\"TOKEN\").len()"),
        ("nothing.rhai", "secrets.TOKEN.len()".to_owned()),
        ("catches.rhai", header("\"OTHER\"") + "try { secrets.TOKEN; } catch { } 1"),
    ] {
        let (status, put) = ask("PUT", &format!("/api/scripts/{name}"), &admin, json!({ "source": source })).await;
        assert!(status < 300, "{put}");
        // What the script declares and what the key lets a run do both count.
        let key = if name == "declares.rhai" { &other } else { &admin };
        let (_, run) = ask("POST", &format!("/api/scripts/{name}/run"), key, json!({ "wait": true })).await;
        assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("PERMISSION_DENIED")), "{name}: {run}");
        assert!(run["error"]["message"].as_str().unwrap().contains("secrets = [\"TOKEN\"]"), "{run}");
    }
    let (_, run) = ask("POST", "/api/scripts/declares.rhai/run", &admin, json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["result"]), (&json!("succeeded"), &json!(SECRET.chars().count())), "{run}");
}

/// What somebody says that holds a secret is said back without it, wherever that is.
#[tokio::test(flavor = "multi_thread")]
async fn errors_hold_it_nowhere() {
    use futures_util::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;
    let server = served::start().await;
    let secret = "s3kr3t-that-is-long";
    assert_eq!(set(&server, "TOKEN", secret).await, 201);
    let mut said = Vec::new();
    let (mut socket, _) = tokio_tungstenite::connect_async(format!("ws://{}/ws/workflow-automation", server.address)).await.unwrap();
    for message in [json!({ "type": "subscribe", "run_id": secret }), json!({ "type": "execute_script", "path": format!("{secret}.rhai") })]
    {
        socket.send(Message::text(message.to_string())).await.unwrap();
        said.push(socket.next().await.unwrap().unwrap().into_text().unwrap().to_string());
    }
    said.push(server.post("/api/scripts/check", &json!({ "source": format!("import \"{secret}\" as s; 1") })).await.1.to_string());
    let graph = json!({ "name": "x", "nodes": [node("a", "manual_trigger", json!({})), node("b", secret, json!({}))], "edges": [] });
    said.push(server.post("/api/workflows/validate", &graph).await.1["problems"].to_string());
    for text in said {
        assert!(text.contains("***") && found(&text, secret).is_empty(), "{text}");
    }
}

//! `urls.json`: addresses that a script calls when it should not, and a listener that counts no connection.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::server::Server;

#[tokio::test]
async fn no_spelling_of_an_address_leads_back_inside() {
    let mut server = Server::with_keys(&[]).measured();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    // None on a machine without IPv6.
    let other = TcpListener::bind(("::1", port)).await.ok();
    let urls: Vec<String> = serde_json::from_str(include_str!("urls.json")).unwrap();
    let mut wrong = Vec::new();
    for url in urls {
        let url = url.replace("{port}", &port.to_string());
        let source = format!("//! ---\n//! [permissions]\n//! http = [\"*\"]\n//! ---\nhttp::get({})", Value::from(url.clone()));
        let run = server.run(&source).await;
        if run["error"]["code"] != "PERMISSION_DENIED" {
            wrong.push(format!("{url}: {run}"));
        }
        server.survived(&url).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for listener in [Some(listener), other].into_iter().flatten() {
        let connected = tokio::time::timeout(std::time::Duration::from_millis(1), listener.accept()).await;
        assert!(connected.is_err(), "something called {:?}", listener.local_addr());
    }
}

#[tokio::test]
async fn data_chooses_no_host() {
    let mut server = Server::start(&[]).measured();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let graph = |config: Value| {
        json!({
            "id": "calls", "name": "Calls",
            "nodes": [{ "id": "start", "type": "manual_trigger", "data": {} }, { "id": "call", "type": "http_request_action", "data": { "config": config } }],
            "edges": [{ "id": "e", "source": "start", "target": "call" }]
        })
    };
    assert_eq!(server.post("/api/workflows/", &graph(json!({ "url": "{{ params.url }}", "hosts": ["example.org"] }))).await.0, 201);
    let body = json!({ "wait": true, "parameters": { "url": url } });
    let (_, run) = server.post("/api/workflows/calls/execute", &body).await;
    assert_eq!(run["error"]["code"], "PERMISSION_DENIED", "{run}");
    assert_eq!(server.put("/api/workflows/calls", &graph(json!({ "url": "{{ params.url }}" }))).await.0, 200);
    let (_, run) = server.post("/api/workflows/calls/execute", &body).await;
    assert_eq!(run["error"]["code"], "PERMISSION_DENIED", "{run}");
    let connected = tokio::time::timeout(std::time::Duration::from_millis(1), listener.accept()).await;
    assert!(connected.is_err(), "something called the listener");
    server.survived("hosts from data").await;
}

/// Without keys a script would get everything through the server's own port, whatever it declares.
#[tokio::test]
async fn what_runs_does_not_call_the_server_that_runs_it() {
    let mut server = Server::start(&[]).measured();
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    let call = async |url: &str| {
        let body = Value::from(json!({ "command": format!("touch {}", server.canary().display()) }).to_string());
        let source = format!(
            "//! ---\n//! [permissions]\n//! http = [\"*\"]\n//! ---\nhttp::request(#{{ method: \"POST\", url: {}, body: json::parse({body}) }}).status",
            Value::from(url)
        );
        server.run(&source).await
    };
    let mut wrong = Vec::new();
    for host in ["127.0.0.1", "localhost", "localhost.", "x.localhost", "0.0.0.0", "127.1", "2130706433", "[::ffff:127.0.0.1]", "[::]"] {
        let run = call(&format!("http://{host}:{port}/api/shell/bash")).await;
        let message = run["error"]["message"].as_str().unwrap_or_default();
        if run["error"]["code"] != "PERMISSION_DENIED" || !message.contains("own address") {
            wrong.push(format!("{host}: {run}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // Other ports of this machine are open where only its user reaches the server.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let other = listener.local_addr().unwrap().port();
    drop(listener);
    assert_eq!(call(&format!("http://127.0.0.1:{other}/")).await["error"]["code"], "SERVICE_UNAVAILABLE");
    server.survived("calls to itself").await;
}

//! `urls.json`: addresses that a script calls when it should not, and a listener that counts no connection.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::server::Server;

#[tokio::test]
async fn no_spelling_of_an_address_leads_back_inside() {
    let mut server = Server::with_keys(&[]).measured();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
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
    let connected = tokio::time::timeout(std::time::Duration::from_millis(1), listener.accept()).await;
    assert!(connected.is_err(), "something called the listener");
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

//! `/ws/workflow-automation`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::stand_in::{self, Server};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn url(server: &Server, path: &str) -> String {
    format!("ws://{}{path}", server.address)
}

async fn connect(server: &Server) -> Client {
    connect_async(url(server, "/ws/workflow-automation")).await.unwrap().0
}

async fn say(client: &mut Client, message: Value) {
    client.send(Message::text(message.to_string())).await.unwrap();
}

async fn hear(client: &mut Client) -> Value {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), client.next()).await.expect("an answer").unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(frame) => return json!({ "closed": frame.map(|frame| u16::from(frame.code)) }),
            _ => {}
        }
    }
}

/// The close code, whatever comes before it.
async fn closed(client: &mut Client, patience: Duration) -> Option<u16> {
    let waiting = async {
        while let Some(Ok(message)) = client.next().await {
            if let Message::Close(Some(frame)) = message {
                return Some(frame.code.into());
            }
        }
        None
    };
    tokio::time::timeout(patience, waiting).await.ok().flatten()
}

#[tokio::test]
async fn a_run_is_started_and_followed_to_its_end() {
    let server = stand_in::start().await;
    for path in ["/ws/workflow-automation", "/api/ws/workflow-automation", "/ws/workflow-automation/"] {
        let mut client = connect_async(url(&server, path)).await.unwrap().0;
        say(&mut client, json!({ "type": "execute_workflow", "workflow_id": "known", "parameters": { "input_data": "test" } })).await;
        for (id, name) in [(1, "run_started"), (2, "log"), (3, "run_finished")] {
            let event = hear(&mut client).await;
            assert_eq!((&event["type"], &event["event_id"], &event["run_id"]), (&json!(name), &json!(id), &json!("known-run")));
        }
        assert_eq!(server.asked().last().unwrap()["parameters"], json!({ "input_data": "test" }));
        say(&mut client, json!({ "type": "ping" })).await;
        assert_eq!(hear(&mut client).await["type"], "pong");
    }
}

#[tokio::test]
async fn runs_can_be_followed_from_an_event_on_and_stopped() {
    let server = stand_in::start().await;
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "subscribe", "run_id": "known", "after": 2 })).await;
    assert_eq!(hear(&mut client).await["event_id"], 3);
    say(&mut client, json!({ "type": "execute_script", "path": "known.rhai" })).await;
    assert_eq!(hear(&mut client).await["type"], "run_started");
    say(&mut client, json!({ "type": "cancel", "run_id": "known-run" })).await;
    say(&mut client, json!({ "type": "ping" })).await;
    while hear(&mut client).await["type"] != "pong" {}
    assert_eq!(server.asked().last().unwrap(), &json!({ "cancel": "known-run" }));
}

#[tokio::test]
async fn what_cannot_be_understood_is_answered_and_the_connection_lives() {
    let server = stand_in::start().await;
    let mut client = connect(&server).await;
    let deep = format!("{}{}", "[".repeat(1000), "]".repeat(1000));
    for (message, code) in [
        ("nonsense", "INVALID_JSON"),
        ("[]", "VALIDATION_ERROR"),
        (&deep, "VALIDATION_ERROR"),
        (r#"{"type":"fly"}"#, "VALIDATION_ERROR"),
        (r#"{"type":"cancel"}"#, "VALIDATION_ERROR"),
        (r#"{"type":"cancel","run_id":"a","more":1}"#, "VALIDATION_ERROR"),
        (r#"{"type":"cancel","run_id":"unknown"}"#, "NOT_FOUND"),
        (r#"{"type":"execute_workflow","workflow_id":"unknown"}"#, "NOT_FOUND"),
        (r#"{"type":"execute_script","path":"a","source":"b"}"#, "VALIDATION_ERROR"),
    ] {
        client.send(Message::text(message)).await.unwrap();
        let answer = hear(&mut client).await;
        assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!(code)), "{message}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|sentence| !sentence.is_empty()));
    }
    client.send(Message::binary(vec![1, 2])).await.unwrap();
    assert_eq!(hear(&mut client).await["type"], "error");
    say(&mut client, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut client).await["type"], "pong");
}

#[tokio::test]
async fn nothing_but_nonsense_ends_the_connection() {
    let server = stand_in::start().await;
    let mut client = connect(&server).await;
    for _ in 0..10 {
        client.send(Message::text("nonsense")).await.unwrap();
    }
    assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1008));
}

#[tokio::test]
async fn a_message_over_a_mebibyte_closes_with_1009() {
    let server = stand_in::start().await;
    let mut client = connect(&server).await;
    client.send(Message::text("x".repeat((1 << 20) + 1))).await.unwrap();
    assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1009));
}

#[tokio::test]
async fn other_origins_and_one_socket_too_many_are_refused_at_the_handshake() {
    let server = stand_in::start_with(|config| config.websockets.max_connections = 1).await;
    let mut request = url(&server, "/ws/workflow-automation").into_client_request().unwrap();
    request.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    let Err(Error::Http(answer)) = connect_async(request).await else { panic!("an evil origin got in") };
    assert_eq!(answer.status(), 403);
    let client = connect(&server).await;
    let Err(Error::Http(answer)) = connect_async(url(&server, "/ws/workflow-automation")).await else { panic!("two got in") };
    assert_eq!(answer.status(), 503);
    drop(client);
    let again = async {
        while connect_async(url(&server, "/ws/workflow-automation")).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), again).await.expect("the place is free again");
}

#[tokio::test]
async fn the_server_pings_and_silence_ends_the_connection() {
    let server = stand_in::start_with(|config| {
        config.websockets.ping_interval = Duration::from_millis(100);
        config.websockets.timeout = Duration::from_millis(500);
    })
    .await;
    let mut client = connect(&server).await;
    let pinged = tokio::time::timeout(Duration::from_secs(5), client.next()).await.unwrap().unwrap().unwrap();
    assert!(matches!(pinged, Message::Ping(_)), "{pinged:?}");
    // Who does not read does not answer pings either.
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1001));
}

#[tokio::test]
async fn a_reader_that_is_too_slow_is_told_to_come_back() {
    let server = stand_in::start().await;
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "subscribe", "run_id": "known-flood" })).await;
    tokio::time::sleep(Duration::from_secs(12)).await;
    assert_eq!(closed(&mut client, Duration::from_secs(15)).await, Some(1013));
}

#[tokio::test]
async fn sockets_end_with_the_server() {
    let server = stand_in::start().await;
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "ping" })).await;
    hear(&mut client).await;
    server.shutdown.cancel();
    assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1001));
}

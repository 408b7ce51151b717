//! `/ws/workflow-automation`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::served::{self, Server};

pub type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub fn url(server: &Server, path: &str) -> String {
    format!("ws://{}{path}", server.address)
}

async fn connect(server: &Server) -> Client {
    connect_to(server, "/ws/workflow-automation").await
}

pub async fn connect_to(server: &Server, path: &str) -> Client {
    connect_async(url(server, path)).await.unwrap().0
}

pub async fn say(client: &mut Client, message: Value) {
    client.send(Message::text(message.to_string())).await.unwrap();
}

pub async fn hear(client: &mut Client) -> Value {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), client.next()).await.expect("an answer").unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(frame) => return json!({ "closed": frame.map(|frame| u16::from(frame.code)) }),
            _ => {}
        }
    }
}

/// The close code, whatever comes before it.
pub async fn closed(client: &mut Client, patience: Duration) -> Option<u16> {
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
    let server = served::start().await;
    for path in ["/ws/workflow-automation", "/api/ws/workflow-automation", "/ws/workflow-automation/"] {
        let mut client = connect_async(url(&server, path)).await.unwrap().0;
        say(&mut client, json!({ "type": "execute_workflow", "workflow_id": "known", "parameters": { "input_data": "test" } })).await;
        let mut names = Vec::new();
        loop {
            let event = hear(&mut client).await;
            names.push(event["type"].as_str().unwrap().to_owned());
            assert_eq!(event["event_id"], names.len());
            if names.last().unwrap() == "run_finished" {
                break;
            }
        }
        assert_eq!((names[0].as_str(), names.iter().any(|name| name == "log")), ("run_started", true));
        say(&mut client, json!({ "type": "ping" })).await;
        assert_eq!(hear(&mut client).await["type"], "pong");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_answered_and_the_connection_lives() {
    let server = served::start().await;
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
    let server = served::start().await;
    let mut client = connect(&server).await;
    for _ in 0..10 {
        client.send(Message::text("nonsense")).await.unwrap();
    }
    assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1008));
}

#[tokio::test]
async fn a_message_over_a_mebibyte_closes_with_1009() {
    let server = served::start().await;
    let mut client = connect(&server).await;
    client.send(Message::text("x".repeat((1 << 20) + 1))).await.unwrap();
    assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1009));
}

#[tokio::test]
async fn other_origins_and_one_socket_too_many_are_refused_at_the_handshake() {
    let server = served::start_with(|config| config.websockets.max_connections = 1).await;
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
    let server = served::start_with(|config| {
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
async fn sockets_end_with_the_server() {
    let server = served::start().await;
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "ping" })).await;
    hear(&mut client).await;
    server.shutdown.cancel();
    assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1001));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_too_slow_is_let_go_and_goes_on_where_it_stopped() {
    let server = served::start_with(|config| config.websockets.timeout = Duration::from_secs(2)).await;
    // Little fits on the way, so that not reading is noticed.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(8 << 10).unwrap();
    let stream = MaybeTlsStream::Plain(socket.connect(server.address).await.unwrap());
    let mut slow = tokio_tungstenite::client_async(url(&server, "/ws/workflow-automation"), stream).await.unwrap().0;
    let source = "let line = \"\"; line.pad(4000, \"x\"); for n in 0..5000 { log::info(line); }";
    say(&mut slow, json!({ "type": "execute_script", "source": source })).await;
    let first = hear(&mut slow).await;
    let run_id = first["run_id"].as_str().unwrap().to_owned();
    let over = async {
        while server.get(&format!("/api/runs/{run_id}")).await.1["status"] == "running" {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), over).await.expect("the run does not wait for its reader");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let mut last = first["event_id"].as_u64().unwrap();
    let code = loop {
        let event = hear(&mut slow).await;
        match event["event_id"].as_u64() {
            Some(id) => {
                assert_eq!(id, last + 1, "nothing is left out");
                last = id;
            }
            None => break event["closed"].clone(),
        }
    };
    assert_eq!(code, 1013);

    let mut again = connect(&server).await;
    say(&mut again, json!({ "type": "subscribe", "run_id": run_id, "after": last })).await;
    loop {
        let event = hear(&mut again).await;
        assert_eq!(event["event_id"], last + 1);
        last += 1;
        if event["type"] == "run_finished" {
            assert_eq!(event["status"], "succeeded");
            break;
        }
    }
}

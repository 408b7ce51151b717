//! `/ws/echo` and `/api/ws/health`: what all sockets have in common.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::served::{self, start};
use super::socket::{closed, connect_to, hear, say, url};

const PATHS: [&str; 3] = ["/ws/echo", "/ws/filesystem", "/ws/workflow-automation"];

#[tokio::test]
async fn everything_is_said_back() {
    let server = start().await;
    for path in ["/ws/echo", "/api/ws/echo", "/api/ws/echo/"] {
        let mut client = connect_to(&server, path).await;
        for message in [Message::text("hello"), Message::text(r#"{"type":"ping"}"#), Message::binary(vec![0, 1, 255]), Message::text("ü €")]
        {
            client.send(message.clone()).await.unwrap();
            assert_eq!(client.next().await.unwrap().unwrap(), message, "{path}");
        }
        let (status, told) = server.get(path).await;
        assert_eq!((status, &told["url"]), (200, &json!(format!("ws://{}/ws/echo", server.address))), "{told}");
    }
}

#[tokio::test]
async fn the_sockets_that_are_open_are_counted() {
    let server = served::start_with(|config| config.websockets.max_connections = 2).await;
    let (_, health) = server.get("/api/ws/health").await;
    assert_eq!((&health["status"], &health["open"], &health["limit"]), (&json!("healthy"), &json!(0), &json!(2)));
    for path in PATHS {
        assert_eq!(health["paths"][path], 0, "{health}");
    }
    let _echo = connect_to(&server, "/ws/echo").await;
    let filesystem = connect_to(&server, "/api/ws/filesystem").await;
    let (_, health) = server.get("/api/ws/health").await;
    assert_eq!((&health["status"], &health["open"]), (&json!("full"), &json!(2)), "{health}");
    assert_eq!((&health["paths"]["/ws/echo"], &health["paths"]["/ws/filesystem"]), (&json!(1), &json!(1)), "{health}");
    for path in PATHS {
        let Err(Error::Http(answer)) = connect_async(url(&server, path)).await else { panic!("a third got in at {path}") };
        assert_eq!(answer.status(), 503);
    }
    drop(filesystem);
    let freed = async {
        while server.get("/api/ws/health").await.1["open"] != 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.expect("the place is free again");
}

#[tokio::test]
async fn where_sockets_are_off_every_handshake_is_refused() {
    let server = served::start_with(|config| config.services.websockets = false).await;
    for path in PATHS {
        let Err(Error::Http(answer)) = connect_async(url(&server, path)).await else { panic!("{path} opened") };
        assert_eq!(answer.status(), 503);
        let body: serde_json::Value = serde_json::from_slice(answer.body().as_ref().unwrap()).unwrap();
        assert!(body["details"]["hint"].as_str().unwrap().contains("ENABLE_WEBSOCKETS"), "{body}");
    }
    assert_eq!(server.get("/ws/echo").await.0, 503);
    assert_eq!(server.get("/api/ws/health").await.1["status"], "disabled");
}

#[tokio::test]
async fn bad_messages_are_answered_and_too_many_end_the_connection() {
    let server = start().await;
    for path in ["/ws/filesystem", "/ws/workflow-automation"] {
        let mut client = connect_to(&server, path).await;
        for (message, code) in
            [("nonsense", "INVALID_JSON"), (r#"{"type":"fly"}"#, "VALIDATION_ERROR"), (r#"{"type":"ping","x":1}"#, "VALIDATION_ERROR")]
        {
            client.send(Message::text(message)).await.unwrap();
            let answer = hear(&mut client).await;
            assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!(code)), "{path} {message}: {answer}");
        }
        client.send(Message::binary(vec![1])).await.unwrap();
        assert_eq!(hear(&mut client).await["type"], "error");
        say(&mut client, json!({ "type": "ping" })).await;
        assert_eq!(hear(&mut client).await["type"], "pong");
        for _ in 0..10 {
            client.send(Message::text("nonsense")).await.unwrap();
        }
        assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1008), "{path}");
    }
}

#[tokio::test]
async fn messages_that_are_too_large_or_no_text_end_the_connection() {
    let server = start().await;
    for path in PATHS {
        let mut client = connect_to(&server, path).await;
        // The server may close before all of it is sent.
        let _ = client.send(Message::text("x".repeat(2 << 20))).await;
        assert_eq!(closed(&mut client, Duration::from_secs(5)).await, Some(1009), "{path}");
        assert_eq!(close_code_of(&server, path, b"\xff\xfe").await, Some(1007), "{path}");
    }
}

/// Sends bytes that are no UTF-8 as a text, which no proper client does; gives the close code.
async fn close_code_of(server: &served::Server, path: &str, payload: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
    // A masked text frame whose mask changes nothing.
    let mut frame = vec![0x81, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
    frame.extend(payload);
    stream.write_all(&frame).await.unwrap();
    let mut rest = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut rest)).await;
    let close = rest.iter().position(|byte| *byte == 0x88)?;
    Some(u16::from_be_bytes([*rest.get(close + 2)?, *rest.get(close + 3)?]))
}

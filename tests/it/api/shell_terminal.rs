//! `/ws/shell/{session_id}`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::served::{self, Server};
use super::shell::{open, run};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(server: &Server, id: &str) -> Client {
    connect_async(format!("ws://{}/ws/shell/{id}", server.address)).await.unwrap().0
}

async fn press(client: &mut Client, keys: &str) {
    client.send(Message::binary(keys.as_bytes().to_vec())).await.unwrap();
}

/// What the terminal shows, until it holds `wanted`.
async fn shows(client: &mut Client, wanted: &str) -> String {
    let mut seen = String::new();
    let looking = async {
        while !seen.contains(wanted) {
            if let Message::Binary(bytes) = client.next().await.unwrap().unwrap() {
                seen.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(15), looking).await;
    assert!(found.is_ok(), "{wanted:?} is not in {seen:?}");
    seen
}

/// The next text message.
async fn told(client: &mut Client) -> Value {
    loop {
        match tokio::time::timeout(Duration::from_secs(10), client.next()).await.expect("an answer").unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(frame) => panic!("closed: {frame:?}"),
            _ => {}
        }
    }
}

async fn closed(client: &mut Client) -> (u16, String) {
    let waiting = async {
        loop {
            if let Message::Close(Some(frame)) = client.next().await.unwrap().unwrap() {
                return (frame.code.into(), frame.reason.to_string());
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waiting).await.expect("it is closed")
}

#[tokio::test]
async fn a_person_types_sees_requests_run_and_comes_back_to_it() {
    let server = served::start().await;
    let id = open(&server).await;
    let mut one = connect(&server, &id).await;
    shows(&mut one, "\x1b[?2004h").await;
    press(&mut one, "MINE=typed; echo \"<$MINE>\"\r").await;
    shows(&mut one, "<typed>\r\n").await;
    let mut other = connect_async(format!("ws://{}/api/ws/shell/{id}/", server.address)).await.unwrap().0;
    shows(&mut other, "<typed>\r\n").await;
    assert_eq!(run(&server, Some(&id), "echo rest sees $MINE").await["output"], "rest sees typed\n");
    for client in [&mut one, &mut other] {
        let seen = shows(client, "rest sees typed\r\n").await;
        assert!(seen.contains("echo rest sees $MINE\r\n"), "{seen:?}");
    }
    one.send(Message::text(r#"{"type":"resize","cols":100,"rows":50}"#)).await.unwrap();
    one.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
    assert_eq!(told(&mut one).await["type"], "pong");
    assert_eq!(run(&server, Some(&id), "stty size").await["output"], "50 100\n");
    drop(one);
    let mut again = connect(&server, &id).await;
    shows(&mut again, "rest sees typed\r\n").await;
    let (_, history) = server.get(&format!("/api/shell/history/{id}")).await;
    assert_eq!(history["history"][0]["command"], "MINE=typed; echo \"<$MINE>\"", "{history}");
    press(&mut again, "exit 3\r").await;
    for client in [&mut other, &mut again] {
        let (code, reason) = closed(client).await;
        assert!(code == 1000 && reason.contains("code 3"), "{code} {reason}");
    }
}

#[tokio::test]
async fn what_cannot_be_understood_is_answered_and_the_connection_lives() {
    let server = served::start().await;
    let id = open(&server).await;
    let mut client = connect(&server, &id).await;
    for (message, code) in [
        ("nonsense", "INVALID_JSON"),
        (r#"{"type":"resize","cols":0,"rows":50}"#, "VALIDATION_ERROR"),
        (r#"{"type":"resize","cols":100,"rows":70000}"#, "VALIDATION_ERROR"),
        (r#"{"type":"fly"}"#, "VALIDATION_ERROR"),
    ] {
        client.send(Message::text(message)).await.unwrap();
        let answer = told(&mut client).await;
        assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!(code)), "{message}: {answer}");
    }
    press(&mut client, "echo li''ves\r").await;
    shows(&mut client, "lives\r\n").await;
    // Nobody reads what is typed: it is dropped, and said.
    press(&mut client, "stty raw -echo; sleep 60\r").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..3 {
        client.send(Message::binary(vec![b'x'; 900_000])).await.unwrap();
    }
    let full = told(&mut client).await;
    assert_eq!(full["error_code"], "RATE_LIMITED", "{full}");
}

#[tokio::test]
async fn unknown_and_ended_sessions_are_refused_at_the_handshake() {
    let server = served::start().await;
    let refused = async |id: &str| match connect_async(format!("ws://{}/ws/shell/{id}", server.address)).await {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("{id} got in: {other:?}"),
    };
    assert_eq!(refused("unknown").await, 404);
    assert_eq!(refused("..%2f..").await, 404);
    let id = open(&server).await;
    run(&server, Some(&id), "exit").await;
    assert_eq!(refused(&id).await, 409);
}

#[tokio::test]
async fn the_end_of_the_session_or_the_service_closes_the_socket_with_the_reason() {
    let server = served::start().await;
    let id = open(&server).await;
    let mut client = connect(&server, &id).await;
    reqwest::Client::new().delete(server.url(&format!("/api/shell/sessions/{id}"))).send().await.unwrap();
    let (code, reason) = closed(&mut client).await;
    assert!(code == 1000 && reason.contains("deleted"), "{code} {reason}");
    let id = open(&server).await;
    let mut client = connect(&server, &id).await;
    server.app.services.restart(trae::services::Name::Shell).await.unwrap();
    let (code, reason) = closed(&mut client).await;
    assert!(code == 1001 && reason.contains("service was stopped"), "{code} {reason}");
}

#[tokio::test]
async fn a_viewer_that_does_not_read_holds_nobody_up() {
    let server = served::start().await;
    let id = open(&server).await;
    let _deaf = connect(&server, &id).await;
    let mut keen = connect(&server, &id).await;
    let done = run(&server, Some(&id), "seq 1000000 | tail -c 6000000; echo fi''nished").await;
    assert_eq!((&done["exit_code"], &done["truncated"]), (&json!(0), &json!(true)));
    shows(&mut keen, "finished\r\n").await;
    let mut late = connect(&server, &id).await;
    let seen = shows(&mut late, "finished\r\n").await;
    assert!(seen.len() <= 256 * 1024, "{}", seen.len());
}

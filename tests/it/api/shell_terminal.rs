//! `/ws/shell/{session_id}`.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
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

/// The next text message that is no news of who types.
async fn told(client: &mut Client) -> Value {
    loop {
        let said = any_told(client).await;
        if said["type"] != "standing" {
            return said;
        }
    }
}

/// The next text message.
async fn any_told(client: &mut Client) -> Value {
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
    again.send(Message::text(r#"{"type":"take"}"#)).await.unwrap();
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

#[tokio::test]
async fn one_types_until_another_takes_over() {
    let server = served::start().await;
    let id = open(&server).await;
    let mut one = connect(&server, &id).await;
    let first = any_told(&mut one).await;
    assert_eq!(first, json!({ "type": "standing", "writer": true, "viewers": 1, "cols": 80, "rows": 24 }));
    let mut other = connect(&server, &id).await;
    assert_eq!(any_told(&mut other).await["writer"], false);
    other.send(Message::text(r#"{"type":"resize","cols":120,"rows":40}"#)).await.unwrap();
    press(&mut other, "echo no\r").await;
    let refused = told(&mut other).await;
    assert!(refused["error_code"] == "CONFLICT" && refused["error"].as_str().unwrap().contains("take"), "{refused}");
    other.send(Message::text(r#"{"type":"take"}"#)).await.unwrap();
    press(&mut other, "stty size\r").await;
    for client in [&mut one, &mut other] {
        let seen = shows(client, "40 120\r\n").await;
        assert!(!seen.contains("echo no"), "{seen:?}");
    }
    press(&mut one, "x").await;
    assert_eq!(told(&mut one).await["error_code"], "CONFLICT");
    other.close(None).await.unwrap();
    loop {
        let standing = any_told(&mut one).await;
        if standing["writer"] == true {
            assert_eq!(standing["viewers"], 1);
            break;
        }
    }
    one.send(Message::text(r#"{"type":"pause"}"#)).await.unwrap();
    press(&mut one, "echo qui''et\r").await;
    one.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
    assert_eq!(told(&mut one).await["type"], "pong");
    run(&server, Some(&id), "echo meanwhile").await;
    one.send(Message::text(r#"{"type":"resume"}"#)).await.unwrap();
    let seen = shows(&mut one, "meanwhile\r\n").await;
    assert!(seen.contains("quiet\r\n"), "{seen:?}");
}

#[tokio::test]
async fn a_client_of_ttyd_is_spoken_to_as_it_speaks() {
    let server = served::start().await;
    let id = open(&server).await;
    let _native = connect(&server, &id).await;
    let mut request = format!("ws://{}/ws/shell/{id}", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "tty".parse().unwrap());
    let (mut client, answer) = connect_async(request).await.unwrap();
    assert_eq!(answer.headers()["sec-websocket-protocol"], "tty");
    client.send(Message::text(r#"{"AuthToken":"","columns":90,"rows":33}"#)).await.unwrap();
    let mut kinds = Vec::new();
    while kinds.len() < 2 {
        if let Message::Binary(bytes) = client.next().await.unwrap().unwrap() {
            kinds.push(String::from_utf8_lossy(&bytes).into_owned());
        }
    }
    assert_eq!(kinds, ["1test (bash)", "2{}"]);
    let say = |text: &str| Message::binary(text.as_bytes().to_vec());
    // It has no way to ask: whoever types takes that over, with the size of the window.
    client.send(say("0stty size\r")).await.unwrap();
    let seen = output(&mut client, "33 90\r\n").await;
    assert!(seen.starts_with("\x1bc"), "the screen comes first: {seen:?}");
    client.send(say(r#"1{"columns":100,"rows":20}"#)).await.unwrap();
    client.send(say("0stty size\r")).await.unwrap();
    output(&mut client, "20 100\r\n").await;
    client.send(say("2")).await.unwrap();
    run(&server, Some(&id), "seq 2000").await;
    client.send(say("3")).await.unwrap();
    output(&mut client, "\r\n2000\r\n").await;
    client.send(say("9what")).await.unwrap();
    assert_eq!(told(&mut client).await["error_code"], "VALIDATION_ERROR");
    client.send(say("0exit 6\r")).await.unwrap();
    let (code, reason) = closed(&mut client).await;
    assert!(code == 1000 && reason.contains("code 6"), "{code} {reason}");
}

/// What a client of ttyd prints, until that holds `wanted`.
async fn output(client: &mut Client, wanted: &str) -> String {
    let mut seen = String::new();
    let looking = async {
        while !seen.contains(wanted) {
            if let Message::Binary(bytes) = client.next().await.unwrap().unwrap() {
                assert_eq!(bytes[0], b'0', "only output comes: {bytes:?}");
                seen.push_str(&String::from_utf8_lossy(&bytes[1..]));
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(15), looking).await;
    assert!(found.is_ok(), "{wanted:?} is not in {seen:?}");
    seen
}

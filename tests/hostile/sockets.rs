//! Sockets: frames that are none, messages that are too many or too large, and clients that never read.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::server::{PATIENCE, Server};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(server: &Server, path: &str) -> Client {
    connect_async(format!("ws://{}{path}", server.address)).await.unwrap().0
}

/// What the server closes with.
async fn closed(client: &mut Client) -> Option<u16> {
    tokio::time::timeout(PATIENCE, async {
        loop {
            match client.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    })
    .await
    .expect("it closes")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Frames {
    name: String,
    /// Bytes as they go over the wire, in hexadecimal; `*n` repeats the byte before it.
    bytes: String,
    /// The code of the frame that closes.
    closes: u16,
}

fn bytes(text: &str) -> Vec<u8> {
    let mut all = Vec::new();
    for part in text.split_whitespace() {
        match part.strip_prefix('*') {
            Some(times) => {
                let last = *all.last().unwrap();
                all.extend(std::iter::repeat_n(last, times.parse::<usize>().unwrap() - 1));
            }
            None => all.push(u8::from_str_radix(part, 16).unwrap()),
        }
    }
    all
}

#[tokio::test]
async fn frames_that_are_none_end_their_connection_alone() {
    let mut server = Server::start(&[]).measured();
    let rows: Vec<Frames> = serde_json::from_str(include_str!("frames.json")).unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        let upgrade = format!(
            "GET /ws/workflow-automation HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            server.address
        );
        stream.write_all(upgrade.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let _ = stream.write_all(&bytes(&row.bytes)).await;
        let mut rest = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
        // A close frame: its mark, its length, its code.
        let code =
            rest.windows(4).find(|window| window[0] == 0x88 && window[1] >= 2).map(|window| u16::from_be_bytes([window[2], window[3]]));
        if read.is_err() || code != Some(row.closes) {
            wrong.push(format!("{}: {code:?} {read:?}", row.name));
        }
        server.survived(&row.name).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn nonsense_is_answered_and_too_much_of_it_ends_the_connection() {
    let mut server = Server::start(&[]).measured();
    let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
    for message in ["nonsense", "{\"type\":\"fly\"}", "{\"type\":\"ping\",\"x\":1}", "[]", "\"\"", &deep, "{\"type\":{}}", "null"] {
        let mut client = open(&server, "/ws/workflow-automation").await;
        client.send(Message::text(message)).await.unwrap();
        let answer = tokio::time::timeout(PATIENCE, client.next()).await.unwrap().unwrap().unwrap();
        let answer: Value = serde_json::from_str(answer.to_text().unwrap()).unwrap();
        assert!(answer["type"] == "error" && answer["error_code"].is_string(), "{message}: {answer}");
        for _ in 0..12 {
            let _ = client.send(Message::text(message)).await;
        }
        assert_eq!(closed(&mut client).await, Some(1008), "{message}");
        server.survived(message.get(..20).unwrap_or(message)).await;
    }
    let mut client = open(&server, "/ws/workflow-automation").await;
    let _ = client.send(Message::text("x".repeat(2 << 20))).await;
    assert_eq!(closed(&mut client).await, Some(1009), "two megabytes");
    server.survived("two megabytes").await;
    // In pieces each of which would be small enough.
    let mut client = open(&server, "/ws/workflow-automation").await;
    for at in 0..5 {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let piece = Frame::message("x".repeat((1 << 18) + 1), OpCode::Data(kind), at == 4);
        let _ = client.send(Message::Frame(piece)).await;
    }
    assert_eq!(closed(&mut client).await, Some(1009), "a megabyte in pieces");
    server.survived("a megabyte in pieces").await;
}

#[tokio::test]
async fn who_may_only_read_or_run_something_else_starts_nothing_on_a_socket() {
    use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

    let mut server = Server::with_keys(&[]).measured();
    for key in [server.make_key("read"), server.make_key_for("workflows scripts", &["another"])] {
        let mut request = format!("ws://{}/ws/workflow-automation", server.address).into_client_request().unwrap();
        request.headers_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        let (mut client, _) = connect_async(request).await.unwrap();
        for said in [json!({ "type": "execute_workflow", "workflow_id": "x" }), json!({ "type": "execute_script", "source": "1" })] {
            client.send(Message::text(said.to_string())).await.unwrap();
            let answer: Value = serde_json::from_str(client.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
            assert_eq!((&answer["type"], &answer["error_code"]), (&json!("error"), &json!("PERMISSION_DENIED")), "{said}: {answer}");
        }
    }
    server.survived("a reader on a socket").await;
}

#[tokio::test]
async fn one_connection_too_many_is_refused_and_its_place_is_free_again() {
    let mut server = Server::start(&[("MAX_WEBSOCKET_CONNECTIONS", "4")]).measured();
    let mut clients = Vec::new();
    for _ in 0..4 {
        clients.push(open(&server, "/ws/echo").await);
    }
    let url = format!("ws://{}/ws/echo", server.address);
    let Err(tokio_tungstenite::tungstenite::Error::Http(answer)) = connect_async(&url).await else { panic!("a fifth got in") };
    assert_eq!(answer.status(), 503);
    clients.clear();
    let mut again = false;
    for _ in 0..250 {
        again = connect_async(&url).await.is_ok();
        if again {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(again, "the place stays taken");
    server.survived("too many sockets").await;
}

/// One that was stopped looks like one that is only slow, until it has let two questions pass.
#[tokio::test]
async fn the_place_of_a_client_that_was_stopped_is_free_again() {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Command, Stdio};

    let mut server = Server::start(&[("MAX_WEBSOCKET_CONNECTIONS", "1"), ("WEBSOCKET_PING_INTERVAL", "1")]).measured();
    let (host, port) = server.address.split_once(':').unwrap();
    let opens = format!(
        "import socket; s = socket.create_connection(('{host}', {port})); s.sendall(('GET /ws/echo HTTP/1.1\\r\\nHost: localhost\\r\\n' \
         + 'Connection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\\r\\n\\r\\n').encode()); \
         print(s.recv(12).decode(), flush=True); [s.recv(99) for _ in iter(int, 1)]"
    );
    let mut client = Command::new("/usr/bin/python3").args(["-c", &opens]).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(client.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert_eq!(said.trim(), "HTTP/1.1 101");
    assert!(Command::new("kill").args(["-STOP", &client.id().to_string()]).status().unwrap().success());
    let url = format!("ws://{}/ws/echo", server.address);
    assert!(connect_async(&url).await.is_err(), "there is one place");
    let free = async {
        while connect_async(&url).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let freed = tokio::time::timeout(PATIENCE, free).await;
    client.kill().unwrap();
    client.wait().unwrap();
    assert!(freed.is_ok(), "the place stays taken");
    server.survived("a client that was stopped").await;
}

#[tokio::test]
async fn a_client_that_never_reads_makes_nothing_grow() {
    let mut server = Server::start(&[("DISPLAY_MODE", "virtual"), ("VIRTUAL_SIZE", "1280x800")]).measured();
    let mut deaf = open(&server, "/ws/desktop-stream").await;
    deaf.send(Message::text(json!({ "type": "start_stream", "config": { "fps": 30, "quality": 100 } }).to_string())).await.unwrap();
    let mut other = open(&server, "/ws/desktop-stream").await;
    other.send(Message::text(json!({ "type": "start_stream", "config": { "fps": 30 } }).to_string())).await.unwrap();
    let mut frames = 0;
    let seen = tokio::time::timeout(Duration::from_secs(20), async {
        while frames < 4 {
            let Some(Ok(message)) = other.next().await else { break };
            frames += usize::from(message.to_text().is_ok_and(|text| text.contains("\"frame\"")));
        }
    });
    assert!(seen.await.is_ok(), "the other one sees only {frames} frames");
    for bad in [
        json!({ "fps": 0 }),
        json!({ "fps": -1 }),
        json!({ "fps": 1e9 }),
        json!({ "quality": 0 }),
        json!({ "quality": 101 }),
        json!({ "scale_factor": 0 }),
        json!({ "scale_factor": -1 }),
        json!({ "scale_factor": 1e9 }),
    ] {
        let mut client = open(&server, "/ws/desktop-stream").await;
        client.send(Message::text(json!({ "type": "start_stream", "config": bad }).to_string())).await.unwrap();
        let answer: Value = serde_json::from_str(client.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
        assert_eq!(answer["error_code"], "VALIDATION_ERROR", "{bad}: {answer}");
    }
    server.survived_with("a client that never reads", 96 << 20).await;
}

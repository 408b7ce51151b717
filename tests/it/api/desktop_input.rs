//! Input and clipboard over `/ws/desktop-stream`, and what is said on it that cannot be.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use super::served::{self, Server};
use crate::desktop::display::{Window, eventually, managed};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

const PATIENCE: Duration = Duration::from_secs(20);

async fn connect(server: &Server) -> Client {
    connect_async(format!("ws://{}/ws/desktop-stream", server.address)).await.unwrap().0
}

async fn say(client: &mut Client, message: Value) {
    client.send(Message::text(message.to_string())).await.unwrap();
}

/// The next message of a type; others before it are passed over.
async fn hear_of(client: &mut Client, kind: &str) -> Value {
    let heard = async {
        loop {
            match client.next().await.unwrap().unwrap() {
                Message::Text(text) => {
                    let message: Value = serde_json::from_str(&text).unwrap();
                    if message["type"] == kind {
                        return message;
                    }
                }
                Message::Close(frame) => panic!("closed instead of {kind}: {frame:?}"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, heard).await.unwrap_or_else(|_| panic!("waited in vain for {kind}"))
}

async fn display(server: &Server) -> String {
    let name = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&name);
    name
}

fn seen(window: &Window, count: usize) -> Vec<String> {
    let mut story = Vec::new();
    eventually("the window to see it", || {
        story.extend(window.story());
        (story.len() >= count).then_some(())
    });
    story
}

/// What another program puts on the clipboard.
fn copy(display: &str, text: &str, more: &[&str]) {
    let mut child = Command::new("xclip")
        .args(["-selection", "clipboard", "-i"])
        .args(more)
        .env("DISPLAY", display)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("xclip is installed");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_named_by_place_or_by_what_they_type() {
    let server = served::start().await;
    let window = Window::open_on(&display(&server).await, (0, 0), (1280, 800), 0);
    window.focus();
    let mut client = connect(&server).await;
    for message in [
        json!({ "type": "key", "code": "ShiftLeft", "action": "down" }),
        json!({ "type": "key", "code": "KeyQ" }),
        json!({ "type": "key", "code": "ShiftLeft", "action": "up" }),
        json!({ "type": "key", "key": "q" }),
    ] {
        say(&mut client, message).await;
    }
    let expected = ["key 50 down", "key 24 down", "key 24 up", "key 50 up", "key 24 down", "key 24 up"];
    assert_eq!(seen(&window, expected.len()), expected);
    for (message, path) in [
        (json!({ "type": "key", "code": "KeyÄ" }), "/code"),
        (json!({ "type": "key" }), "/key"),
        (json!({ "type": "key", "key": "nokey" }), "/key"),
        (json!({ "type": "type", "text": "a\u{0}" }), "/text"),
    ] {
        say(&mut client, message.clone()).await;
        let refused = hear_of(&mut client, "error").await;
        assert_eq!(
            (&refused["error_code"], &refused["details"]["errors"][0]["path"]),
            (&json!("VALIDATION_ERROR"), &json!(path)),
            "{message}"
        );
    }
    // A client that vanishes holds nothing down by place either.
    say(&mut client, json!({ "type": "key", "code": "AltRight", "action": "down" })).await;
    say(&mut client, json!({ "type": "key", "code": "MetaLeft", "action": "down" })).await;
    assert!(seen(&window, 2).iter().all(|told| told.ends_with("down")));
    drop(client);
    assert!(seen(&window, 2).iter().all(|told| told.ends_with("up")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clipboard_goes_both_ways_to_who_asks_for_it() {
    let server = served::start().await;
    let name = display(&server).await;
    let (mut one, mut two) = (connect(&server).await, connect(&server).await);
    let pasted = || {
        let output = Command::new("xclip").args(["-selection", "clipboard", "-o"]).env("DISPLAY", &name).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    copy(&name, "before", &[]);
    eventually("it to be there", || (pasted() == "before").then_some(()));
    say(&mut one, json!({ "type": "clipboard_follow" })).await;
    assert_eq!(hear_of(&mut one, "clipboard").await["text"], "before");
    for text in ["äöü € 漢字 🦀\n", "second"] {
        copy(&name, text, &[]);
        assert_eq!(hear_of(&mut one, "clipboard").await["text"], text);
    }
    // From the client to the desktop; it is not told of its own.
    say(&mut one, json!({ "type": "clipboard_set", "text": "from the client" })).await;
    eventually("the text to arrive", || (pasted() == "from the client").then_some(()));
    say(&mut two, json!({ "type": "clipboard_set", "text": "from another" })).await;
    assert_eq!(hear_of(&mut one, "clipboard").await["text"], "from another");
    // What is no text, or a long one, is told without it.
    copy(&name, "\u{89}PNG", &["-t", "image/png"]);
    let told = hear_of(&mut one, "clipboard").await;
    assert!(told["text"].is_null() && told["reason"].as_str().unwrap().contains("not text"), "{told}");
    copy(&name, &"long ".repeat(300_000), &[]);
    let told = hear_of(&mut one, "clipboard").await;
    assert!(told["text"].is_null() && told["reason"].as_str().unwrap().contains("1500000 bytes"), "{told}");
    // Who did not ask hears nothing, nor does who asks no longer.
    say(&mut one, json!({ "type": "clipboard_follow", "follow": false })).await;
    say(&mut one, json!({ "type": "ping" })).await;
    hear_of(&mut one, "pong").await;
    copy(&name, "unheard", &[]);
    eventually("it to be there", || (pasted() == "unheard").then_some(()));
    for client in [&mut one, &mut two] {
        say(client, json!({ "type": "ping" })).await;
        loop {
            let Message::Text(text) = client.next().await.unwrap().unwrap() else { continue };
            let message: Value = serde_json::from_str(&text).unwrap();
            assert_ne!(message["type"], "clipboard");
            if message["type"] == "pong" {
                break;
            }
        }
    }
    // While a person is at the controls only they put anything on it.
    say(&mut two, json!({ "type": "take_control", "name": "Ann" })).await;
    hear_of(&mut two, "control").await;
    say(&mut one, json!({ "type": "clipboard_set", "text": "mine" })).await;
    assert_eq!(hear_of(&mut one, "error").await["details"]["holder"], "Ann");
    say(&mut two, json!({ "type": "clipboard_set", "text": "hers" })).await;
    eventually("hers to arrive", || (pasted() == "hers").then_some(()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_huge_message_ends_its_connection_and_no_other() {
    let server = served::start().await;
    let (mut client, mut other) = (connect(&server).await, connect(&server).await);
    for client in [&mut client, &mut other] {
        say(client, json!({ "type": "start_stream", "config": { "fps": 30 } })).await;
        hear_of(client, "frame").await;
    }
    // The server may close before all of it is sent.
    let _ = client.send(Message::text("x".repeat(10 << 20))).await;
    let closed = async {
        loop {
            match client.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    };
    assert_eq!(tokio::time::timeout(PATIENCE, closed).await.unwrap(), Some(1009));
    say(&mut other, json!({ "type": "ping" })).await;
    hear_of(&mut other, "pong").await;
    // As much as may be said at once is an answer like any other.
    say(&mut other, json!({ "type": "type", "text": "x".repeat(900_000) })).await;
    let refused = hear_of(&mut other, "error").await;
    assert_eq!(refused["details"]["errors"][0]["path"], "/text", "{refused}");
}

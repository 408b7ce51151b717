//! `/ws/desktop-stream`: what is seen of a real desktop, and what a window on it gets.

use std::time::Duration;

use base64::Engine as _;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::{Error, Message};
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

async fn hear(client: &mut Client) -> Value {
    loop {
        match tokio::time::timeout(PATIENCE, client.next()).await.expect("an answer").unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Close(frame) => return json!({ "type": "closed", "code": frame.map(|frame| u16::from(frame.code)) }),
            _ => {}
        }
    }
}

/// The next message of a type; pictures before it are passed over.
async fn hear_of(client: &mut Client, kind: &str) -> Value {
    loop {
        let message = hear(client).await;
        if message["type"] == kind {
            return message;
        }
        assert_eq!(message["type"], "frame", "instead of {kind}: {message}");
    }
}

/// A client whose stream is under way.
async fn watch(server: &Server, config: Value) -> Client {
    let mut client = connect(server).await;
    say(&mut client, json!({ "type": "start_stream", "config": config })).await;
    assert_eq!(hear(&mut client).await["type"], "stream_started");
    client
}

fn picture(frame: &Value) -> image::RgbImage {
    let bytes = base64::engine::general_purpose::STANDARD.decode(frame["image_data"].as_str().unwrap()).unwrap();
    let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
    assert_eq!((json!(picture.width()), json!(picture.height())), (frame["width"].clone(), frame["height"].clone()));
    picture
}

/// Pictures until one has about this colour at the point.
async fn until_seen(client: &mut Client, (x, y): (u32, u32), colour: [u8; 3]) -> Value {
    loop {
        let frame = hear_of(client, "frame").await;
        let seen = picture(&frame).get_pixel(x, y).0;
        if seen.iter().zip(colour).all(|(a, b)| a.abs_diff(b) < 24) {
            return frame;
        }
    }
}

async fn display(server: &Server) -> String {
    let name = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&name);
    name
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_picture_comes_at_once_then_with_each_change_and_at_least_every_two_seconds() {
    let server = served::start().await;
    for path in ["/ws/desktop-stream", "/ws/desktop-stream/", "/api/ws/desktop-stream"] {
        let mut client = connect_async(format!("ws://{}{path}", server.address)).await.unwrap().0;
        say(&mut client, json!({ "type": "start_stream", "config": { "fps": 5, "quality": 80, "scale_factor": 1.0 } })).await;
        let started = hear(&mut client).await;
        assert_eq!((&started["type"], &started["width"], &started["height"]), (&json!("stream_started"), &json!(1280), &json!(800)));
        assert_eq!(
            (&started["fps"], &started["quality"], &started["monitor"], &started["format"]),
            (&json!(5), &json!(80), &json!(0), &json!("jpeg"))
        );
        let frame = hear(&mut client).await;
        assert_eq!((&frame["type"], &frame["frame"]), (&json!("frame"), &json!(1)));
        assert!(frame["timestamp"].is_f64());
        assert_eq!(picture(&frame).width(), 1280);
    }
    let mut client = watch(&server, json!({ "fps": 30 })).await;
    let window = Window::open_on(&display(&server).await, (100, 100), (200, 200), 0x00_ff_00);
    until_seen(&mut client, (200, 200), [0, 255, 0]).await;
    window.paint(0xff_00_00);
    until_seen(&mut client, (200, 200), [255, 0, 0]).await;
    // Nothing changes any more, and still there are pictures.
    for _ in 0..2 {
        hear_of(&mut client, "frame").await;
    }
    let (_, status) = server.get("/api/desktop/streaming/status").await;
    assert_eq!(status["streaming_active"], true);
    say(&mut client, json!({ "type": "stop_stream" })).await;
    hear_of(&mut client, "stream_stopped").await;
    eventually_no_stream(&server).await;
    say(&mut client, json!({ "type": "ping" })).await;
    assert_eq!(hear(&mut client).await["type"], "pong");
}

async fn eventually_no_stream(server: &Server) {
    for _ in 0..500 {
        if server.get("/api/desktop/streaming/status").await.1["client_count"] == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("streams are still counted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unchanged_screen_is_not_captured_again_and_two_viewers_share_a_picture() {
    let server = served::start().await;
    let desktop = server.app.desktops.ready().await.unwrap();
    let (mut one, mut two) = (watch(&server, json!({ "fps": 60 })).await, watch(&server, json!({ "fps": 60 })).await);
    for client in [&mut one, &mut two] {
        // Until nothing but signs of life come.
        while tokio::time::timeout(Duration::from_secs(1), hear(client)).await.is_ok() {}
    }
    let before = desktop.watching_cost();
    hear_of(&mut one, "frame").await;
    hear_of(&mut two, "frame").await;
    assert_eq!(desktop.watching_cost(), before, "nothing has changed");
    let _window = Window::open_on(desktop.display().unwrap(), (0, 0), (64, 64), 0x00_00_ff);
    until_seen(&mut one, (32, 32), [0, 0, 255]).await;
    until_seen(&mut two, (32, 32), [0, 0, 255]).await;
    let after = desktop.watching_cost();
    assert!(after.0 - before.0 <= 3 && after.1 - before.1 <= 3, "{before:?} {after:?}");
    assert_eq!(server.get("/api/desktop/streaming/status").await.1["client_count"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn input_goes_where_the_picture_shows() {
    let server = served::start().await;
    let name = display(&server).await;
    for arguments in
        [["--setmonitor", "*Left", "500/130x800/210+0+0", "screen"], ["--setmonitor", "Right", "780/200x800/210+500+0", "none"]]
    {
        assert!(std::process::Command::new("xrandr").args(["-display", &name]).args(arguments).status().unwrap().success());
    }
    let window = Window::open_on(&name, (0, 0), (1280, 800), 0);
    window.focus();
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "start_stream", "config": { "scale_factor": 0.5, "monitor": 1 } })).await;
    let started = hear(&mut client).await;
    assert_eq!((&started["width"], &started["height"], &started["screen"]["x"]), (&json!(390), &json!(400), &json!(500)), "{started}");
    for message in [
        json!({ "type": "mouse_move", "x": 10, "y": 10 }),
        json!({ "type": "click", "x": 100, "y": 50, "button": "right", "clicks": 2 }),
        json!({ "type": "scroll", "x": 20, "y": 30, "dx": 0, "dy": -1 }),
        json!({ "type": "mouse_down", "x": 1, "y": 2, "button": "left" }),
        json!({ "type": "mouse_move", "x": 3, "y": 4 }),
        json!({ "type": "mouse_up", "button": "left" }),
    ] {
        say(&mut client, message).await;
    }
    let mut story = Vec::new();
    eventually("the window to see all of it", || {
        story.extend(window.story());
        (story.len() >= 8).then_some(())
    });
    let expected = [
        "press 3 at 700,100",
        "release 3 at 700,100",
        "press 3 at 700,100",
        "release 3 at 700,100",
        "press 4 at 540,60",
        "release 4 at 540,60",
        "press 1 at 502,4",
        "release 1 at 506,8",
    ];
    assert_eq!(story, expected);
    say(&mut client, json!({ "type": "key", "key": "enter" })).await;
    say(&mut client, json!({ "type": "key", "key": "a", "action": "down" })).await;
    say(&mut client, json!({ "type": "key", "key": "a", "action": "up" })).await;
    say(&mut client, json!({ "type": "type", "text": "xy" })).await;
    let mut story = Vec::new();
    eventually("the window to see the keys", || {
        story.extend(window.story());
        (story.iter().filter(|told| told.ends_with("up")).count() == 4).then_some(())
    });
    // What is outside the picture is on another monitor, and not meant.
    say(&mut client, json!({ "type": "click", "x": 390, "y": 1 })).await;
    assert_eq!(hear_of(&mut client, "error").await["error_code"], "VALIDATION_ERROR");
    say(&mut client, json!({ "type": "click", "x": -1, "y": 1 })).await;
    assert_eq!(hear_of(&mut client, "error").await["error_code"], "VALIDATION_ERROR");
    say(&mut client, json!({ "type": "key", "key": "nokey" })).await;
    assert_eq!(hear_of(&mut client, "error").await["error_code"], "VALIDATION_ERROR");
    assert_eq!(window.story(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_is_changed_while_it_runs() {
    let server = served::start().await;
    let mut client = watch(&server, json!({ "quality": 70 })).await;
    say(&mut client, json!({ "type": "configure", "config": { "scale_factor": 0.25, "fps": 60 } })).await;
    let started = hear_of(&mut client, "stream_started").await;
    assert_eq!(
        (&started["width"], &started["height"], &started["fps"], &started["quality"]),
        (&json!(320), &json!(200), &json!(60), &json!(70))
    );
    assert_eq!(picture(&hear_of(&mut client, "frame").await).width(), 320);
    // What this client has not said follows what is usual; what it has said does not.
    let mut other = watch(&server, json!({})).await;
    server.post("/api/desktop/streaming/configure", &json!({ "scale_factor": 0.5, "quality": 33 })).await;
    let started = hear_of(&mut other, "stream_started").await;
    assert_eq!((&started["width"], &started["quality"]), (&json!(640), &json!(33)));
    while picture(&hear_of(&mut other, "frame").await).width() != 640 {}
    say(&mut client, json!({ "type": "configure", "fps": 10 })).await;
    let started = hear_of(&mut client, "stream_started").await;
    assert_eq!((&started["width"], &started["quality"], &started["fps"]), (&json!(320), &json!(70), &json!(10)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_answered_and_the_connection_lives() {
    let server = served::start().await;
    let mut client = connect(&server).await;
    say(&mut client, json!({ "type": "configure", "fps": 5 })).await;
    assert_eq!(hear(&mut client).await["error_code"], "CONFLICT");
    let configs = [
        json!({ "fps": 0 }),
        json!({ "fps": -1 }),
        json!({ "fps": 1e9 }),
        json!({ "quality": 0 }),
        json!({ "quality": 101 }),
        json!({ "scale_factor": 0 }),
        json!({ "scale_factor": -1 }),
        json!({ "scale_factor": 1e9 }),
        json!({ "monitor": 7 }),
        json!({ "monitor": -1 }),
        json!({ "format": "gif" }),
        json!({ "size": 1 }),
    ];
    for kind in ["start_stream", "configure"] {
        for config in &configs {
            say(&mut client, json!({ "type": kind, "config": config })).await;
            let answer = hear_of(&mut client, "error").await;
            assert_eq!(answer["error_code"], "VALIDATION_ERROR", "{config}: {answer}");
            assert!(answer["error"].as_str().is_some_and(|sentence| config["format"].is_null() || sentence.contains("jpeg")), "{answer}");
        }
        if kind == "start_stream" {
            say(&mut client, json!({ "type": "start_stream" })).await;
            hear_of(&mut client, "stream_started").await;
        }
    }
    hear_of(&mut client, "frame").await;
    for _ in 0..9 {
        client.send(Message::text("nonsense")).await.unwrap();
        assert_eq!(hear_of(&mut client, "error").await["error_code"], "INVALID_JSON");
    }
    say(&mut client, json!({ "type": "ping" })).await;
    hear_of(&mut client, "pong").await;
    for _ in 0..10 {
        say(&mut client, json!({ "type": "fly" })).await;
        assert_eq!(hear_of(&mut client, "error").await["error_code"], "VALIDATION_ERROR");
    }
    assert_eq!(hear_of(&mut client, "closed").await["code"], 1008);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_vanished_client_held_down_is_let_go() {
    let server = served::start().await;
    let window = Window::open_on(&display(&server).await, (0, 0), (1280, 800), 0);
    window.focus();
    let mut client = watch(&server, json!({})).await;
    say(&mut client, json!({ "type": "mouse_down", "x": 5, "y": 5, "button": "left" })).await;
    say(&mut client, json!({ "type": "key", "key": "ctrl", "action": "down" })).await;
    let mut story = Vec::new();
    eventually("both to be down", || {
        story.extend(window.story());
        (story.len() == 2).then_some(())
    });
    // Without a word, as when the network is gone.
    drop(client);
    eventually("both to be let go", || {
        story.extend(window.story());
        (story.len() == 4).then_some(())
    });
    assert!(story.iter().any(|told| told == "release 1 at 5,5") && story[2..].iter().any(|told| told.ends_with("up")), "{story:?}");
    eventually_no_stream(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_display_that_ends_is_told_and_comes_back() {
    let server = served::start().await;
    let name = display(&server).await;
    let mut client = watch(&server, json!({ "fps": 30 })).await;
    hear_of(&mut client, "frame").await;
    let pid = crate::desktop::targets::server(&name);
    std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    let told = hear_of(&mut client, "error").await;
    assert_eq!(told["error_code"], "SERVICE_UNAVAILABLE", "{told}");
    hear_of(&mut client, "stream_stopped").await;
    let started = async {
        loop {
            let mut again = match connect_async(format!("ws://{}/ws/desktop-stream", server.address)).await {
                Ok((again, _)) => again,
                Err(_) => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            say(&mut again, json!({ "type": "start_stream" })).await;
            if hear(&mut again).await["type"] == "stream_started" && hear(&mut again).await["type"] == "frame" {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, started).await.expect("it comes back");
    let report = || server.app.services.report(trae::services::Name::LiveDesktop).unwrap();
    // Whoever asks for a picture may have it before the part has noted that it was started again.
    eventually("the part to say so", || {
        let report = report();
        (report.status == trae::services::Status::Running && report.restarts >= 1).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_service_ends_streams_with_a_word_and_brings_the_desktop_back() {
    let server = served::start().await;
    let before = crate::desktop::targets::server(&display(&server).await);
    let mut client = watch(&server, json!({ "fps": 30 })).await;
    hear_of(&mut client, "frame").await;
    let report = server.app.services.restart(trae::services::Name::LiveDesktop).await.unwrap();
    assert_eq!(report.status, trae::services::Status::Running, "{report:?}");
    let told = hear_of(&mut client, "error").await;
    assert_eq!(told["error_code"], "SERVICE_UNAVAILABLE", "{told}");
    hear_of(&mut client, "stream_stopped").await;
    let desktop = server.app.desktops.current().expect("it is open again");
    assert_ne!(crate::desktop::targets::server(desktop.display().unwrap()), before);
    say(&mut client, json!({ "type": "start_stream" })).await;
    hear_of(&mut client, "stream_started").await;
    hear_of(&mut client, "frame").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_are_switched_off_are_refused_and_screenshots_are_not() {
    let server = served::start_with(|config| config.services.desktop_streaming = false).await;
    for path in ["/ws/desktop-stream", "/api/ws/desktop-stream"] {
        let Err(Error::Http(answer)) = connect_async(format!("ws://{}{path}", server.address)).await else { panic!("{path} is open") };
        assert_eq!(answer.status(), 503);
        let body: Value = serde_json::from_slice(answer.body().as_deref().unwrap_or_default()).unwrap();
        assert_eq!((&body["error_code"], &body["details"]["service"]), (&json!("SERVICE_UNAVAILABLE"), &json!("live_desktop")));
    }
    assert_eq!(server.post("/api/desktop/screenshot", &json!({})).await.0, 200);
    assert_eq!(server.get("/api/desktop/streaming/status").await.1["enabled"], false);
}

/// A socket with small buffers, that reads nothing but the answer to its handshake.
pub async fn reads_nothing(server: &Server, config: Value) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let head = format!(
        "GET /ws/desktop-stream HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
        server.address
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    let mut client = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
    let start = json!({ "type": "start_stream", "config": config });
    client.send(Message::text(start.to_string())).await.unwrap();
    client.into_inner()
}

/// MiB that this process holds.
pub fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_cut_off_and_nobody_else_notices() {
    let server = served::start_with(|config| config.websockets.max_connections = 2).await;
    let window = Window::open_on(&display(&server).await, (0, 0), (1280, 800), 0);
    let mut other = watch(&server, json!({ "fps": 30, "scale_factor": 0.25 })).await;
    let silent = reads_nothing(&server, json!({ "fps": 30, "quality": 100 })).await;
    eventually_streams(&server, 2).await;
    let before = memory();
    let (mut frames, mut seed) = (0, 1);
    let gone = async {
        loop {
            window.paint_noise((1280, 800), seed);
            seed += 1;
            assert_eq!(hear_of(&mut other, "frame").await["type"], "frame");
            frames += 1;
            if server.get("/api/desktop/streaming/status").await.1["client_count"] == 1 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone).await.expect("it is cut off");
    assert!(frames > 10, "the other one had {frames} pictures");
    let grown = memory().saturating_sub(before);
    assert!(grown < 64, "memory grew by {grown} MiB");
    // Its place is free for somebody else.
    let next = async {
        while connect_async(format!("ws://{}/ws/desktop-stream", server.address)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), next).await.expect("its place is free");
    drop(silent);
}

/// Pictures a second that come until `done` does.
async fn pace_until(client: &mut Client, done: impl Future<Output = ()>) -> f64 {
    let (mut frames, start) = (0_u32, std::time::Instant::now());
    tokio::pin!(done);
    loop {
        tokio::select! {
            () = &mut done => return f64::from(frames) / start.elapsed().as_secs_f64(),
            message = hear(client) => {
                assert_eq!(message["type"], "frame");
                frames += 1;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_a_client_that_never_reads_another_keeps_its_pace() {
    let server = served::start_with(|config| config.desktop.virtual_size = (640, 400)).await;
    let name = display(&server).await;
    // Pictures that fill the silent one's buffers, and something in them that never rests.
    let background = Window::open_on(&name, (0, 0), (640, 400), 0);
    background.paint_noise((640, 400), 7);
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let painter = std::thread::spawn({
        let stop = std::sync::Arc::clone(&stop);
        move || {
            let window = Window::open_on(&name, (300, 200), (32, 32), 0);
            for colour in (0..).step_by(0x01_23_45) {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                window.paint(colour % 0x100_0000);
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
    let mut other = watch(&server, json!({ "fps": 30, "scale_factor": 0.25 })).await;
    hear_of(&mut other, "frame").await;
    let alone = pace_until(&mut other, tokio::time::sleep(Duration::from_secs(5))).await;
    let silent = reads_nothing(&server, json!({ "fps": 30, "quality": 100 })).await;
    eventually_streams(&server, 2).await;
    let cut_off = async {
        while server.get("/api/desktop/streaming/status").await.1["client_count"] != 1 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let beside =
        pace_until(&mut other, async { tokio::time::timeout(Duration::from_secs(60), cut_off).await.expect("it is cut off") }).await;
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    painter.join().unwrap();
    println!("{alone:.1} pictures a second alone, {beside:.1} beside it");
    assert!(beside >= 0.8 * alone, "{alone:.1} pictures a second alone, {beside:.1} beside one that never reads");
    drop(silent);
}

pub async fn eventually_streams(server: &Server, count: u64) {
    for _ in 0..500 {
        if server.get("/api/desktop/streaming/status").await.1["client_count"] == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("there are not {count} streams");
}

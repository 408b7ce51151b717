//! `/ws/desktop-stream` in the format `binary`: what a client makes of it is, pixel for pixel, what is on a real desktop.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use trae::desktop::Desktop;
use trae::screen::Capture;

use super::desktop_stream::{eventually_streams, memory, reads_nothing};
use super::painted::{FEW, JPEG, MOVED, Painted, Told};
use super::served::{self, Server};
use crate::desktop::display::{Window, managed};

const PATIENCE: Duration = Duration::from_secs(40);

/// What comes from the server.
enum Came {
    Said(Value),
    Told(Told),
}

/// A client that shows what it is sent.
struct Client {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    painted: Painted,
    acknowledges: bool,
    monitor: usize,
    scale: f64,
    /// What it was told, but for signs of life.
    told: Vec<Told>,
    /// What was said, but for pictures.
    said: Vec<Value>,
    /// All messages as they came.
    raw: Vec<Vec<u8>>,
}

impl Client {
    async fn connect(server: &Server, config: Value) -> Self {
        let socket = connect_async(format!("ws://{}/ws/desktop-stream", server.address)).await.unwrap().0;
        let (painted, told, said, raw) = (Painted::default(), Vec::new(), Vec::new(), Vec::new());
        let mut this = Self { socket, painted, acknowledges: true, monitor: 0, scale: 1.0, told, said, raw };
        let mut config = config;
        config["format"] = json!("binary");
        this.say(json!({ "type": "start_stream", "config": config })).await;
        let started = this.hear_of("stream_started").await;
        assert_eq!(started["format"], "binary");
        this.scale = started["scale_factor"].as_f64().unwrap();
        this
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn acknowledge(&mut self, sequence: u32) {
        self.say(json!({ "type": "ack", "sequence": sequence })).await;
    }

    async fn next(&mut self) -> Came {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a message").unwrap().unwrap() {
                Message::Text(text) => return Came::Said(serde_json::from_str(&text).unwrap()),
                Message::Binary(bytes) => {
                    self.raw.push(bytes.to_vec());
                    let told = self.painted.apply(&bytes);
                    if self.acknowledges {
                        self.acknowledge(told.sequence).await;
                    }
                    return Came::Told(told);
                }
                Message::Close(frame) => panic!("closed: {frame:?}"),
                _ => {}
            }
        }
    }

    /// The next update or sign of life.
    async fn update(&mut self) -> Told {
        loop {
            match self.next().await {
                Came::Told(told) => return told,
                Came::Said(said) => self.said.push(said),
            }
        }
    }

    async fn hear_of(&mut self, kind: &str) -> Value {
        loop {
            match self.next().await {
                Came::Said(said) if said["type"] == kind => return said,
                Came::Said(said) => self.said.push(said),
                Came::Told(told) => self.told.push(told),
            }
        }
    }

    fn shows(&self, desktop: &Desktop) -> bool {
        let frame = desktop.screen().capture(&Capture { monitor: Some(self.monitor), region: None }).unwrap();
        self.painted.is(&frame.scaled(self.scale).unwrap().to_rgb())
    }

    /// Reads until the screen has come to rest, and what is shown is the screen.
    async fn settle(&mut self, desktop: &Desktop) {
        let end = Instant::now() + PATIENCE;
        let mut wrong = false;
        loop {
            let told = self.update().await;
            assert!(Instant::now() < end, "the screen never comes to rest: {told:?}");
            if told.is_empty() && told.exact {
                // Nothing has happened for two seconds.
                if self.shows(desktop) {
                    return;
                }
                // It may have happened since; then it is told before the next sign of life.
                assert!(!wrong, "{told:?}: what is shown is not what is there");
                wrong = true;
            }
            if !told.is_empty() {
                wrong = false;
                self.told.push(told);
            }
        }
    }

    /// Reads for a while.
    async fn read_for(&mut self, span: Duration) {
        let end = Instant::now() + span;
        while let Ok(told) = timeout_at(end, self.update()).await {
            self.told.push(told);
        }
    }

    fn kinds(&self, kind: u8) -> usize {
        self.told.iter().filter_map(|told| told.kinds.get(&kind)).sum()
    }
}

/// A program on a desktop, which ends with the test.
struct Program(Child);

impl Program {
    fn start(display: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(arguments[0]);
        command.args(&arguments[1..]).env("DISPLAY", display).env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }

    /// A terminal over all of the screen in which a command runs.
    fn terminal(display: &str, geometry: &str, command: &str) -> Self {
        let this = Self::start(display, &["xterm", "-geometry", geometry, "-fn", "fixed", "+sb", "-e", "sh", "-c", command]);
        let mut shown = Command::new("timeout");
        shown.args(["30", "xdotool", "search", "--sync", "--onlyvisible", "--class", "xterm"]).env("DISPLAY", display);
        assert!(shown.stdout(Stdio::null()).status().unwrap().success(), "a terminal shows within 30 s");
        this
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn desktop(server: &Server) -> (Arc<Desktop>, String) {
    let desktop = server.app.desktops.ready().await.unwrap();
    let name = desktop.display().unwrap().to_owned();
    managed(&name);
    (desktop, name)
}

/// Lines of text, one after the other.
const LINES: &str = "stty -onlcr; i=0; while [ $i -lt 300 ]; do i=$((i+1)); printf '%d the quick brown fox %d jumps over the lazy dog %d\\r\\n' $i $((i*7919)) $((i*104729)); sleep 0.01; done; tput civis; exec sleep 600";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_that_scrolls_is_moved_and_is_exact() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    let mut client = Client::connect(&server, json!({ "fps": 30 })).await;
    let first = client.update().await;
    assert!(first.whole && first.sequence == 1 && first.timestamp > 1.7e9, "{first:?}");
    client.settle(&desktop).await;
    client.told.clear();
    let _terminal = Program::terminal(&name, "200x55+10+10", LINES);
    client.read_for(Duration::from_secs(5)).await;
    client.settle(&desktop).await;
    assert!(client.kinds(MOVED) > 5, "{} scrolls in {} updates", client.kinds(MOVED), client.told.len());
    assert_eq!(client.kinds(JPEG), 0, "text is no photograph");
    assert!(client.kinds(FEW) > 5);
    let scrolls: Vec<&Told> = client.told.iter().filter(|told| told.kinds.contains_key(&MOVED)).collect();
    let mean = scrolls.iter().map(|told| told.bytes).sum::<usize>() / scrolls.len();
    assert!(mean < 40_000, "a scroll is {mean} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_are_rough_while_they_move_and_sharp_at_rest() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    let mut client = Client::connect(&server, json!({ "fps": 30, "quality": 40 })).await;
    client.settle(&desktop).await;
    let film = Window::open_on(&name, (100, 70), (500, 400), 0);
    for turn in 0..12 {
        film.paint_noise((500, 400), turn + 1);
        // A small window that moves across it.
        let place = 20 + i16::try_from(turn).unwrap() * 37;
        let _card = Window::open_on(&name, (place, place), (150, 90), 0x01_11_21 * turn);
        let told = client.update().await;
        client.told.push(told);
    }
    let rough = client.kinds(JPEG);
    assert!(rough > 0, "{:?}", client.told);
    assert!(!client.told.iter().filter(|told| told.kinds.contains_key(&JPEG)).any(|told| told.exact));
    client.settle(&desktop).await;
    assert!(client.told.iter().any(|told| told.exact), "it became sharp");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_viewers_of_different_quality_share_what_is_alike() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    let mut fine = Client::connect(&server, json!({ "fps": 20, "quality": 95 })).await;
    let mut coarse = Client::connect(&server, json!({ "fps": 20, "quality": 20 })).await;
    let mut small = Client::connect(&server, json!({ "fps": 7, "scale_factor": 0.4 })).await;
    let _terminal = Program::terminal(&name, "90x50+0+0", LINES);
    let film = Window::open_on(&name, (600, 300), (300, 300), 0);
    for seed in 1..9 {
        film.paint_noise((300, 300), seed);
        let span = Duration::from_millis(300);
        tokio::join!(fine.read_for(span), coarse.read_for(span), small.read_for(span));
    }
    tokio::join!(fine.settle(&desktop), coarse.settle(&desktop), small.settle(&desktop));
    // Bytes for a thousand pixels, where hardly anything but the film was sent.
    let jpegs = |client: &Client| {
        let large = client.told.iter().filter_map(|told| Some((told.bytes, *told.areas.get(&JPEG).filter(|area| **area > 60_000)?)));
        large.map(|(bytes, area)| 1000 * bytes / area).min().expect("the film was sent")
    };
    assert!(jpegs(&fine) > jpegs(&coarse), "{} {}", jpegs(&fine), jpegs(&coarse));
    let (captured, encoded) = desktop.watching_cost();
    // A change that both see alike is looked at and written down once.
    drop(small);
    let _patch = Window::open_on(&name, (0, 640), (64, 64), 0x10_20_30);
    tokio::join!(fine.settle(&desktop), coarse.settle(&desktop));
    let (captured, encoded) = (desktop.watching_cost().0 - captured, desktop.watching_cost().1 - encoded);
    assert!(captured <= 3 && encoded <= 3, "{captured} pictures, {encoded} parts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_changed_while_it_runs() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    for arguments in
        [["--setmonitor", "*Left", "500/130x800/210+0+0", "screen"], ["--setmonitor", "Right", "780/200x800/210+500+0", "none"]]
    {
        assert!(Command::new("xrandr").args(["-display", &name]).args(arguments).status().unwrap().success());
    }
    let _terminal = Program::terminal(&name, "80x30+450+100", LINES);
    let film = Window::open_on(&name, (520, 500), (200, 200), 0);
    film.paint_noise((200, 200), 3);
    let mut client = Client::connect(&server, json!({ "fps": 20 })).await;
    for (change, size) in [
        (json!({ "scale_factor": 0.5 }), (250, 400)),
        (json!({ "monitor": 1 }), (390, 400)),
        (json!({ "quality": 10, "fps": 60 }), (390, 400)),
        (json!({ "scale_factor": 0.73, "monitor": 0 }), (365, 584)),
        (json!({ "scale_factor": 1.0, "monitor": 1 }), (780, 800)),
        (json!({ "format": "jpeg" }), (0, 0)),
        (json!({ "format": "binary", "quality": 80 }), (780, 800)),
    ] {
        client.say(json!({ "type": "configure", "config": change })).await;
        let started = client.hear_of("stream_started").await;
        if change["format"] == "jpeg" {
            assert_eq!(started["format"], "jpeg");
            assert_eq!(client.hear_of("frame").await["width"], 780);
            continue;
        }
        client.scale = started["scale_factor"].as_f64().unwrap();
        client.monitor = usize::try_from(started["monitor"].as_u64().unwrap()).unwrap();
        client.read_for(Duration::from_millis(700)).await;
        client.settle(&desktop).await;
        assert_eq!((client.painted.width, client.painted.height), size, "{change}");
    }
    client.say(json!({ "type": "keyframe" })).await;
    while !client.update().await.whole {}
    client.settle(&desktop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_set_the_pace_and_may_be_lost() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    let mut client = Client::connect(&server, json!({ "fps": 60 })).await;
    client.settle(&desktop).await;
    let window = Window::open_on(&name, (0, 0), (300, 300), 0);
    client.settle(&desktop).await;
    client.acknowledges = false;
    let mut last = 0;
    let mut heard = 0;
    for colour in 1.. {
        window.paint(colour);
        match timeout(Duration::from_millis(500), client.update()).await {
            Ok(told) => (heard, last) = (heard + 1, told.sequence),
            Err(_) => break,
        }
    }
    assert_eq!(heard, 3, "so many are under way at a time");
    // What was painted meanwhile comes as one.
    let before = desktop.watching_cost().0;
    for colour in 0..20 {
        window.paint(0x00_05_09 * colour);
    }
    window.paint(0xab_cd_ef);
    assert_eq!(desktop.watching_cost().0, before, "nobody could do with another picture");
    // Only the last acknowledgement arrives. On a machine that is busy it may have gone on by itself before.
    client.acknowledge(last).await;
    let told = client.update().await;
    assert_eq!(told.sequence, last + 1);
    while client.painted.pixels[150 * 1280 + 150] != [0xab, 0xcd, 0xef] {
        client.update().await;
    }
    // None arrives at all: it goes on by itself, slowly.
    for colour in 1..=5 {
        window.paint(0xff_00_00 + colour);
        let told = client.update().await;
        assert!(!told.is_empty() || !told.exact || client.shows(&desktop), "{told:?}");
        last = last.max(told.sequence);
    }
    client.acknowledges = true;
    client.settle(&desktop).await;
    assert!(last > 5);
    // Neither what was never sent nor what makes no sense is taken for an acknowledgement.
    client.acknowledge(4_000_000_000).await;
    client.say(json!({ "type": "ack", "sequence": -1 })).await;
    assert_eq!(client.hear_of("error").await["error_code"], "VALIDATION_ERROR");
    window.paint(0);
    client.settle(&desktop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pointer_is_told_apart_from_the_picture() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    let _window = Window::open_on(&name, (0, 0), (1280, 800), 0x30_30_30);
    let mut client = Client::connect(&server, json!({ "fps": 30, "scale_factor": 0.5 })).await;
    client.settle(&desktop).await;
    let first = client.said.iter().find(|said| said["type"] == "cursor").expect("the pointer is told").clone();
    assert!(first["shape"]["image_data"].is_string(), "{first}");
    let bytes = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, first["shape"]["image_data"].as_str().unwrap()).unwrap();
    let shape = image::load_from_memory(&bytes).unwrap();
    assert_eq!((json!(shape.width()), json!(shape.height())), (first["shape"]["width"].clone(), first["shape"]["height"].clone()));
    client.told.clear();
    for (x, y) in [(10, 20), (600, 390), (0, 0)] {
        client.say(json!({ "type": "mouse_move", "x": x, "y": y })).await;
        loop {
            let told = client.hear_of("cursor").await;
            if told["x"] == x && told["y"] == y {
                assert_eq!((&told["visible"], told.get("shape")), (&json!(true), None));
                break;
            }
        }
    }
    assert!(client.told.iter().all(Told::is_empty), "a pointer that moves is no other picture: {:?}", client.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_screen_sends_signs_of_life_only() {
    let server = served::start().await;
    let (desktop, _) = desktop(&server).await;
    let mut client = Client::connect(&server, json!({ "fps": 60 })).await;
    client.settle(&desktop).await;
    let (before, last) = (desktop.watching_cost(), client.told.last().map_or(0, |told| told.sequence));
    for _ in 0..3 {
        let told = client.update().await;
        assert!(told.is_empty() && told.exact && told.bytes == 24, "{told:?}");
        assert_eq!(told.sequence, last, "it repeats the last number");
    }
    assert_eq!(desktop.watching_cost(), before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_display_that_ends_is_told_and_a_new_stream_shows_the_next() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    let mut client = Client::connect(&server, json!({ "fps": 30 })).await;
    client.settle(&desktop).await;
    let pid = crate::desktop::targets::server(&name);
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    assert_eq!(client.hear_of("error").await["error_code"], "SERVICE_UNAVAILABLE");
    client.hear_of("stream_stopped").await;
    // Late acknowledgements are no mistake, and a picture cannot be asked for.
    client.acknowledge(1).await;
    client.say(json!({ "type": "keyframe" })).await;
    assert_eq!(client.hear_of("error").await["error_code"], "CONFLICT");
    let end = Instant::now() + PATIENCE;
    let told = 'shown: loop {
        client.say(json!({ "type": "start_stream", "config": { "format": "binary" } })).await;
        // One that begins before the server has seen that the display is gone ends at once.
        let stopped = loop {
            match client.next().await {
                Came::Told(told) => break 'shown told,
                Came::Said(said) if said["type"] == "error" => break said,
                Came::Said(_) => {}
            }
        };
        assert!(Instant::now() < end, "it does not come back: {stopped}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(told.whole);
    let desktop = server.app.desktops.ready().await.unwrap();
    client.settle(&desktop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_read_cost_little() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    let film = Window::open_on(&name, (0, 0), (1280, 800), 0);
    let mut client = Client::connect(&server, json!({ "fps": 30, "quality": 100 })).await;
    let paint = async |client: &mut Client, seeds: std::ops::Range<u32>| {
        for seed in seeds {
            film.paint_noise((1280, 800), seed);
            client.read_for(Duration::from_millis(200)).await;
            client.raw.clear();
        }
    };
    paint(&mut client, 1..10).await;
    let before = memory();
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(reads_nothing(&server, json!({ "fps": 30, "quality": 100, "format": "binary" })).await);
    }
    eventually_streams(&server, 9).await;
    paint(&mut client, 10..30).await;
    let grown = memory().saturating_sub(before);
    assert!(grown < 8 * 8, "8 clients cost {grown} MiB");
    drop(silent);
    client.settle(&desktop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_decoder_in_javascript_makes_the_same_picture() {
    let server = served::start().await;
    let (desktop, name) = desktop(&server).await;
    let mut client = Client::connect(&server, json!({ "fps": 30 })).await;
    let _terminal = Program::terminal(&name, "120x40+10+10", LINES);
    // Many colours, none of which is like a photograph.
    let stripes = Window::open_on(&name, (900, 100), (200, 500), 0);
    stripes.paint_noise((1, 1), 1);
    client.read_for(Duration::from_secs(5)).await;
    client.settle(&desktop).await;
    assert_eq!(client.kinds(JPEG), 0);
    assert!(client.kinds(MOVED) > 0);
    let folder = tempfile::tempdir().unwrap();
    let messages = folder.path().join("messages");
    let joined: Vec<u8> =
        client.raw.iter().flat_map(|message| [&u32::try_from(message.len()).unwrap().to_le_bytes()[..], message].concat()).collect();
    std::fs::write(&messages, joined).unwrap();
    let root = env!("CARGO_MANIFEST_DIR");
    let script = format!("{root}/tests/it/api/painted/decode.cjs");
    let decoder = format!("{root}/examples/clients/desktop_stream.js");
    let done = Command::new("node").arg(script).arg(decoder).arg(&messages).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let expected: Vec<u8> = client.painted.pixels.iter().flat_map(|[r, g, b]| [*r, *g, *b, 255]).collect();
    assert_eq!(done.stdout.len(), expected.len());
    assert!(done.stdout == expected, "the pictures differ");
}

//! `/api/recordings` of the kind `video`: a browser plays the film, and sees in it what was on the screen.

use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::served::{self, Server, node};
use super::snapshots_crash::Process;
use crate::desktop::display::{Display, Window, managed};
use crate::support::browser::{self, Browser};

/// How long each colour stays on the screen.
const SHOWN: Duration = Duration::from_secs(2);
const COLOURS: [(u32, [u8; 3]); 3] = [(0xd0_20_20, [208, 32, 32]), (0x20_a0_40, [32, 160, 64]), (0x20_40_e0, [32, 64, 224])];

async fn start(server: &Server, request: Value) -> String {
    let (status, begun) = server.post("/api/recordings", &request).await;
    assert_eq!((status, &begun["status"], &begun["kind"]), (201, &json!("recording"), &json!("video")), "{begun}");
    begun["recording_id"].as_str().unwrap().to_owned()
}

async fn film_of(url: &str) -> Vec<u8> {
    let answer = reqwest::get(url).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, "video/mp4"));
    answer.bytes().await.unwrap().to_vec()
}

/// Paints one colour after the other; gives when each was there, in seconds since `begun`.
async fn paint(window: &Window, begun: Instant) -> Vec<(f64, f64, [u8; 3])> {
    let mut shown = Vec::new();
    for (colour, seen) in COLOURS {
        window.paint(colour);
        let from = begun.elapsed().as_secs_f64();
        tokio::time::sleep(SHOWN).await;
        shown.push((from, begun.elapsed().as_secs_f64(), seen));
    }
    shown
}

/// Plays the film, and looks at the middle of its picture in the middle of each span.
async fn plays(film: &[u8], size: (u32, u32), shown: &[(f64, f64, [u8; 3])]) -> f64 {
    let mut browser = Browser::start().await;
    let text = base64::engine::general_purpose::STANDARD.encode(film);
    browser.ask("window.video = document.createElement('video'); video.muted = true; video.preload = 'auto'; 0").await;
    let load = format!(
        "new Promise((done, failed) => {{ video.onloadeddata = () => done([video.videoWidth, video.videoHeight, video.duration]); \
         video.onerror = () => failed(new Error(video.error.message)); video.src = 'data:video/mp4;base64,{text}'; }})"
    );
    let loaded = browser.ask(&load).await;
    assert_eq!((loaded[0].as_u64(), loaded[1].as_u64()), (Some(size.0.into()), Some(size.1.into())), "{loaded}");
    for (from, until, colour) in shown {
        let at = f64::midpoint(*from, *until);
        let look = format!(
            "new Promise(done => {{ video.onseeked = () => {{ \
             const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight); const context = canvas.getContext('2d'); \
             context.drawImage(video, 0, 0); \
             done([...context.getImageData(video.videoWidth >> 1, video.videoHeight >> 1, 1, 1).data]); }}; video.currentTime = {at}; }})"
        );
        let seen: Vec<u8> = serde_json::from_value(browser.ask(&look).await).unwrap();
        assert!(seen.iter().zip(colour).all(|(a, b)| a.abs_diff(*b) < 16), "at {at} s: {seen:?} instead of {colour:?}");
    }
    assert_eq!(browser.complaints, Vec::<String>::new());
    loaded[2].as_f64().unwrap_or(f64::INFINITY)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_shows_what_was_on_the_screen_and_when() {
    let server = served::start().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&display);
    let window = Window::open_on(&display, (0, 0), (1280, 800), 0);
    let id = start(&server, json!({ "kind": "video", "fps": 10, "name": "Colours" })).await;
    let shown = paint(&window, Instant::now()).await;
    let (status, film) = server.post(&format!("/api/recordings/{id}/stop"), &json!({})).await;
    assert_eq!((status, &film["status"], &film["reason"]), (200, &json!("finished"), &Value::Null), "{film}");
    assert_eq!((&film["video"]["width"], &film["video"]["height"]), (&json!(1280), &json!(800)));
    // Four pictures, and a few where nothing happened.
    assert!(film["video"]["frames"].as_u64().unwrap() < 20, "{film}");
    let url = server.url(&format!("/api/recordings/{id}/video"));
    let bytes = film_of(&url).await;
    assert_eq!(json!(bytes.len()), film["size_bytes"]);
    assert!(bytes.len() < 200_000, "{} bytes for three colours", bytes.len());

    let part = reqwest::Client::new().get(&url).header("Range", "bytes=4-7").send().await.unwrap();
    let range = part.headers()["content-range"].to_str().unwrap().to_owned();
    assert_eq!((part.status().as_u16(), range), (206, format!("bytes 4-7/{}", bytes.len())));
    assert_eq!(&part.bytes().await.unwrap()[..], b"ftyp");
    let beyond = reqwest::Client::new().get(&url).header("Range", "bytes=99999999-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);

    if browser::is_there() {
        let duration = plays(&bytes, (1280, 800), &shown).await;
        assert!((duration - film["video"]["duration"].as_f64().unwrap()).abs() < 0.1, "{duration} s: {film}");
    }

    let path = server.data.path().join("recordings").join(format!("{id}.mp4"));
    assert!(path.is_file());
    let deleted = reqwest::Client::new().delete(server.url(&format!("/api/recordings/{id}"))).send().await.unwrap();
    assert_eq!((deleted.status().as_u16(), path.exists()), (200, false));
    assert_eq!(server.get(&format!("/api/recordings/{id}/video")).await.0, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_film_survives_the_servers_death() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let display = Display::start((640, 480));
    let window = Window::open(&display, (0, 0), (640, 480), 0);
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), &display).await;
    let post = async |url: String, body: Value| -> Value {
        reqwest::Client::new().post(url).json(&body).send().await.unwrap().json().await.unwrap()
    };
    let begun = post(format!("{}/api/recordings", server.url), json!({ "kind": "video" })).await;
    let id = begun["recording_id"].as_str().unwrap().to_owned();
    let shown = paint(&window, Instant::now()).await;
    let path = folder.path().join("recordings").join(format!("{id}.mp4"));
    let size = || std::fs::metadata(&path).map_or(0, |data| data.len());
    // What is on the screen at rest is written as well, in a fragment of its own.
    for _ in 0..2 {
        let before = size();
        while size() == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    server.child.kill().await.unwrap();
    // It can die at any byte of the last one.
    let left = std::fs::read(&path).unwrap();
    let last = left.windows(4).rposition(|name| name == b"moof").unwrap() - 4;
    std::fs::write(&path, &left[..left.len() - 100]).unwrap();

    let server = Process::start(folder.path(), &display).await;
    let film: Value = reqwest::get(format!("{}/api/recordings/{id}", server.url)).await.unwrap().json().await.unwrap();
    assert_eq!((&film["status"], &film["size_bytes"]), (&json!("interrupted"), &json!(last)), "{film}");
    assert!(film["reason"].is_string() && film["finished_at"].is_string());
    let bytes = film_of(&format!("{}/api/recordings/{id}/video", server.url)).await;
    assert_eq!((bytes.len(), size()), (last, last as u64));
    if browser::is_there() {
        plays(&bytes, (640, 480), &shown).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_filmed_where_that_is_asked_for() {
    let server = served::start().await;
    let graph = json!({
        "id": "filmed", "nodes": [node("start", "manual_trigger", json!({})), node("wait", "delay", json!({ "seconds": 1 }))],
        "edges": [{ "id": "e", "source": "start", "target": "wait" }]
    });
    assert_eq!(server.post("/api/workflows/", &graph).await.0, 201);
    let (status, run) = server.post("/api/workflows/filmed/execute", &json!({ "record": true, "wait": true })).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")), "{run}");
    let id = run["recordings"][0].as_str().unwrap().to_owned();
    let film = loop {
        let (_, film) = server.get(&format!("/api/recordings/{id}")).await;
        if film["status"] != "recording" {
            break film;
        }
    };
    assert_eq!((&film["status"], &film["run_id"]), (&json!("finished"), &run["run_id"]), "{film}");
    assert!(film["video"]["duration"].as_f64().unwrap() >= 1.0, "{film}");
    let (_, plain) = server.post("/api/workflows/filmed/execute", &json!({ "wait": true })).await;
    assert_eq!(plain["recordings"], Value::Null);
    let (status, refused) = server.post("/api/workflows/filmed/execute", &json!({ "record": true, "dry_run": true })).await;
    assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!("/record")));
    // What does not start leaves no film.
    assert_eq!(server.post("/api/workflows/nope/execute", &json!({ "record": true })).await.0, 404);
    assert_eq!(server.get("/api/recordings?kind=video").await.1["count"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn films_have_limits() {
    let server = served::start_with(|config| config.recordings.max_total = Some(1)).await;
    for (body, path) in [
        (json!({ "kind": "video", "fps": 0 }), "/fps"),
        (json!({ "kind": "video", "fps": 31 }), "/fps"),
        (json!({ "kind": "video", "quality": 101 }), "/quality"),
        (json!({ "kind": "video", "max_seconds": 0 }), "/max_seconds"),
        (json!({ "kind": "video", "monitor": 9 }), "/monitor"),
        (json!({ "kind": "video", "longest_pause": 1 }), "/longest_pause"),
        (json!({ "kind": "input", "fps": 10 }), "/fps"),
    ] {
        let (status, refused) = server.post("/api/recordings", &body).await;
        assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!(path)), "{body}: {refused}");
    }
    let id = start(&server, json!({ "kind": "video", "max_seconds": 1 })).await;
    let path = format!("/api/recordings/{id}");
    let film = loop {
        let (_, film) = server.get(&path).await;
        if film["status"] != "recording" {
            break film;
        }
    };
    assert_eq!(film["status"], "finished");
    assert!(film["reason"].as_str().unwrap().contains("full length"), "{film}");
    assert_eq!(server.get(&format!("{path}/workflow")).await.0, 409);

    let mut films = Vec::new();
    for _ in 0..4 {
        films.push(start(&server, json!({ "kind": "video" })).await);
    }
    assert_eq!(server.post("/api/recordings", &json!({ "kind": "video" })).await.0, 409);
    let paused = server.post(&format!("/api/recordings/{}/pause", films[0]), &json!({})).await.1;
    assert_eq!(paused["status"], "paused");
    assert_eq!(server.post(&format!("/api/recordings/{}/pause", films[0]), &json!({ "parameter": "x" })).await.0, 422);
    for film in &films {
        assert_eq!(server.post(&format!("/api/recordings/{film}/stop"), &json!({})).await.1["status"], "finished");
    }
    // All together are too large for what was set: only the newest stays.
    while server.get("/api/recordings?kind=video").await.1["count"] != 1 {}
    assert_eq!(server.get("/api/recordings").await.1["recordings"][0]["recording_id"], json!(films[3]));
    let left = std::fs::read_dir(server.data.path().join("recordings")).unwrap().count();
    assert_eq!(left, 1);
}

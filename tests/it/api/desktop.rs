//! `/api/desktop`: monitors, pictures, settings of streams, and a server that has no desktop yet.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

use super::served::{self, Server};
use crate::desktop::display::Window;

/// A server with two monitors of 500×800 and 780×800, the right one the primary.
async fn two_monitors() -> (Server, String) {
    let server = served::start().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    for arguments in
        [["--setmonitor", "Left", "500/130x800/210+0+0", "screen"], ["--setmonitor", "*Right", "780/200x800/210+500+0", "none"]]
    {
        assert!(Command::new("xrandr").args(["-display", &display]).args(arguments).status().unwrap().success());
    }
    (server, display)
}

#[tokio::test]
async fn all_monitors_are_told_and_each_is_seen() {
    let (server, display) = two_monitors().await;
    let (status, info) = server.get("/api/desktop/info/").await;
    assert_eq!(status, 200);
    let told = |screen: &Value| {
        json!([screen["index"], screen["name"], screen["x"], screen["y"], screen["width"], screen["height"], screen["is_primary"]])
    };
    let screens: Vec<Value> = info["screens"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(screens, [json!([0, "Right", 500, 0, 780, 800, true]), json!([1, "Left", 0, 0, 500, 800, false])], "{info}");

    let _window = Window::open_on(&display, (20, 30), (40, 50), 0xff_00_00);
    let request = json!({ "monitor": 1, "region": { "x": 20, "y": 30, "width": 40, "height": 50 }, "format": "png" });
    let (status, shot) = server.post("/api/desktop/screenshot", &request).await;
    assert_eq!(
        (status, &shot["data"]["width"], &shot["data"]["height"], &shot["data"]["monitor"]),
        (200, &json!(40), &json!(50), &json!(1))
    );
    let bytes = base64::engine::general_purpose::STANDARD.decode(shot["data"]["image_data"].as_str().unwrap()).unwrap();
    let picture = image::load_from_memory(&bytes).unwrap().to_rgb8();
    assert!(picture.pixels().all(|pixel| pixel.0 == [0xff, 0, 0]));
    let frame = reqwest::get(server.url("/api/desktop/frame?monitor=1&format=png")).await.unwrap();
    assert_eq!(frame.headers()["content-type"], "image/png");
    let picture = image::load_from_memory(&frame.bytes().await.unwrap()).unwrap().to_rgb8();
    assert_eq!((picture.width(), picture.get_pixel(25, 35).0), (500, [0xff, 0, 0]));
}

#[tokio::test]
async fn what_is_not_on_the_screen_is_refused() {
    let (server, _display) = two_monitors().await;
    let region = |x: i64, y: i64, width: i64, height: i64| json!({ "region": { "x": x, "y": y, "width": width, "height": height } });
    for (body, path) in [
        (region(4_294_967_290, 0, 100, 1), "/region/x"),
        (region(40_000, 0, 1, 1), "/region"),
        (region(0, 0, 0, 10), "/region"),
        (region(0, 0, 10, 0), "/region"),
        (region(0, 0, -1, 10), "/region/width"),
        (region(-1, 0, 10, 10), "/region"),
        (region(775, 0, 10, 10), "/region"),
        (region(780, 0, 1, 1), "/region"),
        (region(2_147_483_647, 2_147_483_647, 4_294_967_295, 4_294_967_295), "/region"),
        (region(1, 1, 4_294_967_295, 4_294_967_295), "/region"),
        (json!({ "monitor": 2 }), "/monitor"),
        (json!({ "monitor": 99 }), "/monitor"),
        (json!({ "monitor": 4_294_967_296i64 }), "/monitor"),
        (json!({ "monitor": -1 }), "/monitor"),
        (json!({ "quality": 0 }), "/quality"),
        (json!({ "quality": 101 }), "/quality"),
        (json!({ "quality": -1 }), "/quality"),
        (json!({ "quality": 85.5 }), "/quality"),
        (json!({ "format": "gif" }), "/format"),
        (json!({ "size": 1 }), "/size"),
    ] {
        let (status, answer) = server.post("/api/desktop/screenshot", &body).await;
        assert_eq!((status, &answer["error_code"]), (422, &json!("VALIDATION_ERROR")), "{body}: {answer}");
        let place = answer["details"]["errors"][0]["path"].as_str().unwrap();
        assert!(place == path || place.starts_with(path), "{body}: {answer}");
    }
    for quality in [1, 100] {
        assert_eq!(server.post("/api/desktop/screenshot", &json!({ "quality": quality })).await.0, 200);
    }
    for (query, path) in
        [("monitor=9", "/monitor"), ("quality=85.5", "/query/quality"), ("format=gif", "/query/format"), ("monitor=-1", "/query/monitor")]
    {
        let (status, answer) = server.get(&format!("/api/desktop/frame?{query}")).await;
        assert_eq!((status, answer["details"]["errors"][0]["path"].as_str()), (422, Some(path)), "{query}: {answer}");
    }
}

#[tokio::test]
async fn what_streams_are_like_is_told_and_changed_in_part() {
    let server = served::start().await;
    let (_, status) = server.get("/api/desktop/streaming/status").await;
    assert_eq!(
        status,
        json!({ "streaming_active": false, "client_count": 0, "fps": 5, "quality": 80, "scale_factor": 1.0, "enabled": true })
    );
    let (code, answer) = server.post("/api/desktop/streaming/configure", &json!({ "fps": 10, "scale_factor": 0.8 })).await;
    assert_eq!((code, &answer["data"]), (200, &json!({ "fps": 10, "quality": 80, "scale_factor": 0.8 })));
    for (field, values) in [
        ("fps", vec![json!(0), json!(-1), json!(61), json!(1e9), json!(5.5), json!("5")]),
        ("quality", vec![json!(0), json!(101), json!(85.5)]),
        ("scale_factor", vec![json!(0), json!(-1), json!(0.049), json!(1.01), json!(1e9)]),
        ("speed", vec![json!(1)]),
    ] {
        for value in values {
            let (code, answer) = server.post("/api/desktop/streaming/configure", &json!({ field: value })).await;
            assert_eq!(code, 422, "{field} {value}: {answer}");
            assert_eq!(answer["details"]["errors"][0]["path"], format!("/{field}"), "{answer}");
        }
    }
    server.post("/api/desktop/streaming/configure", &json!({ "quality": 90 })).await;
    let (_, status) = server.get("/api/desktop/streaming/status").await;
    assert_eq!((&status["fps"], &status["quality"], &status["scale_factor"]), (&json!(10), &json!(90), &json!(0.8)));
}

/// TRAE itself, with an environment of its own.
struct Program {
    child: Child,
    port: u16,
    _data: tempfile::TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Program {
    async fn start(path: &Path) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let data = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_trae"));
        command.args(["serve", "--port", &port.to_string()]).current_dir(data.path()).env_clear();
        command.env("PATH", path).env("DATA_DIR", data.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let this = Self { child: command.spawn().unwrap(), port, _data: data };
        for _ in 0..1000 {
            if this.ask("GET", "/api/health/", None).await.is_some_and(|(status, _)| status == 200) {
                return this;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it does not become healthy");
    }

    async fn ask(&self, method: &str, path: &str, body: Option<Value>) -> Option<(u16, Value)> {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let request = reqwest::Client::new().request(method, format!("http://127.0.0.1:{}{path}", self.port));
        let request = body.iter().fold(request, |request, body| request.json(body));
        let answer = request.send().await.ok()?;
        Some((answer.status().as_u16(), answer.json().await.unwrap_or_default()))
    }
}

#[tokio::test]
async fn without_a_display_the_server_starts_and_says_what_is_missing_until_there_is_one() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let programs = tempfile::tempdir().unwrap();
    let server = Program::start(programs.path()).await;
    let click = || json!({ "x": 5, "y": 5, "duration": 0 });
    for (method, path, body) in [
        ("POST", "/api/desktop/screenshot", Some(json!({}))),
        ("GET", "/api/desktop/info", None),
        ("POST", "/api/automation/mouse/click", Some(click())),
        ("POST", "/api/automation/keyboard/type", Some(json!({ "text": "a" }))),
    ] {
        let (status, answer) = server.ask(method, path, body).await.unwrap();
        assert_eq!((status, &answer["error_code"]), (503, &json!("SERVICE_UNAVAILABLE")), "{path}: {answer}");
        assert!(answer["details"]["hint"].is_string(), "{answer}");
    }
    let (status, answer) = server.ask("GET", "/api/automation/status", None).await.unwrap();
    assert_eq!((status, &answer["data"]["automation_mode"]), (200, &json!("none")), "{answer}");

    let xvfb = Command::new("sh").args(["-c", "command -v Xvfb"]).output().unwrap();
    let wrapper = format!("#!/bin/sh\nPATH=/usr/local/bin:/usr/bin:/bin exec {} \"$@\"\n", String::from_utf8(xvfb.stdout).unwrap().trim());
    let path = programs.path().join("Xvfb");
    std::fs::write(&path, wrapper).unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let (status, answer) = server.ask("POST", "/api/automation/mouse/click", Some(click())).await.unwrap();
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.ask("POST", "/api/desktop/screenshot", None).await.unwrap().0, 200);
}

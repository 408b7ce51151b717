//! `/api/desktop/windows`: real windows on the server's own desktop, and runs that work with them.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};
use trae::config::DisplayMode;

use super::served::{self, Server, node};
use crate::desktop::display::{PATIENCE, Window, managed};

/// A terminal on the server's desktop.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Terminal {
    fn open(display: &str, title: &str) -> Self {
        let arguments = ["-display", display, "-T", title, "-bg", "#123456", "-geometry", "40x10+100+50", "+bc", "-e", "sleep", "600"];
        let command = Command::new("xterm").args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Self(command.unwrap())
    }
}

/// A server whose desktop is up, with its window manager.
async fn start() -> (Server, String) {
    let server = served::start().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&display);
    (server, display)
}

/// The only window with this title, once it is there.
async fn found(server: &Server, title: &str) -> Value {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (status, all) = server.get(&format!("/api/desktop/windows?title={title}")).await;
        assert_eq!(status, 200, "{all}");
        if all["count"] == 1 && all["windows"][0]["is_visible"] == true {
            return all["windows"][0].clone();
        }
        assert!(tokio::time::Instant::now() < end, "{title} does not come: {all}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_are_listed_shown_and_moved() {
    let (server, display) = start().await;
    let terminal = Terminal::open(&display, "Order 4711");
    let first = found(&server, "order").await;
    assert_eq!((&first["class"], &first["pid"], &first["monitor"]), (&json!("XTerm"), &json!(terminal.0.id()), &json!(0)));
    let path = format!("/api/desktop/windows/{}", first["id"]);
    assert_eq!(server.get(&path).await.0, 200);
    for (query, count) in
        [("", 1), ("?class=xterm", 1), ("?class=xter", 0), ("?title_regex=^Order%20\\d%2B$", 1), ("?title=order&pid=1", 0)]
    {
        let (status, all) = server.get(&format!("/api/desktop/windows{query}")).await;
        assert_eq!((status, &all["count"]), (200, &json!(count)), "{query}: {all}");
    }
    let act = async |what: &str, body: Option<Value>| {
        let request = reqwest::Client::new().post(server.url(&format!("{path}/{what}")));
        let answer = if let Some(body) = body { request.json(&body) } else { request }.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap())
    };
    let (status, moved) = act("move", Some(json!({ "x": 200, "y": 150 }))).await;
    let window = &moved["data"]["window"];
    assert_eq!((status, &window["x"], &window["y"]), (200, &json!(200), &json!(150)), "{moved}");
    let (_, resized) = act("resize", Some(json!({ "width": 500, "height": 400 }))).await;
    assert!(resized["data"]["window"]["width"].as_u64().unwrap().abs_diff(500) < 20, "{resized}");
    for (what, field, value) in [
        ("minimize", "is_minimized", true),
        ("restore", "is_minimized", false),
        ("maximize", "is_maximized", true),
        ("restore", "is_maximized", false),
        ("focus", "is_focused", true),
    ] {
        let (status, answer) = act(what, None).await;
        assert_eq!((status, &answer["data"]["window"][field]), (200, &json!(value)), "{what}: {answer}");
        assert_eq!(server.get(&path).await.1[field], value);
    }
    for (what, body, place) in [
        ("move", json!({ "x": 40_000, "y": 1 }), "/x"),
        ("move", json!({ "x": 1 }), "/y"),
        ("resize", json!({ "width": 0, "height": 5 }), "/width"),
        ("resize", json!({ "width": 5, "height": 5, "depth": 5 }), "/depth"),
    ] {
        let (status, answer) = act(what, Some(body.clone())).await;
        assert_eq!((status, &answer["details"]["errors"][0]["path"]), (422, &json!(place)), "{body}: {answer}");
    }
    let (status, closed) = act("close", None).await;
    assert_eq!(status, 200, "{closed}");
    // A program may take its time to follow; then the answer still shows its window.
    let end = tokio::time::Instant::now() + PATIENCE;
    while server.get(&path).await.0 == 200 {
        assert!(closed["data"]["window"].is_object(), "the answer says that it has closed: {closed}");
        assert!(tokio::time::Instant::now() < end, "the window does not close");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for what in ["focus", "close", "minimize"] {
        let (status, answer) = act(what, None).await;
        assert_eq!((status, &answer["error_code"]), (404, &json!("NOT_FOUND")), "{what}");
    }
    for id in ["0", "1", "-1", "+5", "4294967296", "x", "1.0"] {
        for tail in ["", "/image"] {
            assert_eq!(server.get(&format!("/api/desktop/windows/{id}{tail}")).await.0, 404, "{id}{tail}");
        }
    }
    let (status, answer) = server.get("/api/desktop/windows?title_regex=(").await;
    assert_eq!((status, &answer["details"]["errors"][0]["path"]), (422, &json!("/title_regex")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_of_a_covered_window_shows_the_window() {
    let (server, display) = start().await;
    let _terminal = Terminal::open(&display, "Order 4711");
    let window = found(&server, "order").await;
    let number = |name: &str| u32::try_from(window[name].as_u64().unwrap()).unwrap();
    let (x, y) = (i16::try_from(number("x")).unwrap(), i16::try_from(number("y")).unwrap());
    let _cover = Window::open_on(&display, (x, y), (300, 100), 0xff_00_00);
    let path = format!("/api/desktop/windows/{}/image?format=png", window["id"]);
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let answer = reqwest::get(server.url(&path)).await.unwrap();
        assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
        assert_eq!(answer.headers()["x-window-extent"], "whole");
        let picture = image::load_from_memory(&answer.bytes().await.unwrap()).unwrap().to_rgb8();
        assert_eq!((picture.width(), picture.height()), (number("width"), number("height")));
        assert!(picture.pixels().all(|pixel| pixel.0 != [0xff, 0, 0]));
        // A terminal that has just been opened may not have drawn itself.
        if picture.get_pixel(number("width") - 10, number("height") - 10).0 == [0x12, 0x34, 0x56] {
            break;
        }
        assert!(tokio::time::Instant::now() < end, "the terminal does not show");
    }
    let json = reqwest::Client::new().get(server.url(&path)).header("accept", "application/json").send().await.unwrap();
    let data = json.json::<Value>().await.unwrap()["data"].clone();
    assert_eq!((&data["extent"], &data["window"], &data["format"]), (&json!("whole"), &window["id"], &json!("png")));
    assert!(base64::engine::general_purpose::STANDARD.decode(data["image_data"].as_str().unwrap()).unwrap().starts_with(b"\x89PNG"));
    let (status, answer) = server.get(&format!("/api/desktop/windows/{}/image?quality=0", window["id"])).await;
    assert_eq!((status, &answer["details"]["errors"][0]["path"]), (422, &json!("/query/quality")));
    server.post(&format!("/api/desktop/windows/{}/minimize", window["id"]), &json!({})).await;
    let (status, answer) = server.get(&path).await;
    assert_eq!((status, &answer["error_code"]), (409, &json!("CONFLICT")), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_needs_a_key_to_look_and_moving_one_to_use_the_desktop() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let (read, desktop) = (server.key("read").await, server.key("desktop").await);
    let ask = async |method: reqwest::Method, path: &str, key: &str| {
        let request = reqwest::Client::new().request(method, server.url(path)).bearer_auth(key);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask(reqwest::Method::GET, "/api/desktop/windows", &read).await, 200);
    assert_eq!(ask(reqwest::Method::POST, "/api/desktop/windows/1/focus", &read).await, 403);
    assert_eq!(ask(reqwest::Method::POST, "/api/desktop/windows/1/focus", &desktop).await, 404);
    assert_eq!(ask(reqwest::Method::GET, "/api/desktop/windows", "no").await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_somebody_has_the_desktop_a_window_stays_where_it_is() {
    let (server, display) = start().await;
    let _terminal = Terminal::open(&display, "Order 4711");
    let window = found(&server, "order").await;
    let desktop = server.app.desktops.ready().await.unwrap();
    let lease = desktop.lease("run 7", &server.shutdown).await.unwrap();
    let path = format!("/api/desktop/windows/{}/move", window["id"]);
    let (status, answer) = server.post(&path, &json!({ "x": 300, "y": 300 })).await;
    assert_eq!((status, &answer["details"]["holder"]), (409, &json!("run 7")), "{answer}");
    assert_eq!(found(&server, "order").await["x"], window["x"]);
    drop(lease);
    assert_eq!(server.post(&path, &json!({ "x": 300, "y": 300 })).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_desktop_it_is_said_what_to_do() {
    let server = served::start_with(|config| config.desktop.mode = DisplayMode::None).await;
    for (status, answer) in [server.get("/api/desktop/windows").await, server.post("/api/desktop/windows/1/focus", &json!({})).await] {
        assert_eq!((status, &answer["error_code"]), (503, &json!("SERVICE_UNAVAILABLE")), "{answer}");
        assert!(answer["details"]["hint"].is_string(), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drawn_workflow_waits_for_a_window_and_raises_it() {
    let (server, display) = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("wait", "wait_for_window", json!({ "title": "order", "class": "XTerm", "timeout": 20 })),
        node("focus", "focus_window", json!({ "pid": "{{ input.pid }}" })),
    ]);
    let edges = json!([{ "id": "a", "source": "start", "target": "wait" }, { "id": "b", "source": "wait", "target": "focus" }]);
    let (status, made) = server.post("/api/workflows/", &json!({ "id": "w", "nodes": nodes, "edges": edges })).await;
    assert!(status < 300, "{made}");
    let executed = async { server.post("/api/workflows/w/execute", &json!({ "wait": true })).await };
    // The first comes while the run waits, the other lies above it when it is raised.
    let opened = async {
        let terminal = Terminal::open(&display, "Order 4711");
        (found(&server, "order").await, terminal)
    };
    let ((status, run), (window, _terminal)) = tokio::join!(executed, opened);
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")), "{run}");
    assert_eq!(run["steps"][1]["output"]["id"], window["id"]);
    assert_eq!((&run["steps"][2]["output"]["id"], &run["steps"][2]["output"]["is_focused"]), (&window["id"], &json!(true)));
    let (_, dry) = server.post("/api/workflows/w/execute", &json!({ "wait": true, "dry_run": true })).await;
    assert_eq!(dry["status"], "succeeded", "{dry}");
    let none = json!({ "id": "n", "nodes": [node("start", "manual_trigger", json!({})), node("wait", "wait_for_window", json!({ "title": "invoice", "timeout": 0.1 }))],
        "edges": [{ "id": "a", "source": "start", "target": "wait" }] });
    server.post("/api/workflows/", &none).await;
    let (_, run) = server.post("/api/workflows/n/execute", &json!({ "wait": true })).await;
    assert_eq!(run["status"], "failed");
    assert!(run.to_string().contains("no window like") && run.to_string().contains("Order 4711"), "{run}");
}

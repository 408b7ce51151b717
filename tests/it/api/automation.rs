//! `/api/automation`, by what a window on the desktop gets.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::served::{self, Server, node};
use crate::desktop::display::{PATIENCE, Window, eventually, managed};

/// A server whose desktop is open, and a window that covers all of it.
async fn open() -> (Server, Window) {
    let server = served::start().await;
    let desktop = server.app.desktops.ready().await.unwrap();
    managed(desktop.display().unwrap());
    let window = Window::open_on(desktop.display().unwrap(), (0, 0), (1280, 800), 0x20_20_20);
    window.focus();
    (server, window)
}

async fn act(server: &Server, path: &str, body: Value) -> Value {
    let (status, answer) = server.post(&format!("/api/automation/{path}"), &body).await;
    assert_eq!(status, 200, "{path} {body}: {answer}");
    assert_eq!(answer["success"], true);
    assert!(answer["timestamp"].is_f64() && answer["message"].is_string(), "{answer}");
    answer
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_gets_what_the_mouse_does() {
    let (server, window) = open().await;
    act(&server, "mouse/click", json!({ "x": 100, "y": 200, "duration": 0 })).await;
    assert_eq!(window.story(), ["press 1 at 100,200", "release 1 at 100,200"]);
    act(&server, "mouse/click/", json!({ "x": 3, "y": 4, "button": "right", "clicks": 2 })).await;
    assert_eq!(window.story(), ["press 3 at 3,4", "release 3 at 3,4", "press 3 at 3,4", "release 3 at 3,4"]);
    act(&server, "mouse/move", json!({ "x": 640, "y": 400, "duration": 0.05 })).await;
    let (_, at) = server.get("/api/automation/mouse/position").await;
    assert_eq!(at, json!({ "x": 640, "y": 400 }));
    act(&server, "mouse/scroll", json!({ "dy": 2 })).await;
    act(&server, "mouse/scroll", json!({ "x": 9, "y": 8, "dx": -1 })).await;
    let wheel: Vec<_> = window.story().into_iter().filter(|told| told.starts_with("press")).collect();
    assert_eq!(wheel, ["press 5 at 640,400", "press 5 at 640,400", "press 6 at 9,8"]);
    act(&server, "mouse/drag", json!({ "from_x": 10, "from_y": 10, "to_x": 50, "to_y": 60, "duration": 0 })).await;
    assert_eq!(window.story(), ["press 1 at 10,10", "release 1 at 50,60"]);
    act(&server, "mouse/down", json!({ "x": 70, "y": 71, "button": "middle" })).await;
    act(&server, "mouse/move", json!({ "x": 80, "y": 81 })).await;
    act(&server, "mouse/up", json!({ "button": "middle" })).await;
    assert_eq!(window.story(), ["press 2 at 70,71", "release 2 at 80,81"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_window_gets_what_the_keyboard_does() {
    let (server, window) = open().await;
    act(&server, "keyboard/press", json!({ "key": "enter", "presses": 2 })).await;
    let story = window.story();
    assert_eq!(story.len(), 4, "{story:?}");
    assert_eq!(&story[..2], &story[2..]);
    act(&server, "keyboard/hotkey", json!({ "keys": ["ctrl", "a"] })).await;
    let story = window.story();
    assert_eq!(story.iter().filter(|told| told.ends_with("down")).count(), 2, "{story:?}");
    assert_eq!(story[0].trim_end_matches(" down"), story[3].trim_end_matches(" up"));
    act(&server, "keyboard/down", json!({ "key": "shift" })).await;
    assert_eq!(window.story().len(), 1);
    act(&server, "keyboard/up", json!({ "key": "shift" })).await;
    assert_eq!(window.story().len(), 1);
    // Not `printscreen`: the window manager keeps that one for itself.
    for key in ["pageup", "win", "capslock", "capslock", "num5", "add", "volumeup", "f12", "scrolllock", "ä"] {
        act(&server, "keyboard/press", json!({ "key": key })).await;
    }
    let mut story = Vec::new();
    eventually("all keys", || {
        story.extend(window.story());
        (story.iter().filter(|told| told.ends_with("up")).count() == 10).then_some(())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_arrives_in_a_terminal() {
    let server = served::start().await;
    let desktop = server.app.desktops.ready().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (file, ready) = (folder.path().join("typed"), folder.path().join("ready"));
    let script = format!("stty -icanon -echo; touch '{}'; exec cat > '{}'", ready.display(), file.display());
    let mut terminal = Command::new("xterm")
        .args(["-u8", "-geometry", "80x24+0+0", "-e", "sh", "-c", &script])
        .env("DISPLAY", desktop.display().unwrap())
        .env("LC_ALL", "C.UTF-8")
        .spawn()
        .unwrap();
    eventually("a terminal", || ready.exists().then_some(()));
    eventually("the terminal's focus", || {
        let input = desktop.input();
        input.click(&serde_json::from_value(json!({ "x": 200, "y": 100 })).unwrap(), &CancellationToken::new()).unwrap();
        let active = Command::new("xdotool").arg("getactivewindow").env("DISPLAY", desktop.display().unwrap()).output().unwrap();
        active.status.success().then_some(())
    });
    let answer = act(&server, "keyboard/type", json!({ "text": "Grüße, 5 €!\n", "interval": 0 })).await;
    assert_eq!(answer["data"]["characters"], 12);
    let typed = || std::fs::read_to_string(&file).unwrap_or_default();
    let deadline = std::time::Instant::now() + PATIENCE;
    while typed() != "Grüße, 5 €!\n" {
        assert!(std::time::Instant::now() < deadline, "{:?} arrived", typed());
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    let _ = terminal.kill();
    let _ = terminal.wait();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coordinates_are_scaled_as_the_client_was_last_shown() {
    let (server, window) = open().await;
    server.post("/api/desktop/streaming/configure", &json!({ "scale_factor": 0.5 })).await;
    let answer = act(&server, "mouse/click", json!({ "x": 100, "y": 150, "duration": 0 })).await;
    assert_eq!((&answer["data"]["x"], &answer["data"]["y"]), (&json!(200), &json!(300)));
    act(&server, "mouse/click", json!({ "x": 100, "y": 150, "duration": 0, "scale_coordinates": false })).await;
    act(&server, "mouse/scroll", json!({ "x": 10, "y": 20, "dy": 1 })).await;
    let presses: Vec<_> = window.story().into_iter().filter(|told| told.starts_with("press")).collect();
    assert_eq!(presses, ["press 1 at 200,300", "press 1 at 100,150", "press 5 at 20,40"]);
    let (_, status) = server.get("/api/automation/status").await;
    assert_eq!(status["data"]["scale_factor"], 0.5);
    // The last point of the picture is still on the screen; the next is not.
    act(&server, "mouse/move", json!({ "x": 639, "y": 399 })).await;
    let (code, answer) = server.post("/api/automation/mouse/move", &json!({ "x": 640, "y": 0 })).await;
    assert_eq!((code, &answer["error_code"]), (422, &json!("VALIDATION_ERROR")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_meant_is_refused_and_nothing_moves() {
    let (server, window) = open().await;
    act(&server, "mouse/move", json!({ "x": 640, "y": 400 })).await;
    let _ = window.events();
    let client = reqwest::Client::new();
    let numbers = ["-1", "99999", "2147483648", "1e308", "1.5", "NaN", "\"1\"", "null", "[]", "-1e400"];
    let mut bodies = Vec::new();
    for number in numbers {
        bodies.push(("mouse/click", format!(r#"{{"x": {number}, "y": 5}}"#)));
        bodies.push(("mouse/click", format!(r#"{{"x": 5, "y": {number}}}"#)));
        bodies.push(("mouse/move", format!(r#"{{"x": {number}, "y": 5}}"#)));
        bodies.push(("mouse/drag", format!(r#"{{"from_x": 1, "from_y": 1, "to_x": {number}, "to_y": 5}}"#)));
        if number != "null" {
            bodies.push(("mouse/scroll", format!(r#"{{"x": {number}, "y": 5, "dy": 1}}"#)));
            bodies.push(("mouse/down", format!(r#"{{"x": {number}, "y": 5}}"#)));
        }
    }
    for (path, body) in [
        ("mouse/click", r#"{"x": 1, "y": 1, "clicks": 0}"#),
        ("mouse/click", r#"{"x": 1, "y": 1, "clicks": 1000000}"#),
        ("mouse/click", r#"{"x": 1, "y": 1, "duration": -1}"#),
        ("mouse/click", r#"{"x": 1, "y": 1, "duration": 1e9}"#),
        ("mouse/click", r#"{"x": 1, "y": 1, "button": "fourth"}"#),
        ("mouse/click", r#"{"x": 1, "y": 1, "colour": "red"}"#),
        ("mouse/move", r#"{"x": 1, "y": 1, "duration": 61}"#),
        ("mouse/scroll", r#"{"x": 1, "dy": 1}"#),
        ("mouse/scroll", r#"{"dy": 1001}"#),
        ("mouse/up", r#"{"y": 1}"#),
        ("keyboard/type", r#"{"text": "a\u0000b"}"#),
        ("keyboard/type", r#"{"text": "\u001b[A"}"#),
        ("keyboard/type", r#"{"text": "a", "interval": -1}"#),
        ("keyboard/press", r#"{"key": "nokey"}"#),
        ("keyboard/press", r#"{"key": "a", "presses": 1001}"#),
        ("keyboard/hotkey", r#"{"keys": []}"#),
        ("keyboard/hotkey", r#"{"keys": ["ctrl", "nokey"]}"#),
        ("keyboard/down", r#"{"key": ""}"#),
    ] {
        bodies.push((path, body.to_owned()));
    }
    bodies.push(("keyboard/type", json!({ "text": "a".repeat(1 << 20) }).to_string()));
    for (path, body) in bodies {
        let answer = client
            .post(server.url(&format!("/api/automation/{path}")))
            .header("content-type", "application/json")
            .body(body.clone())
            .send();
        let answer = answer.await.unwrap();
        let status = answer.status().as_u16();
        let told = answer.text().await.unwrap();
        assert!(status == 422 || status == 400, "{path} {:.100}: {status} {told}", body);
        assert!(status == 400 || told.contains("VALIDATION_ERROR"), "{told}");
    }
    assert_eq!(window.events().len(), 0);
    assert_eq!(server.get("/api/automation/mouse/position").await.1, json!({ "x": 640, "y": 400 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_action_waits_for_a_run_and_then_says_for_which() {
    let (server, window) = open().await;
    let nodes = [
        node("start", "manual_trigger", json!({})),
        node("click", "click_action", json!({ "x": 9, "y": 9 })),
        node("wait", "shell_command", json!({ "command": "sleep 600", "timeout": 300 })),
    ];
    let edges = json!([{ "id": "a", "source": "start", "target": "click" }, { "id": "b", "source": "click", "target": "wait" }]);
    server.post("/api/workflows/", &json!({ "id": "busy", "name": "busy", "nodes": nodes, "edges": edges })).await;
    let (_, run) = server.post("/api/workflows/busy/execute", &json!({})).await;
    let run = run["run_id"].as_str().unwrap().to_owned();
    eventually("the run's click", || window.story().iter().any(|told| told == "release 1 at 9,9").then_some(()));

    let click = json!({ "x": 5, "y": 5, "duration": 0 });
    let (code, answer) = server.post("/api/automation/mouse/click", &click).await;
    assert_eq!((code, &answer["error_code"], &answer["details"]["holder"]), (409, &json!("CONFLICT"), &json!(format!("run {run}"))));
    assert!(answer["error"].as_str().unwrap().contains(&run), "{answer}");
    let (clicked, ()) = tokio::join!(server.post("/api/automation/mouse/click", &click), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(window.story(), Vec::<String>::new());
        server.post(&format!("/api/runs/{run}/cancel"), &json!({})).await;
    });
    assert_eq!(clicked.0, 200);
    assert_eq!(window.story(), ["press 1 at 5,5", "release 1 at 5,5"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_that_goes_away_takes_its_click_along() {
    let (server, window) = open().await;
    let request = reqwest::Client::new().post(server.url("/api/automation/mouse/click")).json(&json!({ "x": 5, "y": 5, "duration": 60 }));
    assert!(tokio::time::timeout(Duration::from_secs(1), request.send()).await.is_err());
    let mut story = Vec::new();
    eventually("the button to be let go", || {
        story.extend(window.story());
        (story.len() == 2).then_some(())
    });
    assert_eq!(story[1], "release 1 at 5,5");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_listed_can_be_called_and_nothing_else() {
    let (server, _window) = open().await;
    let (_, listed) = server.get("/api/automation/capabilities").await;
    let mut paths = Vec::new();
    for (field, folder) in [("mouse_actions", "mouse"), ("keyboard_actions", "keyboard")] {
        paths.extend(
            listed[field].as_array().unwrap().iter().map(|action| format!("/api/automation/{folder}/{}", action.as_str().unwrap())),
        );
    }
    assert_eq!(paths.len(), 11, "{listed}");
    for path in &paths {
        let (status, answer) = server.post(path, &json!({ "no": "field" })).await;
        assert_eq!(status, 422, "{path}: {answer}");
    }
    let routes = trae::api::routes().into_iter().filter(|route| route.contains("/mouse/") || route.contains("/keyboard/"));
    let unlisted: Vec<_> = routes.filter(|route| !paths.contains(route) && !route.ends_with("/position")).collect();
    assert_eq!(unlisted, Vec::<String>::new());
    for format in listed["screenshot_formats"].as_array().unwrap() {
        assert_eq!(server.post("/api/desktop/screenshot", &json!({ "format": format })).await.0, 200, "{format}");
    }

    let off = served::start_with(|config| config.services.click_automation = false).await;
    let (_, listed) = off.get("/api/automation/capabilities").await;
    assert_eq!(listed["mouse_actions"], json!([]));
    for path in paths {
        let body = match path.rsplit('/').next().unwrap() {
            "click" | "move" => json!({ "x": 1, "y": 1 }),
            "drag" => json!({ "from_x": 1, "from_y": 1, "to_x": 2, "to_y": 2 }),
            "type" => json!({ "text": "a" }),
            "hotkey" => json!({ "keys": ["a"] }),
            "press" => json!({ "key": "a" }),
            "down" | "up" if path.contains("keyboard") => json!({ "key": "a" }),
            _ => json!({}),
        };
        let (status, answer) = off.post(&path, &body).await;
        assert_eq!((status, &answer["details"]["service"]), (503, &json!("click_automation")), "{path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_clipboard_is_read_and_set() {
    let (server, _window) = open().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    act(&server, "clipboard", json!({ "text": "Zoë\n漢字" })).await;
    let pasted = Command::new("xclip").args(["-display", &display, "-selection", "clipboard", "-o", "-t", "UTF8_STRING"]).output().unwrap();
    assert_eq!(String::from_utf8(pasted.stdout).unwrap(), "Zoë\n漢字");
    let (status, answer) = server.get("/api/automation/clipboard").await;
    assert_eq!((status, &answer["data"]["text"]), (200, &json!("Zoë\n漢字")));
    assert_eq!(server.post("/api/automation/clipboard", &json!({ "text": 1 })).await.0, 422);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_the_service_lets_go_of_what_is_held() {
    let (server, window) = open().await;
    act(&server, "mouse/down", json!({ "x": 5, "y": 5 })).await;
    act(&server, "keyboard/down", json!({ "key": "shift" })).await;
    assert_eq!(window.story().len(), 2);
    server.app.services.restart(trae::services::Name::ClickAutomation).await.unwrap();
    let story = window.story();
    assert!(story.len() == 2 && story.iter().any(|told| told.starts_with("release 1")), "{story:?}");
    act(&server, "mouse/click", json!({ "x": 5, "y": 5, "duration": 0 })).await;
}

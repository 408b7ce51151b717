//! `/api/recordings`: what xdotool does in real windows is recorded, and the workflow that comes of it does the same in others.

use std::io::Read as _;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use super::served::{self, Server};
use crate::desktop::display::{Window, eventually, managed};

/// A dialog that asks for a line of text, and says what it was given.
struct Dialog(Child);

impl Dialog {
    /// Opens it, and waits until keys go to it; gives where it is.
    async fn open(server: &Server, display: &str, title: &str) -> (Self, Value) {
        let mut command = Command::new("zenity");
        command.args(["--entry", "--width=420", "--text=Name", &format!("--title={title}")]).env("DISPLAY", display);
        command.env("LC_ALL", "C.UTF-8").env("GTK_A11Y", "none").env("NO_AT_BRIDGE", "1");
        let this = Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
        loop {
            let (_, seen) = server.get(&format!("/api/desktop/windows?title={title}")).await;
            if seen["windows"][0]["is_focused"] == true && seen["windows"][0]["is_visible"] == true {
                return (this, seen["windows"][0].clone());
            }
        }
    }

    /// What it was given, once it has closed.
    fn answer(mut self) -> String {
        let mut said = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut said).unwrap();
        self.0.wait().unwrap();
        said.trim_end_matches('\n').to_owned()
    }
}

impl Drop for Dialog {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Does something with mouse and keyboard that TRAE has no part in.
fn xdotool(display: &str, arguments: &[&str]) {
    assert!(Command::new("xdotool").args(arguments).env("DISPLAY", display).env("LC_ALL", "C.UTF-8").status().unwrap().success());
}

async fn display(server: &Server) -> String {
    let name = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&name);
    // Grüße needs keys of its own, and braces AltGr.
    assert!(Command::new("setxkbmap").args(["-display", &name, "de"]).status().unwrap().success());
    name
}

async fn start(server: &Server) -> String {
    let (status, begun) = server.post("/api/recordings", &json!({ "kind": "input", "name": "Order", "longest_pause": 1 })).await;
    assert_eq!((status, &begun["status"]), (201, &json!("recording")), "{begun}");
    begun["recording_id"].as_str().unwrap().to_owned()
}

async fn stop(server: &Server, id: &str) -> Value {
    let (status, stopped) = server.post(&format!("/api/recordings/{id}/stop"), &json!({})).await;
    assert_eq!((status, &stopped["status"]), (200, &json!("finished")), "{stopped}");
    stopped
}

/// Stores the recording as a workflow, runs it, and waits for its end.
async fn repeat(server: &Server, id: &str, parameters: Value) {
    let (status, drawn) = server.get(&format!("/api/recordings/{id}/workflow")).await;
    assert_eq!(status, 200);
    let (_, checked) = server.post("/api/workflows/validate", &drawn).await;
    assert_eq!((&checked["valid"], &checked["problems"]), (&json!(true), &json!([])), "{drawn}");
    let (status, stored) = server.post(&format!("/api/recordings/{id}/workflow"), &json!({ "name": "Again" })).await;
    assert_eq!((status, &stored["name"], &stored["problems"]), (201, &json!("Again"), &json!([])));
    let path = format!("/api/workflows/{}/execute", stored["id"].as_str().unwrap());
    let (_, run) = server.post(&path, &json!({ "wait": true, "timeout": 60, "parameters": parameters })).await;
    assert_eq!(run["status"], "succeeded", "{run}");
}

fn actions(recording: &Value) -> Vec<Value> {
    recording["steps"].as_array().unwrap().iter().map(|step| step["action"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_in_one_window_is_done_again_in_another() {
    let server = served::start().await;
    let display = display(&server).await;
    let (dialog, place) = Dialog::open(&server, &display, "Order").await;
    let id = start(&server).await;
    let side = |from: &str, length: &str| place[from].as_i64().unwrap() + place[length].as_i64().unwrap() / 2;
    let (x, y) = (side("x", "width"), side("y", "height"));
    xdotool(&display, &["mousemove", &x.to_string(), &y.to_string(), "click", "--repeat", "2", "--delay", "60", "1"]);
    xdotool(&display, &["key", "ctrl+a"]);
    let typed = ["type", "--args", "1", "--delay", "20", "Grüße {{ an }} \\ Ädx", "key", "BackSpace", "key", "a", "key", "Return"];
    xdotool(&display, &typed);
    let text = "Grüße {{ an }} \\ Äda";
    assert_eq!(dialog.answer(), text);
    let recorded = stop(&server, &id).await;
    assert_eq!(
        actions(&recorded),
        [
            json!({ "type": "click", "x": x, "y": y, "button": "left", "clicks": 2 }),
            json!({ "type": "hotkey", "keys": ["ctrl", "a"] }),
            json!({ "type": "text", "text": text }),
            json!({ "type": "key", "key": "enter", "presses": 1 }),
        ]
    );
    let steps = recorded["steps"].as_array().unwrap();
    for step in steps {
        assert_eq!(step["window"]["title"], "Order", "{step}");
        let picture = &step["picture"];
        let path = format!("/api/recordings/{id}/images/{}", picture["sha256"].as_str().unwrap());
        let answer = reqwest::get(server.url(&path)).await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, "image/jpeg"));
        let shown = image::load_from_memory(&answer.bytes().await.unwrap()).unwrap();
        assert_eq!((json!(shown.width()), json!(shown.height())), (picture["width"].clone(), picture["height"].clone()));
        assert_eq!(picture["x"].as_i64().unwrap() + picture["target_x"].as_i64().unwrap(), x);
    }

    let (again, _) = Dialog::open(&server, &display, "Order").await;
    repeat(&server, &id, json!({})).await;
    assert_eq!(again.answer(), text);

    let (status, _) = server.get(&format!("/api/recordings/{id}")).await;
    assert_eq!(status, 200);
    let image = format!("/api/recordings/{id}/images/{}", steps[0]["picture"]["sha256"].as_str().unwrap());
    let deleted = reqwest::Client::new().delete(server.url(&format!("/api/recordings/{id}"))).send().await.unwrap();
    assert_eq!(deleted.status(), 200);
    assert_eq!(server.get(&image).await.0, 404);
    let left =
        walk(&server.data.path().join("runs")).into_iter().filter(|name| name.contains(steps[0]["picture"]["sha256"].as_str().unwrap()));
    // The run has pictures of its own steps; that of the recording is gone.
    assert_eq!(left.count(), 0);
}

fn walk(folder: &std::path::Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.flat_map(|entry| if entry.path().is_dir() { walk(&entry.path()) } else { vec![entry.path().display().to_string()] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_typed_while_it_is_paused_is_not_kept() {
    let server = served::start().await;
    let display = display(&server).await;
    let id = start(&server).await;
    // It appears while something is recorded already.
    let (dialog, _) = Dialog::open(&server, &display, "Login").await;
    xdotool(&display, &["type", "--delay", "20", "ada "]);
    let (status, paused) = server.post(&format!("/api/recordings/{id}/pause"), &json!({ "parameter": "password" })).await;
    assert_eq!((status, &paused["status"]), (200, &json!("paused")), "{paused}");
    xdotool(&display, &["type", "--delay", "20", "hush"]);
    let (status, resumed) = server.post(&format!("/api/recordings/{id}/resume"), &json!({})).await;
    assert_eq!((status, &resumed["status"]), (200, &json!("recording")), "{resumed}");
    xdotool(&display, &["key", "Return"]);
    assert_eq!(dialog.answer(), "ada hush");
    let recorded = stop(&server, &id).await;
    assert_eq!(
        actions(&recorded),
        [
            json!({ "type": "text", "text": "ada " }),
            json!({ "type": "parameter", "name": "password" }),
            json!({ "type": "key", "key": "enter", "presses": 1 }),
        ]
    );
    assert_eq!(recorded["steps"][0]["change"], "appeared");
    let again = Dialog::open(&server, &display, "Login");
    let run = repeat(&server, &id, json!({ "password": "s3cret" }));
    // The workflow waits for its window.
    let ((again, _), ()) = tokio::join!(again, run);
    assert_eq!(again.answer(), "ada s3cret");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drags_the_wheel_other_buttons_and_held_keys_are_done_again() {
    let server = served::start().await;
    let display = display(&server).await;
    let window = Window::open_on(&display, (100, 100), (400, 300), 0x33_66_99);
    let id = start(&server).await;
    let done = [
        &["mousemove", "150", "150", "click", "3"][..],
        &["mousemove", "200", "200", "mousedown", "1", "mousemove", "300", "250", "mouseup", "1"],
        &["mousemove", "320", "220", "click", "5", "click", "5", "click", "4", "click", "7"],
        &["mousemove", "350", "300", "keydown", "Control_L", "click", "1", "keyup", "Control_L"],
        // A client of TRAE's is heard as everybody is.
    ];
    for arguments in done {
        xdotool(&display, arguments);
    }
    let (status, _) = server.post("/api/automation/mouse/click", &json!({ "x": 120, "y": 120 })).await;
    assert_eq!(status, 200);
    let before = window.story();
    assert_eq!(before.len(), 16, "{before:?}");
    let recorded = stop(&server, &id).await;
    let kinds: Vec<_> = actions(&recorded).iter().map(|action| action["type"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, ["click", "drag", "scroll", "scroll", "scroll", "click", "click"]);
    assert_eq!(recorded["steps"][5]["action"]["modifiers"], json!(["ctrl"]));
    window.events();
    repeat(&server, &id, json!({})).await;
    let mut after = Vec::new();
    eventually("all of it again", || {
        after.extend(window.story());
        (after.len() >= before.len()).then_some(())
    });
    assert_eq!(after, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_is_said() {
    let server = served::start().await;
    display(&server).await;
    for (body, path) in [
        (json!({}), "/kind"),
        (json!({ "kind": "sound" }), "/kind"),
        (json!({ "kind": "input", "pause": 1 }), "/pause"),
        (json!({ "kind": "input", "longest_pause": 61 }), "/longest_pause"),
        (json!({ "kind": "input", "name": "" }), "/name"),
    ] {
        let (status, refused) = server.post("/api/recordings", &body).await;
        assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!(path)), "{body}: {refused}");
    }
    let id = start(&server).await;
    let (status, refused) = server.post("/api/recordings", &json!({ "kind": "input" })).await;
    assert_eq!((status, &refused["details"]["recording_id"]), (409, &json!(id)));
    let (status, _) = server.post(&format!("/api/recordings/{id}/pause"), &json!({ "parameter": "1 or more" })).await;
    assert_eq!(status, 422);
    let deleted = reqwest::Client::new().delete(server.url(&format!("/api/recordings/{id}"))).send().await.unwrap();
    assert_eq!(deleted.status(), 409);
    let (_, listed) = server.get("/api/recordings?kind=input").await;
    assert_eq!((&listed["count"], &listed["recordings"][0]["recording_id"]), (&json!(1), &json!(id)));

    // The desktop's service ends what is recorded there, and what was kept stays.
    let (status, _) = server.post("/api/health/restart/live_desktop", &json!({})).await;
    assert_eq!(status, 200);
    let path = format!("/api/recordings/{id}");
    let ended = loop {
        let (_, seen) = server.get(&path).await;
        if seen["status"] != "recording" {
            break seen;
        }
    };
    assert_eq!(ended["status"], "interrupted");
    assert!(ended["reason"].is_string() && ended["finished_at"].is_string(), "{ended}");
    for what in ["pause", "resume", "stop"] {
        assert_eq!(server.post(&format!("{path}/{what}"), &json!({})).await.0, 409, "{what}");
        assert_eq!(server.post(&format!("/api/recordings/nope/{what}"), &json!({})).await.0, 404, "{what}");
    }
    let (status, drawn) = server.get(&format!("{path}/workflow")).await;
    assert_eq!((status, drawn["nodes"].as_array().unwrap().len()), (200, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_somebody_typed_is_not_for_everybody() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let client = reqwest::Client::new();
    let (read, desktop) = (server.key("read").await, server.key("desktop").await);
    let ask = |key: &str| client.get(server.url("/api/recordings")).bearer_auth(key).send();
    assert_eq!(ask(&read).await.unwrap().status(), 403);
    assert_eq!(ask(&desktop).await.unwrap().status(), 200);
    let keep = client.post(server.url("/api/recordings/x/workflow")).bearer_auth(&desktop).json(&json!({})).send().await.unwrap();
    assert_eq!(keep.status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_at_another_desktop_becomes_a_workflow_for_that_one() {
    let server = served::start().await;
    let made = json!({ "name": "second", "kind": "virtual", "width": 640, "height": 480 });
    assert_eq!(server.post("/api/desktop/targets", &made).await.0, 201);
    let (status, unknown) = server.post("/api/recordings", &json!({ "kind": "input", "target": "third" })).await;
    assert_eq!((status, &unknown["error_code"]), (404, &json!("NOT_FOUND")), "{unknown}");
    let (status, begun) = server.post("/api/recordings", &json!({ "kind": "input", "target": "second" })).await;
    assert_eq!(status, 201, "{begun}");
    let id = begun["recording_id"].as_str().unwrap().to_owned();
    // Only what is done there counts.
    assert_eq!(server.post("/api/automation/mouse/click", &json!({ "x": 50, "y": 60 })).await.0, 200);
    assert_eq!(server.post("/api/automation/mouse/click", &json!({ "x": 200, "y": 100, "target": "second" })).await.0, 200);
    assert_eq!(server.post(&format!("/api/recordings/{id}/stop"), &json!({})).await.0, 200);
    let (_, graph) = server.get(&format!("/api/recordings/{id}/workflow")).await;
    assert_eq!(graph["settings"]["target"], "second", "{graph}");
    let clicks: Vec<_> = graph["nodes"].as_array().unwrap().iter().filter(|node| node["type"] == "click_action").collect();
    assert_eq!(clicks.len(), 1, "{graph}");
    assert_eq!((&clicks[0]["data"]["config"]["x"], &clicks[0]["data"]["config"]["y"]), (&json!(200), &json!(100)));
    let (status, film) = server.post("/api/recordings", &json!({ "kind": "video", "target": "second" })).await;
    assert_eq!((status, &film["video"]["target"]), (201, &json!("second")), "{film}");
    let path = format!("/api/recordings/{}/stop", film["recording_id"].as_str().unwrap());
    assert_eq!(server.post(&path, &json!({})).await.0, 200);
    let (_, film) = server.get(path.trim_end_matches("/stop")).await;
    assert_eq!((&film["video"]["width"], &film["video"]["height"]), (&json!(640), &json!(480)), "{film}");
}

//! Reading and clicking in snapshots, on a real screen with real windows.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::served::{Server, node, start, start_with};
use super::snapshots::{create, delete, id};
use crate::desktop::display::{Window, eventually};
use crate::machine::ocr::readers;

/// A terminal with a text on the server's own display; ends with the test.
struct Terminal(Child);

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn display(server: &Server) -> String {
    server.app.desktops.default().unwrap().display().unwrap().to_owned()
}

fn terminal(server: &Server, corner: (u32, u32), text: &str) -> Terminal {
    let geometry = format!("40x6+{}+{}", corner.0, corner.1);
    // Without the cursor, which would be read as a letter.
    let show = format!("printf '\\033[?25l{text}'; sleep 100");
    let font = ["-fa", "DejaVu Sans Mono", "-fs", "14", "-bg", "white", "-fg", "black", "+sb", "-bw", "0"];
    let mut command = Command::new("xterm");
    // Without a window manager, which may just be starting, and its title.
    command
        .args(["-xrm", "*overrideRedirect: true"])
        .args(font)
        .args(["-geometry", &geometry, "-e", "sh", "-c", &show])
        .env("DISPLAY", display(server));
    Terminal(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("xterm is installed"))
}

fn zone(id: &str, (x, y): (u32, u32), (width, height): (u32, u32)) -> Value {
    json!({ "id": id, "name": format!("Zone {id}"), "x": x, "y": y, "width": width, "height": height })
}

async fn read(server: &Server, snapshot: &str, zones: Value) -> (u16, Value) {
    server.post("/api/snapshots/ocr/execute", &json!({ "snapshot_id": snapshot, "zones": zones })).await
}

/// A snapshot of the given part, once that shows `word`.
async fn showing(server: &Server, request: Value, word: &str) -> String {
    let mut seen = Value::Null;
    for _ in 0..60 {
        let snapshot = create(server, request.clone()).await;
        let whole = zone("all", (0, 0), (snapshot["width"].as_u64().unwrap() as u32, snapshot["height"].as_u64().unwrap() as u32));
        let (_, answer) = read(server, &id(&snapshot), json!([whole])).await;
        seen = answer["results"][0]["text"].clone();
        if seen.as_str().is_some_and(|text| text.contains(word)) {
            return id(&snapshot);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("{word} never appeared, but {seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_of_a_snapshot_are_read_in_its_own_coordinates() {
    let server = start().await;
    let _terminal = terminal(&server, (200, 100), "Invoice total 1234 EUR\\nThe quick brown fox\\n");
    // A part of the screen, so that its coordinates are not those of the screen.
    let region = json!({ "x": 190, "y": 90, "width": 510, "height": 180 });
    let snapshot = showing(&server, json!({ "region": region, "format": "png" }), "Invoice").await;
    let zones = json!([
        { "id": "lines", "name": "Zone lines", "x": 10, "y": 10, "width": 480, "height": 140, "confidence_threshold": 0.5 },
        zone("wall", (0, 0), (9, 9)),
        { "id": "strict", "name": "Strict", "x": 10, "y": 10, "width": 480, "height": 140, "language": "eng", "confidence_threshold": 1.0 },
    ]);
    let (status, answer) = read(&server, &snapshot, zones).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!((&answer["success"], &answer["snapshot_id"], &answer["engine"]), (&json!(true), &json!(snapshot), &json!("tesseract")));
    let results = answer["results"].as_array().unwrap();
    let ids: Vec<_> = results.iter().map(|result| result["zone_id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["lines", "wall", "strict"]);
    let lines = &results[0];
    assert_eq!((&lines["name"], &lines["language"], &lines["accepted"]), (&json!("Zone lines"), &json!("eng"), &json!(true)), "{lines}");
    assert!(lines["text"].as_str().unwrap().contains("Invoice total 1234 EUR\nThe quick brown fox"), "{lines}");
    assert!((0.6..=1.0).contains(&lines["confidence"].as_f64().unwrap()) && lines["execution_time"].as_f64().unwrap() > 0.0);
    assert_eq!((&results[1]["text"], &results[1]["accepted"], &results[1]["words"]), (&json!(""), &json!(false), &json!([])));
    assert_eq!(results[2]["accepted"], json!(false), "no reading is certain");

    // A word's box, taken as a zone of its own, holds that word: boxes are in the snapshot's pixels.
    let word = lines["words"].as_array().unwrap().iter().find(|word| word["text"] == "quick").unwrap();
    let number = |field: &str| word[field].as_u64().unwrap() as u32;
    let around = zone("quick", (number("x") - 4, number("y") - 4), (number("width") + 8, number("height") + 8));
    let (_, answer) = read(&server, &snapshot, json!([around])).await;
    assert_eq!(answer["results"][0]["text"], "quick", "{answer}");
    assert!(word["confidence"].as_f64().unwrap() <= 1.0 && word.get("line").is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_zones_are_read_at_once() {
    let server = start().await;
    let _terminal = terminal(&server, (200, 100), "Invoice total 1234 EUR\nThe quick brown fox\n");
    let region = json!({ "x": 200, "y": 100, "width": 500, "height": 160 });
    let snapshot = showing(&server, json!({ "region": region, "format": "png" }), "Invoice").await;
    // One line each, which is nothing to share for the threads of one reading.
    let cores = std::thread::available_parallelism().unwrap().get();
    let zones: Vec<_> = (0..4 * cores).map(|number| zone(&number.to_string(), (0, 0), (480, 26))).collect();
    let mut answered = (0, Value::Null);
    let most = tokio::task::block_in_place(|| {
        let handle = tokio::runtime::Handle::current();
        readers(|| answered = handle.block_on(read(&server, &snapshot, json!(zones))))
    });
    let (status, answer) = answered;
    assert_eq!(status, 200, "{answer}");
    let texts: Vec<_> = answer["results"].as_array().unwrap().iter().map(|result| result["text"].as_str().unwrap()).collect();
    assert_eq!(texts, vec!["Invoice total 1234 EUR"; 4 * cores]);
    // The thread of one that was read may be seen to end beside the one that has its core.
    assert!(most <= 2 * cores && (most >= 2 || cores == 1), "{most} zones were read at once, on {cores} cores");
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_that_are_none_are_named_and_nothing_is_read() {
    let server = start().await;
    let snapshot = id(&create(&server, json!({ "region": { "x": 0, "y": 0, "width": 100, "height": 50 } })).await);
    let good = zone("a", (0, 0), (10, 10));
    let with = |field: &str, value: Value| {
        let mut zone = good.clone();
        zone[field] = value;
        json!([zone])
    };
    let many: Vec<_> = (0..10_001).map(|index| zone(&index.to_string(), (0, 0), (5, 5))).collect();
    for (zones, paths) in [
        (json!([]), json!(["/zones"])),
        (json!(many), json!(["/zones"])),
        (
            json!([good, zone("b", (91, 0), (10, 10)), zone("c", (0, 41), (10, 10)), zone("d", (90, 40), (10, 10))]),
            json!(["/zones/1", "/zones/2"]),
        ),
        (with("x", json!(4_294_967_295_u32)), json!(["/zones/0"])),
        (with("x", json!(-1)), json!(["/zones/0/x"])),
        (with("width", json!(0)), json!(["/zones/0/width"])),
        (with("height", json!(-5)), json!(["/zones/0/height"])),
        (with("confidence_threshold", json!(1.1)), json!(["/zones/0/confidence_threshold"])),
        (with("language", json!("../../x")), json!(["/zones/0/language"])),
        (with("language", json!("eng\u{0}")), json!(["/zones/0/language"])),
        (with("colour", json!(1)), json!(["/zones/0/colour"])),
        (json!([good, good]), json!(["/zones/1/id"])),
    ] {
        let (status, refused) = read(&server, &snapshot, zones).await;
        assert_eq!((status, &refused["error_code"]), (422, &json!("VALIDATION_ERROR")), "{paths}: {refused}");
        let found: Vec<_> = refused["details"]["errors"].as_array().unwrap().iter().map(|error| error["path"].clone()).collect();
        assert_eq!(json!(found), paths);
    }
    assert_eq!(read(&server, "unknown", json!([good])).await.0, 404);

    let (status, refused) = read(&server, &snapshot, with("language", json!("eng+xyz"))).await;
    assert_eq!((status, &refused["error_code"]), (503, &json!("SERVICE_UNAVAILABLE")));
    assert_eq!(refused["details"]["hint"], "apt-get install tesseract-ocr-xyz");
    assert!(refused["details"]["installed"].as_array().unwrap().contains(&json!("eng")));
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_are_chosen_and_refused_by_name() {
    let server = start().await;
    let snapshot = id(&create(&server, json!({ "region": { "x": 0, "y": 0, "width": 100, "height": 50 } })).await);
    for (engine, expected) in [("tesseract", 200), ("auto", 200), ("onnx", 503), ("easyocr", 503), ("gocr", 422)] {
        let body = json!({ "snapshot_id": snapshot, "zones": [zone("a", (0, 0), (10, 10))], "engine": engine, "preprocess": "none" });
        let (status, answer) = server.post("/api/snapshots/ocr/execute", &body).await;
        assert_eq!(status, expected, "{engine}: {answer}");
        match expected {
            200 => assert_eq!(answer["engine"], "tesseract"),
            503 => assert!(answer["details"]["hint"].as_str().unwrap().starts_with("trae models install --to /"), "{answer}"),
            _ => assert_eq!(answer["details"]["errors"][0]["path"], "/engine"),
        }
    }
    let (_, status) = server.get("/api/automation/status").await;
    assert_eq!(status["data"]["easyocr_available"], false, "{status}");
    drop(server);
    let off = start_with(|config| config.services.ocr = false).await;
    let snapshot = id(&create(&off, json!({})).await);
    let (status, answer) = read(&off, &snapshot, json!([zone("a", (0, 0), (10, 10))])).await;
    assert_eq!((status, &answer["details"]["service"]), (503, &json!("enhanced_ocr")));
    assert!(answer["error"].as_str().unwrap().contains("ENABLE_OCR"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_ends_with_its_time() {
    let server = start_with(|config| config.ocr.timeout = Duration::from_millis(1)).await;
    let snapshot = id(&create(&server, json!({})).await);
    let (status, answer) = read(&server, &snapshot, json!([zone("a", (0, 0), (1280, 800))])).await;
    assert_eq!((status, &answer["error_code"]), (504, &json!("TIMEOUT")), "{answer}");
}

fn action(id: &str, (x, y): (u32, u32), kind: &str) -> Value {
    json!({ "id": id, "name": id, "x": x, "y": y, "action_type": kind, "delay_ms": 0 })
}

async fn click(server: &Server, snapshot: &str, actions: Value, more: Value) -> (u16, Value) {
    let mut body = json!({ "snapshot_id": snapshot, "actions": actions });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    server.post("/api/snapshots/click/execute", &body).await
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_reach_the_window_through_the_region_and_the_monitor() {
    let server = start().await;
    let display = display(&server);
    for arguments in [["Left", "500/100x800/150+0+0", "screen"], ["*Right", "780/120x800/150+500+0", "none"]] {
        let made = Command::new("xrandr").arg("--setmonitor").args(arguments).env("DISPLAY", &display).status().unwrap();
        assert!(made.success());
    }
    let window = Window::open_on(&display, (0, 0), (1280, 800), 0x0020_4060);
    // The primary monitor is number 0: the right one.
    let region = json!({ "x": 100, "y": 50, "width": 300, "height": 200 });
    let snapshot = id(&create(&server, json!({ "monitor": 0, "region": region })).await);
    let actions =
        json!([action("one", (10, 20), "click"), action("two", (299, 199), "double_click"), action("menu", (0, 0), "right_click")]);
    let (status, answer) = click(&server, &snapshot, actions, json!({ "delay_between_actions": 10 })).await;
    assert_eq!((status, &answer["success"]), (200, &json!(true)), "{answer}");
    let result = &answer["results"][0];
    assert_eq!(
        (&result["action_id"], &result["name"], &result["success"], &result["x"], &result["y"], &result["error"]),
        (&json!("one"), &json!("one"), &json!(true), &json!(10), &json!(20), &Value::Null)
    );
    assert_eq!((&result["screen_x"], &result["screen_y"]), (&json!(610), &json!(70)));
    assert!(answer["execution_time"].as_f64().unwrap() > 0.0 && answer["snapshot_id"] == json!(snapshot));
    let mut story = Vec::new();
    eventually("eight events", || {
        story.extend(window.story());
        (story.len() >= 8).then_some(())
    });
    assert_eq!(
        story,
        [
            "press 1 at 610,70",
            "release 1 at 610,70",
            "press 1 at 899,249",
            "release 1 at 899,249",
            "press 1 at 899,249",
            "release 1 at 899,249",
            "press 3 at 600,50",
            "release 3 at 600,50",
        ]
    );

    // The other monitor is gone meanwhile: what it showed cannot be clicked any more.
    let left = id(&create(&server, json!({ "monitor": 1 })).await);
    for name in ["Left", "Right"] {
        assert!(Command::new("xrandr").args(["--delmonitor", name]).env("DISPLAY", &display).status().unwrap().success());
    }
    let (_, answer) = click(&server, &left, json!([action("gone", (1, 1), "click")]), json!({})).await;
    assert_eq!(answer["success"], json!(false));
    assert!(answer["results"][0]["error"].as_str().unwrap().contains("not there any more"), "{answer}");
    assert!(window.story().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_point_outside_fails_alone_and_stops_only_a_sequence() {
    let server = start().await;
    let window = Window::open_on(&display(&server), (0, 0), (1280, 800), 0x0020_4060);
    let snapshot = id(&create(&server, json!({ "region": { "x": 0, "y": 0, "width": 100, "height": 100 } })).await);
    let actions = json!([action("in", (5, 5), "click"), action("out", (100, 5), "click"), action("later", (7, 7), "click")]);
    let done = |answer: &Value| -> Vec<(String, bool)> {
        let results = answer["results"].as_array().unwrap().iter();
        results.map(|result| (result["action_id"].as_str().unwrap().to_owned(), result["success"].as_bool().unwrap())).collect()
    };
    let (status, answer) = click(&server, &snapshot, actions.clone(), json!({})).await;
    assert_eq!((status, &answer["success"]), (200, &json!(false)));
    assert_eq!(done(&answer), [("in".to_owned(), true), ("out".to_owned(), false)]);
    assert!(answer["results"][1]["error"].as_str().unwrap().contains("does not lie in the snapshot"), "{answer}");
    assert_eq!(window.story(), ["press 1 at 5,5", "release 1 at 5,5"]);

    let (_, answer) = click(&server, &snapshot, actions, json!({ "sequential": false })).await;
    assert_eq!(done(&answer), [("in".to_owned(), true), ("out".to_owned(), false), ("later".to_owned(), true)]);
    assert_eq!(window.story(), ["press 1 at 5,5", "release 1 at 5,5", "press 1 at 7,7", "release 1 at 7,7"]);

    let good = action("a", (1, 1), "click");
    let with = |field: &str, value: Value| {
        let mut action = good.clone();
        action[field] = value;
        json!([action])
    };
    for (actions, path) in [
        (json!([]), "/actions"),
        (with("x", json!(-1)), "/actions/0/x"),
        (with("y", json!(1.5)), "/actions/0/y"),
        (with("action_type", json!("triple_click")), "/actions/0/action_type"),
        (with("button", json!("up")), "/actions/0/button"),
        (with("delay_ms", json!(-1)), "/actions/0/delay_ms"),
        (with("delay_ms", json!(3_600_001)), "/actions/0/delay_ms"),
        (with("colour", json!(1)), "/actions/0/colour"),
        (json!([good, good]), "/actions/1/id"),
    ] {
        let (status, refused) = click(&server, &snapshot, actions, json!({})).await;
        assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!(path)), "{refused}");
    }
    assert!(window.story().is_empty());
    assert_eq!(click(&server, "unknown", json!([good]), json!({})).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn clicks_wait_for_their_turn_at_the_desktop() {
    let server = start().await;
    let window = Window::open_on(&display(&server), (0, 0), (1280, 800), 0x0020_4060);
    let snapshot = id(&create(&server, json!({})).await);
    let desktop = server.app.desktops.default().unwrap();
    let lease = desktop.lease("a run", &tokio_util::sync::CancellationToken::new()).await.unwrap();
    let url = server.url("/api/snapshots/click/execute");
    let body = json!({ "snapshot_id": snapshot, "actions": [action("a", (9, 9), "click")] });
    let waiting = tokio::spawn(async move { reqwest::Client::new().post(url).json(&body).send().await.unwrap().status() });
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(window.story().is_empty() && !waiting.is_finished());
    drop(lease);
    assert_eq!(waiting.await.unwrap(), 200);
    assert_eq!(window.story(), ["press 1 at 9,9", "release 1 at 9,9"]);
    let (_, status) = server.get("/api/automation/status").await;
    assert_eq!(status["data"]["easyocr_available"], false, "{status}");
    drop(server);
    let off = start_with(|config| config.services.click_automation = false).await;
    let snapshot = id(&create(&off, json!({})).await);
    let (status, refused) = click(&off, &snapshot, json!([action("a", (1, 1), "click")]), json!({})).await;
    assert_eq!((status, &refused["details"]["service"]), (503, &json!("click_automation")));
}

/// Runs a workflow that reads a template.
async fn read_in_workflow(server: &Server, template: &Value) -> Value {
    let nodes = [node("start", "manual_trigger", json!({})), node("read", "ocr_template", json!({ "template": template }))];
    let graph = json!({ "nodes": nodes, "edges": [{ "id": "e", "source": "start", "target": "read" }] });
    let (_, made) = server.post("/api/workflows/", &graph).await;
    let id = made["id"].as_str().unwrap_or_else(|| panic!("{made}"));
    server.post(&format!("/api/workflows/{id}/execute"), &json!({ "wait": true })).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_is_kept_and_used_on_another_snapshot() {
    let server = start().await;
    let _terminal = terminal(&server, (100, 100), "Customer Ada\\nInvoice total 1234 EUR\\n");
    // Mostly the terminal: a small light window on a large dark screen is read badly.
    showing(&server, json!({ "region": { "x": 90, "y": 90, "width": 510, "height": 180 } }), "Customer").await;
    let snapshot = id(&create(&server, json!({})).await);
    let window = Window::open_on(&display(&server), (600, 400), (300, 300), 0x0020_4060);
    let body = json!({ "name": "Form", "zones": [zone("who", (100, 100), (480, 140))], "actions": [action("ok", (650, 450), "click")] });
    let (status, template) = server.post("/api/snapshots/templates", &body).await;
    assert_eq!(status, 201, "{template}");
    assert_eq!((&template["name"], &template["zones"][0]["confidence_threshold"]), (&json!("Form"), &json!(0.8)));
    let path = format!("/api/snapshots/templates/{}", template["id"].as_str().unwrap());
    assert_eq!(server.get(&path).await, (200, template.clone()));

    let (status, applied) = server.post(&format!("{path}/apply"), &json!({ "snapshot_id": snapshot })).await;
    assert_eq!((status, &applied["clicks"]), (200, &Value::Null), "{applied}");
    let text = applied["ocr"]["results"][0]["text"].as_str().unwrap();
    assert!(text.contains("Customer Ada"), "{applied}");
    assert!(window.story().is_empty(), "it clicks only when told");
    let (_, applied) = server.post(&format!("{path}/apply"), &json!({ "snapshot_id": snapshot, "click": true })).await;
    assert_eq!(applied["clicks"]["success"], json!(true), "{applied}");
    assert_eq!(window.story(), ["press 1 at 650,450", "release 1 at 650,450"]);

    // On the screen as it is now a zone may have a name, and be where its window is.
    let client = reqwest::Client::new();
    let named = json!({ "x": 100, "y": 100, "width": 480, "height": 140, "whitelist": "0123456789" });
    assert_eq!(client.put(server.url("/api/zones/form")).json(&named).send().await.unwrap().status(), 201);
    let body_of = |zones: Value| json!({ "name": "Named", "zones": zones });
    let (status, by_name) = server.post("/api/snapshots/templates", &body_of(json!([{ "id": "a", "name": "a", "zone": "form" }]))).await;
    assert_eq!((status, &by_name["zones"][0]["zone"]), (201, &json!("form")), "{by_name}");
    let apply = format!("/api/snapshots/templates/{}/apply", by_name["id"].as_str().unwrap());
    let (status, applied) = server.post(&apply, &json!({})).await;
    assert_eq!(status, 200, "{applied}");
    let read = applied["ocr"]["results"][0]["text"].as_str().unwrap();
    assert!(read.contains("1234") && !read.contains("Customer"), "{applied}");
    // A workflow reads both, the one by its name.
    let run = read_in_workflow(&server, &json!("Form")).await;
    let who = &run["steps"][1]["output"]["who"];
    assert!(who["text"].as_str().is_some_and(|text| text.contains("Customer Ada")), "{run}");
    assert_eq!((&who["accepted"], &who["name"]), (&json!(true), &body["zones"][0]["name"]), "{run}");
    let run = read_in_workflow(&server, &by_name["id"]).await;
    assert!(run["steps"][1]["output"]["a"]["text"].as_str().is_some_and(|text| text.contains("1234")), "{run}");
    let run = read_in_workflow(&server, &json!("No such form")).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("NOT_FOUND")), "{run}");
    let (status, refused) = server.post(&apply, &json!({ "snapshot_id": snapshot })).await;
    assert!(status == 422 && refused.to_string().contains("leave out snapshot_id"), "{refused}");
    for (zones, path) in [
        (json!([{ "id": "a", "name": "a", "zone": "form", "x": 1 }]), "/zones/0/x"),
        (json!([{ "id": "a", "name": "a", "x": 1, "y": 1, "width": 5 }]), "/zones/0/height"),
        (json!([{ "id": "a", "name": "a", "zone": "" }]), "/zones/0/zone"),
    ] {
        let (status, refused) = server.post("/api/snapshots/templates", &body_of(zones)).await;
        assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!(path)), "{refused}");
    }
    assert_eq!(delete(&server, apply.trim_end_matches("/apply")).await.0, 200);

    // What was got is changed and put back.
    let mut changed = template.clone();
    changed["zones"] = json!([]);
    changed["name"] = json!("Clicks");
    let answer = client.put(server.url(&path)).json(&changed).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let stored: Value = answer.json().await.unwrap();
    assert_eq!((&stored["name"], &stored["created_at"]), (&json!("Clicks"), &template["created_at"]));
    assert_ne!(stored["updated_at"], template["updated_at"]);
    let (_, applied) = server.post(&format!("{path}/apply"), &json!({ "snapshot_id": snapshot })).await;
    assert_eq!(applied, json!({ "ocr": null, "clicks": null }));

    // A smaller picture, in which the zone does not lie.
    let small = id(&create(&server, json!({ "region": { "x": 0, "y": 0, "width": 50, "height": 50 } })).await);
    let (_, wide) = server.post("/api/snapshots/templates", &body).await;
    let apply = format!("/api/snapshots/templates/{}/apply", wide["id"].as_str().unwrap());
    let (_, another) = server.post("/api/snapshots/templates", &body).await;
    let run = read_in_workflow(&server, &json!("Form")).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("CONFLICT")), "{run}");
    let another = format!("/api/snapshots/templates/{}", another["id"].as_str().unwrap());
    assert_eq!(delete(&server, &another).await.0, 200);
    let (status, refused) = server.post(&apply, &json!({ "snapshot_id": small })).await;
    assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!("/snapshot_id")), "{refused}");

    let (_, listed) = server.get("/api/snapshots/templates?limit=1").await;
    assert_eq!((&listed["count"], &listed["templates"][0]["id"]), (&json!(2), &wide["id"]));
    assert_eq!(delete(&server, &path).await.0, 200);
    assert_eq!(delete(&server, &path).await.0, 404);
    assert_eq!(server.get(&path).await.0, 404);
    for (body, path) in [
        (json!({ "zones": [], "actions": [] }), "/name"),
        (json!({ "name": "" }), "/name"),
        (json!({ "name": "x", "zones": [zone("a", (0, 0), (0, 1))] }), "/zones/0/width"),
        (json!({ "name": "x", "zones": [zone("a", (0, 0), (1, 1)), zone("a", (0, 0), (1, 1))] }), "/zones/1/id"),
        (
            json!({ "name": "x", "zones": [{ "id": "a", "name": "a", "x": 0, "y": 0, "width": 1, "height": 1, "language": "e g" }] }),
            "/zones/0/language",
        ),
        (json!({ "name": "x", "actions": [action("a", (0, 0), "jump")] }), "/actions/0/action_type"),
        (json!({ "name": "x", "id": "mine" }), "/id"),
        (json!({ "name": "x", "colour": 1 }), "/colour"),
    ] {
        let (status, refused) = server.post("/api/snapshots/templates", &body).await;
        assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!(path)), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_neural_engine_reads_where_it_is_installed() {
    let Some(models) = crate::machine::neural::installed() else { return };
    let server = start_with(|config| config.ocr.models = models).await;
    let (_, status) = server.get("/api/automation/status").await;
    assert_eq!((&status["data"]["easyocr_available"], &status["data"]["tesseract_available"]), (&json!(true), &json!(true)), "{status}");
    let (_, capabilities) = server.get("/api/automation/capabilities").await;
    assert_eq!(capabilities["ocr_engines"], json!(["tesseract", "easyocr"]));
    let _terminal = terminal(&server, (200, 100), "Invoice total 1234 EUR\\nThe quick brown fox\\n");
    let region = json!({ "x": 190, "y": 90, "width": 510, "height": 180 });
    let snapshot = showing(&server, json!({ "region": region, "format": "png" }), "Invoice").await;
    let lines = |id: &str, engine: Value| json!({ "id": id, "name": id, "x": 10, "y": 10, "width": 480, "height": 140, "engine": engine });
    let ask = async |zones: Value, engine: &str| {
        let (status, answer) =
            server.post("/api/snapshots/ocr/execute", &json!({ "snapshot_id": snapshot, "zones": zones, "engine": engine })).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let answer = ask(json!([lines("a", Value::Null)]), "easyocr").await;
    assert_eq!(answer["engine"], "onnx", "{answer}");
    assert!(answer["results"][0]["text"].as_str().unwrap().contains("Invoice total 1234 EUR\nThe quick brown fox"), "{answer}");
    let both = ask(json!([lines("a", json!("onnx")), lines("b", Value::Null)]), "tesseract").await;
    assert_eq!(both["engine"], "auto", "{both}");
    // A language that only one of the two reads.
    let mut greek = lines("c", Value::Null);
    greek["language"] = json!("ell");
    let answer = ask(json!([greek]), "auto").await;
    assert_eq!((&answer["engine"], &answer["results"][0]["language"]), (&json!("onnx"), &json!("ell")), "{answer}");

    // On the screen, over REST and from a script, and in a zone that says what reads it.
    let find = json!({ "text": "brown fox", "engine": "onnx", "x": 190, "y": 90, "width": 510, "height": 180 });
    let (_, found) = server.post("/api/automation/text/find", &find).await;
    assert_eq!(found["found"]["text"], "brown fox", "{found}");
    let zone = json!({ "x": 200, "y": 100, "width": 480, "height": 140, "engine": "easyocr" });
    let put = reqwest::Client::new().put(server.url("/api/zones/lines")).json(&zone).send().await.unwrap();
    assert!(put.status().is_success(), "{}", put.text().await.unwrap());
    let (_, read) = server.post("/api/automation/text/read", &json!({ "zone": "lines" })).await;
    assert_eq!(read["engine"], "onnx", "{read}");
    let (_, read) = server.post("/api/automation/text/read", &json!({ "zone": "lines", "engine": "tesseract" })).await;
    assert_eq!(read["engine"], "tesseract", "{read}");
}

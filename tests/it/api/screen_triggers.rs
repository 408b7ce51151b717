//! `screen_trigger`: what appears on the server's own desktop starts runs.

use std::time::Duration;

use serde_json::{Value, json};
use trae::screen::{Capture, ImageFormat, Region};

use super::programs::Program;
use super::served::{self, Server, node};
use crate::desktop::display::{PATIENCE, Window, managed};

async fn start() -> (Server, String) {
    let server = served::start().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&display);
    (server, display)
}

/// Draws a trigger, and waits until it is armed and has looked.
async fn watch(server: &Server, id: &str, config: Value) {
    let graph = json!({ "id": id, "nodes": [node("eye", "screen_trigger", config)], "edges": [] });
    let (status, made) = server.post("/api/workflows/", &graph).await;
    assert_eq!(status, 201, "{made}");
    let (_, trigger) = server.get(&format!("/api/triggers/{id}:eye")).await;
    assert_eq!((&trigger["armed"], &trigger["type"]), (&json!(true), &json!("screen")), "{trigger}");
    tokio::time::sleep(Duration::from_millis(1500)).await;
}

/// The runs of a workflow, once there are so many that are over.
async fn runs(server: &Server, id: &str, count: usize) -> Vec<Value> {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (_, list) = server.get(&format!("/api/runs?workflow_id={id}")).await;
        let over: Vec<Value> = list["runs"].as_array().unwrap().iter().filter(|run| run["status"] == "succeeded").cloned().collect();
        if over.len() >= count {
            return over;
        }
        assert!(tokio::time::Instant::now() < end, "{id} has {} of {count} runs: {list}", over.len());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_appears_and_one_that_changes_start_runs() {
    let (server, display) = start().await;
    watch(&server, "saved", json!({ "text": "Order saved", "every": 0.2, "pace": 0, "stable_seconds": 0.3 })).await;
    let amount = json!({ "regex": "[0-9]{4}", "right_of": "Order", "whitelist": "0123456789", "every": 0.2, "pace": 0 });
    watch(&server, "amount", amount).await;
    watch(&server, "number", json!({ "regex": "Order ([0-9]+)", "event": "changes", "every": 0.2, "pace": 0, "stable_seconds": 0.6 }))
        .await;
    let first = Program::showing(&display, "Orders", "Order saved\nOrder 4711", "30x4+300+200");
    let run = runs(&server, "saved", 1).await.remove(0);
    assert_eq!((&run["trigger"], &run["result"]["event"]), (&json!("screen:saved:eye"), &json!("appears")), "{run}");
    assert_eq!(run["result"]["seen"]["text"], "Order saved", "{run}");
    let run = runs(&server, "number", 1).await.remove(0);
    assert_eq!((&run["result"]["seen"]["groups"], &run["result"]["before"]), (&json!(["4711"]), &Value::Null), "{run}");
    // What it stands beside has other characters than what is looked for.
    let run = runs(&server, "amount", 1).await.remove(0);
    assert_eq!(run["result"]["seen"]["text"], "4711", "{run}");
    drop(first);
    runs(&server, "number", 2).await;
    let _second = Program::showing(&display, "Orders", "Order saved\nOrder 4712", "30x4+300+200");
    // The newest first.
    let run = runs(&server, "number", 3).await.remove(0);
    assert_eq!(run["result"]["seen"]["groups"], json!(["4712"]), "{run}");
    assert_eq!(runs(&server, "saved", 2).await.len(), 2);
    let (_, trigger) = server.get("/api/triggers/saved:eye").await;
    assert!(trigger["last_fired"].is_string(), "{trigger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_the_screen_that_changes_starts_runs_and_the_rest_does_not() {
    let (server, display) = start().await;
    let wall = Window::open_on(&display, (0, 0), (1280, 800), 0x40_50_60);
    let patch = Window::open_on(&display, (100, 100), (50, 50), 0x10_10_10);
    let zone = json!({ "event": "changes", "x": 100, "y": 100, "width": 50, "height": 50, "every": 0.2, "pace": 0 });
    watch(&server, "patch", zone).await;
    let other = Window::open_on(&display, (600, 400), (50, 50), 0x10_10_10);
    other.paint(0xff_ff_ff);
    patch.paint(0xff_00_00);
    let run = runs(&server, "patch", 1).await.remove(0);
    assert_eq!((&run["result"]["event"], &run["result"]["seen"]["zone"]["x"]), (&json!("changes"), &json!(100)), "{run}");
    patch.paint(0x00_ff_00);
    assert_eq!(runs(&server, "patch", 2).await.len(), 2);
    drop(wall);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_window_is_watched_at_a_pace() {
    let (server, display) = start().await;
    let order = json!({ "regex": "Order [0-9]{4}", "event": "changes", "window": "Orders", "every": 0.2, "stable_seconds": 0.3 });
    let paced = |pace: u32| {
        let mut config = order.clone();
        config["pace"] = json!(pace);
        config
    };
    watch(&server, "each", paced(0)).await;
    watch(&server, "paced", paced(3600)).await;
    // What another window shows is no business of theirs.
    let _notes = Program::showing(&display, "Notes", "Order 1111", "30x4+300+500");
    let first = Program::showing(&display, "Orders", "Order 4711", "30x4+300+200");
    let run = runs(&server, "each", 1).await.remove(0);
    assert_eq!(run["result"]["seen"]["text"], "Order 4711", "{run}");
    drop(first);
    runs(&server, "each", 2).await;
    let _second = Program::showing(&display, "Orders", "Order 4712", "30x4+300+200");
    let told = runs(&server, "each", 3).await;
    let seen: Vec<&Value> = told.iter().map(|run| &run["result"]["seen"]["text"]).collect();
    assert_eq!(seen, [&json!("Order 4712"), &Value::Null, &json!("Order 4711")], "{told:?}");
    // It saw the same, and starts no more runs than it may.
    assert_eq!(runs(&server, "paced", 1).await.len(), 1);
}

/// Waits until a trigger says why it cannot do its work.
async fn noted(server: &Server, id: &str, why: &str) {
    let end = tokio::time::Instant::now() + PATIENCE;
    loop {
        let (_, trigger) = server.get(&format!("/api/triggers/{id}:eye")).await;
        if trigger["reason"].as_str().is_some_and(|reason| reason.contains(why)) {
            return;
        }
        assert!(tokio::time::Instant::now() < end, "{id} does not say {why}: {trigger}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_that_is_deleted_has_not_gone_from_the_screen() {
    let (server, display) = start().await;
    let _wall = Window::open_on(&display, (0, 0), (1280, 800), 0x40_50_60);
    let patch = Window::open_on(&display, (100, 100), (50, 50), 0xff_00_00);
    let client = reqwest::Client::new();
    let zone = json!({ "x": 90, "y": 90, "width": 80, "height": 80 });
    client.put(server.url("/api/zones/patch")).json(&zone).send().await.unwrap();
    let desktop = server.app.desktops.ready().await.unwrap();
    let capture = Capture { monitor: None, region: Some(Region { x: 95, y: 95, width: 60, height: 60 }) };
    let png = desktop.screen().capture(&capture).unwrap().encode(ImageFormat::Png, 80).unwrap();
    std::fs::write(server.data.path().join("files/patch.png"), png).unwrap();
    watch(&server, "gone", json!({ "image": "patch.png", "event": "disappears", "zone": "patch", "every": 0.2, "pace": 0 })).await;
    client.delete(server.url("/api/zones/patch")).send().await.unwrap();
    noted(&server, "gone", "\"patch\"").await;
    assert_eq!(server.get("/api/runs?workflow_id=gone").await.1["runs"], json!([]));
    // It is there again, and what it shows goes.
    client.put(server.url("/api/zones/patch")).json(&zone).send().await.unwrap();
    drop(patch);
    let run = runs(&server, "gone", 1).await.remove(0);
    assert_eq!((&run["result"]["event"], &run["result"]["before"]["x"]), (&json!("disappears"), &json!(95)), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_watched_is_not_armed_and_says_why() {
    let (server, _) = start().await;
    for (config, why) in [
        (json!({}), "say what is to appear"),
        (json!({ "text": "a", "regex": "b" }), "one of text, regex and image"),
        (json!({ "text": "a", "every": 0.01 }), "every"),
        (json!({ "text": "a", "x": 1 }), "together"),
        (json!({ "text": "a", "zone": "a", "monitor": 0 }), "one of them"),
        (json!({ "text": "a", "colour": "red" }), "colour"),
        (json!({ "text": "a", "occurrence": 0 }), "the first one is 1"),
        (json!({ "text": "a", "scales": [1.5] }), "only beside image"),
        (json!({ "image": "a.png", "scales": [100] }), "0.1 to 10"),
        (json!({ "image": "a.png", "right_of": "b" }), "only beside text or regex"),
    ] {
        let (_, answer) =
            server.post("/api/triggers", &json!({ "type": "screen", "source": { "workflow_id": "known" }, "config": config })).await;
        assert_eq!(answer["error_code"], "VALIDATION_ERROR", "{config}: {answer}");
        assert!(answer.to_string().contains(why), "{config}: {answer}");
    }
    // A language that is not installed, and the package that has it.
    watch(&server, "strange", json!({ "text": "a", "language": "xyz", "every": 0.2 })).await;
    noted(&server, "strange", "xyz").await;
    assert_eq!(server.get("/api/runs?workflow_id=strange").await.1["runs"], json!([]));
    // A zone that is not there yet: it is armed, says so, and is tried again.
    watch(&server, "later", json!({ "text": "a", "zone": "no-such-zone", "every": 0.2 })).await;
    noted(&server, "later", "no-such-zone").await;
}

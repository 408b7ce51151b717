//! `/api/zones`: parts of the screen with names, where they are now.

use base64::Engine as _;
use serde_json::{Value, json};
use trae::screen::{Capture, ImageFormat, Region};

use super::programs::Program;
use super::served::{self, Server, node};
use crate::desktop::display::{Window, managed};

async fn start() -> (Server, String) {
    let server = served::start().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&display);
    (server, display)
}

async fn put(server: &Server, name: &str, body: &Value) -> (u16, Value) {
    let answer = reqwest::Client::new().put(server.url(&format!("/api/zones/{name}"))).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn delete(server: &Server, name: &str) -> u16 {
    reqwest::Client::new().delete(server.url(&format!("/api/zones/{name}"))).send().await.unwrap().status().as_u16()
}

async fn post(server: &Server, path: &str, body: Value) -> Value {
    let (status, answer) = server.post(path, &body).await;
    assert_eq!(status, 200, "{path} {body}: {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_follows_the_window_and_the_text_it_stands_beside() {
    let (server, display) = start().await;
    let orders = "Invoice 4711\n\nTotal   12,50\n\nRest     7,00";
    let window = Program::showing(&display, "Orders", orders, "30x8+60+80");
    let total = post(&server, "/api/automation/text/wait", json!({ "text": "Total", "timeout": 30 })).await["found"].take();
    let beside =
        json!({ "window": "Orders", "anchor_text": "Total", "x": 60, "y": -5, "width": 120, "height": 28, "page_segmentation": 7 });
    let (status, made) = put(&server, "total", &beside).await;
    assert_eq!((status, &made["name"], &made["anchor_text"]), (201, &json!("total"), &json!("Total")), "{made}");
    assert_eq!(put(&server, "orders", &json!({ "window": "Orders", "description": "All of it" })).await.0, 201);

    let place = async |name: &str| server.get(&format!("/api/zones/{name}/place")).await;
    let (status, there) = place("total").await;
    // An engine puts boxes a pixel higher or lower, as it sees more or less around them.
    let near = |at: &Value, wanted: i64| at.as_i64().unwrap().abs_diff(wanted) < 3;
    assert!(near(&there["zone"]["x"], total["x"].as_i64().unwrap() + 60), "{there} {total}");
    assert!(near(&there["zone"]["y"], total["y"].as_i64().unwrap() - 5), "{there} {total}");
    assert_eq!((status, &there["zone"]["width"], &there["zone"]["height"]), (200, &json!(120), &json!(28)));
    let read = post(&server, "/api/automation/text/read", json!({ "zone": "total" })).await;
    assert_eq!(read["text"], "12,50", "{read}");
    let found = post(&server, "/api/automation/text/find", json!({ "regex": "[0-9]+,[0-9]+", "zone": "total" })).await;
    assert_eq!((&found["found"]["text"], &found["matches"].as_array().unwrap().len()), (&json!("12,50"), &1), "{found}");
    // A part of a zone counts from its corner.
    let part = json!({ "text": "Invoice", "zone": "orders", "x": 0, "y": 0, "width": 300, "height": 60 });
    assert!(post(&server, "/api/automation/text/find", part).await["found"].is_object());

    // The window moves, and the zone with it.
    let (_, windows) = server.get("/api/desktop/windows?title=Orders").await;
    let id = windows["windows"][0]["id"].as_u64().unwrap();
    post(&server, &format!("/api/desktop/windows/{id}/move"), json!({ "x": 500, "y": 300 })).await;
    post(&server, "/api/automation/text/wait", json!({ "text": "Total", "x": 500, "y": 300, "width": 400, "height": 300, "timeout": 30 }))
        .await;
    let (_, moved) = place("total").await;
    assert!(moved["zone"]["x"].as_i64().unwrap() > 500 && moved["zone"]["y"].as_i64().unwrap() > 300, "{moved}");
    assert_eq!(post(&server, "/api/automation/text/read", json!({ "zone": "total" })).await["text"], "12,50");

    // In a workflow, and in a script's click.
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("read", "ocr_zone", json!({ "zone": "total" })),
        node("click", "click_zone", json!({ "zone": "total" })),
    ]);
    let edges = json!([{ "id": "a", "source": "start", "target": "read" }, { "id": "b", "source": "read", "target": "click" }]);
    let (status, made) = server.post("/api/workflows/", &json!({ "id": "w", "nodes": nodes, "edges": edges })).await;
    assert!(status < 300, "{made}");
    let (_, run) = server.post("/api/workflows/w/execute", &json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["steps"][1]["output"]["text"]), (&json!("succeeded"), &json!("12,50")), "{run}");
    let (_, at) = server.get("/api/automation/mouse/position").await;
    assert_eq!(at["x"], run["steps"][2]["output"]["x"]);
    assert!(near(&at["x"], moved["zone"]["x"].as_i64().unwrap() + 60), "{at} {moved}");

    // What it stands beside goes.
    drop(window);
    post(&server, "/api/automation/text/wait", json!({ "text": "Total", "gone": true, "timeout": 30 })).await;
    let (status, answer) = place("total").await;
    assert_eq!((status, &answer["error_code"]), (404, &json!("NOT_FOUND")), "{answer}");
    let gone = post(&server, "/api/automation/text/wait", json!({ "text": "Total", "zone": "total", "gone": true, "timeout": 0 })).await;
    assert!(gone["found"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_zone_stands_beside_a_picture_and_is_clicked_there() {
    let (server, display) = start().await;
    let _wall = Window::open_on(&display, (0, 0), (1280, 800), 0x40_50_60);
    let mark =
        |x, y| [Window::open_on(&display, (x, y), (30, 30), 0xc0_20_20), Window::open_on(&display, (x + 6, y + 8), (12, 12), 0xff_ff_ff)];
    let first = mark(200, 150);
    let capture = Capture { monitor: None, region: Some(Region { x: 200, y: 150, width: 30, height: 30 }) };
    let desktop = server.app.desktops.ready().await.unwrap();
    let png = desktop.screen().capture(&capture).unwrap().encode(ImageFormat::Png, 80).unwrap();
    std::fs::write(server.data.path().join("files/mark.png"), &png).unwrap();
    let (status, made) = put(&server, "button", &json!({ "anchor_picture": "mark.png", "x": 50, "y": 0, "width": 20, "height": 10 })).await;
    assert_eq!(status, 201, "{made}");
    let picture = made["anchor_picture"].as_str().unwrap().split_once("base64,").unwrap().1;
    assert_eq!(base64::engine::general_purpose::STANDARD.decode(picture).unwrap(), png);
    let answer = post(&server, "/api/zones/button/click", json!({})).await;
    assert_eq!((&answer["data"]["x"], &answer["data"]["y"]), (&json!(260), &json!(155)));
    drop(first);
    let _second = mark(640, 400);
    let answer = post(&server, "/api/zones/button/click", json!({ "x": 1, "y": 2 })).await;
    assert_eq!((&answer["data"]["x"], &answer["data"]["y"]), (&json!(691), &json!(402)));

    // A picture of it.
    let nodes =
        json!([node("start", "manual_trigger", json!({})), node("shot", "screenshot", json!({ "path": "zone.png", "zone": "button" }))]);
    let graph = json!({ "id": "shot", "nodes": nodes, "edges": [{ "id": "a", "source": "start", "target": "shot" }] });
    assert!(server.post("/api/workflows/", &graph).await.0 < 300);
    let (_, run) = server.post("/api/workflows/shot/execute", &json!({ "wait": true })).await;
    let shot = &run["steps"][1]["output"];
    assert_eq!([&shot["x"], &shot["y"], &shot["width"], &shot["height"]], [690, 400, 20, 10], "{run}");

    // It is there after a restart, until it is forgotten.
    let server = server.restarted().await;
    let (_, all) = server.get("/api/zones").await;
    assert_eq!((&all["count"], &all["zones"][0]["name"]), (&json!(1), &json!("button")));
    assert_eq!(server.get("/api/zones/button").await.1["width"], 20);
    assert_eq!(delete(&server, "button").await, 200);
    assert_eq!(delete(&server, "button").await, 404);
    assert_eq!(server.get("/api/zones/button").await.0, 404);
    assert_eq!(server.get("/api/zones/button/place").await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_zone_is_refused_and_changes_nothing() {
    let (server, _) = start().await;
    for (name, body) in [
        ("a%20b", json!({ "x": 0, "y": 0, "width": 1, "height": 1 })),
        (&*"a".repeat(65), json!({ "x": 0, "y": 0, "width": 1, "height": 1 })),
        ("a", json!({})),
        ("a", json!({ "x": 0, "y": 0, "width": 0, "height": 1 })),
        ("a", json!({ "x": 0 })),
        ("a", json!({ "name": "b", "x": 0, "y": 0, "width": 1, "height": 1 })),
        ("a", json!({ "anchor_text": "Total" })),
        ("a", json!({ "anchor_text": "Total", "anchor_picture": "data:image/png;base64,AAAA", "x": 0, "y": 0, "width": 1, "height": 1 })),
        ("a", json!({ "anchor_picture": "data:image/png;base64,AAAA", "x": 0, "y": 0, "width": 1, "height": 1 })),
        ("a", json!({ "monitor": 0, "window": "x" })),
        ("a", json!({ "monitor": 0, "language": "../x" })),
        ("a", json!({ "monitor": 0, "colour": "red" })),
        ("a", json!({ "monitor": 0, "timeout": 0 })),
        ("a", json!({ "monitor": 0, "timeout": 3601 })),
    ] {
        let (status, answer) = put(&server, name, &body).await;
        assert_eq!((status, &answer["error_code"]), (422, &json!("VALIDATION_ERROR")), "{name} {body}: {answer}");
    }
    assert_eq!(server.get("/api/zones").await.1["count"], 0);
    // Where it would be larger than what it is a part of; and one whose text is not there.
    for (name, body) in [
        ("vast", json!({ "x": 0, "y": 0, "width": 60000, "height": 60000 })),
        ("over", json!({ "x": 1270, "y": 0, "width": 20, "height": 20 })),
        ("outside", json!({ "monitor": 0, "x": 5000, "y": 0, "width": 20, "height": 20 })),
        ("all", json!({ "monitor": 0 })),
        ("beside", json!({ "anchor_text": "Total", "x": 0, "y": 0, "width": 20, "height": 20 })),
    ] {
        assert_eq!(put(&server, name, &body).await.0, 201, "{name}");
    }
    // What a text is written with that no screen shows is kept as it is, and found nowhere.
    for (name, text) in [("empty", "To\u{0}tal"), ("turned", "\u{202e}latoT\u{202c}"), ("escape", "\u{1b}[2JTotal")] {
        let (status, made) = put(&server, name, &json!({ "anchor_text": text, "x": 0, "y": 0, "width": 20, "height": 20 })).await;
        assert_eq!((status, &made["anchor_text"]), (201, &json!(text)), "{made}");
        let (status, answer) = server.get(&format!("/api/zones/{name}/place")).await;
        let message = answer["error"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(status >= 400 && message.contains("is not there"), "{answer}");
        assert!(!message.contains(['\u{0}', '\u{202e}', '\u{1b}']), "{answer}");
    }
    let (_, answer) = server.get("/api/zones/beside/place").await;
    assert_eq!((&answer["details"]["zone"]["width"], &answer["details"]["seen"]), (&json!(1280), &json!("")), "{answer}");
    assert!(answer["details"]["image"].as_str().unwrap().starts_with("data:image/"), "{answer}");
    for (path, body, status) in [
        ("/api/automation/text/find", json!({ "text": "a", "zone": "nowhere" }), 404),
        ("/api/automation/text/find", json!({ "text": "a", "zone": "nowhere", "monitor": 0 }), 422),
        ("/api/zones/nowhere/click", json!({}), 404),
        ("/api/automation/text/read", json!({ "zone": "vast" }), 422),
        ("/api/zones/vast/click", json!({}), 422),
        ("/api/automation/text/read", json!({ "zone": "over" }), 422),
        ("/api/automation/text/read", json!({ "zone": "outside" }), 422),
        ("/api/automation/text/wait", json!({ "text": "a", "zone": "outside", "gone": true }), 422),
        ("/api/automation/text/read", json!({ "zone": "all", "x": 1270, "y": 0, "width": 20, "height": 20 }), 422),
    ] {
        let (told, answer) = server.post(path, &body).await;
        assert_eq!(told, status, "{path} {body}: {answer}");
    }
}

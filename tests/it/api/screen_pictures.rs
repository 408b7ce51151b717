//! `/api/automation/picture` and `/api/automation/screen`: pictures are found, waited for and clicked on the server's own desktop.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use trae::screen::{Capture, ImageFormat, Region};

use super::served::{self, Server, node};
use crate::desktop::display::{Window, eventually, managed};

/// A button of sorts, of windows without frames: a red square with a white one and a blue one in it.
struct Button(Vec<Window>);

impl Button {
    fn at(display: &str, (x, y): (i16, i16)) -> Self {
        let part = |dx: i16, dy: i16, side: u16, colour| Window::open_on(display, (x + dx, y + dy), (side, side), colour);
        Self(vec![part(0, 0, 40, 0xc0_20_20), part(6, 4, 16, 0xff_ff_ff), part(22, 24, 10, 0x20_20_c0)])
    }

    fn pressed(&self) -> bool {
        self.0.iter().any(|part| part.story().iter().any(|told| told.starts_with("press 1")))
    }
}

/// A server with a wall on its desktop.
async fn start() -> (Server, String, Window) {
    let server = served::start().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&display);
    let wall = Window::open_on(&display, (0, 0), (1280, 800), 0x40_50_60);
    (server, display, wall)
}

/// A part of the screen as a PNG.
async fn png(server: &Server, (x, y): (i32, i32), (width, height): (u32, u32)) -> Vec<u8> {
    let desktop = server.app.desktops.ready().await.unwrap();
    let capture = Capture { monitor: None, region: Some(Region { x, y, width, height }) };
    desktop.screen().capture(&capture).unwrap().encode(ImageFormat::Png, 80).unwrap()
}

/// The beginning of a PNG of that many pixels a side.
fn header(side: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let named = [kind, data].concat();
        let sum = named.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 & 0_u32.wrapping_sub(sum & 1)))
        });
        [&(data.len() as u32).to_be_bytes()[..], &named, &(!sum).to_be_bytes()].concat()
    };
    let size = [side.to_be_bytes(), side.to_be_bytes()].concat();
    [&b"\x89PNG\r\n\x1a\n"[..], &chunk(b"IHDR", &[&size[..], &[8, 2, 0, 0, 0]].concat()), &chunk(b"IDAT", b"\x78\x9c")].concat()
}

fn url(png: &[u8]) -> String {
    format!("data:image/png;base64,{}", STANDARD.encode(png))
}

async fn ask(server: &Server, what: &str, body: Value) -> Value {
    let (status, answer) = server.post(&format!("/api/automation/{what}"), &body).await;
    assert_eq!(status, 200, "{what}: {answer}");
    answer
}

fn place(found: &Value) -> (i64, i64) {
    (found["x"].as_i64().unwrap(), found["y"].as_i64().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_found_wherever_it_is_and_first_where_it_was() {
    let (server, display, _wall) = start().await;
    let (first, second) = (Button::at(&display, (300, 200)), Button::at(&display, (700, 500)));
    let picture = png(&server, (300, 200), (40, 40)).await;
    std::fs::write(server.data.path().join("files/button.png"), &picture).unwrap();
    let all = ask(&server, "picture/find", json!({ "picture": "button.png", "all": true })).await;
    let matches: Vec<_> = all["matches"].as_array().unwrap().iter().map(place).collect();
    assert_eq!(matches, [(300, 200), (700, 500)], "{all}");
    assert!(all["found"]["score"].as_f64().unwrap() > 0.99 && all["found"]["center_x"] == 320, "{all}");
    let second_one = ask(&server, "picture/find", json!({ "picture": "button.png", "occurrence": 2 })).await;
    assert_eq!(place(&second_one["found"]), (700, 500));
    let again = ask(&server, "picture/find", json!({ "picture": "button.png", "all": true })).await;
    assert_eq!((&again["known"], &again["matches"]), (&json!(true), &all["matches"]), "{again}");
    // In a part of the screen.
    let part = json!({ "picture": url(&picture), "x": 600, "y": 400, "width": 300, "height": 300 });
    assert_eq!(place(&ask(&server, "picture/find", part).await["found"]), (700, 500));
    // Where it was is looked at first; it has moved a little.
    ask(&server, "picture/find", json!({ "picture": "button.png", "occurrence": 1 })).await;
    // The first is the first from the top, wherever one was last.
    let below = json!({ "picture": "button.png", "x": 600, "y": 400, "width": 300, "height": 300 });
    assert_eq!(place(&ask(&server, "picture/find", below).await["found"]), (700, 500));
    let first_one = ask(&server, "picture/find", json!({ "picture": "button.png", "occurrence": 1, "min_score": 0.91 })).await;
    assert_eq!(place(&first_one["found"]), (300, 200));
    drop(first);
    let _moved = Button::at(&display, (305, 203));
    let moved = ask(&server, "picture/find", json!({ "picture": "button.png", "x": 0, "y": 0, "width": 640, "height": 400 })).await;
    assert_eq!(place(&moved["found"]), (305, 203), "{moved}");
    drop(second);
    let gone = ask(&server, "picture/find", json!({ "picture": "button.png", "all": true })).await;
    assert_eq!(gone["matches"].as_array().unwrap().iter().map(place).collect::<Vec<_>>(), [(305, 203)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_awaited_and_clicked_and_one_that_does_not_come_is_explained() {
    let (server, display, _wall) = start().await;
    let button = Button::at(&display, (300, 200));
    let picture = png(&server, (300, 200), (40, 40)).await;
    std::fs::write(server.data.path().join("files/button.png"), &picture).unwrap();
    drop(button);
    let (status, answer) = server.post("/api/automation/picture/wait", &json!({ "picture": "button.png", "timeout": 0.2 })).await;
    assert_eq!((status, &answer["error_code"]), (504, &json!("TIMEOUT")), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("\"button.png\" of 40×40 did not appear"), "{answer}");
    assert_eq!(answer["details"]["zone"]["width"], 1280);
    assert!(answer["details"]["image"].as_str().unwrap().starts_with("data:image/"));

    // Something like it, in other colours, is not it, and comes closest.
    let other: Vec<Window> = [(500, 300, 40, 0x20_c0_20), (506, 304, 16, 0xff_ff_ff), (522, 324, 10, 0xc0_20_c0)]
        .into_iter()
        .map(|(x, y, side, colour)| Window::open_on(&display, (x, y), (side, side), colour))
        .collect();
    let (_, answer) = server.post("/api/automation/picture/wait", &json!({ "picture": "button.png", "timeout": 0 })).await;
    let nearest = &answer["details"]["nearest"];
    assert!(place(nearest) == (500, 300) && nearest["score"].as_f64().unwrap() < 0.9, "{answer}");
    drop(other);

    // One whose inside may be anything is found by its frame.
    let frame: Vec<Window> = [(900, 100, 40, 0xc0_20_20), (904, 104, 32, 0x10_90_10)]
        .into_iter()
        .map(|(x, y, side, colour)| Window::open_on(&display, (x, y), (side, side), colour))
        .collect();
    let framed = url(&png(&server, (900, 100), (40, 40)).await);
    frame[1].paint(0xd0_d0_20);
    let around = |mask: &str| json!({ "picture": framed, "mask": mask, "x": 860, "y": 60, "width": 120, "height": 120 });
    let mask = image::GrayImage::from_fn(40, 40, |x, y| image::Luma([if (4..36).contains(&x) && (4..36).contains(&y) { 0 } else { 255 }]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    mask.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    std::fs::write(server.data.path().join("files/mask.png"), bytes.into_inner()).unwrap();
    let found = ask(&server, "picture/find", around("mask.png")).await;
    assert_eq!(place(&found["found"]), (900, 100), "{found}");
    let all = image::GrayImage::from_pixel(40, 40, image::Luma([255]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    all.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    assert!(ask(&server, "picture/find", around(&url(bytes.get_ref()))).await["found"].is_null());
    let small = url(&png(&server, (900, 100), (20, 40)).await);
    let (status, answer) = server.post("/api/automation/picture/find", &around(&small)).await;
    assert!(status == 422 && answer["error"].as_str().unwrap().contains("20×40"), "{answer}");
    drop(frame);

    let clicked =
        async { ask(&server, "picture/click", json!({ "find": { "picture": "button.png", "timeout": 30 }, "offset_x": -2 })).await };
    let opened = async { Button::at(&display, (640, 400)) };
    let (answer, button) = tokio::join!(clicked, opened);
    assert_eq!((&answer["data"]["x"], &answer["data"]["y"]), (&json!(658), &json!(420)));
    eventually("the click", || button.pressed().then_some(()));

    // The same in a workflow, and then it goes.
    image::GrayImage::from_pixel(40, 40, image::Luma([255])).save(server.data.path().join("files/all.png")).unwrap();
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("look", "find_image", json!({ "picture": "button.png", "mask": "all.png" })),
        node("click", "click_image", json!({ "picture": "button.png", "timeout": 5 })),
        node("gone", "wait_for_image", json!({ "picture": "button.png", "gone": true, "timeout": 0.3 })),
    ]);
    let edges = json!([
        { "id": "a", "source": "start", "target": "look" },
        { "id": "b", "source": "look", "target": "click", "sourceHandle": "found" },
        { "id": "c", "source": "click", "target": "gone" },
    ]);
    let (status, made) = server.post("/api/workflows/", &json!({ "id": "w", "nodes": nodes, "edges": edges })).await;
    assert!(status < 300, "{made}");
    let (_, run) = server.post("/api/workflows/w/execute", &json!({ "wait": true })).await;
    assert_eq!((&run["steps"][2]["status"], &run["error"]["code"]), (&json!("succeeded"), &json!("TIMEOUT")), "{run}");
    assert!(run["steps"][3]["error"]["details"]["image"].as_str().unwrap().starts_with("data:image/"), "{run}");
    assert!(button.pressed());
    drop(button);
    let gone = ask(&server, "picture/wait", json!({ "picture": "button.png", "gone": true, "timeout": 30 })).await;
    assert!(gone["found"].is_null());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_screen_is_watched_until_it_changes_or_stands_still() {
    let (server, display, wall) = start().await;
    let (status, answer) = server.get("/api/automation/screen/pixel?x=10&y=10").await;
    assert_eq!((status, &answer["colour"]), (200, &json!("#405060")), "{answer}");
    assert_eq!(server.get("/api/automation/screen/pixel?x=1280&y=10").await.0, 422);
    let zone = json!({ "x": 100, "y": 100, "width": 200, "height": 100, "timeout": 30 });
    let changed = async { ask(&server, "screen/change", zone.clone()).await };
    let opened = async {
        // It looked before that: a change that came first would be none.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        Window::open_on(&display, (150, 120), (30, 30), 0xff_ff_ff)
    };
    let (changed, patch) = tokio::join!(changed, opened);
    assert_eq!((&changed["changes"], &changed["zone"]["width"]), (&json!(1), &json!(200)));
    let (status, answer) =
        server.post("/api/automation/screen/change", &json!({ "x": 100, "y": 100, "width": 200, "height": 100, "timeout": 0.3 })).await;
    assert_eq!((status, &answer["error_code"]), (504, &json!("TIMEOUT")), "{answer}");
    let waiting = json!({ "x": 100, "y": 100, "width": 200, "height": 100, "timeout": 0.3 });
    let nodes = json!([node("start", "manual_trigger", json!({})), node("wait", "wait_for_change", waiting)]);
    let graph = json!({ "id": "change", "nodes": nodes, "edges": [{ "id": "a", "source": "start", "target": "wait" }] });
    assert!(server.post("/api/workflows/", &graph).await.0 < 300);
    let (_, run) = server.post("/api/workflows/change/execute", &json!({ "wait": true })).await;
    assert_eq!((&run["error"]["code"], &run["error"]["details"]["changes"]), (&json!("TIMEOUT"), &json!(0)), "{run}");
    // It flickers, and then it stands still.
    let still = async {
        ask(&server, "screen/still", json!({ "x": 100, "y": 100, "width": 200, "height": 100, "seconds": 0.6, "timeout": 30 })).await
    };
    let flicker = async {
        for colour in [0x10_10_10, 0x20_20_20, 0x30_30_30] {
            patch.paint(colour);
            tokio::time::sleep(std::time::Duration::from_millis(250)).await;
        }
    };
    let (still, ()) = tokio::join!(still, flicker);
    assert!(still["changes"].as_u64().unwrap() >= 1 && still["execution_time"].as_f64().unwrap() >= 0.6, "{still}");
    drop(wall);
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_compared_and_what_is_none_is_refused() {
    let (server, display, _wall) = start().await;
    let before = png(&server, (0, 0), (200, 100)).await;
    let _patch = Window::open_on(&display, (64, 32), (16, 16), 0xff_ff_ff);
    let after = png(&server, (0, 0), (200, 100)).await;
    let told = ask(&server, "picture/difference", json!({ "first": url(&before), "second": url(&after) })).await;
    assert_eq!((&told["same"], &told["pixels"]), (&json!(false), &json!(256)));
    assert_eq!(told["regions"], json!([{ "x": 64, "y": 32, "width": 16, "height": 16 }]));
    let same = ask(&server, "picture/difference", json!({ "first": url(&before), "second": url(&before), "tolerance": 3 })).await;
    assert_eq!((&same["same"], &same["part"]), (&json!(true), &json!(0.0)));

    std::fs::write(server.data.path().join("files/half.png"), &before[..before.len() / 2]).unwrap();
    std::fs::write(server.data.path().join("files/text.png"), "no picture").unwrap();
    let find = |body: Value| ("find", body);
    for (status, (what, body)) in [
        (422, find(json!({}))),
        (422, find(json!({ "picture": "half.png" }))),
        (422, find(json!({ "picture": "text.png" }))),
        (422, find(json!({ "picture": "data:image/png;base64,!!!" }))),
        (422, find(json!({ "picture": "data:image/png;base64,AAAA" }))),
        (404, find(json!({ "picture": "nowhere.png" }))),
        (422, find(json!({ "picture": url(&before), "min_score": 1.5 }))),
        (422, find(json!({ "picture": url(&before), "scales": [0.0] }))),
        (422, find(json!({ "picture": url(&before), "occurrence": 0 }))),
        (422, find(json!({ "picture": url(&before), "x": 0, "y": 0, "width": 60000, "height": 60000 }))),
        (422, find(json!({ "picture": url(&before), "colour": "red" }))),
        (422, ("click", json!({ "find": { "picture": url(&before), "gone": true } }))),
        (422, ("difference", json!({ "first": url(&before), "second": url(&png(&server, (0, 0), (100, 100)).await) }))),
        (422, ("difference", json!({ "first": url(&before) }))),
    ] {
        let (told, answer) = server.post(&format!("/api/automation/picture/{what}"), &body).await;
        assert_eq!(told, status, "{what}: {answer}");
    }
    // One of 60,000×60,000 by its header: refused by that, before ten gigabytes are asked for.
    let huge = url(&header(60_000));
    for (what, body) in [find(json!({ "picture": huge })), ("difference", json!({ "first": huge, "second": huge }))] {
        let (told, answer) = server.post(&format!("/api/automation/picture/{what}"), &body).await;
        assert_eq!((told, &answer["error_code"]), (422, &json!("VALIDATION_ERROR")), "{what}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains("limit"), "{what}: {answer}");
    }
    // A picture that is larger than the part that is looked at is not there.
    let larger = ask(&server, "picture/find", json!({ "picture": url(&before), "x": 0, "y": 0, "width": 50, "height": 50 })).await;
    assert!(larger["found"].is_null() && larger["nearest"].is_null());
}

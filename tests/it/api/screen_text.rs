//! `/api/automation/text`: real windows on the server's own desktop are read, found in, waited for and clicked.

use base64::Engine as _;
use serde_json::{Value, json};

use super::programs::Program;
use super::served::{self, Server, node};
use crate::desktop::display::{eventually, managed};

const ORDERS: &str = "Invoice 4711    Total 12,50\n\nInvoice 4712    Total 99,95\n\nRechnung für Müller";

async fn start() -> (Server, String) {
    let server = served::start().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&display);
    (server, display)
}

async fn text(server: &Server, what: &str, body: Value) -> Value {
    let (status, answer) = server.post(&format!("/api/automation/text/{what}"), &body).await;
    assert_eq!(status, 200, "{what} {body}: {answer}");
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_found_where_it_stands() {
    let (server, display) = start().await;
    let _window = Program::showing(&display, "Orders", &format!("{ORDERS}\n\nInvoice number 4715 is paid"), "40x9+60+80");
    let invoice = text(&server, "wait", json!({ "text": "invoice 4712", "timeout": 30 })).await["found"].take();
    assert_eq!((&invoice["text"], &invoice["score"]), (&json!("Invoice 4712"), &json!(1.0)), "{invoice}");
    let (y, bottom) = (invoice["y"].as_i64().unwrap(), invoice["y"].as_i64().unwrap() + invoice["height"].as_i64().unwrap());
    assert!(invoice["x"].as_i64().unwrap() >= 60 && y > 80 && bottom < 400, "{invoice}");
    assert_eq!(invoice["center_x"].as_i64().unwrap(), invoice["x"].as_i64().unwrap() + invoice["width"].as_i64().unwrap() / 2);

    let find = async |body: Value| text(&server, "find", body).await;
    let amount = find(json!({ "regex": "([0-9]+),([0-9]{2})", "right_of": "Invoice 4712" })).await;
    assert_eq!((&amount["found"]["text"], &amount["found"]["groups"]), (&json!("99,95"), &json!(["99", "95"])), "{amount}");
    let second = find(json!({ "text": "Total", "occurrence": 2 })).await;
    assert_eq!(second["matches"].as_array().unwrap().len(), 2, "{second}");
    assert!(second["found"]["y"].as_i64().unwrap().abs_diff(y) < 6, "{second}");
    let above = find(json!({ "regex": "[0-9]+,[0-9]+", "above": "99,95" })).await;
    assert_eq!(above["found"]["text"], "12,50", "{above}");
    let below = find(json!({ "regex": "[0-9]+,[0-9]+", "below": "12,50" })).await;
    assert_eq!(below["found"]["text"], "99,95", "{below}");
    let near = async |within: u32| find(json!({ "text": "Total", "near": "Invoice 4712", "within": within })).await["found"].take();
    assert!(near(200).await["y"].as_i64().unwrap().abs_diff(y) < 6);
    assert!(near(5).await.is_null());
    let exactly = async |text: &str, match_case: bool| find(json!({ "text": text, "match_case": match_case, "min_score": 1 })).await;
    assert!(exactly("invoice 4712", false).await["found"].is_object());
    assert!(exactly("invoice 4712", true).await["found"].is_null());
    // What it stands beside has other characters than those that it is read with.
    let digits = find(json!({ "regex": "[0-9]+,[0-9]{2}", "right_of": "Total", "whitelist": "0123456789," })).await;
    let mut amounts: Vec<_> = digits["matches"].as_array().unwrap().iter().map(|found| found["text"].as_str().unwrap()).collect();
    amounts.sort_unstable();
    assert_eq!(amounts, ["12,50", "99,95"], "{digits}");
    let none = find(json!({ "regex": "[0-9]+", "right_of": "Delivery", "whitelist": "0123456789," })).await;
    assert!(none["found"].is_null() && none["seen"].as_str().unwrap().contains("Invoice"), "{none}");
    // Read as a whole, prepared as is said.
    let steps = json!([{ "scale": 2 }, "invert_dark", { "border": 10 }]);
    let whole =
        json!({ "text": "Invoice 4712", "x": 70, "y": 108, "width": 380, "height": 170, "page_segmentation": 6, "preprocess": steps });
    assert!(find(whole).await["found"].is_object());
    // Letters of other languages.
    let name = find(json!({ "text": "für Müller", "language": "deu" })).await["found"].take();
    assert!(name["text"].as_str().unwrap().starts_with("für Müller"), "{name}");
    // Another number is another thing, and what comes closest is told.
    let none = find(json!({ "text": "Invoice 4713" })).await;
    assert!(none["found"].is_null() && none["nearest"]["text"].as_str().unwrap().starts_with("Invoice 471"), "{none}");
    assert!(none["seen"].as_str().unwrap().contains("Invoice 4711") && none["words"].as_u64().unwrap() > 8, "{none}");

    // Also in a long text; how what comes closest looks is told.
    let number = async |number: &str| find(json!({ "text": format!("Invoice number {number} is paid") })).await;
    assert_eq!(number("4715").await["found"]["score"], 1.0);
    let none = number("4716").await;
    assert!(none["found"].is_null() && none["image"].as_str().unwrap().starts_with("data:image/"), "{none}");

    // In a window, and in a part of it.
    let inside = find(json!({ "text": "Invoice 4712", "window": "orders" })).await;
    assert!(inside["found"]["y"].as_i64().unwrap().abs_diff(y) < 3, "{inside}");
    let top = find(json!({ "text": "Invoice 4712", "window": { "title": "Orders" }, "x": 0, "y": 0, "width": 300, "height": 50 })).await;
    assert!(top["found"].is_null() && top["zone"]["width"] == 300, "{top}");
    let (status, answer) = server.post("/api/automation/text/find", &json!({ "text": "a", "window": "no such window" })).await;
    assert_eq!((status, &answer["error_code"]), (404, &json!("NOT_FOUND")), "{answer}");
    assert!(answer["details"]["titles"].to_string().contains("Orders"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_not_read_again() {
    let (server, display) = start().await;
    let window = Program::showing(&display, "Orders", ORDERS, "40x8+60+80");
    text(&server, "wait", json!({ "text": "Invoice 4711", "timeout": 30 })).await;
    // Without the title bar, which says whether keys go to the window.
    let zone = json!({ "text": "Invoice 4711", "x": 70, "y": 108, "width": 380, "height": 150 });
    let first = text(&server, "find", zone.clone()).await;
    let again = text(&server, "find", zone.clone()).await;
    assert_eq!((&again["known"], &again["found"]), (&json!(true), &first["found"]), "{again}");
    assert!(again["execution_time"].as_f64().unwrap() < 0.05, "{again}");
    // Something changes elsewhere: it is still known. Something changes here: it is seen at once.
    let other = Program::showing(&display, "Other", "elsewhere", "20x4+700+500");
    text(&server, "wait", json!({ "text": "elsewhere", "timeout": 30 })).await;
    assert_eq!(text(&server, "find", zone.clone()).await["known"], true);
    drop(other);
    drop(window);
    text(&server, "wait", json!({ "text": "Invoice 4711", "gone": true, "timeout": 30 })).await;
    let gone = text(&server, "find", zone).await;
    assert!(gone["found"].is_null(), "{gone}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_come_is_explained() {
    let (server, display) = start().await;
    let _window = Program::showing(&display, "Orders", ORDERS, "40x8+60+80");
    text(&server, "wait", json!({ "text": "Invoice 4711", "timeout": 30 })).await;
    let explained = |answer: &Value| {
        let details = &answer["details"];
        assert!(details["nearest"]["text"].as_str().unwrap().starts_with("Invoice 471"), "{answer}");
        assert!(details["nearest"]["score"].as_f64().unwrap() < 0.85, "{answer}");
        assert!(details["seen"].as_str().unwrap().contains("Invoice 4712"), "{answer}");
        let boxes = details["boxes"].as_array().unwrap();
        assert!(boxes.iter().any(|word| word["text"] == "4712" && word["x"].as_i64().unwrap() > 60), "{answer}");
        assert_eq!(details["zone"]["width"], 1280);
        let image = details["image"].as_str().unwrap();
        let bytes = base64::engine::general_purpose::STANDARD.decode(image.split_once("base64,").unwrap().1).unwrap();
        let picture = image::load_from_memory(&bytes).unwrap().to_luma8();
        // It shows the letters of what comes closest, dark on white.
        assert!(picture.pixels().any(|pixel| pixel.0[0] < 60) && picture.pixels().any(|pixel| pixel.0[0] > 200));
        assert!(picture.width() < 400 && picture.height() < 120, "{}×{}", picture.width(), picture.height());
    };
    let (status, answer) = server.post("/api/automation/text/wait", &json!({ "text": "Invoice 4713", "timeout": 0.3 })).await;
    assert_eq!((status, &answer["error_code"]), (504, &json!("TIMEOUT")), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("comes closest"), "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("where 0.85 is asked for"), "{answer}");
    explained(&answer);

    // The same stands in a run's record.
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("wait", "wait_for_text", json!({ "text": "Invoice 4713", "timeout": 0.3 }))
    ]);
    let edges = json!([{ "id": "e", "source": "start", "target": "wait" }]);
    server.post("/api/workflows/", &json!({ "id": "w", "nodes": nodes, "edges": edges })).await;
    let (_, run) = server.post("/api/workflows/w/execute", &json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("TIMEOUT")), "{run}");
    explained(&run["steps"][1]["error"]);

    // What stands there, but not beside what it was to stand beside.
    let body = json!({ "text": "Total", "right_of": "Delivery", "timeout": 0 });
    let (_, answer) = server.post("/api/automation/text/wait", &body).await;
    assert!(answer["error"].as_str().unwrap().contains("\"Delivery\""), "{answer}");
    // Nearly the one beside which it was to stand.
    let (_, answer) = server.post("/api/automation/text/wait", &json!({ "text": "Total", "right_of": "Invoice 4719", "timeout": 0 })).await;
    assert!(answer["details"]["anchor"]["nearest"]["text"].as_str().unwrap().starts_with("Invoice 471"), "{answer}");
    let (_, answer) = server.post("/api/automation/text/wait", &json!({ "text": "Total", "occurrence": 3, "timeout": 0 })).await;
    assert!(answer["error"].as_str().unwrap().contains("there are only 2"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_awaited_and_clicked() {
    let (server, display) = start().await;
    let clicked = async { text(&server, "click", json!({ "find": { "text": "Speichern", "timeout": 30 } })).await };
    let arguments = ["--question", "--title=Frage", "--text=Alles gut?", "--ok-label=Speichern", "--cancel-label=Verwerfen"];
    // It comes while it is waited for.
    let opened = async { Program::start(&display, "zenity", &arguments) };
    let (answer, mut dialog) = tokio::join!(clicked, opened);
    assert_eq!(answer["data"]["x"], answer["data"]["found"]["center_x"]);
    let end = eventually("the dialog's end", || dialog.0.try_wait().unwrap());
    assert_eq!(end.code(), Some(0), "it was another button");
    text(&server, "wait", json!({ "text": "Speichern", "gone": true, "timeout": 30 })).await;

    // In a workflow: the other button, by where it stands.
    let mut dialog = Program::start(&display, "zenity", &arguments);
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        // A theme with pale letters on grey is not read to the letter.
        node("wait", "wait_for_text", json!({ "text": "Verwerfen", "timeout": 30, "min_score": 0.7 })),
        node("look", "find_text", json!({ "text": "Sp[a-z]+rn", "match_by": "regex", "page_segmentation": 11, "preprocess": "auto" })),
        node("click", "click_text", json!({ "text": "Verwerfen", "left_of": "{{ input.text }}", "min_score": 0.7 })),
    ]);
    let edges = json!([
        { "id": "a", "source": "start", "target": "wait" },
        { "id": "b", "source": "wait", "target": "look" },
        { "id": "c", "source": "look", "target": "click", "sourceHandle": "found" },
    ]);
    let (status, made) = server.post("/api/workflows/", &json!({ "id": "w", "nodes": nodes, "edges": edges })).await;
    assert!(status < 300, "{made}");
    let (_, run) = server.post("/api/workflows/w/execute", &json!({ "wait": true })).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let end = eventually("the dialog's end", || dialog.0.try_wait().unwrap());
    assert_eq!(end.code(), Some(1), "it was another button");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let (server, _) = start().await;
    for (what, body) in [
        ("find", json!({})),
        ("find", json!({ "text": "a", "regex": "b" })),
        ("find", json!({ "text": "" })),
        ("find", json!({ "text": "a\u{0}", "language": "eng\u{0}" })),
        ("find", json!({ "text": "a".repeat(300) })),
        ("find", json!({ "regex": "(" })),
        ("find", json!({ "regex": ".*" })),
        ("find", json!({ "text": "a", "x": 1 })),
        ("find", json!({ "text": "a", "x": 0, "y": 0, "width": 60000, "height": 60000 })),
        ("find", json!({ "text": "a", "x": 0, "y": 0, "width": 0, "height": 5 })),
        ("find", json!({ "text": "a", "x": -5, "y": 0, "width": 10, "height": 5 })),
        ("find", json!({ "text": "a", "monitor": 7 })),
        ("find", json!({ "text": "a", "monitor": 0, "window": "x" })),
        ("find", json!({ "text": "a", "window": [] })),
        ("find", json!({ "text": "a", "window": { "title_regex": "(" } })),
        ("find", json!({ "text": "a", "occurrence": 0 })),
        ("find", json!({ "text": "a", "within": 20 })),
        ("find", json!({ "text": "a", "min_score": 2 })),
        ("find", json!({ "text": "a", "colour": "red" })),
        ("wait", json!({ "text": "a", "timeout": -1 })),
        ("wait", json!({ "text": "a", "timeout": 1e9 })),
        ("click", json!({ "text": "a" })),
        ("click", json!({ "find": { "text": "a", "gone": true } })),
        ("read", json!({ "page_segmentation": 0 })),
        ("read", json!({ "timeout": 0 })),
        ("read", json!({ "timeout": 3601 })),
        ("read", json!({ "preprocess": [{ "scale": 4 }, { "scale": 4 }, { "scale": 4 }] })),
        ("read", json!({ "x": 1270, "y": 0, "width": 20, "height": 20 })),
    ] {
        let (status, answer) = server.post(&format!("/api/automation/text/{what}"), &body).await;
        assert_eq!((status, &answer["error_code"]), (422, &json!("VALIDATION_ERROR")), "{what} {body}: {answer}");
    }
    // Which field is meant stands beside it.
    for (body, path) in [
        (json!({ "regex": "(" }), "/regex"),
        (json!({ "text": "" }), "/text"),
        (json!({ "text": "a", "min_score": 2 }), "/min_score"),
        (json!({ "text": "a", "below": "" }), "/below"),
    ] {
        let (_, answer) = server.post("/api/automation/text/find", &body).await;
        assert_eq!(answer["details"]["errors"][0]["path"], path, "{body}: {answer}");
    }
    let (status, answer) = server.post("/api/automation/text/find", &json!({ "text": "a", "language": "xyz" })).await;
    assert_eq!((status, &answer["details"]["hint"]), (503, &json!("apt-get install tesseract-ocr-xyz")), "{answer}");
    let (status, answer) = server.post("/api/automation/text/find", &json!({ "text": "a", "target": "nowhere" })).await;
    assert_eq!(status, 404, "{answer}");
}

//! What is expected of a step: met, unmet or unknown, in its record.

use serde_json::{Value, json};

use super::programs::Program;
use super::served::{self, Server};
use crate::desktop::display::{Window, managed};

async fn start() -> (Server, String) {
    let server = served::start().await;
    let display = server.app.desktops.ready().await.unwrap().display().unwrap().to_owned();
    managed(&display);
    (server, display)
}

/// Runs a click of which something is expected.
async fn clicked(server: &Server, config: Value, settings: Value) -> Value {
    acted(server, "click_action", config, settings).await
}

/// The same with another node.
async fn acted(server: &Server, kind: &str, config: Value, settings: Value) -> Value {
    let nodes = json!([
        { "id": "start", "type": "manual_trigger", "position": { "x": 0, "y": 0 }, "data": {} },
        { "id": "click", "type": kind, "position": { "x": 0, "y": 0 }, "data": { "config": config, "settings": settings } },
    ]);
    let edges = json!([{ "id": "e", "source": "start", "target": "click" }]);
    // Each time anew.
    reqwest::Client::new().delete(server.url("/api/workflows/expect")).send().await.unwrap();
    let (status, made) = server.post("/api/workflows/", &json!({ "id": "expect", "nodes": nodes, "edges": edges })).await;
    assert!(status < 300, "{made}");
    let (_, run) = server.post("/api/workflows/expect/execute", &json!({ "wait": true })).await;
    run
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_that_changed_nothing_is_not_a_success() {
    let (server, display) = start().await;
    let wall = Window::open_on(&display, (0, 0), (1280, 800), 0x40_50_60);
    let run = clicked(&server, json!({ "x": 100, "y": 100 }), json!({ "expect": { "change": true, "within": 0.3 } })).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("TIMEOUT")), "{run}");
    let step = &run["steps"][1];
    assert_eq!(step["expectation"]["result"], "unmet");
    assert!(step["error"]["message"].as_str().unwrap().contains("did not change"), "{run}");
    assert_eq!(step["error"]["details"]["expectation"], "unmet");
    assert!(step["error"]["details"]["image"].as_str().unwrap().starts_with("data:image/"), "{run}");
    // It was clicked all the same.
    assert!(wall.story().iter().any(|told| told.starts_with("press 1 at 100,100")));

    // Where nothing is expected, it is not known whether it did anything.
    let run = clicked(&server, json!({ "x": 100, "y": 100 }), json!({})).await;
    assert_eq!((&run["status"], &run["steps"][1]["expectation"]["result"]), (&json!("succeeded"), &json!("unknown")), "{run}");
    assert!(run["logs"].to_string().contains("nothing on the screen changed"), "{run}");

    // Something that answers a click.
    let answers = async {
        let button = Window::open_on(&display, (300, 300), (60, 40), 0x80_80_80);
        let pressed = crate::desktop::display::PATIENCE;
        let end = tokio::time::Instant::now() + pressed;
        while !button.story().iter().any(|told| told.starts_with("press 1")) {
            assert!(tokio::time::Instant::now() < end, "it was not clicked");
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        button.paint(0x20_c0_20);
        button
    };
    let expect = json!({ "expect": { "change": true, "x": 290, "y": 290, "width": 80, "height": 60, "within": 10 } });
    let paints = async {
        let button = Window::open_on(&display, (500, 300), (60, 40), 0x80_80_80);
        let heard = async {
            while !button.story().iter().any(|told| told.starts_with("press 1")) {
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(crate::desktop::display::PATIENCE, heard).await.expect("it is clicked");
        button.paint(0x20_20_c0);
        button
    };
    let (run, painted) = tokio::join!(clicked(&server, json!({ "x": 520, "y": 320, "duration": 2 }), json!({})), paints);
    assert_eq!((&run["status"], &run["steps"][1]["expectation"]), (&json!("succeeded"), &Value::Null), "{run}");
    drop(painted);
    let (run, button) = tokio::join!(clicked(&server, json!({ "x": 320, "y": 320 }), expect), answers);
    assert_eq!((&run["status"], &run["steps"][1]["expectation"]["result"]), (&json!("succeeded"), &json!("met")), "{run}");
    let around = trae::screen::Capture { monitor: None, region: Some(trae::screen::Region { x: 290, y: 290, width: 80, height: 60 }) };
    let desktop = server.app.desktops.ready().await.unwrap();
    let picture = desktop.screen().capture(&around).unwrap().encode(trae::screen::ImageFormat::Png, 80).unwrap();
    std::fs::write(server.data.path().join("files/green.png"), picture).unwrap();
    // Its colour can be expected as well, and that it is another one.
    for (expect, result) in [
        (json!({ "pixel": { "x": 310, "y": 310, "colour": "#20c020" }, "within": 5 }), "met"),
        (json!({ "pixel": { "x": 310, "y": 310, "colour": "#20c828", "tolerance": 8 }, "within": 5 }), "met"),
        (json!({ "pixel": { "x": 310, "y": 310, "colour": "#ffffff" }, "within": 0.2 }), "unmet"),
        (json!({ "pixel": { "x": 310, "y": 310, "colour": "#ffffff" }, "gone": true, "within": 0.2 }), "met"),
        (json!({ "image": "green.png", "monitor": 0, "within": 5 }), "met"),
        (json!({ "image": "green.png", "x": 0, "y": 0, "width": 200, "height": 200, "within": 0.2 }), "unmet"),
        (json!({ "change": true, "monitor": 0, "within": 0.2 }), "unmet"),
        (json!({ "file": "out.txt", "within": 0.2 }), "unmet"),
        (json!({ "file": "out.txt", "gone": true, "within": 0.2 }), "met"),
        (json!({ "window": "no such window", "within": 0.2 }), "unmet"),
        (json!({ "window": "no such window", "gone": true, "within": 0.2 }), "met"),
    ] {
        let run = clicked(&server, json!({ "x": 320, "y": 320 }), json!({ "expect": expect })).await;
        assert_eq!(run["steps"][1]["expectation"]["result"], result, "{expect}: {run}");
        assert_eq!(run["status"], if result == "met" { "succeeded" } else { "failed" }, "{expect}");
        if result == "unmet" && expect["file"].is_null() {
            assert!(run["error"]["details"]["image"].as_str().unwrap().starts_with("data:image/"), "{expect}: {run}");
            assert!(run["error"]["details"]["zone"].is_object(), "{expect}: {run}");
        }
    }
    drop(button);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_windows_are_expected_and_retried_for() {
    let (server, display) = start().await;
    let opened = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        Program::showing(&display, "Orders", "Order saved", "30x4+300+200")
    };
    let expect = json!({ "expect": { "text": "Order saved", "in_window": "Orders", "within": 30 } });
    let (run, _window) = tokio::join!(clicked(&server, json!({ "x": 5, "y": 5 }), expect), opened);
    assert_eq!((&run["status"], &run["steps"][1]["expectation"]["result"]), (&json!("succeeded"), &json!("met")), "{run}");
    let run = clicked(&server, json!({ "x": 5, "y": 5 }), json!({ "expect": { "window": "orders", "within": 20 } })).await;
    assert_eq!(run["steps"][1]["expectation"]["result"], "met", "{run}");
    // Unmet, it is tried again, and what it met with is told.
    let settings = json!({ "expect": { "text": "Order refused", "within": 0.2 }, "retry": { "times": 1, "wait": 0 } });
    let run = clicked(&server, json!({ "x": 5, "y": 5 }), settings).await;
    let attempts: Vec<_> = run["steps"].as_array().unwrap().iter().filter(|step| step["step_id"] == "click").collect();
    assert_eq!((attempts.len(), &run["status"]), (2, &json!("failed")), "{run}");
    assert!(attempts.iter().all(|step| step["expectation"]["result"] == "unmet"), "{run}");
    assert!(run["error"]["details"]["seen"].as_str().unwrap().contains("Order saved"), "{run}");
    // What cannot be looked at is not known, and fails nothing.
    let run = clicked(&server, json!({ "x": 5, "y": 5 }), json!({ "expect": { "text": "Order", "language": "xyz", "within": 0.2 } })).await;
    let expectation = &run["steps"][1]["expectation"];
    assert_eq!((&run["status"], &expectation["result"]), (&json!("succeeded"), &json!("unknown")), "{run}");
    assert_eq!(expectation["details"]["hint"], "apt-get install tesseract-ocr-xyz", "{run}");
    assert!(run["logs"].to_string().contains("is not known"), "{run}");
    // A zone that does not exist is a mistake.
    for expect in [json!({ "text": "Order", "zone": "no-such-zone" }), json!({ "change": true, "zone": "no-such-zone" })] {
        let run = clicked(&server, json!({ "x": 5, "y": 5 }), json!({ "expect": expect })).await;
        assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("VALIDATION_ERROR")), "{expect}: {run}");
        assert!(run["error"]["message"].as_str().unwrap().contains("no-such-zone"), "{run}");
    }
    // Which of several, as where texts are looked for.
    for (expect, result) in [
        (json!({ "text": "saved", "right_of": "Order", "in_window": "Orders", "within": 5 }), "met"),
        (json!({ "text": "saved", "left_of": "Order", "in_window": "Orders", "within": 0.2 }), "unmet"),
        (json!({ "regex": "Order [a-z]+", "occurrence": 2, "in_window": "Orders", "within": 0.2 }), "unmet"),
        (json!({ "text": "ORDER SAVED", "match_case": true, "in_window": "Orders", "within": 0.2 }), "unmet"),
    ] {
        let run = clicked(&server, json!({ "x": 5, "y": 5 }), json!({ "expect": expect })).await;
        assert_eq!(run["steps"][1]["expectation"]["result"], result, "{expect}: {run}");
    }
    // A dry run expects nothing.
    let (_, dry) = server.post("/api/workflows/expect/execute", &json!({ "wait": true, "dry_run": true })).await;
    assert_eq!(dry["status"], "succeeded", "{dry}");
}

/// A terminal that shows no cursor and has no border, so that it looks the same with and without the pointer in it.
fn terminal(display: &str, title: &str, place: &str, script: &str) -> Program {
    let look = ["-u8", "-fa", "DejaVu Sans Mono", "-fs", "14", "-fg", "black", "-bg", "white", "-bw", "0", "+sb"];
    let script = format!("stty -icanon -echo; printf '\\033[?25l'; {script}; exec sleep 600");
    Program::start(display, "xterm", &[&look[..], &["-T", title, "-geometry", place, "-e", "sh", "-c", &script]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_on_a_text_that_changed_nothing_is_not_a_success() {
    let (server, display) = start().await;
    let _deaf = terminal(&display, "Deaf", "20x4+100+100", "printf 'Press me'");
    // It hears of clicks, and answers the first.
    let _answers = terminal(&display, "Answers", "20x4+600+100", "printf '\\033[?1000hSubmit'; head -c 6 > /dev/null; printf ' done'");
    let (_, seen) = server.post("/api/automation/text/wait", &json!({ "text": "Press me", "timeout": 30 })).await;
    assert!(seen["found"].is_object(), "{seen}");
    let click = |text: &str, window: &str| json!({ "text": text, "window": window, "timeout": 30 });
    // Without the title bar, which says whether keys go to the window.
    let expect = |window: &str, within: f64| json!({ "expect": { "change": true, "in_window": window, "x": 4, "y": 26, "width": 180, "height": 50, "within": within } });
    let run = acted(&server, "click_text", click("Press me", "Deaf"), expect("Deaf", 1.0)).await;
    assert_eq!((&run["status"], &run["steps"][1]["expectation"]["result"]), (&json!("failed"), &json!("unmet")), "{run}");
    assert!(run["steps"][1]["error"]["message"].as_str().unwrap().contains("did not change"), "{run}");
    let run = acted(&server, "click_text", click("Submit", "Answers"), expect("Answers", 20.0)).await;
    assert_eq!((&run["status"], &run["steps"][1]["expectation"]["result"]), (&json!("succeeded"), &json!("met")), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_there_before_has_changed_once_it_is() {
    let (server, display) = start().await;
    let opened = async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        Program::showing(&display, "Dialog", "Really?", "20x4+300+200")
    };
    let expect = |within: f64| json!({ "expect": { "change": true, "in_window": "Dialog", "within": within } });
    let run = clicked(&server, json!({ "x": 5, "y": 5 }), expect(0.2)).await;
    assert_eq!((&run["status"], &run["steps"][1]["expectation"]["result"]), (&json!("failed"), &json!("unmet")), "{run}");
    assert!(run["error"]["message"].as_str().unwrap().contains("was not there before"), "{run}");
    let (run, _dialog) = tokio::join!(clicked(&server, json!({ "x": 5, "y": 5 }), expect(30.0)), opened);
    assert_eq!((&run["status"], &run["steps"][1]["expectation"]["result"]), (&json!("succeeded"), &json!("met")), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_expected_is_a_problem_of_the_graph() {
    let (server, _) = start().await;
    for (expect, path) in [
        (json!({}), "/nodes/1/data/settings/expect"),
        (json!({ "text": "a", "change": true }), "/nodes/1/data/settings/expect"),
        (json!({ "change": false }), "/nodes/1/data/settings/expect"),
        (json!({ "text": "a", "within": -1 }), "/nodes/1/data/settings/expect/within"),
        (json!({ "pixel": { "x": 1, "y": 1, "colour": "red" } }), "/nodes/1/data/settings/expect/pixel/colour"),
        (json!({ "words": "a" }), "/nodes/1/data/settings/expect/words"),
        (json!({ "pixel": { "x": 1, "y": 1, "colour": "#000000" }, "in_window": "X" }), "/nodes/1/data/settings/expect/in_window"),
        (json!({ "change": true, "gone": true }), "/nodes/1/data/settings/expect/gone"),
        (json!({ "window": "X", "min_score": 0.5 }), "/nodes/1/data/settings/expect/min_score"),
        (json!({ "file": "a.txt", "zone": "a" }), "/nodes/1/data/settings/expect/zone"),
        (json!({ "regex": "a", "match_case": true }), "/nodes/1/data/settings/expect/match_case"),
        (json!({ "text": "a", "x": 1 }), "/nodes/1/data/settings/expect/x"),
        (json!({ "text": "a", "zone": "a", "monitor": 0 }), "/nodes/1/data/settings/expect/zone"),
        (json!({ "text": "{{ input.no }} saved" }), "/nodes/1/data/settings/expect/text"),
        (json!({ "window": "{{ input.title }}" }), "/nodes/1/data/settings/expect/window"),
    ] {
        let nodes = json!([
            { "id": "start", "type": "manual_trigger", "position": { "x": 0, "y": 0 }, "data": {} },
            { "id": "click", "type": "click_action", "position": { "x": 0, "y": 0 }, "data": { "config": { "x": 1, "y": 1 }, "settings": { "expect": expect } } },
        ]);
        let graph = json!({ "nodes": nodes, "edges": [{ "id": "e", "source": "start", "target": "click" }] });
        let (_, answer) = server.post("/api/workflows/validate", &graph).await;
        assert!(answer.to_string().contains(&format!("\"{path}\"")), "{expect}: {answer}");
    }
}

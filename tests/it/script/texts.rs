//! `ocr::` in scripts: finding texts on the desktop that they see, and in pictures of it.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use trae::error::{Classify, Kind};
use trae::host::Outcome;
use trae::ocr;
use trae::policy::Permissions;
use trae::sight::{Sight, TextSearch, Zone};

use super::{host, job, program};
use crate::desktop::display::managed;

/// Finds the same text on the screen, in a part of it, in a window and in a picture.
const STORY: &str = r#"
    let seen = ocr::wait_for_text("Order 4711", #{ timeout: 30 });
    let told = [seen.text == "Order 4711" && seen.score == 1.0];
    let again = ocr::find("order 4711", #{ x: seen.x - 10, y: seen.y - 10, width: seen.width + 20, height: seen.height + 20 });
    told.push((again.x - seen.x).abs() < 3 && (again.center_y - seen.center_y).abs() < 3);
    told.push((ocr::find("Order 4711", #{ window: "orders" }).y - seen.y).abs() < 3);
    told.push((ocr::find("Order 4711", #{ window: window::find(#{ title: "orders" }).id }).y - seen.y).abs() < 3);
    let picture = screen::capture(#{ region: #{ x: seen.x - 6, y: seen.y - 6, width: seen.width + 12, height: seen.height + 12 } });
    let inside = ocr::find("Order 4711", #{ image: picture });
    told.push((inside.x - 6).abs() < 3 && (inside.y - 6).abs() < 3);
    told.push(ocr::read(#{ image: picture, x: 2, y: 2, width: seen.width + 8, height: seen.height + 8 }).text == "Order 4711");
    told.push(ocr::find_all(#{ regex: "Order ([0-9]+)" }).map(|found| found.groups[0]) == ["4711", "4712"]);
    told.push(ocr::find("Order 4711", #{ below: "Order 4712" }) == ());
    told.push(ocr::look_for(#{ text: "Order 4711" }).known);
    let caught = ();
    try { ocr::click_text("Order 4713", #{ timeout: 0 }); } catch (error) { caught = error; }
    told.push(caught.code == "TIMEOUT" && caught.details.image.starts_with("data:image/"));
    let at = ocr::click_text("Order 4712", #{ offset_x: 5 });
    told.push(mouse::position() == #{ x: at.center_x + 5, y: at.center_y });
    for wrong in [#{}, #{ text: "a", image: 5 }, #{ text: "a", image: picture, timeout: 1 }, #{ text: "a", windw: "x" }] {
        try { ocr::find(wrong); told.push(false); } catch (error) { told.push(error.code == "VALIDATION_ERROR"); }
    }
    for wrong in [#{ zone: "total" }, #{ window: "orders" }, #{ monitor: 0 }] {
        wrong.image = picture;
        try { ocr::read(wrong); told.push(false); } catch (error) { told.push(error.code == "VALIDATION_ERROR"); }
    }
    try { ocr::read(#{ x: 0, y: 0, width: 10, height: 10, target: "nowhere" }); told.push(false); } catch (error) { told.push(error.code == "NOT_FOUND"); }
    try { screen::capture(#{ zone: "nowhere" }); told.push(false); } catch (error) { told.push(error.code == "NOT_FOUND"); }
    try { screen::capture(#{ zone: "nowhere", monitor: 0 }); told.push(false); } catch (error) { told.push(error.code == "VALIDATION_ERROR"); }
    try { ocr::click_text(#{ text: "a", target: "x" }); told.push(false); } catch (error) { told.push(error.code == "VALIDATION_ERROR"); }
    told
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_script_finds_and_clicks_texts() {
    let capabilities = super::capabilities();
    let desktop = capabilities.desktops.ready().await.unwrap();
    let display = desktop.display().unwrap().to_owned();
    managed(&display);
    let look = ["-fa", "DejaVu Sans Mono", "-fs", "14", "-fg", "black", "-bg", "white", "-cr", "white"];
    let what = [
        "-T",
        "Orders",
        "-geometry",
        "30x8+50+50",
        "-e",
        "sh",
        "-c",
        "printf '\\n\\n    Order 4711\\n\\n    Order 4712\\n'; exec sleep 600",
    ];
    let mut terminal = Command::new("xterm")
        .args(["-display", &display])
        .args(look)
        .args(what)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let settings = trae::host::Settings { runner: env!("CARGO_BIN_EXE_trae").into(), max_runners: 4 };
    let host = trae::host::Host::new(capabilities, settings).unwrap();
    let mut story = program(STORY);
    story.permissions = Permissions::all();
    let ran = super::run_on(&host, Arc::new(story)).await;
    let _ = terminal.kill();
    terminal.wait().unwrap();
    let told = ran.value();
    assert!(told.as_array().unwrap().iter().all(|right| *right == json!(true)), "{told}");
    assert_eq!(told.as_array().unwrap().len(), 22);
}

#[tokio::test(flavor = "multi_thread")]
async fn finding_and_clicking_are_granted_apart() {
    let host = host();
    let files = tempfile::tempdir().unwrap();
    for (source, screen, input, refused) in [
        ("ocr::find(\"nowhere\"); 1", true, false, false),
        ("try { ocr::click_text(\"nowhere\", #{ timeout: 0 }); } catch (error) { error.code }", true, false, false),
        ("ocr::find(\"nowhere\")", false, true, true),
    ] {
        let mut asked = program(source);
        asked.permissions = Permissions { screen, input, ..Permissions::default() };
        let (job, _) = job(Arc::new(asked), files.path());
        let outcome = host.run(job).await;
        let was_refused = matches!(&outcome, Outcome::Failed(error) if error.code == Kind::PermissionDenied);
        assert_eq!(was_refused, refused, "{source}: {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_screen_that_is_not_read_in_time_is_shown() {
    // The display lives as long as these.
    let capabilities = super::capabilities();
    let desktop = capabilities.desktops.ready().await.unwrap();
    let hasty = ocr::Settings {
        languages: vec!["eng".to_owned()],
        timeout: Duration::from_millis(1),
        confidence_threshold: 0.7,
        models: "no-models".into(),
    };
    let sight = Sight::new(Arc::new(ocr::Ocr::new(hasty)));
    let never = CancellationToken::new();
    for timeout in [None, Some(0.2)] {
        let search = TextSearch { text: Some("nowhere".to_owned()), timeout, ..TextSearch::default() };
        let late = sight.find_text(&desktop, search, &never).await.unwrap_err();
        let details = late.details().unwrap();
        assert!(late.kind() == Kind::Timeout && late.to_string().contains("could not be read in time"), "{late}");
        assert_eq!(details["zone"]["width"], 1280, "{details}");
        assert!(details["image"].as_str().unwrap().starts_with("data:image/"), "{details}");
    }
    let late = sight.read(&desktop, Zone::default(), ocr::Reading::default(), &never).await.unwrap_err();
    assert!(late.kind() == Kind::Timeout && late.details().unwrap()["image"].is_string(), "{late}");
}

//! `window::` in scripts, on the desktop that they see.

use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::json;
use trae::host::Outcome;
use trae::policy::Permissions;

use super::{host, job, program};
use crate::desktop::display::managed;

/// Finds, moves, pictures and closes a terminal.
const STORY: &str = r#"
    let seen = window::wait(#{ title: "order", timeout: 20 });
    let told = [window::find(#{ class: "xterm" }).id == seen.id, window::get(seen.id).pid == seen.pid];
    let moved = window::move(seen.id, 200, 100);
    told.push(moved.x == 200 && moved.y == 100);
    told.push(window::resize(seen.id, 400, 300).width > 350);
    told.push(window::minimize(seen.id).is_minimized);
    let caught = ();
    try { window::capture(seen.id); } catch (error) { caught = error.code; }
    told.push(caught == "CONFLICT");
    told.push(window::restore(seen.id).is_visible);
    told.push(window::maximize(seen.id).is_maximized);
    told.push(!window::restore(seen.id).is_maximized);
    told.push(window::focus(seen.id).is_focused);
    let image = window::capture(seen.id);
    let now = window::get(seen.id);
    told.push(image.width == now.width && image.height == now.height && image.x == now.x && image.y == now.y);
    told.push(image.crop(#{ x: now.frame.left, y: now.frame.top, width: 10, height: 10 }).width == 10);
    told.push(window::close(seen.id) == ());
    caught = ();
    try { window::focus(seen.id); } catch (error) { caught = error.code; }
    told.push(caught == "NOT_FOUND");
    for id in [-1, 4294967296] {
        try { window::get(id); } catch (error) { told.push(error.code == "NOT_FOUND"); }
    }
    for wrong in [|| window::move(1, 99999999999, 0), || window::resize(1, -5, 5), || window::list(#{ name: "x" }), || window::list(#{ title_regex: "(" })] {
        try { wrong.call(); told.push(false); } catch (error) { told.push(error.code == "VALIDATION_ERROR"); }
    }
    told
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_script_finds_moves_pictures_and_closes_a_window() {
    let capabilities = super::capabilities();
    let desktop = capabilities.desktops.ready().await.unwrap();
    let display = desktop.display().unwrap().to_owned();
    managed(&display);
    let arguments = ["-display", &display, "-T", "Order 4711", "-geometry", "40x10+50+50", "-e", "sleep", "600"];
    let mut terminal = Command::new("xterm").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let settings = trae::host::Settings { runner: env!("CARGO_BIN_EXE_trae").into(), max_runners: 4 };
    let host = trae::host::Host::new(capabilities, settings).unwrap();
    let mut story = program(STORY);
    story.permissions = Permissions::all();
    let ran = super::run_on(&host, Arc::new(story)).await;
    let told = ran.value();
    assert!(told.as_array().unwrap().iter().all(|right| *right == json!(true)), "{told}");
    assert_eq!(told.as_array().unwrap().len(), 20);
    terminal.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_and_acting_are_granted_apart() {
    let host = host();
    let files = tempfile::tempdir().unwrap();
    for (source, screen, input, refused) in [
        ("window::list(); 1", true, false, false),
        ("window::focus(1)", true, false, true),
        ("window::list()", false, true, true),
        ("window::capture(1)", false, true, true),
        ("try { window::focus(1) } catch (error) { error.code }", false, true, false),
    ] {
        let mut asked = program(source);
        asked.permissions = Permissions { screen, input, ..Permissions::default() };
        let (job, _) = job(Arc::new(asked), files.path());
        let outcome = host.run(job).await;
        let was_refused = matches!(&outcome, Outcome::Failed(error) if error.code == trae::error::Kind::PermissionDenied);
        assert_eq!(was_refused, refused, "{source}: {outcome:?}");
        assert!(was_refused || matches!(outcome, Outcome::Succeeded(_)), "{source}: {outcome:?}");
    }
}

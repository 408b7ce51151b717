//! `vision::` in scripts, on the desktop that they see.

use std::sync::Arc;

use serde_json::json;
use trae::policy::Permissions;

use super::program;
use crate::desktop::display::{Window, managed};

/// A red square with a white one in it stands at (300, 200) and at (620, 400); a file is made of it.
const STORY: &str = r#"
    let button = screen::capture(#{ region: #{ x: 300, y: 200, width: 40, height: 40 } });
    button.save("button.png");
    let told = [vision::find("button.png").x == 300];
    told.push(vision::find_all(button, #{}).map(|found| [found.x, found.y]) == [[300, 200], [620, 400]]);
    told.push(vision::find("button.png", #{ occurrence: 2, min_score: 0.95 }).center_x == 640);
    told.push(vision::look_for(button, #{ all: true }).known);
    let screen = screen::capture();
    told.push(vision::find(button, #{ image: screen, x: 500, y: 300, width: 300, height: 300 }).y == 400);
    let at = vision::click("button.png", #{ offset_y: 3 });
    told.push(mouse::position() == #{ x: at.center_x, y: at.center_y + 3 });
    told.push(vision::pixel(305, 205) == [192, 32, 32]);
    told.push(vision::wait_until_still(#{ seconds: 0.2, x: 300, y: 200, width: 40, height: 40 }).zone.x == 300);
    told.push(vision::difference(screen, screen, 0).same);
    let other = screen.crop(#{ x: 306, y: 205, width: 28, height: 26 });
    let mask = screen.crop(#{ x: 302, y: 201, width: 28, height: 26 });
    told.push(vision::find(other, #{ mask: mask, image: screen, min_score: 0.95 }) != ());
    try { vision::find(button, #{ mask: mask }); told.push(false); } catch (error) { told.push(error.code == "VALIDATION_ERROR"); }
    let caught = ();
    try { vision::wait(screen.crop(#{ x: 280, y: 180, width: 60, height: 60 }), #{ x: 0, y: 0, width: 200, height: 200, timeout: 0.1 }); } catch (error) { caught = error; }
    told.push(caught.code == "TIMEOUT" && caught.details.image.starts_with("data:image/"));
    try { vision::wait_for_change(#{ image: button, timeout: 0.1 }); told.push(false); } catch (error) { told.push(error.code == "TIMEOUT"); }
    let elsewhere = screen::capture(#{ region: #{ x: 0, y: 0, width: 40, height: 40 } });
    for wrong in [|| vision::find(5), || vision::find("button.png", #{ image: 5 }), || vision::find("button.png", #{ colour: "red" }), || vision::difference(button, screen, 0), || vision::difference(button, elsewhere, 300)] {
        try { wrong.call(); told.push(false); } catch (error) { told.push(error.code == "VALIDATION_ERROR"); }
    }
    try { vision::find("nowhere.png"); told.push(false); } catch (error) { told.push(error.code == "NOT_FOUND"); }
    told
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_script_finds_and_clicks_pictures() {
    let capabilities = super::capabilities();
    let desktop = capabilities.desktops.ready().await.unwrap();
    let display = desktop.display().unwrap().to_owned();
    managed(&display);
    let _wall = Window::open_on(&display, (0, 0), (1280, 800), 0x40_50_60);
    let square = |x, y, side, colour| Window::open_on(&display, (x, y), (side, side), colour);
    let _buttons = [(300, 200), (620, 400)].map(|(x, y)| [square(x, y, 40, 0xc0_20_20), square(x + 12, y + 10, 16, 0xff_ff_ff)]);
    let settings = trae::host::Settings { runner: env!("CARGO_BIN_EXE_trae").into(), max_runners: 4 };
    let host = trae::host::Host::new(capabilities, settings).unwrap();
    let mut story = program(STORY);
    story.permissions = Permissions::all();
    let ran = super::run_on(&host, Arc::new(story)).await;
    let told = ran.value();
    assert!(told.as_array().unwrap().iter().all(|right| *right == json!(true)), "{told}");
    assert_eq!(told.as_array().unwrap().len(), 19);
}

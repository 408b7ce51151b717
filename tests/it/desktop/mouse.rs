//! The mouse, as a real X client sees it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trae::error::{Classify as _, Kind};
use trae::input::{Button, Hold, Input, Point};

use super::display::{Display, Window};

fn never() -> CancellationToken {
    CancellationToken::new()
}

fn action<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn open() -> (Display, Window, Input) {
    let display = Display::start((800, 600));
    let window = Window::open(&display, (0, 0), (800, 600), 0);
    let input = Input::open(Some(display.name())).unwrap();
    (display, window, input)
}

#[test]
fn a_click_is_seen_where_it_was_meant() {
    let (_display, window, input) = open();
    input.click(&action(json!({"x": 123, "y": 45})), &never()).unwrap();
    assert_eq!(window.story(), ["press 1 at 123,45", "release 1 at 123,45"]);
    input.click(&action(json!({"x": 799, "y": 599, "button": "right", "clicks": 2, "duration": 0.01})), &never()).unwrap();
    assert_eq!(window.story(), ["press 3 at 799,599", "release 3 at 799,599", "press 3 at 799,599", "release 3 at 799,599"]);
    assert_eq!(input.position().unwrap(), Point { x: 799, y: 599 });
}

#[test]
fn a_drag_goes_from_one_point_to_the_other() {
    let (_display, window, input) = open();
    input.drag(&action(json!({"from_x": 10, "from_y": 20, "to_x": 300, "to_y": 200, "duration": 0.1})), &never()).unwrap();
    let events = window.events();
    let moves = events.iter().filter(|event| matches!(event, x11rb::protocol::Event::MotionNotify(_))).count();
    assert!(moves >= 3, "{moves} steps");
    input.drag(&action(json!({"from_x": 1, "from_y": 2, "to_x": 3, "to_y": 4, "duration": 0})), &never()).unwrap();
    assert_eq!(window.story(), ["press 1 at 1,2", "release 1 at 3,4"]);
}

#[test]
fn the_wheel_turns_as_browsers_count() {
    let (_display, window, input) = open();
    input.scroll(&action(json!({"x": 50, "y": 60, "dy": 2, "dx": -1}))).unwrap();
    let expected = [5, 5, 6].iter().flat_map(|b| [format!("press {b} at 50,60"), format!("release {b} at 50,60")]);
    assert_eq!(window.story(), expected.collect::<Vec<_>>());
    input.scroll(&action(json!({"dy": -1, "dx": 1}))).unwrap();
    assert_eq!(window.story().len(), 4);
    input.scroll(&action(json!({"dy": 1000}))).unwrap();
    assert_eq!(window.story().len(), 2000);
}

#[test]
fn a_button_stays_down_until_it_is_let_go() {
    let (_display, window, input) = open();
    input.down(&Hold { x: Some(7), y: Some(8), button: Button::Middle }).unwrap();
    assert_eq!(window.story(), ["press 2 at 7,8"]);
    input.up(&Hold { x: None, y: None, button: Button::Middle }).unwrap();
    assert_eq!(window.story(), ["release 2 at 7,8"]);
}

#[test]
fn what_is_out_of_range_does_nothing() {
    let (_display, window, input) = open();
    input.move_to(&action(json!({"x": 400, "y": 300})), &never()).unwrap();
    let _ = window.events();
    let mut errors = Vec::new();
    for (x, y) in [(-1, 0), (0, -1), (800, 0), (0, 600), (99_999, 5), (i32::MAX, i32::MIN)] {
        errors.push(input.click(&action(json!({"x": x, "y": y})), &never()).unwrap_err());
        errors.push(input.move_to(&action(json!({"x": x, "y": y})), &never()).unwrap_err());
        errors.push(input.drag(&action(json!({"from_x": x, "from_y": y, "to_x": 1, "to_y": 1})), &never()).unwrap_err());
        errors.push(input.drag(&action(json!({"to_x": x, "to_y": y, "from_x": 1, "from_y": 1})), &never()).unwrap_err());
        errors.push(input.scroll(&action(json!({"x": x, "y": y, "dy": 1}))).unwrap_err());
        errors.push(input.down(&Hold { x: Some(x), y: Some(y), button: Button::Left }).unwrap_err());
    }
    for clicks in [0, 101, 1_000_000] {
        errors.push(input.click(&action(json!({"x": 1, "y": 1, "clicks": clicks})), &never()).unwrap_err());
    }
    for duration in [-1.0, 60.5, 1e9, f64::NAN, f64::INFINITY] {
        let mut click: trae::input::Click = action(json!({"x": 1, "y": 1}));
        click.duration = duration;
        errors.push(input.click(&click, &never()).unwrap_err());
        errors.push(input.move_to(&trae::input::Move { x: 1, y: 1, duration }, &never()).unwrap_err());
    }
    errors.push(input.scroll(&action(json!({"dy": 1001}))).unwrap_err());
    errors.push(input.scroll(&action(json!({"x": 1, "dy": 1}))).unwrap_err());
    for error in errors {
        assert_eq!(error.kind(), Kind::ValidationError, "{error}");
        assert!(error.details().unwrap()["errors"][0]["path"].is_string());
    }
    assert_eq!(window.events().len(), 0);
    assert_eq!(input.position().unwrap(), Point { x: 400, y: 300 });
}

#[test]
fn the_gap_beside_a_smaller_monitor_is_no_place_to_click() {
    let (display, window, input) = open();
    display.run("xrandr", &["--setmonitor", "A", "400/100x600/150+0+0", "screen"]);
    display.run("xrandr", &["--setmonitor", "B", "400/100x300/75+400+0", "none"]);
    input.click(&action(json!({"x": 500, "y": 200})), &never()).unwrap();
    assert_eq!(window.story().len(), 2);
    let error = input.click(&action(json!({"x": 500, "y": 400})), &never()).unwrap_err();
    assert_eq!(error.kind(), Kind::ValidationError);
    assert!(error.to_string().contains("400×300"), "{error}");
}

#[test]
fn a_cancelled_click_lets_the_button_go() {
    let (_display, window, input) = open();
    let cancel = never();
    let later = cancel.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        later.cancel();
    });
    let start = Instant::now();
    let error = input.click(&action(json!({"x": 5, "y": 5, "duration": 60})), &cancel).unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert_eq!(window.story(), ["press 1 at 5,5", "release 1 at 5,5"]);
    assert_eq!(input.click(&action(json!({"x": 5, "y": 5})), &cancel).unwrap_err().kind(), Kind::Cancelled);
    assert_eq!(window.story(), Vec::<String>::new());
}

#[test]
fn a_restarted_display_is_found_again() {
    let mut display = Display::start_apart((800, 600));
    let input = Input::open(Some(display.name())).unwrap();
    display.kill();
    let error = input.click(&action(json!({"x": 5, "y": 5})), &never()).unwrap_err();
    assert_eq!(error.kind(), Kind::ServiceUnavailable);
    assert_eq!(error.details().unwrap()["service"], "live_desktop");
    display.restart((800, 600));
    super::display::eventually("the display to come back", || input.click(&action(json!({"x": 5, "y": 5})), &never()).ok());
}

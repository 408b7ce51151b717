//! Several monitors, none of them alike, one not at the origin: what is seen, clicked and moved on each.

use serde_json::json;
use tokio_util::sync::CancellationToken;
use trae::input::Input;
use trae::screen::{Capture, Region, Screen};
use trae::windows::{Act, Filter, Windows};

use super::display::{Display, Window, eventually};

/// Two monitors side by side, the right one lower by 100 and the primary: nothing shows the corners above and below.
fn two() -> Display {
    let display = Display::start((1300, 700));
    display.run("xrandr", &["--setmonitor", "Left", "600/160x500/130+0+0", "screen"]);
    display.run("xrandr", &["--setmonitor", "*Right", "700/90x600/77+600+100", "none"]);
    display
}

fn region(x: i32, y: i32, width: u32, height: u32) -> Region {
    Region { x, y, width, height }
}

#[test]
fn each_monitor_shows_its_own_part_and_clicks_land_there() {
    let display = two();
    let screen = Screen::open(Some(display.name())).unwrap();
    let monitors = screen.monitors().unwrap();
    let told: Vec<_> = monitors.iter().map(|monitor| (monitor.index, monitor.name.as_str(), monitor.region())).collect();
    assert_eq!(told, [(0, "Right", region(600, 100, 700, 600)), (1, "Left", region(0, 0, 600, 500))]);
    let window = Window::open(&display, (0, 0), (1300, 700), 0x10_20_30);
    let marks = [Window::open(&display, (630, 140), (20, 20), 0xff_00_00), Window::open(&display, (30, 40), (20, 20), 0x00_ff_00)];
    let input = Input::open(Some(display.name())).unwrap();
    for (monitor, mark, colour) in [(0, &marks[0], [0xff, 0, 0]), (1, &marks[1], [0, 0xff, 0])] {
        let area = monitors[monitor].region();
        let frame = screen.capture(&Capture { monitor: Some(monitor), region: None }).unwrap();
        assert_eq!(frame.region(), area);
        // Both marks lie at the same place of their monitors.
        assert_eq!((frame.pixel(30, 40), frame.pixel(49, 59)), (Some(colour), Some(colour)));
        assert_eq!(frame.pixel(50, 60), Some([0x10, 0x20, 0x30]));
        // What is seen at a point of the picture is clicked at that point of the monitor.
        let (x, y) = (area.x + 35, area.y + 45);
        input.click(&serde_json::from_value(json!({ "x": x, "y": y })).unwrap(), &CancellationToken::new()).unwrap();
        assert_eq!(mark.story(), [format!("press 1 at {x},{y}"), format!("release 1 at {x},{y}")]);
        assert_eq!(window.story(), Vec::<String>::new());
        for (x, y) in
            [(area.x, area.y), (area.x + i32::try_from(area.width).unwrap() - 1, area.y + i32::try_from(area.height).unwrap() - 1)]
        {
            input.click(&serde_json::from_value(json!({ "x": x, "y": y })).unwrap(), &CancellationToken::new()).unwrap();
            assert_eq!(window.story(), [format!("press 1 at {x},{y}"), format!("release 1 at {x},{y}")]);
        }
    }
    // Within the screen, but on no monitor.
    for (x, y) in [(700, 99), (599, 500), (0, 699)] {
        let error = input.click(&serde_json::from_value(json!({ "x": x, "y": y })).unwrap(), &CancellationToken::new()).unwrap_err();
        assert!(error.to_string().contains("on no monitor"), "{error}");
    }
    assert_eq!(window.story(), Vec::<String>::new());
}

#[test]
fn a_window_knows_its_monitor_and_fills_that_one() {
    let mut display = two();
    display.manage();
    let windows = Windows::open(Some(display.name()));
    display.launch("xterm", &["-T", "Wanderer", "-geometry", "30x8+50+50", "-e", "sleep", "600"]);
    let first = eventually("the terminal", || {
        let filter = Filter { title: Some("wanderer".to_owned()), ..Filter::default() };
        windows.list(&filter).unwrap().into_iter().find(|window| window.is_visible)
    });
    let act = |act: Act| windows.act(first.id, act, &CancellationToken::new()).unwrap().unwrap();
    let screen = Screen::open(Some(display.name())).unwrap();
    let monitors = screen.monitors().unwrap();
    for (x, y, monitor) in [(900, 300, 0), (50, 60, 1), (610, 200, 0), (100, 200, 1)] {
        let moved = act(Act::Move { x, y });
        assert_eq!((moved.x, moved.y, moved.monitor), (x, y, Some(monitor)), "{moved:?}");
        let maximized = act(Act::Maximize);
        let (place, area) = (region(maximized.x, maximized.y, maximized.width, maximized.height), monitors[monitor].region());
        assert_eq!(maximized.monitor, Some(monitor));
        assert!(area.encloses(&place) && place.width > area.width - 40 && place.height > area.height - 40, "{place:?} on {area:?}");
        act(Act::Restore);
    }
}

#[test]
fn what_reaches_out_of_the_screen_counts_as_far_as_it_is_there() {
    let mut display = Display::start((1000, 600));
    // As panels with an overlap are told to: an origin above and left of the screen, one that ends beyond it, one that is not there.
    for (name, place) in [("*Left", "600/160x500/130+-100+-30"), ("Right", "700/180x600/160+500+50"), ("Nowhere", "300/80x300/80+-500+0")] {
        display.run("xrandr", &["--setmonitor", name, place, if name == "*Left" { "screen" } else { "none" }]);
    }
    let screen = Screen::open(Some(display.name())).unwrap();
    let monitors = screen.monitors().unwrap();
    let told: Vec<_> = monitors.iter().map(|monitor| (monitor.name.as_str(), monitor.region())).collect();
    assert_eq!(told, [("Left", region(0, 0, 500, 470)), ("Right", region(500, 50, 500, 550))]);
    let window = Window::open(&display, (-50, -20), (400, 300), 0x11_22_33);
    let other = Window::open(&display, (900, 500), (300, 300), 0x44_55_66);
    let input = Input::open(Some(display.name())).unwrap();
    let click = |x: i32, y: i32| input.click(&serde_json::from_value(json!({ "x": x, "y": y })).unwrap(), &CancellationToken::new());
    for (monitor, (x, y), colour, seen) in [(0, (0, 0), [0x11, 0x22, 0x33], &window), (1, (499, 549), [0x44, 0x55, 0x66], &other)] {
        let area = monitors[monitor].region();
        let frame = screen.capture(&Capture { monitor: Some(monitor), region: None }).unwrap();
        assert_eq!((frame.region(), frame.pixel(x, y)), (area, Some(colour)));
        let (x, y) = (area.x + i32::try_from(x).unwrap(), area.y + i32::try_from(y).unwrap());
        click(x, y).unwrap();
        assert_eq!(seen.story(), [format!("press 1 at {x},{y}"), format!("release 1 at {x},{y}")]);
    }
    for (x, y) in [(-50, 10), (10, -1), (1000, 300), (600, 600), (520, 20)] {
        let error = click(x, y).unwrap_err();
        assert!(error.to_string().contains("on no monitor"), "({x}, {y}): {error}");
    }
    assert_eq!((window.story(), other.story()), (Vec::new(), Vec::new()));
    drop((window, other));
    // A window that hangs out at the upper left: its place is told as it is, and it comes back from there.
    display.manage();
    let windows = Windows::open(Some(display.name()));
    display.launch("xterm", &["-T", "Hanger", "-geometry", "40x10+50+50", "-e", "sleep", "600"]);
    let hanger = eventually("the terminal", || {
        let filter = Filter { title: Some("hanger".to_owned()), ..Filter::default() };
        windows.list(&filter).unwrap().into_iter().find(|window| window.is_visible)
    });
    for (x, y) in [(-60, -5), (700, 300), (-30, 200)] {
        let moved = windows.act(hanger.id, Act::Move { x, y }, &CancellationToken::new()).unwrap().unwrap();
        assert_eq!((moved.x, moved.y, moved.monitor), (x, y, Some(usize::from(x > 500))), "{moved:?}");
        let (frame, _) = screen.capture_window(hanger.id, region(x, y, moved.width, moved.height)).unwrap();
        assert!(frame.width() >= moved.width - 60 && frame.height() >= moved.height - 5, "{:?}", frame.region());
    }
}

#[test]
fn the_scale_is_the_sessions_or_else_the_monitors() {
    let display = two();
    let screen = Screen::open(Some(display.name())).unwrap();
    let scales = || screen.monitors().unwrap().iter().map(|monitor| monitor.scale_factor).collect::<Vec<_>>();
    // 700 pixels on 90 mm are twice as dense as usual, 600 on 160 mm are not.
    assert_eq!(scales(), [2.0, 1.0]);
    display.run("sh", &["-c", "echo 'Xft.dpi: 144' | xrdb -nocpp -merge"]);
    assert_eq!(scales(), [1.5, 1.5]);
    display.run("sh", &["-c", "echo 'Xft.dpi: 96' | xrdb -nocpp -merge"]);
    assert_eq!(scales(), [1.0, 1.0]);
}

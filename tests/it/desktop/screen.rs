//! Pictures of real displays.

use trae::error::{Classify as _, Kind};
use trae::screen::{Capture, ImageFormat, Region, Screen};

use super::display::{Display, Window, eventually};

fn region(x: i32, y: i32, width: u32, height: u32) -> Region {
    Region { x, y, width, height }
}

fn of(monitor: Option<usize>, region: Option<Region>) -> Capture {
    Capture { monitor, region }
}

fn sees_a_window(more: &[&str]) {
    let display = Display::start_with((640, 480), more);
    let _window = Window::open(&display, (100, 50), (30, 20), 0x12_34_56);
    let screen = Screen::open(Some(display.name())).unwrap();
    let whole = screen.capture(&Capture::default()).unwrap();
    assert_eq!(whole.region(), region(0, 0, 640, 480));
    assert_eq!(whole.pixel(100, 50), Some([0x12, 0x34, 0x56]));
    assert_eq!(whole.pixel(129, 69), Some([0x12, 0x34, 0x56]));
    assert_ne!(whole.pixel(99, 50), Some([0x12, 0x34, 0x56]));
    assert_ne!(whole.pixel(130, 69), Some([0x12, 0x34, 0x56]));
    let part = screen.capture(&of(None, Some(region(100, 50, 30, 20)))).unwrap();
    assert!(part.to_rgb().pixels().all(|pixel| pixel.0 == [0x12, 0x34, 0x56]));
    assert_eq!((part.x(), part.y(), part.width(), part.height()), (100, 50, 30, 20));
    let png = part.encode(ImageFormat::Png, 80).unwrap();
    assert_eq!(image::load_from_memory(&png).unwrap().to_rgb8(), part.to_rgb());
}

#[test]
fn a_window_is_seen_through_shared_memory() {
    sees_a_window(&[]);
}

#[test]
fn a_window_is_seen_without_shared_memory() {
    sees_a_window(&["-extension", "MIT-SHM"]);
}

#[test]
fn pictures_held_at_once_do_not_overwrite_each_other() {
    let display = Display::start((320, 200));
    let screen = Screen::open(Some(display.name())).unwrap();
    let colours = [0xff_00_00, 0x00_ff_00, 0x00_00_ff, 0x11_22_33, 0x44_55_66, 0x77_88_99, 0xaa_bb_cc, 0xdd_ee_ff];
    let pictures: Vec<_> = colours
        .iter()
        .map(|colour| {
            let _window = Window::open(&display, (0, 0), (320, 200), *colour);
            screen.capture(&Capture::default()).unwrap()
        })
        .collect();
    for (picture, colour) in pictures.iter().zip(colours) {
        let [r, g, b] = picture.pixel(160, 100).unwrap();
        assert_eq!(u32::from_be_bytes([0, r, g, b]), colour);
    }
    drop(pictures);
    // Used again, and from several threads at once.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| assert_eq!(screen.capture(&Capture::default()).unwrap().width(), 320)));
        }
    });
}

#[test]
fn what_is_not_on_the_screen_is_refused() {
    let display = Display::start((640, 480));
    let screen = Screen::open(Some(display.name())).unwrap();
    for bad in [
        region(0, 0, 641, 480),
        region(-1, 0, 10, 10),
        region(640, 0, 1, 1),
        region(40_000, 0, 1, 1),
        region(0, 0, 0, 1),
        region(i32::MAX, 0, u32::MAX, 1),
        region(i32::MIN, i32::MIN, u32::MAX, u32::MAX),
    ] {
        for monitor in [None, Some(0)] {
            let error = screen.capture(&of(monitor, Some(bad))).unwrap_err();
            assert_eq!(error.kind(), Kind::ValidationError, "{bad:?}");
            assert_eq!(error.details().unwrap()["errors"][0]["path"], "/region");
        }
    }
    let error = screen.capture(&of(None, Some(region(600, 0, 100, 1)))).unwrap_err();
    assert!(error.to_string().contains("640×480 at (0, 0)"), "{error}");
    for monitor in [1, 99, usize::MAX] {
        let error = screen.capture(&of(Some(monitor), None)).unwrap_err();
        assert_eq!(error.kind(), Kind::ValidationError);
        assert_eq!(error.details().unwrap()["errors"][0]["path"], "/monitor");
    }
}

#[test]
fn each_monitor_is_seen_by_its_number() {
    let display = Display::start((800, 480));
    display.run("xrandr", &["--setmonitor", "Left", "300/100x480/150+0+0", "screen"]);
    display.run("xrandr", &["--setmonitor", "*Right", "500/120x480/150+300+0", "none"]);
    let _window = Window::open(&display, (310, 20), (10, 10), 0xff_80_00);
    let screen = Screen::open(Some(display.name())).unwrap();
    let monitors = screen.monitors().unwrap();
    assert_eq!(monitors.len(), 2, "{monitors:?}");
    assert_eq!((monitors[0].name.as_str(), monitors[0].is_primary), ("Right", true));
    assert_eq!(monitors[0].region(), region(300, 0, 500, 480));
    assert_eq!(monitors[1].region(), region(0, 0, 300, 480));
    let own = screen.capture(&of(Some(0), Some(region(10, 20, 10, 10)))).unwrap();
    assert_eq!(own.region(), region(310, 20, 10, 10));
    assert_eq!(own.pixel(9, 9), Some([0xff, 0x80, 0]));
    assert_eq!(screen.capture(&of(Some(1), None)).unwrap().width(), 300);
    // Within the screen, but not within this monitor.
    assert_eq!(screen.capture(&of(Some(1), Some(region(295, 0, 10, 10)))).unwrap_err().kind(), Kind::ValidationError);
    assert_eq!(screen.bounds().unwrap(), region(0, 0, 800, 480));
}

#[test]
fn a_display_that_restarts_is_found_again() {
    let mut display = Display::start_apart((640, 480));
    let name = display.name().to_owned();
    let screen = Screen::open(Some(&name)).unwrap();
    let held = screen.capture(&Capture::default()).unwrap();
    display.kill();
    let error = screen.capture(&Capture::default()).unwrap_err();
    assert_eq!(error.kind(), Kind::ServiceUnavailable, "{error}");
    assert_eq!(error.details().unwrap()["service"], "live_desktop");
    assert!(error.details().unwrap()["hint"].is_string());
    display.restart((320, 200));
    let picture = eventually("the display to come back", || screen.capture(&Capture::default()).ok());
    assert_eq!((picture.width(), held.width()), (320, 640));
    drop(held);
    assert_eq!(screen.capture(&Capture::default()).unwrap().width(), 320);
}

#[test]
fn no_display_is_said_with_what_to_do() {
    let error = Screen::open(Some(":54321")).unwrap_err();
    assert_eq!(error.kind(), Kind::ServiceUnavailable);
    assert_eq!(error.details().unwrap()["service"], "live_desktop");
}

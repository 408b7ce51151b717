//! Windows of real programs under a real window manager, and without one. What became of them is asked of X itself.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::sync::CancellationToken;
use trae::error::{Classify as _, Kind};
use trae::screen::{Extent, Region, Screen};
use trae::windows::{Act, Filter, Window, Windows};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ConnectionExt as _, CreateWindowAux, WindowClass};

use super::display::{self, Display, eventually};

/// A program with a window, for as long as the test needs it.
struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    fn start(display: &Display, program: &str, arguments: &[&str]) -> Self {
        Self(display.command(program, arguments).stdout(Stdio::null()).spawn().unwrap())
    }

    fn terminal(display: &Display, title: &str, colour: &str, geometry: &str) -> Self {
        Self::start(display, "xterm", &["-T", title, "-bg", colour, "-geometry", geometry, "+bc", "-e", "sleep", "600"])
    }
}

fn titled(title: &str) -> Filter {
    Filter { title: Some(title.to_owned()), ..Filter::default() }
}

fn found(windows: &Windows, title: &str) -> Window {
    eventually(title, || windows.list(&titled(title)).unwrap().into_iter().find(|window| window.is_visible))
}

fn act(windows: &Windows, id: u32, act: Act) -> Window {
    windows.act(id, act, &CancellationToken::new()).unwrap().unwrap()
}

/// Where X itself says that a window is, with its frame.
fn placed(display: &Display, id: u32) -> (i32, i32, u32, u32) {
    let ask = |id: &str, more: &[&str]| display.run("xwininfo", &[&["-id", id], more].concat());
    let after = |text: &str, label: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(label)).unwrap_or_else(|| panic!("{label} in {text}"));
        line.split_whitespace().next().unwrap().to_owned()
    };
    let mut frame = id.to_string();
    loop {
        let tree = ask(&frame, &["-tree"]);
        let parent = after(&tree, "Parent window id:");
        if parent == after(&tree, "Root window id:") {
            break;
        }
        frame = parent;
    }
    let told = ask(&frame, &[]);
    let border = after(&told, "Border width:").parse::<u32>().unwrap() * 2;
    let side = |label: &str| after(&told, label).parse::<u32>().unwrap() + border;
    let corner = |label: &str| after(&told, label).parse().unwrap();
    (corner("Absolute upper-left X:"), corner("Absolute upper-left Y:"), side("Width:"), side("Height:"))
}

fn place(window: &Window) -> (i32, i32, u32, u32) {
    (window.x, window.y, window.width, window.height)
}

fn property(display: &Display, id: u32, name: &str) -> String {
    display.run("xprop", &["-id", &id.to_string(), name])
}

#[test]
fn windows_are_told_as_x_knows_them() {
    let mut display = Display::start((1000, 700));
    display.manage();
    let windows = Windows::open(Some(display.name()));
    assert_eq!(windows.list(&Filter::default()).unwrap(), []);
    let terminal = Program::terminal(&display, "Bestellung 4711 – Ä", "#123456", "40x10+100+50");
    let first = found(&windows, "bestellung 4711 – ä");
    assert_eq!((first.class.as_str(), first.instance.as_str(), first.pid), ("XTerm", "xterm", Some(terminal.0.id())));
    assert_eq!(place(&first), placed(&display, first.id));
    assert!(first.frame.top > 0 && first.is_visible && !first.is_minimized && !first.is_maximized && !first.is_fullscreen, "{first:?}");
    assert_eq!(first.monitor, Some(0));
    let dialog = Program::start(&display, "zenity", &["--info", "--title=Question", "--text=Well?"]);
    let second = found(&windows, "Question");
    assert_eq!((second.class.to_lowercase().as_str(), second.pid), ("zenity", Some(dialog.0.id())));
    let all = eventually("both", || Some(windows.list(&Filter::default()).unwrap()).filter(|all| all.len() == 2));
    assert_eq!(all.iter().map(|window| window.id).collect::<Vec<_>>(), [second.id, first.id], "the top-most first");
    let by = |filter: Filter| windows.list(&filter).unwrap().into_iter().map(|window| window.id).collect::<Vec<_>>();
    assert_eq!(by(Filter { title_regex: Some(r"\d{4}".to_owned()), ..Filter::default() }), [first.id]);
    assert_eq!(by(Filter { class: Some("xterm".to_owned()), ..Filter::default() }), [first.id]);
    assert_eq!(by(Filter { pid: Some(dialog.0.id()), ..Filter::default() }), [second.id]);
    assert!(by(Filter { pid: Some(dialog.0.id()), class: Some("xterm".to_owned()), ..Filter::default() }).is_empty());
    let bad = windows.list(&Filter { title_regex: Some("(".to_owned()), ..Filter::default() }).unwrap_err();
    assert_eq!((bad.kind(), &bad.details().unwrap()["errors"][0]["path"]), (Kind::ValidationError, &"/title_regex".into()));
}

#[test]
fn what_is_asked_of_a_window_is_done() {
    let mut display = Display::start((1000, 700));
    display.manage();
    let windows = Windows::open(Some(display.name()));
    let _one = Program::terminal(&display, "One", "#123456", "40x10+100+50");
    let one = found(&windows, "One");
    let mut dialog = Program::start(&display, "zenity", &["--text-info", "--title=Two"]);
    let two = found(&windows, "Two");
    eventually("the new window to be focused", || windows.get(two.id).unwrap().is_focused.then_some(()));

    let focused = act(&windows, one.id, Act::Focus);
    assert!(focused.is_focused);
    assert_eq!(display.run("xdotool", &["getactivewindow"]).trim(), one.id.to_string());
    assert_eq!(windows.list(&Filter::default()).unwrap()[0].id, one.id);
    assert!(!windows.get(two.id).unwrap().is_focused);

    let moved = act(&windows, one.id, Act::Move { x: 321, y: 123 });
    assert_eq!((moved.x, moved.y), (321, 123));
    assert_eq!(placed(&display, one.id), (321, 123, one.width, one.height));

    // A terminal has whole columns; a dialog takes any size that is not too small.
    let resized = act(&windows, two.id, Act::Resize { width: 500, height: 400 });
    assert_eq!((resized.width, resized.height), (500, 400));
    assert_eq!(place(&resized), placed(&display, two.id));
    let rounded = act(&windows, one.id, Act::Resize { width: 401, height: 303 });
    assert_eq!(place(&rounded), placed(&display, one.id));
    assert!(rounded.width.abs_diff(401) < 20 && rounded.height.abs_diff(303) < 30 && rounded.width != one.width, "{rounded:?}");

    let minimized = act(&windows, one.id, Act::Minimize);
    assert!(minimized.is_minimized && !minimized.is_visible);
    assert!(property(&display, one.id, "WM_STATE").contains("Iconic"));
    let last = windows.list(&Filter::default()).unwrap().pop().unwrap();
    assert_eq!(last.id, one.id, "what is put away comes last");
    let screen = Screen::open(Some(display.name())).unwrap();
    let hidden = screen.capture_window(one.id, Region { x: 0, y: 0, width: 10, height: 10 }).unwrap_err();
    assert_eq!(hidden.kind(), Kind::Conflict, "{hidden}");
    let restored = act(&windows, one.id, Act::Restore);
    assert!(restored.is_visible && !restored.is_minimized);
    assert!(property(&display, one.id, "WM_STATE").contains("Normal"));

    let maximized = act(&windows, one.id, Act::Maximize);
    assert!(maximized.is_maximized && maximized.width > 900, "{maximized:?}");
    assert!(property(&display, one.id, "_NET_WM_STATE").contains("_NET_WM_STATE_MAXIMIZED_VERT"));
    let restored = act(&windows, one.id, Act::Restore);
    assert!(!restored.is_maximized);
    let back = eventually("the window's own size", || windows.get(one.id).ok().filter(|window| place(window) == place(&rounded)));
    assert_eq!(placed(&display, one.id), place(&back));
    // What fills the screen has no place of its own: it is restored first.
    act(&windows, one.id, Act::Maximize);
    let moved = act(&windows, one.id, Act::Move { x: 40, y: 30 });
    assert!(!moved.is_maximized && (moved.x, moved.y) == (40, 30), "{moved:?}");
    act(&windows, one.id, Act::Minimize);
    assert!(act(&windows, one.id, Act::Focus).is_visible);

    assert_eq!(windows.act(two.id, Act::Close, &CancellationToken::new()).unwrap(), None);
    eventually("the dialog to end", || dialog.0.try_wait().unwrap());
    assert_eq!(windows.list(&Filter::default()).unwrap().len(), 1);
}

#[test]
fn without_a_window_manager_what_x_can_do_is_done() {
    let display = Display::start((1000, 700));
    let windows = Windows::open(Some(display.name()));
    let terminal = Program::terminal(&display, "One", "#123456", "40x10+100+50");
    let one = found(&windows, "One");
    let _other = Program::terminal(&display, "Two", "#654321", "40x10+120+60");
    let two = found(&windows, "Two");
    assert_eq!((one.pid, one.is_focused), (Some(terminal.0.id()), false));
    assert_eq!(windows.list(&Filter::default()).unwrap().iter().map(|window| window.id).collect::<Vec<_>>(), [two.id, one.id]);
    let screen = Screen::open(Some(display.name())).unwrap();
    let shows = |x: i32, y: i32| {
        let at = trae::screen::Capture { monitor: None, region: Some(Region { x, y, width: 1, height: 1 }) };
        screen.capture(&at).unwrap().pixel(0, 0).unwrap()
    };
    eventually("the second terminal on top", || (shows(150, 150) == [0x65, 0x43, 0x21]).then_some(()));
    assert!(act(&windows, one.id, Act::Focus).is_focused);
    assert_eq!(display.run("xdotool", &["getwindowfocus"]).trim(), one.id.to_string());
    assert_eq!(windows.list(&Filter::default()).unwrap()[0].id, one.id);
    eventually("the first terminal on top", || (shows(150, 150) == [0x12, 0x34, 0x56]).then_some(()));
    let moved = act(&windows, one.id, Act::Move { x: 500, y: 300 });
    assert_eq!((moved.x, moved.y), (500, 300));
    let resized = act(&windows, one.id, Act::Resize { width: 300, height: 200 });
    assert_eq!(place(&resized), placed(&display, one.id));
    assert_eq!(place(&resized), (500, 300, 300, 200));
    for (asked, word) in [(Act::Minimize, "minimize"), (Act::Maximize, "maximize"), (Act::Restore, "restore")] {
        let error = windows.act(one.id, asked, &CancellationToken::new()).unwrap_err();
        assert_eq!((error.kind(), error.to_string().contains(word)), (Kind::ServiceUnavailable, true), "{error}");
        assert!(error.details().unwrap()["hint"].as_str().unwrap().contains("openbox"));
    }
    assert_eq!(windows.act(one.id, Act::Close, &CancellationToken::new()).unwrap(), None);
    assert_eq!(windows.list(&Filter::default()).unwrap().len(), 1);
}

#[test]
fn what_no_window_can_have_and_what_is_no_window_is_refused() {
    let mut display = Display::start((640, 480));
    display.manage();
    let windows = Windows::open(Some(display.name()));
    let mut program = Program::terminal(&display, "One", "#123456", "20x5+10+10");
    let one = found(&windows, "One");
    let never = CancellationToken::new();
    for (asked, path) in [
        (Act::Move { x: 32_768, y: 0 }, "/x"),
        (Act::Move { x: 0, y: i32::MIN }, "/y"),
        (Act::Resize { width: 0, height: 5 }, "/width"),
        (Act::Resize { width: 5, height: u32::MAX }, "/height"),
    ] {
        let error = windows.act(one.id, asked, &never).unwrap_err();
        assert_eq!((error.kind(), &error.details().unwrap()["errors"][0]["path"]), (Kind::ValidationError, &path.into()));
    }
    assert_eq!(place(&windows.get(one.id).unwrap()), place(&one));
    let all =
        [Act::Focus, Act::Move { x: 1, y: 1 }, Act::Resize { width: 9, height: 9 }, Act::Minimize, Act::Maximize, Act::Restore, Act::Close];
    let refused = |id: u32| {
        assert_eq!(windows.get(id).unwrap_err().kind(), Kind::NotFound);
        for asked in all {
            let error = windows.act(id, asked, &never).unwrap_err();
            assert_eq!((error.kind(), &error.details().unwrap()["id"]), (Kind::NotFound, &id.into()), "{error}");
        }
    };
    // Nobody's, the root's, and that of a window that has closed.
    let root = display.run("xwininfo", &["-root", "-int"]);
    let root = root.split("Window id: ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    for id in [0, 1, root, u32::MAX] {
        refused(id);
    }
    program.0.kill().unwrap();
    eventually("the window to vanish", || windows.get(one.id).is_err().then_some(()));
    refused(one.id);
    let screen = Screen::open(Some(display.name())).unwrap();
    let gone = screen.capture_window(one.id, Region { x: 0, y: 0, width: 10, height: 10 }).unwrap_err();
    assert_eq!(gone.kind(), Kind::NotFound, "{gone}");
}

#[test]
fn windows_that_come_and_go_while_they_are_looked_at_are_left_out() {
    let display = Display::start((640, 480));
    let windows = Windows::open(Some(display.name()));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (connection, number) = x11rb::rust_connection::RustConnection::connect(Some(display.name())).unwrap();
            let root = connection.setup().roots[number].root;
            let mut open = std::collections::VecDeque::new();
            while !stop.load(Ordering::Acquire) {
                let id = connection.generate_id().unwrap();
                let plain = CreateWindowAux::new();
                connection.create_window(0, id, root, 0, 0, 10, 10, 0, WindowClass::INPUT_OUTPUT, 0, &plain).unwrap();
                connection.map_window(id).unwrap();
                connection.get_input_focus().unwrap().reply().unwrap();
                open.push_back(id);
                if open.len() > 20 {
                    connection.destroy_window(open.pop_front().unwrap()).unwrap();
                }
            }
        });
        let mut seen = 0;
        let end = std::time::Instant::now() + display::PATIENCE;
        while seen < 300 && std::time::Instant::now() < end {
            for window in windows.list(&Filter::default()).unwrap() {
                seen += 1;
                // By now it is another one's turn, or its own once more.
                match windows.act(window.id, Act::Move { x: 5, y: 5 }, &CancellationToken::new()) {
                    Ok(_) => {}
                    Err(error) => assert_eq!(error.kind(), Kind::NotFound, "{error}"),
                }
            }
        }
        stop.store(true, Ordering::Release);
        assert!(seen >= 300, "{seen}");
    });
}

#[test]
fn a_display_that_restarts_is_found_again() {
    let mut display = Display::start_apart((640, 480));
    let windows = Windows::open(Some(display.name()));
    assert_eq!(windows.list(&Filter::default()).unwrap(), []);
    display.kill();
    let error = windows.list(&Filter::default()).unwrap_err();
    assert_eq!((error.kind(), &error.details().unwrap()["service"]), (Kind::ServiceUnavailable, &"live_desktop".into()));
    display.restart((320, 200));
    eventually("the display to come back", || windows.list(&Filter::default()).ok());
}

#[test]
fn a_covered_window_is_seen_whole_and_stays_where_it_is() {
    for (more, extent) in [(&[][..], Extent::Whole), (&["-extension", "Composite"][..], Extent::Visible)] {
        let mut display = Display::start_with((800, 600), more);
        display.manage();
        let windows = Windows::open(Some(display.name()));
        let _program = Program::terminal(&display, "One", "#123456", "40x10+100+50");
        let one = found(&windows, "One");
        let screen = Screen::open(Some(display.name())).unwrap();
        let region = Region { x: one.x, y: one.y, width: one.width, height: one.height };
        let own = [0x12, 0x34, 0x56];
        let (left, top) = (one.frame.left + 5, one.frame.top + 5);
        // Alone it is on the screen as it is.
        eventually("the terminal to show", || {
            let (frame, extent) = screen.capture_window(one.id, region).unwrap();
            assert_eq!((frame.region(), extent), (region, Extent::Whole));
            (frame.pixel(one.width - 10, one.height - 10) == Some(own)).then_some(())
        });
        let place = (i16::try_from(one.x).unwrap(), i16::try_from(one.y).unwrap());
        let size = (u16::try_from(one.width).unwrap(), u16::try_from(one.height).unwrap() / 2);
        let _cover = display::Window::open(&display, place, size, 0xff_00_00);
        let (frame, told) = screen.capture_window(one.id, region).unwrap();
        assert_eq!((frame.region(), told), (region, extent));
        assert_eq!(frame.pixel(one.width - 10, one.height - 10), Some(own));
        assert_eq!(frame.pixel(left + 200, top + 5), Some(if extent == Extent::Whole { own } else { [0xff, 0, 0] }));
        let red = frame.to_rgb().pixels().filter(|pixel| pixel.0 == [0xff, 0, 0]).count();
        assert_eq!(red == 0, extent == Extent::Whole, "{red}");
        // What covers it still does.
        let whole = screen.capture(&trae::screen::Capture::default()).unwrap();
        assert_eq!(whole.pixel(one.x.unsigned_abs() + left, one.y.unsigned_abs() + top), Some([0xff, 0, 0]));

        // Half of it over the edge.
        let moved = act(&windows, one.id, Act::Move { x: 700, y: 300 });
        let region = Region { x: moved.x, y: moved.y, ..region };
        let (frame, told) = screen.capture_window(one.id, region).unwrap();
        assert_eq!(told, extent);
        if extent == Extent::Whole {
            assert_eq!(frame.region(), region);
            assert_eq!(frame.pixel(one.width - 10, one.height - 10), Some(own));
        } else {
            assert_eq!(frame.region(), Region { width: 100, ..region });
        }
    }
}

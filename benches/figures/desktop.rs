//! Seeing and clicking, beside the bare X requests that both come down to.

use std::time::{Duration, Instant};

use rustix::fs::MemfdFlags;
use trae::desktop::{Desktops, Mode, Settings};
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::shm::ConnectionExt as _;
use x11rb::protocol::xproto::{
    BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ConnectionExt as _, CreateWindowAux, EventMask, ImageFormat, MOTION_NOTIFY_EVENT, Window,
    WindowClass,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use crate::ROUNDS;
use crate::report::Target::{AtMost, None as Untargeted};
use crate::report::{median, milliseconds, ratios, show, skip};
use crate::served::Served;

pub fn measure() {
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (1920, 1080), ..Default::default() });
    match desktops.default() {
        Ok(desktop) => {
            let display = desktop.display().unwrap().to_owned();
            captures(&desktop, &display);
            clicks(&display);
        }
        Err(error) => skip("capture, click", &error.to_string()),
    }
    desktops.shutdown();
}

/// A whole frame as pixels that one can look at, and the same number of bytes asked of the server by nothing but the request.
fn captures(desktop: &trae::desktop::Desktop, display: &str) {
    const SIZE: (u16, u16) = (1920, 1080);
    let (x, screen) = RustConnection::connect(Some(display)).unwrap();
    let root = x.setup().roots[screen].root;
    let segment = x.generate_id().unwrap();
    let memory = rustix::fs::memfd_create(c"bench", MemfdFlags::CLOEXEC).unwrap();
    rustix::fs::ftruncate(&memory, u64::from(SIZE.0) * u64::from(SIZE.1) * 4).unwrap();
    x.shm_attach_fd(segment, memory, false).unwrap().check().unwrap();
    let raw = || {
        x.shm_get_image(root, 0, 0, SIZE.0, SIZE.1, !0, ImageFormat::Z_PIXMAP.into(), segment, 0).unwrap().reply().unwrap();
    };
    let ours = || drop(desktop.screen().capture(&trae::screen::Capture::default()).unwrap());
    for _ in 0..20 {
        raw();
        ours();
    }
    let (mut raws, mut captures) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let round: Vec<(f64, f64)> = (0..100).map(|_| (milliseconds(raw), milliseconds(ours))).collect();
        raws.push(median(&round.iter().map(|(raw, _)| *raw).collect::<Vec<_>>()));
        captures.push(median(&round.iter().map(|(_, ours)| *ours).collect::<Vec<_>>()));
    }
    show("bare ShmGetImage of 1920×1080, p50 of 100", "ms", Untargeted, raws.clone());
    show("capture of 1920×1080, p50 of 100", "ms", Untargeted, captures.clone());
    show("  capture by ShmGetImage", "×", AtMost(1.3), ratios(&captures, &raws));
}

/// From the request on its way to the event in a window.
fn clicks(display: &str) {
    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path(), Some(display));
    let (window, _id) = Watcher::open(display);
    let (x, screen) = RustConnection::connect(Some(display)).unwrap();
    let root = x.setup().roots[screen].root;
    let fake = |kind: u8, detail: u8, (left, top): (i16, i16)| drop(x.xtest_fake_input(kind, detail, 0, root, left, top, 0).unwrap());
    let bare = |index: i16| {
        fake(MOTION_NOTIFY_EVENT, 0, (100 + index, 200));
        fake(BUTTON_PRESS_EVENT, 1, (0, 0));
        fake(BUTTON_RELEASE_EVENT, 1, (0, 0));
        x.flush().unwrap();
    };
    let mut client = served.client();
    let body = |index: i16| format!(r#"{{"x":{},"y":300,"duration":0,"scale_coordinates":false}}"#, 100 + index);
    // The first one opens the desktop.
    client.expect_success("POST", "/api/automation/mouse/click", &body(0));
    window.press();
    let (mut bares, mut asked) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (mut raw, mut ours) = (Vec::new(), Vec::new());
        for index in 0..100 {
            let begun = Instant::now();
            bare(index);
            window.press();
            raw.push(begun.elapsed().as_secs_f64() * 1e3);
            std::thread::sleep(Duration::from_millis(1));
            let begun = Instant::now();
            client.send("POST", "/api/automation/mouse/click", &body(index));
            window.press();
            ours.push(begun.elapsed().as_secs_f64() * 1e3);
            let (status, said) = client.answer();
            assert!(status == 200, "{said}");
        }
        bares.push(median(&raw));
        asked.push(median(&ours));
    }
    show("click: bare XTEST to the window's event, p50 of 100", "ms", Untargeted, bares.clone());
    show("click: POST …/mouse/click to the window's event, p50 of 100", "ms", AtMost(0.8), asked.clone());
    show("  POST by XTEST", "×", Untargeted, ratios(&asked, &bares));
}

/// A window over the whole screen that is told of each press of a button.
struct Watcher(RustConnection);

impl Watcher {
    fn open(display: &str) -> (Self, Window) {
        let (x, screen) = RustConnection::connect(Some(display)).unwrap();
        let root = &x.setup().roots[screen];
        let (id, root, width, height) = (x.generate_id().unwrap(), root.root, root.width_in_pixels, root.height_in_pixels);
        let look = CreateWindowAux::new().override_redirect(1).event_mask(EventMask::BUTTON_PRESS | EventMask::EXPOSURE);
        x.create_window(x11rb::COPY_DEPTH_FROM_PARENT, id, root, 0, 0, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &look).unwrap();
        x.map_window(id).unwrap();
        x.flush().unwrap();
        while !matches!(x.wait_for_event().unwrap(), Event::Expose(_)) {}
        (Self(x), id)
    }

    /// Waits for the next press.
    fn press(&self) {
        while !matches!(self.0.wait_for_event().unwrap(), Event::ButtonPress(_)) {}
    }
}

/// A screen full of small text, for as long as the connection lives: reading it takes a while.
pub fn full_of_text(display: &str) -> RustConnection {
    use x11rb::protocol::xproto::CreateGCAux;
    let (x, screen) = RustConnection::connect(Some(display)).unwrap();
    let root = &x.setup().roots[screen];
    let (id, width, height) = (x.generate_id().unwrap(), root.width_in_pixels, root.height_in_pixels);
    let look = CreateWindowAux::new().override_redirect(1).background_pixel(root.white_pixel).event_mask(EventMask::EXPOSURE);
    x.create_window(x11rb::COPY_DEPTH_FROM_PARENT, id, root.root, 0, 0, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &look).unwrap();
    x.map_window(id).unwrap();
    x.flush().unwrap();
    while !matches!(x.wait_for_event().unwrap(), Event::Expose(_)) {}
    let (font, pen) = (x.generate_id().unwrap(), x.generate_id().unwrap());
    x.open_font(font, b"fixed").unwrap();
    let colours = CreateGCAux::new().foreground(root.black_pixel).background(root.white_pixel).font(font);
    x.create_gc(pen, id, &colours).unwrap();
    let line = "The quick brown fox jumps over the lazy dog and reads invoice 4711 of the fifth of May. ".repeat(2);
    for row in 0..height / 15 {
        for column in 0..2 {
            x.image_text8(id, pen, 10 + column * 960, i16::try_from(row * 15 + 12).unwrap(), line.get(..155).unwrap().as_bytes()).unwrap();
        }
    }
    x.get_input_focus().unwrap().reply().unwrap();
    x
}

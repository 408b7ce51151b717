//! Watching a desktop in the format `binary`: a terminal that scrolls over all of it, an idle one, and how soon a change is seen.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};
use trae::desktop::{Desktops, Mode, Settings};
use x11rb::connection::Connection as _;
use x11rb::protocol::xproto::{ChangeWindowAttributesAux, ConnectionExt as _, CreateWindowAux, WindowClass};
use x11rb::rust_connection::RustConnection;

use crate::ROUNDS;
use crate::painted::Painted;
use crate::report::Target::{AtLeast, AtMost, None as Untargeted};
use crate::report::{median, show, skip};
use crate::served::Served;

pub fn measure() {
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (1920, 1080), ..Default::default() });
    match desktops.default() {
        Ok(desktop) => {
            let display = desktop.display().unwrap().to_owned();
            let data = tempfile::tempdir().unwrap();
            let served = Served::start(data.path(), Some(&display));
            idle(&served);
            changes(&served, &display);
            match Terminal::open(&display, data.path()) {
                Ok(terminal) => {
                    scrolls(&served, 30);
                    scrolls(&served, 60);
                    crowd(&served);
                    silent(&served);
                    drop(terminal);
                }
                Err(why) => skip("a terminal that scrolls", &why),
            }
        }
        Err(error) => skip("streams", &error.to_string()),
    }
    desktops.shutdown();
}

/// A client that shows what it is sent.
pub struct Viewer {
    socket: WebSocket<TcpStream>,
    pub painted: Painted,
}

impl Viewer {
    pub fn open(served: &Served, fps: u32) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let url = format!("ws://127.0.0.1:{}/ws/desktop-stream", served.port);
        let mut socket = tungstenite::client(url, stream).unwrap().0;
        let start = json!({ "type": "start_stream", "config": { "fps": fps, "format": "binary" } });
        socket.send(Message::text(start.to_string())).unwrap();
        Self { socket, painted: Painted::default() }
    }

    /// The next update, decoded and acknowledged: whether it changed anything, and its bytes.
    pub fn next(&mut self) -> (bool, usize) {
        loop {
            match self.socket.read().unwrap() {
                Message::Binary(bytes) => {
                    let told = self.painted.apply(&bytes);
                    let ack = json!({ "type": "ack", "sequence": told.sequence });
                    self.socket.send(Message::text(ack.to_string())).unwrap();
                    return (!told.is_empty(), bytes.len());
                }
                Message::Text(text) if text.contains("\"error\"") => panic!("{text}"),
                _ => {}
            }
        }
    }

    fn settle(&mut self) {
        while self.next().0 {}
    }
}

/// A terminal over the whole screen to which 120 lines are written a second, each as wide as it is.
pub struct Terminal {
    program: Child,
    stop: Arc<AtomicBool>,
}

impl Terminal {
    pub fn open(display: &str, folder: &std::path::Path) -> Result<Self, String> {
        let lines = folder.join("lines");
        let made = Command::new("mkfifo").arg(&lines).status().map_err(|error| error.to_string())?;
        if !made.success() {
            return Err("mkfifo failed".to_owned());
        }
        let read = format!("exec cat '{}'", lines.display());
        let program = Command::new("xterm")
            .args(["-geometry", "320x83+0+0", "-fn", "fixed", "+sb", "-bw", "0", "-e", "sh", "-c", &read])
            .env("DISPLAY", display)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("xterm: {error}"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        std::thread::spawn(move || {
            // Opens once the terminal reads.
            let mut file = std::fs::OpenOptions::new().write(true).open(lines).unwrap();
            let (begun, mut state) = (Instant::now(), 1_u32);
            for line in 1_u32.. {
                let words = (0..40).map(|_| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    format!("{:<7} ", ["invoice", "of the", "fifth", "lazy", "dog", "reads", "quick", "4711"][(state >> 29) as usize])
                });
                let text: String = words.collect();
                if stopped.load(Ordering::Relaxed) || file.write_all(format!("{:>6} {}\n", line, &text[..310]).as_bytes()).is_err() {
                    return;
                }
                std::thread::sleep((begun + Duration::from_secs(1) / 120 * line).saturating_duration_since(Instant::now()));
            }
        });
        std::thread::sleep(Duration::from_secs(3));
        Ok(Self { program, stop })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn scrolls(served: &Served, fps: u32) {
    let mut viewer = Viewer::open(served, fps);
    for _ in 0..fps {
        viewer.next();
    }
    let (mut rates, mut costs, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (begun, busy) = (Instant::now(), served.busy());
        let (mut frames, mut bytes) = (0.0, 0.0);
        while begun.elapsed() < Duration::from_secs(3) {
            let (changed, size) = viewer.next();
            if changed {
                frames += 1.0;
                bytes += size as f64;
            }
        }
        rates.push(frames / begun.elapsed().as_secs_f64());
        costs.push((served.busy() - busy) * 1e3 / frames);
        sizes.push(bytes / frames / 1e3);
    }
    let name = format!("terminal that scrolls, 1920×1080, {fps} fps asked");
    show(&name, "a second", if fps == 60 { AtLeast(50.0) } else { Untargeted }, rates);
    show("  processor time for each", "ms", AtMost(9.0), costs);
    show("  bytes of each", "kB", AtMost(120.0), sizes);
}

/// How many of its pictures the first of 20 viewers keeps, beside those it has alone.
fn crowd(served: &Served) {
    const FPS: u32 = 10;
    let seen = |viewer: &mut Viewer| {
        let (begun, mut frames) = (Instant::now(), 0.0);
        while begun.elapsed() < Duration::from_secs(4) {
            frames += f64::from(u8::from(viewer.next().0));
        }
        frames / begun.elapsed().as_secs_f64()
    };
    let mut first = Viewer::open(served, FPS);
    for _ in 0..FPS {
        first.next();
    }
    let alone = seen(&mut first);
    let stop = AtomicBool::new(false);
    let rates = std::thread::scope(|scope| {
        for _ in 1..20 {
            scope.spawn(|| {
                let mut viewer = Viewer::open(served, FPS);
                while !stop.load(Ordering::Relaxed) {
                    viewer.next();
                }
            });
        }
        std::thread::sleep(Duration::from_secs(1));
        let rates = (0..ROUNDS).map(|_| seen(&mut first) / alone).collect();
        stop.store(true, Ordering::Relaxed);
        rates
    });
    show("first of 20 viewers, 10 fps asked, by itself alone", "×", AtLeast(0.9), rates);
}

fn idle(served: &Served) {
    let mut viewer = Viewer::open(served, 30);
    viewer.settle();
    let costs = (0..ROUNDS).map(|_| {
        let (begun, busy) = (Instant::now(), served.busy());
        while begun.elapsed() < Duration::from_secs(4) {
            viewer.next();
        }
        (served.busy() - busy) / begun.elapsed().as_secs_f64() * 100.0
    });
    show("idle screen that is watched, 30 fps asked", "% of a core", AtMost(0.5), costs.collect());
}

/// A window of one colour.
pub struct Patch {
    x: RustConnection,
    window: u32,
}

impl Patch {
    pub fn open(display: &str) -> Self {
        let (x, screen) = RustConnection::connect(Some(display)).unwrap();
        let root = x.setup().roots[screen].root;
        let window = x.generate_id().unwrap();
        let look = CreateWindowAux::new().override_redirect(1).background_pixel(0);
        x.create_window(x11rb::COPY_DEPTH_FROM_PARENT, window, root, 100, 100, 400, 300, 0, WindowClass::INPUT_OUTPUT, 0, &look).unwrap();
        x.map_window(window).unwrap();
        x.flush().unwrap();
        Self { x, window }
    }

    /// Gives it another colour: red, green and blue, eight bits each.
    pub fn paint(&self, colour: u32) {
        self.x.change_window_attributes(self.window, &ChangeWindowAttributesAux::new().background_pixel(colour)).unwrap();
        self.x.clear_area(false, self.window, 0, 0, 0, 0).unwrap();
        self.x.flush().unwrap();
    }
}

/// From the request that changes a window to the pixel in the viewer's picture.
fn changes(served: &Served, display: &str) {
    let patch = Patch::open(display);
    let mut viewer = Viewer::open(served, 60);
    viewer.settle();
    let mut rounds = Vec::new();
    for round in 0..ROUNDS {
        let mut spans = Vec::new();
        for index in 0..40_u32 {
            let colour = 0x10_00_00 + u32::try_from(round).unwrap() * 256 + index + 1;
            let [b, g, r, _] = colour.to_le_bytes();
            let begun = Instant::now();
            patch.paint(colour);
            while viewer.painted.pixels[200 * 1920 + 200] != [r, g, b] {
                viewer.next();
            }
            spans.push(begun.elapsed().as_secs_f64() * 1e3);
            // Not in step with the stream's own pace.
            std::thread::sleep(Duration::from_millis(23 + u64::from(index % 17)));
        }
        rounds.push(median(&spans));
    }
    show("change on the screen to the decoded pixel, p50 of 40", "ms", Untargeted, rounds);
}

/// What a viewer costs that never reads.
fn silent(served: &Served) {
    const VIEWERS: usize = 8;
    let mut viewer = Viewer::open(served, 30);
    for _ in 0..60 {
        viewer.next();
    }
    let before = served.resident();
    let silent: Vec<Viewer> = (0..VIEWERS).map(|_| Viewer::open(served, 30)).collect();
    let mut most = before;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(8) {
        viewer.next();
        most = most.max(served.resident());
    }
    show("memory for each of 8 viewers that never read", "MB", AtMost(8.0), vec![(most - before) / 1e6 / VIEWERS as f64]);
    drop(silent);
}

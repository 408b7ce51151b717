//! Watching a desktop, beside what one would take instead: a FastAPI server with mss, Pillow and base64, and TigerVNC behind websockify,
//! all at the same terminal that scrolls over 1920×1080, one after the other, in the same run.
//!
//! Xvnc is an X server itself, and has a terminal of its own; the others look at the same Xvfb, whose own time is nobody's.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};
use trae::desktop::{Desktops, Mode, Settings};

use crate::ROUNDS;
use crate::peer::{Peer, STREAM};
use crate::report::Target::{AtLeast, AtMost, None as Untargeted};
use crate::report::{median, ratios, show, skip};
use crate::rfb::{Bridge, Rfb, free_port, wait_for};
use crate::served::Served;
use crate::stream::{Patch, Terminal, Viewer};

/// A client of any of them.
trait Watcher {
    /// The next picture, unpacked: whether it is one, and its bytes.
    fn next(&mut self) -> (bool, usize);
    /// Red, green and blue of a pixel as it is shown.
    fn pixel(&self, x: usize, y: usize) -> [u8; 3];
}

impl Watcher for Viewer {
    fn next(&mut self) -> (bool, usize) {
        Self::next(self)
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.painted.pixels[y * 1920 + x]
    }
}

impl Watcher for Rfb {
    fn next(&mut self) -> (bool, usize) {
        Self::next(self)
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        Self::pixel(self, x, y)
    }
}

/// A client of the seed's frames: a JPEG as text in JSON.
struct Frames {
    socket: WebSocket<TcpStream>,
    jpeg: turbojpeg::Decompressor,
    rgb: Vec<u8>,
    width: usize,
    /// Whether each picture is unpacked: of a crowd nobody looks.
    looks: bool,
}

impl Frames {
    fn open(port: u16, fps: u32, looks: bool) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut socket = tungstenite::client(format!("ws://127.0.0.1:{port}/ws/desktop-stream"), stream).unwrap().0;
        let start = json!({ "type": "start_stream", "config": { "fps": fps, "quality": 80 } });
        socket.send(Message::text(start.to_string())).unwrap();
        Self { socket, jpeg: turbojpeg::Decompressor::new().unwrap(), rgb: Vec::new(), width: 0, looks }
    }
}

impl Watcher for Frames {
    fn next(&mut self) -> (bool, usize) {
        loop {
            let Message::Text(text) = self.socket.read().unwrap() else { continue };
            if !self.looks {
                return (text.contains("image_data"), text.len());
            }
            let message: Value = serde_json::from_str(&text).unwrap();
            let Some(image) = message["image_data"].as_str() else { continue };
            let jpeg = base64::engine::general_purpose::STANDARD.decode(image).unwrap();
            let header = self.jpeg.read_header(&jpeg).unwrap();
            self.width = header.width;
            self.rgb.resize(header.width * header.height * 3, 0);
            let (pitch, format) = (header.width * 3, turbojpeg::PixelFormat::RGB);
            let image = turbojpeg::Image { pixels: &mut self.rgb[..], width: header.width, pitch, height: header.height, format };
            self.jpeg.decompress(&jpeg, image).unwrap();
            return (true, text.len());
        }
    }

    fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        let at = (y * self.width + x) * 3;
        [self.rgb[at], self.rgb[at + 1], self.rgb[at + 2]]
    }
}

/// One of them at work.
struct Measured<'a> {
    name: &'static str,
    /// Opens a client that asks for so many pictures a second.
    open: &'a (dyn Fn(u32) -> Box<dyn Watcher> + Sync),
    /// The processes whose time it takes.
    pids: Vec<u32>,
}

impl Measured<'_> {
    /// Seconds of processor time, with what they started for this client.
    fn busy(&self) -> f64 {
        let children = self.pids.iter().flat_map(|pid| {
            let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        });
        busy(&children.chain(self.pids.iter().copied()).collect::<Vec<_>>())
    }
}

/// What it came to.
#[derive(Default)]
struct Figures {
    rates: Vec<f64>,
    costs: Vec<f64>,
}

pub fn measure() {
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (1920, 1080), ..Default::default() });
    match desktops.default() {
        Ok(desktop) => at(desktop.display().unwrap()),
        Err(error) => skip("peers", &error.to_string()),
    }
    desktops.shutdown();
}

fn at(display: &str) {
    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path(), Some(display));
    let binary = |fps| Box::new(Viewer::open(&served, fps)) as Box<dyn Watcher>;
    let json = |fps| Box::new(Frames::open(served.port, fps, true)) as Box<dyn Watcher>;
    let ours = Measured { name: "TRAE, binary", open: &binary, pids: vec![served.pid()] };
    let seeds = Measured { name: "TRAE, the seed's JSON frames", open: &json, pids: vec![served.pid()] };
    let peer = Peer::streaming(display);
    let python = |fps| Box::new(Frames::open(peer.as_ref().map_or(0, |peer| peer.port), fps, true)) as Box<dyn Watcher>;
    let pids = peer.as_ref().map(|peer| vec![peer.pid()]).unwrap_or_default();
    let fastapi = Measured { name: STREAM, open: &python, pids };
    let scraping = Vnc::scraping(display);
    let vnc = |fps| Box::new(Rfb::open(scraping.as_ref().map_or(0, |vnc| vnc.bridge.port), fps)) as Box<dyn Watcher>;
    let pids = scraping.as_ref().map(Vnc::pids).unwrap_or_default();
    let x0vncserver = Measured { name: "x0vncserver and websockify", open: &vnc, pids };

    let mut all = vec![ours, seeds];
    match &peer {
        Ok(_) => all.push(fastapi),
        Err(why) => skip(STREAM, why),
    }
    match &scraping {
        Ok(_) => all.push(x0vncserver),
        Err(why) => skip("x0vncserver and websockify", why),
    }
    for one in &all {
        idle(one, display);
    }
    let spans: Vec<f64> = all.iter().map(|one| changes(one, display)).collect();
    let place = |name: &str| all.iter().position(|one| one.name == name);
    if let (Some(ours), Some(theirs)) = (place("TRAE, binary"), place("x0vncserver and websockify")) {
        show("change to pixel, TRAE by x0vncserver", "×", AtMost(1.0), vec![spans[ours] / spans[theirs]]);
    }
    match Terminal::open(display, data.path()) {
        Ok(_terminal) => {
            let figures: Vec<Figures> = all.iter().map(scrolls).collect();
            let by = |ours: &str, theirs: &str, target: f64| {
                if let (Some(ours), Some(theirs)) = (place(ours), place(theirs)) {
                    let name = format!("processor time of {}, by {}", all[ours].name, all[theirs].name);
                    show(&name, "×", AtMost(target), ratios(&figures[ours].costs, &figures[theirs].costs));
                }
            };
            by("TRAE, binary", "x0vncserver and websockify", 0.5);
            by("TRAE, the seed's JSON frames", STREAM, 0.5);
            let rates = figures[1].rates.clone();
            show("the seed's JSON frames, 30 fps asked", "a second", AtLeast(29.0), rates);
            crowd("TRAE", served.port);
            if let Ok(peer) = &peer {
                crowd(STREAM, peer.port);
            }
        }
        Err(why) => skip("a terminal that scrolls", &why),
    }
    drop(all);
    drop(scraping);
    drop(peer);
    match Vnc::server() {
        Ok(vnc) => {
            let open = |fps| Box::new(Rfb::open(vnc.bridge.port, fps)) as Box<dyn Watcher>;
            let xvnc = Measured { name: "Xvnc and websockify", open: &open, pids: vnc.pids() };
            idle(&xvnc, &vnc.display);
            changes(&xvnc, &vnc.display);
            let folder = tempfile::tempdir().unwrap();
            match Terminal::open(&vnc.display, folder.path()) {
                Ok(_terminal) => drop(scrolls(&xvnc)),
                Err(why) => skip("a terminal that scrolls", &why),
            }
        }
        Err(why) => skip("Xvnc and websockify", &why),
    }
}

fn idle(one: &Measured, display: &str) {
    let patch = Patch::open(display);
    let stop = AtomicBool::new(false);
    let costs = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut watcher = (one.open)(30);
            while !stop.load(Ordering::Relaxed) {
                watcher.next();
            }
        });
        std::thread::sleep(Duration::from_secs(4));
        let costs: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let (begun, before) = (Instant::now(), one.busy());
                std::thread::sleep(Duration::from_secs(3));
                (one.busy() - before) / begun.elapsed().as_secs_f64() * 100.0
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        // A client that waits for something to happen stops as well.
        patch.paint(0x80_80_80);
        costs
    });
    let target = if one.name == "TRAE, binary" { AtMost(0.5) } else { Untargeted };
    show(&format!("{}: idle screen, 30 fps asked", one.name), "% of a core", target, costs);
}

/// From the request that changes a window to the pixel in the client's picture.
fn changes(one: &Measured, display: &str) -> f64 {
    let patch = Patch::open(display);
    let mut watcher = (one.open)(60);
    patch.paint(0x40_80_c0);
    watcher.next();
    let (mut halves, mut mosts) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut spans = Vec::new();
        for index in 0..20_u32 {
            let colour = if index % 2 == 0 { 0xe0_20_20 } else { 0x20_20_e0 };
            let [b, g, r, _] = u32::to_le_bytes(colour);
            let begun = Instant::now();
            patch.paint(colour);
            // A JPEG comes near to it.
            while watcher.pixel(200, 200).iter().zip([r, g, b]).any(|(seen, wanted)| seen.abs_diff(wanted) > 24) {
                watcher.next();
            }
            spans.push(begun.elapsed().as_secs_f64() * 1e3);
            // Not in step with anybody's own pace.
            std::thread::sleep(Duration::from_millis(53 + u64::from(index % 17)));
        }
        spans.sort_by(f64::total_cmp);
        halves.push(median(&spans));
        mosts.push(spans[spans.len() * 95 / 100]);
    }
    show(&format!("{}: change to decoded pixel, p95 of 20", one.name), "ms", Untargeted, mosts);
    show(&format!("{}: change to decoded pixel, p50 of 20", one.name), "ms", Untargeted, halves)
}

fn scrolls(one: &Measured) -> Figures {
    let mut watcher = (one.open)(30);
    for _ in 0..30 {
        watcher.next();
    }
    let (mut figures, mut sizes) = (Figures::default(), Vec::new());
    for _ in 0..ROUNDS {
        let (begun, before) = (Instant::now(), one.busy());
        let (mut frames, mut bytes) = (0.0_f64, 0.0);
        while begun.elapsed() < Duration::from_secs(3) {
            let (changed, size) = watcher.next();
            if changed {
                frames += 1.0;
                bytes += size as f64;
            }
        }
        figures.rates.push(frames / begun.elapsed().as_secs_f64());
        figures.costs.push((one.busy() - before) * 1e3 / frames.max(1.0));
        sizes.push(bytes / frames.max(1.0) / 1e3);
    }
    show(&format!("{}: terminal that scrolls, 30 fps asked", one.name), "a second", Untargeted, figures.rates.clone());
    show("  processor time for each", "ms", Untargeted, figures.costs.clone());
    show("  bytes of each", "kB", Untargeted, sizes);
    figures
}

/// How many pictures of the seed's kind each of 20 viewers gets that ask for 10 a second.
fn crowd(name: &str, port: u16) {
    let (stop, frames) = (AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
    let rates = std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut watcher = Frames::open(port, 10, false);
                while !stop.load(Ordering::Relaxed) {
                    frames.fetch_add(u64::from(watcher.next().0), Ordering::Relaxed);
                }
            });
        }
        std::thread::sleep(Duration::from_secs(3));
        let rates: Vec<f64> = (0..ROUNDS)
            .map(|_| {
                let (begun, before) = (Instant::now(), frames.load(Ordering::Relaxed));
                std::thread::sleep(Duration::from_secs(2));
                (frames.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64() / 20.0
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        rates
    });
    show(&format!("{name}: 20 viewers of JSON frames, 10 fps asked, each"), "a second", Untargeted, rates);
}

/// Seconds of processor time of these processes.
fn busy(pids: &[u32]) -> f64 {
    let of = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Behind the name, which may have anything in it: the fields from the third on.
        let fields: Vec<f64> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().map(|f| f.parse().unwrap_or(0.0)).collect();
        // In hundredths of a second, as the kernel tells everybody.
        fields.get(11).zip(fields.get(12)).map_or(0.0, |(user, system)| (user + system) / 100.0)
    };
    pids.iter().map(of).sum()
}

/// A VNC server of TigerVNC's, and a websockify before it. Ended when dropped.
struct Vnc {
    child: Child,
    bridge: Bridge,
    display: String,
}

impl Vnc {
    /// One that shows another X server's screen.
    fn scraping(display: &str) -> Result<Self, String> {
        let port = free_port();
        let mut command = Command::new(first_of(["X0tigervnc", "x0vncserver"]));
        // Without these it rests for most of the time, whatever happens on the screen.
        command.args(["-display", display, "-MaxProcessorUsage", "100", "-PollingCycle", "15"]);
        Self::start(command, port, display.to_owned())
    }

    /// One that is an X server itself.
    fn server() -> Result<Self, String> {
        let number = (40..400).find(|number| !Path::new(&format!("/tmp/.X11-unix/X{number}")).exists()).ok_or("no display is free")?;
        let display = format!(":{number}");
        let mut command = Command::new(first_of(["Xtigervnc", "Xvnc"]));
        command.args([&display, "-geometry", "1920x1080", "-depth", "24"]);
        Self::start(command, free_port(), display)
    }

    fn start(mut command: Command, port: u16, display: String) -> Result<Self, String> {
        command.args(["-rfbport", &port.to_string(), "-SecurityTypes", "None", "-localhost"]);
        let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = silent.spawn().map_err(|error| format!("{}: {error}", command.get_program().to_string_lossy()))?;
        let mut child = Ending(Some(child));
        wait_for(port, "TigerVNC")?;
        let bridge = Bridge::to(port)?;
        Ok(Self { child: child.0.take().ok_or("it has ended")?, bridge, display })
    }

    fn pids(&self) -> Vec<u32> {
        vec![self.child.id(), self.bridge.pid()]
    }
}

impl Drop for Vnc {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Debian's name of a program, if it is there, else everybody's: under that there may be a script that goes away.
fn first_of([debian, usual]: [&'static str; 2]) -> &'static str {
    let there = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(debian).is_file()));
    if there { debian } else { usual }
}

/// A process that is ended unless it is taken out.
struct Ending(Option<Child>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

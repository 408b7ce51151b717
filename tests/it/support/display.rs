//! A display for a test: an Xvfb on a free number, programs on it, and a window that writes down what happens to it.

use std::io::Read as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, CreateGCAux, CreateWindowAux, EventMask, ImageFormat, InputFocus, WindowClass,
};
use x11rb::rust_connection::RustConnection;

/// How long anything on a display may take before a test gives up.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// An Xvfb and what was started on it. All of it ends with the test.
pub struct Display {
    name: String,
    server: Child,
    programs: Vec<Child>,
    folder: tempfile::TempDir,
}

impl Display {
    /// Starts a display of this size in pixels.
    pub fn start(size: (u32, u32)) -> Self {
        Self::start_with(size, &[])
    }

    /// Starts a display with a number that no other test gets, to end it and start it again.
    pub fn start_apart(size: (u32, u32)) -> Self {
        let name = format!(":{}", 10_000 + std::process::id() % 20_000);
        let server = Self::serve(&name, size);
        Self { name, server, programs: Vec::new(), folder: tempfile::tempdir().unwrap() }
    }

    /// Starts it again after [`Display::kill`].
    pub fn restart(&mut self, size: (u32, u32)) {
        self.server = Self::serve(&self.name, size);
    }

    fn serve(name: &str, (width, height): (u32, u32)) -> Child {
        let arguments = [name, "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp", "-noreset"];
        let server = Command::new("Xvfb").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        eventually("the display", || RustConnection::connect(Some(name)).ok());
        server
    }

    /// As [`Display::start`], with more arguments for Xvfb.
    pub fn start_with((width, height): (u32, u32), more: &[&str]) -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp", "-noreset"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed");
        let mut number = String::new();
        let mut output = server.stdout.take().unwrap();
        while !number.ends_with('\n') {
            let mut byte = [0];
            output.read_exact(&mut byte).expect("Xvfb says its number");
            number.push(byte[0].into());
        }
        Self { name: format!(":{}", number.trim()), server, programs: Vec::new(), folder: tempfile::tempdir().unwrap() }
    }

    /// Such as `:99`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A command that runs on it, with texts in UTF-8.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("DISPLAY", &self.name).env("LC_ALL", "C.UTF-8").env("GTK_A11Y", "none").env("NO_AT_BRIDGE", "1");
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Runs a program to its end.
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        let Output { stdout, status, .. } = self.command(program, arguments).output().expect("it is installed");
        assert!(status.success(), "{program} {arguments:?} failed");
        String::from_utf8(stdout).unwrap()
    }

    /// Starts a program that ends with the test.
    pub fn launch(&mut self, program: &str, arguments: &[&str]) {
        let child = self.command(program, arguments).stdout(Stdio::null()).spawn().expect("it is installed");
        self.programs.push(child);
    }

    /// Starts openbox and waits until it manages windows.
    pub fn manage(&mut self) {
        self.launch("openbox", &["--sm-disable"]);
        eventually("openbox to start", || {
            let names = self.command("xprop", &["-root", "_NET_SUPPORTING_WM_CHECK"]).output().unwrap();
            String::from_utf8_lossy(&names.stdout).contains("window id").then_some(())
        });
    }

    /// Opens a terminal at the top left corner that writes all it is given to a file, and waits until it does.
    pub fn typewriter(&mut self) -> PathBuf {
        let (file, ready) = (self.folder.path().join("typed"), self.folder.path().join("ready"));
        let script = format!("stty -icanon -echo; touch '{}'; exec cat > '{}'", ready.display(), file.display());
        self.launch("xterm", &["-u8", "-xrm", "XTerm*metaSendsEscape: true", "-geometry", "80x24+0+0", "-e", "sh", "-c", &script]);
        eventually("a terminal", || ready.exists().then_some(()));
        file
    }

    /// Ends the X server at once.
    pub fn kill(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        for child in self.programs.iter_mut().chain([&mut self.server]) {
            let _ = child.kill();
            let _ = child.wait();
        }
        let number = self.name.trim_start_matches(':');
        let _ = std::fs::remove_file(format!("/tmp/.X{number}-lock"));
        let _ = std::fs::remove_file(format!("/tmp/.X11-unix/X{number}"));
    }
}

/// Waits until `look` finds something.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the window manager of a virtual desktop is there: when it comes, it takes the focus from whoever has it.
pub fn managed(display: &str) {
    eventually("the window manager", || {
        let names = Command::new("xprop").args(["-display", display, "-root", "_NET_SUPPORTING_WM_CHECK"]).output().unwrap();
        String::from_utf8_lossy(&names.stdout).contains("window id").then_some(())
    });
}

/// A window of one colour that sees keys, buttons and the pointer.
pub struct Window {
    connection: RustConnection,
    id: u32,
}

impl Window {
    /// Opens it where no window manager moves it.
    pub fn open(display: &Display, place: (i16, i16), size: (u16, u16), colour: u32) -> Self {
        Self::open_on(display.name(), place, size, colour)
    }

    /// The same on a display that somebody else started.
    pub fn open_on(display: &str, (x, y): (i16, i16), (width, height): (u16, u16), colour: u32) -> Self {
        let (connection, number) = RustConnection::connect(Some(display)).unwrap();
        let root = connection.setup().roots[number].root;
        let id = connection.generate_id().unwrap();
        let wanted = CreateWindowAux::new().background_pixel(colour).override_redirect(1).event_mask(
            EventMask::KEY_PRESS
                | EventMask::KEY_RELEASE
                | EventMask::BUTTON_PRESS
                | EventMask::BUTTON_RELEASE
                | EventMask::POINTER_MOTION
                | EventMask::EXPOSURE,
        );
        connection.create_window(0, id, root, x, y, width, height, 0, WindowClass::INPUT_OUTPUT, 0, &wanted).unwrap();
        connection.map_window(id).unwrap();
        connection.sync_now();
        let this = Self { connection, id };
        eventually("the window to show", || this.events().iter().any(|e| matches!(e, Event::Expose(_))).then_some(()));
        this
    }

    /// Fills it with another colour.
    pub fn paint(&self, colour: u32) {
        let wanted = ChangeWindowAttributesAux::new().background_pixel(colour);
        self.connection.change_window_attributes(self.id, &wanted).unwrap();
        self.connection.clear_area(false, self.id, 0, 0, 0, 0).unwrap();
        self.connection.sync_now();
    }

    /// Fills it with what no encoder can make small.
    pub fn paint_noise(&self, (width, height): (u16, u16), seed: u32) {
        let graphics = self.connection.generate_id().unwrap();
        self.connection.create_gc(graphics, self.id, &CreateGCAux::new()).unwrap();
        let mut state = seed.max(1);
        for band in (0..height).step_by(16) {
            let rows = 16.min(height - band);
            let noise: Vec<u8> = (0..usize::from(width) * usize::from(rows) * 4)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    state.to_le_bytes()[1]
                })
                .collect();
            let y = i16::try_from(band).unwrap();
            self.connection.put_image(ImageFormat::Z_PIXMAP, self.id, graphics, width, rows, 0, y, 0, 24, &noise).unwrap();
        }
        self.connection.free_gc(graphics).unwrap();
        self.connection.sync_now();
    }

    /// Takes the keyboard's focus.
    pub fn focus(&self) {
        self.connection.set_input_focus(InputFocus::PARENT, self.id, x11rb::CURRENT_TIME).unwrap();
        self.connection.sync_now();
    }

    /// What has happened since the last time.
    pub fn events(&self) -> Vec<Event> {
        self.connection.sync_now();
        std::iter::from_fn(|| self.connection.poll_for_event().unwrap()).collect()
    }

    /// What has happened since the last time, in short.
    pub fn story(&self) -> Vec<String> {
        let tell = |event: &Event| match event {
            Event::ButtonPress(e) => Some(format!("press {} at {},{}", e.detail, e.root_x, e.root_y)),
            Event::ButtonRelease(e) => Some(format!("release {} at {},{}", e.detail, e.root_x, e.root_y)),
            Event::KeyPress(e) => Some(format!("key {} down", e.detail)),
            Event::KeyRelease(e) => Some(format!("key {} up", e.detail)),
            _ => None,
        };
        self.events().iter().filter_map(tell).collect()
    }
}

trait SyncNow {
    fn sync_now(&self);
}

impl SyncNow for RustConnection {
    fn sync_now(&self) {
        self.get_input_focus().unwrap().reply().unwrap();
    }
}

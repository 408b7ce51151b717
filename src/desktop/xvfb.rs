//! A virtual display: an Xvfb of our own, that only this user can open, and that ends with this process however it ends.
//!
//! A keeper thread starts it, waits for it and ends it. The kernel ends a child with the *thread* that started it
//! (`PR_SET_PDEATHSIG`), so the keeper lives as long as the display does; after `kill -9` of this process nothing is left behind.

use std::io::Read;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags, Signal};
use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{AccessControl, ConnectionExt as _, CreateWindowAux, EventMask, Family, HostMode, WindowClass};
use x11rb::rust_connection::RustConnection;

use super::Error;
use super::spec::{Own, SIDES};
use crate::screen::Bell;

/// How long Xvfb may take to say which display it is.
const START: Duration = Duration::from_secs(20);
/// How long Xvfb may take to end before it is killed.
const END: Duration = Duration::from_secs(2);
/// How long a window manager may take to manage windows before what is to be on the display is started all the same.
const MANAGES: Duration = Duration::from_secs(5);
/// How long it has to show a window that tries it out.
const SHOWS: Duration = Duration::from_millis(250);
/// How often the keeper looks at its children where the kernel does not tell it that one has ended.
const LOOK: Duration = Duration::from_millis(20);
/// What programs on a display get of this process's environment, beside `LC_*` and `XDG_*`.
const INHERITED: &[&str] = &["HOME", "LANG", "LANGUAGE", "LOGNAME", "PATH", "SHELL", "TMPDIR", "TZ", "USER"];

/// A virtual display that runs. Ends when dropped.
pub(super) struct Xvfb {
    display: String,
    shared: Arc<Shared>,
    keeper: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    stop: AtomicBool,
    ended: AtomicBool,
    bell: Bell,
}

impl Xvfb {
    /// Starts it, a window manager on it, and what else is to be on it.
    pub(super) fn start(own: &Own) -> Result<Self, Error> {
        let size = own.size;
        if !SIDES.contains(&size.0) || !SIDES.contains(&size.1) {
            return Err(Error::Size(size.0, size.1));
        }
        let bell = Bell::new().map_err(|error| Error::Start(error.to_string()))?;
        let shared = Arc::new(Shared { stop: AtomicBool::new(false), ended: AtomicBool::new(false), bell });
        let (ready, started) = mpsc::channel();
        let kept = Arc::clone(&shared);
        let (manager, startup) = (own.window_manager.clone(), own.startup.clone());
        let keeper = std::thread::Builder::new()
            .name("xvfb".to_owned())
            .spawn(move || keep(size, [&manager, &startup], &kept, &ready))
            .map_err(|error| Error::Start(error.to_string()))?;
        let display = started.recv().map_err(|_| Error::Start("its keeper ended".to_owned()))??;
        // From here on a failure drops the display, which ends it.
        let this = Self { display, shared, keeper: Mutex::new(Some(keeper)) };
        close_to_others(&this.display)?;
        tracing::info!("virtual desktop {} of {}×{} pixels is up", this.display, size.0, size.1);
        Ok(this)
    }

    pub(super) fn display(&self) -> &str {
        &self.display
    }

    pub(super) fn is_alive(&self) -> bool {
        !self.shared.ended.load(Ordering::Acquire)
    }

    /// Ends it and returns once it has ended.
    pub(super) fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.bell.ring();
        let keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(keeper) = keeper {
            let _ = keeper.join();
        }
    }
}

impl Drop for Xvfb {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The keeper's life: start, tell the display's name, wait, end.
fn keep(size: (u32, u32), [manager, startup]: [&[String]; 2], shared: &Shared, ready: &mpsc::Sender<Result<String, Error>>) {
    match launch(size) {
        Err(error) => {
            shared.ended.store(true, Ordering::Release);
            let _ = ready.send(Err(error));
        }
        Ok((mut server, display)) => {
            let with_end = |child: Child| {
                let ends = ending(&child);
                (child, ends)
            };
            let mut programs: Vec<(Child, Option<OwnedFd>)> = window_manager(manager, &display).map(with_end).into_iter().collect();
            let _ = ready.send(Ok(display.clone()));
            if !programs.is_empty() && !startup.is_empty() {
                // Without one that answers, windows come as they would without any.
                let _ = until_managed(&display, &|| shared.stop.load(Ordering::Acquire));
            }
            programs.extend(on_it(startup, &display).map(with_end));
            let server_ends = ending(&server);
            while !shared.stop.load(Ordering::Acquire) && matches!(server.try_wait(), Ok(None)) {
                programs.retain_mut(|(child, _)| matches!(child.try_wait(), Ok(None)));
                let told = server_ends.is_some() && programs.iter().all(|(_, ends)| ends.is_some());
                let ends: Vec<BorrowedFd<'_>> =
                    server_ends.iter().chain(programs.iter().filter_map(|(_, ends)| ends.as_ref())).map(|file| file.as_fd()).collect();
                if shared.bell.wait(&ends, (!told).then(|| Instant::now() + LOOK)).is_err() {
                    std::thread::sleep(LOOK);
                }
            }
            if !shared.stop.load(Ordering::Acquire) {
                tracing::warn!("a virtual desktop ended; the next use starts another");
            }
            shared.ended.store(true, Ordering::Release);
            for (child, _) in programs {
                end(child);
            }
            end(server);
        }
    }
}

/// A file that becomes readable when a child has ended, where the kernel has such a thing.
fn ending(child: &Child) -> Option<OwnedFd> {
    rustix::process::pidfd_open(Pid::from_child(child), PidfdFlags::empty()).ok()
}

/// Starts Xvfb and waits until it says which display it is, which it does once it can be connected to.
fn launch((width, height): (u32, u32)) -> Result<(Child, String), Error> {
    let failed = |error: std::io::Error| Error::Start(error.to_string());
    let mut command = Command::new("Xvfb");
    command.args(["-displayfd", "1", "-screen", "0", &format!("{width}x{height}x24"), "-nolisten", "tcp", "-noreset"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = with_us(&mut command).spawn().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::NoXvfb,
        _ => failed(error),
    })?;
    let Some(output) = server.stdout.take() else {
        end(server);
        return Err(Error::Start("its output is missing".to_owned()));
    };
    match number(output.into()) {
        Ok(number) => Ok((server, format!(":{number}"))),
        Err(reason) => {
            end(server);
            Err(Error::Start(reason))
        }
    }
}

/// Reads the display's number from the pipe that Xvfb writes it to.
fn number(pipe: OwnedFd) -> Result<u32, String> {
    let deadline = Instant::now() + START;
    let mut pipe = std::fs::File::from(pipe);
    let mut text = Vec::new();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
        let mut wait = [PollFd::new(&pipe, PollFlags::IN)];
        match rustix::event::poll(&mut wait, Some(&timeout)) {
            Ok(0) => return Err("Xvfb did not become ready in time".to_owned()),
            Err(rustix::io::Errno::INTR) => continue,
            Ok(_) | Err(_) => {}
        }
        let mut bytes = [0; 16];
        match pipe.read(&mut bytes) {
            Ok(0) => return Err("Xvfb ended at once; is there room in /tmp, and may it write there?".to_owned()),
            Ok(count) => text.extend_from_slice(bytes.get(..count).unwrap_or_default()),
            Err(error) => return Err(error.to_string()),
        }
        if let Some(end) = text.iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned();
            return line.trim().parse().map_err(|_| format!("Xvfb said {line:?} instead of its display's number"));
        }
    }
}

/// A window manager, so that windows have a focus and a frame, where it is installed. It ends with its display.
fn window_manager(manager: &[String], on: &str) -> Option<Child> {
    let (program, arguments) = manager.split_first()?;
    spawn_on(on, program, arguments).inspect_err(|error| tracing::info!("{program} manages no windows on {on}: {error}")).ok()
}

/// Waits until windows are managed. One that asks to be shown while a window manager starts may never be: so one of a pixel asks until it is.
fn until_managed(display: &str, over: &dyn Fn() -> bool) -> Result<(), Box<dyn std::error::Error>> {
    let end = Instant::now() + MANAGES;
    let waits = || Instant::now() < end && !over();
    let (connection, screen) = RustConnection::connect(Some(display))?;
    let root = connection.setup().roots.get(screen).ok_or("the display has no screen")?.root;
    while waits() && !connection.get_window_attributes(root)?.reply()?.all_event_masks.contains(EventMask::SUBSTRUCTURE_REDIRECT) {
        std::thread::sleep(LOOK);
    }
    // It goes with the connection.
    let window = connection.generate_id()?;
    let shown = CreateWindowAux::new().event_mask(EventMask::STRUCTURE_NOTIFY);
    connection.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_OUTPUT, 0, &shown)?;
    while waits() {
        connection.map_window(window)?;
        connection.flush()?;
        let again = Instant::now() + SHOWS;
        while Instant::now() < again && waits() {
            while let Some(event) = connection.poll_for_event()? {
                if matches!(event, Event::MapNotify(_)) {
                    return Ok(());
                }
            }
            std::thread::sleep(LOOK / 4);
        }
        connection.unmap_window(window)?;
    }
    Ok(())
}

/// What is to be started on it. A desktop without is still one.
fn on_it(startup: &[String], on: &str) -> Option<Child> {
    let (program, arguments) = startup.split_first()?;
    spawn_on(on, program, arguments).inspect_err(|error| tracing::warn!("{program} cannot be started on the desktop {on}: {error}")).ok()
}

/// Starts a program on a display. Who sits before it is not to read the server's environment.
fn spawn_on(display: &str, program: &str, arguments: &[String]) -> std::io::Result<Child> {
    let inherited = |name: &str| INHERITED.contains(&name) || name.starts_with("LC_") || name.starts_with("XDG_");
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(inherited)));
    command.env("DISPLAY", display).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    with_us(&mut command).spawn()
}

/// Asks the kernel to end the child with the thread that starts it.
#[expect(unsafe_code, reason = "what runs between fork and exec must not allocate or lock: these are two bare system calls")]
fn with_us(command: &mut Command) -> &mut Command {
    let parent = rustix::process::getpid();
    // In a group of its own: a Ctrl-C at the terminal is for us to handle, in our order.
    command.process_group(0);
    // SAFETY: see above; nothing of this process's memory is touched but the copied process id.
    unsafe {
        command.pre_exec(move || {
            // TERM and not KILL: Xvfb then removes its lock and its socket.
            rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
            // The parent may have died before that was set.
            if rustix::process::getppid() == Some(parent) { Ok(()) } else { Err(std::io::ErrorKind::BrokenPipe.into()) }
        })
    }
}

/// Asks a child and those it started to end, and kills it if it does not.
fn end(mut child: Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, Signal::TERM);
    }
    let deadline = Instant::now() + END;
    while matches!(child.try_wait(), Ok(None)) {
        if Instant::now() >= deadline {
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        std::thread::sleep(LOOK / 4);
    }
}

/// Lets only programs of this user open the display. By name rather than by a secret in a file, so that a program needs nothing but
/// `DISPLAY` to appear on it.
fn close_to_others(display: &str) -> Result<(), Error> {
    let failed = |reason: String| Error::Start(format!("it cannot be closed to other users: {reason}"));
    let (connection, _) = RustConnection::connect(Some(display)).map_err(|error| failed(error.to_string()))?;
    let close = || -> Result<(), x11rb::errors::ReplyError> {
        let user = format!("localuser\0#{}", rustix::process::geteuid().as_raw());
        connection.change_hosts(HostMode::INSERT, Family::SERVER_INTERPRETED, user.as_bytes())?.check()?;
        for host in connection.list_hosts()?.reply()?.hosts {
            if host.family != Family::SERVER_INTERPRETED || host.address != user.as_bytes() {
                connection.change_hosts(HostMode::DELETE, host.family, &host.address)?.ignore_error();
            }
        }
        // The wildcard for every user of this machine, which the list does not show; x11rb has no name for it.
        connection.change_hosts(HostMode::DELETE, Family::from(252u8), &[])?.ignore_error();
        connection.set_access_control(AccessControl::ENABLE)?.check()
    };
    close().map_err(|error| failed(error.to_string()))?;
    let _ = connection.flush();
    Ok(())
}

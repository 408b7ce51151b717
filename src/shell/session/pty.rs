//! The terminal itself: a shell in a PTY, and the threads that read it, write to it and wait for its end.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use super::super::confined::Confined;
use super::model::Size;

/// Bytes that may wait to be read by what runs in the terminal.
const WAITING: usize = 1 << 20;

/// The server's end of a terminal.
pub(super) struct Pty {
    master: Mutex<Option<Box<dyn MasterPty + Send>>>,
    input: Mutex<Option<Sender<Vec<u8>>>>,
    waiting: Arc<AtomicUsize>,
    /// The shell's process.
    pub(super) pid: i32,
}

/// What is left to do with a shell that was started: read what it prints, and wait for its end.
pub(super) struct Ends {
    pub(super) reader: Box<dyn Read + Send>,
    pub(super) child: Box<dyn Child + Send + Sync>,
}

/// How a shell is started.
pub(super) struct Start<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [String],
    pub(super) directory: &'a Path,
    pub(super) environment: BTreeMap<OsString, OsString>,
    pub(super) size: Size,
    /// What holds it and all that it starts.
    pub(super) confined: Option<&'a Confined>,
}

impl Pty {
    pub(super) fn open(start: Start<'_>) -> std::io::Result<(Self, Ends)> {
        let other = |error: &dyn std::fmt::Display| std::io::Error::other(error.to_string());
        let size = PtySize { rows: start.size.rows, cols: start.size.cols, pixel_width: 0, pixel_height: 0 };
        let pair = native_pty_system().openpty(size).map_err(|error| other(&error))?;
        let mut command = CommandBuilder::new(start.program);
        command.args(start.arguments);
        command.env_clear();
        for (name, value) in &start.environment {
            command.env(name, value);
        }
        command.cwd(start.directory);
        // While the slave is open here, the other end never reads its end: it goes with what starts the shell.
        let slave = pair.slave;
        let spawn = move || slave.spawn_command(command).map_err(|error| other(&error));
        let child = match start.confined {
            Some(confined) => confined.within(spawn)?,
            None => spawn()?,
        };
        let reader = pair.master.try_clone_reader().map_err(|error| other(&error))?;
        let writer = pair.master.take_writer().map_err(|error| other(&error))?;
        let pid = child.process_id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        let waiting = Arc::new(AtomicUsize::new(0));
        let input = write(writer, Arc::clone(&waiting))?;
        let pty = Self { master: Mutex::new(Some(pair.master)), input: Mutex::new(Some(input)), waiting, pid };
        Ok((pty, Ends { reader, child }))
    }

    /// Types. False where too much waits already, or the terminal is closed.
    pub(super) fn input(&self, bytes: &[u8]) -> bool {
        let before = self.waiting.fetch_add(bytes.len(), Ordering::AcqRel);
        let input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = before + bytes.len() <= WAITING && input.as_ref().is_some_and(|input| input.send(bytes.to_vec()).is_ok());
        if !sent {
            self.waiting.fetch_sub(bytes.len(), Ordering::AcqRel);
        }
        sent
    }

    /// Tells what runs in it how large it is.
    pub(super) fn resize(&self, Size { cols, rows }: Size) {
        if let Some(master) = self.master.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            let _ = master.resize(PtySize { rows, cols, pixel_width: 0, pixel_height: 0 });
        }
    }

    /// The process group that reads what is typed.
    pub(super) fn foreground(&self) -> Option<i32> {
        #[cfg(unix)]
        return self.master.lock().unwrap_or_else(PoisonError::into_inner).as_ref().and_then(|master| master.process_group_leader());
        #[cfg(not(unix))]
        None
    }

    /// Lets go of the terminal.
    pub(super) fn close(&self) {
        self.input.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.master.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// Writes what is typed, on a thread of its own: a program that does not read holds up nobody but itself.
fn write(mut writer: Box<dyn Write + Send>, waiting: Arc<AtomicUsize>) -> std::io::Result<Sender<Vec<u8>>> {
    let (input, typed) = channel::<Vec<u8>>();
    thread("terminal-in", move || {
        while let Ok(bytes) = typed.recv() {
            let written = writer.write_all(&bytes).and_then(|()| writer.flush());
            waiting.fetch_sub(bytes.len(), Ordering::AcqRel);
            if written.is_err() {
                return;
            }
        }
    })?;
    Ok(input)
}

/// Starts a thread of a terminal.
pub(super) fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).stack_size(256 * 1024).spawn(work).map(drop)
}

/// Waits for the shell and gives its exit code, or 128 + n where signal n ended it.
pub(super) fn wait(mut child: Box<dyn Child + Send + Sync>) -> i32 {
    #[cfg(unix)]
    if let Some(pid) = child.process_id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw) {
        use rustix::process::{WaitOptions, waitpid};
        loop {
            match waitpid(Some(pid), WaitOptions::empty()) {
                Ok(Some((_, status))) => {
                    return status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal)).unwrap_or(-1);
                }
                Ok(None) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
        }
    }
    child.wait().map_or(-1, |status| i32::try_from(status.exit_code()).unwrap_or(-1))
}

/// Where a process is. Nothing where the system does not tell.
pub(super) fn directory_of(pid: i32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/cwd")).ok()
}

/// Whether a variable may be given to a shell in a terminal.
pub(super) fn for_terminal(inherited: &BTreeMap<OsString, OsString>) -> BTreeMap<OsString, OsString> {
    let mut environment = inherited.clone();
    environment.insert(OsStr::new("TERM").to_owned(), OsStr::new("xterm-256color").to_owned());
    environment
}

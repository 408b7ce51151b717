//! A session: a real shell in a real terminal, whose state lives from command to command.
//!
//! Commands that are sent ([`turn`]) and what a person types ([`Session::keys_of`]) go to the same shell, and everybody who looks
//! ([`Viewer`]) sees the same terminal ([`screen`]). Where a command begins and ends the shell says itself ([`marks`], [`dialect`]).

mod dialect;
mod ending;
mod expect;
mod folder;
mod marks;
mod model;
mod own;
mod pty;
pub(super) mod recorder;
mod replay;
mod ring;
mod screen;
mod state;
mod turn;
mod typing;
mod viewer;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use chrono::{DateTime, SecondsFormat, Utc};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;

use super::confined::Confined;
use super::history::History;
use super::output::Kept;
use super::{CommandOutput, Error, HistoryEntry, ShellSessionInfo, ShellType, TerminalSize, kin};
use crate::policy::{AllowedCommand, Program, Reach};
use model::Size;
use pty::{Ends, Pty, Start};
use state::{Phase, State, Typed};
use viewer::Watchers;
pub use viewer::{Seen, Standing, Typed as Taken, Viewer};

/// How long a shell may take to show its first prompt. PowerShell takes seconds.
const COME_UP: Duration = Duration::from_secs(20);
/// How long what runs in a session may take to tidy up when it ends.
const GRACE: Duration = Duration::from_millis(200);
/// Bytes of a command's output that its history keeps.
const KEPT_OUTPUT: usize = 64 * 1024;
/// The longest command, in bytes.
const LONGEST: usize = 1 << 20;
/// Columns and rows that a terminal may have.
const LARGEST: u16 = 1000;

/// The variable by which everything that was started in a session is found again.
const MARK: &str = "TRAE_SESSION_ID";

/// A session.
pub struct Session {
    id: String,
    name: String,
    shell_type: ShellType,
    created_at: SystemTime,
    began_in: PathBuf,
    /// Files between the server and the shell.
    folder: PathBuf,
    env: Option<PathBuf>,
    pty: Pty,
    state: Mutex<State>,
    /// Told whenever the terminal printed something.
    printed: watch::Sender<()>,
    watchers: Mutex<Watchers>,
    /// Told whenever something about those who look has changed, or the size of what they see.
    standing: watch::Sender<()>,
    /// Where recordings are.
    recordings: PathBuf,
    turns: Arc<tokio::sync::Mutex<()>>,
    count: AtomicU64,
    /// Why it is being ended, where the shell did not end by itself.
    ending: Mutex<Option<String>>,
    history: Arc<dyn History>,
    /// What holds what runs in it, where something does.
    confined: Option<Confined>,
    runtime: Handle,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
}

/// What a session is made of.
pub(super) struct New<'a> {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) shell_type: ShellType,
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [String],
    pub(super) directory: &'a Path,
    pub(super) environment: BTreeMap<OsString, OsString>,
    /// Where the folders of sessions are.
    pub(super) private: &'a Path,
    /// The program that lists variables.
    pub(super) env: Option<PathBuf>,
    pub(super) history: Arc<dyn History>,
    pub(super) permit: OwnedSemaphorePermit,
    pub(super) size: TerminalSize,
    /// Where recordings are.
    pub(super) recordings: PathBuf,
    /// Whether it is recorded from the beginning.
    pub(super) record: bool,
    /// What is to hold what runs in it.
    pub(super) confined: Option<Confined>,
}

impl Session {
    /// Starts the shell and waits until it takes commands. `on_end` is called once it is gone, however that came.
    pub(super) async fn open(mut new: New<'_>, on_end: impl FnOnce(&str) + Send + 'static) -> Result<Arc<Self>, Error> {
        let failed = |source| Error::Start { name: new.shell_type.as_str().to_owned(), source };
        let nonce = uuid::Uuid::now_v7().simple().to_string() + &uuid::Uuid::now_v7().simple().to_string()[16..];
        let folder = folder::private(new.private, &new.id).map_err(failed)?;
        let greeting = new.shell_type.greeting(&nonce, &folder);
        std::fs::write(folder.join(new.shell_type.file(dialect::GREETING)), greeting).map_err(failed)?;
        let mut environment = pty::for_terminal(&new.environment);
        environment.insert(MARK.into(), new.id.clone().into());
        let size = size_of(new.size)?;
        if let Some(confined) = &mut new.confined {
            confined.share(&folder);
        }
        let confined = new.confined.as_ref();
        let start = Start { program: new.program, arguments: new.arguments, directory: new.directory, environment, size, confined };
        let (pty, Ends { mut reader, child }) = Pty::open(start).map_err(failed)?;
        let session = Arc::new(Self {
            id: new.id,
            name: new.name,
            shell_type: new.shell_type,
            created_at: SystemTime::now(),
            began_in: new.directory.to_owned(),
            folder,
            env: new.env,
            state: Mutex::new(State::new(&nonce, size, pty.pid, new.shell_type.tells())),
            pty,
            printed: watch::Sender::new(()),
            watchers: Mutex::default(),
            standing: watch::Sender::new(()),
            recordings: new.recordings,
            turns: Arc::default(),
            count: AtomicU64::new(0),
            ending: Mutex::new(None),
            history: new.history,
            confined: new.confined,
            runtime: Handle::current(),
            permit: Mutex::new(Some(new.permit)),
        });
        let (reading, read_all) = std::sync::mpsc::channel::<()>();
        let this = Arc::downgrade(&session);
        pty::thread("terminal-out", move || {
            read(&mut reader, &this);
            drop(reading);
        })
        .map_err(failed)?;
        let this = Arc::clone(&session);
        pty::thread("terminal-end", move || {
            let code = pty::wait(child);
            // What it printed last is still on its way; what it left in the background may keep the terminal open for ever.
            let _ = read_all.recv_timeout(GRACE);
            this.over(code);
            on_end(&this.id);
        })
        .map_err(failed)?;
        session.pty.input(session.shell_type.greet(&session.folder).as_bytes());
        if let Err(error) = session.ready(COME_UP).await {
            session.end("it showed no prompt").await;
            return Err(error);
        }
        if new.record
            && let Err(error) = session.record()
        {
            session.end("it could not be recorded").await;
            return Err(error);
        }
        Ok(session)
    }

    /// Its id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What people call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What holds what runs in it; none where nothing but the operating system does.
    pub(super) fn reach(&self) -> Option<&Reach> {
        self.confined.as_ref().map(Confined::reach)
    }

    /// Its shell.
    pub fn shell_type(&self) -> ShellType {
        self.shell_type
    }

    /// How it is now.
    pub fn info(&self) -> ShellSessionInfo {
        let (last_activity, size, recording) = {
            let state = self.state();
            (state.last_activity, state.screen.size(), state.recorder.is_some())
        };
        ShellSessionInfo {
            session_id: self.id.clone(),
            name: self.name.clone(),
            shell_type: self.shell_type,
            working_directory: self.directory().display().to_string(),
            created_at: rfc3339(self.created_at),
            last_activity: rfc3339(last_activity),
            size: TerminalSize { cols: size.cols, rows: size.rows },
            viewers: self.viewers(),
            recording,
        }
    }

    /// Runs a command in it. A time-out or a cancel interrupts the command; the session lives on.
    pub(super) async fn run(
        self: &Arc<Self>,
        command: &AllowedCommand,
        directory: Option<&str>,
        limit: Duration,
        cancel: &CancellationToken,
    ) -> Result<CommandOutput, Error> {
        let Program::Line { shell, command: text } = command.program() else {
            return Err(Error::invalid(
                "/session_id",
                "a session takes command lines: leave out session_id for a program with its arguments",
            ));
        };
        if shell != self.shell_type.as_str() {
            let message = format!("this is a session of {}, which {shell} commands cannot run in", self.shell_type.as_str());
            return Err(Error::invalid("/session_id", message));
        }
        if text.len() > LONGEST {
            return Err(Error::invalid("/command", "a command in a session may have 1 MiB"));
        }
        if self.has_ended() {
            return Err(Error::SessionEnded(self.id.clone()));
        }
        let before = match directory {
            Some(asked) => {
                let folder = super::existing_folder(&self.directory().join(asked), asked, "/working_directory")?;
                Some(self.shell_type.change_directory(&folder.to_string_lossy()))
            }
            None => None,
        };
        self.run_text(before, text.clone(), limit, cancel).await
    }

    /// Whether its shell is what reads that is typed: nothing runs in it.
    pub fn reads_commands(&self) -> bool {
        matches!(self.state().phase(), Phase::Starting | Phase::Idle)
    }

    /// What a person typed. False where too much waits to be read already.
    pub fn keys_of(&self, allowed: &AllowedCommand, bytes: &[u8]) -> Result<bool, Error> {
        self.is_meant(allowed)?;
        let mut state = self.state();
        state.keys(bytes);
        Ok(self.pty.input(bytes))
    }

    /// Tells what runs in it how large the terminal is.
    pub fn resize(&self, allowed: &AllowedCommand, cols: u16, rows: u16) -> Result<(), Error> {
        self.is_meant(allowed)?;
        self.take_size(size_of(TerminalSize { cols, rows })?);
        self.standing.send_replace(());
        Ok(())
    }

    fn take_size(&self, size: Size) {
        let mut state = self.state();
        if state.screen.size() == size {
            return;
        }
        state.screen.resize(size);
        if let Some(recorder) = &mut state.recorder {
            recorder.resized(size);
        }
        // Under the lock, so that the last size to come is the one that stays.
        self.pty.resize(size);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ending(&self) -> Option<String> {
        self.ending.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a permission is for this session's shell, and it still lives.
    fn is_meant(&self, allowed: &AllowedCommand) -> Result<(), Error> {
        if self.has_ended() {
            return Err(Error::SessionEnded(self.id.clone()));
        }
        self.is_its(allowed)
    }

    /// Whether a permission is for this session's shell.
    fn is_its(&self, allowed: &AllowedCommand) -> Result<(), Error> {
        if allowed.program().name() == self.shell_type.as_str() {
            return Ok(());
        }
        Err(Error::invalid("/session_id", format!("this is a session of {}", self.shell_type.as_str())))
    }

    /// Keys of our own.
    fn keys(&self, bytes: &[u8]) {
        self.pty.input(bytes);
    }

    /// Where the shell is.
    fn directory(&self) -> PathBuf {
        pty::directory_of(self.pty.pid).filter(|_| !self.has_ended()).unwrap_or_else(|| self.began_in.clone())
    }

    /// Everything that runs in it, its shell among it.
    pub async fn processes(&self) -> Vec<u32> {
        if self.has_ended() {
            return Vec::new();
        }
        self.members().await.into_iter().filter_map(|pid| u32::try_from(pid).ok()).collect()
    }

    async fn members(&self) -> Vec<i32> {
        let (pid, mark) = (self.pty.pid, format!("{MARK}={}", self.id));
        tokio::task::spawn_blocking(move || kin::of_session(pid, &mark)).await.unwrap_or_default()
    }

    /// Puts a command on record.
    async fn keep(&self, command: &str, exit_code: i32, output: &Kept, at: SystemTime, execution_time: f64, directory: Option<PathBuf>) {
        // Whoever reads this later has it shown somewhere: nothing in it may do anything there.
        let mut text = screen::plain(output.bytes());
        let truncated = output.truncated() || text.len() > KEPT_OUTPUT;
        text.truncate(text.floor_char_boundary(KEPT_OUTPUT));
        let command = &command[..command.floor_char_boundary(KEPT_OUTPUT)];
        let command = command.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        let working_directory = directory.map(|directory| directory.display().to_string());
        let timestamp = rfc3339(at);
        let entry = HistoryEntry { id: 0, command, timestamp, exit_code, output: text, truncated, execution_time, working_directory };
        if let Err(failure) = self.history.ran(self.id.clone(), entry).await {
            tracing::warn!(session = self.id, error = %failure, "a command of a session could not be put on record");
        }
    }

    fn took_in(&self, bytes: &[u8]) {
        let mut state = self.state();
        let typed = state.take_in(bytes);
        // A program may ask its terminal something. Where nobody looks, there is none to answer but the model.
        if bytes.contains(&0x1b) && self.viewers() == 0 {
            let answers = state.screen.model().answers();
            if !answers.is_empty() {
                self.pty.input(&answers);
            }
        }
        drop(state);
        self.printed.send_replace(());
        // The thread that reads the terminal waits for each: one after another, they stay in the order in which they ran.
        for Typed { command, code, output, at, seconds, directory } in typed {
            self.runtime.block_on(self.keep(&command, code, &output, at, seconds, directory));
        }
    }
}

/// A size that a terminal may have.
fn size_of(TerminalSize { cols, rows }: TerminalSize) -> Result<Size, Error> {
    for (path, side) in [("/size/cols", cols), ("/size/rows", rows)] {
        if !(1..=LARGEST).contains(&side) {
            return Err(Error::invalid(path, format!("a terminal has from 1 to {LARGEST} columns and rows")));
        }
    }
    Ok(Size { cols, rows })
}

/// Reads the terminal until it is closed.
fn read(reader: &mut Box<dyn Read + Send>, session: &Weak<Session>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(read) => match session.upgrade() {
                Some(session) => session.took_in(&buffer[..read]),
                None => return,
            },
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

fn rfc3339(time: SystemTime) -> String {
    DateTime::<Utc>::from(time).to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Seconds as people write them.
fn seconds(time: Duration) -> String {
    time.as_secs_f64().to_string()
}

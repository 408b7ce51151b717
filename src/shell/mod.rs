//! Runs commands and says what they printed and how they ended: each by itself, or in a session.
//!
//! A single command leads a process group of its own, so that a time-out or a cancel ends it with everything it started. What it
//! prints is read to the end but kept only up to a limit, so that no command can fill the memory or block on a full pipe.
//! [`session`] is a real shell in a real terminal, whose state lives from command to command.

mod confined;
mod environment;
mod error;
mod group;
mod history;
mod kin;
mod output;
mod programs;
mod session;
mod sessions;
mod words;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::policy::AllowedCommand;
use confined::Confined;
pub use error::Error;
use group::Group;
pub use history::{History, HistoryPage};
use output::{Kept, drain};
use programs::Programs;
pub use session::{Seen, Session, Standing, Taken, Viewer};
use sessions::{Beginning, Keeper, Live};
pub use words::*;

/// How long the pipes may stay open after the command itself ended: a child that it left behind may hold them for ever.
const GRACE: Duration = Duration::from_millis(200);

/// What a command that ran out of time answers with, as `timeout(1)` does.
const TIMED_OUT: i32 = 124;

/// The most seconds a command may be given.
pub const LONGEST_TIMEOUT: f64 = 300.0;

/// Bytes of its output that are kept.
pub const LARGEST_OUTPUT: usize = output::LIMIT;

/// Which shells there are, and where commands start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Command lines by name, the script is added as the last argument: `bash` → `["bash", "-c"]`.
    pub shells: BTreeMap<String, Vec<String>>,
    /// Command lines of sessions by name: `bash` → `["bash", "-i"]`.
    pub terminals: BTreeMap<String, Vec<String>>,
    /// How many sessions may be open at once.
    pub max_sessions: usize,
    /// Where commands run that name no folder, and what relative folders count from.
    pub directory: PathBuf,
    /// Whether commands that may touch only some paths are held to them by the kernel.
    pub confine: bool,
    /// Where sessions keep the files through which they talk with their shells.
    pub private: PathBuf,
    /// Where recordings of sessions are kept.
    pub recordings: PathBuf,
    /// Whether sessions are recorded that do not say themselves.
    pub record: bool,
}

impl Default for Settings {
    /// bash alone, in the folder for temporary files.
    fn default() -> Self {
        let line = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let private = std::env::temp_dir().join(format!("trae-sessions-{}", uuid::Uuid::now_v7().simple()));
        Self {
            shells: BTreeMap::from([("bash".to_owned(), line(&["bash", "-c"]))]),
            terminals: BTreeMap::from([("bash".to_owned(), line(&["bash", "--noprofile", "--norc", "-i"]))]),
            max_sessions: 32,
            confine: true,
            directory: std::env::temp_dir(),
            recordings: private.join("recordings"),
            private,
            record: false,
        }
    }
}

/// The commands of this machine, and its shell sessions.
pub struct Shells {
    programs: Programs,
    beginning: Mutex<Beginning>,
    live: Arc<Live>,
    places: Arc<Semaphore>,
    max_sessions: usize,
    confine: bool,
    private: PathBuf,
    recordings: PathBuf,
    record: bool,
    history: Keeper,
}

impl Shells {
    /// The shells that `settings` name; what runs in sessions is remembered as long as they live. What commands inherit of this
    /// process's environment is read once, here.
    pub fn new(settings: Settings) -> Self {
        Self::with_history(settings, Arc::new(history::Remembered::default()))
    }

    /// The same, with somebody who keeps what runs in sessions.
    pub fn with_history(settings: Settings, history: Arc<dyn History>) -> Self {
        Self {
            programs: Programs::new(settings.shells, settings.terminals, environment::inherited(std::env::vars_os())),
            beginning: Mutex::new(Beginning { directory: settings.directory, variables: BTreeMap::new() }),
            live: Arc::default(),
            places: sessions::places(settings.max_sessions),
            max_sessions: settings.max_sessions,
            confine: settings.confine,
            private: settings.private,
            recordings: settings.recordings,
            record: settings.record,
            history,
        }
    }

    /// How many sessions may be open at once.
    pub fn max_sessions(&self) -> usize {
        self.max_sessions
    }

    /// Whether a shell is on this machine, and what it says of itself.
    pub async fn installed(&self, shell: ShellType) -> Installed {
        let directory = self.beginning().directory;
        self.programs.installed(shell, &directory).await
    }

    /// Runs one command to its end, by itself or in a session.
    ///
    /// A failing command is no error: its exit code says so. One that runs out of time is ended with its whole group and answers
    /// with exit code 124 and what it printed so far. `extra_env` (the display, say) is set by the caller and not checked;
    /// `options.env` comes from the user and is. A command with a [`reach`](AllowedCommand::reach) is held to it, and runs in no
    /// session that reaches further.
    pub async fn run(
        &self,
        command: AllowedCommand,
        options: CommandOptions,
        extra_env: &BTreeMap<String, String>,
        cancel: &CancellationToken,
    ) -> Result<CommandOutput, Error> {
        let limit = time_limit(options.timeout)?;
        environment::check(&options.env)?;
        command.admits_variables(self.beginning().variables.keys().chain(options.env.keys()))?;
        self.accepts()?;
        if let Some(id) = &options.session_id {
            if !options.env.is_empty() || options.stdin.is_some() {
                let path = if options.env.is_empty() { "/stdin" } else { "/env" };
                return Err(Error::invalid(path, "a command in a session has the session's variables, and reads from its terminal"));
            }
            let session = self.session(id).await?;
            self.admits(&session, &command)?;
            return session.run(&command, options.working_directory.as_deref(), limit, cancel).await;
        }
        let beginning = self.beginning();
        let directory = match &options.working_directory {
            Some(asked) => existing_folder(&beginning.directory.join(asked), asked, "/working_directory")?,
            None => existing_folder(&beginning.directory, &beginning.directory.to_string_lossy(), "/working_directory")?,
        };
        let argv = self.programs.argv(command.program())?;
        let Some((name, arguments)) = argv.split_first() else {
            return Err(Error::invalid("/command", "a command needs a program"));
        };
        let program = self.programs.locate(command.program(), name, &directory)?;
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }

        let started = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::NotFound => programs::not_installed(name, name),
            _ => Error::Start { name: name.clone(), source },
        };
        let mut environment = self.environment(&beginning, extra_env);
        let confined = match command.reach().filter(|_| self.confine) {
            Some(reach) => Some(Confined::new(reach, &self.programs.search()).map_err(started)?),
            None => None,
        };
        if let Some(confined) = &confined {
            confined.variables(&mut environment);
        }
        let mut prepared = Command::new(&program);
        prepared.args(arguments).current_dir(&directory).env_clear().envs(environment).envs(&options.env);
        prepared.stdin(if options.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        prepared.stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        prepared.arg0(name).process_group(0);

        let begun = Instant::now();
        let Some(confined) = confined else {
            let child = prepared.spawn().map_err(started)?;
            return follow(Group::new(child), options.stdin, begun, limit, cancel).await;
        };
        let group = confined.start(prepared).await.map_err(|source| match source.kind() {
            std::io::ErrorKind::PermissionDenied => Error::OutOfReach { program: program.display().to_string() },
            _ => started(source),
        })?;
        let mut done = follow(group, options.stdin, begun, limit, cancel).await?;
        let hint = if done.exit_code == 0 { None } else { confined.hint(&done.error, &directory) };
        if let Some(hint) = hint {
            done.error.push_str(&hint);
            done.error.push('\n');
        }
        Ok(done)
    }
}

impl Drop for Shells {
    fn drop(&mut self) {
        self.hang_up();
    }
}

/// Whether a command that is held to its reach has that socket open, by its number. Blocks.
pub fn is_confined(socket: u64) -> bool {
    crate::sandbox::is_confined(socket)
}

/// What a variable is shown as: secrets, as far as names and values tell, are masked.
pub fn masked(variables: BTreeMap<String, String>) -> BTreeMap<String, String> {
    variables
        .into_iter()
        .map(|(name, value)| {
            let value = environment::shown(&name, &value);
            (name, value)
        })
        .collect()
}

/// A folder that is there and may be entered, with its links resolved. `shown` is how the request, in which it stands `at`, names it.
fn existing_folder(folder: &Path, shown: &str, at: &'static str) -> Result<PathBuf, Error> {
    if shown.contains('\0') {
        return Err(Error::invalid(at, "a folder may not contain NUL characters"));
    }
    let enter = |folder: &Path| {
        #[cfg(unix)]
        rustix::fs::access(folder, rustix::fs::Access::EXEC_OK)?;
        folder.canonicalize()
    };
    match std::fs::metadata(folder) {
        Ok(found) if found.is_dir() => {
            enter(folder).map_err(|error| Error::invalid(at, format!("the folder {shown:?} cannot be entered ({error}): name another one")))
        }
        Ok(_) => Err(Error::invalid(at, format!("{shown:?} is a file: name a folder"))),
        Err(error) => Err(Error::invalid(at, format!("the folder {shown:?} cannot be used ({error}): name one that exists"))),
    }
}

/// How long something may take that was given so many seconds.
///
/// # Errors
/// Where that is not above 0 and at most [`LONGEST_TIMEOUT`].
pub fn time_limit(seconds: f64) -> Result<Duration, Error> {
    if seconds.is_finite() && seconds > 0.0 && seconds <= LONGEST_TIMEOUT {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(Error::invalid("/timeout", format!("a timeout of {seconds} is not possible: give seconds above 0 and at most 300")))
}

/// Waits for the command, its time or its cancel, reading what it prints all the while.
async fn follow(
    mut group: Group,
    stdin: Option<String>,
    started: Instant,
    limit: Duration,
    cancel: &CancellationToken,
) -> Result<CommandOutput, Error> {
    let (input, out, err) = group.pipes();
    let (mut kept_out, mut kept_err) = (Kept::default(), Kept::default());
    let mut timed_out = false;
    let status;
    {
        let talk = async { tokio::join!(feed(input, stdin), drain(out, &mut kept_out), drain(err, &mut kept_err)) };
        tokio::pin!(talk);
        let mut talking = true;
        let deadline = tokio::time::sleep_until((started + limit).into());
        tokio::pin!(deadline);
        status = loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    group.kill();
                    // Reap it where that is quick; the guard and the runtime do it otherwise.
                    let _ = tokio::time::timeout(Duration::from_millis(30), group.wait()).await;
                    return Err(Error::Cancelled);
                }
                ended = group.wait() => break ended.map_err(Error::Wait)?,
                () = &mut deadline, if !timed_out => {
                    timed_out = true;
                    group.kill();
                }
                _ = &mut talk, if talking => talking = false,
            }
        };
        if talking {
            tokio::select! {
                () = cancel.cancelled() => return Err(Error::Cancelled),
                _ = tokio::time::timeout(GRACE, &mut talk) => {}
            }
        }
    }
    let truncated = kept_out.truncated() || kept_err.truncated();
    Ok(CommandOutput {
        exit_code: if timed_out { TIMED_OUT } else { group::exit_code(status) },
        output: kept_out.into_text(),
        error: kept_err.into_text(),
        execution_time: started.elapsed().as_secs_f64(),
        timed_out,
        truncated,
    })
}

/// Hands the command its input. One that does not want all of it is no error.
async fn feed(pipe: Option<ChildStdin>, text: Option<String>) {
    if let (Some(mut pipe), Some(text)) = (pipe, text) {
        let _ = pipe.write_all(text.as_bytes()).await;
    }
}

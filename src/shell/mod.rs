//! Runs one command and says what it printed and how it ended.
//!
//! Each command leads a process group of its own, so that a time-out or a cancel ends it with everything it started. What it
//! prints is read to the end but kept only up to a limit, so that no command can fill the memory or block on a full pipe.
//! Terminals and sessions do not live here.

mod environment;
mod group;
mod output;
mod words;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStdin, Command};
use tokio_util::sync::CancellationToken;

use crate::error::{Classify, Kind};
use crate::policy::{AllowedCommand, Program};
use group::Group;
use output::{Kept, drain};
pub use words::*;

/// How long the pipes may stay open after the command itself ended: a child that it left behind may hold them for ever.
const GRACE: Duration = Duration::from_millis(200);

/// What a command that ran out of time answers with, as `timeout(1)` does.
const TIMED_OUT: i32 = 124;

/// Which shells there are, and where commands start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Command lines by name, the script is added as the last argument: `bash` → `["bash", "-c"]`.
    pub shells: BTreeMap<String, Vec<String>>,
    /// Where commands run that name no folder, and what relative folders count from.
    pub directory: PathBuf,
}

/// Why a command was not run, or not to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option is outside what is accepted; nothing was started.
    #[error("{0}")]
    Invalid(String),
    /// The shell is not configured.
    #[error("there is no shell {name:?} here: use one of {known}")]
    UnknownShell {
        /// The name asked for.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// The program is not on this machine.
    #[error("{name:?} is not installed on this machine, or not on the PATH: install it, or use another one")]
    NotInstalled {
        /// The program's name.
        name: String,
    },
    /// The operating system refused to start it.
    #[error("{name:?} could not be started: {source}")]
    Start {
        /// The program's name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// Its end could not be waited for.
    #[error("the command was started, but its end could not be waited for: {0}")]
    Wait(std::io::Error),
    /// Somebody asked for it to stop; it was ended.
    #[error("the command was cancelled and ended with everything it started")]
    Cancelled,
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) | Self::UnknownShell { .. } => Kind::ValidationError,
            Self::NotInstalled { .. } => Kind::ServiceUnavailable,
            Self::Start { source, .. } => match source.kind() {
                std::io::ErrorKind::PermissionDenied => Kind::PermissionDenied,
                std::io::ErrorKind::ArgumentListTooLong => Kind::ValidationError,
                _ => Kind::Internal,
            },
            Self::Wait(_) => Kind::Internal,
            Self::Cancelled => Kind::Cancelled,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::NotInstalled { name } => Some(json!({ "service": "shell", "hint": format!("install {name} and put it on the PATH") })),
            _ => None,
        }
    }
}

/// The commands of this machine.
#[derive(Debug)]
pub struct Shells {
    settings: Settings,
    inherited: BTreeMap<OsString, OsString>,
}

impl Shells {
    /// The shells that `settings` name. What commands inherit of this process's environment is read once, here.
    pub fn new(settings: Settings) -> Self {
        Self { settings, inherited: environment::inherited(std::env::vars_os()) }
    }

    /// Runs one command to its end.
    ///
    /// A failing command is no error: its exit code says so. One that runs out of time is ended with its whole group and answers
    /// with exit code 124 and what it printed so far. `extra_env` (the display, say) is set by the caller and not checked;
    /// `options.env` comes from the user and is.
    pub async fn run(
        &self,
        command: AllowedCommand,
        options: CommandOptions,
        extra_env: &BTreeMap<String, String>,
        cancel: &CancellationToken,
    ) -> Result<CommandOutput, Error> {
        let limit = time_limit(options.timeout)?;
        environment::check(&options.env)?;
        let directory = self.directory(options.working_directory.as_deref())?;
        let argv = self.argv(command.program())?;
        let Some((name, arguments)) = argv.split_first() else {
            return Err(Error::Invalid("a command needs a program".to_owned()));
        };
        let program = self.find(name, &directory)?;
        if cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }

        let mut prepared = Command::new(program);
        prepared.args(arguments).current_dir(directory).env_clear().envs(&self.inherited).envs(extra_env).envs(&options.env);
        prepared.stdin(if options.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        prepared.stdout(Stdio::piped()).stderr(Stdio::piped());
        #[cfg(unix)]
        prepared.arg0(name).process_group(0);

        let started = Instant::now();
        let child = prepared.spawn().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::NotInstalled { name: name.clone() },
            _ => Error::Start { name: name.clone(), source },
        })?;
        follow(Group::new(child), options.stdin, started, limit, cancel).await
    }

    fn directory(&self, asked: Option<&str>) -> Result<PathBuf, Error> {
        let directory = asked.map_or_else(|| self.settings.directory.clone(), |asked| self.settings.directory.join(asked));
        let shown = asked.map_or_else(|| directory.display().to_string(), str::to_owned);
        if shown.contains('\0') {
            return Err(Error::Invalid("the working directory may not contain NUL characters".to_owned()));
        }
        match std::fs::metadata(&directory) {
            Ok(found) if found.is_dir() => Ok(directory),
            Ok(_) => Err(Error::Invalid(format!("the working directory {shown:?} is a file: name a folder"))),
            Err(error) => {
                Err(Error::Invalid(format!("the working directory {shown:?} cannot be used ({error}): name a folder that exists")))
            }
        }
    }

    fn argv(&self, program: &Program) -> Result<Vec<String>, Error> {
        match program {
            Program::Argv(argv) => Ok(argv.clone()),
            Program::Line { shell, command } => {
                let Some(line) = self.settings.shells.get(shell).filter(|line| !line.is_empty()) else {
                    let known = self.settings.shells.keys().cloned().collect::<Vec<_>>().join(", ");
                    return Err(Error::UnknownShell { name: shell.clone(), known });
                };
                Ok(line.iter().chain([command]).cloned().collect())
            }
        }
    }

    /// Finds the program as a shell would. Done here rather than by the operating system: a program with a full path can be
    /// started without copying this process first.
    fn find(&self, name: &str, directory: &Path) -> Result<PathBuf, Error> {
        if name.contains('/') || cfg!(windows) {
            return Ok(if name.contains('/') { directory.join(name) } else { PathBuf::from(name) });
        }
        let path =
            self.inherited.get(std::ffi::OsStr::new("PATH")).cloned().unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
        std::env::split_paths(&path)
            .filter(|folder| folder.is_absolute())
            .map(|folder| folder.join(name))
            .find(|candidate| group::is_executable(candidate))
            .ok_or_else(|| Error::NotInstalled { name: name.to_owned() })
    }
}

fn time_limit(seconds: f64) -> Result<Duration, Error> {
    if seconds.is_finite() && seconds > 0.0 && seconds <= 300.0 {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(Error::Invalid(format!("a timeout of {seconds} is not possible: give seconds above 0 and at most 300")))
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

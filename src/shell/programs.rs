//! The programs behind the shells: command lines, where each lies, what version it is, and how to get one that is missing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::process::Command;

use super::{Error, Installed, ShellType, group};
use crate::policy::Program;

/// PowerShell takes seconds to say its version.
const PATIENCE: Duration = Duration::from_secs(10);

/// Command lines, and what is known of their programs.
#[derive(Debug, Default)]
pub(super) struct Programs {
    /// For one command, by shell: the command is added as the last argument.
    pub(super) lines: BTreeMap<String, Vec<String>>,
    /// For a session, by shell.
    pub(super) terminals: BTreeMap<String, Vec<String>>,
    /// What commands inherit of this process's environment.
    pub(super) inherited: BTreeMap<OsString, OsString>,
    versions: Mutex<BTreeMap<PathBuf, Option<String>>>,
}

impl Programs {
    pub(super) fn new(
        lines: BTreeMap<String, Vec<String>>,
        terminals: BTreeMap<String, Vec<String>>,
        inherited: BTreeMap<OsString, OsString>,
    ) -> Self {
        Self { lines, terminals, inherited, versions: Mutex::default() }
    }

    /// The words that start `program`.
    pub(super) fn argv(&self, program: &Program) -> Result<Vec<String>, Error> {
        let configured = |lines: &BTreeMap<String, Vec<String>>, shell: &String| match lines.get(shell).filter(|line| !line.is_empty()) {
            Some(line) => Ok(line.clone()),
            None => {
                let known = lines.keys().cloned().collect::<Vec<_>>().join(", ");
                Err(Error::UnknownShell { name: shell.clone(), known })
            }
        };
        match program {
            Program::Argv(argv) => Ok(argv.clone()),
            Program::Line { shell, command } => {
                let mut line = configured(&self.lines, shell)?;
                line.push(command.clone());
                Ok(line)
            }
            Program::Terminal { shell } => configured(&self.terminals, shell),
        }
    }

    /// Where the program `name` lies that is to run `program`: that itself, or the shell that reads it.
    ///
    /// # Errors
    /// Where it is not there, with how to get it.
    pub(super) fn locate(&self, program: &Program, name: &str, directory: &Path) -> Result<PathBuf, Error> {
        let shell = match program {
            Program::Line { shell, .. } | Program::Terminal { shell } => shell,
            Program::Argv(_) => name,
        };
        self.find(name, directory).ok_or_else(|| not_installed(shell, name))
    }

    /// Finds a program as a shell would. Done here rather than by the operating system: a program with a full path can be started
    /// without copying this process first.
    pub(super) fn find(&self, name: &str, directory: &Path) -> Option<PathBuf> {
        if cfg!(windows) {
            return Some(PathBuf::from(name));
        }
        if name.contains('/') {
            return Some(directory.join(name)).filter(|path| path.exists());
        }
        self.search().into_iter().map(|folder| folder.join(name)).find(|candidate| group::is_executable(candidate))
    }

    /// The folders in which programs are looked for.
    pub(super) fn search(&self) -> Vec<PathBuf> {
        let path = self.inherited.get(OsStr::new("PATH")).cloned().unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"));
        std::env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
    }

    /// Whether a shell is there, and what it says of itself.
    pub(super) async fn installed(&self, shell: ShellType, directory: &Path) -> Installed {
        let words = self.lines.get(shell.as_str()).cloned().unwrap_or_default();
        let Some(name) = words.first() else {
            let hint = format!("set SHELL_{} to its command line", shell.as_str().to_uppercase());
            return Installed { available: false, path: None, version: None, hint: Some(hint) };
        };
        match self.find(name, directory).filter(|path| cfg!(windows) || group::is_executable(path)) {
            Some(path) => {
                let version = self.version(shell, &path).await;
                Installed { available: true, path: Some(path.display().to_string()), version, hint: None }
            }
            None => Installed { available: false, path: None, version: None, hint: Some(hint(shell.as_str())) },
        }
    }

    /// The first line of what it says; asked once for each program.
    async fn version(&self, shell: ShellType, path: &Path) -> Option<String> {
        let known = |this: &Self| this.versions.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned();
        if let Some(version) = known(self) {
            return version;
        }
        let mut asked = Command::new(path);
        match shell {
            ShellType::Cmd => asked.args(["/C", "ver"]),
            // It has no way to say.
            ShellType::Sh => return None,
            ShellType::Bash | ShellType::Fish | ShellType::PowerShell | ShellType::Zsh => asked.arg("--version"),
        };
        asked.env_clear().envs(&self.inherited).stdin(Stdio::null()).kill_on_drop(true);
        let answer = tokio::time::timeout(PATIENCE, asked.output()).await.ok().and_then(Result::ok);
        let version = answer.and_then(|answer| {
            let text = String::from_utf8_lossy(&answer.stdout).into_owned();
            text.lines().map(str::trim).find(|line| !line.is_empty()).map(|line| line.chars().take(200).collect::<String>())
        });
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), version.clone());
        version
    }
}

/// The program is not there.
pub(super) fn not_installed(shell: &str, name: &str) -> Error {
    Error::NotInstalled { name: name.to_owned(), hint: hint(shell) }
}

/// How to get a shell, or a program.
fn hint(shell: &str) -> String {
    match shell {
        "powershell" => {
            "install PowerShell (https://aka.ms/powershell), or set SHELL_POWERSHELL and SHELL_POWERSHELL_INTERACTIVE to command lines \
             that start it; for a session with another shell send `shell_type`, such as bash"
        }
        "cmd" => {
            "cmd is a part of Windows: elsewhere set SHELL_CMD and SHELL_CMD_INTERACTIVE to command lines that stand in for it, or use bash"
        }
        "bash" => "install bash (on Debian: apt install bash), or set SHELL_BASH and SHELL_BASH_INTERACTIVE to where it lies",
        "zsh" => "install zsh (on Debian: apt install zsh), or set SHELL_ZSH and SHELL_ZSH_INTERACTIVE to where it lies",
        "fish" => "install fish (on Debian: apt install fish), or set SHELL_FISH and SHELL_FISH_INTERACTIVE to where it lies",
        other => return format!("install {other} and put it on the PATH"),
    }
    .to_owned()
}

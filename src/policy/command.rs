//! Commands and processes that were checked.

use super::danger::{self, Commands, Refusal};
use super::grant::Denied;
use super::reach::Reach;

/// What is to be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// A command line for a shell.
    Line {
        /// The shell's name: `bash`, `powershell`, `cmd`, …
        shell: String,
        /// The command line, as one would type it.
        command: String,
    },
    /// A program and its arguments; no shell reads them, so nothing needs quoting.
    Argv(Vec<String>),
    /// A shell in a terminal of its own, which a person may use. What is typed there is not looked at.
    Terminal {
        /// The shell's name.
        shell: String,
    },
}

impl Program {
    /// The name that a manifest lists: the shell's, or the program's exactly as it is called (`git` does not cover `/tmp/git`).
    pub fn name(&self) -> &str {
        match self {
            Self::Line { shell, .. } | Self::Terminal { shell } => shell,
            Self::Argv(argv) => argv.first().map_or("", String::as_str),
        }
    }
}

/// A command that the grant allows and that breaks none of the rules of [`Commands`].
#[derive(Debug, Clone)]
pub struct AllowedCommand {
    program: Program,
    reach: Option<Reach>,
    commands: Commands,
}

impl AllowedCommand {
    /// The command itself.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The same command, which may touch no more than this.
    #[must_use]
    pub fn within(self, reach: Option<Reach>) -> Self {
        Self { reach, ..self }
    }

    /// What it may touch; none where nothing but the operating system holds it back, as a person's own command.
    pub fn reach(&self) -> Option<&Reach> {
        self.reach.as_ref()
    }

    /// Refuses variables that could make another command of it, where only some are allowed.
    pub fn admits_variables<'a>(&self, mut names: impl Iterator<Item = &'a String>) -> Result<(), Denied> {
        names.try_for_each(|name| Self::check_variable(&self.commands, name))
    }

    pub(super) fn check_typed(shell: &str, text: &str) -> Result<(), Denied> {
        match danger::check(shell, text) {
            Err(Refusal { rule, reason }) if rule != "not_parsed" => Err(Denied::Unsafe { rule, reason }),
            _ => Ok(()),
        }
    }

    pub(super) fn check_variable(commands: &Commands, name: &str) -> Result<(), Denied> {
        commands.check_variable(name).map_err(|Refusal { rule, reason }| Denied::Unsafe { rule, reason })
    }

    pub(super) fn new(program: Program, commands: &Commands) -> Result<Self, Denied> {
        let texts: Vec<&str> = match &program {
            Program::Line { command, .. } => vec![command],
            Program::Argv(argv) => argv.iter().map(String::as_str).collect(),
            Program::Terminal { .. } => Vec::new(),
        };
        if program.name().is_empty() || texts.iter().any(|text| text.contains('\0')) {
            return Err(Denied::Invalid("a command needs a program and may not contain NUL characters".to_owned()));
        }
        match &program {
            Program::Line { shell, command } => commands.check(shell, command),
            Program::Argv(argv) => commands.check_argv(argv),
            Program::Terminal { .. } => commands.check_terminal(),
        }
        .map_err(|Refusal { rule, reason }| Denied::Unsafe { rule, reason })?;
        Ok(Self { program, reach: None, commands: commands.clone() })
    }
}

/// A process that the grant allows to act on.
#[derive(Debug, Clone, Copy)]
pub struct AllowedProcess(u32);

impl AllowedProcess {
    /// Its process id.
    pub fn pid(self) -> u32 {
        self.0
    }

    pub(super) fn new(pid: u32) -> Self {
        Self(pid)
    }
}

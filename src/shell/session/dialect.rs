//! How each kind of shell is told to mark its commands, and how it is asked to do things.
//!
//! Once it is up, it is given a file ([`ShellType::greeting`]) that makes it say where each command begins and ends. A command is then a
//! short line that is typed ([`ShellType::line`]); the command itself lies in a file, so that nothing in it can be taken for keys.

use std::path::Path;

use crate::shell::ShellType;

/// The file with the command to be run.
pub(super) const COMMAND: &str = "command";
/// The file that makes a shell say what it does.
pub(super) const GREETING: &str = "greeting";

/// A key of ours in fish, which wipes what is being edited.
const FISH_WIPE: &str = "\x1b[7777~";
/// Another one, after which it says that it is ready.
const FISH_ANEW: &str = "\x1b[7778~";

impl ShellType {
    /// What stands in the file that the shell reads first.
    pub(super) fn greeting(self, nonce: &str, folder: &Path) -> String {
        let template = match self {
            Self::Bash => include_str!("greeting.bash"),
            Self::Fish => include_str!("greeting.fish"),
            Self::Sh => include_str!("greeting.sh"),
            Self::Zsh => include_str!("greeting.zsh"),
            Self::PowerShell => include_str!("greeting.ps1"),
            Self::Cmd => include_str!("greeting.cmd"),
        };
        let folder = folder.to_string_lossy();
        let folder = match self {
            Self::Bash | Self::Sh | Self::Zsh => folder.replace('\'', r"'\''"),
            Self::Fish => folder.replace('\\', r"\\").replace('\'', r"\'"),
            Self::PowerShell => folder.replace('\'', "''"),
            Self::Cmd => folder.replace('%', "%%"),
        };
        let text = template.replace("@NONCE@", nonce).replace("@FOLDER@", &folder);
        if self == Self::Cmd { text.replace("@ESC@", "\x1b").replace("@BEL@", "\x07").replace('\n', "\r\n") } else { text }
    }

    /// How files are called that it is to run: cmd looks at the ending, PowerShell too.
    pub(super) fn file(self, name: &str) -> String {
        match self {
            Self::Bash | Self::Fish | Self::Sh | Self::Zsh => name.to_owned(),
            Self::PowerShell => format!("{name}.ps1"),
            Self::Cmd => format!("{name}.cmd"),
        }
    }

    /// What is typed to have the greeting read.
    pub(super) fn greet(self, folder: &Path) -> String {
        let file = folder.join(self.file(GREETING)).to_string_lossy().into_owned();
        match self {
            Self::Bash | Self::Fish | Self::Sh | Self::Zsh => format!(" . {}\r", self.quoted(&file)),
            Self::PowerShell => format!(" . {}\r", self.quoted(&file)),
            Self::Cmd => format!("call {}\r", self.quoted(&file)),
        }
    }

    /// Whether it says what people typed; for one that does not, that is told from their keys.
    pub(super) fn tells(self) -> bool {
        self != Self::Sh
    }

    /// What is typed to be rid of half a command.
    pub(super) fn wipe(self) -> &'static [u8] {
        match self {
            Self::Fish => FISH_ANEW.as_bytes(),
            Self::Bash | Self::Cmd | Self::PowerShell | Self::Sh | Self::Zsh => b"\x03",
        }
    }

    /// What is typed to have the command file run as number `n`. Whatever stands on the line already is wiped first.
    pub(super) fn line(self, n: u64, folder: &Path) -> String {
        match self {
            // End of line, delete to its beginning.
            Self::Bash | Self::Zsh => format!("\x05\x15 __trae_begin {n}; eval \"$__trae_command\"; __trae_end {n} $?\r"),
            // The terminal edits the line, and knows only this key.
            Self::Sh => format!("\x15 __trae_begin {n}; eval \"$__trae_command\"; __trae_end {n} $?\r"),
            // The key that the greeting gave a meaning wipes all lines of what is being edited.
            Self::Fish => format!("{FISH_WIPE} __trae_begin {n}; eval $__trae_command; __trae_end {n} $status\r"),
            Self::PowerShell => format!("\x15 __trae_begin {n}; . ([scriptblock]::Create($global:__trae_command)); __trae_end {n} $?\r"),
            Self::Cmd => format!("\x1bcall {} {n}\r", self.quoted(&folder.join("run.cmd").to_string_lossy())),
        }
    }

    /// How a command is written to its file.
    pub(super) fn written(self, command: &str) -> Vec<u8> {
        match self {
            // Read up to a NUL, since everything else may stand in it.
            Self::Bash | Self::Fish | Self::Zsh => [command.as_bytes(), b"\0"].concat(),
            Self::PowerShell | Self::Sh => command.as_bytes().to_vec(),
            Self::Cmd => format!("@echo off\r\n{}\r\n", command.replace("\r\n", "\n").replace('\n', "\r\n")).into_bytes(),
        }
    }

    /// The command that goes to a folder.
    pub(super) fn change_directory(self, path: &str) -> String {
        match self {
            Self::Bash | Self::Fish | Self::Zsh => format!("builtin cd -- {}", self.quoted(path)),
            Self::Sh => format!("command cd -- {}", self.quoted(path)),
            Self::PowerShell => format!("Set-Location -ErrorAction Stop -LiteralPath {}", self.quoted(path)),
            Self::Cmd => format!("cd /d {}", self.quoted(path)),
        }
    }

    /// The command that sets a variable for itself and what it starts.
    pub(super) fn set_variable(self, name: &str, value: &str) -> String {
        match self {
            Self::Bash | Self::Zsh => format!("builtin export {name}={}", self.quoted(value)),
            Self::Fish => format!("set -gx {name} {}", self.quoted(value)),
            Self::Sh => format!("export {name}={}", self.quoted(value)),
            Self::PowerShell => format!("$env:{name} = {}", self.quoted(value)),
            Self::Cmd => format!("set \"{name}={}\"", value.replace('%', "%%")),
        }
    }

    /// The command that writes all variables to a file, each with a NUL behind it.
    pub(super) fn tell_variables(self, answer: &Path, env: &str) -> String {
        let answer = self.quoted(&answer.to_string_lossy());
        match self {
            Self::Bash | Self::Sh | Self::Zsh => format!("command {} -0 >| {answer}", self.quoted(env)),
            Self::Fish => format!("command {} -0 > {answer}", self.quoted(env)),
            Self::PowerShell => format!(
                "[IO.File]::WriteAllText({answer}, ((Get-ChildItem env: | ForEach-Object {{ $_.Name + '=' + $_.Value }}) -join [string][char]0))"
            ),
            Self::Cmd => format!("set > {answer}"),
        }
    }

    /// A text as one word.
    fn quoted(self, text: &str) -> String {
        match self {
            Self::Bash | Self::Sh | Self::Zsh => format!("'{}'", text.replace('\'', r"'\''")),
            Self::Fish => format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'")),
            Self::PowerShell => format!("'{}'", text.replace('\'', "''")),
            Self::Cmd => format!("\"{text}\""),
        }
    }
}

//! The words of this room.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a command is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandOptions {
    /// Seconds until it is ended with everything it started, above 0 and at most 300. In a session, waiting for its turn counts.
    pub timeout: f64,
    /// Where it runs; without it the folder that new commands start in. In a session, the session stays there.
    pub working_directory: Option<String>,
    /// Variables beside the ones it inherits. Not in a session.
    pub env: std::collections::BTreeMap<String, String>,
    /// What it reads on its standard input. Not in a session.
    pub stdin: Option<String>,
    /// The session to run it in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self { timeout: 30.0, working_directory: None, env: Default::default(), stdin: None, session_id: None }
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommandOutput {
    /// Its exit code; 124 when it ran out of time, 128 + n when signal n ended it.
    pub exit_code: i32,
    /// What it printed on standard output, at most 1 MiB. In a session this is everything: a terminal has one stream.
    pub output: String,
    /// What it printed on standard error, at most 1 MiB.
    pub error: String,
    /// Seconds it ran.
    pub execution_time: f64,
    /// Whether it ran out of time.
    pub timed_out: bool,
    /// Whether it printed more than is kept.
    pub truncated: bool,
}

/// The shells that sessions may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShellType {
    /// PowerShell.
    #[default]
    PowerShell,
    /// The Windows command prompt.
    Cmd,
    /// Bash.
    Bash,
    /// The shell that POSIX describes.
    Sh,
    /// Zsh.
    Zsh,
    /// Fish.
    Fish,
}

impl ShellType {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::PowerShell, Self::Cmd, Self::Bash, Self::Sh, Self::Zsh, Self::Fish];

    /// As it stands on the wire and in permissions: `powershell`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PowerShell => "powershell",
            Self::Cmd => "cmd",
            Self::Bash => "bash",
            Self::Sh => "sh",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }
}

/// A size of a terminal, in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TerminalSize {
    /// Columns.
    #[schema(minimum = 1, maximum = 1000)]
    pub cols: u16,
    /// Rows.
    #[schema(minimum = 1, maximum = 1000)]
    pub rows: u16,
}

impl Default for TerminalSize {
    fn default() -> Self {
        Self { cols: 80, rows: 24 }
    }
}

/// A session to be opened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "my_session", "shell_type": "powershell", "working_directory": "C:\\temp" }))]
pub struct ShellSessionRequest {
    /// What people call it.
    #[schema(min_length = 1, max_length = 200)]
    pub name: String,
    /// Its shell.
    #[serde(default)]
    pub shell_type: ShellType,
    /// Where it begins; without it the folder that new sessions start in.
    #[serde(default)]
    pub working_directory: Option<String>,
    /// Variables beside the ones it inherits. Those that decide which code programs load are refused.
    #[serde(default)]
    pub env: std::collections::BTreeMap<String, String>,
    /// How large its terminal is in the beginning, 80 × 24 where that is not said.
    #[serde(default)]
    pub size: TerminalSize,
    /// Whether it is recorded from the beginning; without it as `RECORD_SHELL_SESSIONS` says.
    #[serde(default)]
    pub record: Option<bool>,
}

impl ShellSessionRequest {
    /// A session of a shell, and nothing special about it.
    pub fn new(name: impl Into<String>, shell_type: ShellType) -> Self {
        Self {
            name: name.into(),
            shell_type,
            working_directory: None,
            env: Default::default(),
            size: TerminalSize::default(),
            record: None,
        }
    }
}

/// A session as a script opens it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenSession {
    /// Its shell.
    pub shell: ShellType,
    /// What people call it.
    pub name: String,
    /// Where it begins; without it the folder that new sessions start in.
    pub working_directory: Option<String>,
    /// Variables beside the ones it inherits.
    pub env: std::collections::BTreeMap<String, String>,
    /// Columns of its terminal.
    pub cols: u16,
    /// Rows of its terminal.
    pub rows: u16,
    /// Whether it is recorded from the beginning; without it as the settings say.
    pub record: Option<bool>,
    /// Whether it stays open when the run ends.
    pub keep: bool,
}

impl Default for OpenSession {
    fn default() -> Self {
        let TerminalSize { cols, rows } = TerminalSize::default();
        Self {
            shell: ShellType::Bash,
            name: "script".to_owned(),
            working_directory: None,
            env: Default::default(),
            cols,
            rows,
            record: None,
            keep: false,
        }
    }
}

/// A session that a script uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPlace {
    /// Its id.
    pub session_id: String,
    /// Its shell.
    pub shell: ShellType,
    /// How much was printed in it so far: what is waited for comes after that.
    pub place: u64,
}

/// What a script waits for in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WaitFor {
    /// A regular expression.
    pub pattern: String,
    /// Seconds until it gives up, above 0 and at most 300.
    pub timeout: f64,
    /// What was printed up to this place does not count.
    pub after: u64,
}

/// What was found in a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Found {
    /// The text that the pattern matched.
    pub text: String,
    /// What its groups matched, in order; null for one that took no part.
    pub groups: Vec<Option<String>>,
    /// What stood before it.
    pub before: String,
    /// The place behind it.
    pub place: u64,
}

/// What the terminal of a session shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ScreenText {
    /// The lines, without blanks at their ends and empty lines at the end.
    pub text: String,
    /// How large the terminal is.
    pub size: TerminalSize,
    /// The cursor's column, from 0.
    pub column: u16,
    /// The cursor's row, from 0.
    pub row: u16,
    /// Whether the cursor is shown.
    pub cursor_visible: bool,
    /// Whether a program that fills the screen shows a screen of its own.
    pub alternate: bool,
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "session_id": "3ce3ecfc-f2ec-4f5f-bc22-afd7c41b9f64", "name": "test_session", "shell_type": "powershell", "working_directory": "C:\\temp",
    "created_at": "2025-01-25T14:30:00Z", "last_activity": "2025-01-25T14:35:00Z", "size": { "cols": 80, "rows": 24 }, "viewers": 1, "recording": false
}))]
pub struct ShellSessionInfo {
    /// Its id.
    pub session_id: String,
    /// What people call it.
    pub name: String,
    /// Its shell.
    pub shell_type: ShellType,
    /// Where it is now.
    pub working_directory: String,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// When a command ran or somebody typed, RFC 3339 UTC.
    pub last_activity: String,
    /// How large its terminal is.
    pub size: TerminalSize,
    /// How many look at it.
    pub viewers: usize,
    /// Whether it is being recorded.
    pub recording: bool,
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SessionEnd {
    /// When, RFC 3339 UTC.
    pub ended_at: String,
    /// The exit code of its shell, 128 + n when signal n ended it; nothing where the server ended without seeing it.
    pub exit_code: Option<i32>,
    /// Why, as a sentence.
    pub reason: String,
    /// What its terminal showed last, as text.
    pub screen: String,
}

/// A session that was open once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastSession {
    /// Its id.
    pub session_id: String,
    /// What people called it.
    pub name: String,
    /// Its shell, by name.
    pub shell: String,
    /// RFC 3339 UTC.
    pub created_at: String,
    /// How it ended, where it has.
    pub end: Option<SessionEnd>,
}

/// A command that ran in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "id": 1, "command": "Get-Date", "timestamp": "2025-01-25T14:30:00Z", "exit_code": 0, "output": "...", "truncated": false, "execution_time": 0.15, "working_directory": "C:\\temp" }))]
pub struct HistoryEntry {
    /// Grows with each command.
    pub id: u64,
    /// As it was sent, or typed.
    pub command: String,
    /// When it began, RFC 3339 UTC.
    pub timestamp: String,
    /// Its exit code.
    pub exit_code: i32,
    /// What it printed, at most 64 KiB, as text without control sequences.
    pub output: String,
    /// Whether it printed more than is kept.
    pub truncated: bool,
    /// Seconds it ran.
    pub execution_time: f64,
    /// Where the session was when it began.
    #[serde(default)]
    pub working_directory: Option<String>,
}

/// Whether a shell is on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Installed {
    /// Whether commands can be given to it.
    pub available: bool,
    /// Its program.
    pub path: Option<String>,
    /// What it says of itself.
    pub version: Option<String>,
    /// How to get it, where it is not there.
    pub hint: Option<String>,
}

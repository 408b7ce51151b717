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
}

impl ShellType {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::PowerShell, Self::Cmd, Self::Bash];

    /// As it stands on the wire and in permissions: `powershell`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PowerShell => "powershell",
            Self::Cmd => "cmd",
            Self::Bash => "bash",
        }
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
}

/// A session that is open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "session_id": "3ce3ecfc-f2ec-4f5f-bc22-afd7c41b9f64", "name": "test_session", "shell_type": "powershell", "working_directory": "C:\\temp",
    "created_at": "2025-01-25T14:30:00Z", "last_activity": "2025-01-25T14:35:00Z"
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
}

/// A command that ran in a session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "id": 1, "command": "Get-Date", "timestamp": "2025-01-25T14:30:00Z", "exit_code": 0, "output": "...", "truncated": false, "execution_time": 0.15 }))]
pub struct HistoryEntry {
    /// Grows with each command.
    pub id: u64,
    /// As it was sent, or typed.
    pub command: String,
    /// When it began, RFC 3339 UTC.
    pub timestamp: String,
    /// Its exit code.
    pub exit_code: i32,
    /// What it printed, at most 64 KiB.
    pub output: String,
    /// Whether it printed more than is kept.
    pub truncated: bool,
    /// Seconds it ran.
    pub execution_time: f64,
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

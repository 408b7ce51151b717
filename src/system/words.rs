//! The words of this room.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "pid": 1234, "name": "notepad.exe", "cpu_percent": 0.1, "memory_percent": 0.5, "status": "running", "ppid": 1, "start_time": 1737811800, "user": "ada" }))]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Share of one core since the last look, in percent; at the first look its mean since it began.
    pub cpu_percent: f64,
    /// Share of the machine's memory, in percent.
    pub memory_percent: f64,
    /// `running`, `sleeping`, `stopped`, `zombie`, …
    pub status: String,
    /// The process that started it, or took it over.
    #[serde(default)]
    pub ppid: Option<u32>,
    /// When it began, in Unix seconds: with it, an action cannot hit another process that got the same id later.
    #[serde(default)]
    pub start_time: u64,
    /// Whose it is.
    #[serde(default)]
    pub user: Option<String>,
}

/// What to do with a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ask it to end; or, with force, end it at once.
    Kill {
        /// At once.
        force: bool,
    },
    /// Stop it where it is.
    Suspend,
    /// Let it go on.
    Resume,
}

/// How busy the machine is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Load {
    /// All cores together, in percent.
    pub cpu_percent: f64,
    /// In percent.
    pub memory_percent: f64,
    /// Bytes in use.
    pub memory_used: u64,
    /// Bytes there are.
    pub memory_total: u64,
    /// Cores.
    pub cores: usize,
    /// The machine's name.
    pub host_name: String,
    /// `linux`, `windows`, `macos`.
    pub operating_system: String,
}

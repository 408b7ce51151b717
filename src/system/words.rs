//! The words of this room.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
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

//! The words of this room.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a command is run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CommandOptions {
    /// Seconds until it is ended with everything it started, above 0 and at most 300.
    pub timeout: f64,
    /// Where it runs; without it the data folder's `files/`.
    pub working_directory: Option<String>,
    /// Variables beside the ones it inherits.
    pub env: std::collections::BTreeMap<String, String>,
    /// What it reads on its standard input.
    pub stdin: Option<String>,
}

impl Default for CommandOptions {
    fn default() -> Self {
        Self { timeout: 30.0, working_directory: None, env: Default::default(), stdin: None }
    }
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CommandOutput {
    /// Its exit code; 124 when it ran out of time, 128 + n when signal n ended it.
    pub exit_code: i32,
    /// What it printed on standard output, at most 1 MiB.
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

//! Systems without Landlock and seccomp: nothing is held back, and nothing pretends otherwise.

use std::path::{Path, PathBuf};

const NONE: &str = "this system has none";

/// What a command may touch.
#[derive(Debug, Clone, Default)]
pub struct Walls {
    /// What it may read.
    pub read: Vec<PathBuf>,
    /// What it may write.
    pub write: Vec<PathBuf>,
    /// What it may not touch, whatever lies around it is granted.
    pub keep: Vec<PathBuf>,
    /// The folder in what is kept that is open all the same, where it is granted.
    pub open: PathBuf,
    /// Whether it may connect to sockets of other programs.
    pub sockets: bool,
    /// Whether it may send signals to processes that it did not start.
    pub signals: bool,
}

impl Walls {
    /// Holds nothing here.
    ///
    /// # Errors
    /// None.
    pub fn raise(&self) -> Result<Option<i32>, String> {
        Ok(None)
    }

    /// Everything is.
    pub fn is_readable_anyway(_: &Path) -> bool {
        true
    }
}

/// Closes nothing here.
pub fn close_files(_: u32) {}

/// Gives up nothing here.
pub fn drop_privileges() {}

/// Lowers nothing here.
pub fn lower_limits() {}

/// Holds nothing here.
pub fn close_paths(_: &[PathBuf]) -> Option<i32> {
    None
}

/// Holds nothing here.
pub fn close_calls() -> bool {
    false
}

/// # Errors
/// Always.
pub fn try_paths() -> Result<i32, String> {
    Err(NONE.to_owned())
}

/// # Errors
/// Always.
pub fn try_calls() -> Result<(), String> {
    Err(NONE.to_owned())
}

/// Nobody is told apart here.
pub fn is_confined(_: u64) -> bool {
    false
}

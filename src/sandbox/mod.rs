//! What the kernel refuses a process, whatever goes wrong within it: Landlock (files, TCP ports, signals), seccomp (system calls), limits.
//!
//! A runner gives up its privileges and paths ([`drop_privileges`], [`close_paths`]), then its limits and all but a few system calls
//! ([`lower_limits`], [`close_calls`]). A command of a script is started
//! within [`Walls`]. Neither can be taken back, by nobody. Where a kernel lacks one of the two the other still holds, and [`Sandbox`] says
//! which; other systems than Linux have neither.

#[cfg(all(target_os = "linux", debug_assertions))]
pub mod attempts;
#[cfg(target_os = "linux")]
mod calls;
#[cfg(unix)]
mod copy;
#[cfg(target_os = "linux")]
mod limits;
#[cfg(target_os = "linux")]
mod mark;
#[cfg(target_os = "linux")]
mod paths;
#[cfg(target_os = "linux")]
mod walls;

#[cfg(not(target_os = "linux"))]
mod elsewhere;

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
pub use calls::{close_calls, try_calls};
#[cfg(unix)]
pub use copy::fork;
#[cfg(not(target_os = "linux"))]
pub use elsewhere::{Walls, close_calls, close_files, close_paths, drop_privileges, is_confined, lower_limits, try_calls, try_paths};
#[cfg(target_os = "linux")]
pub use limits::{close_files, drop_privileges, lower_limits};
#[cfg(target_os = "linux")]
pub use mark::is_confined;
#[cfg(target_os = "linux")]
pub use paths::{close_paths, try_paths};
#[cfg(target_os = "linux")]
pub use walls::Walls;

/// What of it holds for a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// The version of Landlock that holds; none where the kernel has none.
    pub landlock: Option<i32>,
    /// Whether only a few system calls are let through.
    pub seccomp: bool,
}

impl Sandbox {
    /// What does not hold, as a sentence. None where all of it does.
    pub fn lacks(self) -> Option<String> {
        let missing = match (self.landlock, self.seccomp) {
            (Some(_), true) => return None,
            (None, true) => "Landlock is missing: what its commands may read and write is limited by file permissions only",
            (Some(_), false) => "seccomp is missing: the process that ran it may make any system call",
            (None, false) => "Landlock and seccomp are missing: it and its commands are held by process limits and file permissions only",
        };
        Some(format!("the sandbox of this run is not whole: {missing}; `trae doctor` says how to mend it"))
    }
}

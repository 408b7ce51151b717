//! A command together with everything it started.

use std::path::Path;
use std::process::ExitStatus;

use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};

/// A running command that leads its own process group. Dropped before its end was seen, it is killed with its group.
#[derive(Debug)]
pub(super) struct Group {
    child: Child,
}

impl Group {
    pub(super) fn new(child: Child) -> Self {
        Self { child }
    }

    /// Its ends of the pipes; a second call gets none.
    pub(super) fn pipes(&mut self) -> (Option<ChildStdin>, Option<ChildStdout>, Option<ChildStderr>) {
        (self.child.stdin.take(), self.child.stdout.take(), self.child.stderr.take())
    }

    /// Waits for the command itself; what it left in the background goes on.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.child.wait().await
    }

    /// Ends the command and everything it started, unless its end was seen already: then its number may be another's.
    pub(super) fn kill(&mut self) {
        #[cfg(unix)]
        if let Some(pid) = self.child.id().and_then(|id| i32::try_from(id).ok()).and_then(rustix::process::Pid::from_raw) {
            use rustix::process::{Signal, kill_process, kill_process_group};
            // Those that left the group are found before their parents are gone.
            let strays = descendants(pid.as_raw_nonzero().get());
            let _ = kill_process_group(pid, Signal::KILL);
            for stray in strays.into_iter().filter_map(rustix::process::Pid::from_raw) {
                let _ = kill_process(stray, Signal::KILL);
            }
        }
        let _ = self.child.start_kill();
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.child.id().is_some() {
            self.kill();
        }
    }
}

/// Every process below `root`, whatever group or session it moved to.
#[cfg(target_os = "linux")]
fn descendants(root: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // The name in parentheses may itself hold parentheses and blanks; what counts follows the last one.
            let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(&parent) = found.get(next) {
        found.extend(parents.iter().filter(|(pid, of)| *of == parent && *pid != root).map(|(pid, _)| *pid));
        next += 1;
    }
    found.split_off(1)
}

#[cfg(all(unix, not(target_os = "linux")))]
fn descendants(_root: i32) -> Vec<i32> {
    Vec::new()
}

/// The exit code, or 128 + n where signal n ended it.
pub(super) fn exit_code(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(-1)
    }
    #[cfg(not(unix))]
    status.code().unwrap_or(-1)
}

/// Whether `path` is a file that somebody may execute.
pub(super) fn is_executable(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|found| {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            found.is_file() && found.permissions().mode() & 0o111 != 0
        }
        #[cfg(not(unix))]
        found.is_file()
    })
}

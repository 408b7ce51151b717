//! A mark on commands within walls that none of them can take off, by which the server's own door knows them.
//!
//! It is a number of filters of system calls that let everything through: whatever a command starts inherits them, nothing removes one,
//! and `/proc` says how many a process has. The kernel looks at such a filter once, and then no more.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use seccompiler::SeccompAction;

use super::calls::compile;

/// More than programs put on themselves: browsers have two or three.
const FILTERS: u32 = 24;

/// Whether one was ever put on: before, nobody needs to be looked at.
static ANY: AtomicBool = AtomicBool::new(false);

/// Marks the calling thread and whatever it starts. Where the kernel has no filters there is no mark.
pub(super) fn mark() -> Result<(), String> {
    ANY.store(true, Ordering::SeqCst);
    let program = compile(BTreeMap::new(), SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32))?;
    for _ in 0..FILTERS {
        if seccompiler::apply_filter(&program).is_err() {
            break;
        }
    }
    Ok(())
}

/// Whether a command within walls has that socket open. Blocks.
pub fn is_confined(socket: u64) -> bool {
    if !ANY.load(Ordering::SeqCst) {
        return false;
    }
    let name = OsString::from(format!("socket:[{socket}]"));
    // One of this process' own, of which a command that is just being started has a copy for a moment.
    if holds("self", &name) == Some(true) {
        return false;
    }
    let least = filters("self").unwrap_or(0) + FILTERS;
    let numbers = std::fs::read_dir("/proc").into_iter().flatten().flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let (marked, others): (Vec<String>, Vec<String>) = numbers
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
        .partition(|pid| filters(pid).is_some_and(|filters| filters >= least));
    let held: Vec<Option<bool>> = marked.iter().map(|pid| holds(pid, &name)).collect();
    if held.contains(&Some(true)) {
        return true;
    }
    // One that cannot be looked into has it, unless somebody else does.
    held.contains(&None) && !others.iter().any(|pid| holds(pid, &name) == Some(true))
}

/// Whether a process has it open, in any of its threads; none where it does not let itself be looked into.
fn holds(pid: &str, socket: &OsString) -> Option<bool> {
    let mut is_seen = true;
    for task in std::fs::read_dir(Path::new("/proc").join(pid).join("task")).into_iter().flatten().flatten() {
        let Ok(files) = std::fs::read_dir(task.path().join("fd")) else {
            is_seen = false;
            continue;
        };
        if files.flatten().any(|file| std::fs::read_link(file.path()).is_ok_and(|to| to == Path::new(socket))) {
            return Some(true);
        }
    }
    is_seen.then_some(false)
}

/// How many filters a process has. None where it is gone.
fn filters(pid: &str) -> Option<u32> {
    let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:"))?.trim().parse().ok()
}

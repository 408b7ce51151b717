//! Ending, stopping and continuing a process, and those that are left alone.

use std::collections::HashSet;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, test_kill_process};

use super::{Action, Error};

/// Does it to `pid`, or says why not. `ours` are processes of the server's own.
pub(super) fn act(pid: u32, action: Action, began: Option<u64>, ours: &HashSet<u32>) -> Result<(), Error> {
    let protected = |what| Err(Error::Protected { pid, what });
    match pid {
        // To the operating system 0 means "all of my group".
        0 => return protected("no single process"),
        1 => return protected("the machine's first process"),
        _ => {}
    }
    let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return Err(Error::NoSuchProcess(pid));
    };
    if target == getpid() {
        return protected("TRAE itself");
    }
    if !exists(target) {
        return Err(Error::NoSuchProcess(pid));
    }
    if ancestors().contains(&pid) {
        return protected("a parent of TRAE");
    }
    if ours.contains(&pid) {
        return protected("one in which TRAE runs scripts");
    }
    if let Some(expected) = began
        && let Some(began) = start_time(pid)
        // The two are counted from clocks that may differ by a rounding.
        && began.abs_diff(expected) > 1
    {
        return Err(Error::Another { pid, began, expected });
    }
    let signal = match action {
        Action::Kill { force: true } => Signal::KILL,
        Action::Kill { force: false } => Signal::TERM,
        Action::Suspend => Signal::STOP,
        Action::Resume => Signal::CONT,
    };
    send(target, signal).map_err(|error| match error {
        Errno::SRCH => Error::NoSuchProcess(pid),
        Errno::PERM => Error::NotOurs(pid),
        other => Error::Failed { pid, reason: other.to_string() },
    })
}

/// Whether it is a process. The number of a thread is taken by `kill(2)` as its process's: with one of our own that would be us.
fn exists(pid: Pid) -> bool {
    if test_kill_process(pid) == Err(Errno::SRCH) {
        return false;
    }
    let number = pid.as_raw_nonzero().get().to_string();
    match std::fs::read_to_string(format!("/proc/{number}/status")) {
        Ok(status) => status.lines().find_map(|line| line.strip_prefix("Tgid:")).is_none_or(|group| group.trim() == number),
        // Without a /proc there are no numbers for threads either; with one, it ended just now.
        Err(_) => !cfg!(target_os = "linux"),
    }
}

/// When a process began, in Unix seconds, as the list of processes says it.
fn start_time(pid: u32) -> Option<u64> {
    use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};
    let mut machine = System::new().ok()?;
    let pid = sysinfo::Pid::from_u32(pid);
    machine.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), true, ProcessRefreshKind::nothing().without_tasks());
    machine.process(pid).map(sysinfo::Process::start_time)
}

/// The server's parents, up to the first process.
fn ancestors() -> Vec<u32> {
    let mut found = Vec::new();
    let mut pid = rustix::process::getppid().map(|parent| parent.as_raw_nonzero().get().unsigned_abs());
    while let Some(parent) = pid.filter(|parent| *parent > 1 && !found.contains(parent)) {
        found.push(parent);
        pid = std::fs::read_to_string(format!("/proc/{parent}/stat"))
            .ok()
            .and_then(|stat| stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok());
    }
    found
}

/// Through a handle of the process, so that a number that is reused meanwhile cannot hit another.
#[cfg(target_os = "linux")]
fn send(pid: Pid, signal: Signal) -> Result<(), Errno> {
    use rustix::process::{PidfdFlags, kill_process, pidfd_open, pidfd_send_signal};
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => pidfd_send_signal(handle, signal),
        Err(Errno::NOSYS | Errno::MFILE) => kill_process(pid, signal),
        Err(other) => Err(other),
    }
}

#[cfg(not(target_os = "linux"))]
fn send(pid: Pid, signal: Signal) -> Result<(), Errno> {
    rustix::process::kill_process(pid, signal)
}

//! Ending, stopping and continuing processes, and those that are left alone.

use std::collections::HashSet;

use rustix::io::Errno;
use rustix::process::{Pid, Signal, getpid, test_kill_process};

use super::handle::Handle;
use super::tree::below;
use super::{Action, Error};

/// How often a tree is looked through for what was started meanwhile.
const ROUNDS: usize = 20;

/// Does it to `pid`, or says why not. `ours` are processes of the server's own.
pub(super) fn act(pid: u32, action: Action, began: Option<u64>, ours: &HashSet<u32>) -> Result<(), Error> {
    let target = grasp(pid, began, ours)?;
    send(&target, pid, signal_of(action))
}

/// Does it to `pid` and all that it started, and to all that these did. Gives how many they were.
///
/// Where one of them is left alone, nothing is done to any.
pub(super) fn act_on_tree(pid: u32, action: Action, began: Option<u64>, ours: &HashSet<u32>) -> Result<usize, Error> {
    let root = grasp(pid, began, ours)?;
    let guarded = guarded(ours);
    let mut found = vec![(pid, root)];
    let holds = matches!(action, Action::Kill { force: true } | Action::Suspend);
    for _ in 0..ROUNDS {
        let known: HashSet<u32> = found.iter().map(|(pid, _)| *pid).collect();
        let new = below(pid).into_iter().filter(|(child, _)| !known.contains(child));
        let mut new: Vec<(u32, Handle)> = new.filter_map(|(child, began)| Some((child, Handle::of(child, began)?))).collect();
        if let Some((child, _)) = new.iter().find(|(child, _)| guarded.contains(child)) {
            // What was stopped to be looked through goes on.
            if holds {
                found.iter().for_each(|(_, handle)| {
                    let _ = handle.send(Signal::CONT);
                });
            }
            return Err(Error::Protected { pid: *child, what: "below it, and one that TRAE needs" });
        }
        let over = new.is_empty();
        if holds {
            // What is stopped starts nothing that would be missed.
            let first = if known.len() == 1 { found.iter().chain(&new).collect::<Vec<_>>() } else { new.iter().collect() };
            first.iter().for_each(|(_, handle)| {
                let _ = handle.send(Signal::STOP);
            });
        }
        found.append(&mut new);
        if over || !holds {
            break;
        }
    }
    if action != Action::Suspend {
        let signal = signal_of(action);
        for (child, handle) in found.iter().skip(1) {
            match handle.send(signal) {
                Ok(()) | Err(Errno::SRCH) => {}
                Err(error) => return Err(failed(*child, error)),
            }
        }
        match send(&found[0].1, pid, signal) {
            // It may have ended with its children.
            Err(Error::NoSuchProcess(_)) if found.len() > 1 => {}
            done => done?,
        }
    }
    Ok(found.len())
}

fn signal_of(action: Action) -> Signal {
    match action {
        Action::Kill { force: true } => Signal::KILL,
        Action::Kill { force: false } => Signal::TERM,
        Action::Suspend => Signal::STOP,
        Action::Resume => Signal::CONT,
    }
}

/// Takes hold of a process that something may be done to.
fn grasp(pid: u32, began: Option<u64>, ours: &HashSet<u32>) -> Result<Handle, Error> {
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
    // Taken hold of first and looked at then: its number cannot become another's in between without being seen.
    let handle = Handle::open(target).map_err(|error| failed(pid, error))?;
    if let Some(expected) = began
        && let Some(began) = start_time(pid)
        // The two are counted from clocks that may differ by a rounding.
        && began.abs_diff(expected) > 1
    {
        return Err(Error::Another { pid, began, expected });
    }
    Ok(handle)
}

/// All that is left alone.
fn guarded(ours: &HashSet<u32>) -> HashSet<u32> {
    let own = getpid().as_raw_nonzero().get().unsigned_abs();
    ours.iter().copied().chain(ancestors()).chain([1, own]).collect()
}

fn send(handle: &Handle, pid: u32, signal: Signal) -> Result<(), Error> {
    handle.send(signal).map_err(|error| failed(pid, error))
}

fn failed(pid: u32, error: Errno) -> Error {
    match error {
        Errno::SRCH => Error::NoSuchProcess(pid),
        Errno::PERM => Error::NotOurs(pid),
        other => Error::Failed { pid, reason: other.to_string() },
    }
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
        pid = super::tree::parent_of(parent);
    }
    found
}

//! The zygote from within: waits to be asked for a runner, and becomes one in a copy of itself.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use crate::host::zygote::{Control, Done, Order};
use crate::sandbox::fork;

/// How often one is looked at that is about to end by itself, and how long is waited in between.
const LOOKS: u32 = 50;
const BETWEEN: Duration = Duration::from_millis(2);

/// What this process has become.
pub(super) enum Role {
    /// A runner: its socket is standard input, and what it says when it dies goes to standard error.
    Runner,
    /// A zygote whose server is gone.
    Over,
}

/// Serves until the server is gone, and returns in each runner.
pub(super) fn serve() -> Role {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return Role::Over };
    let mut control = Control::new(UnixStream::from(socket));
    while let Ok(Some((order, files))) = control.receive() {
        let done = match order {
            Order::Fork => match fork() {
                Ok(Some(pid)) => Done::Forked(pid),
                Ok(None) if become_runner(&files) => return Role::Runner,
                Ok(None) => return Role::Over,
                Err(error) => Done::Failed(error.to_string()),
            },
            Order::Bury { pid, patient } => Done::Buried(bury(pid, patient)),
        };
        drop(files);
        if control.send(&done, &[]).is_err() {
            break;
        }
    }
    Role::Over
}

/// Takes what the copy was handed for its own, in the places where it looks for it.
fn become_runner(files: &[OwnedFd]) -> bool {
    let [socket, stderr] = files else { return false };
    rustix::stdio::dup2_stdin(socket).is_ok() && rustix::stdio::dup2_stderr(stderr).is_ok()
}

/// Ends a runner, whatever it is doing; one that died by itself keeps its own status.
fn bury(pid: u32, patient: bool) -> Option<i32> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let look = |options| waitpid(Some(pid), options).ok().flatten().map(|(_, status)| status.as_raw());
    for _ in 0..if patient { LOOKS } else { 0 } {
        if let Some(status) = look(WaitOptions::NOHANG) {
            return Some(status);
        }
        std::thread::sleep(BETWEEN);
    }
    // Nobody else has its number: it is a child that was not waited for yet. Where it is none, nothing is killed.
    let died = look(WaitOptions::NOHANG);
    if died.is_none() && is_child(pid) {
        let _ = kill_process(pid, Signal::KILL);
        return look(WaitOptions::empty());
    }
    died
}

fn is_child(pid: Pid) -> bool {
    waitpid(Some(pid), WaitOptions::NOHANG).is_ok()
}

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
    let status = |options| waitpid(Some(pid), options).map(|ended| ended.map(|(_, status)| status.as_raw()));
    let mut looks = if patient { LOOKS } else { 0 };
    loop {
        match status(WaitOptions::NOHANG) {
            Ok(None) if looks > 0 => std::thread::sleep(BETWEEN),
            // It is a child that was not waited for, so that its number is nobody else's.
            Ok(None) => break,
            Ok(ended) => return ended,
            Err(_) => return None,
        }
        looks -= 1;
    }
    let _ = kill_process(pid, Signal::KILL);
    status(WaitOptions::empty()).ok().flatten()
}

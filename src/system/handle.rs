//! A hold on one process: what is sent through it cannot hit another that gets the same number later.

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

/// A process.
#[derive(Debug)]
pub(super) struct Handle {
    pid: Pid,
    #[cfg(target_os = "linux")]
    descriptor: Option<std::os::fd::OwnedFd>,
}

impl Handle {
    #[cfg(target_os = "linux")]
    pub(super) fn open(pid: Pid) -> Result<Self, Errno> {
        use rustix::process::{PidfdFlags, pidfd_open};
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => Ok(Self { pid, descriptor: Some(descriptor) }),
            // An old kernel, or no descriptors left: its number has to do.
            Err(Errno::NOSYS | Errno::MFILE) => Ok(Self { pid, descriptor: None }),
            Err(other) => Err(other),
        }
    }

    #[cfg(not(target_os = "linux"))]
    pub(super) fn open(pid: Pid) -> Result<Self, Errno> {
        Ok(Self { pid })
    }

    /// The process with this number that began then, in the kernel's ticks. Nothing where it is another one by now, or gone.
    pub(super) fn of(pid: u32, began: u64) -> Option<Self> {
        let handle = Self::open(Pid::from_raw(i32::try_from(pid).ok()?)?).ok()?;
        (super::tree::began(pid) == Some(began)).then_some(handle)
    }

    pub(super) fn send(&self, signal: Signal) -> Result<(), Errno> {
        #[cfg(target_os = "linux")]
        if let Some(descriptor) = &self.descriptor {
            return rustix::process::pidfd_send_signal(descriptor, signal);
        }
        kill_process(self.pid, signal)
    }
}

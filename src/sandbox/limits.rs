//! What a process gives up that neither Landlock nor seccomp is about. Each only narrows what somebody could do with a hole in the engine;
//! where the kernel refuses one, the others still hold.

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

/// Ends with its parent, can get no privileges, and has none: not even root's, where root runs it. For the calling thread and those that it
/// starts from now on.
pub fn drop_privileges() {
    let _ = set_no_new_privs(true);
    let none = CapabilitySet::empty();
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
    // Last: a change of what a process is may undo it.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// Opens nothing more, writes no files, leaves no image of its memory, starts no process and no thread.
pub fn lower_limits() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for resource in [Resource::Core, Resource::Fsize, Resource::Nofile, Resource::Nproc, Resource::Memlock, Resource::Msgqueue] {
        let _ = setrlimit(resource, none.clone());
    }
}

/// Closes every file from this number on: what the server was given by whoever started it, and handed on unseen.
#[expect(unsafe_code, reason = "closing files by number is only sound before anything here holds one, as it is first thing in a runner")]
pub fn close_files(first: u32) {
    // SAFETY: see above; a kernel before 5.9 refuses, and has no Landlock either.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

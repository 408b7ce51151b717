//! What a process gives up that neither Landlock nor seccomp is about. Each only narrows what somebody could do with a hole in the engine;
//! where the kernel refuses one, the others still hold.

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs};

/// Ends with its parent, can get no privileges, and has none: not even root's, where root runs it. For the calling thread and those that it
/// starts from now on.
pub fn drop_privileges() {
    let _ = set_no_new_privs(true);
    let none = CapabilitySet::empty();
    let _ = set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none });
    // Last: a change of what a process is may undo it.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
}

/// What a command may still do as root, where root runs it: what programs that install and unpack things expect, within its walls. Above
/// all not look into other processes (`PERFMON`, `SYS_PTRACE`), which Landlock alone does not keep root from.
const OF_ROOT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT);

/// Gives up most of what root may, for the programs that the calling thread starts. Nobody else has any of it.
pub(super) fn keep_few_capabilities() {
    for capability in CapabilitySet::all().difference(OF_ROOT).iter() {
        // One that is not there, as all of them for who is not root, needs no removing.
        let _ = remove_capability_from_bounding_set(capability);
    }
}

/// Opens nothing more, writes no files, leaves no image of its memory, starts no process and no thread.
pub fn lower_limits() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    for resource in [Resource::Core, Resource::Fsize, Resource::Nofile, Resource::Nproc, Resource::Memlock, Resource::Msgqueue] {
        let _ = setrlimit(resource, none);
    }
}

/// Closes every file from this number on: what the server was given by whoever started it, and handed on unseen.
#[expect(unsafe_code, reason = "closing files by number is only sound before anything here holds one, as it is first thing in a runner")]
pub fn close_files(first: u32) {
    // SAFETY: see above; a kernel before 5.9 refuses, and has no Landlock either.
    let _ = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
}

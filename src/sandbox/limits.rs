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

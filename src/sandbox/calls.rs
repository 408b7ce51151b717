//! seccomp for the process itself: a list of what a runner's threads still do, and an error for everything else.
//!
//! By then the runner has one thread that computes and one that waits for it; a socket, standard error and one file in `/proc` are open.
//! So it reads and writes these, has memory, looks at the clock, and ends. It starts no process and no thread, opens nothing, and connects
//! to nothing: of all that could do so, not one call is on the list. A refused call answers `EPERM` and ends nobody, as libraries try
//! things that they can do without.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Is, SeccompCondition as Condition, SeccompFilter, SeccompRule,
    TargetArch,
};

/// Calls that are let through, whatever their arguments.
pub(super) const ALLOWED: &[i64] = &[
    // The socket, standard error, and the file that tells how much memory is used.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_recvfrom,
    libc::SYS_pread64,
    libc::SYS_close,
    // Memory.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    // Threads that are there wait for one another and end.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // A stack that overflows, an abort.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    // Time, and numbers that nobody guesses.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_getrandom,
];

/// An argument, by its number, its width, and what it must be.
type Argument = (u8, Len, Is, u64);

/// Calls that are let through where all these arguments are what they must be.
fn conditional() -> [(i64, Vec<Argument>); 6] {
    let data = (2, Len::Qword, Is::MaskedEq(libc::PROT_EXEC as u64), 0);
    let own = u64::from(std::process::id());
    [
        // Memory that cannot be executed.
        (libc::SYS_mmap, vec![data.clone()]),
        (libc::SYS_mprotect, vec![data]),
        // To whoever holds the other end, and to nobody else.
        (libc::SYS_sendto, vec![(4, Len::Qword, Is::Eq, 0)]),
        // Its own memory's limit: that of the program that it serves.
        (libc::SYS_prlimit64, vec![(0, Len::Dword, Is::Eq, 0), (1, Len::Dword, Is::Eq, u64::from(libc::RLIMIT_AS))]),
        // Whether a number is that of an open file, which is asked before it is closed.
        (libc::SYS_fcntl, vec![(1, Len::Dword, Is::Eq, libc::F_GETFD as u64)]),
        // A signal to itself, as an abort does.
        (libc::SYS_tgkill, vec![(0, Len::Dword, Is::Eq, own)]),
    ]
}

/// Lets only a few system calls of this process through, those of its other threads too. Whether it holds.
pub fn close_calls() -> bool {
    program().is_ok_and(|program| seccompiler::apply_filter_all_threads(&program).is_ok())
}

/// The same, for whoever only wants to know whether it works: on a thread that ends with what it gave up.
///
/// # Errors
/// Why it does not.
pub fn try_calls() -> Result<(), String> {
    let program = program()?;
    let tried = std::thread::spawn(move || seccompiler::apply_filter(&program).map_err(|error| error.to_string()));
    tried.join().unwrap_or_else(|_| Err("it could not be tried".to_owned()))
}

fn program() -> Result<BpfProgram, String> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    for (call, arguments) in conditional() {
        let must = arguments.into_iter().map(|(number, width, is, value)| Condition::new(number, width, is, value));
        let must = must.collect::<Result<Vec<_>, _>>().and_then(SeccompRule::new).map_err(|error| error.to_string())?;
        rules.insert(call, vec![must]);
    }
    compile(rules, SeccompAction::Errno(libc::EPERM as u32), SeccompAction::Allow)
}

/// A filter that does `matched` where a rule applies, and `otherwise` else.
pub(super) fn compile(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    matched: SeccompAction,
) -> Result<BpfProgram, String> {
    let machine = TargetArch::try_from(std::env::consts::ARCH).map_err(|_| format!("no filter is known for {}", std::env::consts::ARCH))?;
    let filter = SeccompFilter::new(rules, otherwise, matched, machine).map_err(|error| error.to_string())?;
    filter.try_into().map_err(|error: seccompiler::BackendError| error.to_string())
}

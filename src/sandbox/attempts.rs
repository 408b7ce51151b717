//! What somebody who broke out of the script engine would try first: a debug build can be told to try it, so that it can be seen to fail.
//!
//! `trae runner try landlock`, `… try seccomp` and `… try both` do what a runner does before it serves, with these layers of it, and then
//! this; they print a JSON object: what was tried → `null` where it worked, else the number of the error.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Error;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, setrlimit, test_kill_process};

use super::calls::ALLOWED;

/// The numbers of the calls that there are. Between the two are none but what the kernel's own probes use, which kills who else does.
const CALLS: [std::ops::Range<i64>; 2] = [0..335, 424..480];

/// What came of each attempt.
pub type Attempts = BTreeMap<&'static str, Option<i32>>;

fn came_of<T>(done: Result<T, Error>) -> Option<i32> {
    done.err().map(|error| error.raw_os_error().unwrap_or(-1))
}

/// What needs a path. `server` is the process that started this one.
pub fn on_paths(server: Option<Pid>) -> Attempts {
    let left = std::env::temp_dir().join("trae-runner-was-here");
    BTreeMap::from([
        ("read a file", came_of(File::open("/etc/passwd"))),
        ("read its own memory", came_of(File::open("/proc/self/mem"))),
        ("read its server's environment", came_of(File::open(format!("/proc/{}/environ", Pid::as_raw(server))))),
        ("list a folder", came_of(std::fs::read_dir("/"))),
        ("write a file", came_of(File::create(left))),
        ("listen on a port", came_of(TcpListener::bind("127.0.0.1:0"))),
        ("connect to a port", came_of(TcpStream::connect("127.0.0.1:9"))),
        ("signal its server", came_of(server.map_or(Ok(()), test_kill_process).map_err(Into::into))),
        ("execute a program", Some(Command::new("/bin/true").exec().raw_os_error().unwrap_or(-1))),
    ])
}

/// What needs a system call; `every other call` is null where one of them was not refused.
pub fn on_calls(server: Option<Pid>) -> Attempts {
    let more = Rlimit { current: Some(64), maximum: Some(64) };
    BTreeMap::from([
        ("read a file", came_of(File::open("/etc/passwd"))),
        ("start a program", came_of(Command::new("/bin/true").spawn())),
        ("execute a program", Some(Command::new("/bin/true").exec().raw_os_error().unwrap_or(-1))),
        ("start a thread", came_of(std::thread::Builder::new().spawn(|| ()))),
        ("open a socket", came_of(UdpSocket::bind("127.0.0.1:0"))),
        ("open a local socket", came_of(UnixDatagram::unbound())),
        ("connect to a port", came_of(TcpStream::connect("127.0.0.1:9"))),
        ("make memory executable", came_of(memmap2::MmapMut::map_anon(4096).and_then(memmap2::MmapMut::make_exec))),
        ("signal its server", came_of(server.map_or(Ok(()), test_kill_process).map_err(Into::into))),
        ("trace a process", raw(libc::SYS_ptrace)),
        ("read another's memory", raw(libc::SYS_process_vm_readv)),
        ("load a program into the kernel", raw(libc::SYS_bpf)),
        ("queue calls past the filter", raw(libc::SYS_io_uring_setup)),
        ("mount a file system", raw(libc::SYS_mount)),
        ("raise its limits", came_of(setrlimit(Resource::Nofile, more).map_err(Into::into))),
        ("every other call", every_other_call()),
    ])
}

/// `EPERM`, where each call that is not on the list, nor let through on a condition, answers that.
fn every_other_call() -> Option<i32> {
    let conditional = [libc::SYS_mmap, libc::SYS_mprotect, libc::SYS_sendto, libc::SYS_prlimit64, libc::SYS_fcntl, libc::SYS_tgkill];
    let mut others = CALLS.into_iter().flatten().filter(|call| !ALLOWED.contains(call) && !conditional.contains(call));
    others.all(|call| raw(call) == Some(libc::EPERM)).then_some(libc::EPERM)
}

/// A system call by its number, with nothing but zeros, which no call takes for memory of ours.
#[expect(unsafe_code, reason = "what no library offers is what somebody with a hole in the engine would use")]
fn raw(call: i64) -> Option<i32> {
    // SAFETY: the filter refuses it; let through, zeros are null pointers, which the kernel does not follow.
    let answer = unsafe { libc::syscall(call, 0, 0, 0, 0, 0, 0) };
    (answer == -1).then(|| Error::last_os_error().raw_os_error().unwrap_or(-1))
}

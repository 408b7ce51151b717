//! Processes of this machine: seen, ended, or left alone.

use std::process::{Child, Command};
use std::time::{Duration, Instant};

use trae::error::{Classify, Kind};
use trae::system::{Action, System};

use super::everything;

fn kill(pid: u32, force: bool) -> Result<(), Kind> {
    let grant = everything(std::path::Path::new("/"));
    System::new().act(grant.process(pid).unwrap(), Action::Kill { force }, None).map_err(|error| error.kind())
}

fn sleep() -> Child {
    Command::new("sleep").arg("98.1").spawn().unwrap()
}

#[test]
fn the_load_is_plausible() {
    let system = System::new();
    for _ in 0..2 {
        let load = system.load().unwrap();
        assert!((0.0..=100.0).contains(&load.cpu_percent) && (0.0..=100.0).contains(&load.memory_percent), "{load:?}");
        assert!(load.memory_used <= load.memory_total && load.memory_total > 0 && load.cores > 0, "{load:?}");
        assert_eq!(load.operating_system, "linux");
    }
}

#[test]
fn processes_are_listed_without_their_threads() {
    let busy = std::thread::spawn(|| {
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {}
    });
    let mut child = sleep();
    let system = System::new();
    system.processes().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    let listed = system.processes().unwrap();
    let of = |pid: u32| listed.iter().filter(|process| process.pid == pid).collect::<Vec<_>>();
    let ours = of(std::process::id());
    assert!(ours.len() == 1 && ours[0].cpu_percent > 5.0 && ours[0].memory_percent > 0.0, "{ours:?}");
    let slept = of(child.id());
    assert!(slept.len() == 1 && slept[0].name == "sleep" && slept[0].status == "sleeping", "{slept:?}");
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let task: u32 = task.unwrap().file_name().to_str().unwrap().parse().unwrap();
        assert!(task == std::process::id() || of(task).is_empty());
    }
    child.kill().unwrap();
    child.wait().unwrap();
    busy.join().unwrap();
}

#[test]
fn a_process_is_ended() {
    for force in [false, true] {
        let mut child = sleep();
        kill(child.id(), force).unwrap();
        assert!(!child.wait().unwrap().success());
    }
}

#[test]
fn what_must_go_on_is_never_ended() {
    let parent = std::os::unix::process::parent_id();
    for pid in [0, 1, std::process::id(), parent] {
        assert_eq!(kill(pid, true), Err(Kind::PermissionDenied), "{pid}");
    }
    // A thread's number reaches its whole process: this one.
    let (tell, told) = std::sync::mpsc::channel();
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        tell.send(rustix::thread::gettid().as_raw_nonzero().get().unsigned_abs()).unwrap();
        let _ = ended.recv();
    });
    assert_eq!(kill(told.recv().unwrap(), true), Err(Kind::NotFound));
    drop(end);
    thread.join().unwrap();
}

#[test]
fn unknown_processes_are_not_found() {
    let mut child = sleep();
    child.kill().unwrap();
    child.wait().unwrap();
    for pid in [child.id(), u32::MAX, 1 << 31, 4_194_305] {
        assert_eq!(kill(pid, false), Err(Kind::NotFound), "{pid}");
    }
}

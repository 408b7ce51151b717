//! Desktops that come and go.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use trae::desktop::{Desktops, Kind as DesktopKind, Mode, Settings};
use trae::error::{Classify as _, Kind};
use trae::screen::Capture;

use super::display::{Display, eventually};

/// Tells the helper test below, run in a process of its own, that it is meant.
const HOLDER: &str = "TRAE_TEST_HOLDS_A_DESKTOP";

fn virtual_desktop() -> Desktops {
    Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (800, 600), ..Settings::default() })
}

fn answers(display: &str) -> bool {
    Command::new("xdpyinfo").args(["-display", display]).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
}

fn has_ended(pid: i32) -> bool {
    // A zombie has ended as well: whoever inherited it has not noticed yet.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

/// The process that serves a display: the one that has its socket open.
pub fn server(display: &str) -> i32 {
    let path = format!("/tmp/.X11-unix/X{}", display.trim_start_matches(':'));
    let sockets = std::fs::read_to_string("/proc/net/unix").unwrap();
    // What it accepted has the same name: the one that listens lives as long as it does.
    let listening = |line: &&str| line.split_whitespace().nth(3) == Some("00010000") && line.ends_with(&format!(" {path}"));
    let socket = sockets.lines().find(listening).unwrap();
    let link = format!("socket:[{}]", socket.split_whitespace().nth(6).unwrap());
    let processes = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let opened = |pid: &i32| {
        let files = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        files.filter_map(|file| std::fs::read_link(file.path()).ok()).any(|target| target.to_str() == Some(&link))
    };
    let named = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "Xvfb");
    processes.into_iter().find(|pid| named(pid) && opened(pid)).unwrap()
}

#[test]
fn a_virtual_desktop_lives_as_long_as_it_is_held() {
    let desktops = virtual_desktop();
    assert!(desktops.current().is_none());
    let desktop = desktops.default().unwrap();
    let display = desktop.display().unwrap().to_owned();
    assert_eq!((desktop.name(), desktop.kind()), ("default", DesktopKind::Virtual));
    assert!(answers(&display));
    assert_eq!(desktop.screen().capture(&Capture::default()).unwrap().width(), 800);
    desktop.clipboard().set("on it").unwrap();
    assert_eq!(desktop.clipboard().get().unwrap(), "on it");
    desktop.input().click(&serde_json::from_value(serde_json::json!({"x": 10, "y": 10})).unwrap(), &CancellationToken::new()).unwrap();
    assert!(Arc::ptr_eq(&desktop, &desktops.default().unwrap()));
    let pid = server(&display);
    desktops.shutdown();
    // The process and not the display, whose number may be another test's by now.
    assert!(has_ended(pid));
    drop(desktop);
}

#[test]
fn what_is_started_on_it_is_seen_knows_no_secret_and_ends_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (told, pids) = (folder.path().join("told"), folder.path().join("pids"));
    let script = format!(
        "env > '{told}'; xsetroot -solid '#336699'; sleep 600 & echo $$ $! > '{pids}.new'; mv '{pids}.new' '{pids}'; wait",
        told = told.display(),
        pids = pids.display()
    );
    let virtual_startup = ["sh", "-c", &script].map(str::to_owned).to_vec();
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (800, 600), virtual_startup, ..Settings::default() });
    let desktop = desktops.default().unwrap();
    eventually("the background", || {
        let picture = desktop.screen().capture(&Capture::default()).unwrap();
        (picture.pixel(400, 300) == Some([0x33, 0x66, 0x99])).then_some(())
    });
    let pids: Vec<i32> = eventually("its processes", || {
        std::fs::read_to_string(&pids).ok().map(|text| text.split_whitespace().map(|pid| pid.parse().unwrap()).collect())
    });
    let told = std::fs::read_to_string(&told).unwrap();
    assert!(told.contains(&format!("DISPLAY={}\n", desktop.display().unwrap())), "{told}");
    // Cargo gives this process some that no allow-list names.
    assert!(!told.contains("CARGO"), "{told}");
    assert!(pids.len() == 2 && pids.iter().all(|pid| !has_ended(*pid)));
    desktops.shutdown();
    eventually("both to end", || pids.iter().all(|pid| has_ended(*pid)).then_some(()));
    // One that cannot be started keeps no desktop from coming.
    let virtual_startup = vec!["/no/such/program".to_owned()];
    let desktops = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (800, 600), virtual_startup, ..Settings::default() });
    assert!(answers(desktops.default().unwrap().display().unwrap()));
}

#[test]
fn dropping_it_ends_it() {
    let desktops = virtual_desktop();
    let pid = server(desktops.default().unwrap().display().unwrap());
    assert!(!has_ended(pid));
    drop(desktops);
    assert!(has_ended(pid));
}

#[test]
fn one_that_died_is_replaced() {
    let desktops = virtual_desktop();
    let first = desktops.default().unwrap();
    let pid = server(first.display().unwrap());
    Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap();
    let second = eventually("another desktop", || {
        let now = desktops.default().ok()?;
        (!Arc::ptr_eq(&now, &first)).then_some(now)
    });
    assert_eq!(second.screen().capture(&Capture::default()).unwrap().height(), 600);
}

#[test]
fn many_at_once_get_the_same() {
    let desktops = virtual_desktop();
    let all: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| desktops.default().unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(all.iter().all(|desktop| Arc::ptr_eq(desktop, &all[0])));
}

#[test]
fn it_ends_with_its_process_even_by_kill_9() {
    let program = std::env::current_exe().unwrap();
    let name = format!("{}::hold_a_desktop", module_path!().split_once("::").unwrap().1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("display");
    let mut holder = Command::new(program)
        .args(["--exact", &name, "--ignored", "--nocapture"])
        .env(HOLDER, &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let display = eventually("the holder's desktop", || std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n')));
    let display = display.trim().to_owned();
    let pid = server(&display);
    // A client of its own that stays must not keep it.
    let mut client = Command::new("xterm").args(["-display", &display]).stderr(Stdio::null()).spawn().unwrap();
    assert!(answers(&display));
    holder.kill().unwrap();
    holder.wait().unwrap();
    eventually("the display to end", || has_ended(pid).then_some(()));
    let _ = client.kill();
    let _ = client.wait();
}

#[test]
#[ignore = "a part of it_ends_with_its_process_even_by_kill_9, which runs it in a process of its own"]
fn hold_a_desktop() {
    let Some(file) = std::env::var_os(HOLDER) else { return };
    let desktops = virtual_desktop();
    let desktop = desktops.default().unwrap();
    std::fs::write(file, format!("{}\n", desktop.display().unwrap())).unwrap();
    std::thread::sleep(Duration::from_secs(120));
}

#[test]
fn other_users_cannot_open_it() {
    if !Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout.starts_with(b"0")) {
        return; // Only root can become somebody else.
    }
    let desktops = virtual_desktop();
    let desktop = desktops.default().unwrap();
    let display = desktop.display().unwrap();
    let stranger = Command::new("setpriv")
        .args(["--reuid", "65534", "--clear-groups", "xdpyinfo", "-display", display])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(!stranger.success());
    assert!(answers(display));
}

#[tokio::test]
async fn one_holder_at_a_time() {
    let desktops = virtual_desktop();
    let desktop = desktops.default().unwrap();
    let never = CancellationToken::new();
    let lease = desktop.lease("one", &never).await.unwrap();
    assert!(desktop.is_leased());
    let cancel = CancellationToken::new();
    let waiting = desktop.lease("another", &cancel);
    tokio::pin!(waiting);
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut waiting).await.is_err());
    cancel.cancel();
    assert_eq!(waiting.await.unwrap_err().kind(), Kind::Cancelled);
    drop(lease);
    assert!(!desktop.is_leased());
    drop(desktop.lease("one", &never).await.unwrap());
}

#[test]
fn what_cannot_be_is_said() {
    let off = Desktops::new(Settings { mode: Mode::None, ..Settings::default() }).default().unwrap_err();
    assert_eq!((off.kind(), off.details().unwrap()["service"].as_str()), (Kind::ServiceUnavailable, Some("live_desktop")));
    for size in [(0, 600), (800, 63), (16_385, 600), (u32::MAX, u32::MAX)] {
        let error = Desktops::new(Settings { mode: Mode::Virtual, virtual_size: size, ..Settings::default() }).default().unwrap_err();
        assert_eq!(error.kind(), Kind::ValidationError);
    }
}

/// The environment belongs to the whole process: each of these runs in one of its own, where the runner does not see to that.
#[test]
fn auto_takes_the_session_where_it_answers() {
    let display = Display::start((640, 480));
    assert_eq!(asked_with(&[("DISPLAY", display.name())]), format!("local {} 640", display.name()));
    assert!(asked_with(&[("DISPLAY", ":54321")]).starts_with("virtual :"));
    assert!(asked_with(&[]).starts_with("virtual :"));
    let empty = tempfile::tempdir().unwrap();
    let answer = asked_with(&[("PATH", empty.path().to_str().unwrap())]);
    assert!(answer.contains("apt install xvfb"), "{answer}");
}

const ASKED: &str = "TRAE_TEST_ASKS_FOR_A_DESKTOP";

fn asked_with(variables: &[(&str, &str)]) -> String {
    let name = format!("{}::ask_for_a_desktop", module_path!().split_once("::").unwrap().1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("answer");
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &name, "--ignored"]).env_remove("DISPLAY").env(ASKED, &file).envs(variables.iter().copied());
    assert!(command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success());
    std::fs::read_to_string(file).unwrap()
}

#[test]
#[ignore = "a part of auto_takes_the_session_where_it_answers, which runs it in processes of its own"]
fn ask_for_a_desktop() {
    let Some(file) = std::env::var_os(ASKED) else { return };
    let answer = match Desktops::new(Settings::default()).default() {
        Ok(desktop) => format!("{} {} {}", desktop.kind().as_str(), desktop.display().unwrap(), desktop.screen().bounds().unwrap().width),
        Err(error) => format!("{error} {}", error.details().unwrap()["hint"]),
    };
    std::fs::write(file, answer).unwrap();
}

//! Other machines' desktops through VNC: Debian's TigerVNC and x11vnc, a virtual machine's console, and servers that lie.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trae::desktop::{Desktop, Desktops, Error, Mode, Settings};
use trae::error::{Failure, Kind};
use trae::ocr::Ocr;
use trae::screen::{Capture, Region};

use super::display::{Display, Window, eventually};
use crate::support::certificate::Certificate;

/// `sesame42`, as VNC servers keep it in a file.
const PASSWORD: (&str, [u8; 8]) = ("sesame42", [0xf5, 0x00, 0x26, 0xb5, 0x39, 0x71, 0x57, 0x09]);

/// A program that serves VNC. Ends with the test.
struct Server {
    child: Child,
    port: u16,
    display: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let number = self.display.trim_start_matches(':');
        if !number.is_empty() {
            let _ = std::fs::remove_file(format!("/tmp/.X{number}-lock"));
            let _ = std::fs::remove_file(format!("/tmp/.X11-unix/X{number}"));
        }
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// TigerVNC's X server.
    fn xvnc(port: u16, security: &[&str]) -> Self {
        let arguments = ["-displayfd", "1", "-geometry", "800x600", "-depth", "24", "-localhost", "-rfbport", &port.to_string()];
        let mut command = Command::new("Xtigervnc");
        command.args(arguments).args(security).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("tigervnc-standalone-server is installed");
        let mut number = String::new();
        let mut output = child.stdout.take().unwrap();
        while !number.ends_with('\n') {
            let mut byte = [0];
            output.read_exact(&mut byte).expect("Xtigervnc says its number");
            number.push(byte[0].into());
        }
        Self { child, port, display: format!(":{}", number.trim()) }
    }

    fn started(mut command: Command, port: u16) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap();
        eventually("the server", || TcpStream::connect(("127.0.0.1", port)).ok());
        Self { child, port, display: String::new() }
    }

    fn spec(&self) -> Value {
        json!({ "name": "far", "kind": "vnc", "address": format!("vnc://127.0.0.1:{}", self.port) })
    }
}

async fn desktops_with(specs: &[Value]) -> Arc<Desktops> {
    let desktops = Arc::new(Desktops::new(Settings { mode: Mode::Virtual, virtual_size: (320, 200), ..Settings::default() }));
    for spec in specs {
        desktops.create(serde_json::from_value(spec.clone()).unwrap()).await.unwrap();
    }
    desktops
}

async fn open(spec: Value) -> (Arc<Desktops>, Result<Arc<Desktop>, Error>) {
    let desktops = desktops_with(&[spec]).await;
    let opened = desktops.reach(Some("far")).await;
    (desktops, opened)
}

fn words<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// What is read there, in one line.
fn read(desktop: &Desktop, part: &Capture) -> String {
    let ocr = Ocr::new(trae::ocr::Settings {
        languages: vec!["eng".to_owned()],
        timeout: Duration::from_secs(30),
        confidence_threshold: 0.5,
        models: "no-models".into(),
    });
    let seen = desktop.screen().capture(part).unwrap().to_gray();
    ocr.read(&seen, &words(json!({})), &CancellationToken::new()).unwrap().text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn xclip(display: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("xclip");
    command.args(["-display", display, "-selection", "clipboard"]).args(arguments).stderr(Stdio::null());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn tigervnc_is_seen_typed_into_clicked_and_watched() {
    let server = Server::xvnc(free_port(), &["-SecurityTypes", "None"]);
    let (_desktops, far) = open(server.spec()).await;
    let far = far.unwrap();
    let cancel = CancellationToken::new();
    let folder = tempfile::tempdir().unwrap();
    let (typed, ready) = (folder.path().join("typed"), folder.path().join("ready"));
    let script = format!("stty -icanon -echo; touch '{}'; exec tee '{}'", ready.display(), typed.display());
    let arguments =
        ["-display", &server.display, "-u8", "-fa", "DejaVu Sans Mono", "-fs", "18", "-geometry", "50x8+0+0", "-e", "sh", "-c", &script];
    let xterm = Command::new("xterm").args(arguments).env("LC_ALL", "C.UTF-8").stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let _xterm = Server { child: xterm, port: 0, display: String::new() };
    eventually("a terminal", || ready.exists().then_some(()));
    far.input().move_to(&words(json!({ "x": 100, "y": 100 })), &cancel).unwrap();
    let text = "Order 4711 READY; Größe: 5 € (100%) [ok]";
    far.input().type_text(&words(json!({ "text": text, "interval": 0 })), &cancel).unwrap();
    let arrived = || std::fs::read_to_string(&typed).unwrap_or_default();
    eventually("the text", || (arrived().chars().count() >= text.chars().count()).then_some(()));
    assert_eq!(arrived(), text);
    // Without what is around it: a terminal on a dark desktop.
    let window = Capture { region: Some(Region { x: 0, y: 0, width: 700, height: 230 }), ..Capture::default() };
    eventually("the text to be read", || Some(read(&far, &window)).filter(|seen| seen.contains("4711 READY")));

    // Buttons, wheel and held keys of a window of one colour.
    let window = Window::open_on(&server.display, (600, 400), (100, 100), 0x33_66_99);
    window.focus();
    far.input().click(&words(json!({ "x": 650, "y": 450, "button": "right" })), &cancel).unwrap();
    far.input().scroll(&words(json!({ "dy": 1 }))).unwrap();
    let mut story = Vec::new();
    eventually("the wheel", || {
        story.extend(window.story());
        story.iter().any(|event| event.starts_with("release 5")).then_some(())
    });
    assert_eq!(story, ["press 3 at 650,450", "release 3 at 650,450", "press 5 at 650,450", "release 5 at 650,450"]);
    assert_eq!(far.input().position().unwrap(), words(json!({ "x": 650, "y": 450 })));
    let pixel = far.screen().capture(&Capture::default()).unwrap().pixel(650, 450);
    assert_eq!(pixel, Some([0x33, 0x66, 0x99]));

    // Who watches hears of changes, and of nothing while there are none.
    let mut viewer = far.watch(0, 30).unwrap();
    let first = viewer.next().await.unwrap();
    window.paint(0x00_ff_00);
    let green = loop {
        let shot = tokio::time::timeout(Duration::from_secs(20), viewer.next()).await.expect("a change is told").unwrap();
        if shot.frame().pixel(650, 450) == Some([0, 255, 0]) {
            break shot;
        }
    };
    let changed = green.changed_since(first.generation());
    assert!(changed.iter().any(|area| area.contains(650, 450)) && !changed.iter().any(|area| area.contains(750, 590)), "{changed:?}");
    far.input().move_to(&words(json!({ "x": 620, "y": 420 })), &cancel).unwrap();
    let (taken, _) = far.watching_cost();
    assert!(tokio::time::timeout(Duration::from_millis(600), viewer.next()).await.is_err(), "a picture of nothing new");
    assert_eq!(far.watching_cost().0, taken);

    // The screen gets another size.
    let resized = Command::new("xrandr").args(["-display", &server.display, "-s", "640x480"]).stderr(Stdio::null()).status().unwrap();
    assert!(resized.success());
    eventually("the other size", || (far.screen().bounds().unwrap().width == 640).then_some(()));
    assert_eq!(far.screen().capture(&Capture::default()).unwrap().height(), 480);

    // Windows are nothing that VNC knows.
    let failure = Failure::from(far.windows().get(1).unwrap_err());
    assert!(failure.code == Kind::ServiceUnavailable && failure.message.contains("VNC"), "{failure:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clipboard_goes_both_ways_in_every_script() {
    let server = Server::xvnc(free_port(), &["-SecurityTypes", "None"]);
    let (_desktops, far) = open(server.spec()).await;
    let far = far.unwrap();
    far.clipboard().set("Grüße €\n猫").unwrap();
    eventually("the text there", || {
        let pasted = xclip(&server.display, &["-o"]).output().unwrap();
        (String::from_utf8_lossy(&pasted.stdout) == "Grüße €\n猫").then_some(())
    });
    let mut copying = xclip(&server.display, &["-i"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    copying.stdin.take().unwrap().write_all("Zurück: ✓".as_bytes()).unwrap();
    copying.wait().unwrap();
    eventually("the text here", || (far.clipboard().get().unwrap() == "Zurück: ✓").then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_and_a_certificate_open_it_and_others_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD.1).unwrap();
    let reason = |opened: Result<Arc<Desktop>, Error>| {
        let failure = Failure::from(opened.unwrap_err());
        assert_eq!((failure.code, &failure.details.unwrap()["target"]), (Kind::ServiceUnavailable, &json!("far")));
        assert!(!failure.message.contains(PASSWORD.0));
        failure.message
    };
    let with = |server: &Server, more: Value| {
        let mut spec = server.spec();
        more.as_object().unwrap().iter().for_each(|(name, value)| spec[name] = value.clone());
        open(spec)
    };
    let passworded = Server::xvnc(free_port(), &["-SecurityTypes", "VncAuth", "-PasswordFile", file.to_str().unwrap()]);
    assert!(reason(with(&passworded, json!({})).await.1).contains("wants a password"));
    assert!(reason(with(&passworded, json!({ "password": "wrong" })).await.1).contains("refused the password"));
    assert!(reason(with(&passworded, json!({ "password": PASSWORD.0, "tls": true })).await.1).contains("no TLS"));
    let (_desktops, opened) = with(&passworded, json!({ "password": PASSWORD.0 })).await;
    assert_eq!(opened.unwrap().screen().bounds().unwrap().width, 800);

    let certificate = Certificate::new("127.0.0.1");
    let pin: String = certificate.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
    let (cert, key) = (certificate.cert(), certificate.key());
    let security = ["-X509Cert", cert.to_str().unwrap(), "-X509Key", key.to_str().unwrap(), "-PasswordFile", file.to_str().unwrap()];
    let encrypted = Server::xvnc(free_port(), &[&["-SecurityTypes", "X509Vnc"], &security[..]].concat());
    assert!(reason(with(&encrypted, json!({ "password": PASSWORD.0 })).await.1).contains("TLS alone"));
    let untrusted = reason(with(&encrypted, json!({ "password": PASSWORD.0, "tls": true })).await.1);
    assert!(untrusted.contains(&pin), "{untrusted}");
    let other = reason(with(&encrypted, json!({ "password": PASSWORD.0, "fingerprint": "00".repeat(32) })).await.1);
    assert!(other.contains("not trusted"), "{other}");
    let (_desktops, opened) = with(&encrypted, json!({ "password": PASSWORD.0, "fingerprint": pin })).await;
    assert_eq!(opened.unwrap().screen().capture(&Capture::default()).unwrap().height(), 600);

    let anonymous = Server::xvnc(free_port(), &["-SecurityTypes", "TLSNone"]);
    assert!(reason(with(&anonymous, json!({ "tls": true })).await.1).contains("without a certificate"));
}

#[tokio::test(flavor = "multi_thread")]
async fn x11vnc_shows_the_desktop_of_a_session() {
    let mut display = Display::start((640, 480));
    let typed = display.typewriter();
    let port = free_port();
    let mut command = Command::new("x11vnc");
    command.args(["-display", display.name(), "-rfbport", &port.to_string(), "-localhost", "-nopw", "-forever", "-shared", "-quiet"]);
    let server = Server::started(command, port);
    let (_desktops, far) = open(server.spec()).await;
    let far = far.unwrap();
    assert_eq!(far.screen().bounds().unwrap().width, 640);
    let cancel = CancellationToken::new();
    far.input().move_to(&words(json!({ "x": 100, "y": 100 })), &cancel).unwrap();
    far.input().type_text(&words(json!({ "text": "Hello, World! {1}", "interval": 0.01 })), &cancel).unwrap();
    eventually("the text", || (std::fs::read_to_string(&typed).unwrap_or_default() == "Hello, World! {1}").then_some(()));
    let window = Window::open(&display, (500, 300), (100, 100), 0x33_66_99);
    eventually("the window", || {
        (far.screen().capture(&Capture::default()).unwrap().pixel(550, 350) == Some([0x33, 0x66, 0x99])).then_some(())
    });
    far.input().click(&words(json!({ "x": 550, "y": 350 })), &cancel).unwrap();
    eventually("the click", || window.story().iter().any(|event| event == "press 1 at 550,350").then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_of_a_virtual_machine_is_read_and_its_keys_are_pressed() {
    if Command::new("qemu-system-x86_64").arg("--version").stdout(Stdio::null()).status().is_err() {
        println!("skipped: qemu-system-x86 is not installed");
        return;
    }
    let port = free_port();
    let mut command = Command::new("qemu-system-x86_64");
    let vnc = format!("127.0.0.1:{}", port - 5900);
    command.args(["-display", "none", "-nodefaults", "-vga", "std", "-m", "32", "-boot", "menu=on,splash-time=60000", "-vnc", &vnc]);
    let server = Server::started(command, port);
    let (_desktops, far) = open(server.spec()).await;
    let far = far.unwrap();
    eventually("the firmware", || Some(read(&far, &Capture::default())).filter(|seen| seen.contains("ESC")));
    far.input().press(&words(json!({ "key": "esc", "presses": 1, "interval": 0 })), &CancellationToken::new()).unwrap();
    eventually("its menu", || Some(read(&far, &Capture::default())).filter(|seen| seen.contains("Select") || seen.contains("boot device")));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_goes_is_away_and_comes_back_by_itself() {
    let port = free_port();
    let server = Server::xvnc(port, &["-SecurityTypes", "None"]);
    let spec = server.spec();
    let (desktops, far) = open(spec).await;
    let far = far.unwrap();
    let mut viewer = far.watch(0, 10).unwrap();
    viewer.next().await.unwrap();
    drop(server);
    let told = loop {
        match tokio::time::timeout(Duration::from_secs(20), viewer.next()).await.expect("viewers are told") {
            Ok(_) => {}
            Err(failure) => break failure,
        }
    };
    assert_eq!((told.code, &told.details.unwrap()["target"]), (Kind::ServiceUnavailable, &json!("far")));
    let failure = Failure::from(far.screen().capture(&Capture::default()).unwrap_err());
    assert!(failure.code == Kind::ServiceUnavailable && failure.message.contains("far"), "{failure:?}");
    let info = desktops.info("far").unwrap();
    assert!(!info.alive && info.error.is_some(), "{info:?}");
    // The others are there.
    assert!(desktops.reach(None).await.is_ok());
    let _server = Server::xvnc(port, &["-SecurityTypes", "None"]);
    eventually("it to come back", || far.screen().capture(&Capture::default()).ok());
    assert!(desktops.info("far").unwrap().alive);
    desktops.delete("far").await.unwrap();
    assert!(far.screen().capture(&Capture::default()).is_err());
}

/// A server that is none: it says what it was told to say, whatever it hears.
struct Liar {
    port: u16,
}

impl Liar {
    /// One that greets, lets everybody in, says how large its screen is, and then what is `said`.
    fn greets(size: (u16, u16), said: Vec<u8>) -> Self {
        let mut hello = b"RFB 003.008\n".to_vec();
        hello.extend([1, 1]);
        hello.extend([0, 0, 0, 0]);
        hello.extend(size.0.to_be_bytes());
        hello.extend(size.1.to_be_bytes());
        hello.extend([32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]);
        hello.extend([0, 0, 0, 0]);
        hello.extend(said);
        Self::says(hello)
    }

    fn says(said: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, said) = (stream.unwrap(), said.clone());
                std::thread::spawn(move || {
                    let _ = stream.write_all(&said);
                    // It listens, and says nothing more, until the other end goes.
                    let _ = std::io::copy(&mut stream, &mut std::io::sink());
                });
            }
        });
        Self { port }
    }
}

fn rectangle(area: [u16; 4], encoding: i32, content: &[u8]) -> Vec<u8> {
    let mut said = vec![0, 0, 0, 1];
    area.iter().for_each(|number| said.extend(number.to_be_bytes()));
    said.extend(encoding.to_be_bytes());
    said.extend_from_slice(content);
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lies_is_an_error_for_that_desktop_only() {
    let most = [0xff; 4];
    let cases: Vec<(&str, Liar, &str)> = vec![
        ("another protocol", Liar::says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "no VNC server"),
        ("noise", Liar::says((0..4096u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect()), "no VNC server"),
        ("no security", Liar::says([b"RFB 003.008\n".to_vec(), vec![0, 0, 0, 0, 4], b"busy".to_vec()].concat()), "busy"),
        ("a reason of 4 GiB", Liar::says([b"RFB 003.008\n".to_vec(), vec![0], most.to_vec()].concat()), "reason of"),
        ("security that nobody knows", Liar::says(b"RFB 003.008\n\x02\x77\x78".to_vec()), "119, 120"),
        ("the largest screen", Liar::greets((65535, 65535), vec![]), "65535×65535"),
        ("no screen", Liar::greets((0, 0), vec![]), "0×0"),
        ("pixels outside", Liar::greets((100, 100), rectangle([90, 90, 20, 20], 0, &[0; 1600])), "20×20 pixels at (90, 90)"),
        ("a larger screen", Liar::greets((100, 100), rectangle([0, 0, 60000, 60000], -223, &[])), "60000×60000"),
        ("4 GiB of pixels", Liar::greets((100, 100), rectangle([0, 0, 100, 100], 16, &most)), "bytes when compressed"),
        ("pixels of no kind", Liar::greets((100, 100), rectangle([0, 0, 100, 100], 99, &[])), "in the way 99"),
        ("a message of no kind", Liar::greets((100, 100), vec![77]), "unknown kind 77"),
        ("a text of 2 GiB", Liar::greets((100, 100), vec![3, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff]), "on its clipboard"),
        ("half a picture", Liar::greets((100, 100), rectangle([0, 0, 100, 100], 0, &[0; 99])), "in the middle of a message"),
        ("silence", Liar::says(vec![]), "within"),
        ("silence after the greeting", Liar::greets((100, 100), vec![]), "no"),
    ];
    let opening = cases.into_iter().map(|(what, liar, expected)| async move {
        let spec = json!({ "name": "far", "kind": "vnc", "address": format!("vnc://127.0.0.1:{}", liar.port) });
        let (desktops, opened) = open(spec).await;
        let failure = Failure::from(opened.expect_err(what));
        assert_eq!(
            (failure.code, &failure.details.as_ref().unwrap()["target"]),
            (Kind::ServiceUnavailable, &json!("far")),
            "{what}: {failure:?}"
        );
        assert!(failure.message.contains(expected), "{what}: {}", failure.message);
        drop(desktops);
    });
    futures_util::future::join_all(opening).await;
    // One that shows a picture first and lies later.
    let mut said = rectangle([0, 0, 100, 100], 0, &[0x11; 40_000]);
    said.extend(rectangle([0, 0, 101, 1], 0, &[0; 404]));
    let liar = Liar::greets((100, 100), said);
    let spec = json!({ "name": "far", "kind": "vnc", "address": format!("vnc://127.0.0.1:{}", liar.port) });
    let desktops = desktops_with(&[spec]).await;
    let _ = desktops.reach(Some("far")).await;
    let found_out = eventually("the lie to be found out", || Some(desktops.info("far").unwrap()).filter(|info| !info.alive));
    assert!(found_out.error.is_none_or(|error| error.contains("101×1")));
    assert_eq!(desktops.reach(None).await.unwrap().screen().bounds().unwrap().width, 320);
}

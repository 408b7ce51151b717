//! `trae shell`: the sessions of a server, in a terminal of the test's own.

use std::io::{Read, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

use crate::api::served::{self, Server};
use crate::api::shell::{open, run};

/// `trae` in a terminal.
struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    seen: Arc<Mutex<String>>,
}

impl Terminal {
    fn start(server: &Server, arguments: &[&str]) -> Self {
        let pair = native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
        let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_trae"));
        command.args(arguments);
        command.env("TRAE_URL", server.url(""));
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let mut reader = pair.master.try_clone_reader().unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let shown = Arc::clone(&seen);
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = reader.read(&mut buffer) {
                shown.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        Self { keys: pair.master.take_writer().unwrap(), master: pair.master, child, seen }
    }

    async fn shows(&self, wanted: &str) {
        self.shows_behind("", wanted).await;
    }

    /// Waits until something is shown behind the last time that something else was.
    async fn shows_behind(&self, before: &str, wanted: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let seen = self.seen.lock().unwrap().clone();
            let at = if before.is_empty() { Some(0) } else { seen.rfind(before) };
            if at.is_some_and(|at| seen[at..].contains(wanted)) {
                return;
            }
            assert!(Instant::now() < deadline, "{wanted:?} is not behind {before:?} in {seen:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// The exit code, once it has ended.
    async fn ends(&mut self) -> u32 {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.exit_code();
            }
            assert!(Instant::now() < deadline, "it goes on: {:?}", self.seen.lock().unwrap());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether the terminal edits lines and shows what is typed, as it does when nobody asked for anything else.
    fn is_as_found(&self) -> bool {
        let modes = self.master.get_termios().unwrap();
        use nix_flags::{ECHO, ICANON};
        modes.local_flags.bits() & (ECHO | ICANON) == ECHO | ICANON
    }
}

/// What the modes of a terminal are called where portable-pty tells them.
mod nix_flags {
    pub const ICANON: u32 = 0o2;
    pub const ECHO: u32 = 0o10;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_used_in_a_terminal_of_ones_own_and_left() {
    let server = served::start().await;
    let id = open(&server).await;
    run(&server, Some(&id), "MINE=shared; echo before").await;
    let mut terminal = Terminal::start(&server, &["shell", "attach", &id[..30]]);
    terminal.shows("ctrl-] leaves it").await;
    terminal.shows("before").await;
    assert!(!terminal.is_as_found(), "keys are handed on as they are");
    terminal.press("echo \"<$MINE>\"\r");
    terminal.shows("<shared>").await;
    assert_eq!(run(&server, Some(&id), "echo from rest; stty size").await["output"], "from rest\n24 80\n");
    terminal.shows("from rest").await;
    terminal.master.resize(PtySize { rows: 40, cols: 100, pixel_width: 0, pixel_height: 0 }).unwrap();
    terminal.press("while [ \"$(stty size)\" != '40 100' ]; do sleep 0.05; done; echo resi''zed\r");
    terminal.shows("resized").await;
    // Ctrl-C is for what runs in the session.
    terminal.press("echo runni''ng; sleep 600\r");
    terminal.shows("running").await;
    terminal.press("\x03");
    terminal.shows("^C").await;
    terminal.press("echo inter''rupted\r");
    terminal.shows("interrupted").await;
    // One's own terminal keeps what went out at its top.
    assert!(!terminal.seen.lock().unwrap().contains("\x1bc"));
    terminal.press("\x1d");
    assert_eq!(terminal.ends().await, 0);
    terminal.shows("which goes on").await;
    assert!(terminal.is_as_found());
    assert_eq!(run(&server, Some(&id), "echo still there").await["output"], "still there\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_terminal_is_given_back_whatever_happens() {
    let server = served::start().await;
    let id = open(&server).await;
    for (arguments, end) in [
        (vec!["shell", "attach", &id, "--detach-key", "ctrl-x"], "ctrl-x"),
        (vec!["shell", "attach", "test", "--take"], "terminated"),
        (vec!["shell", "attach", "test"], "exit"),
    ] {
        let mut terminal = Terminal::start(&server, &arguments);
        terminal.shows("leaves it").await;
        terminal.press("echo rea''dy\r");
        terminal.shows("ready").await;
        // A program has changed everything there is.
        let full = format!("full of {end}");
        terminal.press(&format!("printf '\\033[?1049h\\033[?25l\\033[?1002hfu''ll of {end}'\r"));
        terminal.shows(&full).await;
        assert!(!terminal.is_as_found());
        match end {
            "ctrl-x" => terminal.press("\x18"),
            "terminated" => {
                let pid = i32::try_from(terminal.child.process_id().unwrap()).unwrap();
                rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::TERM).unwrap();
            }
            _ => terminal.press("exit 3\r"),
        }
        assert_eq!(terminal.ends().await, 0, "{end}");
        assert!(terminal.is_as_found(), "{end}");
        for undone in ["\x1b[?1049l", "\x1b[?25h", "\x1b[?1002l"] {
            terminal.shows_behind(&full, undone).await;
        }
        if end == "exit" {
            terminal.shows_behind(&full, "code 3").await;
        }
    }
    let mut ended = Terminal::start(&server, &["shell", "attach", &id]);
    assert_eq!(ended.ends().await, 1);
    ended.shows("has ended").await;
    let mut nowhere = Terminal::start(&server, &["shell", "attach", &id, "--url", "http://127.0.0.1:1"]);
    assert_ne!(nowhere.ends().await, 0);
    assert!(nowhere.is_as_found());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_and_keys_are_asked_for() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let key = server.key("shell read").await;
    let list = async |key: &str, arguments: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_trae"));
        command.args(["shell", "list"]).args(arguments).env("TRAE_URL", server.url("")).env("TRAE_KEY", key);
        let done = command.output().await.unwrap();
        (done.status.code().unwrap(), String::from_utf8_lossy(&done.stdout).into_owned() + &*String::from_utf8_lossy(&done.stderr))
    };
    let (code, said) = list("", &[]).await;
    assert!(code == 1 && said.contains("401"), "{said}");
    let allowed = trae::policy::Grant::new(vec![trae::policy::Permissions::all()], std::env::temp_dir());
    let allowed = allowed.command(trae::policy::Program::Terminal { shell: "bash".to_owned() }).unwrap();
    let request = trae::shell::ShellSessionRequest::new("my session", trae::shell::ShellType::Bash);
    let opened = server.app.shells.open(allowed, request, &Default::default()).await.unwrap();
    let (code, said) = list(&key, &[]).await;
    assert!(code == 0 && said.contains(&opened.session_id) && said.contains("my session"), "{said}");
    let (_, said) = list(&key, &["--json"]).await;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said["sessions"][0]["name"], "my session");
    server.app.shells.close(&opened.session_id).await.unwrap();
    let (_, said) = list(&key, &["--ended", "5"]).await;
    assert!(said.contains("deleted"), "{said}");
}

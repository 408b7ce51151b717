//! Starts the binary in an empty folder, with nothing of the test's own environment but the search path.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// How long a server may take to come up.
const PATIENCE: Duration = Duration::from_secs(30);

/// A folder with a data folder in it.
pub struct Place {
    pub folder: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trae"));
        command.args(arguments).current_dir(self.folder.path()).env_clear().stdin(Stdio::null());
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("DATA_DIR", self.data()).env("DISPLAY_MODE", "virtual");
        command.envs(environment.iter().copied());
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        self.command(arguments, environment).output().unwrap()
    }

    /// The same, with that on its standard input.
    pub fn run_with_input(&self, arguments: &[&str], environment: &[(&str, &str)], input: &str) -> Output {
        let mut command = self.command(arguments, environment);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that ends early reads nothing of it.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// Starts a server on a free port, and waits until it serves.
    pub fn serve(&self, environment: &[(&str, &str)]) -> Served {
        let terminal = self.folder.path().join("stderr");
        let mut all = vec![("PORT", "0")];
        all.extend(environment);
        let child = self.command(&["serve"], &all).stderr(File::create(&terminal).unwrap()).spawn().unwrap();
        let mut served = Served { child, terminal, address: String::new() };
        let deadline = Instant::now() + PATIENCE;
        while served.address.is_empty() {
            assert!(Instant::now() < deadline && served.child.try_wait().unwrap().is_none(), "no server: {}", served.terminal());
            std::thread::sleep(Duration::from_millis(10));
            let said = served.terminal();
            if let Some((_, rest)) = said.split_once("serving on ") {
                served.address = rest.split(|c: char| c.is_whitespace() || c == '"').next().unwrap_or_default().to_owned();
            }
        }
        served
    }
}

/// A running server. It ends with the test.
pub struct Served {
    child: Child,
    terminal: PathBuf,
    /// `http://127.0.0.1:1234`
    pub address: String,
}

impl Served {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to its terminal so far.
    pub fn terminal(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.terminal).unwrap_or_default()).into_owned()
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address)
    }

    pub fn socket(&self, path: &str) -> String {
        self.url(path).replacen("http", "ws", 1)
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> String {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        self.child.wait().unwrap();
        self.terminal()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            if Instant::now() > deadline {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until `check` holds.
pub fn eventually(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !check() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}

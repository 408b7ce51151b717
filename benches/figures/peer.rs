//! The server that TRAE is held against: FastAPI on uvicorn, one worker, with the seed's health answer.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const APPLICATION: &str = r#"
import time
from fastapi import FastAPI

app = FastAPI()
started = time.time()


@app.get("/api/health/")
async def health():
    return {"status": "healthy", "timestamp": time.time(), "uptime": time.time() - started, "version": "1.0.0"}
"#;

/// Ended when dropped.
pub struct Peer {
    child: Child,
    pub port: u16,
    _folder: tempfile::TempDir,
}

impl Peer {
    /// Installs it into `target/bench-venv` where it is not there yet, and starts it; or says why not.
    pub fn start() -> Result<Self, String> {
        let python = environment()?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        std::fs::write(folder.path().join("peer.py"), APPLICATION).map_err(|error| error.to_string())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|error| error.to_string())?.port();
        let child = Command::new(python)
            .args(["-m", "uvicorn", "peer:app", "--workers", "1", "--no-access-log", "--log-level", "warning", "--port", &port.to_string()])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("uvicorn does not start: {error}"))?;
        let peer = Self { child, port, _folder: folder };
        let patience = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > patience {
                return Err("uvicorn does not answer".to_owned());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(peer)
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The Python that has FastAPI and uvicorn.
fn environment() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-venv");
    let python = folder.join("bin/python");
    let ready = || Command::new(&python).args(["-c", "import fastapi, uvicorn"]).output().is_ok_and(|done| done.status.success());
    if ready() {
        return Ok(python);
    }
    let folder = folder.to_string_lossy().into_owned();
    run("python3", &["-m", "venv", &folder])?;
    run(&python.to_string_lossy(), &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "fastapi", "uvicorn"])?;
    if ready() { Ok(python) } else { Err("FastAPI does not load".to_owned()) }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, stdout, .. }) => {
            let said = [stdout, stderr].concat();
            let said = String::from_utf8_lossy(&said);
            Err(format!("{program} {}: {}", arguments.join(" "), said.trim().lines().next_back().unwrap_or("no reason given")))
        }
        Err(error) => Err(format!("{program}: {error}")),
    }
}

//! The server that TRAE is held against: FastAPI on uvicorn, one worker, with the seed's health answer.

use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
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

/// What it is called where it streams.
pub const STREAM: &str = "FastAPI, mss and Pillow";

/// The seed's stream, as one writes it there: a screenshot for each frame, a JPEG, base64.
const STREAMING: &str = r#"
import asyncio
import base64
import io
import time

import mss
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from PIL import Image

app = FastAPI()


@app.websocket("/ws/desktop-stream")
async def stream(socket: WebSocket):
    await socket.accept()
    config = (await socket.receive_json()).get("config", {})
    fps, quality = config.get("fps", 15), config.get("quality", 80)
    number = 0
    try:
        with mss.mss() as screen:
            while True:
                begun = time.time()
                shot = screen.grab(screen.monitors[1])
                image = Image.frombytes("RGB", shot.size, shot.bgra, "raw", "BGRX")
                jpeg = io.BytesIO()
                image.save(jpeg, "JPEG", quality=quality)
                number += 1
                await socket.send_json({
                    "type": "frame",
                    "image_data": base64.b64encode(jpeg.getvalue()).decode(),
                    "width": shot.width,
                    "height": shot.height,
                    "frame": number,
                    "timestamp": begun,
                })
                await asyncio.sleep(max(0.0, 1 / fps - (time.time() - begun)))
    except WebSocketDisconnect:
        pass
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
        Self::serve(APPLICATION, &["fastapi", "uvicorn"], "")
    }

    /// The same for one that streams the desktop of that display.
    pub fn streaming(display: &str) -> Result<Self, String> {
        Self::serve(STREAMING, &["fastapi", "uvicorn", "websockets", "mss", "pillow"], display)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn serve(application: &str, packages: &[&str], display: &str) -> Result<Self, String> {
        let python = crate::venv::environment(packages)?;
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        std::fs::write(folder.path().join("peer.py"), application).map_err(|error| error.to_string())?;
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).map_err(|error| error.to_string())?.port();
        let child = Command::new(python)
            .args(["-m", "uvicorn", "peer:app", "--workers", "1", "--no-access-log", "--log-level", "warning", "--port", &port.to_string()])
            .current_dir(folder.path())
            .env("DISPLAY", display)
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

//! Shell sessions: the echo of a key, a flood of output, a command, and what sessions cost that do nothing.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use portable_pty::{CommandBuilder, PtySize, native_pty_system};
use serde_json::Value;
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use crate::ROUNDS;
use crate::report::Target::{AtLeast, AtMost, None as Untargeted};
use crate::report::{median, milliseconds, ratios, show};
use crate::served::{Client, Served};

/// Keys of one round.
const KEYS: usize = 200;
/// What prints a flood: short lines, and long ones. How many bytes of it a program writes.
const FLOODS: [&str; 2] = ["yes | head -c 200M", "yes $(printf %04000d 1) | head -c 200M"];
const FLOOD_BYTES: f64 = 200.0 * 1024.0 * 1024.0;
/// Sessions that do nothing.
const IDLE: usize = 32;

pub fn measure() {
    let data = tempfile::tempdir().unwrap();
    let served = Served::start(data.path(), None);
    let mut client = served.client();
    echo(&served, &mut client);
    command(&mut client);
    for command in FLOODS {
        flood(&served, &mut client, command);
    }
    idle(&served, &mut client);
}

fn open(client: &mut Client) -> String {
    let said = client.expect_success("POST", "/api/shell/sessions", r#"{"name":"bench","shell_type":"bash"}"#);
    let said: Value = serde_json::from_str(&said).unwrap();
    said["session"]["session_id"].as_str().unwrap().to_owned()
}

fn close(client: &mut Client, id: &str) {
    client.expect_success("DELETE", &format!("/api/shell/sessions/{id}"), "");
}

/// A program in a terminal that nothing else stands behind.
struct Bare {
    _master: Box<dyn portable_pty::MasterPty + Send>,
    child: Box<dyn portable_pty::Child + Send + Sync>,
    reader: Box<dyn Read + Send>,
    writer: Box<dyn Write + Send>,
}

impl Bare {
    fn start(line: &str) -> Self {
        let pair = native_pty_system().openpty(PtySize::default()).unwrap();
        let mut command = CommandBuilder::new("bash");
        command.args(["-c", line]);
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let reader = pair.master.try_clone_reader().unwrap();
        let writer = pair.master.take_writer().unwrap();
        Self { reader, writer, _master: pair.master, child }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `cat` behind both: the terminal itself shows the key.
fn echo(served: &Served, client: &mut Client) {
    let id = open(client);
    let stream = TcpStream::connect(("127.0.0.1", served.port)).unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut socket, _) = tungstenite::client(format!("ws://127.0.0.1:{}/ws/shell/{id}", served.port), stream).unwrap();
    socket.send(Message::binary("echo rea''dy; cat\r".as_bytes().to_vec())).unwrap();
    read_until(&mut socket, "ready");
    let mut bare = Bare::start("echo ready; cat");
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains("ready") {
        let mut chunk = [0; 1024];
        let read = bare.reader.read(&mut chunk).unwrap();
        seen.extend_from_slice(&chunk[..read]);
    }
    std::thread::sleep(Duration::from_millis(300));
    let (mut bares, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let (mut theirs, mut through) = (Vec::new(), Vec::new());
        for key in 0..KEYS {
            theirs.push(milliseconds(|| {
                bare.writer.write_all(b"x").unwrap();
                assert!(bare.reader.read(&mut [0; 64]).unwrap() > 0);
            }));
            through.push(milliseconds(|| {
                socket.send(Message::binary(b"x".to_vec())).unwrap();
                read_until(&mut socket, "x");
            }));
            // A line does not grow for ever.
            if key % 50 == 49 {
                bare.writer.write_all(b"\x15").unwrap();
                let _ = bare.reader.read(&mut [0; 1024]).unwrap();
                socket.send(Message::binary(b"\x15".to_vec())).unwrap();
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        bares.push(median(&theirs));
        ours.push(median(&through));
    }
    show(&format!("echo of a key by a bare terminal, p50 of {KEYS}"), "ms", Untargeted, bares.clone());
    show(&format!("echo of a key through /ws/shell, p50 of {KEYS}"), "ms", Untargeted, ours.clone());
    show("  more than the bare terminal", "ms", AtMost(3.0), ours.iter().zip(&bares).map(|(ours, bare)| ours - bare).collect());
    drop(socket);
    close(client, &id);
}

fn read_until(socket: &mut WebSocket<TcpStream>, wanted: &str) {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        if let Message::Binary(bytes) = socket.read().unwrap() {
            seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    }
}

fn command(client: &mut Client) {
    let id = open(client);
    let body = format!(r#"{{"command":"true","session_id":"{id}"}}"#);
    client.expect_success("POST", "/api/shell/bash", &body);
    let round = || (0..50).map(|_| milliseconds(|| drop(client.expect_success("POST", "/api/shell/bash", &body)))).collect::<Vec<_>>();
    let mut round = round;
    let times = (0..ROUNDS).map(|_| median(&round())).collect();
    show("POST /api/shell/bash of `true` in a session, p50 of 50", "ms", AtMost(5.0), times);
    close(client, &id);
}

/// In turns with a bare terminal that is only read, which is as fast as this machine's terminals are: its kernel goes through what is
/// printed line by line.
fn flood(served: &Served, client: &mut Client, command: &str) {
    let id = open(client);
    let body = format!(r#"{{"command":"{command}","session_id":"{id}","timeout":300}}"#);
    let (mut bares, mut ours, mut grown) = (Vec::new(), Vec::new(), Vec::new());
    let rate = |begun: Instant| FLOOD_BYTES / 1e6 / begun.elapsed().as_secs_f64();
    for _ in 0..3 {
        let begun = Instant::now();
        let mut bare = Bare::start(command);
        let mut chunk = vec![0; 65536];
        while matches!(bare.reader.read(&mut chunk), Ok(1..)) {}
        bares.push(rate(begun));
        drop(bare);
        // A connection on which nothing was said for so long is cut off.
        *client = served.client();
        let (before, begun) = (served.resident(), Instant::now());
        client.send("POST", "/api/shell/bash", &body);
        let (status, said) = client.answer();
        assert_eq!(status, 200, "{said}");
        ours.push(rate(begun));
        grown.push((served.resident() - before) / 1e6);
    }
    show(&format!("`{command}` in a bare terminal that is only read"), "MB/s", Untargeted, bares.clone());
    show(&format!("`{command}` in a session"), "MB/s", AtLeast(100.0), ours.clone());
    show("  session by bare terminal", "×", Untargeted, ratios(&ours, &bares));
    show("  memory of the server after it, more than before", "MB", AtMost(8.0), grown);
    close(client, &id);
}

/// In turns with the same server while it has none.
fn idle(served: &Served, client: &mut Client) {
    let busy = || {
        std::thread::sleep(Duration::from_secs(1));
        let before = served.busy();
        std::thread::sleep(Duration::from_secs(5));
        (served.busy() - before) / 5.0 * 100.0
    };
    let mut more = Vec::new();
    for _ in 0..ROUNDS {
        let without = busy();
        *client = served.client();
        let ids: Vec<String> = (0..IDLE).map(|_| open(client)).collect();
        more.push(busy() - without);
        *client = served.client();
        for id in ids {
            close(client, &id);
        }
    }
    show(&format!("{IDLE} sessions that do nothing, more than none"), "% of a core", AtMost(1.0), more);
}

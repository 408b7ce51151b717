//! What happens around it: signals, a second server on its data, slow and silent clients, too few descriptors.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::{PATIENCE, Server, command};

#[tokio::test]
async fn a_server_that_is_asked_to_end_ends_what_runs_and_leaves_no_orphan() {
    let mut server = Server::start(&[]).measured();
    let source = "//! ---\n//! [permissions]\n//! shell = [\"bash\"]\n//! ---\nshell::run(\"sleep 97.25\")";
    assert!(server.put("/api/scripts/long.rhai", &json!({ "source": source })).await.0 < 300);
    assert_eq!(server.post("/api/scripts/long.rhai/run", &json!({})).await.0, 202);
    let sleeping = || {
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .any(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x0097.25")))
    };
    super::server::eventually("the command runs", sleeping).await;
    server.survived("a run").await;
    server.signal("TERM");
    assert_eq!(server.ended(), Some(0));
    super::server::eventually("the command is gone", || !sleeping()).await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_gives_up_and_the_first_does_not_notice() {
    let mut server = Server::start(&[]).measured();
    let second = command(server.folder.path(), &["serve"], &[("PORT", "0")]).output().unwrap();
    assert_eq!(second.status.code(), Some(75), "{}", String::from_utf8_lossy(&second.stderr));
    server.survived("a second server").await;
}

#[test]
fn it_does_not_start_where_it_would_be_open() {
    let folder = tempfile::tempdir().unwrap();
    for (environment, name) in [
        (&[("HOST", "0.0.0.0")][..], "API_KEY_ENABLED"),
        (&[("JWT_SECRET_KEY", "your-super-secret-jwt-key")], "JWT_SECRET_KEY"),
        (&[("JWT_SECRET_KEY", "short")], "JWT_SECRET_KEY"),
        (&[("SHELL_ALLOW", "*")], "SHELL_ALLOW"),
    ] {
        let ended = command(folder.path(), &["serve"], &[&[("PORT", "0")], environment].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.code() == Some(78) && said.contains(name), "{environment:?}: {:?} {said}", ended.status);
    }
}

#[tokio::test]
async fn clients_that_are_slow_or_silent_are_cut_off_and_hold_nobody_up() {
    let mut server = Server::start(&[]).measured();
    let mut held = Vec::new();
    for at in 0..100 {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        match at % 3 {
            0 => {}
            1 => stream.write_all(b"GET /api/health/ HT").await.unwrap(),
            _ => {
                let head = format!(
                    "POST /api/workflows/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{",
                    server.address
                );
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        }
        held.push(stream);
    }
    server.survived("silent clients").await;
    let began = Instant::now();
    for mut stream in held {
        let mut rest = Vec::new();
        let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed");
    }
    assert!(began.elapsed() < Duration::from_secs(60));
    server.survived("silent clients that were cut off").await;
}

#[tokio::test]
async fn with_too_few_descriptors_it_refuses_and_recovers() {
    let mut server = Server::start(&[]).measured();
    let limited = std::process::Command::new("prlimit").args([&format!("--pid={}", server.pid()), "--nofile=160:160"]).status();
    assert!(limited.is_ok_and(|status| status.success()));
    let mut held = Vec::new();
    for _ in 0..300 {
        if let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(&server.address)).await {
            held.push(stream);
        }
    }
    drop(held);
    super::server::eventually("connections are accepted again", || std::net::TcpStream::connect(&server.address).is_ok()).await;
    let mut stored = 0;
    for _ in 0..100 {
        let sent = server
            .request(reqwest::Method::POST, "/api/workflows/")
            .json(&json!({ "name": "after", "nodes": [], "edges": [] }))
            .send()
            .await;
        stored = sent.map_or(0, |answer| answer.status().as_u16());
        if stored == 201 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(stored, 201, "its database works");
    server.survived("too few descriptors").await;
}

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

/// The addresses on which a process listens, as the kernel lists them.
fn listens(pid: u32) -> Vec<String> {
    let links = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
    let own: Vec<String> = links.filter_map(|link| Some(fs::read_link(link.path()).ok()?.display().to_string())).collect();
    let tables = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default());
    let mut found = Vec::new();
    for fields in tables.iter().flat_map(|table| table.lines().skip(1)).map(|line| line.split_whitespace().collect::<Vec<_>>()) {
        if fields[3] == "0A" && own.contains(&format!("socket:[{}]", fields[9])) {
            found.push(fields[1].split(':').next().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn by_default_it_listens_for_this_machine_alone() {
    let (narrow, wide) = ("0100007F", "00000000000000000000000001000000");
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let mut server = Server::start(&[]).measured();
    let port = server.address.rsplit(':').next().unwrap().to_owned();
    assert_eq!(listens(server.pid()), if has_ipv6 { vec![wide, narrow] } else { vec![narrow] });
    if has_ipv6 {
        let (status, health) = super::server::answered(reqwest::Client::new().get(format!("http://[::1]:{port}/api/workflows/"))).await;
        assert_eq!(status, 200, "{health}");
    }
    server.survived("calls at both").await;
    // Who names one address means that one.
    let server = Server::start(&[("HOST", "127.0.0.1")]);
    assert_eq!(listens(server.pid()), [narrow]);
}

/// One byte a second, until it is closed.
async fn trickle(mut stream: TcpStream, head: String) {
    let (mut from, mut to) = stream.split();
    if to.write_all(head.as_bytes()).await.is_err() {
        return;
    }
    let drip = async {
        while !head.is_empty() && to.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        std::future::pending::<()>().await;
    };
    let mut rest = Vec::new();
    tokio::select! {
        _ = from.read_to_end(&mut rest) => {}
        () = drip => {}
    }
}

#[tokio::test]
async fn clients_that_are_slow_or_silent_are_cut_off_and_hold_nobody_up() {
    let mut server = Server::start(&[]).measured();
    let began = Instant::now();
    let mut held = tokio::task::JoinSet::new();
    for at in 0..500 {
        let Ok(stream) = TcpStream::connect(&server.address).await else { panic!("only {at} of this test's sockets are there: ulimit -n") };
        let head = match at % 3 {
            0 => String::new(),
            1 => "GET /api/health/ HT".to_owned(),
            _ => format!(
                "POST /api/workflows/ HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{",
                server.address
            ),
        };
        held.spawn(trickle(stream, head));
    }
    server.survived("slow clients").await;
    let all = async { while held.join_next().await.is_some() {} };
    // 15 seconds for a head, 10 for a body; the rest is left to a busy machine.
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "{} are not closed after {:?}", held.len(), began.elapsed());
    server.survived("slow clients that were cut off").await;
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

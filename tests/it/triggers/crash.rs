//! Killed with -9 at any moment: each file has one run, and goes where it belongs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use super::house::{send, until, watching};

struct Process {
    child: Child,
    url: String,
}

impl Process {
    async fn start(data: &Path) -> Self {
        loop {
            let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let mut command = Command::new(env!("CARGO_BIN_EXE_trae"));
            command.arg("serve").current_dir(data).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
            command.env("DATA_DIR", data).env("PORT", port.to_string()).env("DISPLAY_MODE", "none");
            let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
            let url = format!("http://127.0.0.1:{port}");
            let up = async {
                while reqwest::get(format!("{url}/api/health/")).await.is_err() {
                    if let Some(status) = child.try_wait().unwrap() {
                        return Some(status.code());
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                None
            };
            let ended = tokio::time::timeout(Duration::from_secs(60), up).await;
            let log = || fs::read_to_string(data.join("logs/backend.log")).unwrap_or_default();
            match ended {
                Ok(None) => return Self { child, url },
                // Somebody else was given the port meanwhile.
                Ok(Some(Some(69))) => {}
                other => panic!("the server does not come up: {other:?}\n{}", log().lines().rev().take(40).collect::<Vec<_>>().join("\n")),
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_file_has_one_run_whenever_the_server_is_killed() {
    const FILES: usize = 60;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().join("files/inbox");
    fs::create_dir_all(&folder).unwrap();
    let mut server = Process::start(data.path()).await;
    for (id, after) in [("keeps", "keep"), ("moves", "move")] {
        fs::create_dir_all(folder.join(id)).unwrap();
        let (nodes, edges) = watching(json!({ "path": format!("inbox/{id}"), "after": after, "stable_seconds": 0.01 }));
        let (status, answer) =
            send(&server.url, "POST", "/api/workflows/", Some(&json!({ "id": id, "nodes": nodes, "edges": edges }))).await;
        assert_eq!(status, 201, "{answer}");
    }
    let dropping = tokio::task::spawn_blocking({
        let folder = folder.clone();
        move || {
            for number in 0..FILES {
                for id in ["keeps", "moves"] {
                    fs::write(folder.join(id).join(format!("{number}.txt")), number.to_string()).unwrap();
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    for round in 0..6_u64 {
        tokio::time::sleep(Duration::from_millis(90 + round * 70)).await;
        server.child.kill().await.unwrap();
        server = Process::start(data.path()).await;
    }
    dropping.await.unwrap();
    for id in ["keeps", "moves"] {
        let path = format!("/api/runs?workflow_id={id}&limit=500");
        let over = |page: &Value| {
            let runs = page["runs"].as_array().unwrap();
            runs.len() >= FILES && runs.iter().all(|run| run["finished_at"].is_string())
        };
        let page = until(&server.url, &path, over).await;
        let mut by_file: BTreeMap<String, usize> = BTreeMap::new();
        for run in page["runs"].as_array().unwrap() {
            // Nothing in it does harm a second time, so that each run goes on to its end.
            assert_eq!(run["status"], "succeeded", "{run}");
            *by_file.entry(run["result"]["name"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        assert!(by_file.len() == FILES && by_file.values().all(|runs| *runs == 1), "{id}: {by_file:?}");
    }
    // None is left, none is lost.
    let left = || fs::read_dir(folder.join("moves")).unwrap().flatten().filter(|entry| entry.path().is_file()).count();
    let away = async {
        while left() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), away).await.expect("all files go where they belong");
    let count = |name: &str| fs::read_dir(folder.join("moves").join(name)).map_or(0, |entries| entries.flatten().count());
    assert_eq!((count("done") + count("failed"), fs::read_dir(folder.join("keeps")).unwrap().count()), (FILES, FILES));
    server.child.kill().await.unwrap();
}

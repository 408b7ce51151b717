//! `/api/shell/processes`: seen, stopped, continued, ended; or left alone.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};

use serde_json::{Value, json};

use super::served::{self, Server};

fn sleep() -> Child {
    Command::new("sleep").arg("94.1").spawn().unwrap()
}

async fn listed(server: &Server, pid: u32) -> Option<Value> {
    let (status, body) = server.get("/api/shell/processes").await;
    assert_eq!((status, &body["success"]), (200, &json!(true)));
    body["processes"].as_array().unwrap().iter().find(|process| process["pid"] == pid).cloned()
}

async fn act(server: &Server, action: &str, body: Value) -> u16 {
    server.post(&format!("/api/shell/processes/{action}"), &body).await.0
}

#[tokio::test]
async fn a_process_is_stopped_continued_and_ended() {
    let server = served::start().await;
    let mut child = sleep();
    let pid = child.id();
    let seen = listed(&server, pid).await.unwrap();
    assert_eq!((&seen["name"], &seen["ppid"]), (&json!("sleep"), &json!(std::process::id())), "{seen}");
    for field in ["cpu_percent", "memory_percent", "status", "user"] {
        assert!(!seen[field].is_null(), "{seen}");
    }
    let began = seen["start_time"].as_u64().unwrap();
    assert_eq!(act(&server, "suspend", json!({ "pid": pid })).await, 200);
    assert_eq!(listed(&server, pid).await.unwrap()["status"], "stopped");
    assert_eq!(act(&server, "resume", json!({ "pid": pid })).await, 200);
    assert_eq!(listed(&server, pid).await.unwrap()["status"], "sleeping");
    assert_eq!(act(&server, "kill", json!({ "pid": pid, "start_time": began - 100 })).await, 409);
    assert!(child.try_wait().unwrap().is_none());
    assert_eq!(act(&server, "kill", json!({ "pid": pid, "start_time": began })).await, 200);
    assert_eq!(child.wait().unwrap().signal(), Some(15));
    assert!(listed(&server, pid).await.is_none());
    assert_eq!(act(&server, "kill", json!({ "pid": pid })).await, 404);
    let mut child = sleep();
    assert_eq!(act(&server, "kill", json!({ "pid": child.id(), "force": true })).await, 200);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
}

#[tokio::test]
async fn the_server_its_parents_and_its_runners_are_left_alone() {
    let server = served::start().await;
    server.post("/api/workflows/known/execute", &json!({ "wait": true })).await;
    let (_, body) = server.get("/api/shell/processes").await;
    let runner = body["processes"].as_array().unwrap().iter().find(|process| {
        process["ppid"] == std::process::id()
            && std::fs::read_to_string(format!("/proc/{}/cmdline", process["pid"])).unwrap_or_default().contains("\0runner")
    });
    let runner = runner.expect("a runner stays warm")["pid"].as_u64().unwrap();
    for pid in [1, u64::from(std::process::id()), u64::from(std::os::unix::process::parent_id()), runner] {
        for action in ["kill", "suspend", "resume"] {
            assert_eq!(act(&server, action, json!({ "pid": pid, "force": true })).await, 403, "{action} {pid}");
        }
    }
    let (status, run) = server.post("/api/workflows/known/execute", &json!({ "wait": true })).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")));
}

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
    let forked_by = |parent: u64| {
        let mut found = body["processes"].as_array().unwrap().iter().filter(|process| process["ppid"] == parent);
        let is_ours = |pid: &u64| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default().contains("\0runner");
        found.find_map(|process| process["pid"].as_u64().filter(is_ours))
    };
    let zygote = forked_by(u64::from(std::process::id())).expect("runners are copies of a process of their own");
    let runner = forked_by(zygote).expect("a runner stays warm");
    for pid in [1, u64::from(std::process::id()), u64::from(std::os::unix::process::parent_id()), zygote, runner] {
        for action in ["kill", "suspend", "resume"] {
            assert_eq!(act(&server, action, json!({ "pid": pid, "force": true })).await, 403, "{action} {pid}");
        }
    }
    let (status, run) = server.post("/api/workflows/known/execute", &json!({ "wait": true })).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")));
}

#[tokio::test]
async fn a_session_shows_its_tree_and_a_tree_is_stopped_continued_and_ended_as_one() {
    let server = served::start().await;
    let id = super::shell::open(&server).await;
    let tree = "(trap '' TERM; sleep 94.31 & (sleep 94.32 & sleep 94.33) & wait) & setsid sleep 94.34 & disown";
    super::shell::run(&server, Some(&id), tree).await;
    let of_session = async || {
        let (status, body) = server.get(&format!("/api/shell/sessions/{id}/processes")).await;
        assert_eq!(status, 200, "{body}");
        body
    };
    let body = loop {
        let body = of_session().await;
        if body["processes"].as_array().unwrap().iter().filter(|process| process["name"] == "sleep").count() == 4 {
            break body;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let processes = body["processes"].as_array().unwrap();
    assert!(body["count"].as_u64().unwrap() == processes.len() as u64 && body["memory_percent"].as_f64().is_some(), "{body}");
    let shell = processes.iter().find(|process| process["ppid"] == std::process::id()).expect("the shell is among them");
    let root = processes.iter().find(|process| process["ppid"] == shell["pid"] && process["name"] == "bash").unwrap();
    let below = |body: &Value| {
        let all = body["processes"].as_array().unwrap().clone();
        let mut pids = vec![root["pid"].clone()];
        let mut next = 0;
        while next < pids.len() {
            let parent = pids[next].clone();
            pids.extend(all.iter().filter(|process| process["ppid"] == parent).map(|process| process["pid"].clone()));
            next += 1;
        }
        all.into_iter()
            .filter(|process| pids.contains(&process["pid"]))
            .map(|p| p["status"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all = below(&body).len();
    assert!(all >= 4, "{body}");
    let seen_as = async |wanted: fn(&[String]) -> bool| {
        let mut seen = Vec::new();
        for _ in 0..100 {
            seen = below(&of_session().await);
            if wanted(&seen) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        panic!("{seen:?}");
    };
    let (pid, began) = (root["pid"].clone(), root["start_time"].as_u64().unwrap());
    let (status, done) = server.post("/api/shell/processes/suspend", &json!({ "pid": pid, "tree": true })).await;
    assert_eq!((status, &done["data"]["count"]), (200, &json!(all)), "{done}");
    // A signal is taken where its process is next looked at.
    seen_as(|statuses| statuses.iter().all(|status| status == "stopped")).await;
    assert_eq!(act(&server, "resume", json!({ "pid": pid, "tree": true })).await, 200);
    seen_as(|statuses| statuses.iter().all(|status| status != "stopped")).await;
    assert_eq!(act(&server, "kill", json!({ "pid": pid, "tree": true, "force": true, "start_time": began - 100 })).await, 409);
    assert_eq!(below(&of_session().await).len(), all);
    assert_eq!(act(&server, "kill", json!({ "pid": pid, "tree": true, "force": true, "start_time": began })).await, 200);
    crate::machine::gone("94.31").await;
    crate::machine::gone("94.32").await;
    crate::machine::gone("94.33").await;
    assert_eq!(crate::machine::alive("94.34"), 1, "what is not below it goes on");
    // The test that runs this server is below its own parent: that tree holds the server, and nothing happens to it.
    let parent = std::os::unix::process::parent_id();
    let mut child = sleep();
    assert_eq!(act(&server, "kill", json!({ "pid": parent, "tree": true, "force": true })).await, 403);
    assert!(child.try_wait().unwrap().is_none());
    let _ = child.kill();
    let _ = child.wait();
}

//! `/api/shell`: commands and sessions, by what they do.

use serde_json::{Value, json};

use trae::app::{App, Options};
use trae::config::{Config, DisplayMode};
use trae::error::{Classify, Kind};
use trae::policy::Permissions;

use super::errors::provoke;
use super::served::{self, Server};
use crate::machine::{alive, gone};

pub async fn open(server: &Server) -> String {
    let (status, body) = server.post("/api/shell/sessions", &json!({ "name": "test", "shell_type": "bash" })).await;
    assert_eq!(status, 201, "{body}");
    body["session"]["session_id"].as_str().unwrap().to_owned()
}

pub async fn run(server: &Server, session: Option<&str>, command: &str) -> Value {
    let (status, body) = server.post("/api/shell/bash", &json!({ "command": command, "session_id": session })).await;
    assert_eq!(status, 200, "{command}: {body}");
    body
}

#[tokio::test]
async fn each_bad_request_provokes_its_error() {
    let server = served::start_with(|config| {
        config.shell.powershell = vec!["pwsh-that-is-not-here".to_owned(), "-Command".to_owned()];
        config.shell.powershell_interactive = vec!["pwsh-that-is-not-here".to_owned()];
    })
    .await;
    provoke(&server, include_str!("shell_errors.json")).await;
    assert!(!server.data.path().join("files/canary").exists(), "nothing of a refused command was started");
    let (_, body) = server.post("/api/shell/sessions", &json!({ "name": "a" })).await;
    assert!(body["details"]["hint"].as_str().unwrap().contains("shell_type"), "{body}");
}

#[tokio::test]
async fn a_single_command_answers_as_the_specification_shows() {
    let server = served::start_with(|config| config.shell.cmd = vec!["bash".to_owned(), "-c".to_owned()]).await;
    let done = run(&server, None, "echo out; echo err >&2; exit 3").await;
    let time = done["execution_time"].as_f64().unwrap();
    assert_eq!(
        done,
        json!({ "success": false, "output": "out\n", "error": "err\n", "exit_code": 3, "execution_time": time, "is_safe": true, "session_id": null, "truncated": false })
    );
    assert_eq!(run(&server, None, "true").await["error"], Value::Null);
    // Another program stands in for cmd: the shells are settings.
    let (status, done) = server.post("/api/shell/cmd", &json!({ "command": "echo Hello World", "timeout": 30 })).await;
    assert_eq!((status, &done["output"]), (200, &json!("Hello World\n")));
    let (_, done) = server.post("/api/shell/bash", &json!({ "command": "echo so far; sleep 95.11 & sleep 95.11", "timeout": 1 })).await;
    assert_eq!(
        (&done["exit_code"], &done["output"], &done["error"]),
        (&json!(124), &json!("so far\n"), &json!("timed out after 1 s")),
        "{done}"
    );
    gone("95.11").await;
    let done = run(&server, None, "yes | head -c 5M").await;
    assert_eq!((&done["truncated"], done["output"].as_str().unwrap().len()), (&json!(true), 1 << 20));
    let (_, status) = server.get("/api/shell/status").await;
    assert_eq!(
        (&status["success"], &status["active_sessions"], &status["shells"]["bash"]["available"]),
        (&json!(true), &json!(0), &json!(true))
    );
    assert!(status["shells"]["bash"]["version"].as_str().unwrap().contains("bash"), "{status}");
    assert!(status["shells"]["bash"]["path"].as_str().unwrap().ends_with("/bash"), "{status}");
    assert_eq!(status["limits"]["max_sessions"], 32);
}

#[tokio::test]
async fn a_session_keeps_its_state_and_is_listed_until_it_is_deleted() {
    let server = served::start().await;
    let id = open(&server).await;
    run(&server, Some(&id), "cd /usr; MINE=1; sleep 95.21 &").await;
    let done = run(&server, Some(&id), "echo $MINE $PWD; false").await;
    assert_eq!(
        (&done["output"], &done["error"], &done["exit_code"], &done["session_id"]),
        (&json!("1 /usr\n"), &Value::Null, &json!(1), &json!(id))
    );
    let (_, listed) = server.get("/api/shell/sessions").await;
    let session = &listed["sessions"][0];
    assert_eq!((&listed["success"], &listed["count"]), (&json!(true), &json!(1)));
    assert_eq!(
        (&session["session_id"], &session["name"], &session["shell_type"], &session["working_directory"]),
        (&json!(id), &json!("test"), &json!("bash"), &json!("/usr"))
    );
    assert!(session["last_activity"].as_str() > session["created_at"].as_str(), "{session}");
    let (status, body) = server.post("/api/shell/bash", &json!({ "command": "reboot", "session_id": id })).await;
    assert_eq!((status, &body["details"]["rule"]), (403, &json!("shutdown")));
    let (status, body) = server.post("/api/shell/cmd", &json!({ "command": "echo", "session_id": id })).await;
    assert_eq!((status, &body["details"]["errors"][0]["path"]), (422, &json!("/session_id")), "{body}");
    let deleted = reqwest::Client::new().delete(server.url(&format!("/api/shell/sessions/{id}"))).send().await.unwrap();
    assert_eq!(deleted.status(), 200);
    gone("95.21").await;
    let (_, listed) = server.get("/api/shell/sessions").await;
    assert_eq!(listed["count"], 0);
    let (status, body) = server.post("/api/shell/bash", &json!({ "command": "echo", "session_id": id })).await;
    assert_eq!((status, &body["error_code"]), (409, &json!("CONFLICT")), "{body}");
    let (status, history) = server.get(&format!("/api/shell/history/{id}")).await;
    assert_eq!((status, &history["count"]), (200, &json!(2)), "{history}");
    assert_eq!(
        (&history["history"][1]["command"], &history["history"][1]["output"]),
        (&json!("echo $MINE $PWD; false"), &json!("1 /usr\n"))
    );
}

#[tokio::test]
async fn history_survives_the_server() {
    let server = served::start().await;
    let id = open(&server).await;
    for n in 0..5 {
        run(&server, Some(&id), &format!("echo {n}; (exit {n})")).await;
    }
    server.shutdown.cancel();
    server.app.shutdown().await;
    // The next server, on the same data folder.
    let mut config = Config::default();
    config.storage.data_dir = server.data.path().to_path_buf();
    config.desktop.mode = DisplayMode::None;
    let options = Options { runner: env!("CARGO_BIN_EXE_trae").into(), allowed: Permissions::all() };
    let next = App::with(config, options).await.unwrap();
    let (history, count) = next.shells.history(&id, 2, None).await.unwrap();
    let said: Vec<(&str, i32)> = history.iter().map(|entry| (entry.command.as_str(), entry.exit_code)).collect();
    assert_eq!((count, said), (5, vec![("echo 3; (exit 3)", 3), ("echo 4; (exit 4)", 4)]));
    let (older, _) = next.shells.history(&id, 2, Some(history[0].id)).await.unwrap();
    assert_eq!(older[1].output, "2\n");
    let ended = next.shells.session(&id).await.err().unwrap();
    assert_eq!(ended.kind(), Kind::Conflict);
}

#[tokio::test]
async fn what_all_begin_with_is_set_without_a_session_and_secrets_are_masked() {
    let server = served::start().await;
    let id = open(&server).await;
    for body in [json!({ "name": "ALL", "value": "1" }), json!({ "name": "MY_API_KEY", "value": "hunter2" })] {
        assert_eq!(server.post("/api/shell/env", &body).await.0, 200);
    }
    let (status, moved) = server.post("/api/shell/cd", &json!({ "path": "/usr" })).await;
    assert_eq!((status, &moved["data"]["working_directory"]), (200, &json!("/usr")));
    assert_eq!(run(&server, None, "echo $ALL $MY_API_KEY $PWD").await["output"], "1 hunter2 /usr\n");
    assert_eq!(run(&server, Some(&id), "echo $ALL").await["output"], "\n");
    let (_, all) = server.get("/api/shell/env").await;
    assert_eq!((&all["variables"]["ALL"], &all["variables"]["MY_API_KEY"]), (&json!("1"), &json!("***")));
    assert_eq!(server.post("/api/shell/env", &json!({ "name": "MINE", "value": "2", "session_id": id })).await.0, 200);
    assert_eq!(server.post("/api/shell/cd", &json!({ "path": "/var", "session_id": id })).await.0, 200);
    assert_eq!(run(&server, Some(&id), "echo $MINE $PWD").await["output"], "2 /var\n");
    let (_, of_session) = server.get(&format!("/api/shell/env?session_id={id}")).await;
    assert_eq!((&of_session["variables"]["MINE"], &of_session["variables"]["ALL"]), (&json!("2"), &Value::Null), "{of_session}");
    let (status, body) = server.post("/api/shell/env", &json!({ "name": "A", "value": "x".repeat(40_000), "session_id": id })).await;
    assert_eq!((status, &body["details"]["errors"][0]["path"]), (422, &json!("/value")));
    assert!(std::env::var_os("ALL").is_none() && std::env::current_dir().unwrap() != std::path::Path::new("/usr"));
}

#[tokio::test]
async fn one_session_too_many_is_told_when_to_come_again() {
    let server = served::start_with(|config| config.shell.max_sessions = 2).await;
    let opened = futures_util::future::join_all((0..6).map(|_| {
        let request = json!({ "name": "many", "shell_type": "bash" });
        reqwest::Client::new().post(server.url("/api/shell/sessions")).json(&request).send()
    }));
    let answers: Vec<_> = opened.await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|answer| answer.status() == 201).count(), 2);
    for refused in answers.iter().filter(|answer| answer.status() != 201) {
        assert_eq!(refused.status(), 429);
        assert!(refused.headers().contains_key("retry-after"));
    }
}

#[tokio::test]
async fn scripts_and_workflows_use_the_same_sessions() {
    let server = served::start().await;
    let id = open(&server).await;
    run(&server, Some(&id), "FROM=rest").await;
    for (name, everything) in [("held", json!([])), ("in-session", json!(["**"]))] {
        let say = json!({ "command": "echo $FROM; FROM=graph", "session_id": id, "read": everything, "write": everything });
        let nodes = json!([served::node("start", "manual_trigger", json!({})), served::node("say", "shell_command", say)]);
        let graph = json!({ "id": name, "name": "s", "nodes": nodes, "edges": [{ "id": "e", "source": "start", "target": "say" }] });
        server.app.workflows.create(serde_json::from_value(graph).unwrap()).await.unwrap();
    }
    let (_, refused) = server.post("/api/workflows/held/execute", &json!({ "wait": true })).await;
    assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!("failed"), &json!("PERMISSION_DENIED")), "{refused}");
    assert!(refused["error"]["message"].as_str().unwrap().contains("may touch more"), "{refused}");
    let (status, done) = server.post("/api/workflows/in-session/execute", &json!({ "wait": true })).await;
    assert_eq!((status, &done["status"]), (200, &json!("succeeded")), "{done}");
    assert_eq!(done["steps"][1]["output"]["output"], "rest\n", "{done}");
    assert_eq!(run(&server, Some(&id), "echo $FROM").await["output"], "graph\n");
}

#[tokio::test]
async fn a_restart_of_the_service_ends_sessions_and_commands() {
    let server = served::start().await;
    let id = open(&server).await;
    run(&server, Some(&id), "sleep 95.31 &").await;
    let command = json!({ "command": "sleep 95.32" });
    let (single, ()) = tokio::join!(server.post("/api/shell/bash", &command), async {
        while alive("95.32") == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        server.app.services.restart(trae::services::Name::Shell).await.unwrap();
    });
    assert_eq!((single.0, &single.1["error_code"]), (503, &json!("SERVICE_UNAVAILABLE")), "{}", single.1);
    gone("95.3").await;
    let (_, listed) = server.get("/api/shell/sessions").await;
    assert_eq!(listed["count"], 0);
    let id = open(&server).await;
    assert_eq!(run(&server, Some(&id), "echo again").await["output"], "again\n");
    let report = server.app.services.report(trae::services::Name::Shell).unwrap();
    assert_eq!(report.details, "one session open");
}

#[tokio::test]
async fn a_session_has_the_size_and_variables_it_was_asked_for_and_is_read_after_its_end() {
    let server = served::start().await;
    let request = json!({ "name": "mine", "shell_type": "sh", "working_directory": "/usr", "env": { "MINE": "1" }, "size": { "cols": 100, "rows": 30 }, "record": true });
    let (status, opened) = server.post("/api/shell/sessions", &request).await;
    assert_eq!(status, 201, "{opened}");
    let session = &opened["session"];
    assert_eq!((&session["shell_type"], &session["size"]), (&json!("sh"), &json!({ "cols": 100, "rows": 30 })));
    assert_eq!((&session["recording"], &session["viewers"]), (&json!(true), &json!(0)));
    let id = session["session_id"].as_str().unwrap().to_owned();
    let command = json!({ "command": "stty size; echo $MINE $PWD", "session_id": id });
    let (_, done) = server.post("/api/shell/sh", &command).await;
    assert_eq!(done["output"], "30 100\n1 /usr\n", "{done}");
    let (_, open) = server.get(&format!("/api/shell/sessions/{id}")).await;
    assert_eq!((&open["status"], &open["session"]["name"]), (&json!("open"), &json!("mine")), "{open}");
    let (_, screen) = server.get(&format!("/api/shell/sessions/{id}/screen?scrollback=true")).await;
    assert!(screen["screen"]["text"].as_str().unwrap().contains("30 100\n1 /usr"), "{screen}");
    let recording = format!("/api/shell/sessions/{id}/recording");
    assert_eq!(server.post(&recording, &json!({})).await.0, 409);
    let (_, done) = server.post("/api/shell/sh", &json!({ "command": "exit 7", "session_id": id })).await;
    assert_eq!(done["exit_code"], 7);
    let server = server.restarted().await;
    let (_, ended) = server.get(&format!("/api/shell/sessions/{id}")).await;
    assert_eq!((&ended["status"], &ended["ended"]["end"]["exit_code"]), (&json!("ended"), &json!(7)), "{ended}");
    let (_, screen) = server.get(&format!("/api/shell/sessions/{id}/screen")).await;
    assert_eq!(screen["status"], "ended");
    assert!(screen["screen"]["text"].as_str().unwrap().contains("30 100\n1 /usr"), "{screen}");
    let (_, listed) = server.get("/api/shell/sessions?ended=5").await;
    assert_eq!((&listed["count"], &listed["ended"][0]["session_id"]), (&json!(0), &json!(id)), "{listed}");
    let answer = reqwest::get(server.url(&recording)).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/x-asciicast");
    let text = answer.text().await.unwrap();
    assert!(text.starts_with("{\"version\":2,\"width\":100,\"height\":30,") && text.contains("30 100"), "{text}");
    for path in ["", "/screen", "/recording", "/processes"] {
        let (status, body) = server.get(&format!("/api/shell/sessions/0190c0de-0000-7000-8000-000000000000{path}")).await;
        assert_eq!((status, &body["error_code"]), (404, &json!("NOT_FOUND")), "{path}: {body}");
    }
    for (field, value) in
        [("size", json!({ "cols": 0 })), ("size", json!({ "rows": 1001 })), ("env", json!({ "LD_PRELOAD": "x" })), ("record", json!("yes"))]
    {
        let mut request = json!({ "name": "bad", "shell_type": "sh" });
        request[field] = value;
        assert_eq!(server.post("/api/shell/sessions", &request).await.0, 422, "{request}");
    }
    let (_, listed) = server.get("/api/shell/sessions").await;
    assert_eq!(listed["count"], 0, "nothing was opened");
}

/// A server that dies does not see its sessions end.
#[tokio::test]
async fn sessions_of_a_server_that_died_have_ended() {
    let server = served::start().await;
    let id = open(&server).await;
    // Another server begins on what the first one left on record.
    let (folder, copy) = (server.data.path(), tempfile::tempdir().unwrap());
    for file in ["trae.db", "trae.db-wal"] {
        std::fs::copy(folder.join(file), copy.path().join(file)).unwrap();
    }
    let mut config = Config::default();
    config.storage.data_dir = copy.path().to_path_buf();
    config.desktop.mode = DisplayMode::None;
    let options = Options { runner: env!("CARGO_BIN_EXE_trae").into(), allowed: Permissions::all() };
    let next = std::sync::Arc::new(App::with(config, options).await.unwrap());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = std::sync::Arc::clone(&next);
    tokio::spawn(async move { serving.listen([listener]).await });
    let found: Value = reqwest::get(format!("http://{address}/api/shell/sessions/{id}")).await.unwrap().json().await.unwrap();
    let end = &found["ended"]["end"];
    assert!(end["exit_code"].is_null() && end["reason"].as_str().unwrap().contains("server"), "{found}");
    next.shutdown().await;
}

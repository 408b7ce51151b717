//! `commands.json`: with `SHELL_ALLOW`, what gets past it over REST, in scripts and in sessions: nothing.

use serde_json::{Value, json};

use super::server::Server;

#[tokio::test]
async fn where_only_some_commands_are_allowed_nothing_else_is_started() {
    let table: Value = serde_json::from_str(include_str!("commands.json")).unwrap();
    let list: Vec<&str> = table["list"].as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect();
    let mut server = Server::start(&[("SHELL_ALLOW", &list.join(","))]).measured();
    let mut wrong = Vec::new();
    for shell in ["bash", "sh"] {
        for line in table[shell].as_array().unwrap() {
            let command = line.as_str().unwrap().replace('C', "canary");
            let (status, refused) = server.post(&format!("/api/shell/{shell}"), &json!({ "command": command })).await;
            if (status, &refused["error_code"], &refused["details"]["is_safe"]) != (403, &json!("UNSAFE_COMMAND"), &json!(false)) {
                wrong.push(format!("{shell} {command}: {status} {refused}"));
            }
            let header = "//! ---\n//! [permissions]\n//! shell = [\"*\"]\n//! write = [\"*\"]\n//! ---\n";
            let call = json!({ "shell": shell, "command": command });
            let run = server.run(&format!("{header}shell::run(json::parse({}))", Value::from(call.to_string()))).await;
            if run["error"]["code"] != "UNSAFE_COMMAND" {
                wrong.push(format!("a script, {shell} {command}: {run}"));
            }
            server.survived(&command).await;
        }
    }
    for (command, output) in table["allowed"].as_object().unwrap() {
        let (status, done) = server.post("/api/shell/bash", &json!({ "command": command })).await;
        if (status, &done["output"]) != (200, output) {
            wrong.push(format!("{command}: {status} {done}"));
        }
    }
    for row in table["env"].as_array().unwrap() {
        let [name, value, command] =
            [0, 1, 2].map(|at| row[at].as_str().unwrap().replace("{canary}", &server.canary().display().to_string()));
        let header = "//! ---\n//! [permissions]\n//! shell = [\"*\"]\n//! read = [\"**\"]\n//! write = [\"**\"]\n//! ---\n";
        let call = json!({ "shell": "bash", "command": command, "env": { name.as_str(): value } });
        let run = server.run(&format!("{header}shell::run(json::parse({}))", Value::from(call.to_string()))).await;
        if (&run["error"]["code"], &run["error"]["details"]["rule"]) != (&json!("UNSAFE_COMMAND"), &json!("variable")) {
            wrong.push(format!("a script, {name}: {run}"));
        }
        let (status, refused) = server.post("/api/shell/env", &json!({ "name": name, "value": value })).await;
        if (status, &refused["error_code"], &refused["details"]["rule"]) != (403, &json!("UNSAFE_COMMAND"), &json!("variable")) {
            wrong.push(format!("{name}: {status} {refused}"));
        }
        let (status, done) = server.post("/api/shell/bash", &json!({ "command": command })).await;
        if status != 200 {
            wrong.push(format!("{command} after {name}: {done}"));
        }
        server.survived(&name).await;
    }
    let (status, set) = server.post("/api/shell/env", &json!({ "name": "LC_ALL", "value": "C" })).await;
    assert_eq!(status, 200, "{set}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // What is typed into a terminal is not looked at, so that none is opened.
    let (status, refused) = server.post("/api/shell/sessions", &json!({ "name": "a", "shell_type": "bash" })).await;
    assert_eq!((status, &refused["details"]["rule"]), (403, &json!("terminal")), "{refused}");
    server.survived("a session").await;
}

#[tokio::test]
async fn what_a_command_prints_is_cut_and_what_it_leaves_is_ended() {
    let mut server = Server::start(&[]).measured();
    let (_, done) = server.post("/api/shell/bash", &json!({ "command": "yes | head -c 200M", "timeout": 60 })).await;
    assert_eq!((&done["truncated"], done["output"].as_str().map(str::len)), (&json!(true), Some(1 << 20)));
    server.survived("a flood of output").await;
    let (_, done) = server.post("/api/shell/bash", &json!({ "command": "sleep 98.5 & sleep 98.5", "timeout": 1 })).await;
    assert_eq!(done["exit_code"], 124, "{done}");
    super::server::eventually("the processes are gone", || {
        !std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| line.starts_with(b"sleep\x0098.5")))
    })
    .await;
    let (_, done) = server.post("/api/shell/bash", &json!({ "command": "printf '\\033]52;c;aGk=\\007\\033]0;title\\007\\033[2J'" })).await;
    assert_eq!(done["output"], "\u{1b}]52;c;aGk=\u{7}\u{1b}]0;title\u{7}\u{1b}[2J");
    assert!(!server.terminal().contains('\u{1b}'), "an escape in the log");
    server.survived("escapes").await;
}

#[tokio::test]
async fn only_so_many_sessions_open_and_nothing_of_them_is_left() {
    let mut server = Server::start(&[]).measured();
    let (children, descriptors) = (server.children().len(), server.descriptors());
    let mut ids = Vec::new();
    for at in 0..1000 {
        let (status, made) = server.post("/api/shell/sessions", &json!({ "name": format!("s{at}"), "shell_type": "sh" })).await;
        assert_eq!(status, if at < 32 { 201 } else { 429 }, "{at}: {made}");
        ids.extend(made["session"]["session_id"].as_str().map(str::to_owned));
    }
    assert_eq!(ids.len(), 32);
    for id in ids {
        let (status, gone) = super::server::answered(server.request(reqwest::Method::DELETE, &format!("/api/shell/sessions/{id}"))).await;
        assert_eq!(status, 200, "{gone}");
    }
    super::server::eventually("shells and descriptors are back", || {
        server.children().len() <= children + 1 && server.descriptors() <= descriptors + 5
    })
    .await;
    server.survived("sessions").await;
}

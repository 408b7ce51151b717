//! What comes from elsewhere, or was drawn by somebody who may do less.

use serde_json::{Value, json};

use super::server::{Server, answered};

#[tokio::test]
async fn an_imported_workflow_does_nothing_until_it_is_approved_as_it_is() {
    let mut server = Server::start(&[]).measured();
    let drawn = |command: &str| {
        json!({
            "id": "taken", "name": "Elsewhere", "trust": "trusted", "approved": true, "owner": "admin", "enabled": true,
            "nodes": [
                { "id": "start", "type": "manual_trigger", "data": {} },
                { "id": "often", "type": "schedule_trigger", "data": { "config": { "every": "1s" } } },
                { "id": "run", "type": "shell_command", "data": { "config": { "command": command, "write": ["*"] } } },
                { "id": "call", "type": "http_request_action", "data": { "config": { "url": "http://127.0.0.1:1/" }, "settings": { "on_error": "continue" } } }
            ],
            "edges": [
                { "id": "1", "source": "start", "target": "run" },
                { "id": "2", "source": "often", "target": "run" },
                { "id": "3", "source": "run", "target": "call" }
            ]
        })
    };
    let taken = json!({ "id": "taken", "name": "Taken", "nodes": [], "edges": [] });
    assert_eq!(server.post("/api/workflows/", &taken).await.0, 201);
    let (status, imported) = server.post("/api/workflows/import", &drawn("touch canary")).await;
    assert_eq!((status, &imported["trust"], &imported["enabled"]), (201, &json!("untrusted"), &json!(false)), "{imported}");
    let said = imported["capabilities"].to_string();
    assert!(["shell", "http", "schedule"].iter().all(|part| said.contains(part)), "{said}");
    let id = imported["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "taken");
    assert_eq!(server.get("/api/workflows/taken").await.1["name"], "Taken");
    let execute = async |server: &Server| server.post(&format!("/api/workflows/{id}/execute"), &json!({ "wait": true })).await;
    assert_eq!(execute(&server).await.1["error_code"], "APPROVAL_REQUIRED");
    // Longer than its schedule waits.
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let (_, runs) = server.get(&format!("/api/runs?workflow_id={id}")).await;
    assert_eq!(runs["count"], 0, "{runs}");
    server.survived("an import").await;
    assert_eq!(
        server
            .put(&format!("/api/workflows/{id}"), &json!({ "name": "x", "nodes": drawn("true")["nodes"], "edges": drawn("true")["edges"] }))
            .await
            .0,
        200
    );
    assert_eq!(server.post(&format!("/api/workflows/{id}/approve"), &json!({})).await.1["trust"], "trusted");
    assert_eq!(execute(&server).await.1["status"], "succeeded");
    assert_eq!(
        server
            .put(&format!("/api/workflows/{id}"), &json!({ "name": "y", "nodes": drawn("true")["nodes"], "edges": drawn("true")["edges"] }))
            .await
            .0,
        200
    );
    assert_eq!(execute(&server).await.1["error_code"], "APPROVAL_REQUIRED", "a byte of it changed");
    server.survived("a change").await;
}

#[tokio::test]
async fn what_an_author_draws_does_no_more_for_an_administrator() {
    let mut server = Server::with_keys(&[]).measured();
    let author = server.make_key("read workflows");
    let drawn = json!({
        "id": "theirs", "name": "Theirs",
        "nodes": [{ "id": "start", "type": "manual_trigger", "data": {} }, { "id": "run", "type": "shell_command", "data": { "config": { "command": "touch canary", "write": ["*"] } } }],
        "edges": [{ "id": "1", "source": "start", "target": "run" }]
    });
    let post = reqwest::Client::new().post(server.url("/api/workflows/")).bearer_auth(&author).json(&drawn);
    assert_eq!(answered(post).await.0, 201);
    let (_, run) = server.post("/api/workflows/theirs/execute", &json!({ "wait": true })).await;
    let error: &Value = &run["error"];
    assert_eq!((&run["status"], &error["code"]), (&json!("failed"), &json!("PERMISSION_DENIED")), "{run}");
    server.survived("a workflow with a shell").await;
}

/// A path that comes with a call names a file in the folder of files and nowhere else, unless the graph says that this is meant.
#[tokio::test]
async fn a_path_from_a_webhook_leads_nowhere_but_into_the_folder_of_files() {
    let mut server = Server::start(&[]).measured();
    let hook = |path: &str| {
        json!({
            "id": "hook", "name": "Hook",
            "nodes": [
                { "id": "in", "type": "webhook_trigger", "data": { "config": { "path": "x", "respond": "on_finish" } } },
                { "id": "out", "type": "send_to_filesystem", "data": { "config": { "path": path, "content": "{{ input.body.content }}" } } }
            ],
            "edges": [{ "id": "1", "source": "in", "target": "out" }]
        })
    };
    assert_eq!(server.post("/api/workflows/", &hook("{{ input.body.path }}")).await.0, 201);
    let script = "//! ---\n//! [permissions]\n//! shell = [\"bash\"]\n//! write = [\"*\"]\n//! [[triggers]]\n//! type = \"schedule\"\n//! every = \"1s\"\n//! ---\nshell::run(\"touch canary\")";
    let data = server.data();
    let outside = server.folder.path().join("outside");
    for path in [data.join("scripts/x.rhai"), data.join("scripts/nodes/delay.rhai"), data.join("trae.db"), outside.clone(), server.canary()]
    {
        let call = json!({ "path": path, "content": script });
        let (status, answer) = server.post("/api/webhooks/x", &call).await;
        assert_eq!((status, &answer["error"]["code"]), (200, &json!("PERMISSION_DENIED")), "{path:?}: {answer}");
        server.survived(&path.display().to_string()).await;
    }
    assert!(!data.join("scripts/x.rhai").exists() && !outside.exists());
    let (_, answer) = server.post("/api/webhooks/x", &json!({ "path": "orders/1.txt", "content": "one" })).await;
    assert_eq!(answer["status"], "succeeded", "{answer}");
    assert_eq!(std::fs::read_to_string(data.join("files/orders/1.txt")).unwrap(), "one");
    // Not even a graph that means it writes what is live at once.
    assert_eq!(server.put("/api/workflows/hook", &hook("{{ raw(input.body.path) }}")).await.0, 200);
    let call = |path: &std::path::Path| json!({ "path": path, "content": script });
    let (_, answer) = server.post("/api/webhooks/x", &call(&data.join("scripts/x.rhai"))).await;
    assert_eq!(answer["error"]["code"], "PERMISSION_DENIED", "{answer}");
    let (_, answer) = server.post("/api/webhooks/x", &call(&outside)).await;
    assert_eq!(answer["status"], "succeeded", "{answer}");
    server.survived("a path that is meant").await;
}

/// Without keys whoever runs as the server's user has everything; a script's command, which does, has what its manifest grants.
#[tokio::test]
async fn a_command_of_a_script_gets_nothing_through_the_servers_own_port() {
    let mut server = Server::start(&[]).measured();
    let (host, port) = server.address.split_once(':').unwrap();
    let body = json!({ "command": format!("touch {}", server.canary().display()) }).to_string();
    let call = format!(
        "import socket; s = socket.create_connection(('{host}', {port})); b = {body:?}; \
         s.sendall(('POST /api/shell/bash HTTP/1.1\\r\\nHost: localhost\\r\\nContent-Type: application/json\\r\\nConnection: close\\r\\n' \
         + 'Content-Length: %d\\r\\n\\r\\n' % len(b) + b).encode()); print(s.makefile().readline().strip())"
    );
    std::fs::create_dir_all(server.data().join("files")).unwrap();
    std::fs::write(server.data().join("files/call.py"), &call).unwrap();
    let header = "//! ---\n//! [permissions]\n//! shell = [\"bash\"]\n//! read = [\"**/*\"]\n//! ---\n";
    for command in [
        "/usr/bin/python3 call.py",
        "bash -c '/usr/bin/python3 call.py'",
        "setsid /usr/bin/python3 call.py > $TMPDIR/said & until grep -q HTTP $TMPDIR/said 2>/dev/null; do sleep 0.02; done; cat $TMPDIR/said",
        "/usr/bin/python3 -c \"import ctypes; ctypes.CDLL(None).prctl(4, 0); exec(open('call.py').read())\"",
    ] {
        let source = format!("{header}let done = shell::run({}); done.output + done.error", Value::from(command));
        let run = server.run(&source).await;
        assert!(run["result"].as_str().is_some_and(|said| said.starts_with("HTTP/1.1 403")), "{command}: {run}");
        server.survived(command).await;
    }
    // Whoever runs as that user and is not held is served.
    let said = std::process::Command::new("/usr/bin/python3").arg("-c").arg(call.replace("touch", "true")).output().unwrap();
    assert!(said.stdout.starts_with(b"HTTP/1.1 200"), "{said:?}");
    server.survived("calls from commands").await;
}

/// A secret is bound to a workflow from elsewhere by who approves of it, and goes with nothing that leaves.
#[tokio::test]
async fn what_is_imported_gets_no_secret_by_its_name_and_what_is_exported_holds_none() {
    let mut server = Server::with_keys(&[]).measured();
    let value = "s3cret-of-the-house";
    assert_eq!(server.put("/api/secrets/TOKEN", &json!({ "value": value })).await.0, 201);
    let drawn = json!({
        "name": "Elsewhere",
        "nodes": [
            { "id": "start", "type": "manual_trigger", "data": {} },
            { "id": "say", "type": "log_message", "data": { "config": { "message": "it is {{ secrets.TOKEN }}" } } },
            { "id": "keep", "type": "set_variable", "data": { "config": { "name": "kept", "value": "{{ secrets.TOKEN }}" } } }
        ],
        "edges": [{ "id": "1", "source": "start", "target": "say" }, { "id": "2", "source": "say", "target": "keep" }]
    });
    let (_, imported) = server.post("/api/workflows/import", &drawn).await;
    assert!(imported["capabilities"].as_array().unwrap().contains(&json!("secrets = [\"TOKEN\"]")), "{imported}");
    let path = |rest: &str| format!("/api/workflows/{}{rest}", imported["id"].as_str().unwrap());
    assert_eq!(server.post(&path("/execute"), &json!({ "wait": true })).await.1["error_code"], "APPROVAL_REQUIRED");
    // Who may not use it themselves does not bind it.
    let author = server.make_key("read workflows scripts");
    let approve = reqwest::Client::new().post(server.url(&path("/approve"))).bearer_auth(&author).json(&json!({}));
    let (status, refused) = answered(approve).await;
    assert_eq!((status, &refused["error_code"]), (403, &json!("PERMISSION_DENIED")), "{refused}");
    assert_eq!(server.post(&path("/execute"), &json!({ "wait": true })).await.1["error_code"], "APPROVAL_REQUIRED");
    assert_eq!(server.post(&path("/approve"), &json!({})).await.1["trust"], "trusted");
    let (_, run) = server.post(&path("/execute"), &json!({ "wait": true })).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    // The workflow and what it compiles to, and the run, as they are taken elsewhere.
    let export = format!("/api/runs/{}/export", run["run_id"].as_str().unwrap());
    let archive = server.folder.path().join("run.zip");
    let bytes = server.request(reqwest::Method::GET, &export).send().await.unwrap().bytes().await.unwrap();
    std::fs::write(&archive, &bytes).unwrap();
    let prints = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); [sys.stdout.buffer.write(z.read(name)) for name in z.namelist()]";
    let unpacked = std::process::Command::new("/usr/bin/python3").args(["-c", prints]).arg(&archive).output().unwrap();
    let mut texts = vec![String::from_utf8_lossy(&unpacked.stdout).into_owned()];
    assert!(texts[0].contains("it is ***"), "{}", texts[0]);
    for path in [path(""), path("/script")] {
        texts.push(server.request(reqwest::Method::GET, &path).send().await.unwrap().text().await.unwrap());
    }
    for text in texts {
        assert!(!text.contains(value) && text.contains("TOKEN"), "{text}");
    }
    server.survived("secrets of an import").await;
}

//! Graphs whose texts want to be code (`texts.json`), whose shapes are none, and that are very large.

use serde_json::{Value, json};

use super::server::{Server, answered};

/// Every place of a graph where a text can stand, with this one in it.
fn with(text: &str) -> Value {
    // Of the backslashes before braces every one counts.
    let written = text.replace("\\{{", "\\\\{{").replace("{{", "\\{{");
    json!({
        "name": text, "description": text, "metadata": { "note": text },
        "nodes": [
            { "id": "start", "type": "manual_trigger", "position": { "x": 0, "y": 0 }, "data": { "label": text, "description": text } },
            { "id": text, "type": "log_message", "data": { "config": { "message": written } } },
            { "id": "set", "type": "set_variable", "data": { "config": { "name": "kept", "value": { "deep": [written] } } } },
            { "id": "write", "type": "transform", "data": { "config": { "expression": "nodes.set.kept.deep[0]" } } }
        ],
        "edges": [
            { "id": text, "source": "start", "target": text, "label": text },
            { "id": "b", "source": text, "target": "set" },
            { "id": "c", "source": "set", "target": "write" }
        ]
    })
}

#[tokio::test]
async fn no_text_of_a_graph_is_ever_code() {
    let mut server = Server::start(&[]).measured();
    let texts: Value = serde_json::from_str(include_str!("texts.json")).unwrap();
    let mut texts: Vec<String> = serde_json::from_value(texts["texts"].clone()).unwrap();
    texts.push("a".repeat(1 << 18));
    let mut wrong = Vec::new();
    for text in texts {
        let name: String = text.chars().take(40).collect();
        let (status, stored) = server.post("/api/workflows/", &with(&text)).await;
        if status == 422 {
            server.survived(&name).await;
            continue;
        }
        assert_eq!(status, 201, "{name}: {}", stored["error"]);
        if stored["name"] != text || stored["nodes"][1]["id"] != text || stored["metadata"]["note"] != text {
            wrong.push(format!("{name}: it is not stored as it is"));
        }
        let id = stored["id"].as_str().unwrap();
        let (status, run) = server.post(&format!("/api/workflows/{id}/execute"), &json!({ "wait": true, "timeout": 20 })).await;
        // What is in braces was escaped, and a very long one is a file of its own.
        let shown = run["result"] == text || run["result"].is_object() || status == 422;
        if !shown {
            wrong.push(format!("{name}: {status} {}", run.to_string().chars().take(300).collect::<String>()));
        }
        server.survived(&name).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_shape_that_is_no_graph_is_said_to_be_none_the_same_each_time() {
    let mut server = Server::start(&[]).measured();
    let node = |id: &str, kind: &str| json!({ "id": id, "type": kind, "data": {} });
    let edge = |id: &str, from: &str, to: &str| json!({ "id": id, "source": from, "target": to });
    let mut deep = json!(1);
    for _ in 0..100 {
        deep = json!([deep]);
    }
    let delay = |id: &str| json!({ "id": id, "type": "delay", "data": { "config": { "seconds": 0 } } });
    for (name, nodes, edges) in [
        (
            "a cycle",
            json!([node("s", "manual_trigger"), delay("a"), delay("b")]),
            json!([edge("1", "s", "a"), edge("2", "a", "b"), edge("3", "b", "a")]),
        ),
        (
            "a node that leads to itself",
            json!([node("s", "manual_trigger"), delay("a")]),
            json!([edge("1", "s", "a"), edge("2", "a", "a")]),
        ),
        ("two nodes of one id", json!([node("s", "manual_trigger"), node("s", "manual_trigger")]), json!([])),
        (
            "two edges of one id",
            json!([node("s", "manual_trigger"), delay("a"), delay("b")]),
            json!([edge("1", "s", "a"), edge("1", "s", "b")]),
        ),
        ("an edge from nowhere", json!([node("s", "manual_trigger")]), json!([edge("1", "nowhere", "s")])),
        ("an edge into nothing", json!([node("s", "manual_trigger")]), json!([edge("1", "s", "nowhere")])),
        ("no such type", json!([node("s", "nope")]), json!([])),
        ("a type of the language's own", json!([node("s", "__proto__")]), json!([])),
        ("no type", json!([node("s", "")]), json!([])),
        ("nothing", json!([]), json!([])),
        (
            "a field that is none",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "delay", "data": { "config": { "sceonds": 1 } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "a very deep config",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "set_variable", "data": { "config": { "name": "n", "value": deep } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "source for a shell",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "shell_command", "data": { "config": { "command": "echo {{ input.text }}" } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "source for a shell in quotes",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "shell_command", "data": { "config": { "command": "echo '{{ quote(input.text) }}'" } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "a program from data",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "shell_command", "data": { "config": { "argv": ["{{ input.text }}"] } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "all arguments from data",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "shell_command", "data": { "config": { "argv": "{{ params.argv }}" } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "source on standard input",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "shell_command", "data": { "config": { "argv": ["bash"], "stdin": "{{ input.text }}" } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "source behind what starts a shell",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "shell_command", "data": { "config": { "argv": ["timeout", "5", "bash", "-c", "{{ input.text }}"] } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "variables from data",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "shell_command", "data": { "config": { "command": "git diff", "env": "{{ params.env }}" } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "a statement for an expression",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "log_message", "data": { "config": { "message": "{{ 1; shell::run(\"touch canary\") }}" } } }]),
            json!([edge("1", "s", "a")]),
        ),
        (
            "a call for an expression",
            json!([node("s", "manual_trigger"), { "id": "a", "type": "log_message", "data": { "config": { "message": "{{ shell::run(\"touch canary\") }}" } } }]),
            json!([edge("1", "s", "a")]),
        ),
    ] {
        let (status, stored) = server.post("/api/workflows/", &json!({ "name": name, "nodes": nodes, "edges": edges })).await;
        if status == 201 {
            let id = stored["id"].as_str().unwrap();
            let mut said = Vec::new();
            for _ in 0..2 {
                let (status, refused) = server.post(&format!("/api/workflows/{id}/execute"), &json!({ "wait": true })).await;
                assert_eq!((status, &refused["error_code"]), (422, &json!("INVALID_WORKFLOW")), "{name}: {refused}");
                said.push(refused["error"].clone());
            }
            assert_eq!(said[0], said[1], "{name}");
        } else {
            assert!(matches!(status, 400 | 422), "{name}: {status} {stored}");
        }
        server.survived(name).await;
    }
}

#[tokio::test]
async fn what_the_screen_says_is_data_wherever_it_goes() {
    let mut server = Server::start(&[]).measured();
    let shown = "x; touch canary #";
    let steps = |config: Value| {
        json!({
            "id": "data", "name": "Data",
            "nodes": [
                { "id": "start", "type": "manual_trigger", "data": {} },
                { "id": "run", "type": "shell_command", "data": { "config": config } }
            ],
            "edges": [{ "id": "1", "source": "start", "target": "run" }]
        })
    };
    assert_eq!(server.post("/api/workflows/", &steps(json!({ "argv": ["echo", "x"] }))).await.0, 201);
    for config in [
        json!({ "argv": ["printf", "%s", "{{ params.text }}"] }),
        json!({ "command": "printf %s {{ quote(params.text) }}" }),
        json!({ "command": "printf %s \"$TEXT\"", "env": { "TEXT": "{{ params.text }}" } }),
    ] {
        for text in [shown, "$(touch canary)", "`touch canary`", "'; touch canary; '", "a\nb", "\\", "*"] {
            assert_eq!(server.put("/api/workflows/data", &steps(config.clone())).await.0, 200);
            let (_, run) = server.post("/api/workflows/data/execute", &json!({ "wait": true, "parameters": { "text": text } })).await;
            assert_eq!(run["result"]["output"], text, "{config}: {run}");
            server.survived(text).await;
        }
    }
}

/// The display that a server started, by the socket at which it is reached.
fn display_of(server: &Server) -> String {
    let files = |pid: u32| std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let links: Vec<_> = server.children().into_iter().flat_map(files).filter_map(|file| std::fs::read_link(file.path()).ok()).collect();
    let listed = std::fs::read_to_string("/proc/net/unix").unwrap();
    let number = listed.lines().find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let (_, number) = fields.get(7)?.split_once("/tmp/.X11-unix/X")?;
        links.contains(&format!("socket:[{}]", fields[6]).into()).then(|| number.to_owned())
    });
    format!(":{}", number.expect("the server started a display"))
}

/// The same with a text that is really read from a picture of the screen.
#[tokio::test]
async fn what_is_read_from_the_screen_is_data_too() {
    let mut server = Server::start(&[("DISPLAY_MODE", "virtual"), ("VIRTUAL_SIZE", "900x300")]).measured();
    assert_eq!(server.post("/api/desktop/screenshot", &json!({})).await.0, 200, "the display is there");
    let display = display_of(&server);
    let shown = "printf 'x; touch canary #\\n\\n\\n\\nlocalhost\\n'; exec sleep 60";
    let window = ["-geometry", "45x8+0+0", "-fa", "DejaVu Sans Mono", "-fs", "20", "-bg", "white", "-fg", "black", "-e", "sh", "-c", shown];
    let mut window = std::process::Command::new("xterm").args(window).env("DISPLAY", &display).spawn().unwrap();
    let read = async |zone: Value| server.post("/api/automation/text/read", &zone).await.1["text"].to_string();
    let (first, second) = (json!({ "x": 0, "y": 0, "width": 900, "height": 70 }), json!({ "x": 0, "y": 100, "width": 900, "height": 120 }));
    let appears = async {
        while !read(first.clone()).await.contains("touch canary") || !read(second.clone()).await.contains("localhost") {
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let appears = tokio::time::timeout(super::server::PATIENCE, appears).await;
    let seen = format!("{} {}", read(first.clone()).await, read(second.clone()).await);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let call = format!("http://{{{{ input.text }}}}:{}/", listener.local_addr().unwrap().port());
    let whole = json!({ "x": 0, "y": 0, "width": 900, "height": 300 });
    let mut wrong = Vec::new();
    for (zone, kind, config, code) in [
        (&first, "shell_command", json!({ "argv": ["printf", "%s", "{{ input.text }}"] }), None),
        (&first, "shell_command", json!({ "command": "printf %s {{ quote(input.text) }}" }), None),
        (&first, "shell_command", json!({ "command": "printf %s {{ input.text }}" }), Some("INVALID_WORKFLOW")),
        (&second, "http_request_action", json!({ "url": call }), Some("PERMISSION_DENIED")),
        (&second, "http_request_action", json!({ "url": call, "hosts": ["example.org"] }), Some("PERMISSION_DENIED")),
        (&whole, "type_action", json!({ "text": "{{ input.text }}" }), Some("VALIDATION_ERROR")),
    ] {
        let drawn = json!({
            "name": "Reads",
            "nodes": [
                { "id": "start", "type": "manual_trigger", "data": {} },
                { "id": "read", "type": "ocr_zone", "data": { "config": zone } },
                { "id": "use", "type": kind, "data": { "config": config } }
            ],
            "edges": [{ "id": "1", "source": "start", "target": "read" }, { "id": "2", "source": "read", "target": "use" }]
        });
        let (_, stored) = server.post("/api/workflows/", &drawn).await;
        let path = format!("/api/workflows/{}/execute", stored["id"].as_str().unwrap());
        let (_, run) = server.post(&path, &json!({ "wait": true })).await;
        let said = run["error"]["code"].as_str().or(run["error_code"].as_str());
        let is_literal = run["result"]["output"].as_str().is_some_and(|output| output.contains("touch canary"));
        if said != code || (code.is_none() && !is_literal) {
            wrong.push(format!("{kind} {config}: {run}"));
        }
        server.survived(kind).await;
    }
    window.kill().unwrap();
    window.wait().unwrap();
    assert!(appears.is_ok(), "it is read as {seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let connected = tokio::time::timeout(std::time::Duration::from_millis(1), listener.accept()).await;
    assert!(connected.is_err(), "something called the listener");
}

#[tokio::test]
async fn ten_thousand_nodes_are_no_burden_and_one_more_is_refused() {
    let mut server = Server::start(&[]).measured();
    let chain = |count: usize| {
        let mut nodes = vec![json!({ "id": "n0", "type": "manual_trigger", "data": {} })];
        nodes.extend((1..count).map(|at| json!({ "id": format!("n{at}"), "type": "delay", "data": { "config": { "seconds": 0 } } })));
        let edges: Vec<_> =
            (1..count).map(|at| json!({ "id": format!("e{at}"), "source": format!("n{}", at - 1), "target": format!("n{at}") })).collect();
        json!({ "id": "long", "name": "Long", "nodes": nodes, "edges": edges })
    };
    // One that leads to all the others but the last, to which all of them lead.
    let fan = |count: usize| {
        let mut drawn = chain(count);
        let edge = |name: &str, from: usize, to: usize| json!({ "id": format!("{name}{from}-{to}"), "source": format!("n{from}"), "target": format!("n{to}") });
        drawn["edges"] = (1..count - 1).flat_map(|at| [edge("out", 0, at), edge("in", at, count - 1)]).collect();
        drawn["id"] = json!("wide");
        drawn
    };
    for (id, drawn) in [("long", chain(10_000)), ("wide", fan(10_000))] {
        assert_eq!(server.post("/api/workflows/", &drawn).await.0, 201);
        let path = format!("/api/workflows/{id}/execute");
        let start = server.request(reqwest::Method::POST, &path).json(&json!({ "wait": true, "timeout": 60 }));
        let running = tokio::spawn(answered(start.timeout(std::time::Duration::from_secs(90))));
        while !running.is_finished() {
            server.survived_with("a large graph that runs", 512 << 20).await;
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let (_, run) = running.await.unwrap();
        assert_eq!(run["status"], "succeeded", "{id}: {}", run["error"]);
    }
    assert_eq!(server.put("/api/workflows/long", &chain(10_001)).await.0, 200);
    let (status, refused) = server.post("/api/workflows/long/execute", &json!({})).await;
    assert_eq!((status, &refused["error_code"]), (422, &json!("INVALID_WORKFLOW")), "{}", refused["error"]);
    server.survived_with("a long graph", 512 << 20).await;
}

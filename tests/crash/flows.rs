//! What is run: workflows and a script whose steps leave a token each, so that an effect that is lost or done twice is seen.
//!
//! A token is a line `run step` in `files/effects.log`. The steps named `once-…` must not be done again where they broke off, those named
//! `again-…` may be.

use serde_json::{Value, json};

/// Where the tokens go.
pub const EFFECTS: &str = "effects.log";
/// The script that has steps of its own, and waits and writes to its log outside of them.
pub const STEADY: &str = "steady.rhai";
/// The lines it writes to its log, each once.
pub const LINES: [&str; 3] = ["line 1", "line 2", "line 3"];
/// The workflow that each dropped file starts, and the folder it is dropped into.
pub const INBOX: &str = "inbox";
/// The workflow that every second starts.
pub const TICKS: &str = "ticks";
/// Bytes of the value that is put out by `waits`.
pub const LARGE: usize = 70_000;
/// The path of the webhook.
pub const HOOK: &str = "crash";
/// The workflow that the webhook starts.
pub const HOOKED: &str = "hooked";
/// The workflows that are started by hand.
pub const BY_HAND: [&str; 6] = ["chain", "waits", "loop", "parent", "shell", "asks"];
/// What may be answered to the question that `asks` asks, and the step that follows.
pub const CHOICES: [(&str, &str); 2] = [("left", "once-left"), ("right", "once-right")];

/// The text of the script.
pub fn steady() -> String {
    let lines = [
        "//! Leaves two tokens, a wait apart.",
        "//! ---",
        "//! [permissions]",
        "//! write = [\"effects.log\"]",
        "//! ---",
        "let id = run.id;",
        "log::info(\"line 1\");",
        "step(\"once-one\", || files::append(\"effects.log\", id + \" once-one\\n\"));",
        "time::sleep(1.05);",
        "log::info(\"line 2\");",
        "step(\"once-two\", || files::append(\"effects.log\", id + \" once-two\\n\"));",
        "log::info(\"line 3\");",
        "\"done\"",
    ];
    lines.join("\n")
}

/// Every workflow there is to be.
pub fn all() -> Vec<Value> {
    vec![chain(), waits(), rounds(), parent(), shell(), asks(), hooked(), inbox(), ticks()]
}

fn chain() -> Value {
    let latest = json!({ "path": "latest.txt", "content": format!("{{{{ raw(run.id) }}}} {}", "x".repeat(4096)) });
    let latest =
        json!({ "id": "latest", "type": "send_to_filesystem", "data": { "config": latest, "settings": { "on_interrupt": "retry" } } });
    let set = json!({ "id": "set", "type": "set_variable", "data": { "config": { "name": "n", "value": 1 } } });
    line("chain", vec![start(), token("once-a"), token("again-b"), set, token("once-c"), latest, token("once-d")])
}

fn waits() -> Value {
    // Larger than what stands in a row: it goes into a file beside the database, and must be whole when the run goes on.
    let large = json!({ "name": "large", "value": format!("{{{{ raw(run.id) }}}} {}", "y".repeat(LARGE - 37)) });
    let large = json!({ "id": "large", "type": "set_variable", "data": { "config": large } });
    let length = json!({ "name": "length", "value": "{{ nodes.large.large.len() }}" });
    let length = json!({ "id": "length", "type": "set_variable", "data": { "config": length } });
    line(
        "waits",
        vec![start(), token("once-a"), large, delay("short", 0.05), token("again-b"), delay("long", 1.05), token("once-c"), length],
    )
}

fn rounds() -> Value {
    let each = json!({ "id": "each", "type": "for_each", "data": { "config": { "items": [0, 1, 2, 3, 4, 5], "concurrency": 3 } } });
    let item = |id: &str, settings: Value| {
        let content = format!("{{{{ raw(run.id) }}}} {id}[{{{{ run.index }}}}]\n");
        json!({ "id": id, "type": "send_to_filesystem", "data": { "config": { "path": EFFECTS, "append": true, "content": content }, "settings": settings } })
    };
    let nodes = vec![
        start(),
        each,
        item("once-item", json!({})),
        delay("breath", 0.02),
        item("again-item", json!({ "on_interrupt": "retry" })),
        token("once-after"),
    ];
    let edges = [
        ("start", "each", None),
        ("each", "once-item", Some("item")),
        ("once-item", "breath", None),
        ("breath", "again-item", None),
        ("again-item", "each", None),
        ("each", "once-after", Some("done")),
    ];
    graph("loop", &nodes, &edges)
}

fn parent() -> Value {
    let workflow = json!({ "id": "child", "type": "run_workflow", "data": { "config": { "workflow_id": "waits" } } });
    let script = json!({ "id": "script", "type": "run_script", "data": { "config": { "path": STEADY } } });
    line("parent", vec![start(), token("once-a"), workflow, token("again-b"), script, token("once-c")])
}

fn shell() -> Value {
    let command = format!("sleep 0.1; echo \"{{{{ raw(run.id) }}}} once-shell\" >> {EFFECTS}; sleep 0.2");
    let shell = json!({ "id": "once-shell", "type": "shell_command", "data": { "config": { "argv": ["sh", "-c", command], "write": [EFFECTS], "fail_on_error": true } } });
    line("shell", vec![start(), shell, token("once-b")])
}

fn asks() -> Value {
    let choices = CHOICES.map(|(choice, _)| choice);
    let ask = json!({ "id": "ask", "type": "approval", "data": { "config": { "message": "Which way?", "choices": choices } } });
    let mut edges = vec![("start", "once-a", None), ("once-a", "ask", None)];
    edges.extend(CHOICES.map(|(choice, step)| ("ask", step, Some(choice))));
    graph("asks", &[start(), token("once-a"), ask, token(CHOICES[0].1), token(CHOICES[1].1)], &edges)
}

fn inbox() -> Value {
    let config = json!({ "path": INBOX, "pattern": "*.txt", "after": "move", "stable_seconds": 0.05 });
    let trigger = json!({ "id": "file", "type": "watch_folder_trigger", "data": { "config": config } });
    line(INBOX, vec![trigger, token("once-a"), token("again-b")])
}

fn ticks() -> Value {
    let config = json!({ "cron": "* * * * * *", "overlap": "allow", "catch_up": "all" });
    let trigger = json!({ "id": "tick", "type": "schedule_trigger", "data": { "config": config } });
    line(TICKS, vec![trigger, token("once-a")])
}

fn hooked() -> Value {
    let trigger = json!({ "id": "hook", "type": "webhook_trigger", "data": { "config": { "path": HOOK, "respond": "response_node" } } });
    let answer = json!({ "id": "answer", "type": "webhook_response", "data": { "config": { "status": 200, "body": { "answered_by": "{{ run.id }}" } } } });
    line(HOOKED, vec![trigger, token("once-a"), answer, token("once-b")])
}

fn start() -> Value {
    json!({ "id": "start", "type": "manual_trigger", "data": {} })
}

fn delay(id: &str, seconds: f64) -> Value {
    json!({ "id": id, "type": "delay", "data": { "config": { "seconds": seconds } } })
}

fn token(id: &str) -> Value {
    let config = json!({ "path": EFFECTS, "append": true, "content": format!("{{{{ raw(run.id) }}}} {id}\n") });
    let settings = if id.starts_with("again") { json!({ "on_interrupt": "retry" }) } else { json!({}) };
    json!({ "id": id, "type": "send_to_filesystem", "data": { "config": config, "settings": settings } })
}

/// A chain of these nodes.
fn line(id: &str, nodes: Vec<Value>) -> Value {
    let ids: Vec<&str> = nodes.iter().filter_map(|node| node["id"].as_str()).collect();
    let edges: Vec<_> = ids.windows(2).map(|pair| (pair[0], pair[1], None)).collect();
    graph(id, &nodes, &edges)
}

fn graph(id: &str, nodes: &[Value], edges: &[(&str, &str, Option<&str>)]) -> Value {
    let edge = |(number, (source, target, handle)): (usize, &(&str, &str, Option<&str>))| {
        let mut edge = json!({ "id": format!("e{number}"), "source": source, "target": target });
        if let Some(handle) = handle {
            edge["source_handle"] = json!(handle);
        }
        edge
    };
    let edges: Vec<_> = edges.iter().enumerate().map(edge).collect();
    json!({ "id": id, "name": id, "description": "", "nodes": nodes, "edges": edges })
}

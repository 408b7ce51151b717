//! Runs that wait, break off, go on and are done again, as a caller of the API sees it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::served::{Server, node, start};

/// A workflow of these nodes and edges (`a -> b`, `a.handle -> b`), stored under that id.
async fn draw(server: &Server, id: &str, nodes: Value, edges: &[&str]) {
    let edges: Vec<_> = edges
        .iter()
        .enumerate()
        .map(|(index, edge)| {
            let (from, to) = edge.split_once(" -> ").unwrap();
            let (source, handle) = from.split_once('.').map_or((from, None), |(source, handle)| (source, Some(handle)));
            json!({ "id": format!("e{index}"), "source": source, "source_handle": handle, "target": to })
        })
        .collect();
    let (status, stored) = server.post("/api/workflows/", &json!({ "id": id, "name": id, "nodes": nodes, "edges": edges })).await;
    assert_eq!((status, &stored["problems"]), (201, &json!([])), "{stored}");
}

fn settled(id: &str, kind: &str, config: Value, settings: Value) -> Value {
    json!({ "id": id, "type": kind, "position": {}, "data": { "config": config, "settings": settings } })
}

async fn execute(server: &Server, id: &str, body: Value) -> Value {
    server.post(&format!("/api/workflows/{id}/execute"), &body).await.1
}

/// The run, once it fits.
async fn until(server: &Server, run_id: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        let (_, run) = server.get(&format!("/api/runs/{run_id}")).await;
        if fits(&run) {
            return run;
        }
        assert!(Instant::now() < patience, "it does not come to that: {run}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn ended(server: &Server, run_id: &str) -> Value {
    until(server, run_id, |run| !run["finished_at"].is_null()).await
}

fn id_of(started: &Value) -> String {
    started["run_id"].as_str().unwrap_or_else(|| panic!("it was not started: {started}")).to_owned()
}

fn lines(server: &Server, file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(server.data.path().join("files").join(file)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn append(id: &str, file: &str, line: &str) -> Value {
    node(id, "send_to_filesystem", json!({ "path": file, "content": format!("{line}\n"), "append": true }))
}

/// `step status` of each.
fn steps(run: &Value) -> Vec<String> {
    let step = |step: &Value| format!("{} {}", step["step_id"].as_str().unwrap(), step["status"].as_str().unwrap());
    run["steps"].as_array().unwrap().iter().map(step).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_once_and_its_run_goes_on_at_the_choice_also_after_a_restart() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        append("before", "log.txt", "before"),
        node("ask", "approval", json!({ "message": "Send {{ params.what }}?", "choices": ["yes", "no"] })),
        append("sent", "log.txt", "sent"),
        append("kept", "log.txt", "kept"),
    ]);
    draw(&server, "orders", nodes, &["start -> before", "before -> ask", "ask.yes -> sent", "ask.no -> kept"]).await;
    let run_id = id_of(&execute(&server, "orders", json!({ "parameters": { "what": "it" } })).await);
    let run = until(&server, &run_id, |run| run["status"] == "waiting").await;
    assert_eq!(steps(&run)[2], "ask waiting");
    assert_eq!(run["waits"][0]["details"]["message"], "Send it?");
    assert_eq!(server.app.host.runners().busy, 0, "it holds no runner");

    let server = server.restarted().await;
    let (_, asked) = server.get("/api/approvals").await;
    assert_eq!((&asked["count"], &asked["approvals"][0]["run_id"]), (&json!(1), &json!(run_id)), "{asked}");
    let path = format!("/api/approvals/{}", asked["approvals"][0]["id"].as_str().unwrap());
    let (status, refused) = server.post(&path, &json!({ "choice": "perhaps" })).await;
    assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!("/choice")));
    let (status, answered) = server.post(&path, &json!({ "choice": "yes", "comment": "fine" })).await;
    assert_eq!((status, &answered["decision"]["choice"]), (200, &json!("yes")));
    assert_eq!(server.post(&path, &json!({ "choice": "no" })).await.0, 409);
    let run = ended(&server, &run_id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    let ask = &run["steps"][2]["output"];
    assert_eq!((&ask["choice"], &ask["comment"]), (&json!("yes"), &json!("fine")));
    assert_eq!(lines(&server, "log.txt"), ["before", "sent"], "no step was done twice");
    assert_eq!(server.get("/api/approvals").await.1["count"], 0);
    let ids: Vec<u64> = events(&server, &run_id).await.iter().map(|event| event["event_id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=ids.len() as u64).collect::<Vec<_>>(), "numbered without gaps across the restart");
}

/// The events of a run that is over.
async fn events(server: &Server, run_id: &str) -> Vec<Value> {
    let text = reqwest::get(server.url(&format!("/api/runs/{run_id}/events"))).await.unwrap().text().await.unwrap();
    text.lines().filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_answers_and_the_default_counts() {
    let server = start().await;
    let ask = json!({ "message": "?", "choices": ["yes", "no"], "timeout": 0.2, "default": "no" });
    let nodes = json!([node("start", "manual_trigger", json!({})), node("ask", "approval", ask)]);
    draw(&server, "asks", nodes, &["start -> ask"]).await;
    let run = execute(&server, "asks", json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["result"]["choice"], &run["result"]["by"]), (&json!("succeeded"), &json!("no"), &json!("timeout")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_wakes_the_run_that_waits_for_it() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("paid", "wait_for_webhook", json!({ "path": "paid/{{ run.id }}", "secret": "s" })),
    ]);
    draw(&server, "pay", nodes, &["start -> paid"]).await;
    let run_id = id_of(&execute(&server, "pay", json!({})).await);
    until(&server, &run_id, |run| run["status"] == "waiting").await;
    let url = format!("/api/webhooks/paid/{run_id}");
    assert_eq!(server.post(&url, &json!({})).await.0, 401, "it is not signed");
    assert_eq!(server.get(&url).await.0, 405);
    let body = json!({ "amount": 12 }).to_string();
    let signed = {
        use hmac::{Hmac, KeyInit, Mac};
        let mac = Hmac::<sha2::Sha256>::new_from_slice(b"s").unwrap().chain_update(&body).finalize().into_bytes();
        mac.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
    };
    let call = reqwest::Client::new().post(server.url(&url)).header("content-type", "application/json");
    let answer = call.header("x-signature-256", format!("sha256={signed}")).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let run = ended(&server, &run_id).await;
    assert_eq!((&run["status"], &run["result"]["body"]), (&json!("succeeded"), &json!({ "amount": 12 })), "{run}");
    assert_eq!(server.post(&url, &json!({})).await.0, 404, "nobody waits there any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_whose_time_passed_while_the_server_was_off_is_over_when_it_is_up() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        append("before", "log.txt", "before"),
        node("wait", "delay", json!({ "seconds": 1.5 })),
        append("after", "log.txt", "after"),
    ]);
    draw(&server, "waits", nodes, &["start -> before", "before -> wait", "wait -> after"]).await;
    let run_id = id_of(&execute(&server, "waits", json!({})).await);
    let until_when = until(&server, &run_id, |run| run["status"] == "waiting").await["waits"][0]["until"].clone();
    let server = server.restarted().await;
    let run = ended(&server, &run_id).await;
    assert_eq!(
        (&run["status"], steps(&run)),
        (
            &json!("succeeded"),
            vec!["start succeeded".to_owned(), "before succeeded".to_owned(), "wait succeeded".to_owned(), "after succeeded".to_owned()]
        )
    );
    assert!(run["steps"][2]["finished_at"].as_str() >= until_when.as_str(), "it does not wake early: {run}");
    assert_eq!(lines(&server, "log.txt"), ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_done_twice_is_interrupted_by_a_stop_and_goes_on_by_a_retry() {
    let server = start().await;
    let command = |id: &str, line: &str| node(id, "shell_command", json!({ "command": line, "read": ["**/*"], "write": ["log.txt"] }));
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        command("first", "echo first >> log.txt"),
        command("slow", "echo slow >> log.txt; test -e go || sleep 60"),
        command("last", "echo last >> log.txt"),
    ]);
    draw(&server, "once", nodes, &["start -> first", "first -> slow", "slow -> last"]).await;
    let run_id = id_of(&execute(&server, "once", json!({})).await);
    let patience = Instant::now() + Duration::from_secs(20);
    while lines(&server, "log.txt").len() < 2 {
        assert!(Instant::now() < patience);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let server = server.restarted().await;
    let run = ended(&server, &run_id).await;
    assert_eq!(run["status"], "interrupted", "{run}");
    assert_eq!(steps(&run)[..3], ["start succeeded", "first succeeded", "slow interrupted"]);

    std::fs::write(server.data.path().join("files/go"), "").unwrap();
    let (status, again) = server.post(&format!("/api/runs/{run_id}/retry"), &json!({})).await;
    assert_eq!(status, 202, "{again}");
    let run = ended(&server, &id_of(&again)).await;
    assert_eq!((&run["status"], &run["retry_of"]), (&json!("succeeded"), &json!(run_id)), "{run}");
    assert_eq!(lines(&server, "log.txt"), ["first", "slow", "slow", "last"], "what was finished is not done again");
    // Somebody looked, and it had done its work.
    let (status, again) = server.post(&format!("/api/runs/{run_id}/retry"), &json!({ "from": "last" })).await;
    assert_eq!(status, 202, "{again}");
    let run = ended(&server, &id_of(&again)).await;
    assert_eq!(steps(&run), ["start succeeded", "first succeeded", "slow skipped", "last succeeded"], "{run}");
    assert_eq!(lines(&server, "log.txt").len(), 5);
    let (status, refused) = server.post(&format!("/api/runs/{run_id}/retry"), &json!({ "from": "nowhere" })).await;
    assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!("/from")));
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_and_branches_run_side_by_side_and_give_what_they_give_in_order() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("each", "for_each", json!({ "items": "{{ params.items }}", "concurrency": 4 })),
        node(
            "meet",
            "shell_command",
            json!({ "command": "touch here.{{ quote(input) }}; for i in $(seq 200); do [ $(ls here.* | wc -l) = 4 ] && exit 0; sleep 0.05; done; exit 1", "read": ["*"], "write": ["*"], "fail_on_error": true })
        ),
        node("twice", "transform", json!({ "expression": "nodes.each * 2" })),
    ]);
    draw(&server, "many", nodes, &["start -> each", "each.item -> meet", "meet -> twice"]).await;
    let run = execute(&server, "many", json!({ "wait": true, "parameters": { "items": [1, 2, 3, 4] } })).await;
    assert_eq!((&run["status"], &run["result"]), (&json!("succeeded"), &json!([2, 4, 6, 8])), "they met: {run}");

    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("both", "parallel", json!({ "branches": ["left", "right"] })),
        node(
            "l",
            "shell_command",
            json!({ "command": "touch l; for i in $(seq 200); do [ -e r ] && exit 0; sleep 0.05; done; exit 1", "read": ["*"], "write": ["*"], "fail_on_error": true })
        ),
        node(
            "r",
            "shell_command",
            json!({ "command": "touch r; for i in $(seq 200); do [ -e l ] && exit 0; sleep 0.05; done; exit 1", "read": ["*"], "write": ["*"], "fail_on_error": true })
        ),
        node("then", "transform", json!({ "expression": "[input.left.exit_code, input.right.exit_code]" })),
    ]);
    draw(&server, "branches", nodes, &["start -> both", "both.left -> l", "both.right -> r", "both.done -> then"]).await;
    let run = execute(&server, "branches", json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["result"]), (&json!("succeeded"), &json!([0, 0])), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_fails_lets_the_others_end_and_starts_no_more() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("each", "for_each", json!({ "items": "{{ params.items }}", "concurrency": 2 })),
        node("check", "transform", json!({ "expression": "[1][input - 1]" })),
    ]);
    let (_, stored) = server
        .post("/api/workflows/", &json!({ "id": "bad", "name": "bad", "nodes": nodes, "edges": [
            { "id": "a", "source": "start", "target": "each" }, { "id": "b", "source": "each", "source_handle": "item", "target": "check" }] }))
        .await;
    assert_eq!(stored["problems"], json!([]), "{stored}");
    let items: Vec<u32> = (1..200).collect();
    let run = execute(&server, "bad", json!({ "wait": true, "parameters": { "items": items } })).await;
    assert_eq!((&run["status"], &run["error"]["node_id"]), (&json!("failed"), &json!("check")), "{run}");
    assert!(run["steps"].as_array().unwrap().len() < 100, "no further rounds were begun");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_within_a_workflow_has_a_record_of_its_own() {
    let server = start().await;
    let nodes =
        json!([node("start", "manual_trigger", json!({})), node("sum", "transform", json!({ "expression": "params.a + params.b" }))]);
    draw(&server, "adds", nodes, &["start -> sum"]).await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("sub", "run_workflow", json!({ "workflow_id": "adds", "parameters": { "a": 2, "b": "{{ params.b }}" } })),
        node("fire", "run_workflow", json!({ "workflow_id": "adds", "parameters": { "a": 1, "b": 1 }, "wait": false })),
    ]);
    draw(&server, "parent", nodes, &["start -> sub", "sub -> fire"]).await;
    let run = execute(&server, "parent", json!({ "wait": true, "parameters": { "b": 3 } })).await;
    assert_eq!((&run["status"], &run["steps"][1]["output"]), (&json!("succeeded"), &json!(5)), "{run}");
    let child = ended(&server, run["result"]["run_id"].as_str().unwrap()).await;
    assert_eq!((&child["parent"], &child["workflow_id"], &child["result"]), (&run["run_id"], &json!("adds"), &json!(2)), "{child}");
    let (_, all) = server.get("/api/runs?workflow_id=adds").await;
    assert_eq!(all["count"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_says_what_it_would_do_and_does_nothing() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        node("check", "if_condition", json!({ "condition": "params.big" })),
        append("write", "dry.txt", "{{ params.text }}"),
        node("click", "click_action", json!({ "x": 10, "y": 20 })),
    ]);
    draw(&server, "dry", nodes, &["start -> check", "check.true -> write", "write -> click"]).await;
    let (status, run) =
        server.post("/api/workflows/dry/execute", &json!({ "dry_run": true, "parameters": { "big": true, "text": "hello" } })).await;
    assert_eq!((status, &run["status"], &run["dry_run"]), (200, &json!("succeeded"), &json!(true)), "{run}");
    let all = run["steps"].as_array().unwrap();
    assert!(all.iter().all(|step| step["status"] == "skipped"), "{run}");
    assert_eq!(all[2]["would"]["calls"][0]["file_write"]["content"], "hello\n", "{run}");
    assert_eq!(all[3]["would"]["calls"][0]["mouse_click"]["x"], 10);
    assert!(lines(&server, "dry.txt").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn pinned_outputs_nodes_alone_and_runs_that_end_early() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        settled("fetch", "http_request_action", json!({ "url": "http://127.0.0.1:1/" }), json!({ "pinned": { "total": 7 } })),
        node("twice", "transform", json!({ "expression": "input.total * 2" })),
        append("write", "tried.txt", "written"),
    ]);
    draw(&server, "tries", nodes, &["start -> fetch", "fetch -> twice", "twice -> write"]).await;
    let run = execute(&server, "tries", json!({ "wait": true, "until": "twice" })).await;
    assert_eq!((&run["status"], &run["result"]), (&json!("succeeded"), &json!(14)), "{run}");
    assert!(lines(&server, "tried.txt").is_empty(), "the run ended before");
    let run = execute(&server, "tries", json!({ "wait": true, "pinned": false })).await;
    assert_eq!((&run["status"], &run["error"]["node_id"]), (&json!("failed"), &json!("fetch")), "{run}");
    let run = execute(&server, "tries", json!({ "wait": true, "only": "twice", "input": { "total": 4 } })).await;
    assert_eq!((&run["status"], &run["result"], run["steps"].as_array().unwrap().len()), (&json!("succeeded"), &json!(8), 1), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_waits_between_attempts_without_holding_anything_and_counts_across_a_restart() {
    let server = start().await;
    let command = "echo try >> tries.txt; [ $(wc -l < tries.txt) -ge 3 ]";
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        settled(
            "try",
            "shell_command",
            json!({ "command": command, "read": ["tries.txt"], "write": ["tries.txt"], "fail_on_error": true }),
            json!({ "retry": { "times": 3, "wait": 1.2, "backoff": 1 } })
        ),
    ]);
    draw(&server, "again", nodes, &["start -> try"]).await;
    let run_id = id_of(&execute(&server, "again", json!({})).await);
    until(&server, &run_id, |run| run["status"] == "waiting").await;
    assert_eq!(server.app.host.runners().busy, 0);
    let server = server.restarted().await;
    let run = ended(&server, &run_id).await;
    assert_eq!(run["status"], "succeeded", "{run}");
    assert_eq!(steps(&run), ["start succeeded", "try failed", "try failed", "try succeeded"]);
    assert_eq!(run["steps"][3]["attempt"], 3);
    assert_eq!(lines(&server, "tries.txt").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_goes_on_from_its_finished_steps_and_says_nothing_twice() {
    let server = start().await;
    let source = r#"//! Waits between two steps.
//! ---
//! [permissions]
//! write = ["**"]
//! read = ["**"]
//! ---
print("begin");
let first = step("first", || { files::append("script.txt", "first\n"); 41 });
time::sleep(1.5);
let second = step("second", || { files::append("script.txt", "second\n"); first + 1 });
print("end");
second
"#;
    let client = reqwest::Client::new();
    let put = client.put(server.url("/api/scripts/waits.rhai")).json(&json!({ "source": source })).send().await.unwrap();
    assert_eq!(put.status(), 201, "{}", put.text().await.unwrap());
    let (_, started) = server.post("/api/scripts/waits/run", &json!({})).await;
    let run_id = id_of(&started);
    until(&server, &run_id, |run| run["status"] == "waiting").await;
    let server = server.restarted().await;
    let run = ended(&server, &run_id).await;
    assert_eq!((&run["status"], &run["result"]), (&json!("succeeded"), &json!(42)), "{run}");
    let said: Vec<_> = run["logs"].as_array().unwrap().iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(said, ["begin", "end"]);
    assert_eq!(lines(&server, "script.txt"), ["first", "second"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_waits_runs_out_of_its_own_time_also_across_a_restart() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        settled("ask", "approval", json!({ "message": "?" }), json!({ "timeout": 2.5, "on_error": "continue" })),
        node("then", "transform", json!({ "expression": "nodes.ask.error.code" })),
    ]);
    let edges = json!([
        { "id": "a", "source": "start", "target": "ask" },
        { "id": "b", "source": "ask", "source_handle": "approved", "target": "then" }
    ]);
    let (_, stored) = server.post("/api/workflows/", &json!({ "id": "late", "name": "late", "nodes": nodes, "edges": edges })).await;
    assert_eq!(stored["problems"], json!([]), "{stored}");
    let run_id = id_of(&execute(&server, "late", json!({})).await);
    until(&server, &run_id, |run| run["status"] == "waiting").await;
    let server = server.restarted().await;
    let run = ended(&server, &run_id).await;
    assert_eq!((&run["steps"][1]["status"], &run["steps"][1]["error"]["code"]), (&json!("failed"), &json!("TIMEOUT")), "{run}");
}

/// The runners of this process: copies of the only child of tests that is TRAE.
fn runners() -> Vec<i32> {
    forked_by(std::process::id()).into_iter().flat_map(|zygote| forked_by(zygote.unsigned_abs())).collect()
}

fn forked_by(parent: u32) -> Vec<i32> {
    let own = parent.to_string();
    let pids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<i32>().ok());
    let is_runner = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1).map(str::to_owned));
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        parent.as_deref() == Some(own.as_str()) && line.split(|byte| *byte == 0).any(|word| word == b"runner")
    };
    pids.filter(is_runner).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_runner_dies_goes_on_until_that_happens_three_times_in_a_row() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        settled(
            "slow",
            "shell_command",
            json!({ "command": "echo begun >> log.txt; sleep 60", "write": ["log.txt"] }),
            json!({ "on_interrupt": "retry" })
        ),
    ]);
    draw(&server, "dies", nodes, &["start -> slow"]).await;
    let run_id = id_of(&execute(&server, "dies", json!({})).await);
    for times in 1..=3 {
        let patience = Instant::now() + Duration::from_secs(30);
        while lines(&server, "log.txt").len() < times {
            assert!(Instant::now() < patience, "attempt {times} does not begin");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        for pid in runners() {
            rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
        }
    }
    let run = ended(&server, &run_id).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("RUNNER_CRASHED")), "{run}");
    assert_eq!(run["error"]["details"], json!({ "quarantined": true, "crashes": 3 }), "{run}");
    assert_eq!(steps(&run), ["start succeeded", "slow interrupted", "slow interrupted", "slow failed"]);
    let server = server.restarted().await;
    let (_, run) = server.get(&format!("/api/runs/{run_id}")).await;
    assert_eq!(run["status"], "failed", "and stays that way");
    let (status, again) = server.post(&format!("/api/runs/{run_id}/retry"), &json!({ "all": true })).await;
    assert_eq!(status, 202, "{again}");
    assert_eq!(server.post(&format!("/api/runs/{}/cancel", id_of(&again)), &json!({})).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_starts_the_workflow_that_is_to_hear_of_it() {
    let server = start().await;
    let nodes = json!([
        node("start", "manual_trigger", json!({})),
        append("tell", "told.txt", "{{ params.workflow_id }}: {{ params.error.message }}"),
        node("fail", "fail", json!({ "message": "the handler fails, too" })),
    ]);
    draw(&server, "handler", nodes, &["start -> tell", "tell -> fail"]).await;
    let nodes = json!([node("start", "manual_trigger", json!({})), node("fail", "fail", json!({ "message": "no paper" }))]);
    let edges = json!([{ "id": "a", "source": "start", "target": "fail" }]);
    for (id, handler) in [("prints", "handler"), ("handler_of_nobody", "nowhere")] {
        let drawn = json!({ "id": id, "name": id, "nodes": nodes, "edges": edges, "settings": { "error_workflow": handler } });
        assert_eq!(server.post("/api/workflows/", &drawn).await.0, 201);
    }
    let run = execute(&server, "prints", json!({ "wait": true })).await;
    assert_eq!(run["status"], "failed");
    let run_id = id_of(&run);
    let (_, runs) = server.get("/api/runs?workflow_id=handler").await;
    assert_eq!((&runs["count"], &runs["runs"][0]["parent"]), (&json!(1), &json!(run_id)), "{runs}");
    assert_eq!(runs["runs"][0]["trigger"], format!("error:{run_id}"));
    let handled = ended(&server, &id_of(&runs["runs"][0])).await;
    assert_eq!(handled["status"], "failed");
    assert_eq!(lines(&server, "told.txt"), ["prints: no paper"]);
    assert_eq!(server.get("/api/runs?workflow_id=handler").await.1["count"], 1, "its own failure starts nothing");
    let run = execute(&server, "handler_of_nobody", json!({ "wait": true })).await;
    assert_eq!(run["error"]["message"], "no paper", "a handler that is not there changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_dies_in_a_step_that_must_not_be_done_twice_leaves_an_interrupted_run() {
    let server = start().await;
    let nodes = json!([node("start", "manual_trigger", json!({})), append("tell", "told.txt", "{{ params.error.details.step_id }}")]);
    draw(&server, "handler", nodes, &["start -> tell"]).await;
    let drawn = json!({
        "id": "pays", "name": "pays",
        "nodes": [
            node("start", "manual_trigger", json!({})),
            node("pay", "shell_command", json!({ "command": "echo paid >> log.txt; sleep 60", "write": ["log.txt"] })),
        ],
        "edges": [{ "id": "a", "source": "start", "target": "pay" }],
        "settings": { "error_workflow": "handler" },
    });
    assert_eq!(server.post("/api/workflows/", &drawn).await.0, 201);
    let run_id = id_of(&execute(&server, "pays", json!({})).await);
    let patience = Instant::now() + Duration::from_secs(30);
    while lines(&server, "log.txt").is_empty() {
        assert!(Instant::now() < patience, "it does not begin");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for pid in runners() {
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), rustix::process::Signal::KILL).unwrap();
    }
    let run = ended(&server, &run_id).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("interrupted"), &json!("RUNNER_CRASHED")), "{run}");
    assert_eq!((&run["error"]["node_id"], &run["error"]["details"]["step_id"]), (&json!("pay"), &json!("pay")), "{run}");
    assert!(run["error"]["message"].as_str().unwrap().contains("may have done its work or not"), "{run}");
    assert_eq!(steps(&run), ["start succeeded", "pay interrupted"]);
    let (_, runs) = server.get("/api/runs?workflow_id=handler").await;
    assert_eq!((&runs["count"], &runs["runs"][0]["parent"]), (&json!(1), &json!(run_id)), "{runs}");
    ended(&server, &id_of(&runs["runs"][0])).await;
    assert_eq!(lines(&server, "told.txt"), ["pay"]);
}

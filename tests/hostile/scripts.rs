//! `scripts.json`: scripts that explode, reach out or lie; how each ends, and that the next one is none the worse.

use std::fs;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::server::Server;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    /// `{LETTERS:n}`-like repetitions: text, and how often it stands in place of `{REPEATED}`.
    source: String,
    repeated: Option<(String, usize)>,
    /// How its run ends: one of these codes; or with this result.
    codes: Option<Vec<String>>,
    result: Option<Value>,
    /// What its error says, among other things.
    says: Option<String>,
    /// What the last line of its log says, among other things.
    log_ends: Option<String>,
    /// Permissions of its header, as lines.
    #[serde(default)]
    permissions: Vec<String>,
}

fn header(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let lines: String = lines.iter().map(|line| format!("//! {line}\n")).collect();
    format!("//! ---\n//! [permissions]\n{lines}//! ---\n")
}

/// The last line of a run's log.
async fn last_line(server: &Server, run: &Value) -> String {
    let (_, record) = server.get(&format!("/api/runs/{}", run["run_id"].as_str().unwrap_or_default())).await;
    let last = record["logs"].as_array().and_then(|lines| lines.last()).map(|line| line["message"].as_str().unwrap_or_default());
    last.unwrap_or_default().to_owned()
}

#[tokio::test]
async fn scripts_that_explode_or_reach_out_fail_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let more = folder.path().join("more");
    fs::create_dir_all(&more).unwrap();
    let mut server = Server::start_in(folder, &[("SCRIPT_DIRS", more.to_str().unwrap())]).measured();
    let tasks = fs::read_dir(format!("/proc/{}/task", server.pid())).unwrap().flatten();
    let thread = tasks.map(|task| task.file_name().into_string().unwrap()).find(|thread| *thread != server.pid().to_string()).unwrap();
    fs::create_dir_all(server.data().join("files")).unwrap();
    std::os::unix::fs::symlink("/etc", server.data().join("files/link")).unwrap();
    let rows: Vec<Row> = serde_json::from_str(include_str!("scripts.json")).unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        let mut source = row.source.replace("{canary}", &server.canary().display().to_string());
        for (name, value) in [
            ("{data}", server.data().display().to_string()),
            ("{more}", more.display().to_string()),
            ("{server}", server.pid().to_string()),
            ("{thread}", thread.clone()),
        ] {
            source = source.replace(name, &value);
        }
        if let Some((text, times)) = &row.repeated {
            let all: String = (0..*times).map(|at| text.replace("{at}", &at.to_string())).collect();
            source = source.replace("{REPEATED}", &all);
        }
        let run = server.run(&(header(&row.permissions) + &source)).await;
        let code = run["error"]["code"].as_str().unwrap_or_default();
        let as_wanted = match (&row.codes, &row.result) {
            (Some(codes), _) => codes.iter().any(|wanted| wanted == code),
            (None, result) => run["status"] == "succeeded" && result.as_ref().is_none_or(|result| run["result"] == *result),
        };
        let message = run["error"]["message"].as_str().unwrap_or_default();
        let says = row.says.as_ref().is_none_or(|part| message.contains(part));
        let ends = match &row.log_ends {
            Some(part) => last_line(&server, &run).await.contains(part),
            None => true,
        };
        if !as_wanted || !says || !ends || message.len() > 4 << 10 || message.contains(['\u{1b}', '\0']) {
            wrong.push(format!(
                "{}: {} {code} {} {}",
                row.name,
                run["status"],
                run["result"],
                message.chars().take(200).collect::<String>()
            ));
        }
        // What explodes does so in a process of its own.
        let explodes = row.codes.is_some_and(|codes| codes == ["LIMIT_MEMORY"]);
        server.survived_with(&row.name, if explodes { 20 << 20 } else { 64 << 20 }).await;
        assert_eq!(server.run("40 + 2").await["result"], 42, "after {}", row.name);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_one_run_leaves_the_next_one_does_not_find() {
    let mut server = Server::start(&[]).measured();
    assert_eq!(server.run("let leak = 42; leak").await["result"], 42);
    let run = server.run("leak").await;
    assert!(run["error"]["message"].as_str().is_some_and(|message| message.contains("leak")), "{run}");
    // A cycle, many times over.
    let cycle = "let a = #{}; let f = |x| a; a.f = f; for i in 0..100 { let b = [a]; b.push(b); } 1";
    for _ in 0..100 {
        for run in join_all((0..5).map(|_| server.run(cycle))).await {
            assert_eq!(run["status"], "succeeded", "{run}");
        }
    }
    server.survived_with("five hundred cycles", 20 << 20).await;
}

#[tokio::test]
async fn a_run_ends_within_a_moment_of_being_cancelled_whatever_it_does() {
    let mut server = Server::start(&[]).measured();
    let shell = "//! ---\n//! [permissions]\n//! shell = [\"bash\"]\n//! ---\n";
    for source in [
        "time::sleep(9000000)",
        "sleep(9223372036854775807)",
        "Fn(\"sleep\").call(9000000)",
        "loop { time::sleep(0.01); }",
        &format!("{shell}shell::run(\"sleep 99 & sleep 99\")"),
    ] {
        assert!(server.put("/api/scripts/long.rhai", &json!({ "source": source })).await.0 < 300, "{source}");
        let (_, begun) = server.post("/api/scripts/long.rhai/run", &json!({})).await;
        let id = begun["run_id"].as_str().unwrap_or_else(|| panic!("{begun}")).to_owned();
        assert_eq!(server.post(&format!("/api/runs/{id}/cancel"), &json!({})).await.0, 200, "{source}");
        let mut run = Value::Null;
        for _ in 0..250 {
            run = server.get(&format!("/api/runs/{id}")).await.1;
            if run["finished_at"].is_string() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert_eq!(run["status"], "cancelled", "{source}: {run}");
        server.survived(source).await;
    }
}

#[tokio::test]
async fn a_broken_text_leaves_its_last_good_version_and_others_reload_meanwhile() {
    let mut server = Server::start(&[]).measured();
    let put = async |path: &str, source: String| server.put(path, &json!({ "source": source })).await.0;
    assert_eq!(put("/api/scripts/good.rhai", "1".to_owned()).await, 201);
    assert_eq!(put("/api/scripts/good.rhai", "let x = ;".to_owned()).await, 422);
    let slow: String = (0..20_000).map(|at| format!("const B{at} = {at};\n")).collect();
    assert!(matches!(put("/api/scripts/slow.rhai", slow).await, 413 | 422));
    let (_, run) = server.post("/api/scripts/good.rhai/run", &json!({ "wait": true })).await;
    assert_eq!(run["result"], 1, "{run}");
    // On the disk, past the API.
    let file = server.data().join("scripts/good.rhai");
    fs::write(&file, "let x = ;").unwrap();
    let mut shown = Value::Null;
    for _ in 0..500 {
        shown = server.get("/api/scripts/good.rhai").await.1;
        if shown["error"]["line"] == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(shown["error"]["line"], 1, "{shown}");
    assert_eq!(server.post("/api/scripts/good.rhai/run", &json!({ "wait": true })).await.1["result"], 1);
    server.survived("broken texts").await;
}

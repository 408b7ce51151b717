//! `trae run`.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use super::command::{Done, Folder, chain};

fn greeting() -> String {
    chain(&[
        ("start", "manual_trigger", json!({})),
        ("set", "set_variable", json!({ "name": "greeting", "value": "Hello {{ params.name }}" })),
        ("wait", "delay", json!({ "seconds": 0.4 })),
        ("say", "log_message", json!({ "message": "{{ nodes.set.greeting }}" })),
    ])
}

#[test]
fn a_workflow_says_each_step_with_its_time_and_gives_its_last_output() {
    let folder = Folder::new();
    let done = folder.write("flow.json", &greeting()).trae(&["run", "flow.json", "--param", "name=Zoë"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(serde_json::from_str::<Value>(&done.out).unwrap()["greeting"], "Hello Zoë");
    let lines: Vec<&str> = done.err.lines().collect();
    assert!(lines[0].starts_with("step start (manual_trigger): succeeded in 0.0"), "{done:?}");
    assert!(lines[2].starts_with("step wait (delay): succeeded in 0.4"), "{done:?}");
    assert_eq!(lines[3], "info: Hello Zoë");
    assert!(lines.last().unwrap().starts_with("run succeeded: 4 steps, 0."), "{done:?}");
}

#[test]
fn on_a_terminal_a_bar_shows_the_step_that_runs_and_leaves_no_trace() {
    let folder = Folder::new();
    folder.write("flow.json", &greeting());
    let command = format!("stty cols 100; {} run flow.json --param name=Zoë", env!("CARGO_BIN_EXE_trae"));
    let done: Done = folder.command("script").args(["-qec", &command, "typescript"]).env("TERM", "xterm").output().unwrap().into();
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.out.contains("2/4 steps") && done.out.contains("  wait"), "{done:?}");
    assert!(!done.out.contains("step wait"), "the moving line says it: {done:?}");
    assert!(done.out.contains("info: Hello Zoë") && done.out.contains("run succeeded: 4 steps"), "{done:?}");
}

#[test]
fn as_json_there_is_the_record_and_nothing_else() {
    let folder = Folder::new();
    let done = folder.write("flow.json", &greeting()).trae(&["run", "flow.json", "--json", "--param", "name=Zoë"]);
    let run: Value = serde_json::from_str(&done.out).unwrap();
    assert_eq!((done.code, done.err.as_str()), (0, ""));
    assert_eq!((&run["status"], &run["steps"][1]["output"]["greeting"]), (&json!("succeeded"), &json!("Hello Zoë")));

    let failed = folder.write("fail.rhai", "log::info(\"so far\");\nflow::fail(\"no\");").trae(&["run", "--json", "fail.rhai"]);
    let run: Value = serde_json::from_str(&failed.out).unwrap();
    assert_eq!((failed.code, &run["status"], &run["error"]["line"]), (1, &json!("failed"), &json!(2)));
}

#[test]
fn a_table_has_a_row_for_each_step() {
    let folder = Folder::new();
    let done = folder.write("flow.json", &greeting()).trae(&["run", "--table", "flow.json"]);
    for part in ["step", "output", "manual_trigger", "{\"greeting\":\"Hello null\"}", "0.4"] {
        assert!(done.out.contains(part), "{part} is missing from {done:?}");
    }
}

#[test]
fn a_scripts_value_is_printed_as_what_it_is() {
    let folder = Folder::new();
    for (source, shown) in
        [("\"text\"", "text\n"), ("6 * 7", "42\n"), ("let a = 1;", ""), ("#{ a: [1] }", "{\n  \"a\": [\n    1\n  ]\n}\n")]
    {
        let done = folder.write("value.rhai", source).trae(&["run", "value.rhai"]);
        assert_eq!((done.code, done.out.as_str()), (0, shown), "{source}");
    }
    let done =
        folder.write("p.rhai", "params.n + params.list[1]").trae(&["run", "p.rhai", "--param", "n=4000", "--param", "list=[1, 711]"]);
    assert_eq!(done.out, "4711\n");
}

#[test]
fn an_error_shows_the_line_with_a_caret_and_the_exit_code_says_whose_fault_it_is() {
    let folder = Folder::new();
    let broken_graph = json!({ "name": "x", "nodes": [{ "id": "a", "type": "nope", "data": {} }], "edges": [] }).to_string();
    let cases: [(&str, &str, i32, &str); 8] = [
        ("syntax.rhai", "let x = ;", 65, "error: syntax.rhai:1:9: Unexpected ';'\n  1 | let x = ;\n    |         ^\n"),
        ("run.rhai", "let a = 1;\nlet b = a.nothing();", 1, "error: run.rhai:2:11: Function not found"),
        (
            "header.rhai",
            "//! ---\n//! nme = 1\n//! ---\n1",
            65,
            "error: header.rhai:2:1: the header is not one of a script: unknown field `nme`",
        ),
        ("click.rhai", "mouse::click(1, 1)", 1, "error: click.rhai:1:1: `mouse::` needs a permission: add `input = true`"),
        ("half.json", "{\n  \"a\": }", 65, "error: half.json:2:8: this is not JSON: expected value\n  2 |   \"a\": }\n    |        ^\n"),
        ("graph.json", &broken_graph, 65, "error: graph.json: node \"a\" /nodes/0/type: there is no node type `nope`"),
        ("latin.rhai", "\"\\xff", 65, "error: latin.rhai:1:"),
        ("late.rhai", "log::info(\"x\"); throw \"y\";", 1, "error: late.rhai:1:17: y"),
    ];
    for (name, text, code, said) in cases {
        let done = folder.write(name, text).trae(&["run", name]);
        assert_eq!((done.code, done.out.as_str()), (code, ""), "{name}: {done:?}");
        assert!(done.err.contains(said), "{name}: {done:?}");
    }
    for (arguments, code, said) in [
        (&["run", "none.rhai"][..], 2, "error: none.rhai cannot be read"),
        (&["run"], 2, "Usage: trae run"),
        (&["run", "syntax.rhai", "--param", "x"], 2, "write it as name=value"),
        (&["run", "syntax.rhai", "--allow", "everything"], 2, "write screen, input"),
    ] {
        let done = folder.trae(arguments);
        assert_eq!(done.code, code, "{done:?}");
        assert!(done.err.contains(said), "{done:?}");
    }
}

#[test]
fn what_is_allowed_on_the_command_line_is_granted_for_this_run_only() {
    let folder = Folder::new();
    folder.write("list.rhai", "shell::run(\"echo $((6 * 7))\").output");
    assert_eq!(folder.trae(&["run", "list.rhai"]).code, 1);
    let done = folder.trae(&["run", "list.rhai", "--allow", "shell=bash"]);
    assert_eq!((done.code, done.out.trim()), (0, "42"), "{done:?}");
    assert_eq!(folder.trae(&["run", "list.rhai"]).code, 1);
}

#[test]
fn a_run_that_learns_prints_the_manifest_that_lets_it_run_without() {
    let folder = Folder::new();
    let body = "files::write(\"out/a.txt\", \"x\"); shell::run([\"true\"]); shell::run(\"exit 3\").exit_code";
    let done = folder.write("asks.rhai", body).trae(&["run", "--learn", "asks.rhai"]);
    assert_eq!(done.code, 0, "{done:?}");
    let (result, manifest) = done.out.split_once('\n').unwrap();
    assert_eq!(result, "3");
    for line in ["//! shell = [\"true\",\"bash\"]", "//! write = [\"out/a.txt\"]"] {
        assert!(manifest.lines().any(|other| other == line), "{line} is missing from {manifest}");
    }
    let again = folder.write("asks.rhai", &format!("{manifest}\n{body}")).trae(&["run", "asks.rhai"]);
    assert_eq!((again.code, again.out.as_str()), (0, "3\n"), "{again:?}");
    let done = folder.write("asks.rhai", "1").trae(&["run", "--learn", "asks.rhai"]);
    assert!(done.code == 0 && done.out.contains("asked for nothing"), "{done:?}");
}

#[test]
fn ctrl_c_cancels_the_run_and_leaves_nothing_behind() {
    let folder = Folder::new();
    folder.write("long.rhai", "log::info(\"begun\"); shell::run(\"sleep 600.25\"); time::sleep(600)");
    let mut command = folder.command(env!("CARGO_BIN_EXE_trae"));
    command.args(["run", "long.rhai", "--allow", "shell=bash"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut running = command.spawn().unwrap();
    let mut lines = BufReader::new(running.stderr.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "info: begun");
    let interrupt = std::process::Command::new("kill").args(["-INT", &running.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(running.wait().unwrap().code(), Some(1));
    let said: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(said.iter().any(|line| line.starts_with("run cancelled")), "{said:?}");
    assert_eq!(said.last().unwrap(), "error: the run was cancelled");
    let left = std::process::Command::new("pgrep").args(["-f", "sleep 600.25"]).output().unwrap();
    assert!(left.stdout.is_empty(), "the command goes on");
}

/// What `trae run --step` says when these lines are typed.
fn stepped(folder: &Folder, typed: &str) -> Done {
    use std::io::Write;
    let mut child = folder
        .command(env!("CARGO_BIN_EXE_trae"))
        .args(["run", "--step", "flow.json", "--param", "name=Zoë"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(typed.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

#[test]
fn step_by_step_each_is_looked_at_before_it_begins() {
    let folder = Folder::new();
    folder.write("flow.json", &greeting());
    let done = stepped(&folder, "\n\ni\ni set\ni nowhere\nc\n");
    assert_eq!(done.code, 0, "{done:?}");
    for said in ["next: start (manual_trigger)", "next: wait (delay)", "input: {", "set: {", "Hello Zoë", "no step of that id is over"] {
        assert!(done.err.contains(said), "{said}: {done:?}");
    }
    let done = stepped(&folder, "\n\nq\n");
    assert_eq!(done.code, 1, "{done:?}");
    assert!(done.err.contains("the run was cancelled") && !done.err.contains("info: Hello"), "{done:?}");
}

#[test]
fn a_dry_run_prints_what_would_be_done() {
    let folder = Folder::new();
    let nodes = [("start", "manual_trigger", json!({})), ("write", "send_to_filesystem", json!({ "path": "a.txt", "content": "hello" }))];
    let done = folder.write("flow.json", &chain(&nodes)).trae(&["run", "--dry-run", "flow.json"]);
    let run: Value = serde_json::from_str(&done.out).unwrap_or_else(|error| panic!("{error}: {done:?}"));
    assert_eq!((done.code, &run["steps"][1]["would"]["calls"][0]["file_write"]["path"]), (0, &json!("a.txt")), "{run}");
    assert!(!folder.path().join("data/files/a.txt").exists());
}

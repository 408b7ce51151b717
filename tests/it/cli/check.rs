//! `trae check` and `trae compile`: what is wrong, all of it, and nothing runs.

use serde_json::json;

use super::command::{Folder, chain};

#[test]
fn all_files_and_all_their_problems_are_said_at_once() {
    let folder = Folder::new();
    let graph = json!({
        "name": "x",
        "nodes": [
            { "id": "a", "type": "nope", "data": {} },
            { "id": "b", "type": "delay", "data": { "config": { "seconds": "soon" } } },
            { "id": "c", "type": "if_condition", "data": { "config": { "condition": "1 +" } } }
        ],
        "edges": [{ "id": "e", "source": "b", "target": "nowhere" }]
    });
    folder.write("broken.json", &graph.to_string()).write("syntax.rhai", "let x = ;").write("fine.rhai", "shell::run(\"true\")");
    folder.write("good.rhai", "//! ---\n//! [permissions]\n//! shell = [\"bash\"]\n//! ---\nshell::run(\"touch ran\")");
    let done = folder.trae(&["check", "broken.json", "syntax.rhai", "fine.rhai", "good.rhai"]);
    assert_eq!(done.code, 65, "{done:?}");
    for said in [
        "broken.json: node \"a\" /nodes/0/type",
        "broken.json: node \"b\" /nodes/1/data/config/seconds",
        "broken.json: node \"c\" /nodes/2/data/config/condition",
        "broken.json: /edges/0/target",
        "syntax.rhai:1:9: Unexpected ';'\n  1 | let x = ;\n    |         ^",
        "fine.rhai:1:1: `shell::` needs a permission",
    ] {
        assert!(done.err.contains(said), "{said:?} is missing: {done:?}");
    }
    assert_eq!(done.out, "good.rhai: ok; it needs {\"shell\":[\"bash\"]}\n");
    assert_eq!(folder.trae(&["check", "good.rhai"]).code, 0);
    assert!(!folder.path().join("data/files/ran").exists(), "a check runs nothing");
}

#[test]
fn a_compiled_workflow_is_a_script_that_runs_as_the_workflow_does() {
    let folder = Folder::new();
    folder.write(
        "flow.json",
        &chain(&[("start", "manual_trigger", json!({})), ("set", "set_variable", json!({ "name": "n", "value": "{{ params.n * 2 }}" }))]),
    );
    let compiled = folder.trae(&["compile", "flow.json"]);
    assert_eq!((compiled.code, compiled.err.as_str()), (0, ""));
    assert!(compiled.out.contains("step(\"set\", \"set_variable\", \"start\""), "{compiled:?}");
    folder.write("flow.rhai", &compiled.out);
    for file in ["flow.json", "flow.rhai"] {
        let done = folder.trae(&["run", file, "--param", "n=21"]);
        let result: serde_json::Value = serde_json::from_str(&done.out).unwrap();
        assert_eq!((done.code, result), (0, json!({ "n": 42 })), "{file}: {}", done.err);
    }
}

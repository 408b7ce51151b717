//! `trae new`: what it makes loads and runs as it is, and nothing is ever overwritten.

use super::command::Folder;

#[test]
fn a_new_script_and_a_new_node_type_load_without_an_error() {
    let folder = Folder::new();
    let made = folder.trae(&["new", "script", "reports/daily"]);
    let script = folder.path().join("data/scripts/reports/daily.rhai");
    assert_eq!((made.code, made.out.trim_end()), (0, script.to_str().unwrap()), "{made:?}");
    let made = folder.trae(&["new", "node", "read_invoice"]);
    let node = folder.path().join("data/scripts/nodes/read_invoice.rhai");
    assert_eq!((made.code, made.out.trim_end()), (0, node.to_str().unwrap()), "{made:?}");
    // Beside them is what every data folder begins with.
    assert!(folder.path().join("data/scripts/hello.rhai").exists());

    let checked = folder.trae(&["check", script.to_str().unwrap()]);
    assert_eq!((checked.code, checked.err.as_str()), (0, ""), "{checked:?}");
    let run = folder.trae(&["run", script.to_str().unwrap(), "--param", "name=Ada"]);
    assert_eq!((run.code, run.out.trim_end()), (0, "Hello Ada"), "{run:?}");
    // The node is there, under its name, and does what its comments say.
    let drawn = [("start", "manual_trigger", serde_json::json!({})), ("mine", "read_invoice", serde_json::json!({ "text": "Hi " }))];
    folder.write("flow.json", &super::command::chain(&drawn));
    let run = folder.trae(&["run", "flow.json"]);
    let result: serde_json::Value = serde_json::from_str(&run.out).unwrap_or_else(|_| panic!("{run:?}"));
    assert_eq!((run.code, &result["text"]), (0, &serde_json::json!("Hi {}")), "{run:?}");
    assert!(std::fs::read_to_string(&node).unwrap().contains("//! name = \"Read invoice\""));
}

#[test]
fn what_is_there_stays_and_what_cannot_be_written_is_said() {
    let folder = Folder::new();
    folder.write("mine.rhai", "42");
    let refused = folder.trae(&["new", "script", "mine", "--path", "mine.rhai"]);
    assert_eq!((refused.code, refused.out.as_str()), (73, ""), "{refused:?}");
    assert!(refused.err.contains("mine.rhai"), "{refused:?}");
    assert_eq!(std::fs::read_to_string(folder.path().join("mine.rhai")).unwrap(), "42");
    assert_eq!(folder.trae(&["new", "node", "hello", "--path", "mine.rhai/x.rhai"]).code, 73, "its folder is a file");
    assert_eq!(folder.trae(&["new", "script", "other", "--path", "deep/other.rhai"]).code, 0);
    assert!(folder.path().join("deep/other.rhai").exists() && !folder.path().join("data").exists());
    for name in ["../up", "a//b", ".hidden", ""] {
        assert_eq!(folder.trae(&["new", "script", name]).code, 2, "{name:?}");
    }
    assert_eq!(folder.trae(&["new", "node", "a/b"]).code, 2);
}

//! `tests/workflow/<name>.json` compiles to `<name>.rhai`; `tests/workflow/bad/<name>.json` has the problems of `<name>.problems.json`.
//!
//! A new case is a new file. `UPDATE_GOLDEN=1` writes what came out.

use std::path::{Path, PathBuf};

use trae::script::expression::RhaiExpressions;
use trae::script::header::ScriptHeader;
use trae::workflow::{Graph, compile};

use super::support::{parser, root, shipped};

fn cases(folder: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_str().unwrap().ends_with(".json") && !path.to_str().unwrap().ends_with(".problems.json"))
        .collect();
    cases.sort();
    assert!(!cases.is_empty());
    cases
}

fn read(path: &Path) -> Graph {
    let text = std::fs::read_to_string(path).unwrap();
    let graph: Graph = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    graph
}

/// Compares with what stands in the file, or writes it there.
fn expect(path: &Path, actual: &str) -> Option<String> {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, actual).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    (expected != actual).then(|| format!("{}\n--- expected\n{expected}\n--- actual\n{actual}", path.display()))
}

#[test]
fn graphs_compile_to_the_scripts_beside_them() {
    let mut differences = Vec::new();
    for case in cases("tests/workflow") {
        let graph = read(&case);
        let compiled = compile(&graph, shipped(), &RhaiExpressions);
        assert!(compiled.is_valid(), "{}: {:#?}", case.display(), compiled.problems);
        parser().compile(&compiled.script).unwrap_or_else(|error| panic!("{}: {error}\n{}", case.display(), compiled.script));
        let header = ScriptHeader::parse(&compiled.script).unwrap();
        assert_eq!(header.name.as_deref(), Some(graph.name.as_str()));
        assert_eq!(header.permissions, compiled.permissions, "{}", case.display());
        assert_eq!(compile(&graph, shipped(), &RhaiExpressions).script, compiled.script, "the same each time");
        differences.extend(expect(&case.with_extension("rhai"), &compiled.script));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let mut differences = Vec::new();
    for case in cases("tests/workflow/bad") {
        let compiled = compile(&read(&case), shipped(), &RhaiExpressions);
        assert!(!compiled.problems.is_empty(), "{}", case.display());
        assert_eq!(compiled.script.is_empty(), !compiled.is_valid(), "{}", case.display());
        let problems = serde_json::to_string_pretty(&compiled.problems).unwrap() + "\n";
        differences.extend(expect(&case.with_extension("problems.json"), &problems));
    }
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

#[test]
fn a_graph_survives_the_round_trip() {
    let drawn = serde_json::json!({
        "id": "w", "name": "W", "description": null, "metadata": { "a": [1] }, "viewport": { "x": 1.5, "y": 0, "zoom": 1 },
        "nodes": [{ "id": "n", "type": "merge", "position": { "x": 1, "y": 2.5 }, "data": { "label": "L", "own": { "deep": [null] } },
                    "selected": true, "measured": { "width": 10, "height": 20 } }],
        "edges": [{ "id": "e", "source": "n", "target": "n", "sourceHandle": "out", "targetHandle": null, "animated": true }],
    });
    let graph: Graph = serde_json::from_value(drawn.clone()).unwrap();
    let mut expected = drawn;
    let edge = expected["edges"][0].as_object_mut().unwrap();
    edge.remove("sourceHandle");
    edge.remove("targetHandle");
    edge.insert("source_handle".into(), "out".into());
    edge.insert("target_handle".into(), serde_json::Value::Null);
    assert_eq!(serde_json::to_value(&graph).unwrap(), expected);
}

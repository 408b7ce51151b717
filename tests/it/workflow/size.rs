//! Large graphs: they compile, and the script grows with the graph and no faster.

use serde_json::{Value, json};

use super::support::compiled;

const MANY: usize = 10_000;

fn node(index: usize) -> Value {
    json!({ "id": format!("n{index}"), "type": "set_variable", "data": { "config": { "name": "v", "value": index } } })
}

fn edge(from: usize, to: usize) -> Value {
    json!({ "id": format!("{from}-{to}"), "source": format!("n{from}"), "target": format!("n{to}") })
}

fn script(edges: Vec<Value>, nodes: Vec<Value>) -> String {
    let result = compiled(json!({ "nodes": nodes, "edges": edges }));
    assert!(result.is_valid(), "{:?}", result.problems.first());
    result.script
}

#[test]
fn chain_fan_out_and_fan_in_stay_small() {
    let nodes = || (0..MANY).map(node).collect();
    let chain = script((1..MANY).map(|to| edge(to - 1, to)).collect(), nodes());
    let out = script((1..MANY).map(|to| edge(0, to)).collect(), nodes());
    let into = script((0..MANY - 1).map(|from| edge(from, MANY - 1)).collect(), nodes());
    for (name, text) in [("chain", chain), ("fan-out", out), ("fan-in", into)] {
        assert_eq!(text.matches("step(").count(), MANY, "{name}");
        assert!(text.len() < MANY * 120, "{name} has {} bytes", text.len());
    }
}

#[test]
fn branches_that_meet_again_do_not_multiply() {
    // n(0) branches, both ways lead to n(1), which branches, …
    let branch = |index: usize| json!({ "id": format!("n{index}"), "type": "if_condition", "data": { "condition": "input.x" } });
    let edges = (1..3000).flat_map(|to| {
        ["true", "false"].map(|handle| {
            json!({ "id": format!("{to}{handle}"), "source": format!("n{}", to - 1), "target": format!("n{to}"), "source_handle": handle })
        })
    });
    let text = script(edges.collect(), (0..3000).map(branch).collect());
    assert!(!text.contains("if flow::"), "what both ways lead to needs no guard");
}

#[test]
fn a_ladder_of_guards_stays_linear() {
    // Each of many branches sends its `true` to one of many joins, so that guards would grow without bound.
    let mut nodes: Vec<Value> =
        (0..2000).map(|index| json!({ "id": format!("n{index}"), "type": "if_condition", "data": { "condition": "input.x" } })).collect();
    nodes.extend((2000..4000).map(node));
    let mut edges = Vec::new();
    for index in 0..2000 {
        edges.push(json!({ "id": format!("a{index}"), "source": format!("n{index}"), "target": format!("n{}", 2000 + index), "source_handle": "true" }));
        if index > 0 {
            edges.push(edge(1999 + index, 2000 + index));
        }
    }
    let text = script(edges, nodes);
    assert!(text.len() < 4000 * 300, "{} bytes", text.len());
    assert!(text.contains("flow::ran("));
}

#[test]
fn more_nodes_than_possible_are_one_problem() {
    let result = compiled(json!({ "nodes": (0..=MANY).map(node).collect::<Vec<_>>() }));
    assert_eq!(result.problems.len(), 1);
    assert_eq!(result.problems[0].path, "/nodes");
}

#[test]
fn many_loops_in_a_row() {
    let mut nodes = vec![];
    let mut edges = vec![];
    for index in 0..2000 {
        nodes.push(json!({ "id": format!("l{index}"), "type": "for_each", "data": { "items": [1, 2] } }));
        nodes.push(node(index));
        edges.push(
            json!({ "id": format!("i{index}"), "source": format!("l{index}"), "target": format!("n{index}"), "source_handle": "item" }),
        );
        edges.push(json!({ "id": format!("b{index}"), "source": format!("n{index}"), "target": format!("l{index}") }));
        if index > 0 {
            edges.push(json!({ "id": format!("d{index}"), "source": format!("l{}", index - 1), "target": format!("l{index}"), "source_handle": "done" }));
        }
    }
    let text = script(edges, nodes);
    assert_eq!(text.matches("flow::collect(").count(), 2000);
}

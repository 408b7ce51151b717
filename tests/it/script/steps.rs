//! Steps, branches and loops: what a script writes down is what goes on record.

use super::{Ran, run};
use serde_json::json;

#[tokio::test]
async fn a_script_computes_with_its_parameters() {
    assert_eq!(run("`Hello ${params.name}, ${6 * 7}`").await.value(), json!("Hello Ada, 42"));
}

#[tokio::test]
async fn a_step_of_its_own_is_put_on_record() {
    let ran = run("let sum = step(\"add\", || 40 + 2); sum").await;
    assert_eq!((ran.value(), ran.steps()), (json!(42), vec!["add succeeded".to_owned()]));
}

#[tokio::test]
async fn a_branch_takes_one_output_and_a_merge_gets_what_was_taken() {
    let ran: Ran = run(r#"
        step("start", "manual_trigger");
        step("check", "if_condition", "start", |input| #{ condition: params.name == "Ada" });
        if flow::took("check", "true") { step("yes", "set_variable", "check", #{ name: "way", value: "yes" }); }
        if flow::took("check", "false") { step("no", "set_variable", "check", #{ name: "way", value: "no" }); }
        step("join", "merge", ["yes", "no"]);
        nodes.join
    "#)
    .await;
    assert_eq!(ran.value(), json!({ "result": true, "way": "yes" }));
    assert_eq!(ran.steps(), ["start succeeded", "check succeeded", "yes succeeded", "join succeeded"]);
}

#[tokio::test]
async fn loops_nest_and_collect_what_each_round_came_to() {
    let ran = run(r#"
        step("start", "manual_trigger");
        for row in flow::each("rows", "start", #{ items: [[1, 2], [3]] }) {
            for cell in flow::each("cells", "rows", |input| #{ items: input }) {
                step("twice", "set_variable", "cells", |input| #{ name: "v", value: 2 * input + run.index });
                flow::collect("cells", ["twice"]);
            }
            flow::collect("rows", ["cells"]);
        }
        nodes.rows
    "#)
    .await;
    assert_eq!(ran.value(), json!([[{ "v": 2 }, { "v": 5 }], [{ "v": 6 }]]));
    assert_eq!(
        ran.steps(),
        [
            "start succeeded",
            "twice[0][0] succeeded",
            "twice[0][1] succeeded",
            "cells[0] succeeded",
            "twice[1][0] succeeded",
            "cells[1] succeeded",
            "rows succeeded"
        ]
    );
}

#[tokio::test]
async fn a_failing_node_says_which_one_and_where() {
    let ran = run("\nstep(\"start\", \"manual_trigger\");\nstep(\"bad\", \"fail\", \"start\", #{ message: \"no such order\" });").await;
    let error = ran.error();
    assert_eq!((error.message.as_str(), error.node_id.as_deref()), ("no such order", Some("bad")));
    assert_eq!((error.file.as_deref(), error.line), (Some("nodes/fail.rhai"), Some(1)));
    assert_eq!(ran.steps(), ["start succeeded", "bad failed"]);
}

#[tokio::test]
async fn settings_retry_continue_and_route() {
    let ran = run(r#"
        step("start", "manual_trigger");
        step("again", "fail", "start", #{ message: "x" }, #{ retry: #{ times: 2, wait: 0.01 }, on_error: "continue" });
        step("routed", "fail", "start", #{ message: "y" }, #{ on_error: "route" });
        if flow::took("routed", "error") { step("caught", "merge", "routed"); }
        step("off", "fail", "start", #{ message: "z" }, #{ disabled: true });
        nodes.caught.error.message
    "#)
    .await;
    assert_eq!(ran.value(), json!("y"));
    let expected = ["start succeeded", "again failed", "again failed", "again failed", "routed failed", "caught succeeded", "off skipped"];
    assert_eq!(ran.steps(), expected);
}

#[tokio::test]
async fn an_uncaught_error_keeps_its_line_and_column() {
    let error = run("let a = 1;\nlet b = a / 0;").await.error();
    assert_eq!((error.file.as_deref(), error.line, error.column), (Some("test.rhai"), Some(2), Some(11)));
}

#[tokio::test]
async fn a_script_that_does_not_compile_says_where() {
    let error = run("let a = ;\n").await.error();
    assert_eq!((error.line, error.column), (Some(1), Some(9)));
}

#[tokio::test]
async fn one_run_leaves_nothing_to_the_next() {
    let host = super::host();
    let program = std::sync::Arc::new(super::program("let n = nodes.left; step(\"left\", || 1); n"));
    for _ in 0..3 {
        let ran = super::run_on(&host, program.clone()).await;
        assert_eq!(ran.value(), json!(null));
    }
}

#[tokio::test]
async fn a_graph_comes_to_its_answer_or_to_what_its_last_node_put_out() {
    let set = r#"step("start", "manual_trigger"); step("set", "set_variable", "start", #{ name: "n", value: 7 });"#;
    assert_eq!(run(set).await.value(), json!({ "name": "Ada", "n": 7 }));
    let ran = run(&format!("{set} flow::respond(#{{ status: 201, body: [1, 2] }}); flow::respond(#{{ body: 3 }});")).await;
    assert_eq!(ran.value(), json!([1, 2]));
    assert_eq!(ran.journal.answers.lock().unwrap().first().unwrap().status, 201);
    assert_eq!(run(&format!("{set} 42")).await.value(), json!(42), "a script's own value is its result");
    assert_eq!(run("step(\"own\", || 1); let a = 2;").await.value(), json!(null));
}

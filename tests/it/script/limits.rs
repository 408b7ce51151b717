//! Scripts that explode: each is a failed run with a reason, and the next run is none the worse.

use serde_json::json;
use trae::error::Kind;

use super::{host, program, run_on};
use trae::host::Outcome;

/// Name, source, and how it ends.
const EXPLODING: &[(&str, &str, &[Kind])] = &[
    ("endless loop", "loop {}", &[Kind::LimitOps]),
    ("endless loop that is caught", "try { loop {} } catch { 42 }", &[Kind::LimitOps]),
    ("a sort that swallows the limit", "let a = [3, 1, 2]; a.sort(|x, y| { loop {} }); a", &[Kind::LimitOps]),
    ("endless recursion", "fn f() { f() } f()", &[Kind::LimitDepth]),
    ("a text that doubles", "let s = \"x\"; loop { s += s; }", &[Kind::LimitMemory]),
    (
        "replace that asks for gigabytes",
        "let s = \"x\"; for i in 0..20 { s += s; } let t = s; s.replace(\"x\", t); s.len()",
        &[Kind::LimitMemory],
    ),
    ("a list that grows", "let a = [0]; loop { a.append(a); }", &[Kind::LimitMemory, Kind::LimitOps]),
    ("a padded text", "let s = \"\"; s.pad(9000000000000000000, \"x\"); s", &[Kind::LimitMemory, Kind::ScriptError, Kind::RunnerCrashed]),
    ("brackets without end", "BRACKETS", &[Kind::ScriptError, Kind::LimitDepth]),
    ("too long a source", "LONG", &[Kind::LimitSource]),
    ("eval", "eval(\"1\")", &[Kind::ScriptError]),
    ("an import from outside", "import \"../secret\" as s; 1", &[Kind::ScriptError]),
    ("a function that needs a permission", "mouse::click(1, 1)", &[Kind::PermissionDenied]),
];

#[tokio::test(flavor = "multi_thread")]
async fn an_exploding_script_is_a_failed_run_with_a_reason() {
    let host = host();
    for (name, source, kinds) in EXPLODING {
        let source = match *source {
            "BRACKETS" => "(".repeat(100_000),
            "LONG" => " ".repeat(300 << 10),
            other => other.to_owned(),
        };
        let mut exploding = program(&source);
        exploding.limits.operations = 2_000_000;
        exploding.limits.memory = 64 << 20;
        let ran = run_on(&host, std::sync::Arc::new(exploding)).await;
        let Outcome::Failed(error) = &ran.outcome else { panic!("{name}: {:?}", ran.outcome) };
        assert!(kinds.contains(&error.code), "{name}: {error:?}");
        assert!(!error.message.is_empty(), "{name}");
        let next = run_on(&host, std::sync::Arc::new(program("1 + 1"))).await;
        assert_eq!(next.value(), json!(2), "after {name}");
    }
}

#[tokio::test]
async fn computing_for_too_long_is_ended() {
    let mut slow = program("let s = \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"; let n = 0; loop { s.index_of(\"y\"); n += 1; }");
    slow.limits.operations = u64::MAX;
    slow.limits.seconds = 0.2;
    let ran = run_on(&host(), std::sync::Arc::new(slow)).await;
    assert_eq!(ran.error().code, Kind::LimitTime);
}

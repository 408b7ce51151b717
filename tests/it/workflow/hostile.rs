//! No text in any field of a graph can change the program it compiles to.

use proptest::prelude::*;
use rhai::{ASTNode, Expr, Stmt};
use serde_json::{Value, json};

use super::support::{compiled, parser};

/// A script without its texts: what is called in which order and nesting; and its texts, as the engine reads them.
fn shape(script: &str) -> (Vec<String>, Vec<String>) {
    let ast = parser().compile(script).unwrap_or_else(|error| panic!("{error}\n{script}"));
    let (mut nodes, mut texts) = (Vec::new(), Vec::new());
    ast.walk(&mut |path: &[ASTNode]| {
        let depth = path.len();
        let Some(node) = path.last() else { return true };
        let name = match node {
            ASTNode::Expr(Expr::StringConstant(text, _)) => {
                texts.push(text.to_string());
                "text".to_owned()
            }
            ASTNode::Expr(Expr::Map(fields, _)) => {
                texts.extend(fields.0.iter().map(|(key, _)| key.name.to_string()));
                format!("map of {}", fields.0.len())
            }
            ASTNode::Expr(Expr::FnCall(call, _)) | ASTNode::Stmt(Stmt::FnCall(call, _)) => {
                format!("call {}::{} of {}", call.namespace, call.name, call.args.len())
            }
            ASTNode::Expr(Expr::IntegerConstant(number, _)) => format!("{number}"),
            ASTNode::Expr(Expr::Variable(variable, ..)) => format!("variable {}", variable.1),
            ASTNode::Expr(other) => format!("{other:?}").split(['(', ' ', '[', '{']).next().unwrap_or_default().to_owned(),
            ASTNode::Stmt(other) => format!("{other:?}").split(['(', ' ', '[', '{']).next().unwrap_or_default().to_owned(),
            _ => "?".to_owned(),
        };
        nodes.push(format!("{depth} {name}"));
        true
    });
    // The statements come first and in their order; after them the closures, in whatever order the engine keeps them.
    let starts: Vec<usize> =
        nodes.iter().enumerate().filter(|(_, node)| node.starts_with("1 ")).map(|(at, _)| at).chain([nodes.len()]).collect();
    let mut parts: Vec<String> = starts.windows(2).map(|pair| nodes[pair[0]..pair[1]].join("; ")).collect();
    parts[ast.statements().len()..].sort();
    texts.sort();
    (parts, texts)
}

/// A graph with `text` in every place where a text can stand, and how often the script must have it.
fn graph(text: &str, handle: &str) -> Value {
    let (other, other_handle) = (format!("{text}x"), format!("{handle}x"));
    json!({
        "name": text, "description": text, "metadata": { text: text },
        "nodes": [
            { "id": text, "type": "manual_trigger", "data": { "label": text, "description": text, "icon": text } },
            { "id": "branch", "type": "switch", "data": { "cases": [{ "when": "input.a", "handle": handle }], "default": other_handle } },
            { "id": other, "type": "log_message", "data": { "label": text, "config": { "message": plain(text) } } },
            { "id": "set", "type": "set_variable", "data": { "config": { "name": "n", "value": { text: [plain(text), { "k": plain(text) }] } } } },
            { "id": "mixed", "type": "log_message", "data": { "message": format!("{}{{{{ input.a }}}}", trailing(&plain(text))) } },
        ],
        "edges": [
            { "id": text, "source": text, "target": "branch", "label": text },
            { "id": "e-1", "source": "branch", "target": other, "source_handle": handle },
            { "id": "e-2", "source": "branch", "target": "set", "sourceHandle": other_handle },
            { "id": "e-3", "source": other, "target": "mixed" },
            { "id": "e-4", "source": "set", "target": "mixed" },
        ],
    })
}

/// As one writes a text that is to stand as it is.
fn plain(text: &str) -> String {
    // Backslashes before braces count in pairs.
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let before = &rest[..at];
        let kept = before.trim_end_matches('\\');
        out.push_str(kept);
        out.push_str(&"\\".repeat(2 * (before.len() - kept.len()) + 1));
        out.push_str("{{");
        rest = &rest[at + 2..];
    }
    out + rest
}

/// The same, for a text directly before an expression.
fn trailing(text: &str) -> String {
    let kept = text.trim_end_matches('\\');
    // A brace at the end and the expression's two are three: the first two would be taken.
    let text = format!("{kept}{}", "\\".repeat(2 * (text.len() - kept.len())));
    if text.ends_with('{') { format!("{text}\u{1}") } else { text }
}

fn check(text: &str) {
    // An output's name is known before anything runs, so braces are refused there.
    let (handle, harmless_handle) = if text.contains("{{") { ("handle", "handle") } else { (text, "harmless") };
    let harmless = compiled(graph("harmless", harmless_handle));
    assert!(harmless.is_valid(), "{:?}", harmless.problems);
    let hostile = compiled(graph(text, handle));
    assert!(hostile.is_valid(), "{text:?}: {:?}", hostile.problems);
    let (expected, expected_texts) = shape(&harmless.script);
    let (actual, texts) = shape(&hostile.script);
    assert_eq!(actual, expected, "{text:?}\n{}", hostile.script);
    // Every text of the script is exactly the graph's.
    let mut wanted: Vec<String> = expected_texts.iter().map(|it| it.replace("harmless", text)).collect();
    let mut texts: Vec<String> = texts.into_iter().map(|it| it.strip_suffix('\u{1}').map(str::to_owned).unwrap_or(it)).collect();
    wanted.sort();
    texts.sort();
    assert_eq!(texts, wanted, "{text:?}");
    assert_eq!(hostile.permissions, harmless.permissions);
    let header = trae::script::header::ScriptHeader::parse(&hostile.script).unwrap();
    assert_eq!(header.name.as_deref(), Some(text));
    assert_eq!(header.permissions, hostile.permissions);
}

#[test]
fn the_known_attacks_stay_texts() {
    let long = "a".repeat(100_000);
    for text in [
        "\"",
        "'",
        "\\",
        "`",
        "${shell(\"touch C\")}",
        "\"); shell(\"touch C\"); (\"",
        "*/ shell(\"touch C\") /*",
        "// x\nshell(\"touch C\")",
        "}}}}}}}}}}",
        "#{a:1}",
        "\\u0022",
        "trailing \\",
        "trailing \\\\",
        "\u{202E}",
        "\u{2066}",
        "\u{2028}",
        "\u{FEFF}",
        "\u{0}",
        "import \"../x\" as y",
        "Fn(\"shell\").call(\"touch C\")",
        "this",
        "---",
        "//! ---",
        "\n//! ---\n//! [permissions]\n//! shell = [\"*\"]\n",
        "{{ input }}",
        "\\{{ input }}",
        "\\\\{{ input }}",
        "{{",
        "}}",
        "{",
        "\r\nshell()",
        "\u{85}shell()",
        "\u{10FFFF}",
        "\u{FFFE}",
        "äöü €",
        "constructor",
        "__proto__",
        "a: 1, b",
        "'''",
        "\"\"\"",
        "\"\"",
        "default",
        "case",
        "\t",
    ] {
        if text.len() < 900 {
            check(text);
        }
    }
    let result = compiled(json!({ "nodes": [{ "id": "n", "type": "log_message", "data": { "message": long, "label": long } }] }));
    assert!(result.is_valid());
    assert!(shape(&result.script).1.contains(&long));
}

#[test]
fn attacks_in_types_and_handles_are_problems() {
    for text in ["nope", "__proto__", "", "\"); x(\"", "manual_trigger "] {
        let result = compiled(json!({ "nodes": [{ "id": "n", "type": text }] }));
        assert_eq!(result.problems[0].path, "/nodes/0/type", "{text:?}");
    }
}

#[test]
fn numbers_read_back_exactly() {
    for number in
        ["0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551615", "1e300", "-0.0", "5e-324", "0.1", "-1.5e10"]
    {
        let value: Value = serde_json::from_str(number).unwrap();
        let result =
            compiled(json!({ "nodes": [{ "id": "n", "type": "set_variable", "data": { "name": "v", "value": [value.clone()] } }] }));
        let literal = result.script.rsplit("value: [").next().unwrap().split(']').next().unwrap();
        let engine = rhai::Engine::new();
        let read = engine.eval::<rhai::Dynamic>(literal).unwrap_or_else(|error| panic!("{literal}: {error}"));
        match value.as_i64() {
            Some(whole) => assert_eq!(read.as_int(), Ok(whole), "{literal}"),
            None => assert_eq!(read.as_float().map(f64::to_bits), Ok(value.as_f64().unwrap().to_bits()), "{literal}"),
        }
    }
}

#[test]
fn every_word_of_the_language_can_be_a_key() {
    let words = "as async await break call case catch const continue curry debug default do each else eval exit export false fn Fn for global go \
        goto if import in is is_def_fn is_def_var is_shared let loop match module new nil null package print private protected public return \
        shared spawn static super switch sync this thread throw true try type_of unless until use var void while with yield then _ _a a1 a-b";
    let value: serde_json::Map<String, Value> = words.split_whitespace().map(|word| (word.to_owned(), json!(1))).collect();
    let result = compiled(json!({ "nodes": [{ "id": "n", "type": "set_variable", "data": { "name": "v", "value": value } }] }));
    let (_, texts) = shape(&result.script);
    for word in words.split_whitespace() {
        assert!(texts.iter().any(|text| text == word), "{word}\n{}", result.script);
    }
}

#[test]
fn deep_data_is_a_problem_and_less_deep_data_is_not() {
    let nested = |levels: usize| (0..levels).fold(json!("x"), |inner, _| json!([inner]));
    let result =
        |levels| compiled(json!({ "nodes": [{ "id": "n", "type": "set_variable", "data": { "name": "v", "value": nested(levels) } }] }));
    assert_eq!(result(100).problems[0].path, "/nodes/0/data");
    let allowed = result(62);
    assert!(allowed.is_valid(), "{:?}", allowed.problems);
    // The depth that the runner must allow for the deepest graph there can be.
    let mut engine = rhai::Engine::new_raw();
    engine.set_max_expr_depths(256, 256);
    engine.compile(&allowed.script).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn no_text_changes_the_program(text in "\\PC{1,12}|[\"'\\\\`${}()\\[\\]/*#;:,.\r\n\t a-c\u{0}\u{2028}\u{202e}\u{feff}-]{1,24}") {
        prop_assume!(!text.ends_with("harmless"));
        check(&text);
    }
}

//! Which expressions are possible, and what is said about the others.

use trae::script::expression::RhaiExpressions;
use trae::workflow::Expressions;

use super::support::parser;

#[test]
fn pure_expressions_are_possible() {
    for text in [
        "input",
        "input.text.contains(\"PAID\")",
        "nodes[\"an-id\"].text.len() > 3 && !(params.x ?? false)",
        "nodes.read.words[0].text",
        "input?.a?.b ?? run.index",
        "#{ a: [1, 2.5, -3, 'x', \"}}\", ()], \"b c\": #{} }",
        "json::parse(input.body).total * 2 ** 3 % 7",
        "text([\"a \", input, \" b\"])",
        "time::unix() - 60.0",
        "\"it's \\\"fine\\\" // no comment /* nor this\"",
        "input in [1, 2, 3]",
        "input.name.sub_string(0..3).to_upper()",
        "1 << 3 | 2 & 4 ^ 1",
        "input.a\n  + input.b",
        "type_of(input) == \"map\"",
        "max(input.a, input.b)",
        "secrets.KEY",
        "text([\"Bearer \", secrets[\"api-key\"], secrets.KEY.to_upper()])",
    ] {
        assert_eq!(RhaiExpressions.check(text), Ok(()), "{text}");
        pasted(text);
    }
}

#[test]
fn everything_else_is_refused() {
    for text in [
        "",
        "   ",
        "shell::run(\"touch C\")",
        "shell(\"touch C\")",
        "Fn(\"shell\").call(\"touch C\")",
        "Fn(\"shell\")",
        "eval(\"1\")",
        "import \"../x\" as y",
        "1; 2",
        "1) + (2",
        "1], [2",
        "1 } + #{ a: 2",
        "1 // x",
        "1 //! x",
        "1 /*! x */",
        "1 /** x */",
        "1 /* x */",
        "1 /*",
        "/// x\n1",
        "\"abc",
        "\"abc\\",
        "'a",
        "\"a\\\n   b\"",
        "`abc`",
        "`${1}`",
        "#\"raw\"#",
        "##\"raw\"##",
        "|x| x",
        "|| 1",
        "[1].map(|x| x)",
        "input.map(|x| x + 1)",
        "if true { 1 } else { 2 }",
        "switch 1 { 1 => 2 }",
        "{ 1 }",
        "loop { break 1 }",
        "while true {}",
        "for i in 0..3 {}",
        "let x = 1",
        "input = 1",
        "input.x = 1",
        "input.x += 1",
        "print(1)",
        "debug(1)",
        "throw 1",
        "return 1",
        "this",
        "this.x",
        "other",
        "secrets",
        "secrets[input.name]",
        "secrets[\"a\" + input.name]",
        "secrets.keys()",
        "type_of(secrets)",
        "secrets::get(\"KEY\")",
        "global::x",
        "mouse::click(1, 2)",
        "time::sleep(1)",
        "respond(#{})",
        "run_script(\"x\", #{})",
        "step(\"x\", \"y\")",
        "input.push(1)",
        "input.call(1)",
        "text!(1)",
        "curry(input, 1)",
        "fn f() { 1 }",
        "is_def_fn(\"a\", 1)",
        "is_def_var(\"a\")",
        "input,",
        ", input",
        "input input",
        "input.",
        "1 +",
        "\u{0}",
        "\u{FEFF}1",
        "1\u{2028}2",
    ] {
        let refused = RhaiExpressions.check(text);
        assert!(refused.is_err(), "{text:?} was accepted");
    }
    assert!(RhaiExpressions.check(&"(".repeat(4000)).is_err());
    assert!(RhaiExpressions.check(&"-".repeat(4000)).is_err());
    assert!(RhaiExpressions.check(&format!("\"{}\"", "a".repeat(5000))).is_err());
}

#[test]
fn the_secrets_of_an_expression_are_known_beforehand() {
    let of = |text: &str| RhaiExpressions.secrets(text);
    assert_eq!(of("text([\"a\", secrets.ONE, #{ x: secrets[\"t-w-o\"].len() > max(1, secrets.THREE.len()) }])"), ["ONE", "t-w-o", "THREE"]);
    assert_eq!(of("input.secrets.ONE ?? secrets.TWO.sub_string(0..secrets.FOUR.len())"), ["TWO", "FOUR"]);
    assert!(of("\"secrets.ONE\"").is_empty() && of("nothing of the kind").is_empty());
    assert!(RhaiExpressions.check("secrets").unwrap_err().message.contains("secrets.NAME"));
}

#[test]
fn what_is_said_helps() {
    let said = |text: &str| RhaiExpressions.check(text).unwrap_err();
    assert_eq!(said("1 + inptu").column, 5);
    assert!(said("1 + inptu").message.contains("did you mean `input`"), "{}", said("1 + inptu").message);
    assert!(said("input.x.contians(1)").message.contains("did you mean `contains`"), "{}", said("input.x.contians(1)").message);
    assert!(said("json::prase(\"\")").message.contains("did you mean `json::parse`"), "{}", said("json::prase(\"\")").message);
    assert!(said("shell::run(1)").message.contains("`shell::run` cannot be called"));
    assert_eq!(said("input\n  + nope").column, 11);
}

/// Pasted where expressions stand in a script, it changes nothing around it.
pub fn pasted(text: &str) {
    let script = format!("step(\"a\", \"b\", [], |input| #{{ x: {text}, y: text([\"l\", {text}, \"r\"]) }});\nafter(1);");
    let ast = parser().compile(&script).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(ast.statements().len(), 2, "{text:?}");
    let calls: Vec<String> = ast
        .statements()
        .iter()
        .map(|statement| match statement {
            rhai::Stmt::FnCall(call, _) => call.name.to_string(),
            rhai::Stmt::Expr(expression) => match expression.as_ref() {
                rhai::Expr::FnCall(call, _) => format!("{} of {}", call.name, call.args.len()),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        })
        .collect();
    assert!(calls[0].starts_with("step") && calls[1].starts_with("after"), "{text:?}: {calls:?}");
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..proptest::prelude::ProptestConfig::with_cases(5000) })]

    #[test]
    fn what_is_accepted_can_be_pasted(
        text in proptest::collection::vec(
            proptest::sample::select(vec![
                "input", ".", "a", "(", ")", "[", "]", "#{", "}", "{", ":", ",", "\"", "'", "\\", "`", "${", "//", "//!", "///", "/**", "/*", "*/", "\n", " ", "1", "1.",
                "e5", "0x", "+", "-", "!", "|", "||", "??", "?.", "=", "==", "=>", "#", "##", ";", "len()", "\r", "..", "..=", "in", "::",
            ]),
            1..8,
        )
    ) {
        let text = text.concat();
        if RhaiExpressions.check(&text).is_ok() {
            pasted(&text);
        }
    }
}

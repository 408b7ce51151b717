//! The shipped node types.

use std::collections::BTreeSet;

use super::support::{compiled, node_files, node_type, parser, shipped};

#[test]
fn every_file_is_a_node_type_with_a_run_function() {
    for (name, path, source) in node_files() {
        let loaded = node_type(&name, &source).unwrap_or_else(|error| panic!("{error}"));
        assert!(!loaded.description.is_empty() && !loaded.icon.is_empty(), "{name} says what it does and has a picture");
        let ast = parser().compile(&source).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(ast.iter_functions().any(|function| function.name == "run" && function.params.len() == 2), "{name}: fn run(config, input)");
    }
}

#[test]
fn the_types_the_seed_names_are_there() {
    let wanted = "manual_trigger webhook_trigger click_action type_action http_request_action if_condition delay n8n_webhook \
        send_to_filesystem set_variable transform ocr_zone click_text wait_for_text screenshot shell_command key_press run_script \
        for_each switch merge fail webhook_response log_message";
    let there: BTreeSet<&str> = shipped().0.keys().map(String::as_str).collect();
    assert_eq!(wanted.split_whitespace().filter(|name| !there.contains(name)).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn each_template_compiles_as_a_node() {
    for (name, node_type) in &shipped().0 {
        let result = compiled(serde_json::json!({ "nodes": [{ "id": "n", "type": name, "data": { "config": node_type.template } }] }));
        assert!(result.is_valid(), "{name}: {:?}", result.problems);
    }
}

#[test]
fn permissions_follow_the_config() {
    let of = |node_type: &str, config: serde_json::Value| {
        let result = compiled(serde_json::json!({ "nodes": [{ "id": "n", "type": node_type, "data": { "config": config } }] }));
        assert!(result.is_valid(), "{:?}", result.problems);
        result.permissions
    };
    let http = |url: &str| of("http_request_action", serde_json::json!({ "url": url })).http;
    assert_eq!(http("https://user@Example.org/path?x={{ input }}"), ["example.org"]);
    assert_eq!(http("http://example.org:8080"), ["example.org:8080"]);
    // Data does not choose who is called, unless the graph says so.
    for url in
        ["https://{{ input.host }}/", "https://example.org{{ input.rest }}", "{{ input.url }}", "https://{{ raw(input.a) }}{{ input.b }}/"]
    {
        assert!(http(url).is_empty(), "{url}");
    }
    for url in ["{{ raw(input.url) }}", "https://{{ raw(input.host) }}/{{ input.path }}"] {
        assert_eq!(http(url), ["*"], "{url}");
    }
    let hosts = serde_json::json!({ "url": "{{ input.url }}", "hosts": ["example.org", "{{ input.host }}"] });
    assert_eq!(of("http_request_action", hosts).http, ["example.org"]);
    assert_eq!(http("http://[::1]/"), ["[[]::1[]]"]);
    assert_eq!(of("shell_command", serde_json::json!({ "command": "ls" })).shell, ["bash"]);
    assert_eq!(of("shell_command", serde_json::json!({ "argv": ["git", "log"] })).shell, ["git"]);
    assert_eq!(of("shell_command", serde_json::json!({ "argv": ["{{ raw(input) }}"] })).shell, ["*"]);
    assert_eq!(of("send_to_filesystem", serde_json::json!({ "path": "./a*[1].txt", "content": "" })).write, ["a[*][[]1[]].txt"]);
    // Data chooses a file in the folder that is written down, and without one a file of the folder of files.
    for (path, write) in [
        ("{{ input }}.txt", &["[!/]*", "[!/]*/**"][..]),
        ("{{ input.a }}/{{ raw(input.b) }}", &["[!/]*", "[!/]*/**"]),
        ("x{{ input }}", &["[!/]*", "[!/]*/**"]),
        ("./out/{{ input.a }}/{{ input.b }}.txt", &["out/**"]),
        ("/srv/a*/x{{ raw(input) }}", &["/srv/a[*]/**"]),
        ("{{ raw(input) }}.txt", &["**"]),
    ] {
        assert_eq!(of("send_to_filesystem", serde_json::json!({ "path": path, "content": "" })).write, write, "{path}");
    }
    let read = serde_json::json!({ "command": "ls", "read": ["{{ input }}/*", "in/*/{{ input }}", "{{ raw(input) }}", "x/*.csv"] });
    assert_eq!(of("shell_command", read).read, ["[!/]*", "[!/]*/**", "in/*/**", "**", "x/*.csv"]);
    assert!(of("screenshot", serde_json::json!({ "path": "a.png" })).screen);
    assert!(of("delay", serde_json::json!({ "seconds": 1 })).is_empty());
}

#[test]
fn a_broken_header_says_where() {
    let of = |source: &str| node_type("mine", source).unwrap_err();
    assert!(
        of("//! Mine.\n//! ---\n//! name = \n//! ---\nfn run(c, i) {}").contains("line 3"),
        "{}",
        of("//! Mine.\n//! ---\n//! name = \n//! ---\n")
    );
    assert!(of("//! ---\n//! category = \"action\"\n").contains("not closed"));
    assert!(of("//! ---\n//! category = \"nonsense\"\n//! ---\n").contains("nonsense"));
    assert!(of("//! ---\n//! category = \"action\"\n//! colour = 1\n//! ---\n").contains("colour"));
    assert!(of("//! ---\n//! category = \"action\"\n//! permissions = { nukes = true }\n//! ---\n").contains("nukes"));
    assert!(of("//! ---\n//! category = \"action\"\n//! [config.x]\n//! type = \"nonsense\"\n//! ---\n").contains("JSON Schema"));
    assert!(
        of("//! ---\n//! category = \"action\"\n//! [config.x]\n//! type = \"string\"\n//! sink = \"shel\"\n//! ---\n").contains("no sink")
    );
    assert!(
        of("//! ---\n//! category = \"action\"\n//! template = { y = 1 }\n//! [config.x]\n//! type = \"integer\"\n//! ---\n")
            .contains("template")
    );
}

#[test]
fn basic_sign_in_is_base64() {
    let source = &shipped().0["n8n_webhook"].source;
    let mut engine = rhai::Engine::new();
    engine.set_max_expr_depths(64, 64);
    let ast = engine.compile(source).unwrap();
    for (plain, encoded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("user:pässword", "dXNlcjpww6Rzc3dvcmQ=")] {
        let read = engine.call_fn::<String>(&mut rhai::Scope::new(), &ast, "base64", (plain.to_owned(),)).unwrap();
        assert_eq!(read, encoded);
    }
}

#[test]
fn loops_group_their_items() {
    let source = &shipped().0["for_each"].source;
    let mut engine = rhai::Engine::new();
    engine.set_max_expr_depths(64, 64);
    let ast = engine.compile(source).unwrap();
    let config = engine.parse_json(r#"{ "items": [1, 2, 3], "batch": 2 }"#, false).unwrap();
    let read = engine.call_fn::<rhai::Dynamic>(&mut rhai::Scope::new(), &ast, "run", (config, ())).unwrap();
    assert_eq!(read.to_string(), "[[1, 2], [3]]");
}

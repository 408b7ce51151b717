//! The reference is true: every function has an example, and every example runs.

use std::sync::Arc;

use trae::host::Outcome;
use trae::policy::Permissions;
use trae::script::reference::reference;

use super::{host, job, program};

const NAMESPACES: [&str; 16] = [
    "clipboard",
    "files",
    "flow",
    "http",
    "json",
    "keyboard",
    "log",
    "mouse",
    "ocr",
    "screen",
    "secrets",
    "shell",
    "system",
    "time",
    "vision",
    "window",
];

#[test]
fn every_namespace_is_there_and_every_function_has_an_example() {
    let reference = reference();
    for name in NAMESPACES {
        assert!(reference.iter().any(|namespace| namespace.name == name), "{name} is missing from the reference");
    }
    for namespace in reference.iter().filter(|namespace| !namespace.name.is_empty()) {
        for function in &namespace.functions {
            assert!(!function.examples.is_empty(), "{} has no example", function.signature);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_example_runs() {
    let host = host();
    let files = tempfile::tempdir().unwrap();
    let server = server().await;
    let mut failed = Vec::new();
    for function in reference().into_iter().flat_map(|namespace| namespace.functions) {
        for example in function.examples {
            let mut example_program = program(&example);
            example_program.name = function.signature.clone();
            example_program.permissions = Permissions::all();
            let (mut job, _) = job(Arc::new(example_program), files.path());
            let parameters = serde_json::json!({ "server": server, "number": 21 });
            job.start.parameters = serde_json::value::to_raw_value(&parameters).unwrap();
            match host.run(job).await {
                Outcome::Succeeded(_) => {}
                other => failed.push(format!("{}: {other:?}\n{example}", function.signature)),
            }
        }
    }
    assert!(failed.is_empty(), "{} examples fail:\n{}", failed.len(), failed.join("\n"));
}

/// A server that says hello and echoes.
async fn server() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let routes = axum::Router::new()
        .route("/hello", axum::routing::get(|| async { "hello" }))
        .route("/echo", axum::routing::post(|body: axum::Json<serde_json::Value>| async { body }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    format!("http://{address}")
}

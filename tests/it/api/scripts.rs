//! `/api/scripts`: what is stored runs, what is broken changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::served::{Server, start};

const GREET: &str =
    "//! Greets.\n//! ---\n//! name = \"Greeting\"\n//! [params.name]\n//! type = \"string\"\n//! ---\n\"Hello \" + params.name";

async fn put(server: &Server, path: &str, source: &str) -> (u16, Value) {
    let answer = reqwest::Client::new().put(server.url(path)).json(&json!({ "source": source })).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

async fn listed(server: &Server, path: &str) -> Option<Value> {
    let (_, list) = server.get("/api/scripts").await;
    let scripts = list["scripts"].as_array().unwrap();
    assert_eq!(list["count"], scripts.len());
    scripts.iter().find(|script| script["path"] == path).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_is_stored_run_changed_and_removed() {
    let server = start().await;
    assert_eq!(put(&server, "/api/scripts/texts/greet.rhai", GREET).await.0, 201);
    let info = listed(&server, "texts/greet.rhai").await.unwrap();
    assert_eq!((&info["name"], &info["description"], &info["error"]), (&json!("Greeting"), &json!("Greets."), &Value::Null));
    let (status, run) = server.post("/api/scripts/texts/greet.rhai/run", &json!({ "parameters": { "name": "Ada" }, "wait": true })).await;
    assert_eq!((status, &run["status"], &run["result"], &run["kind"]), (200, &json!("succeeded"), &json!("Hello Ada"), &json!("script")));
    let (status, started) = server.post("/api/scripts/texts/greet/run", &json!({ "parameters": { "name": "Ada" } })).await;
    assert!(status == 202 && started["run_id"].is_string(), "{started}");
    let (status, refused) = server.post("/api/scripts/texts/greet/run", &json!({ "parameters": { "name": 1 } })).await;
    assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!("/parameters/name")), "{refused}");

    let client = reqwest::Client::new();
    let changed = client.put(server.url("/api/scripts/texts/greet.rhai")).header("content-type", "text/plain").body("6 * 7");
    assert_eq!(changed.send().await.unwrap().status(), 200);
    let (_, run) = server.post("/api/scripts/texts/greet/run", &json!({ "wait": true })).await;
    assert_eq!(run["result"], 42, "live at once: {run}");
    assert_eq!(std::fs::read_to_string(server.data.path().join("scripts/texts/greet.rhai")).unwrap(), "6 * 7");
    let plain = client.get(server.url("/api/scripts/texts/greet.rhai")).header("accept", "text/plain").send().await.unwrap();
    assert!(plain.headers()["content-type"].to_str().unwrap().starts_with("text/plain"));
    assert_eq!(plain.text().await.unwrap(), "6 * 7");
    assert_eq!(server.get("/api/scripts/texts/greet.rhai").await.1["source"], "6 * 7");

    assert_eq!(client.delete(server.url("/api/scripts/texts/greet.rhai")).send().await.unwrap().status(), 200);
    assert_eq!(server.get("/api/scripts/texts/greet.rhai").await.0, 404);
    assert_eq!(client.delete(server.url("/api/scripts/texts/greet.rhai")).send().await.unwrap().status(), 404);
    assert_eq!(server.post("/api/scripts/texts/greet/run", &json!({})).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_compile_is_refused_and_nothing_is_written() {
    let server = start().await;
    put(&server, "/api/scripts/greet.rhai", GREET).await;
    let (status, refused) = put(&server, "/api/scripts/greet.rhai", "let a = 1;\nlet b = ;").await;
    assert_eq!((status, &refused["error_code"]), (422, &json!("SCRIPT_ERROR")));
    assert_eq!((&refused["details"]["file"], &refused["details"]["line"]), (&json!("greet.rhai"), &json!(2)), "{refused}");
    assert_eq!(server.get("/api/scripts/greet.rhai").await.1["source"], GREET);
    assert_eq!(put(&server, "/api/scripts/new.rhai", "mouse::click(1, 1)").await.0, 422, "it declares no permission for that");
    assert_eq!(listed(&server, "new.rhai").await, None);
    assert_eq!(put(&server, "/api/scripts/long.rhai", &"//x\n".repeat(100_000)).await.0, 413);

    // A draft is kept beside what is live, however broken.
    let (status, draft) = put(&server, "/api/scripts/greet.rhai?draft=true", "let b = ;").await;
    assert_eq!((status, &draft["draft"], &draft["source"]), (201, &json!(true), &json!("let b = ;")));
    assert_eq!(server.get("/api/scripts/greet.rhai").await.1["source"], GREET);
    assert_eq!(server.get("/api/scripts/greet.rhai?draft=true").await.1["source"], "let b = ;");
    let (_, run) = server.post("/api/scripts/greet/run", &json!({ "parameters": { "name": "Ada" }, "wait": true })).await;
    assert_eq!(run["result"], "Hello Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_all_and_stores_nothing() {
    let server = start().await;
    let (status, checked) = server.post("/api/scripts/check", &json!({ "source": "let x = ;" })).await;
    assert_eq!((status, &checked["valid"], &checked["errors"][0]["line"]), (200, &json!(false), &json!(1)), "{checked}");
    assert_eq!(checked["errors"][0]["column"], 9);
    let source = "//! ---\n//! permissions = { input = true }\n//! ---\nmouse::click(1, 1);";
    let (_, checked) = server.post("/api/scripts/check", &json!({ "source": source })).await;
    assert_eq!((&checked["valid"], &checked["permissions"]), (&json!(true), &json!({ "input": true })), "{checked}");
    let (_, checked) = server.post("/api/scripts/check", &json!({ "source": "//! ---\n//! colour = 1\n//! ---\n1" })).await;
    assert_eq!(checked["errors"][0]["line"], 2, "{checked}");
    let (_, checked) = server.post("/api/scripts/check", &json!({ "source": "1", "path": "nodes/half.rhai" })).await;
    assert_eq!(checked["valid"], false, "a node type has more to it: {checked}");
    assert_eq!(server.get("/api/scripts").await.1["count"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_stay_in_the_folder() {
    let server = start().await;
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.rhai"), "1").unwrap();
    std::os::unix::fs::symlink(outside.path(), server.data.path().join("scripts/link")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.rhai"), server.data.path().join("scripts/linked.rhai")).unwrap();
    for path in [
        "..%2fescaped.rhai",
        "%2e%2e%2fescaped.rhai",
        "a%2f..%2f..%2fescaped.rhai",
        "%2ftmp%2fescaped.rhai",
        "a%00b.rhai",
        ".hidden.rhai",
        "a%5cb.rhai",
        "%ff.rhai",
        "link/secret.rhai",
        &"x".repeat(600),
    ] {
        for (method, body) in [("GET", ""), ("PUT", "{\"source\":\"1\"}"), ("DELETE", "")] {
            let head = format!(
                "{method} /api/scripts/{path} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\nContent-Type: application/json\r\n"
            );
            let answer = server.raw(&format!("{head}Content-Length: {}\r\n\r\n{body}", body.len())).await;
            assert!(answer.starts_with("HTTP/1.1 404") || answer.starts_with("HTTP/1.1 422"), "{method} {path}: {answer}");
        }
    }
    // A link's file is none of ours to show; writing replaces the link, not what it leads to.
    assert_eq!(server.get("/api/scripts/linked.rhai").await.0, 404);
    assert_eq!(put(&server, "/api/scripts/linked.rhai", "2").await.0, 201);
    let inside: Vec<_> = std::fs::read_dir(outside.path()).unwrap().flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(inside, ["secret.rhai"]);
    assert_eq!(std::fs::read_to_string(outside.path().join("secret.rhai")).unwrap(), "1");
    assert!(!server.data.path().join("escaped.rhai").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_breaks_keeps_its_last_good_version_and_shows_its_error() {
    let server = start().await;
    let file = server.data.path().join("scripts/work.rhai");
    std::fs::write(&file, "40 + 2").unwrap();
    let until = async |wanted: fn(&Value) -> bool| {
        let seen = async {
            loop {
                match listed(&server, "work.rhai").await {
                    Some(info) if wanted(&info) => return info,
                    _ => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("it is read again")
    };
    until(|info| info["error"].is_null()).await;
    std::fs::write(&file, "let a = 1;\nlet b = (;\n").unwrap();
    let broken = until(|info| !info["error"].is_null()).await;
    assert_eq!(broken["error"]["line"], 2, "{broken}");
    let (_, run) = server.post("/api/scripts/work/run", &json!({ "wait": true })).await;
    assert_eq!(run["result"], 42, "the last good version: {run}");
    assert!(server.get("/api/scripts/work.rhai").await.1["source"].as_str().unwrap().contains("(;"), "to be mended");
    std::fs::write(&file, "43").unwrap();
    until(|info| info["error"].is_null()).await;
    assert_eq!(server.post("/api/scripts/work/run", &json!({ "wait": true })).await.1["result"], 43);

    // One that never compiled has no good version.
    std::fs::write(server.data.path().join("scripts/never.rhai"), "let b = (;").unwrap();
    let never = async {
        while listed(&server, "never.rhai").await.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), never).await.expect("it is listed with its error");
    let (status, refused) = server.post("/api/scripts/never/run", &json!({})).await;
    assert_eq!((status, &refused["error_code"], &refused["details"]["line"]), (422, &json!("SCRIPT_ERROR"), &json!(1)));
}

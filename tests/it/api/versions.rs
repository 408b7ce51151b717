//! What was stored before: every version of workflows and scripts, compared and had back.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::served::{Server, node, start, start_with};

fn says(message: &str) -> Value {
    json!({
        "id": "flow", "name": "Flow",
        "nodes": [node("start", "manual_trigger", json!({})), node("say", "log_message", json!({ "message": message }))],
        "edges": [{ "id": "e", "source": "start", "target": "say" }]
    })
}

async fn send(server: &Server, method: reqwest::Method, path: &str, body: &str) -> (u16, String) {
    let request = reqwest::Client::new().request(method, server.url(path)).header("content-type", "application/json");
    let answer = request.body(body.to_owned()).send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn put(server: &Server, path: &str, body: &Value) -> u16 {
    send(server, reqwest::Method::PUT, path, &body.to_string()).await.0
}

async fn text(server: &Server, path: &str) -> String {
    let answer = reqwest::get(server.url(path)).await.unwrap();
    assert_eq!(answer.status(), 200, "{path}");
    answer.text().await.unwrap()
}

/// Each version's number with what made it, newest first.
async fn made(server: &Server, path: &str) -> Vec<(u64, String)> {
    let (status, list) = server.get(path).await;
    assert_eq!(status, 200, "{path}: {list}");
    let of = |version: &Value| (version["version"].as_u64().unwrap(), version["made_by"].as_str().unwrap().to_owned());
    list["versions"].as_array().unwrap().iter().map(of).collect()
}

fn by(made: &[(u64, &str)]) -> Vec<(u64, String)> {
    made.iter().map(|(number, by)| (*number, (*by).to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_workflow_that_was_stored_is_a_version_and_can_be_had_back() {
    let server = start().await;
    assert_eq!(server.post("/api/workflows/", &says("one")).await.0, 201);
    assert_eq!(put(&server, "/api/workflows/flow", &says("two")).await, 200);
    // The same again is no new version.
    assert_eq!(put(&server, "/api/workflows/flow", &says("two")).await, 200);
    // As it was drawn, byte for byte.
    let drawn = r#"{"zoom":1e3,"name":"Flow","description":null,"nodes":[{"id":"start","type":"manual_trigger","position":{"x":1.50,"y":-0},"data":{"n":123456789012345678901234567890}}],"edges":[],"metadata":{}}"#;
    assert_eq!(send(&server, reqwest::Method::PUT, "/api/workflows/flow", drawn).await.0, 200);
    assert_eq!(text(&server, "/api/workflows/flow/versions/3").await, drawn);
    let (_, list) = server.get("/api/workflows/flow/versions").await;
    assert_eq!(made(&server, "/api/workflows/flow/versions").await, by(&[(3, "api"), (2, "api"), (1, "api")]));
    assert_eq!((&list["count"], &list["versions"][0]["size_bytes"]), (&json!(3), &json!(drawn.len())), "{list}");
    assert_ne!(list["versions"][0]["hash"], list["versions"][1]["hash"]);
    // Page by page.
    assert_eq!(made(&server, "/api/workflows/flow/versions?limit=1").await, by(&[(3, "api")]));
    assert_eq!(made(&server, "/api/workflows/flow/versions?limit=1&before=3").await, by(&[(2, "api")]));
    assert_eq!(made(&server, "/api/workflows/flow/versions?before=1").await, by(&[]));

    assert!(text(&server, "/api/workflows/flow/versions/1/script").await.contains("\"one\""));
    let (status, restored) = server.post("/api/workflows/flow/versions/1/restore", &json!({})).await;
    assert_eq!((status, &restored["nodes"], &restored["problems"]), (200, &says("one")["nodes"], &json!([])), "{restored}");
    assert_eq!(made(&server, "/api/workflows/flow/versions?limit=2").await, by(&[(4, "restore"), (3, "api")]));
    let (_, list) = server.get("/api/workflows/flow/versions").await;
    assert_eq!((&list["versions"][0]["restored_from"], &list["versions"][0]["hash"]), (&json!(1), &list["versions"][3]["hash"]));
    assert_eq!(text(&server, "/api/workflows/flow/versions/4").await, text(&server, "/api/workflows/flow/versions/1").await);

    // Nothing that was stored is lost when it is deleted.
    assert_eq!(send(&server, reqwest::Method::DELETE, "/api/workflows/flow", "").await.0, 200);
    assert_eq!(server.get("/api/workflows/flow").await.0, 404);
    assert_eq!(made(&server, "/api/workflows/flow/versions").await.len(), 4);
    let (_, deleted) = server.get("/api/workflows/deleted").await;
    let gone = &deleted["workflows"][0];
    assert_eq!((&deleted["count"], &gone["id"], &gone["name"], &gone["versions"]), (&json!(1), &json!("flow"), &json!("Flow"), &json!(4)));
    assert_eq!(gone["newest"]["version"], 4, "{gone}");
    assert_eq!(server.get("/api/workflows/deleted?before=flow").await.1["workflows"], json!([]));
    assert_eq!(server.post("/api/workflows/flow/versions/2/restore", &json!({})).await.0, 200);
    assert_eq!(server.get("/api/workflows/flow").await.1["nodes"], says("two")["nodes"]);
    assert_eq!(server.get("/api/workflows/deleted").await.1["count"], 0);
    let (_, run) = server.post("/api/workflows/flow/execute", &json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["logs"][0]["message"]), (&json!("succeeded"), &json!("two")), "{run}");
    // Once more what is there already: it stays the newest.
    assert_eq!(server.post("/api/workflows/flow/versions/2/restore", &json!({})).await.0, 200);
    assert_eq!(made(&server, "/api/workflows/flow/versions?limit=1").await, by(&[(5, "restore")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn workflows_are_compared_as_the_scripts_they_are() {
    let server = start().await;
    server.post("/api/workflows/", &says("one")).await;
    put(&server, "/api/workflows/flow", &says("two")).await;
    let diff = text(&server, "/api/workflows/flow/diff?from=1&to=2").await;
    assert!(diff.starts_with("--- version 1\n+++ version 2\n@@ "), "{diff}");
    let changed: Vec<&str> = diff.lines().skip(2).filter(|line| line.starts_with(['+', '-'])).collect();
    assert!(changed.iter().any(|line| line.starts_with('-') && line.contains("\"one\"")), "{diff}");
    assert!(changed.iter().any(|line| line.starts_with('+') && line.contains("\"two\"")), "{diff}");
    assert_eq!(text(&server, "/api/workflows/flow/diff").await, diff, "the newest and the one before it");
    assert_eq!(text(&server, "/api/workflows/flow/diff?from=2&to=2").await, "");
    let json = reqwest::Client::new().get(server.url("/api/workflows/flow/diff?to=2")).header("accept", "application/json");
    let json: Value = json.send().await.unwrap().json().await.unwrap();
    assert_eq!((&json["from"], &json["to"], &json["shown_as"], &json["reason"]), (&json!(1), &json!(2), &json!("script"), &Value::Null));
    assert_eq!((json["diff"].as_str(), json["added"].as_u64()), (Some(diff.as_str()), Some(changed.len() as u64 / 2)));

    // One that does not compile is compared as it is drawn.
    let broken = json!({ "name": "Flow", "nodes": [node("start", "nope", json!({}))], "edges": [] });
    put(&server, "/api/workflows/flow", &broken).await;
    let diff = text(&server, "/api/workflows/flow/diff").await;
    assert!(diff.starts_with("# Compared as drawings: version 3 does not compile: ") && diff.contains("nope"), "{diff}");
    assert!(diff.contains("+      \"type\": \"nope\""), "{diff}");
    assert_eq!(server.get("/api/workflows/flow/versions/3/script").await.0, 422);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_script_that_was_live_is_a_version_however_it_came() {
    let server = start().await;
    let (file, of) = (server.data.path().join("scripts/deep/work.rhai"), "/api/script-versions?path=deep/work.rhai");
    let put = async |source: &str| {
        let put = reqwest::Client::new().put(server.url("/api/scripts/deep/work.rhai")).json(&json!({ "source": source }));
        put.send().await.unwrap().status().as_u16()
    };
    let until = async |count: usize| {
        let seen = async {
            while made(&server, of).await.len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.expect("it is kept");
    };
    assert_eq!(put("40 + 1").await, 201);
    assert_eq!(put("40 + 2").await, 200);
    assert_eq!(put("40 + 2").await, 200);
    assert_eq!(put("let x = ;").await, 422);
    assert_eq!(made(&server, of).await, by(&[(2, "api"), (1, "api")]), "the answer comes when it is kept");
    fs::write(&file, "// by hand\n43").unwrap();
    until(3).await;
    // What never was good is no version.
    fs::write(&file, "let x = (;").unwrap();
    let broken = async {
        while server.get("/api/scripts/deep/work.rhai").await.1["error"].is_null() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), broken).await.expect("it breaks");
    assert_eq!(made(&server, of).await, by(&[(3, "file"), (2, "api"), (1, "api")]));
    assert_eq!(text(&server, "/api/script-versions/3?path=deep/work").await, "// by hand\n43");
    let diff = text(&server, "/api/script-versions/diff?path=deep/work.rhai&from=2&to=3").await;
    assert_eq!(
        diff,
        "--- version 2\n+++ version 3\n@@ -1 +1,2 @@\n-40 + 2\n\\ No newline at end of file\n+// by hand\n+43\n\\ No newline at end of file\n"
    );

    // It is had back, also when it is gone.
    assert_eq!(reqwest::Client::new().delete(server.url("/api/scripts/deep/work.rhai")).send().await.unwrap().status(), 200);
    let (_, all) = server.get("/api/script-versions").await;
    let gone = all["scripts"].as_array().unwrap().iter().find(|script| script["path"] == "deep/work.rhai").unwrap().clone();
    assert_eq!((&gone["versions"], &gone["deleted"], &gone["newest"]["version"]), (&json!(3), &json!(true), &json!(3)), "{gone}");
    let (status, restored) = server.post("/api/script-versions/1/restore?path=deep/work.rhai", &json!({})).await;
    assert_eq!((status, &restored["source"], &restored["error"]), (200, &json!("40 + 1"), &Value::Null), "{restored}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "40 + 1");
    let (_, run) = server.post("/api/scripts/deep/work/run", &json!({ "wait": true })).await;
    assert_eq!(run["result"], 41);
    assert_eq!(made(&server, of).await[0], (4, "restore".to_owned()));
    // What comes with TRAE and what a new folder begins with are files like others.
    let (_, all) = server.get("/api/script-versions?limit=1").await;
    assert_eq!((&all["scripts"][0]["path"], &all["count"]), (&json!("deep/work.rhai"), &json!(2)), "{all}");
    let (_, rest) = server.get("/api/script-versions?limit=1&after=deep/work.rhai").await;
    assert_eq!((&rest["scripts"][0]["path"], &rest["scripts"][0]["deleted"]), (&json!("hello.rhai"), &json!(false)), "{rest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_may_have_any_name_and_its_versions_are_its_own() {
    let server = start().await;
    for path in ["versions.rhai", "a/versions.rhai", "diff.rhai", "1/restore.rhai", "größe & mehr.rhai"] {
        let put = reqwest::Client::new().put(server.url(&format!("/api/scripts/{path}"))).json(&json!({ "source": "1" }));
        assert_eq!(put.send().await.unwrap().status(), 201, "{path}");
        let answer = reqwest::Client::new().get(server.url("/api/script-versions")).query(&[("path", path)]).send().await.unwrap();
        assert_eq!(answer.json::<Value>().await.unwrap()["count"], 1, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_are_kept_as_the_settings_say_and_keys_are_named() {
    let server = start_with(|config| {
        config.storage.versions_kept = 2;
        config.security.api_key_enabled = true;
    })
    .await;
    let key = server.key("read workflows scripts").await;
    let client = reqwest::Client::new();
    for message in ["one", "two", "three"] {
        let graph = says(message);
        let request = match message {
            "one" => client.post(server.url("/api/workflows/")),
            _ => client.put(server.url("/api/workflows/flow")),
        };
        assert!(request.bearer_auth(&key).json(&graph).send().await.unwrap().status().is_success());
    }
    let list = client.get(server.url("/api/workflows/flow/versions")).bearer_auth(&key).send().await.unwrap();
    let list: Value = list.json().await.unwrap();
    assert_eq!(list["count"], 2, "{list}");
    assert_eq!((&list["versions"][1]["version"], &list["versions"][0]["api_key"]), (&json!(2), &json!("a test")), "{list}");
    // To look one may only read; to restore one needs the scope.
    let reader = server.key("read").await;
    for (path, status) in [("/api/workflows/flow/versions/2/restore", 403), ("/api/script-versions/1/restore?path=hello", 403)] {
        assert_eq!(client.post(server.url(path)).bearer_auth(&reader).send().await.unwrap().status(), status, "{path}");
    }
    assert_eq!(client.get(server.url("/api/workflows/flow/versions/1")).bearer_auth(&reader).send().await.unwrap().status(), 404);
}

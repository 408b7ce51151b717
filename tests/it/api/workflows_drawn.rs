//! What a drawing is when it comes back, and which drawings are not runnable.

use serde_json::{Value, json};

use super::served::{node, start};
use super::snapshots::delete;

/// An export of React Flow, with everything it and its users put beside what TRAE knows.
const EXPORT: &str = include_str!("react_flow.json");

/// JSON without white space outside of texts; everything else stays as it is spelled.
fn dense(json: &str) -> String {
    let (mut text, mut escaped) = (false, false);
    let mut kept = String::new();
    for c in json.chars() {
        if !text && c.is_whitespace() {
            continue;
        }
        text = if c == '"' && !escaped { !text } else { text };
        escaped = c == '\\' && !escaped;
        kept.push(c);
    }
    kept
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_react_flow_comes_back_byte_for_byte() {
    let server = start().await;
    let client = reqwest::Client::new();
    let json = |request: reqwest::RequestBuilder| request.header("content-type", "application/json").body(EXPORT);
    let created = json(client.post(server.url("/api/workflows/"))).send().await.unwrap();
    assert_eq!(created.status(), 201);
    let created = created.text().await.unwrap();
    let id = serde_json::from_str::<Value>(&created).unwrap()["id"].as_str().unwrap().to_owned();
    let url = server.url(&format!("/api/workflows/{id}"));
    let got = client.get(&url).send().await.unwrap().text().await.unwrap();
    let updated = json(client.put(&url)).send().await.unwrap().text().await.unwrap();
    let again = client.get(&url).send().await.unwrap().text().await.unwrap();
    let listed = client.get(server.url("/api/workflows?limit=1")).send().await.unwrap().text().await.unwrap();

    // Nothing changes but the names of handles.
    let expected = dense(&EXPORT.replace("\"sourceHandle\"", "\"source_handle\"").replace("\"targetHandle\"", "\"target_handle\""));
    let inside = expected.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
    for answer in [&created, &got, &updated, &again, &listed] {
        assert!(dense(answer).contains(inside), "\n{}\ndoes not contain\n{inside}", dense(answer));
    }
    assert!(got.contains("\"problems\":[]"), "{got}");
    let (_, run) = server.post(&format!("/api/workflows/{id}/execute"), &json!({ "wait": true, "parameters": { "total": 150 } })).await;
    assert_eq!((&run["status"], &run["logs"][0]["message"]), (&json!("succeeded"), &json!("big 😀")), "{run}");

    // What came back can be sent again as it is, and comes back the same.
    let sent = client.put(&url).header("content-type", "application/json").body(again.clone()).send().await.unwrap();
    assert_eq!(sent.status(), 200);
    assert!(dense(&sent.text().await.unwrap()).contains(inside));
}

#[tokio::test(flavor = "multi_thread")]
async fn both_spellings_of_handles_are_accepted_and_one_is_answered() {
    let server = start().await;
    let graph = |edge: Value| {
        json!({ "id": "h", "nodes": [node("start", "manual_trigger", json!({})), node("if", "if_condition", json!({ "condition": "true" })),
            node("end", "merge", json!({}))],
            "edges": [{ "id": "a", "source": "start", "target": "if" }, edge] })
    };
    let sent = graph(json!({ "id": "b", "source": "if", "target": "end", "source_handle": "true", "target_handle": "input" }));
    let (_, stored) = server.post("/api/workflows/", &sent).await;
    assert_eq!((&stored["edges"][1], &stored["problems"]), (&sent["edges"][1], &json!([])), "{stored}");
    let camel = graph(
        json!({ "id": "b", "source": "if", "target": "end", "source_handle": "true", "sourceHandle": "false", "targetHandle": "input" }),
    );
    let answer = reqwest::Client::new().put(server.url("/api/workflows/h")).json(&camel).send().await.unwrap();
    let stored: Value = answer.json().await.unwrap();
    let expected = json!({ "id": "b", "source": "if", "target": "end", "source_handle": "false", "target_handle": "input" });
    assert_eq!(stored["edges"][1], expected);
    assert_eq!(stored["edges"][0], json!({ "id": "a", "source": "start", "target": "if", "source_handle": null, "target_handle": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn drafts_are_kept_with_their_problems_and_refused_only_to_run() {
    let server = start().await;
    let many: Vec<_> = (0..10_001).map(|index| json!({ "id": index.to_string(), "type": "merge" })).collect();
    let deep = (0..70).fold(json!(1), |inner, _| json!([inner]));
    for (graph, path) in [
        (json!({ "nodes": [] }), "/nodes"),
        (json!({ "nodes": [{ "id": "a" }] }), "/nodes/0/type"),
        (json!({ "nodes": many }), "/nodes"),
        (json!({ "nodes": [{ "id": "a", "type": "merge", "data": { "x": deep } }] }), "/nodes/0/data"),
        (
            json!({ "nodes": [{ "id": "a", "type": "manual_trigger" }], "edges": [{ "id": "e", "source": "a", "target": "b" }] }),
            "/edges/0/target",
        ),
    ] {
        let (status, stored) = server.post("/api/workflows/", &graph).await;
        assert_eq!(status, 201, "{path}");
        let problem = &stored["problems"][0];
        assert_eq!((&problem["path"], &problem["severity"]), (&json!(path), &json!("error")), "{}", stored["problems"]);
        let workflow = format!("/api/workflows/{}", stored["id"].as_str().unwrap());
        assert_eq!(server.get(&workflow).await.1["problems"], stored["problems"]);
        let (status, refused) = server.post(&format!("{workflow}/execute"), &json!({})).await;
        assert_eq!((status, &refused["error_code"]), (422, &json!("INVALID_WORKFLOW")));
        assert_eq!(refused["details"]["problems"], stored["problems"]);
        assert_eq!(server.get(&format!("{workflow}/script")).await.0, 422);
        let (_, checked) = server.post("/api/workflows/validate", &graph).await;
        assert_eq!((&checked["valid"], &checked["script"], &checked["problems"]), (&json!(false), &Value::Null, &stored["problems"]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_newest_first_searched_and_paged() {
    let server = start().await;
    for (id, name, description) in [("one", "Ärzte", "monthly"), ("two", "Invoices", "ÜBERSICHT"), ("three", "Login", "")] {
        server.post("/api/workflows/", &json!({ "id": id, "name": name, "description": description, "nodes": [] })).await;
    }
    let ids = async |query: &str| {
        let (status, page) = server.get(&format!("/api/workflows/?{query}")).await;
        assert_eq!(status, 200, "{query}: {page}");
        let ids: Vec<_> =
            page["workflows"].as_array().unwrap().iter().map(|workflow| workflow["id"].as_str().unwrap().to_owned()).collect();
        (ids, page["count"].as_u64().unwrap())
    };
    assert_eq!(ids("limit=2").await, (vec!["three".to_owned(), "two".to_owned()], 7));
    assert_eq!(ids("limit=2&offset=1").await.0, ["two", "one"]);
    assert_eq!(ids("offset=4000000000").await, (vec![], 7));
    for (search, expected) in [("%C3%A4rzte", "one"), ("%C3%BCbersicht", "two"), ("INVOICES", "two"), ("thre", "three"), ("monthly", "one")]
    {
        assert_eq!(ids(&format!("search={search}")).await, (vec![expected.to_owned()], 1), "{search}");
    }
    // Nothing in a search is a pattern.
    assert_eq!(ids("search=%25").await.1, 0);
    for query in ["limit=0", "limit=501", "limit=x", "offset=-1", "offset=4294967296"] {
        let (status, refused) = server.get(&format!("/api/workflows/?{query}")).await;
        let path = format!("/query/{}", query.split('=').next().unwrap());
        assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!(path)), "{query}");
    }
    // A change moves nothing to the front.
    reqwest::Client::new().put(server.url("/api/workflows/one")).json(&json!({ "name": "Changed" })).send().await.unwrap();
    assert_eq!(ids("limit=1").await.0, ["three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_that_runs_is_not_deleted_and_the_status_counts_it() {
    let server = start().await;
    let (_, started) = server.post("/api/workflows/known-slow/execute", &json!({})).await;
    let run = started["run_id"].as_str().unwrap().to_owned();
    let mut status = json!({});
    for _ in 0..100 {
        status = server.get("/api/workflows/status").await.1;
        if status["running"] == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(status, json!({ "status": "running", "details": status["details"], "workflows": 4, "running": 1, "queued": 0 }));
    let (code, refused) = delete(&server, "/api/workflows/known-slow").await;
    assert_eq!((code, &refused["error_code"]), (409, &json!("CONFLICT")));
    server.post(&format!("/api/runs/{run}/cancel"), &json!({})).await;
    for _ in 0..100 {
        if delete(&server, "/api/workflows/known-slow").await.0 == 200 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(server.get("/api/workflows/known-slow").await.0, 404);
    assert_eq!(server.get(&format!("/api/runs/{run}")).await.1["status"], "cancelled");
}

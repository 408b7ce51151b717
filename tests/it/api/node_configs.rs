//! `/api/node-configs`, by what runs with them.

use serde_json::{Value, json};

use super::served::{Server, node, start};
use super::snapshots::delete;

async fn put(server: &Server, path: &str, body: &Value) -> (u16, Value) {
    let answer = reqwest::Client::new().put(server.url(path)).json(body).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

/// A workflow whose second node says what its config tells it.
fn graph(id: &str, data: Value) -> Value {
    json!({
        "id": id, "name": format!("Graph {id}"),
        "nodes": [node("start", "manual_trigger", json!({})), { "id": "say", "type": "log_message", "data": data }],
        "edges": [{ "id": "e", "source": "start", "target": "say" }]
    })
}

async fn said(server: &Server, workflow: &str) -> Value {
    let (status, run) = server.post(&format!("/api/workflows/{workflow}/execute"), &json!({ "wait": true })).await;
    assert_eq!((status, &run["status"]), (200, &json!("succeeded")), "{run}");
    run["logs"][0]["message"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_is_stored_listed_changed_and_removed() {
    let server = start().await;
    // The seed's own request.
    let body = json!({ "node_type": "click_action", "config": { "x": 100, "y": 200, "button": "left" } });
    let (status, click) = server.post("/api/node-configs/", &body).await;
    assert_eq!(status, 201, "{click}");
    assert_eq!((&click["node_type"], &click["config"], &click["metadata"]), (&body["node_type"], &body["config"], &Value::Null));
    assert_eq!(click["id"].as_str().unwrap().len(), 36);
    let delay = json!({ "id": "pause", "node_type": "delay", "config": { "seconds": 0.5 }, "metadata": { "colour": "red" } });
    let (_, stored) = server.post("/api/node-configs", &delay).await;
    assert_eq!((&stored["id"], &stored["metadata"]), (&json!("pause"), &delay["metadata"]));
    assert_eq!(server.post("/api/node-configs", &delay).await.0, 409);

    let (_, all) = server.get("/api/node-configs").await;
    assert_eq!((&all["count"], &all["node_configs"][0]["id"], &all["node_configs"][1]), (&json!(2), &json!("pause"), &click));
    let (_, page) = server.get("/api/node-configs/?node_type=click_action&limit=1").await;
    assert_eq!(page, json!({ "node_configs": [click], "count": 1 }));
    assert_eq!(server.get("/api/node-configs/?limit=1&offset=1").await.1["node_configs"], json!([click]));

    // What was got is changed and put back.
    let path = "/api/node-configs/pause";
    let mut changed = stored.clone();
    changed["config"]["seconds"] = json!(2);
    let (status, updated) = put(&server, path, &changed).await;
    assert_eq!((status, &updated["config"]["seconds"], &updated["created_at"]), (200, &json!(2), &stored["created_at"]));
    assert_ne!(updated["updated_at"], stored["updated_at"]);
    assert_eq!(server.get(path).await, (200, updated));
    assert_eq!(delete(&server, path).await.0, 200);
    assert_eq!(delete(&server, path).await.0, 404);
    assert_eq!(server.get(path).await.0, 404);
    assert_eq!(put(&server, path, &delay).await.0, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_config_that_its_type_does_not_accept_is_refused_with_every_place() {
    let server = start().await;
    server.post("/api/node-configs", &json!({ "id": "mine", "node_type": "delay", "config": { "seconds": 1 } })).await;
    let long = "x".repeat(129);
    for (body, paths) in [
        (json!({ "node_type": "click_action", "config": { "x": "left", "z": 1 } }), vec!["/config/x", "/config/y", "/config/z"]),
        (json!({ "node_type": "delay", "config": { "seconds": "{{ 1 + }}" } }), vec!["/config/seconds"]),
        (json!({ "node_type": "delay" }), vec!["/config/seconds"]),
        (json!({ "node_type": "click_acton", "config": {} }), vec!["/node_type"]),
        (json!({ "config": {} }), vec!["/node_type"]),
        (json!({ "id": "../x", "node_type": "delay", "config": { "seconds": 1 } }), vec!["/id"]),
        (json!({ "id": long, "node_type": "delay", "config": { "seconds": 1 } }), vec!["/id"]),
        (json!({ "node_type": "delay", "config": null }), vec!["/config"]),
        (json!({ "node_type": "delay", "config": { "seconds": 1 }, "colour": 1 }), vec!["/colour"]),
    ] {
        let (status, refused) = server.post("/api/node-configs", &body).await;
        assert_eq!((status, &refused["error_code"]), (422, &json!("VALIDATION_ERROR")), "{body}: {refused}");
        let mut found: Vec<_> =
            refused["details"]["errors"].as_array().unwrap().iter().map(|error| error["path"].as_str().unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, paths, "{refused}");
    }
    let (status, refused) =
        put(&server, "/api/node-configs/mine", &json!({ "id": "other", "node_type": "delay", "config": { "seconds": 1 } })).await;
    assert_eq!((status, &refused["details"]["errors"][0]["path"]), (422, &json!("/id")));
    let (_, refused) = server.post("/api/node-configs", &json!({ "node_type": "click_acton" })).await;
    assert!(refused["error"].as_str().unwrap().contains("did you mean `click_action`"), "{refused}");
    assert_eq!(server.get("/api/node-configs").await.1["count"], 1);
    for query in ["limit=0", "limit=501", "offset=-1"] {
        assert_eq!(server.get(&format!("/api/node-configs?{query}")).await.0, 422, "{query}");
    }
    for bad in ["..%2Fx", "a%00", "%C3%A4", "unknown"] {
        assert_eq!(server.get(&format!("/api/node-configs/{bad}")).await.0, 404, "{bad}");
    }
    // An expression may stand wherever the value is only known later.
    let (status, _) =
        server.post("/api/node-configs", &json!({ "node_type": "click_action", "config": { "x": "{{ input.x }}", "y": 1 } })).await;
    assert_eq!(status, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_runs_with_the_stored_config_and_its_own_fields_over_it() {
    let server = start().await;
    let config = |message: &str| json!({ "node_type": "log_message", "config": { "message": message, "level": "warn" } });
    let mut first = config("stored");
    first["id"] = json!("greeting");
    assert_eq!(server.post("/api/node-configs", &first).await.0, 201);
    for (id, data) in [
        ("plain", json!({ "label": "Say", "config_id": "greeting" })),
        ("over", json!({ "config_id": "greeting", "config": { "message": "own" } })),
        ("beside", json!({ "config_id": "greeting", "message": "{{ 1 + 1 }} beside" })),
    ] {
        let (status, stored) = server.post("/api/workflows/", &graph(id, data)).await;
        assert_eq!((status, &stored["problems"]), (201, &json!([])), "{stored}");
    }
    assert_eq!((said(&server, "plain").await, said(&server, "over").await), (json!("stored"), json!("own")));
    let (_, run) = server.post("/api/workflows/beside/execute", &json!({ "wait": true })).await;
    assert_eq!((&run["logs"][0]["message"], &run["logs"][0]["level"]), (&json!("2 beside"), &json!("warn")));

    // A change takes effect at the next run, also of a workflow that was compiled already.
    assert_eq!(put(&server, "/api/node-configs/greeting", &config("changed")).await.0, 200);
    assert_eq!((said(&server, "plain").await, said(&server, "over").await), (json!("changed"), json!("own")));

    let (status, refused) = delete(&server, "/api/node-configs/greeting").await;
    assert_eq!((status, &refused["error_code"]), (409, &json!("CONFLICT")), "{refused}");
    let named: Vec<_> = refused["details"]["workflows"].as_array().unwrap().iter().map(|w| w["id"].as_str().unwrap()).collect();
    assert_eq!(named, ["beside", "over", "plain"]);
    assert!(refused["error"].as_str().unwrap().contains("Graph plain"), "{refused}");
    assert_eq!(said(&server, "plain").await, "changed");
    for id in ["plain", "over"] {
        delete(&server, &format!("/api/workflows/{id}")).await;
    }
    assert_eq!(put(&server, "/api/workflows/beside", &graph("beside", json!({ "message": "alone" }))).await.0, 200);
    assert_eq!(delete(&server, "/api/node-configs/greeting").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_named_config_is_a_problem_of_the_node() {
    let server = start().await;
    server.post("/api/node-configs", &json!({ "id": "pause", "node_type": "delay", "config": { "seconds": 1 } })).await;
    let problems = async |data: Value| {
        let (_, checked) = server.post("/api/workflows/validate", &graph("g", data)).await;
        let problems = checked["problems"].as_array().unwrap().clone();
        assert!(problems.iter().all(|problem| problem["node_id"] == "say"), "{checked}");
        problems
            .iter()
            .map(|problem| (problem["path"].as_str().unwrap().to_owned(), problem["message"].as_str().unwrap().to_owned()))
            .collect::<Vec<_>>()
    };
    let at = "/nodes/1/data/config_id".to_owned();
    for (id, words) in
        [(json!("nobody"), "no stored node config `nobody`"), (json!("pause"), "of the type `delay`"), (json!(7), "is a text")]
    {
        let found = problems(json!({ "config_id": id })).await;
        assert!(found.len() == 1 && found[0].0 == at && found[0].1.contains(words), "{found:?}");
    }
    // Nothing is named where null stands.
    assert_eq!(problems(json!({ "config_id": null, "config": { "message": "x" } })).await, []);
    // The node's own field is wrong, at the node; the stored one at the config, once its type has changed under it.
    server.post("/api/node-configs", &json!({ "id": "say", "node_type": "log_message", "config": { "message": "x" } })).await;
    assert_eq!(problems(json!({ "config_id": "say", "config": { "level": 5 } })).await[0].0, "/nodes/1/data/config/level");

    // A draft may name what is not there; it runs once that is.
    let (status, stored) = server.post("/api/workflows/", &graph("draft", json!({ "config_id": "later" }))).await;
    assert_eq!((status, &stored["problems"][0]["path"]), (201, &json!(at)));
    let (status, refused) = server.post("/api/workflows/draft/execute", &json!({})).await;
    assert_eq!(
        (status, &refused["error_code"], &refused["details"]["problems"][0]["node_id"]),
        (422, &json!("INVALID_WORKFLOW"), &json!("say"))
    );
    server.post("/api/node-configs", &json!({ "id": "later", "node_type": "log_message", "config": { "message": "at last" } })).await;
    assert_eq!(server.get("/api/workflows/draft").await.1["problems"], json!([]));
    assert_eq!(said(&server, "draft").await, "at last");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_follows_the_stored_config_that_names_its_path() {
    let server = start().await;
    let config = |path: &str| json!({ "id": "hook", "node_type": "webhook_trigger", "config": { "path": path } });
    server.post("/api/node-configs", &config("old")).await;
    let hooked =
        json!({ "id": "hooked", "nodes": [{ "id": "in", "type": "webhook_trigger", "data": { "config_id": "hook" } }], "edges": [] });
    assert_eq!(server.post("/api/workflows/", &hooked).await.0, 201);
    assert_eq!(server.post("/api/webhooks/old", &json!({})).await.0, 202);
    assert_eq!(put(&server, "/api/node-configs/hook", &config("new")).await.0, 200);
    assert_eq!(server.post("/api/webhooks/old", &json!({})).await.0, 404);
    assert_eq!(server.post("/api/webhooks/new", &json!({})).await.0, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_template_is_a_config_that_can_be_stored() {
    let server = start().await;
    let (_, all) = server.get("/api/node-configs/templates").await;
    let templates = all["templates"].as_array().unwrap();
    assert_eq!(all["count"], templates.len());
    let seeds =
        "manual_trigger webhook_trigger click_action type_action http_request_action if_condition delay n8n_webhook send_to_filesystem";
    for name in seeds.split(' ') {
        assert!(templates.iter().any(|template| template["node_type"] == name), "{name}");
    }
    for template in templates {
        let name = template["node_type"].as_str().unwrap();
        assert_eq!(server.get(&format!("/api/node-configs/templates/{name}")).await, (200, template.clone()));
        for field in ["name", "description", "category", "icon", "source"] {
            assert!(template[field].as_str().is_some_and(|text| !text.is_empty()), "{name}: {field}");
        }
        for field in ["schema", "template", "permissions"] {
            assert!(template[field].is_object(), "{name}: {field}");
        }
        for side in ["inputs", "outputs"] {
            let ports = template[side].as_array().unwrap();
            assert!(ports.iter().all(|port| port["id"].is_string() && port["label"].is_string()), "{name}: {side}");
        }
        let validator = jsonschema::draft202012::new(&template["schema"]).unwrap();
        assert!(validator.is_valid(&template["template"]), "{name}: {}", template["template"]);
        let body = json!({ "node_type": name, "config": template["template"] });
        let (status, stored) = server.post("/api/node-configs", &body).await;
        assert_eq!(status, 201, "{name}: {stored}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_type_dropped_into_the_folder_takes_configs_at_once() {
    let server = start().await;
    let source = "//! Twice.\n//! ---\n//! name = \"Twice\"\n//! category = \"data\"\n//! [config.n]\n//! type = \"integer\"\n//! required = true\n//! ---\nfn run(config, input) { 2 * config.n }\n";
    std::fs::write(server.data.path().join("scripts/nodes/twice.rhai"), source).unwrap();
    let mut template = Value::Null;
    for _ in 0..100 {
        let (status, found) = server.get("/api/node-configs/templates/twice").await;
        if status == 200 {
            template = found;
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!((&template["name"], &template["source"], &template["template"]), (&json!("Twice"), &json!("user"), &json!({ "n": 0 })));
    assert_eq!(server.post("/api/node-configs", &json!({ "node_type": "twice", "config": { "n": "x" } })).await.0, 422);
    assert_eq!(server.post("/api/node-configs", &json!({ "id": "t", "node_type": "twice", "config": { "n": 4 } })).await.0, 201);
    let graph = json!({ "id": "w", "nodes": [{ "id": "two", "type": "twice", "data": { "config_id": "t" } }], "edges": [] });
    server.post("/api/workflows/", &graph).await;
    let (_, run) = server.post("/api/workflows/w/execute", &json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["steps"][0]["output"]), (&json!("succeeded"), &json!(8)), "{run}");
}

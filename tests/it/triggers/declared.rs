//! Triggers in scripts' headers, triggers made over the API, and the start of the server.

use serde_json::{Value, json};

use super::house::House;

async fn save(house: &House, path: &str, header: &str, code: &str) -> (u16, Value) {
    let head: String = header.lines().map(|line| format!("//! {line}\n")).collect();
    let source = format!("//! A test.\n//! ---\n{head}//! ---\n{code}");
    house.send("PUT", &format!("/api/scripts/{path}"), Some(&json!({ "source": source }))).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_starts_by_what_its_header_declares() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    std::fs::create_dir_all(data.path().join("files/inbox")).unwrap();
    let header = "[[triggers]]\ntype = \"webhook\"\npath = \"orders/{id}\"\nrespond = \"response_node\"\n\
                  [[triggers]]\ntype = \"watch_folder\"\npath = \"inbox\"\nstable_seconds = 0.05\n\
                  [[triggers]]\ntype = \"schedule\"\nevery = \"1s\"\noverlap = \"allow\"\n\
                  [[triggers]]\ntype = \"startup\"";
    let code = "if input.method != () { flow::respond(#{ status: 201, body: #{ id: input.params.id } }); }\ninput";
    assert_eq!(save(&house, "all/four.rhai", header, code).await.0, 201);
    let list = house.until("/api/triggers", |list| list["count"] == 4).await;
    let ids: Vec<_> = list["triggers"].as_array().unwrap().iter().map(|trigger| trigger["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["script:all/four.rhai#1", "script:all/four.rhai#2", "script:all/four.rhai#3", "script:all/four.rhai#4"]);
    let shown = house.get("/api/triggers/script%3Aall%2Ffour.rhai%231").await;
    assert_eq!(
        (&shown["type"], &shown["source"], &shown["armed"]),
        (&json!("webhook"), &json!({ "script": "all/four.rhai" }), &json!(true))
    );
    assert_eq!(house.send("POST", "/api/webhooks/orders/4711", Some(&json!({}))).await, (201, json!({ "id": "4711" })));
    std::fs::write(data.path().join("files/inbox/a.txt"), "abc").unwrap();
    let by = |kind: &'static str| {
        move |page: &Value| {
            page["runs"]
                .as_array()
                .unwrap()
                .iter()
                .any(|run| run["trigger"].as_str().unwrap().starts_with(kind) && run["status"] == "succeeded")
        }
    };
    const RUNS: &str = "/api/runs?script=all/four.rhai&limit=500";
    for kind in ["watch_folder:script:", "schedule:script:", "webhook:"] {
        house.until(RUNS, by(kind)).await;
    }
    let schedule = house.until("/api/triggers/script%3Aall%2Ffour.rhai%233", |trigger| trigger["last_fired"].is_string()).await;
    assert!(schedule["next_due"].is_string(), "{schedule}");
    let runs = house.get(RUNS).await;
    let scheduled = runs["runs"].as_array().unwrap().iter().find(|run| run["result"]["scheduled_at"].is_string()).unwrap().clone();
    assert_eq!(scheduled["kind"], "script");
    assert!(!runs.to_string().contains("startup:"), "it was declared after the start");
    assert_eq!(house.send("DELETE", "/api/triggers/script%3Aall%2Ffour.rhai%231", None).await.0, 409);
    // With the next start it is there from the beginning.
    house.close().await;
    let house = House::open(data.path()).await;
    let page = house.until(RUNS, by("startup:script:all/four.rhai#4")).await;
    let starts = |page: &Value| page["runs"].as_array().unwrap().iter().filter(|run| run["result"]["started_at"].is_string()).count();
    assert_eq!(starts(&page), 1);
    assert_eq!(house.send("POST", "/api/health/restart/triggers", None).await.0, 200);
    // The last good version, and what it declares, stays until the file is whole again or gone.
    assert_eq!(house.send("DELETE", "/api/scripts/all/four.rhai", None).await.0, 200);
    house.until("/api/triggers", |list| list["count"] == 0).await;
    assert_eq!(house.send("POST", "/api/webhooks/orders/1", Some(&json!({}))).await.0, 404);
    assert_eq!(starts(&house.get(RUNS).await), 1, "a service that is started again is no start of the server");
    let metrics = reqwest::get(format!("{}/metrics", house.url)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("trae_trigger_firings_total{type=\"startup\"} 1"), "{metrics}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_declares_what_cannot_be_is_refused_with_the_line() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    for (header, line, word) in [
        ("name = \"x\"\n[[triggers]]\ntype = \"schedule\"\ncron = \"99 * * * *\"", 4, "cron"),
        (
            "[[triggers]]\ntype = \"startup\"\n[[triggers]]\ntype = \"schedule\"\ncron = \"0 7 * * *\"\ntimezone = \"Nowhere/Here\"",
            5,
            "IANA",
        ),
        ("[[triggers]]\npath = \"x\"", 3, "type"),
        ("[[triggers]]\ntype = \"watch_folder\"\npath = \"x\"\nfile = \"y\"", 3, "file"),
    ] {
        let (status, answer) = save(&house, "wrong.rhai", header, "1").await;
        assert_eq!((status, &answer["error_code"], &answer["details"]["line"]), (422, &json!("SCRIPT_ERROR"), &json!(line)), "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(word), "{answer}");
    }
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_with_a_schedule_that_cannot_be_has_a_problem() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    let graph = json!({ "id": "w", "nodes": [{ "id": "at", "type": "schedule_trigger", "data": { "config": { "cron": "0 25 * * *" } } }], "edges": [] });
    let (status, answer) = house.send("POST", "/api/workflows/", Some(&graph)).await;
    let problem = &answer["problems"][0];
    assert_eq!((status, &problem["path"], &problem["node_id"]), (201, &json!("/nodes/0/data/config/cron"), &json!("at")), "{answer}");
    assert!(problem["message"].as_str().unwrap().contains("no cron pattern"), "{problem}");
    let trigger = house.get("/api/triggers/w:at").await;
    assert!(trigger["armed"] == false && trigger["reason"].as_str().unwrap().contains("no cron pattern"), "{trigger}");
    assert_eq!(house.send("POST", "/api/workflows/w/execute", Some(&json!({}))).await.1["error_code"], "INVALID_WORKFLOW");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_can_be_made_without_being_drawn() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    let say = json!([{ "id": "a", "type": "manual_trigger" }, { "id": "b", "type": "transform", "data": { "config": { "expression": "[params, input.scheduled_at != ()]" } } }]);
    house.draw("w", say, json!([{ "id": "e", "source": "a", "target": "b" }])).await;
    let draft = json!({ "type": "schedule", "source": { "workflow_id": "w", "node_id": "b" }, "config": { "every": "1s" }, "parameters": { "word": "hi" } });
    let (status, made) = house.send("POST", "/api/triggers", Some(&draft)).await;
    assert_eq!(
        (status, &made["armed"], &made["source"], &made["config"]),
        (201, &json!(true), &draft["source"], &draft["config"]),
        "{made}"
    );
    let path = format!("/api/triggers/{}", made["id"].as_str().unwrap());
    let fired = |page: &Value| page["runs"].as_array().unwrap().iter().any(|run| run["result"] == json!([{ "word": "hi" }, true]));
    house.until("/api/runs?workflow_id=w", fired).await;
    house.until(&path, |trigger| trigger["next_due"].is_string()).await;
    house.close().await;
    let house = House::open(data.path()).await;
    house.until(&path, |trigger| trigger["armed"] == true && trigger["last_fired"].is_string()).await;
    assert_eq!(house.send("PATCH", &path, Some(&json!({ "enabled": false }))).await.1["armed"], false);
    house.until("/api/runs?workflow_id=w", |page| page["runs"].as_array().unwrap().iter().all(|run| run["finished_at"].is_string())).await;
    assert_eq!(house.send("DELETE", "/api/workflows/w", None).await.0, 200);
    assert_eq!(house.send("PATCH", &path, Some(&json!({ "enabled": true }))).await.0, 200);
    assert!(house.get(&path).await["reason"].as_str().unwrap().contains("no workflow"));
    assert_eq!(house.send("DELETE", &path, None).await.0, 200);
    assert_eq!(house.send("DELETE", &path, None).await.0, 404);
    for (draft, path) in [
        (json!({ "type": "schedule", "source": { "workflow_id": "none" }, "config": { "every": "1s" } }), "/source/workflow_id"),
        (json!({ "type": "schedule", "source": { "script": "none" }, "config": { "every": "1s" } }), "/source/script"),
        (json!({ "type": "schedule", "source": {}, "config": { "every": "1s" } }), "/source"),
        (json!({ "type": "schedule", "source": { "script": "hello" }, "config": { "every": "often" } }), "/config/every"),
        (json!({ "type": "dream", "source": { "script": "hello" } }), "/type"),
    ] {
        let (status, answer) = house.send("POST", "/api/triggers", Some(&draft)).await;
        let paths: Vec<_> = answer["details"]["errors"].as_array().unwrap().iter().map(|error| error["path"].as_str().unwrap()).collect();
        assert!(status == 422 && paths.contains(&path), "{answer}");
    }
    house.draw("hook", json!([{ "id": "h", "type": "webhook_trigger", "data": { "config": { "path": "h" } } }]), json!([])).await;
    let (status, refused) = house.send("DELETE", "/api/triggers/hook:h", None).await;
    assert_eq!((status, &refused["details"]["source"]), (409, &json!({ "workflow_id": "hook", "node_id": "h" })), "{refused}");
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_tried_out_by_whoever_may_start_workflows() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open_with(data.path(), |config| config.security.api_key_enabled = true).await;
    let key = |scope: &str| {
        let (app, scope) = (std::sync::Arc::clone(&house.app), scope.parse::<trae::keys::Scope>().unwrap());
        async move { app.keys.create("a test", [scope].into_iter().collect()).await.unwrap().0 }
    };
    let (writes, reads) = (key("workflows").await, key("read").await);
    let call = async |method: &str, path: &str, key: &str, body: Value| {
        let request = reqwest::Client::new().request(method.parse().unwrap(), format!("{}{path}", house.url)).bearer_auth(key).json(&body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    let config = json!({ "path": "try/{n}", "respond": "on_finish", "dedupe_key": "/params/n" });
    let graph = json!({ "id": "w", "nodes": [{ "id": "h", "type": "webhook_trigger", "data": { "config": config } }], "edges": [] });
    assert_eq!(call("POST", "/api/workflows/", &writes, graph).await.0, 201);
    assert_eq!(call("PATCH", "/api/triggers/w:h", &writes, json!({ "enabled": false })).await.0, 200);
    assert_eq!(call("POST", "/api/webhooks-test/try/1", &reads, json!({})).await.0, 403);
    assert_eq!(house.send("POST", "/api/webhooks-test/try/1", None).await.0, 401);
    assert_eq!(house.send("POST", "/api/webhooks/try/1", None).await.0, 404);
    let (status, answer) = call("POST", "/api/webhooks-test/try/1", &writes, json!({ "a": 1 })).await;
    assert_eq!(
        (status, &answer["result"]["params"], &answer["result"]["body"]),
        (200, &json!({ "n": "1" }), &json!({ "a": 1 })),
        "{answer}"
    );
    let run = call("GET", &format!("/api/runs/{}", answer["run_id"].as_str().unwrap()), &reads, Value::Null).await.1;
    assert_eq!(run["trigger"], "webhook_test:try/1");
    // Switched on, the same call again is answered with the first one's result.
    assert_eq!(call("PATCH", "/api/triggers/w:h", &writes, json!({ "enabled": true })).await.0, 200);
    let (_, first) = house.send("POST", "/api/webhooks/try/1", Some(&json!({ "a": 1 }))).await;
    let (status, again) = house.send("POST", "/api/webhooks/try/1", Some(&json!({ "a": 2 }))).await;
    assert_eq!((status, &again["run_id"], &again["result"]), (200, &first["run_id"], &first["result"]), "{again}");
    assert_eq!((&first["duplicate"], &again["duplicate"]), (&Value::Null, &json!(true)));
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_are_armed_as_they_stand() {
    let data = tempfile::tempdir().unwrap();
    let house = House::open(data.path()).await;
    std::fs::create_dir_all(data.path().join("files/inbox")).unwrap();
    for (id, graph) in [
        ("folder", include_str!("../../../examples/workflows/watched_folder.json")),
        ("schedule", include_str!("../../../examples/workflows/schedule.json")),
        ("startup", include_str!("../../../examples/workflows/startup.json")),
        ("orders", include_str!("../../../examples/workflows/webhook_orders.json")),
    ] {
        let mut graph: Value = serde_json::from_str(graph).unwrap();
        graph["id"] = json!(id);
        let (status, answer) = house.send("POST", "/api/workflows/", Some(&graph)).await;
        assert!(status == 201 && answer["problems"] == json!([]), "{answer}");
    }
    let is_armed = |trigger: &&Value| trigger["armed"] == true && trigger["reason"].is_null();
    house.until("/api/triggers", |list| list["triggers"].as_array().unwrap().iter().filter(is_armed).count() == 4).await;
    let mut duplicates = Vec::new();
    for _ in 0..2 {
        let (_, answer) = house.send("POST", "/api/webhooks/orders/ada", Some(&json!({ "number": 7 }))).await;
        assert!(answer == json!({ "customer": "ada", "number": 7 }) || answer["run_id"].is_string(), "{answer}");
        duplicates.push(answer["duplicate"] == true);
    }
    assert_eq!((duplicates, &house.get("/api/runs?workflow_id=orders").await["count"]), (vec![false, true], &json!(1)));
    std::fs::write(data.path().join("files/inbox/a.txt"), "hello").unwrap();
    std::fs::write(data.path().join("files/inbox/b.txt"), "").unwrap();
    let there = |name: &str| data.path().join("files").join(name).exists();
    while !there("inbox/done/a.txt") || !there("inbox/failed/b.txt") {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(std::fs::read_to_string(data.path().join("files/received.log")).unwrap(), "a.txt: 5 bytes\n");
    house.close().await;
    let house = House::open(data.path()).await;
    house.until("/api/runs?workflow_id=startup", |page| page["runs"][0]["status"] == "succeeded").await;
    house.close().await;
}

//! `/api/health`: how the server and its parts are, by what happens to them.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::served::{self, Server, start};

const NAMES: [&str; 12] = [
    "live_desktop",
    "click_automation",
    "enhanced_ocr",
    "node",
    "graph_execution",
    "n8n_integration",
    "shell",
    "snapshot",
    "scripts",
    "triggers",
    "storage",
    "proxmox",
];

async fn report(server: &Server, name: &str) -> Value {
    server.get(&format!("/api/health/service/{name}")).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_shown_with_its_state_and_the_machine_with_its_load() {
    let server = start().await;
    let (status, health) = server.get("/api/health/").await;
    assert_eq!((status, &health["status"], &health["version"]), (200, &json!("healthy"), &json!(env!("CARGO_PKG_VERSION"))));
    assert!(health["uptime"].is_u64() && health["timestamp"].is_string(), "{health}");
    let (_, detailed) = server.get("/api/health/detailed").await;
    let services = detailed["services"].as_object().unwrap();
    assert_eq!(services.keys().map(String::as_str).collect::<BTreeSet<_>>(), NAMES.into_iter().collect());
    for (name, service) in services {
        let expected = if name == "proxmox" { "disabled" } else { "running" };
        assert_eq!(service["status"], expected, "{name}: {service}");
        assert!(service["details"].as_str().is_some_and(|details| !details.is_empty()), "{name}: {service}");
        assert!(chrono::DateTime::parse_from_rfc3339(service["since"].as_str().unwrap()).is_ok());
        assert_eq!(report(&server, name).await["name"], name.as_str());
    }
    assert!(detailed["system_info"]["memory_usage"].as_f64().unwrap() > 0.0, "{detailed}");
    assert!(detailed["system_info"]["cpu_usage"].is_f64());
    assert_eq!(server.get("/api/health/service/nothing").await.0, 404);
    let (status, refused) = server.post("/api/health/restart/nothing", &json!({})).await;
    assert_eq!((status, &refused["details"]["kind"]), (404, &json!("service")));
    let (status, refused) = server.post("/api/health/restart/proxmox", &json!({})).await;
    assert_eq!((status, &refused["details"]["service"]), (503, &json!("proxmox")));
    assert!(refused["error"].as_str().unwrap().contains("PROXMOX_HOST"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_can_be_started_anew_and_says_so() {
    let server = start().await;
    for name in NAMES.into_iter().filter(|name| *name != "proxmox") {
        let (status, answer) = server.post(&format!("/api/health/restart/{name}"), &json!({})).await;
        assert_eq!((status, &answer["success"], &answer["data"]["status"]), (200, &json!(true), &json!("running")), "{name}: {answer}");
        assert_eq!(report(&server, name).await["restarts"], 1, "{name}");
    }
    assert_eq!(server.get("/api/health/").await.1["status"], "healthy");
    // Everything works as before.
    let (_, run) = server.post("/api/workflows/known/execute", &json!({ "wait": true, "parameters": { "word": "still here" } })).await;
    assert_eq!((&run["status"], &run["logs"][0]["message"]), (&json!("succeeded"), &json!("still here")));
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_wait_while_their_part_is_restarted_go_on_waiting() {
    let server = start().await;
    let (_, started) = server.post("/api/workflows/known-slow/execute", &json!({})).await;
    let id = started["run_id"].as_str().unwrap();
    let waits = async || {
        while server.get(&format!("/api/runs/{id}")).await.1["status"] != "waiting" {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), waits()).await.expect("it waits");
    let until = server.get(&format!("/api/runs/{id}")).await.1["waits"][0]["until"].clone();
    assert_eq!(server.post("/api/health/restart/graph_execution", &json!({})).await.0, 200);
    let (_, run) = server.get(&format!("/api/runs/{id}")).await;
    assert_eq!((&run["status"], &run["waits"][0]["until"]), (&json!("waiting"), &until), "{run}");
    assert_eq!(server.post("/api/workflows/known/execute", &json!({ "wait": true })).await.1["status"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_fails_with_the_reason_while_its_part_is_off() {
    let server = served::start_with(|config| config.services.click_automation = false).await;
    let (_, run) = server.post("/api/scripts/hello/run", &json!({ "wait": true })).await;
    assert_eq!(run["status"], "succeeded", "what needs no mouse goes on: {run}");
    let source = "//! Clicks.\n//! ---\n//! permissions = { input = true }\n//! ---\nmouse::click(1, 1);";
    let client = reqwest::Client::new();
    let put = client.put(server.url("/api/scripts/click.rhai")).json(&json!({ "source": source })).send().await.unwrap();
    assert_eq!(put.status(), 201);
    let (_, run) = server.post("/api/scripts/click/run", &json!({ "wait": true })).await;
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("SERVICE_UNAVAILABLE")), "{run}");
    assert!(run["error"]["message"].as_str().unwrap().contains("ENABLE_CLICK_AUTOMATION"), "{run}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_cannot_read_serves_all_the_same_and_is_degraded() {
    let server = served::start_with(|config| config.ocr.languages = vec!["xyz".to_owned()]).await;
    assert_eq!(server.get("/api/health/").await.1["status"], "degraded");
    let ocr = report(&server, "enhanced_ocr").await;
    assert_eq!(ocr["status"], "failed");
    assert!(ocr["details"].as_str().unwrap().contains("apt-get install"), "{ocr}");
    assert_eq!(server.post("/api/workflows/known/execute", &json!({ "wait": true })).await.1["status"], "succeeded");
    // Tried again by itself.
    let again = async {
        while report(&server, "enhanced_ocr").await["restarts"].as_u64().unwrap() < 2 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again).await.expect("it is tried again");
    assert_eq!(server.post("/api/health/restart/enhanced_ocr", &json!({})).await.0, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_start_nothing_while_triggers_are_stopped() {
    let server = start().await;
    let hook = served::node("hook", "webhook_trigger", json!({ "path": "orders" }));
    server.post("/api/workflows/", &json!({ "id": "orders", "nodes": [hook], "edges": [] })).await;
    assert_eq!(server.post("/api/webhooks/orders", &json!({})).await.0, 202);
    assert_eq!(report(&server, "triggers").await["details"], "1 webhook armed");
    server.app.triggers.disarm().await;
    let (status, refused) = server.post("/api/webhooks/orders", &json!({})).await;
    assert_eq!((status, &refused["details"]["service"]), (503, &json!("triggers")));
    assert_eq!(server.post("/api/health/restart/triggers", &json!({})).await.0, 200);
    assert_eq!(server.post("/api/webhooks/orders", &json!({})).await.0, 202, "armed again from the store");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_does_with_a_part_ends_with_it() {
    let server = start().await;
    let source = "//! ---\n//! permissions = { shell = [\"bash\"], write = [\"*\"] }\n//! ---\n\
        shell::run(#{ command: \"echo $$ > pid.part && mv pid.part pid; sleep 600; true\", timeout: 300 })";
    let put = reqwest::Client::new().put(server.url("/api/scripts/long.rhai")).json(&json!({ "source": source })).send().await.unwrap();
    assert_eq!(put.status(), 201);
    let (_, started) = server.post("/api/scripts/long/run", &json!({})).await;
    let pid = async {
        loop {
            match std::fs::read_to_string(server.data.path().join("files/pid")) {
                Ok(pid) => return pid.trim().to_owned(),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    };
    let pid = tokio::time::timeout(Duration::from_secs(30), pid).await.expect("the command runs");
    assert_eq!(server.post("/api/health/restart/shell", &json!({})).await.0, 200);
    let ended = async {
        loop {
            let (_, run) = server.get(&format!("/api/runs/{}", started["run_id"].as_str().unwrap())).await;
            match run["status"].as_str() {
                Some("running") => tokio::time::sleep(Duration::from_millis(20)).await,
                _ => return run,
            }
        }
    };
    let run = tokio::time::timeout(Duration::from_secs(10), ended).await.expect("the run ends");
    assert_eq!((&run["status"], &run["error"]["code"]), (&json!("failed"), &json!("SERVICE_UNAVAILABLE")), "{run}");
    let gone = async {
        while std::path::Path::new(&format!("/proc/{pid}")).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone).await.expect("the command is gone");
}

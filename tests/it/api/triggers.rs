//! `/api/triggers`, and what webhooks want of those who call them.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;

use super::served::{Server, node, start};

async fn listen(server: &Server, id: &str, config: Value) {
    let graph = json!({ "id": id, "nodes": [node("hook", "webhook_trigger", config)], "edges": [] });
    assert_eq!(server.post("/api/workflows/", &graph).await.0, 201);
}

async fn switch(server: &Server, id: &str, enabled: bool) -> (u16, Value) {
    let answer = reqwest::Client::new().patch(server.url(&format!("/api/triggers/{id}"))).json(&json!({ "enabled": enabled }));
    let answer = answer.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn triggers_are_listed_with_the_reason_why_they_are_not_armed() {
    let server = start().await;
    listen(&server, "orders", json!({ "path": "orders", "secret": "s3cret", "respond": "on_finish" })).await;
    let draft =
        json!({ "id": "draft", "nodes": [node("hook", "webhook_trigger", json!({ "path": "draft" })), node("odd", "nope", json!({}))] });
    server.post("/api/workflows/", &draft).await;
    let (_, list) = server.get("/api/triggers").await;
    assert_eq!(list["count"], 2, "{list}");
    let [draft, orders] = &list["triggers"].as_array().unwrap()[..] else { panic!("{list}") };
    assert_eq!((&draft["id"], &draft["armed"], &draft["enabled"]), (&json!("draft:hook"), &json!(false), &json!(true)));
    assert!(draft["reason"].as_str().unwrap().contains("nope"), "{draft}");
    assert_eq!((&orders["type"], &orders["source"]["workflow_id"], &orders["armed"]), (&json!("webhook"), &json!("orders"), &json!(true)));
    assert_eq!((&orders["reason"], &orders["last_fired"], &orders["config"]["path"]), (&Value::Null, &Value::Null, &json!("orders")));
    assert!(!list.to_string().contains("s3cret"), "secrets stay inside");
    assert_eq!(server.get("/api/triggers/orders:hook").await.1, *orders);
    for unknown in ["orders:other", "none:hook", "nonsense"] {
        assert_eq!(server.get(&format!("/api/triggers/{unknown}")).await.0, 404);
        assert_eq!(switch(&server, unknown, true).await.0, 404);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_that_is_switched_off_stays_off() {
    let server = start().await;
    listen(&server, "orders", json!({ "path": "orders" })).await;
    assert_eq!(server.post("/api/webhooks/orders", &json!({})).await.0, 202);
    let (status, off) = switch(&server, "orders:hook", false).await;
    assert_eq!((status, &off["enabled"], &off["armed"]), (200, &json!(false), &json!(false)), "{off}");
    assert!(off["last_fired"].is_string() && off["reason"].is_string(), "{off}");
    assert_eq!(server.post("/api/webhooks/orders", &json!({})).await.0, 404);
    // Neither a change of the workflow nor a restart switches it on again.
    let graph = json!({ "nodes": [node("hook", "webhook_trigger", json!({ "path": "orders/new" }))] });
    reqwest::Client::new().put(server.url("/api/workflows/orders")).json(&graph).send().await.unwrap();
    server.post("/api/health/restart/triggers", &json!({})).await;
    assert_eq!(server.post("/api/webhooks/orders/new", &json!({})).await.0, 404);
    assert_eq!(switch(&server, "orders:hook", true).await.1["armed"], true);
    assert_eq!(server.post("/api/webhooks/orders/new", &json!({})).await.0, 202);
    // It goes with its workflow.
    switch(&server, "orders:hook", false).await;
    let over = async {
        while reqwest::Client::new().delete(server.url("/api/workflows/orders")).send().await.unwrap().status() == 409 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    over.await;
    listen(&server, "orders", json!({ "path": "orders" })).await;
    assert_eq!(server.post("/api/webhooks/orders", &json!({})).await.0, 202);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_with_a_secret_wants_a_signature_and_its_own_methods() {
    let server = start().await;
    listen(&server, "signed", json!({ "path": "signed", "secret": "It's a secret", "methods": ["POST", "PUT"] })).await;
    let body = r#"{"total": 150}"#;
    let mut mac = Hmac::<Sha256>::new_from_slice(b"It's a secret").unwrap();
    mac.update(body.as_bytes());
    let right: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let wrong = right.chars().rev().collect::<String>();
    let client = reqwest::Client::new();
    let send = async |signature: Option<String>| {
        let mut request = client.post(server.url("/api/webhooks/signed")).header("content-type", "application/json").body(body);
        if let Some(signature) = signature {
            request = request.header("x-signature-256", signature);
        }
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send(Some(format!("sha256={right}"))).await, 202);
    assert_eq!(send(Some(format!("sha256={wrong}"))).await, 401);
    assert_eq!(send(Some(right)).await, 401);
    assert_eq!(send(None).await, 401);
    assert_eq!(server.get("/api/runs?workflow_id=signed").await.1["count"], 1);
    let refused = client.patch(server.url("/api/webhooks/signed")).body(body).send().await.unwrap();
    assert_eq!(refused.status(), 405);
    let refused: Value = refused.json().await.unwrap();
    assert_eq!((&refused["error_code"], &refused["details"]["allowed"]), (&json!("METHOD_NOT_ALLOWED"), &json!(["POST", "PUT"])));
}

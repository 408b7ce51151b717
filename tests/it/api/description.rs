//! `/openapi.json` and `/docs`.

use std::collections::BTreeSet;

use serde_json::Value;

use super::served;

#[tokio::test]
async fn every_route_is_described_and_every_reference_leads_somewhere() {
    let server = served::start().await;
    let text = reqwest::get(server.url("/openapi.json")).await.unwrap().text().await.unwrap();
    let description: Value = serde_json::from_str(&text).unwrap();
    assert!(description["openapi"].as_str().unwrap().starts_with("3.1"));
    let described: BTreeSet<String> =
        description["paths"].as_object().unwrap().keys().map(|path| path.trim_end_matches('/').to_owned()).collect();
    let routed: BTreeSet<String> = trae::api::routes().iter().map(|path| path.replace('*', "")).collect();
    assert_eq!(described, routed);
    for path in ["/api/health/", "/api/workflows/", "/api/workflows/{workflow_id}/execute", "/api/webhooks/{path}"] {
        assert!(description["paths"][path].is_object(), "{path}");
    }
    let mut ids = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap_or_default();
            assert!(path.contains("webhooks") || ids.insert(id.to_owned()), "{method} {path}: {id:?} is taken");
        }
    }
    for reference in text.split("\"$ref\":\"#").skip(1) {
        let pointer = reference.split('"').next().unwrap();
        assert!(description.pointer(pointer).is_some(), "{pointer} leads nowhere");
    }
}

#[tokio::test]
async fn the_page_and_its_parts_come_from_this_server_alone() {
    let server = served::start().await;
    for path in ["/docs", "/docs/"] {
        let answer = reqwest::get(server.url(path)).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().contains("frame-ancestors 'none'"));
        let page = answer.text().await.unwrap();
        let parts: Vec<&str> = page.split(['"']).filter(|text| text.starts_with('/') && text.contains("docs/")).collect();
        assert!(parts.len() >= 4 && !page.contains("http"), "{page}");
        for part in parts {
            assert_eq!(reqwest::get(server.url(part)).await.unwrap().status(), 200, "{part}");
        }
    }
    let start = reqwest::get(server.url("/docs/swagger-initializer.js")).await.unwrap().text().await.unwrap();
    assert!(start.contains("/openapi.json"), "{start}");
}

#[tokio::test]
async fn with_keys_on_each_operation_says_what_it_asks_for() {
    let server = served::start_with(|config| {
        config.security.api_key_enabled = true;
        config.application.name = "Mine".to_owned();
    })
    .await;
    let description: Value = reqwest::get(server.url("/openapi.json")).await.unwrap().json().await.unwrap();
    assert_eq!(description["info"]["title"], "Mine");
    let schemes = &description["components"]["securitySchemes"];
    assert_eq!(schemes["bearer"]["scheme"], "bearer");
    assert_eq!(schemes["api_key"]["name"], "X-API-Key");
    let click = &description["paths"]["/api/automation/mouse/click"]["post"]["security"];
    assert_eq!(*click, serde_json::json!([{ "bearer": ["desktop"] }, { "api_key": ["desktop"] }]));
    assert_eq!(description["paths"]["/api/health/"]["get"]["security"], serde_json::json!([]));
    let open = served::start().await;
    let description: Value = reqwest::get(open.url("/openapi.json")).await.unwrap().json().await.unwrap();
    assert!(description["paths"]["/api/automation/mouse/click"]["post"]["security"].is_null());
}

//! `/metrics`: what happened is counted, in the format that Prometheus reads.

use serde_json::json;

use super::served::{Server, start};

async fn metrics(server: &Server) -> String {
    let answer = reqwest::get(server.url("/metrics")).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("application/openmetrics-text"));
    answer.text().await.unwrap()
}

/// The value of exactly this line.
fn value(text: &str, line: &str) -> f64 {
    let found = text.lines().find_map(|known| known.strip_prefix(line)?.strip_prefix(' ')?.parse().ok());
    found.unwrap_or_else(|| panic!("{line} is not among\n{text}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_runs_and_parts_are_counted() {
    let server = start().await;
    for word in ["one", "two"] {
        server.post("/api/workflows/known/execute", &json!({ "wait": true, "parameters": { "word": word } })).await;
    }
    server.get("/api/runs/unknown").await;
    server.get("/nowhere").await;
    let _socket = tokio_tungstenite::connect_async(format!("ws://{}/api/ws/echo", server.address)).await.unwrap();
    server.post("/api/health/restart/node", &json!({})).await;
    let text = metrics(&server).await;
    for (line, expected) in [
        (r#"trae_http_requests_total{method="POST",route="/api/workflows/{workflow_id}/execute",status="200"}"#, 2.0),
        (r#"trae_http_requests_total{method="GET",route="/api/runs/{run_id}",status="404"}"#, 1.0),
        (r#"trae_http_requests_total{method="GET",route="none",status="404"}"#, 1.0),
        (r#"trae_http_request_seconds_count{method="GET",route="/api/runs/{run_id}",status="404"}"#, 1.0),
        (r#"trae_runs_total{status="succeeded"}"#, 2.0),
        (r#"trae_runs_total{status="failed"}"#, 0.0),
        ("trae_run_seconds_count", 2.0),
        ("trae_step_seconds_count", 4.0),
        (r#"trae_step_seconds_bucket{le="+Inf"}"#, 4.0),
        ("trae_queue_depth", 0.0),
        (r#"trae_sockets{path="/ws/echo"}"#, 1.0),
        (r#"trae_service_up{service="storage"}"#, 1.0),
        (r#"trae_service_restarts_total{service="node"}"#, 1.0),
        (r#"trae_runners{state="busy"}"#, 0.0),
        ("trae_streams", 0.0),
        (r#"trae_ocr_seconds_count{engine="tesseract"}"#, 0.0),
    ] {
        assert!((value(&text, line) - expected).abs() < 1e-9, "{line} should be {expected}:\n{text}");
    }
    assert!(value(&text, r#"trae_store_bytes{part="database"}"#) > 0.0);
    assert!(!text.contains("proxmox"), "what is switched off is not down:\n{text}");
    assert_eq!(text.lines().last(), Some("# EOF"));
    // Each figure once.
    let mut names: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

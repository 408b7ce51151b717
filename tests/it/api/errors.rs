//! `errors.json`: each row a request, and the error that it has to provoke.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::served;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    method: String,
    path: String,
    #[serde(default)]
    headers: Map<String, Value>,
    /// Its `Content-Type`; JSON where nothing is said.
    #[serde(default = "json_type", rename = "type")]
    content_type: Option<String>,
    body: Option<String>,
    status: u16,
    code: String,
    allow: Option<String>,
    #[serde(default)]
    details: Map<String, Value>,
    /// The paths in `details.errors`, sorted.
    paths: Option<Vec<String>>,
}

fn json_type() -> Option<String> {
    Some("application/json".to_owned())
}

#[tokio::test]
async fn each_request_provokes_its_error() {
    provoke(&served::start().await, include_str!("errors.json")).await;
}

/// Sends the request of each row, and looks at the error.
pub async fn provoke(server: &served::Server, rows: &str) {
    let client = reqwest::Client::new();
    let rows: Vec<Row> = serde_json::from_str(rows).unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        let mut request = client.request(Method::from_bytes(row.method.as_bytes()).unwrap(), server.url(&row.path));
        for (name, value) in &row.headers {
            request = request.header(name, value.as_str().unwrap());
        }
        if let Some(body) = &row.body {
            request = request.body(body.clone());
            if let Some(kind) = &row.content_type {
                request = request.header("content-type", kind);
            }
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let headers = answer.headers().clone();
        let text = answer.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap_or_default();
        let allow = headers.get("allow").map(|allow| allow.to_str().unwrap().to_owned());
        let mut paths: Vec<String> = body["details"]["errors"]
            .as_array()
            .map(|errors| errors.iter().map(|error| error["path"].as_str().unwrap().to_owned()).collect())
            .unwrap_or_default();
        paths.sort();
        let right = status == row.status
            && body["error_code"] == row.code
            && headers["content-type"] == "application/json"
            && headers["x-content-type-options"] == "nosniff"
            && body["error"].as_str().is_some_and(|sentence| sentence.len() > 10)
            && body["timestamp"].as_str().is_some_and(|at| chrono::DateTime::parse_from_rfc3339(at).is_ok())
            && (row.allow.is_none() || row.allow == allow)
            && row.details.iter().all(|(name, value)| body["details"][name] == *value)
            && row.paths.is_none_or(|expected| expected == paths);
        if !right {
            wrong.push(format!("{}: {status} {allow:?} {text}", row.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

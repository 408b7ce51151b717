//! `errors.json`: each row a request, and the error that it has to provoke. `errors_contract.json`: what the contract lists.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use trae::config::DisplayMode;

use super::served::{self, Server};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    /// Of what kind the server is; the usual one where nothing is said.
    #[serde(default)]
    server: Kind,
    method: String,
    path: String,
    /// `{read}` and the like stand for a key with that scope.
    #[serde(default)]
    headers: Map<String, Value>,
    /// Its `Content-Type`; JSON where nothing is said.
    #[serde(default = "json_type", rename = "type")]
    content_type: Option<String>,
    body: Option<String>,
    /// The body gets blanks until it has so many bytes.
    #[serde(default)]
    filled_to: usize,
    /// So often, and the last answer counts.
    times: Option<usize>,
    status: u16,
    code: String,
    allow: Option<String>,
    #[serde(default)]
    details: Map<String, Value>,
    /// The paths in `details.errors`, sorted.
    paths: Option<Vec<String>>,
}

/// How a server is set up.
#[derive(Deserialize, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "snake_case")]
enum Kind {
    #[default]
    Usual,
    /// Keys are needed.
    Keys,
    /// Two requests a minute.
    Limited,
    /// There is no desktop.
    NoDisplay,
    /// Bodies of at most 2,000 bytes.
    SmallBodies,
    /// Where its pictures and scripts belong it cannot write.
    Unwritable,
}

fn json_type() -> Option<String> {
    Some("application/json".to_owned())
}

impl Kind {
    async fn start(self) -> Server {
        let server = served::start_with(|config| match self {
            Self::Usual | Self::Unwritable => {}
            Self::Keys => config.security.api_key_enabled = true,
            Self::Limited => {
                config.security.rate_limit_enabled = true;
                config.security.rate_limit_requests_per_minute = 2;
            }
            Self::NoDisplay => config.desktop.mode = DisplayMode::None,
            Self::SmallBodies => config.server.max_body_bytes = 2000,
        })
        .await;
        if self == Self::Usual {
            use std::os::unix::fs::PermissionsExt as _;
            let put = reqwest::Client::new().put(server.url("/api/scripts/exposed.rhai")).json(&serde_json::json!({ "source": "1" }));
            assert_eq!(put.send().await.unwrap().status(), 201);
            let file = server.data.path().join("scripts/exposed.rhai");
            std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o666)).unwrap();
        }
        if self == Self::Unwritable {
            // Files where folders should be stop every user.
            for folder in ["snapshots", "scripts/blocked"] {
                let folder = server.data.path().join(folder);
                let _ = std::fs::remove_dir_all(&folder);
                std::fs::write(folder, "").unwrap();
            }
        }
        server
    }
}

const ROWS: [&str; 2] = [include_str!("errors.json"), include_str!("shell_errors.json")];

fn rows(text: &str) -> Vec<Row> {
    serde_json::from_str(text).unwrap()
}

#[tokio::test]
async fn each_request_provokes_its_error() {
    let mut by_server: BTreeMap<Kind, Vec<Row>> = BTreeMap::new();
    for row in rows(ROWS[0]) {
        by_server.entry(row.server).or_default().push(row);
    }
    for (kind, rows) in by_server {
        let wrong = ask(&kind.start().await, rows).await;
        assert!(wrong.is_empty(), "of {kind:?}\n{}", wrong.join("\n"));
    }
}

/// What the contract lists, and what is answered beyond it: a request for a socket that is none, a disk that takes nothing.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contract {
    listed: Vec<(u16, Vec<String>)>,
    beyond: Vec<(u16, Vec<String>)>,
}

/// Each status and code of the contract has a case, and no other is answered.
#[test]
fn each_line_of_the_contract_has_a_case() {
    let contract: Contract = serde_json::from_str(include_str!("errors_contract.json")).unwrap();
    let all = contract.listed.into_iter().chain(contract.beyond);
    let known: BTreeSet<(u16, String)> = all.flat_map(|(status, codes)| codes.into_iter().map(move |code| (status, code))).collect();
    let tried: BTreeSet<(u16, String)> = ROWS.into_iter().flat_map(rows).map(|row| (row.status, row.code)).collect();
    let missing: Vec<_> = known.difference(&tried).collect();
    let others: Vec<_> = tried.difference(&known).collect();
    assert!(missing.is_empty(), "no row provokes {missing:?}");
    assert!(others.is_empty(), "the contract does not list {others:?}");
}

/// Sends the request of each row, and looks at the error.
pub async fn provoke(server: &Server, text: &str) {
    let wrong = ask(server, rows(text)).await;
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

async fn ask(server: &Server, rows: Vec<Row>) -> Vec<String> {
    let client = reqwest::Client::new();
    let mut wrong = Vec::new();
    for row in rows {
        for left in (0..row.times.unwrap_or(1)).rev() {
            let mut request = client.request(Method::from_bytes(row.method.as_bytes()).unwrap(), server.url(&row.path));
            for (name, value) in &row.headers {
                let value = value.as_str().unwrap();
                let scope = value.split(['{', '}']).nth(1);
                request = match scope {
                    Some(scope) => request.header(name, value.replace(&format!("{{{scope}}}"), &server.key(scope).await)),
                    None => request.header(name, value),
                };
            }
            if let Some(body) = &row.body {
                request = request.body(format!("{body:<0$}", row.filled_to));
                if let Some(kind) = &row.content_type {
                    request = request.header("content-type", kind);
                }
            }
            let answer = request.send().await.unwrap();
            if left == 0 {
                wrong.extend(look(&row, answer).await);
            }
        }
    }
    wrong
}

/// What is wrong with an answer.
async fn look(row: &Row, answer: reqwest::Response) -> Option<String> {
    let status = answer.status().as_u16();
    let headers = answer.headers().clone();
    let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let text = answer.text().await.unwrap();
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    let details = &body["details"];
    let errors = details["errors"].as_array().cloned().unwrap_or_default();
    let mut paths: Vec<String> = errors.iter().map(|error| error["path"].as_str().unwrap().to_owned()).collect();
    paths.sort();
    // What the contract promises of each answer with that status.
    let promised = match (status, body["error_code"].as_str().unwrap_or_default()) {
        (401, _) => header("www-authenticate").is_some(),
        (404, _) => details["kind"].is_string() && details["id"].is_string(),
        (405, _) => header("allow").is_some_and(|methods| !methods.is_empty()),
        (422, "VALIDATION_ERROR") => !errors.is_empty() && errors.iter().all(|error| error["message"].is_string()),
        (429, _) => header("retry-after").and_then(|seconds| seconds.parse().ok()).is_some_and(|seconds: u64| (1..=60).contains(&seconds)),
        (503, _) => details["service"].is_string() && details["hint"].as_str().is_some_and(|hint| hint.len() > 5),
        _ => true,
    };
    let right = promised
        && status == row.status
        && body["error_code"] == row.code
        && header("content-type").as_deref() == Some("application/json")
        && header("x-content-type-options").as_deref() == Some("nosniff")
        && body["error"].as_str().is_some_and(|sentence| sentence.len() > 10)
        && body["timestamp"].as_str().is_some_and(|at| chrono::DateTime::parse_from_rfc3339(at).is_ok())
        && (row.allow.is_none() || row.allow == header("allow"))
        && row.details.iter().all(|(name, value)| details[name] == *value)
        && row.paths.as_ref().is_none_or(|expected| *expected == paths);
    (!right).then(|| format!("{}: {status} {:?} {text}", row.name, header("allow")))
}

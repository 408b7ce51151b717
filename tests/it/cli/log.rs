//! The server's log: what stands in it, and what never does.

use futures_util::SinkExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::trae::{Place, Served, eventually, read, stdout};

const JWT_SECRET: &str = "a-signing-secret-of-more-than-32-bytes";
const PASSWORD: &str = "proxmox-password-1";

fn secretive() -> Vec<(&'static str, &'static str)> {
    vec![
        ("API_KEY_ENABLED", "true"),
        ("JWT_SECRET_KEY", JWT_SECRET),
        ("PROXMOX_HOST", "127.0.0.1"),
        ("PROXMOX_PORT", "1"),
        ("PROXMOX_USERNAME", "root@pam"),
        ("PROXMOX_PASSWORD", PASSWORD),
        ("LOG_LEVEL", "trace"),
    ]
}

/// Shows key and token in every way there is, and in some that there are not.
async fn use_secrets(served: &Served, key: &str) -> String {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    let token: Value = client.post(served.url("/api/auth/token")).bearer_auth(key).send().await.unwrap().json().await.unwrap();
    let token = token["access_token"].as_str().unwrap().to_owned();
    let asked = client.get(served.url("/api/workflows/")).header("x-api-key", key).header("x-request-id", "asked-by-the-test");
    let answer = asked.send().await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["x-request-id"]), (200, &"asked-by-the-test".parse().unwrap()));
    for (path, bearer) in [
        (format!("/api/workflows/?token={token}&key={key}"), &token),
        (format!("/api/workflows/?token={token}"), &"wrong".to_owned()),
        (format!("/api/workflows/{key}"), &token),
        (format!("/nowhere/{token}/{key}"), &token),
        (format!("/api/runs?password={PASSWORD}"), &format!("{token}x")),
    ] {
        client.get(served.url(&path)).bearer_auth(bearer).send().await.unwrap();
    }
    let body = json!({ "name": format!("\u{1b}]52;c;{key}\u{7}"), "password": PASSWORD });
    client.post(served.url("/api/workflows/")).bearer_auth(key).json(&body).send().await.unwrap();
    let mut request = served.socket("/ws/workflow-automation").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", format!("bearer.{key}").parse().unwrap());
    let (mut socket, _) = connect_async(request).await.unwrap();
    let said = json!({ "type": "execute_script", "source": format!("log::info(\"{key} \\x1b[31m\"); \"{token}\"") });
    socket.send(said.to_string().into()).await.unwrap();
    let _ = socket.close(None).await;
    token
}

#[tokio::test]
async fn no_secret_and_no_control_character_is_in_it() {
    for format in ["text", "json"] {
        let place = Place::new();
        // A file whose name and content would do something to a terminal.
        place.write("data/scripts/a\u{1b}]0;b.rhai", "let x = \u{1b}[31m;");
        let made = place.run(&["keys", "create", "--name", "a", "--scope", "admin"], &[]);
        let key = stdout(&made).trim().to_owned();
        let mut environment = secretive();
        environment.push(("LOG_FORMAT", format));
        let served = place.serve(&environment);
        let token = use_secrets(&served, &key).await;
        let file = place.data().join("logs/backend.log");
        eventually("the requests are in the file", || read(&file).contains("asked-by-the-test"));
        let terminal = served.end();
        for log in [terminal, read(&file)] {
            for secret in [&key[5..], token.as_str(), JWT_SECRET, PASSWORD] {
                assert!(!log.contains(secret), "{format}: {secret:?} is in the log:\n{log}");
            }
            assert!(!log.contains('\u{1b}') && !log.contains('\u{7}'), "{format}: control characters are in the log:\n{log}");
            assert!(log.contains("/api/workflows") && log.contains("b.rhai"), "{format}:\n{log}");
            // The route as it is written, not what was asked for.
            assert!(log.contains("/api/workflows/{workflow_id}"), "{format}:\n{log}");
        }
    }
}

#[tokio::test]
async fn a_line_of_json_has_fields_and_the_file_rolls() {
    let place = Place::new();
    let served = place.serve(&[("LOG_FORMAT", "json"), ("LOG_MAX_BYTES", "4096"), ("LOG_KEEP", "2"), ("LOG_FILE", "own/trae.log")]);
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::new();
    for number in 0..80 {
        client.get(served.url("/api/workflows/")).header("x-request-id", format!("number-{number}")).send().await.unwrap();
    }
    let own = place.folder.path().join("own");
    eventually("the last request is in the file", || read(&own.join("trae.log")).contains("number-79"));
    served.end();
    let mut names: Vec<_> = std::fs::read_dir(&own).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!(names, ["trae.log", "trae.log.1", "trae.log.2"]);
    let before = read(&own.join("trae.log.1"));
    let line: Value = before.lines().rev().find(|line| line.contains("number-")).map(|line| serde_json::from_str(line).unwrap()).unwrap();
    assert_eq!(
        (&line["method"], &line["route"], &line["status"], &line["level"]),
        (&json!("GET"), &json!("/api/workflows"), &json!(200), &json!("INFO"))
    );
    assert!(line["milliseconds"].is_number() && line["timestamp"].is_string(), "{line}");
    assert!(!place.data().join("logs").exists());
}

#[test]
fn a_log_that_cannot_be_written_is_said() {
    let place = Place::new();
    place.write("file", "");
    let ended = place.run(&["serve"], &[("LOG_FILE", "file/backend.log"), ("PORT", "0")]);
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.code() == Some(73) && said.contains("LOG_FILE"), "{said}");
}

//! Keys and tokens: how they are shown, what they open, and what a run that was started with one may do.

use axum::http::Method;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use trae::api::access::{Need, row};
use trae::keys::Scope;

use super::served::{self, Server, node};

async fn with_keys() -> Server {
    served::start_with(|config| config.security.api_key_enabled = true).await
}

async fn ask(server: &Server, method: &Method, path: &str, key: &str) -> (u16, Value) {
    let request = served::client().request(method.clone(), server.url(path)).bearer_auth(key);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap_or_default())
}

/// Every operation there is, with something in place of what its path asks for.
fn operations() -> Vec<(Method, String)> {
    let description = serde_json::to_value(trae::api::openapi()).unwrap();
    let paths = description["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            let path: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
            let path = path.join("/");
            let methods = item.as_object().unwrap().keys().filter_map(|name| name.to_uppercase().parse::<Method>().ok());
            methods.map(|method| (method, path.clone())).collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn every_operation_asks_for_a_scope_and_refuses_who_has_it_not() {
    let server = with_keys().await;
    let mut checked = 0;
    for (method, path) in operations() {
        let need = row(&method, &path).unwrap_or_else(|| panic!("{method} {path} is in no row of src/api/access.rs"));
        let Need::Scope(scope) = need else { continue };
        let others = Scope::ALL.into_iter().filter(|other| !matches!(other, Scope::Admin) && *other != scope);
        let others: Vec<_> = others.map(Scope::as_str).collect();
        let key = server.key(&others.join(" ")).await;
        let (status, body) = ask(&server, &method, &path, &key).await;
        assert_eq!((status, &body["error_code"]), (403, &json!("PERMISSION_DENIED")), "{method} {path}: {body}");
        assert_eq!(body["details"]["scope"], scope.as_str(), "{method} {path}");
        assert!(body["error"].as_str().unwrap().contains(&format!("`{scope}`")), "{body}");
        let (status, body) = ask(&server, &method, &path, "").await;
        assert_eq!((status, &body["error_code"]), (401, &json!("UNAUTHENTICATED")), "{method} {path}: {body}");
        checked += 1;
    }
    assert!(checked > 15, "only {checked} operations ask for a scope");
}

#[tokio::test]
async fn a_key_is_shown_in_a_header_and_never_in_the_url() {
    let server = with_keys().await;
    let key = server.key("read").await;
    let get = |headers: String, query: &str| {
        format!("GET /api/workflows/{query} HTTP/1.1\r\nHost: {{host}}\r\nConnection: close\r\n{headers}\r\n")
    };
    for headers in [format!("Authorization: Bearer {key}\r\n"), format!("authorization: bearer {key}\r\n"), format!("X-API-Key: {key}\r\n")]
    {
        let answer = server.raw(&get(headers.clone(), "")).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{headers}: {answer}");
    }
    for (headers, query) in [
        (String::new(), format!("?token={key}&api_key={key}&access_token={key}")),
        (format!("Authorization: Basic {key}\r\n"), String::new()),
        (format!("Cookie: token={key}\r\n"), String::new()),
        (format!("Sec-WebSocket-Protocol: bearer.{key}\r\n"), String::new()),
        (format!("X-API-Key: {}\r\n", &key[..40]), String::new()),
    ] {
        let answer = server.raw(&get(headers, &query)).await;
        assert!(answer.starts_with("HTTP/1.1 401") && answer.to_lowercase().contains("www-authenticate: bearer"), "{answer}");
    }
    // It opens what it opens, also on a path that leads nowhere; without one that is not even said.
    assert_eq!(ask(&server, &Method::GET, "/api/nowhere", &key).await.0, 404);
    assert_eq!(ask(&server, &Method::GET, "/api/nowhere", "wrong").await.0, 401);
}

#[tokio::test]
async fn a_token_stands_for_a_key_until_it_is_revoked() {
    let server = with_keys().await;
    let key = server.key("read workflows").await;
    let (status, answer) = ask(&server, &Method::POST, "/api/auth/token", &key).await;
    assert_eq!((status, &answer["token_type"], &answer["expires_in"]), (200, &json!("bearer"), &json!(900)), "{answer}");
    assert_eq!(answer["scopes"], json!(["read", "workflows"]));
    let token = answer["access_token"].as_str().unwrap();
    assert_eq!(ask(&server, &Method::GET, "/api/runs", token).await.0, 200);
    assert_eq!(ask(&server, &Method::POST, "/api/automation/mouse/click", token).await.0, 403);
    // A token that was stolen cannot be kept alive.
    assert_eq!(ask(&server, &Method::POST, "/api/auth/token", token).await.0, 403);
    let parts: Vec<_> = token.split('.').collect();
    let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let admin = URL_SAFE_NO_PAD.encode(r#"{"iss":"trae","sub":"x","scopes":["admin"],"iat":0,"exp":99999999999}"#);
    for forged in [
        format!("{unsigned}.{}.", parts[1]),
        format!("{unsigned}.{}.{}", parts[1], parts[2]),
        format!("{}.{admin}.{}", parts[0], parts[2]),
        // The specification's sample secret, which everybody knows.
        signed(&format!("{}.{admin}", parts[0]), b"your-super-secret-jwt-key"),
    ] {
        assert_eq!(ask(&server, &Method::GET, "/api/runs", &forged).await.0, 401, "{forged}");
    }
    let id = server.app.keys.list().await.unwrap()[0].id.clone();
    server.app.keys.revoke(&id).await.unwrap();
    assert_eq!(ask(&server, &Method::GET, "/api/runs", token).await.0, 401);
    let open = served::start().await;
    assert_eq!(ask(&open, &Method::POST, "/api/auth/token", &key).await.0, 409);
}

fn signed(text: &str, secret: &[u8]) -> String {
    use hmac::{Hmac, KeyInit as _, Mac as _};
    let seal = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap().chain_update(text).finalize().into_bytes();
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(seal))
}

#[tokio::test]
async fn an_administrator_makes_and_revokes_keys_over_http() {
    let server = with_keys().await;
    let admin = server.key("admin").await;
    let client = served::client();
    let body = json!({ "name": "robot", "scopes": ["read", "shell"] });
    let made = client.post(server.url("/api/keys")).bearer_auth(&admin).json(&body).send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    let key = made["key"].as_str().unwrap();
    assert_eq!(ask(&server, &Method::GET, "/api/runs", key).await.0, 200);
    let (_, listed) = ask(&server, &Method::GET, "/api/keys/", &admin).await;
    assert_eq!(listed["count"], 2);
    assert!(!listed.to_string().contains(key) && listed["keys"][1]["last_used"].is_string(), "{listed}");
    let path = format!("/api/keys/{}", made["id"].as_str().unwrap());
    assert_eq!(ask(&server, &Method::DELETE, &path, key).await.0, 403);
    assert_eq!(ask(&server, &Method::DELETE, &path, &admin).await.0, 200);
    assert_eq!(ask(&server, &Method::GET, "/api/runs", key).await.0, 401);
    assert_eq!(ask(&server, &Method::DELETE, &path, &admin).await.0, 404);
    for (body, at) in [
        (json!({ "name": "", "scopes": ["read"] }), "/name"),
        (json!({ "name": "a", "scopes": [] }), "/scopes"),
        (json!({ "name": "a", "scopes": ["root"] }), "/scopes/0"),
        (json!({ "name": "a", "scopes": ["read"], "key": "mine" }), "/key"),
    ] {
        let refused = client.post(server.url("/api/keys")).bearer_auth(&admin).json(&body).send().await.unwrap();
        assert_eq!(refused.status(), 422);
        let refused: Value = refused.json().await.unwrap();
        assert_eq!(refused["details"]["errors"][0]["path"], at, "{refused}");
    }
}

async fn socket(
    server: &Server,
    protocols: &str,
) -> Result<(WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>, Option<String>), Error> {
    let mut request = format!("ws://{}/ws/workflow-automation", server.address).into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
    let (socket, answer) = connect_async(request).await?;
    let chosen = answer.headers().get("sec-websocket-protocol").map(|chosen| chosen.to_str().unwrap().to_owned());
    Ok((socket, chosen))
}

#[tokio::test]
async fn a_browsers_socket_shows_its_key_as_a_subprotocol_and_may_do_what_the_key_may() {
    let server = with_keys().await;
    let key = server.key("read").await;
    let Err(Error::Http(answer)) = socket(&server, "trae").await else { panic!("it opened without a key") };
    assert_eq!(answer.status(), 401);
    let (mut speaking, chosen) = socket(&server, &format!("bearer.{key}")).await.unwrap();
    assert_eq!(chosen, Some(format!("bearer.{key}")));
    // Where another one is offered first, the key is not repeated.
    assert_eq!(socket(&server, &format!("trae, bearer.{key}")).await.unwrap().1.as_deref(), Some("trae"));
    for said in [
        json!({ "type": "execute_workflow", "workflow_id": "known" }),
        json!({ "type": "execute_script", "source": "1" }),
        json!({ "type": "cancel", "run_id": "x" }),
    ] {
        speaking.send(Message::text(said.to_string())).await.unwrap();
        let heard: Value = serde_json::from_str(speaking.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
        assert_eq!((&heard["type"], &heard["error_code"]), (&json!("error"), &json!("PERMISSION_DENIED")), "{said}: {heard}");
    }
    assert_eq!(server.app.runs.list(Default::default()).await.unwrap().runs.len(), 0);
    let key = server.key("read workflows").await;
    let (mut speaking, _) = socket(&server, &format!("bearer.{key}")).await.unwrap();
    speaking.send(Message::text(json!({ "type": "execute_workflow", "workflow_id": "known" }).to_string())).await.unwrap();
    let heard: Value = serde_json::from_str(speaking.next().await.unwrap().unwrap().to_text().unwrap()).unwrap();
    assert_eq!(heard["type"], "run_started", "{heard}");
}

#[tokio::test]
async fn a_socket_ends_with_its_key() {
    let server = with_keys().await;
    let (kept, gone) = (server.key("read").await, server.key("read").await);
    let (mut staying, _) = socket(&server, &format!("bearer.{kept}")).await.unwrap();
    let (mut leaving, _) = socket(&server, &format!("bearer.{gone}")).await.unwrap();
    let id = server.app.keys.list().await.unwrap()[1].id.clone();
    server.app.keys.revoke(&id).await.unwrap();
    let ended = async { while let Some(Ok(_)) = leaving.next().await {} };
    tokio::time::timeout(std::time::Duration::from_secs(20), ended).await.expect("the socket is closed");
    staying.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
    assert!(staying.next().await.unwrap().unwrap().to_text().unwrap().contains("pong"));
}

#[tokio::test]
async fn a_run_may_do_no_more_than_the_key_that_started_it() {
    let server = with_keys().await;
    let shell = |id: &str| node(id, "shell_command", json!({ "command": "echo $((6 * 7))" }));
    let graph = json!({
        "id": "commands", "name": "commands", "nodes": [node("start", "manual_trigger", json!({})), shell("say")],
        "edges": [{ "id": "e", "source": "start", "target": "say" }],
    });
    server.app.workflows.create(serde_json::from_value(graph).unwrap()).await.unwrap();
    let run = async |key: String| {
        let request = served::client().post(server.url("/api/workflows/commands/execute")).bearer_auth(key);
        let answer: Value = request.json(&json!({ "wait": true, "timeout": 30 })).send().await.unwrap().json().await.unwrap();
        (answer["status"].clone(), answer["error"].clone())
    };
    let (status, error) = run(server.key("read workflows").await).await;
    assert_eq!(status, "failed");
    assert!(error["node_id"] == "say" && error["message"].as_str().unwrap().contains("permission"), "{error}");
    for scopes in ["workflows shell", "admin"] {
        let (status, error) = run(server.key(scopes).await).await;
        assert_eq!(status, "succeeded", "{scopes}: {error}");
    }
}

#[tokio::test]
async fn looking_needs_no_more_than_read() {
    let server = with_keys().await;
    let key = server.key("read").await;
    for path in ["/api/desktop/info", "/api/desktop/frame", "/api/automation/status", "/api/workflows", "/api/runs"] {
        let answer = served::client().get(server.url(path)).bearer_auth(&key).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    assert_eq!(ask(&server, &Method::POST, "/api/desktop/screenshot", &key).await.0, 403);
    let key = server.key("desktop").await;
    assert_eq!(ask(&server, &Method::POST, "/api/desktop/screenshot", &key).await.0, 200);
    assert_eq!(ask(&server, &Method::GET, "/api/desktop/info", &key).await.0, 403);
}

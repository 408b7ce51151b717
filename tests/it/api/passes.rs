//! What browsers show in place of a key: sessions, links, tickets. And who is refused though they show nothing wrong.

use reqwest::header::{CONTENT_TYPE, COOKIE, SET_COOKIE};
use serde_json::{Value, json};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::served::{self, Server};

async fn with_keys() -> Server {
    served::start_with(|config| config.security.api_key_enabled = true).await
}

/// A client that follows nothing.
fn client() -> reqwest::Client {
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

/// A session: its cookie as a browser sends it back, and what its page has to repeat.
async fn session(server: &Server, key: &str) -> (String, String) {
    let begun = client().post(server.url("/api/auth/session")).bearer_auth(key).send().await.unwrap();
    assert_eq!(begun.status(), 200);
    let set = begun.headers()[SET_COOKIE].to_str().unwrap().to_owned();
    let parts: Vec<&str> = set.split("; ").collect();
    assert!(parts[0].starts_with(&format!("trae_{}=", server.address.port())), "{set}");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(parts.contains(&part), "{set}");
    }
    assert!(!parts.contains(&"Secure"), "there is no TLS here: {set}");
    let cookie = parts[0].to_owned();
    let told: Value = begun.json().await.unwrap();
    (cookie, told["csrf_token"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_session_does_what_its_key_may_for_its_own_page_only() {
    let server = with_keys().await;
    let key = server.key("read workflows").await;
    let (cookie, csrf) = session(&server, &key).await;
    let (_, others) = session(&server, &key).await;
    let get = async |path: &str| client().get(server.url(path)).header(COOKIE, &cookie).send().await.unwrap();
    assert_eq!(get("/api/runs").await.status(), 200);
    let told: Value = get("/api/auth/session").await.json().await.unwrap();
    assert_eq!((&told["csrf_token"], &told["scopes"]), (&json!(csrf), &json!(["read", "workflows"])));
    let graph = json!({ "name": "a", "nodes": [], "edges": [] }).to_string();
    let post = async |csrf: Option<&str>, kind: Option<&str>| {
        let mut request = client().post(server.url("/api/workflows/")).header(COOKIE, &cookie).body(graph.clone());
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap()["error_code"].as_str().unwrap_or_default().to_owned())
    };
    let json_kind = Some("application/json");
    let denied = (403, "PERMISSION_DENIED".to_owned());
    assert_eq!(post(None, json_kind).await, denied);
    assert_eq!(post(Some(&others), json_kind).await, denied);
    for kind in [Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("multipart/form-data; boundary=x"), None] {
        assert_eq!(post(Some(&csrf), kind).await, (415, "UNSUPPORTED_MEDIA_TYPE".to_owned()), "{kind:?}");
    }
    let list: Value = get("/api/workflows/").await.json().await.unwrap();
    let stored = list["count"].as_u64().unwrap();
    assert_eq!(post(Some(&csrf), json_kind).await.0, 201);
    let list: Value = get("/api/workflows/").await.json().await.unwrap();
    assert_eq!(list["count"], stored + 1, "what was refused was not stored");
    for origin in ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil"] {
        let answer = client().get(server.url("/api/runs")).header(COOKIE, &cookie).header("origin", origin).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{origin}");
    }
    // A session is not exchanged for something that lasts, and opens no more than its key.
    for path in ["/api/auth/token", "/api/auth/session", "/api/auth/link", "/api/keys"] {
        let answer = client().post(server.url(path)).header(COOKIE, &cookie).header("x-csrf-token", &csrf).send().await.unwrap();
        assert_eq!(answer.status(), 403, "{path}");
    }
    // Another port's cookie is not this one's.
    let other = cookie.replacen("trae_", "trae_1", 1);
    assert_eq!(client().get(server.url("/api/runs")).header(COOKIE, other).send().await.unwrap().status(), 401);
    let ended =
        client().delete(server.url("/api/auth/session")).header(COOKIE, &cookie).header("x-csrf-token", &csrf).send().await.unwrap();
    assert!(ended.headers()[SET_COOKIE].to_str().unwrap().contains("Max-Age=0"));
    assert_eq!(get("/api/runs").await.status(), 401);
    let (cookie, _) = session(&server, &key).await;
    let id = server.app.keys.list().await.unwrap()[0].id.clone();
    server.app.keys.revoke(&id).await.unwrap();
    assert_eq!(client().get(server.url("/api/runs")).header(COOKIE, cookie).send().await.unwrap().status(), 401);
}

#[tokio::test]
async fn a_socket_opens_with_a_cookie_for_the_servers_own_pages() {
    let server = with_keys().await;
    let (cookie, _) = session(&server, &server.key("read").await).await;
    let open = async |origin: Option<&str>| {
        let mut request = format!("ws://{}/ws/echo", server.address).into_client_request().unwrap();
        request.headers_mut().insert("cookie", cookie.parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        match connect_async(request).await {
            Ok(_) => 101,
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(open(Some(&format!("http://{}", server.address))).await, 101);
    assert_eq!(open(Some("https://evil.example")).await, 403);
    assert_eq!(open(None).await, 403);
}

#[tokio::test]
async fn a_link_opens_one_session_once_and_is_written_down_nowhere() {
    let server = with_keys().await;
    let key = server.key("read").await;
    let made: Value = client().post(server.url("/api/auth/link")).bearer_auth(&key).send().await.unwrap().json().await.unwrap();
    let url = made["url"].as_str().unwrap();
    let token = url.strip_prefix("/?token=").unwrap();
    assert_eq!(client().get(server.url(&format!("/api/runs?token={token}"))).send().await.unwrap().status(), 401);
    let entered = client().get(server.url(url)).send().await.unwrap();
    assert_eq!((entered.status().as_u16(), entered.headers()["location"].to_str().unwrap()), (303, "/docs"));
    assert_eq!(entered.headers()["referrer-policy"], "no-referrer");
    let cookie = entered.headers()[SET_COOKIE].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert_eq!(client().get(server.url("/api/runs")).header(COOKIE, cookie).send().await.unwrap().status(), 200);
    let again = client().get(server.url(url)).send().await.unwrap();
    assert!(again.status() == 401 && !again.headers().contains_key(SET_COOKIE));
    assert_eq!(client().get(server.url("/")).send().await.unwrap().status(), 303);
    server.app.shutdown().await;
    for file in ["trae.db", "trae.db-wal"] {
        let bytes = std::fs::read(server.data.path().join(file)).unwrap_or_default();
        assert!(!bytes.windows(token.len()).any(|window| window == token.as_bytes()), "it is in {file}");
    }
}

#[tokio::test]
async fn a_ticket_opens_one_socket_once() {
    let server = with_keys().await;
    let key = server.key("read").await;
    let ticket = async |path: &str| {
        let asked = client().post(server.url("/api/auth/ticket")).bearer_auth(&key).json(&json!({ "path": path })).send().await.unwrap();
        (asked.status().as_u16(), asked.json::<Value>().await.unwrap()["ticket"].as_str().unwrap_or_default().to_owned())
    };
    let open = async |path: &str, protocol: Option<String>| {
        let mut request = format!("ws://{}{path}", server.address).into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        match connect_async(request).await {
            Ok(_) => 101,
            Err(Error::Http(answer)) => answer.status().as_u16(),
            Err(error) => panic!("{error}"),
        }
    };
    let (_, one) = ticket("/ws/echo").await;
    assert_eq!(open(&format!("/api/ws/echo?ticket={one}"), None).await, 101);
    assert_eq!(open(&format!("/ws/echo?ticket={one}"), None).await, 401);
    let (_, other) = ticket("/ws/echo").await;
    assert_eq!(open("/ws/echo", Some(format!("ticket.{other}"))).await, 101);
    let (_, elsewhere) = ticket("/ws/echo").await;
    assert_eq!(open(&format!("/ws/filesystem?ticket={elsewhere}"), None).await, 401);
    let (_, plain) = ticket("/ws/echo").await;
    assert_eq!(client().get(server.url(&format!("/api/runs?ticket={plain}"))).send().await.unwrap().status(), 401);
    // It opens no more than the key did.
    let (_, shell) = ticket("/ws/shell/x").await;
    assert_eq!(open(&format!("/ws/shell/x?ticket={shell}"), None).await, 403);
    assert_eq!(ticket("/api/runs").await.0, 422);
}

#[tokio::test]
async fn every_answer_forbids_what_browsers_would_do_with_it() {
    let server = served::start().await;
    for path in ["/api/health/", "/nowhere", "/api/desktop/frame", "/docs", "/openapi.json"] {
        let answer = client().get(server.url(path)).send().await.unwrap();
        let header = |name: &str| answer.headers()[name].to_str().unwrap().to_owned();
        assert_eq!((header("x-content-type-options").as_str(), header("referrer-policy").as_str()), ("nosniff", "no-referrer"), "{path}");
        let policy = header("content-security-policy");
        assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe-eval"), "{path}: {policy}");
        let is_page = header("content-type").starts_with("text/html");
        assert_eq!(policy.contains("sandbox"), !is_page, "{path}: {policy}");
        assert!(!policy.contains("script-src") && (!is_page || policy.contains("default-src 'self'")), "{path}: {policy}");
    }
}

#[tokio::test]
async fn moving_the_pointer_spends_a_budget_of_its_own() {
    let server = served::start_with(|config| {
        config.security.rate_limit_enabled = true;
        config.security.rate_limit_requests_per_minute = 2;
    })
    .await;
    let move_to = async || server.post("/api/automation/mouse/move", &json!({ "x": 1, "y": 1 })).await.0;
    assert_eq!((move_to().await, move_to().await, move_to().await), (200, 200, 429));
    assert_eq!(server.post("/api/automation/mouse/click", &json!({ "x": 1, "y": 1 })).await.0, 200);
    assert_eq!(server.get("/api/runs").await.0, 200);
    assert_eq!(server.post("/api/workflows/validate", &json!({ "name": "a", "nodes": [], "edges": [] })).await.0, 200);
}

/// Only root can be somebody else.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn another_user_of_this_machine_is_refused_where_no_key_is_wanted() {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    if !rustix::process::geteuid().is_root() {
        return;
    }
    let ask = async |server: &Server, user: u32, headers: &str| {
        let (host, port) = (server.address.ip(), server.address.port());
        let script = format!(
            "exec 3<>/dev/tcp/{host}/{port}; printf 'GET /api/runs HTTP/1.1\\r\\nHost: localhost\\r\\n{headers}Connection: close\\r\\n\\r\\n' >&3; cat <&3"
        );
        let mut command = Command::new("bash");
        command.args(["-c", &script]).uid(user).gid(user).current_dir("/");
        let said = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        String::from_utf8_lossy(&said.stdout).into_owned()
    };
    let server = served::start().await;
    let nobody = 65534;
    let refused = ask(&server, nobody, "").await;
    assert!(refused.starts_with("HTTP/1.1 403") && refused.contains("PERMISSION_DENIED") && refused.contains("another user"), "{refused}");
    assert!(ask(&server, 0, "").await.starts_with("HTTP/1.1 200"));
    // Nor from another address of this machine, where it has one.
    let routed = std::net::UdpSocket::bind("0.0.0.0:0").and_then(|socket| socket.connect("192.0.2.1:9").and_then(|()| socket.local_addr()));
    if let Ok(own) = routed.map(|address| address.ip()).and_then(|ip| std::net::TcpListener::bind((ip, 0)).map(|_| ip)) {
        let script = format!(
            "import socket; s = socket.socket(); s.bind(('{own}', 0)); s.connect(('{}', {})); \
             s.sendall(b'GET /api/runs HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n'); print(s.makefile().read())",
            server.address.ip(),
            server.address.port()
        );
        for (user, status) in [(nobody, "HTTP/1.1 403"), (0, "HTTP/1.1 200")] {
            let mut command = Command::new("/usr/bin/python3");
            command.args(["-c", &script]).uid(user).gid(user).current_dir("/");
            let said = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
            assert!(said.stdout.starts_with(status.as_bytes()), "{user} from {own}: {said:?}");
        }
    }
    // Who shows a key is known by it.
    let server = with_keys().await;
    let key = server.key("read").await;
    assert!(ask(&server, nobody, &format!("X-API-Key: {key}\\r\\n")).await.starts_with("HTTP/1.1 200"));
    // A proxy that the settings name speaks for others.
    let server = served::start_with(|config| config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()]).await;
    assert!(ask(&server, nobody, "").await.starts_with("HTTP/1.1 200"));
}

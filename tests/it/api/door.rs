//! Who gets in: `Host`, `Origin`, keys; and the answers that browsers ask for.

use super::served;

fn get(path: &str, headers: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")
}

fn status(answer: &str) -> &str {
    answer.get(9..12).unwrap_or_default()
}

#[tokio::test]
async fn only_hosts_of_this_machine_are_answered() {
    let server = served::start_with(|config| config.server.allowed_hosts = vec!["trae.example".to_owned()]).await;
    let port = server.address.port();
    for host in ["localhost", &format!("localhost:{port}"), &format!("127.0.0.1:{port}"), &format!("[::1]:{port}"), "TRAE.example:80"] {
        let answer = server.raw(&get("/api/health/", &format!("Host: {host}\r\n"))).await;
        assert_eq!(status(&answer), "200", "{host}: {answer}");
    }
    for host in
        ["evil.example", "localhost.evil.example", &format!("0.0.0.0:{port}"), "localhost@evil.example", "user@localhost", "192.0.2.1"]
    {
        for path in ["/api/health/", "/nowhere", "/ws/workflow-automation"] {
            let answer = server.raw(&get(path, &format!("Host: {host}\r\n"))).await;
            assert!(status(&answer) == "403" && answer.contains("HOST_NOT_ALLOWED"), "{host}: {answer}");
        }
    }
    let absolute = server.raw(&get("http://evil.example/api/health/", "Host: {host}\r\n")).await;
    assert_eq!(status(&absolute), "403", "{absolute}");
    for headers in ["", "Host: localhost\r\nHost: localhost\r\n"] {
        let answer = server.raw(&get("/api/health/", headers)).await;
        assert_eq!(status(&answer), "400", "{answer}");
    }
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_and_listed_ones_may_read() {
    let server = served::start().await;
    let own = format!("http://{}", server.address);
    let with = |origin: &str| get("/api/health/", &format!("Host: {{host}}\r\nOrigin: {origin}\r\n"));
    for origin in ["https://evil.example", "null", "http://localhost:1", "http://127.0.0.1.evil", "http://localhost:3000.evil"] {
        let answer = server.raw(&with(origin)).await;
        assert!(status(&answer) == "403" && answer.contains("ORIGIN_NOT_ALLOWED"), "{origin}: {answer}");
        assert!(!answer.to_lowercase().contains("access-control-allow-origin"), "{origin}: {answer}");
    }
    let answer = server.raw(&with(&own)).await;
    assert_eq!(status(&answer), "200", "{answer}");
    let answer = server.raw(&with("http://localhost:3000")).await.to_lowercase();
    assert!(answer.contains("access-control-allow-origin: http://localhost:3000\r\n"), "{answer}");
    assert!(answer.contains("access-control-allow-credentials: true") && answer.contains("vary: origin"), "{answer}");
    // Errors can be read as well.
    let answer = server.raw(&get("/nowhere", "Host: {host}\r\nOrigin: http://localhost:3000\r\n")).await.to_lowercase();
    assert!(status(&answer) == "404" && answer.contains("access-control-allow-origin"), "{answer}");
}

#[tokio::test]
async fn preflights_are_answered_for_listed_origins_only() {
    let server = served::start().await;
    let ask = |origin: &str| {
        format!(
            "OPTIONS /api/workflows/ HTTP/1.1\r\nHost: {{host}}\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: POST\r\nConnection: close\r\n\r\n"
        )
    };
    let answer = server.raw(&ask("http://localhost:5174")).await.to_lowercase();
    assert!(status(&answer) == "204" && answer.contains("access-control-allow-origin: http://localhost:5174\r\n"), "{answer}");
    assert!(answer.contains("access-control-allow-methods: get, post, put, patch, delete"), "{answer}");
    assert!(answer.contains("authorization") && answer.contains("x-api-key") && answer.contains("vary: origin"), "{answer}");
    assert!(answer.contains("access-control-allow-credentials: true") && !answer.contains('*'), "{answer}");
    let answer = server.raw(&ask("https://evil.example")).await.to_lowercase();
    assert!(status(&answer) == "403" && !answer.contains("access-control"), "{answer}");
}

#[tokio::test]
async fn what_another_site_makes_a_browser_fetch_is_refused() {
    let server = served::start().await;
    for path in ["/api/desktop/frame", "//api/desktop/frame", "/ws/workflow-automation"] {
        let answer = server.raw(&get(path, "Host: {host}\r\nSec-Fetch-Site: cross-site\r\n")).await;
        assert!(answer.contains("ORIGIN_NOT_ALLOWED"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn cors_is_what_is_configured_and_needs_no_key_to_be_asked() {
    let server = served::start_with(|config| {
        config.security.api_key_enabled = true;
        config.cors.origins = vec!["https://app.example".to_owned()];
        config.cors.credentials = false;
    })
    .await;
    let from = |method: &str, origin: &str| {
        format!(
            "{method} /api/workflows/ HTTP/1.1\r\nHost: {{host}}\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: GET\r\nConnection: close\r\n\r\n"
        )
    };
    // A browser sends no key with its question.
    let answer = server.raw(&from("OPTIONS", "https://app.example")).await.to_lowercase();
    assert!(status(&answer) == "204" && answer.contains("access-control-allow-origin: https://app.example\r\n"), "{answer}");
    assert!(!answer.contains("allow-credentials"), "{answer}");
    // The refusal can be read by the page that needs a key.
    let answer = server.raw(&from("GET", "https://app.example")).await.to_lowercase();
    assert!(status(&answer) == "401" && answer.contains("access-control-allow-origin: https://app.example\r\n"), "{answer}");
    assert!(answer.contains("access-control-expose-headers: retry-after, x-request-id"), "{answer}");
    for stranger in ["http://localhost:3000", "https://app.example.evil", "http://app.example"] {
        let answer = server.raw(&from("OPTIONS", stranger)).await.to_lowercase();
        assert!(status(&answer) == "403" && !answer.contains("access-control") && answer.contains("vary: origin"), "{stranger}: {answer}");
    }
}

#[tokio::test]
async fn each_request_has_an_id_that_its_log_and_its_failure_share() {
    let server = served::start().await;
    let ask = |id: &str| get("/api/health/", &format!("Host: {{host}}\r\nX-Request-Id: {id}\r\n"));
    assert!(server.raw(&ask("well-formed.1")).await.to_lowercase().contains("x-request-id: well-formed.1\r\n"));
    for bad in ["a b", "<script>", "é", &"x".repeat(65)] {
        let answer = server.raw(&ask(bad)).await.to_lowercase();
        let id = answer.split("x-request-id: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{bad}: {id}");
    }
    // The server's own fault, provoked: a table is gone.
    let database = rusqlite::Connection::open(server.data.path().join("trae.db")).unwrap();
    database.execute_batch("DROP TABLE keys").unwrap();
    let answer = server.raw(&get("/api/keys", "Host: {host}\r\nX-Request-Id: the-fault\r\n")).await;
    assert!(status(&answer) == "500" && answer.contains("\"request_id\":\"the-fault\""), "{answer}");
}

#[tokio::test]
async fn with_keys_on_only_what_is_open_answers() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    for path in trae::api::routes() {
        let path = if path.is_empty() { "/".to_owned() } else { path.replace(['{', '}', '*'], "") };
        let open =
            matches!(path.as_str(), "/" | "/api/health" | "/docs" | "/docs/file" | "/openapi.json") || path.starts_with("/api/webhooks/");
        for path in [path.clone(), format!("{path}/")] {
            let answer = server.raw(&get(&path, "Host: {host}\r\n")).await;
            assert_eq!(status(&answer) == "401", !open, "{path}: {answer}");
        }
    }
    let answer = server.raw(&get("/ws/workflow-automation", "Host: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n")).await;
    assert!(answer.contains("UNAUTHENTICATED"), "{answer}");
}

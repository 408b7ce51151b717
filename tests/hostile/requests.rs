//! `requests.json`: one request each, its answer, and no effect. `raw.json`: the same where a client would not send it.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::{PATIENCE, Server};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    name: String,
    #[serde(default = "post")]
    method: String,
    path: String,
    /// `admin` (the default), `read`, `author`, `run` (only `w`), `none`, `token:…` (as [`token`] makes them), or a text that is shown as it is.
    key: Option<String>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    /// Sent as JSON. `{canary}` in it stands for the file that must not appear, `{server}` for the server's process.
    body: Option<Value>,
    /// Sent as it is, as JSON unless `headers` say otherwise.
    text: Option<String>,
    /// So many bytes of `a` in a JSON text.
    bytes: Option<usize>,
    /// So many zones of a snapshot.
    zones: Option<usize>,
    status: Vec<u16>,
    code: Option<String>,
    /// What its answer must not hold; `{key}` stands for the administrator's key.
    #[serde(default)]
    lacks: Vec<String>,
}

fn post() -> String {
    "POST".to_owned()
}

/// Whoever sends them.
struct Callers {
    read: String,
    author: String,
    run: String,
}

async fn all_of(mut server: Server, rows: &str) {
    let callers = Callers {
        read: server.make_key("read"),
        author: server.make_key("read workflows"),
        run: server.make_key_for("read desktop shell scripts workflows admin", &["w"]),
    };
    let rows: Vec<Row> = serde_json::from_str(rows).unwrap();
    for id in ["w", "other"] {
        let drawn = json!({ "id": id, "name": "W", "nodes": [{ "id": "start", "type": "manual_trigger", "data": {} }], "edges": [] });
        assert_eq!(server.post("/api/workflows/", &drawn).await.0, 201);
    }
    let mut wrong = Vec::new();
    for row in rows {
        let (status, body) = send(&server, &callers, &row).await;
        let code = body["error_code"].as_str().unwrap_or_default();
        if !row.status.contains(&status) || row.code.as_ref().is_some_and(|wanted| wanted != code) {
            wrong.push(format!("{}: {status} {}", row.name, body.to_string().chars().take(300).collect::<String>()));
        }
        let key = server.key.clone().unwrap_or_default();
        let held: Vec<_> =
            row.lacks.iter().map(|part| part.replace("{key}", &key)).filter(|part| body.to_string().contains(part)).collect();
        if !held.is_empty() {
            wrong.push(format!("{}: its answer holds {held:?}", row.name));
        }
        if status >= 400 && row.method != "HEAD" && (code.is_empty() || !body["timestamp"].is_string()) {
            wrong.push(format!("{}: its answer is no ErrorResponse: {body}", row.name));
        }
        server.survived(&row.name).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(server.get("/api/workflows/w").await.0, 200, "what was there is still there");
}

async fn send(server: &Server, callers: &Callers, row: &Row) -> (u16, Value) {
    let fill =
        |text: &str| text.replace("{canary}", &server.canary().display().to_string()).replace("\"{server}\"", &server.pid().to_string());
    let mut request = reqwest::Client::new().request(row.method.parse::<Method>().unwrap(), server.url(&row.path)).timeout(PATIENCE);
    let key = match row.key.as_deref() {
        None | Some("admin") => server.key.clone(),
        Some("none") => None,
        Some("read") => Some(callers.read.clone()),
        Some("author") => Some(callers.author.clone()),
        Some("run") => Some(callers.run.clone()),
        Some(other) => match other.strip_prefix("token:") {
            Some(kind) => Some(token(server, kind).await),
            None => Some(other.to_owned()),
        },
    };
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    if !row.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        request = request.header("content-type", "application/json");
    }
    for (name, value) in &row.headers {
        request = request.header(name, value);
    }
    if let Some(body) = &row.body {
        request = request.body(fill(&body.to_string()));
    } else if let Some(text) = &row.text {
        request = request.body(text.clone());
    } else if let Some(bytes) = row.bytes {
        request = request.body(json!({ "name": "a".repeat(bytes) }).to_string());
    } else if let Some(zones) = row.zones {
        let zone = |at: usize| json!({ "id": at.to_string(), "name": "z", "x": 0, "y": 0, "width": 1, "height": 1 });
        request = request.body(json!({ "snapshot_id": "x", "zones": (0..zones).map(zone).collect::<Vec<_>>() }).to_string());
    }
    super::server::answered(request).await
}

/// A token of the administrator's key with everything: as the server would make it (`own`), or wrong in one thing.
async fn token(server: &Server, kind: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::{Hmac, KeyInit as _, Mac as _};

    let (_, keys) = server.get("/api/keys").await;
    let of_admin = keys["keys"].as_array().unwrap().iter().find(|key| key["scopes"] == json!(["admin"])).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let until = if kind == "expired" { now - 60 } else { now + 60 };
    let key = if kind == "another" { json!("0199-another") } else { of_admin["id"].clone() };
    let claims = json!({ "iss": "trae", "sub": key, "scopes": ["admin"], "iat": now - 120, "exp": until });
    let secret = match kind {
        "sample" => b"your-super-secret-jwt-key".to_vec(),
        "empty" => Vec::new(),
        _ => std::fs::read(server.data().join("jwt.secret")).unwrap(),
    };
    let head = URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","typ":"JWT"}"#);
    let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).unwrap().chain_update(&signed).finalize().into_bytes();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac))
}

#[tokio::test]
async fn what_the_door_keeps_out() {
    all_of(Server::with_keys(&[("HIDDEN_FROM_HEALTH", "canary-of-environment")]).measured(), include_str!("door.json")).await;
}

#[tokio::test]
async fn what_no_body_may_hold() {
    let server = Server::with_keys(&[("DISPLAY_MODE", "virtual"), ("VIRTUAL_SIZE", "640x480")]).measured();
    all_of(server, include_str!("requests.json")).await;
}

#[tokio::test]
async fn without_a_display_it_starts_and_says_what_is_missing() {
    all_of(Server::with_keys(&[]).measured(), include_str!("no_display.json")).await;
}

/// Every route of the published table.
#[tokio::test]
async fn nobody_without_a_key_gets_in_anywhere() {
    let mut server = Server::with_keys(&[]).measured();
    let (_, description) = server.get("/openapi.json").await;
    let mut tried = 0;
    let mut open = Vec::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        let path: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "x" } else { part }).collect();
        for method in item.as_object().unwrap().keys().filter_map(|name| name.to_uppercase().parse::<Method>().ok()) {
            let path = path.join("/");
            let answer = reqwest::Client::new().request(method.clone(), server.url(&path)).timeout(PATIENCE).send().await.unwrap();
            tried += 1;
            if answer.status() != 401 {
                open.push(format!("{method} {path} {}", answer.status().as_u16()));
            }
        }
    }
    assert!(tried > 100, "{tried}");
    let allowed = ["GET / 200", "GET /api/health/ 200", "GET /docs 200", "GET /docs/x 404", "GET /openapi.json 200"];
    open.retain(|line| !allowed.contains(&line.as_str()) && !line.contains(" /api/webhooks/"));
    assert!(open.is_empty(), "open to anybody: {open:?}");
    server.survived("all of it").await;
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    /// `{host}` stands for the server's address, `{port}` for its port, `{key}` for a key, `{ATTACK:n}` for n letters.
    send: String,
    /// What the answer begins with; none: closed without one, or refused.
    status: Option<u16>,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    lacks: Vec<String>,
}

#[tokio::test]
async fn what_no_client_would_send() {
    let mut server = Server::with_keys(&[("MAX_BODY_BYTES", "4096")]).measured();
    let rows: Vec<Raw> = serde_json::from_str(include_str!("raw.json")).unwrap();
    let mut wrong = Vec::new();
    for row in rows {
        let port = server.address.rsplit(':').next().unwrap();
        let mut send = row.send.replace("{host}", &server.address).replace("{port}", port).replace("{key}", server.key.as_deref().unwrap());
        if let Some((before, rest)) = send.clone().split_once("{LETTERS:") {
            let (count, after) = rest.split_once('}').unwrap();
            send = format!("{before}{}{after}", "a".repeat(count.parse().unwrap()));
        }
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        // A server that refuses early may close before all is sent.
        let _ = stream.write_all(send.as_bytes()).await;
        let mut answer = Vec::new();
        tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer))
            .await
            .unwrap_or_else(|_| panic!("{}: it stays open", row.name))
            .ok();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let found = answer.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse::<u16>().ok());
        let lower = answer.to_lowercase();
        let holds = row.holds.iter().all(|part| lower.contains(&part.to_lowercase()));
        if found != row.status || !holds || row.lacks.iter().any(|part| lower.contains(&part.to_lowercase())) {
            wrong.push(format!("{}: {}", row.name, answer.chars().take(400).collect::<String>()));
        }
        server.survived(&row.name).await;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

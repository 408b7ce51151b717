//! Calls to a real server on this machine.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Query;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use trae::error::{Classify, Kind};
use trae::fetch::{Error, Fetch, Request, Response};

use super::everything;

async fn echo(method: Method, uri: Uri, headers: HeaderMap, body: Bytes) -> impl IntoResponse {
    let header = |name: &str| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    axum::Json(json!({
        "method": method.as_str(), "uri": uri.to_string(), "body": String::from_utf8_lossy(&body),
        "type": header("content-type"), "x": header("x-mine"),
    }))
}

async fn jump(Query(to): Query<BTreeMap<String, String>>) -> impl IntoResponse {
    let status = to.get("status").map_or(302, |status| status.parse().unwrap());
    (StatusCode::from_u16(status).unwrap(), [("location", to["to"].clone())], "jump")
}

async fn server() -> SocketAddr {
    let router = Router::new()
        .route("/echo", any(echo))
        .route("/jump", any(jump))
        .route("/circle", get(|| async { (StatusCode::FOUND, [("location", "/circle")], "") }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(60)).await }))
        .route(
            "/drip",
            get(|| async {
                Body::from_stream(futures_util::stream::unfold((), |()| async {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
                }))
            }),
        )
        .route("/huge", get(|| async { vec![b'x'; 11 * 1024 * 1024] }))
        .route(
            "/bomb",
            get(|| async {
                let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
                (0..1000).for_each(|_| std::io::Write::write_all(&mut packed, &[0; 1 << 20]).unwrap());
                ([("content-encoding", "gzip")], packed.finish().unwrap())
            }),
        )
        .route("/latin", get(|| async { ([("content-type", "text/plain")], vec![b'a', 0xff]) }))
        .route("/broken", get(|| async { ([("content-type", "application/json")], "{") }))
        .route("/twice", get(|| async { (StatusCode::NOT_FOUND, axum::response::AppendHeaders([("x-a", "1"), ("x-a", "2")]), "no") }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    address
}

fn request(change: impl FnOnce(&mut Request)) -> Request {
    let mut request = serde_json::from_value(json!({ "url": "" })).unwrap();
    change(&mut request);
    request
}

async fn send(url: &str, request: Request, cancel: &CancellationToken) -> Result<Response, Error> {
    let url = everything(std::path::Path::new("/")).url(url).unwrap();
    Fetch::new().send(url, request, cancel).await
}

async fn get_url(url: &str) -> Result<Response, Error> {
    send(url, request(|_| {}), &CancellationToken::new()).await
}

#[tokio::test]
async fn what_is_asked_for_is_sent() {
    let at = server().await;
    let asked = request(|r| {
        r.method = "post".to_owned();
        r.headers = BTreeMap::from([("X-Mine".to_owned(), "grün".to_owned())]);
        r.query = BTreeMap::from([("a b".to_owned(), json!("c&d")), ("n".to_owned(), json!(1.5))]);
        r.body = json!({ "k": [1, null] });
    });
    let answer = send(&format!("http://{at}/echo?first=1"), asked, &CancellationToken::new()).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(answer.headers["content-type"].starts_with("application/json"));
    assert_eq!(
        answer.body,
        json!({ "method": "POST", "uri": "/echo?first=1&a+b=c%26d&n=1.5", "body": "{\"k\":[1,null]}", "type": "application/json", "x": "grün" })
    );

    let text = request(|r| {
        r.method = "PUT".to_owned();
        r.body = json!("as it is");
    });
    let answer = send(&format!("http://{at}/echo"), text, &CancellationToken::new()).await.unwrap();
    assert_eq!((&answer.body["body"], &answer.body["type"]), (&json!("as it is"), &Value::Null));
}

#[tokio::test]
async fn any_answer_is_an_answer() {
    let at = server().await;
    let answer = get_url(&format!("http://{at}/twice")).await.unwrap();
    assert_eq!((answer.status, answer.headers["x-a"].as_str(), answer.body), (404, "1, 2", json!("no")));
    assert_eq!(get_url(&format!("http://{at}/latin")).await.unwrap().body, json!("a\u{fffd}"));
    assert_eq!(get_url(&format!("http://{at}/broken")).await.unwrap().body, json!("{"));
    for path in ["huge", "bomb"] {
        assert_eq!(get_url(&format!("http://{at}/{path}")).await.unwrap_err().kind(), Kind::PayloadTooLarge, "{path}");
    }
}

#[tokio::test]
async fn redirects_are_followed_on_the_same_host_only() {
    let (at, other) = (server().await, server().await);
    let followed = get_url(&format!("http://{at}/jump?to=/echo")).await.unwrap();
    assert_eq!(followed.body["uri"], "/echo");
    for elsewhere in [format!("http://{other}/echo"), format!("http://localhost:{}/echo", at.port()), "http://169.254.169.254/".to_owned()]
    {
        let stopped = get_url(&format!("http://{at}/jump?to={elsewhere}")).await.unwrap();
        assert_eq!((stopped.status, stopped.headers["location"].as_str()), (302, elsewhere.as_str()));
    }
    let post = |status: u16| {
        let asked = request(|r| {
            r.method = "POST".to_owned();
            r.body = json!({ "a": 1 });
        });
        async move { send(&format!("http://{at}/jump?to=/echo&status={status}"), asked, &CancellationToken::new()).await.unwrap().body }
    };
    for (status, method, body) in [(303, "GET", ""), (302, "GET", ""), (307, "POST", "{\"a\":1}"), (308, "POST", "{\"a\":1}")] {
        let echoed = post(status).await;
        assert_eq!((&echoed["method"], &echoed["body"]), (&json!(method), &json!(body)), "{status}");
    }
    assert_eq!(get_url(&format!("http://{at}/circle")).await.unwrap_err().kind(), Kind::ServiceUnavailable);
}

#[tokio::test]
async fn time_outs_cover_the_whole_exchange() {
    let at = server().await;
    for path in ["slow", "drip"] {
        let started = Instant::now();
        let error = send(&format!("http://{at}/{path}"), request(|r| r.timeout = 0.5), &CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::Timeout);
        assert!(started.elapsed() < Duration::from_secs(5));
    }
}

#[tokio::test]
async fn a_cancel_answers_at_once() {
    let at = server().await;
    let cancel = CancellationToken::new();
    let url = format!("http://{at}/slow");
    let started = Instant::now();
    let (ended, ()) = tokio::join!(send(&url, request(|_| {}), &cancel), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        cancel.cancel();
    });
    assert_eq!(ended.unwrap_err().kind(), Kind::Cancelled);
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn malformed_requests_are_not_sent() {
    let changes: [fn(&mut Request); 9] = [
        |r| r.method = "GET /x".to_owned(),
        |r| r.method = String::new(),
        |r| r.method = "CONNECT".to_owned(),
        |r| r.headers = BTreeMap::from([("a b".to_owned(), "x".to_owned())]),
        |r| r.headers = BTreeMap::from([("a".to_owned(), "x\r\nb: c".to_owned())]),
        |r| r.headers = BTreeMap::from([("Host".to_owned(), "other".to_owned())]),
        |r| r.timeout = 0.0,
        |r| r.timeout = f64::NAN,
        |r| r.timeout = 301.0,
    ];
    for change in changes {
        let asked = request(change);
        let error = send("http://127.0.0.1:1/", asked.clone(), &CancellationToken::new()).await.unwrap_err();
        assert_eq!(error.kind(), Kind::ValidationError, "{asked:?}");
    }
}

#[tokio::test]
async fn metadata_addresses_are_never_called() {
    for url in ["http://169.254.169.254/latest/", "http://2852039166/", "https://[fd00:ec2::254]/", "http://[::ffff:169.254.169.254]/"] {
        assert_eq!(get_url(url).await.unwrap_err().kind(), Kind::PermissionDenied, "{url}");
    }
}

/// Names that lead to this machine are found out when they are resolved, also behind a redirect; nothing connects.
#[tokio::test]
async fn private_addresses_are_called_for_open_hosts_only() {
    use trae::fetch::Private;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let grant = everything(folder.path());
    let ask = async |fetch: &Fetch, host: &str| {
        let url = grant.url(&format!("http://{host}:{port}/")).unwrap();
        fetch.send(url, request(|request| request.timeout = 5.0), &CancellationToken::new()).await
    };
    let closed = Fetch::within(Private::Of(["elsewhere.example".to_owned()].into()));
    for host in [
        "localhost",
        "localhost.",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "0.0.0.0",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "ok@127.0.0.1",
    ] {
        let error = ask(&closed, host).await.unwrap_err();
        assert!(matches!(error, Error::Private { .. }) && error.kind() == Kind::PermissionDenied, "{host}: {error:?}");
    }
    let waited = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(waited.is_err(), "something connected");
    for url in ["file:///etc/passwd", "gopher://127.0.0.1:70/", "ftp://127.0.0.1/"] {
        assert_eq!(grant.url(url).unwrap_err().kind(), Kind::PermissionDenied, "{url}");
    }
    drop(listener);
    let address = server().await;
    let open = Fetch::within(Private::Of(["localhost".to_owned()].into()));
    let url = grant.url(&format!("http://localhost:{}/echo", address.port())).unwrap();
    let answer = open.send(url, request(|_| ()), &CancellationToken::new()).await.unwrap();
    assert_eq!(answer.status, 200);
}

/// Its own port is not called at any of its addresses, nor by a redirect; another one is.
#[tokio::test]
async fn a_server_does_not_call_itself() {
    let address = server().await;
    let folder = tempfile::tempdir().unwrap();
    let grant = everything(folder.path());
    let fetch = Fetch::new();
    let ask = async |host: &str| {
        let url = grant.url(&format!("http://{host}:{}/echo", address.port())).unwrap();
        fetch.send(url, request(|_| ()), &CancellationToken::new()).await
    };
    assert_eq!(ask("localhost").await.unwrap().status, 200);
    fetch.never(address);
    for host in ["localhost", "127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]"] {
        let error = ask(host).await.unwrap_err();
        assert!(matches!(error, Error::Own { .. }) && error.kind() == Kind::PermissionDenied, "{host}: {error:?}");
    }
    let other = server().await;
    let url = grant.url(&format!("http://127.0.0.1:{}/echo", other.port())).unwrap();
    assert_eq!(fetch.send(url, request(|_| ()), &CancellationToken::new()).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_host_that_is_not_there_is_named() {
    // Nothing listens on a port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = get_url(&format!("http://127.0.0.1:{port}/")).await.unwrap_err();
    assert_eq!(error.kind(), Kind::ServiceUnavailable);
    assert_eq!(error.details().unwrap()["service"], "127.0.0.1");
    let error = get_url("http://no-such-host.invalid/").await.unwrap_err();
    assert_eq!(error.kind(), Kind::ServiceUnavailable);
    // Speaks no TLS: an error with a reason, and no panic for want of a provider.
    let at = server().await;
    assert_eq!(get_url(&format!("https://{at}/echo")).await.unwrap_err().kind(), Kind::ServiceUnavailable);
}

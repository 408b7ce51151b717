//! How often one may knock: requests a minute, and wrong keys.

use std::net::IpAddr;

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Client;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

use super::served::{self, Server};

async fn get(client: &Client, server: &Server, path: &str, key: &str, forwarded: &str) -> (u16, Option<u64>) {
    let mut request = client.get(server.url(path)).header("x-forwarded-for", forwarded);
    if !key.is_empty() {
        request = request.bearer_auth(key);
    }
    let answer = request.send().await.unwrap();
    let retry = answer.headers().get("retry-after").map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), retry)
}

#[tokio::test]
async fn one_key_over_its_limit_holds_up_no_other() {
    let server = served::start_with(|config| {
        config.security.api_key_enabled = true;
        config.security.rate_limit_enabled = true;
        config.security.rate_limit_requests_per_minute = 5;
    })
    .await;
    let client = Client::new();
    let (one, other) = (server.key("read").await, server.key("read").await);
    for _ in 0..5 {
        assert_eq!(get(&client, &server, "/api/workflows/", &one, "").await.0, 200);
    }
    // Whatever it claims to be.
    let (status, retry) = get(&client, &server, "/api/runs", &one, "203.0.113.9").await;
    assert!(status == 429 && (1..=60).contains(&retry.unwrap()), "{status} {retry:?}");
    let body: serde_json::Value = client.get(server.url("/api/runs")).bearer_auth(&one).send().await.unwrap().json().await.unwrap();
    assert_eq!(body["error_code"], "RATE_LIMITED");
    assert_eq!(get(&client, &server, "/api/workflows/", &other, "").await.0, 200);
    for _ in 0..20 {
        assert_eq!(get(&client, &server, "/api/health/", "", "").await.0, 200);
    }
}

#[tokio::test]
async fn what_is_said_on_a_socket_does_not_count() {
    let server = served::start_with(|config| {
        config.security.rate_limit_enabled = true;
        config.security.rate_limit_requests_per_minute = 3;
    })
    .await;
    let (mut socket, _) = connect_async(format!("ws://{}/ws/workflow-automation", server.address)).await.unwrap();
    for _ in 0..50 {
        socket.send(Message::text(r#"{"type":"ping"}"#)).await.unwrap();
        assert!(socket.next().await.unwrap().unwrap().to_text().unwrap().contains("pong"));
    }
    let client = Client::new();
    for status in [200, 200, 429] {
        assert_eq!(get(&client, &server, "/api/workflows/", "", "").await.0, status);
    }
}

#[tokio::test]
async fn peers_without_keys_are_told_apart_as_trusted_proxies_tell_them() {
    let limited = |proxies: &'static str| async move {
        served::start_with(|config| {
            config.security.rate_limit_enabled = true;
            config.security.rate_limit_requests_per_minute = 1;
            config.server.trusted_proxies = proxies.split_whitespace().map(|proxy| proxy.parse().unwrap()).collect();
        })
        .await
    };
    let behind = limited("127.0.0.0/8").await;
    let client = Client::new();
    for (peer, status) in [("203.0.113.1", 200), ("203.0.113.1", 429), ("203.0.113.2", 200)] {
        assert_eq!(get(&client, &behind, "/api/workflows/", "", peer).await.0, status, "{peer}");
    }
    let alone = limited("").await;
    for (peer, status) in [("203.0.113.1", 200), ("203.0.113.2", 429)] {
        assert_eq!(get(&client, &alone, "/api/workflows/", "", peer).await.0, status, "{peer}");
    }
}

#[tokio::test]
async fn wrong_keys_close_the_door_to_whoever_shows_them() {
    let server = served::start_with(|config| config.security.api_key_enabled = true).await;
    let right = server.key("read").await;
    let client = Client::new();
    let elsewhere = Client::builder().local_address("127.0.0.2".parse::<IpAddr>().unwrap()).build().unwrap();
    for number in 0..20 {
        let wrong = format!("trae_{number:043}");
        assert_eq!(get(&client, &server, "/api/workflows/", &wrong, &format!("203.0.113.{number}")).await.0, 401);
    }
    let (status, retry) = get(&client, &server, "/api/workflows/", "trae_wrong", "203.0.113.99").await;
    assert!(status == 429 && (1..=60).contains(&retry.unwrap()), "{status} {retry:?}");
    assert_eq!(get(&client, &server, "/api/workflows/", &right, "").await.0, 429);
    assert_eq!(get(&elsewhere, &server, "/api/workflows/", &right, "").await.0, 200);
    // Who shows none is no guesser, and health is everybody's.
    assert_eq!(get(&client, &server, "/api/workflows/", "", "").await.0, 401);
    assert_eq!(get(&client, &server, "/api/health/", "", "").await.0, 200);
}

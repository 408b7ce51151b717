//! The server's own bounds: heads, connections, its end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::served;

async fn closes(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(25), stream.read_to_end(&mut rest)).await.is_ok()
}

#[tokio::test]
async fn slow_and_silent_clients_are_cut_off_while_others_are_served() {
    let server = served::start().await;
    let silent = TcpStream::connect(server.address).await.unwrap();
    let mut slow_head = TcpStream::connect(server.address).await.unwrap();
    slow_head.write_all(b"GET /api/health/ HT").await.unwrap();
    let mut slow_body = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /api/workflows HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{{",
        server.address
    );
    slow_body.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(reqwest::get(server.url("/api/health/")).await.unwrap().status(), 200);
    let (silent, slow_head, slow_body) = tokio::join!(closes(silent), closes(slow_head), closes(slow_body));
    assert!(silent && slow_head && slow_body, "silent {silent}, slow head {slow_head}, slow body {slow_body}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let server = served::start().await;
    let answer = server.raw(&format!("GET /api/health/ HTTP/1.1\r\nHost: {{host}}\r\nX-Large: {}\r\n\r\n", "x".repeat(66_000))).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    assert_eq!(reqwest::get(server.url("/api/health/")).await.unwrap().status(), 200);
}

#[tokio::test]
async fn one_connection_too_many_is_told_so() {
    let server = served::start_with(|config| config.server.max_connections = 1).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(format!("GET /api/health/ HTTP/1.1\r\nHost: {}\r\n\r\n", server.address).as_bytes()).await.unwrap();
    first.read_exact(&mut [0; 12]).await.unwrap();
    let mut second = TcpStream::connect(server.address).await.unwrap();
    let mut answer = String::new();
    let _ = second.read_to_string(&mut answer).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 503"), "{answer}");
    drop(first);
    let served = async {
        while reqwest::get(server.url("/api/health/")).await.is_ok_and(|answer| answer.status() != 200) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), served).await.expect("the place is free again");
}

#[tokio::test]
async fn the_end_waits_for_what_is_under_way_but_not_for_idle_connections() {
    let mut server = served::start().await;
    let client = reqwest::Client::new();
    assert_eq!(client.get(server.url("/api/health/")).send().await.unwrap().status(), 200);
    server.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(4), &mut server.serving).await.expect("idle connections do not hold it").unwrap();
    assert!(client.get(server.url("/api/health/")).send().await.is_err());
}

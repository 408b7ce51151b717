//! `GET /api/runs/{id}/events`.

use std::time::Duration;

use super::stand_in;

#[tokio::test]
async fn events_come_from_the_start_or_from_where_the_client_was() {
    let server = stand_in::start().await;
    let client = reqwest::Client::new();
    let all = client.get(server.url("/api/runs/known/events")).send().await.unwrap();
    assert_eq!(all.headers()["content-type"], "text/event-stream");
    let text = all.text().await.unwrap();
    assert!(text.starts_with("id: 1\nevent: run_started\ndata: {"), "{text}");
    assert_eq!(text.matches("\nevent: ").count(), 3, "it ends with the run: {text}");
    let rest = client.get(server.url("/api/runs/known/events?after=1")).send().await.unwrap().text().await.unwrap();
    assert!(rest.starts_with("id: 2\n"), "{rest}");
    let rest = client.get(server.url("/api/runs/known/events?after=1")).header("Last-Event-ID", "2").send().await.unwrap();
    assert!(rest.text().await.unwrap().starts_with("id: 3\n"));
    let nothing = client.get(server.url("/api/runs/known/events")).header("Last-Event-ID", "3").send().await.unwrap();
    assert_eq!(nothing.status(), 204);
    assert_eq!(client.get(server.url("/api/runs/known/events")).header("Last-Event-ID", "x").send().await.unwrap().status(), 422);
    assert_eq!(client.get(server.url("/api/runs/unknown/events")).send().await.unwrap().status(), 404);
}

#[tokio::test]
async fn a_stream_ends_with_the_server() {
    let mut server = stand_in::start().await;
    let mut live = reqwest::get(server.url("/api/runs/known-live/events")).await.unwrap();
    assert!(live.chunk().await.unwrap().is_some());
    server.shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(4), &mut server.serving).await.expect("the server ends before its grace is over").unwrap();
}

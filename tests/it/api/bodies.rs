//! Bodies: how large, how slow.

use super::served;

#[tokio::test]
async fn a_body_one_byte_over_the_limit_is_refused() {
    let server = served::start_with(|config| config.server.max_body_bytes = 2000).await;
    let client = reqwest::Client::new();
    for (length, expected) in [(2000, 201), (2001, 413)] {
        let body = format!("{{\"name\":\"{}\"}}", "x".repeat(length - 11));
        assert_eq!(body.len(), length);
        let answer = client.post(server.url("/api/workflows")).header("content-type", "application/json").body(body.clone()).send().await;
        assert_eq!(answer.unwrap().status().as_u16(), expected, "{length} with its length");
        let head = "POST /api/workflows HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close";
        let answer = server.raw(&format!("{head}\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{length} in chunks: {answer}");
    }
}

#[tokio::test]
async fn lists_and_maps_may_not_be_nested_without_end() {
    let server = served::start().await;
    let body = format!("{{\"nodes\":[{{\"data\":{{\"x\":{}{}}}}}]}}", "[".repeat(200), "]".repeat(200));
    let answer =
        reqwest::Client::new().post(server.url("/api/workflows")).header("content-type", "application/json").body(body).send().await;
    assert_eq!(answer.unwrap().status(), 422);
}

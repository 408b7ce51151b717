//! The API over TLS, with a certificate of its own.

use reqwest::{Certificate as Root, Client};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::served;
use crate::support::certificate::Certificate;

#[tokio::test]
async fn with_a_certificate_the_api_speaks_tls_and_nothing_else() {
    let certificate = Certificate::new("localhost");
    let server = served::start_with(|config| {
        config.server.tls_cert = Some(certificate.cert());
        config.server.tls_key = Some(certificate.key());
    })
    .await;
    let url = format!("https://localhost:{}/api/health/", server.address.port());
    let trusting = Client::builder()
        .tls_certs_only([Root::from_pem(&certificate.pem()).unwrap()])
        .resolve("localhost", server.address)
        .build()
        .unwrap();
    let answer = trusting.get(&url).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["status"], "healthy");
    // Its own pages, over TLS.
    let own = format!("https://localhost:{}", server.address.port());
    assert_eq!(trusting.get(&url).header("origin", own).send().await.unwrap().status(), 200);
    let doubting = Client::builder().resolve("localhost", server.address).build().unwrap();
    assert!(doubting.get(&url).send().await.is_err());
    let mut plain = TcpStream::connect(server.address).await.unwrap();
    plain.write_all(b"GET /api/health/ HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(std::time::Duration::from_secs(20), plain.read_to_end(&mut answer)).await.expect("it is closed");
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{answer:?}");
}

//! Names whose addresses are not the same each time, or not all of one kind: a resolver of the test says what they stand for.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::dns::Resolve as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::address::{Names, Resolver};
use super::{Error, Fetch, Private, Request, Response};
use crate::policy::{Grant, Permissions};

fn answering(answers: &[&[&str]]) -> Names {
    let ips = |answer: &&[&str]| answer.iter().map(|ip| ip.parse().unwrap()).collect::<Vec<IpAddr>>();
    Names::Scripted(Arc::new(Mutex::new(answers.iter().map(ips).collect())))
}

/// Answers everything with `answer`, once for each connection; how many there were.
async fn server(answer: &'static str) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, connections) = (listener.local_addr().unwrap().port(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    (port, connections)
}

async fn get(fetch: &Fetch, port: u16) -> Result<Response, Error> {
    let folder = tempfile::tempdir().unwrap();
    let url = Grant::new(vec![Permissions::all()], folder.path()).url(&format!("http://rebound.example:{port}/")).unwrap();
    let request: Request = serde_json::from_value(serde_json::json!({ "url": url.as_url().as_str() })).unwrap();
    fetch.send(url, request, &CancellationToken::new()).await
}

const OK: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
const AGAIN: &str = "HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n";

/// What is connected to is what was looked at: nothing is looked up a second time in between.
#[tokio::test]
async fn a_name_that_changes_its_answer_leads_only_where_it_may() {
    let (port, connections) = server(OK).await;
    let fetch = Fetch { names: answering(&[&["127.0.0.1"], &["169.254.169.254"]]), ..Fetch::default() };
    assert_eq!(get(&fetch, port).await.unwrap().status, 200);
    assert!(matches!(get(&fetch, port).await, Err(Error::Refused { .. })));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // Nor behind a redirect to the same name.
    let (port, connections) = server(AGAIN).await;
    let fetch = Fetch { names: answering(&[&["127.0.0.1"], &["169.254.169.254"]]), ..Fetch::default() };
    assert!(matches!(get(&fetch, port).await, Err(Error::Refused { .. })));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
    // Where private addresses are closed, one that was public a moment ago is none of them.
    let (port, connections) = server(OK).await;
    let fetch = Fetch { names: answering(&[&["127.0.0.1"]]), ..Fetch::within(Private::Of([].into())) };
    assert!(matches!(get(&fetch, port).await, Err(Error::Private { .. })));
    assert_eq!(connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn of_a_names_addresses_only_those_are_called_that_may_be() {
    let found = async |private: Private, answer: &[&str]| {
        let resolver = Resolver { names: answering(&[answer]), private, own: None };
        let found = resolver.resolve("mixed.example".parse().unwrap()).await;
        found.map(|found| found.map(|address| address.ip().to_string()).collect::<Vec<_>>()).unwrap_or_default()
    };
    let closed = || Private::Of([].into());
    assert_eq!(found(closed(), &["10.0.0.1", "93.184.216.34", "127.0.0.1", "::1"]).await, ["93.184.216.34"]);
    assert_eq!(found(Private::All, &["169.254.169.254", "10.0.0.1", "fe80::1"]).await, ["10.0.0.1"]);
    assert!(found(closed(), &["10.0.0.1", "::ffff:192.168.0.1"]).await.is_empty());
    let (port, connections) = server(OK).await;
    let fetch = Fetch { names: answering(&[&["169.254.169.254", "127.0.0.1"]]), ..Fetch::default() };
    assert_eq!(get(&fetch, port).await.unwrap().status, 200);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

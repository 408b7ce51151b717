//! Carries the API over TCP: accepts connections, and bounds how many there are, how long a head may take and how large it may be.
//!
//! Not `axum::serve`, which bounds nothing: a client that sends a byte a second would keep its connection for ever. Bodies are bounded
//! where they are read (`body`), sockets where they live.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapRequest;
use tower::{Service, ServiceExt};

use super::owner::{self, Stranger};
use super::peer::{Peer, Port};
use super::tls::Tls;

/// How long a request's head may take, and how long a connection may be idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);
/// How large a request's head may be. The buffer may grow to twice that before it is looked at, so 64 KiB are never accepted.
const HEAD_BYTES: usize = 32 * 1024;
/// How long requests under way may take once the server ends.
const GRACE: Duration = Duration::from_secs(5);
/// How long to wait before accepting again when the system has no more file descriptors.
const BREATH: Duration = Duration::from_millis(100);
/// What one connection too many is told.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// Serves `service` on all `listeners` until `shutdown`, with at most `connections` at a time, through `tls` where there is one. Returns once
/// the last connection is closed: requests under way are finished if that takes at most 5 seconds.
///
/// Streams and sockets have to end by themselves when the server does; they get the same token through `State`.
pub async fn serve<S>(listeners: Vec<TcpListener>, service: S, tls: Option<Tls>, connections: usize, shutdown: CancellationToken)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    let places = Arc::new(Semaphore::new(connections));
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listeners) => accepted,
        };
        let (stream, peer) = match accepted {
            Ok((stream, address)) => (stream, address),
            Err(error) => {
                pause_after(&error).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // Best effort: the client learns why, and nobody waits for it.
            let _ = stream.try_write(FULL);
            continue;
        };
        let (service, tls, shutdown, cut) = (service.clone(), tls.clone(), shutdown.clone(), cut.clone());
        tasks.spawn(async move {
            let _place = place;
            tokio::select! {
                () = cut.cancelled() => {}
                () = admit(stream, peer, tls, service, shutdown) => {}
            }
        });
    }
    drop(listeners);
    tasks.close();
    if tokio::time::timeout(GRACE, tasks.wait()).await.is_err() {
        cut.cancel();
        tasks.wait().await;
    }
}

/// The next connection at any of them.
async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    std::future::poll_fn(|context| {
        let mut accepted = listeners.iter().map(|listener| listener.poll_accept(context));
        accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}

/// Where a connection comes from.
#[derive(Clone, Copy)]
struct Source {
    peer: Peer,
    port: Port,
    is_strangers: bool,
}

/// One connection: encrypted first, if it is to be.
async fn admit<S>(stream: TcpStream, peer: SocketAddr, tls: Option<Tls>, service: S, shutdown: CancellationToken)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
{
    // Answers are small and wanted at once.
    let _ = stream.set_nodelay(true);
    let Ok(local) = stream.local_addr() else { return };
    // Before anything is read: who has gone by the time it is looked at could have been anybody.
    let looked = tokio::task::spawn_blocking(move || owner::is_strangers(peer, local)).await;
    let from = Source { peer: Peer(peer.ip()), port: Port(local.port()), is_strangers: looked.unwrap_or(true) };
    let Some(Tls(tls)) = tls else { return converse(stream, from, service, shutdown).await };
    match tokio::time::timeout(HEAD_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, from, service, shutdown).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection was not encrypted"),
        Err(_) => tracing::debug!("a connection took too long to be encrypted"),
    }
}

/// One connection, from its first request to its last.
async fn converse<S, T>(stream: T, from: Source, service: S, shutdown: CancellationToken)
where
    S: Service<Request, Response = Response, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service: MapRequest<S, _> = service.map_request(move |request: hyper::Request<hyper::body::Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(from.peer);
        request.extensions_mut().insert(from.port);
        if from.is_strangers {
            request.extensions_mut().insert(Stranger);
        }
        request
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = shutdown.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

/// A connection that failed before it was accepted says nothing about the next; a lack of file descriptors does.
async fn pause_after(error: &io::Error) {
    if matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused) {
        return;
    }
    tracing::warn!(%error, "cannot accept connections: raise the limit of open files if this goes on");
    tokio::time::sleep(BREATH).await;
}

//! `/ws/echo`: says back what it hears, for trying a connection out; and how the sockets are.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::UPGRADE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::router;
use super::socket::{Ended, Handshake, Heard, Socket};

/// How the sockets are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SocketsHealth {
    /// `healthy`; `full` where no further socket is accepted; `disabled`.
    #[schema(example = "healthy")]
    status: &'static str,
    /// How many are open.
    #[schema(example = 2)]
    open: usize,
    /// How many may be.
    #[schema(example = 100)]
    limit: usize,
    /// How many are open at each path there is; each is also to be found below `/api`.
    #[schema(example = json!({ "/ws/echo": 0, "/ws/workflow-automation": 2 }))]
    paths: BTreeMap<String, usize>,
}

/// How to connect.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HowToConnect {
    /// A sentence.
    message: &'static str,
    /// Where to.
    #[schema(example = "ws://127.0.0.1:8007/ws/echo")]
    url: String,
}

/// How many sockets are open, how many may be, and where.
#[utoipa::path(get, path = "/api/ws/health", tag = "websockets", operation_id = "websockets_health", responses((status = 200, body = SocketsHealth)))]
pub(crate) async fn health(State(state): State<super::State>) -> Json<SocketsHealth> {
    let mut paths: BTreeMap<String, usize> = known().into_iter().map(|path| (path, 0)).collect();
    paths.extend(state.sockets().open());
    let (open, limit) = (paths.values().sum(), state.sockets().limit());
    let status = match (state.config().services.websockets, open < limit) {
        (false, _) => "disabled",
        (true, true) => "healthy",
        (true, false) => "full",
    };
    Json(SocketsHealth { status, open, limit, paths })
}

/// The paths of sockets, without the `/api` that each may have before it.
fn known() -> BTreeSet<String> {
    router::routes().into_iter().filter(|path| path.starts_with("/ws/")).collect()
}

/// Opens a socket that says back whatever it hears, text or not; asked for as a page, it says how to connect.
#[utoipa::path(get, path = "/ws/echo", tag = "websockets", operation_id = "echo", responses((status = 101, description = "The socket is open"), (status = 200, description = "How to connect", body = HowToConnect), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open(State(state): State<super::State>, request: Request) -> Result<Response> {
    Handshake::possible(&state)?;
    if !request.headers().contains_key(UPGRADE) {
        let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or("localhost");
        let message = "this path is a WebSocket that says back what it hears: connect to `url` with a WebSocket client";
        let scheme = if state.config().server.tls_cert.is_some() { "wss" } else { "ws" };
        return Ok(Json(HowToConnect { message, url: format!("{scheme}://{host}/ws/echo") }).into_response());
    }
    Ok(Handshake::begin(&state, request).await?.finish(&state, converse))
}

/// The same socket, where a frontend expects it.
#[utoipa::path(get, path = "/api/ws/echo", tag = "websockets", operation_id = "echo_api", responses((status = 101, description = "The socket is open"), (status = 200, description = "How to connect", body = HowToConnect), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open_below_api(state: State<super::State>, request: Request) -> Result<Response> {
    open(state, request).await
}

async fn converse(mut socket: Socket) -> Ended {
    loop {
        let said = match socket.hear_any().await {
            Err(ended) => return ended,
            Ok(Heard::Text(text)) => socket.say(text).await,
            Ok(Heard::Bytes(bytes)) => socket.say_bytes(bytes).await,
        };
        if let Err(ended) = said {
            return ended;
        }
    }
}

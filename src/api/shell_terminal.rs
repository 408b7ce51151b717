//! `/ws/shell/{session_id}`: a session's terminal, for any number of viewers.
//!
//! Binary messages are bytes, both ways: what is typed, and what the terminal prints, beginning with what is kept of it. Text messages
//! are JSON: [`Said`]. Commands sent over REST run in the same shell, so whoever looks sees them run.

use axum::extract::ws::close_code;
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract::{self, Path};
use super::shell::session;
use super::socket::{Ended, Handshake, Heard, Socket, pong};
use crate::error::{Failure, Kind};
use crate::policy::AllowedCommand;
use crate::services::Name;
use crate::shell::{Session, Viewer};
use std::sync::Arc;

/// What a client says beside what is typed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Said {
    /// The window in which the terminal is shown has this size, in characters.
    Resize {
        /// Columns.
        #[schema(minimum = 1, maximum = 1000)]
        cols: u16,
        /// Rows.
        #[schema(minimum = 1, maximum = 1000)]
        rows: u16,
    },
    /// Answered by `pong`.
    Ping {},
}

/// Opens a session's terminal. Binary: bytes both ways; text: `resize {cols, rows}`, `ping`.
#[utoipa::path(get, path = "/ws/shell/{session_id}", tag = "websockets", operation_id = "shell_terminal", params(("session_id" = String, Path)), responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open(State(state): State<super::State>, Path(id): Path<String>, request: Request) -> Result<Response> {
    let alive = state.enter(Name::Shell)?;
    let handshake = Handshake::begin(&state, request).await?;
    let (session, allowed) = session(&state, &id).await?;
    let viewer = session.view(&allowed)?;
    Ok(handshake.finish(&state, move |socket| converse(socket, session, allowed, viewer, alive)))
}

/// The same socket, where a frontend expects it.
#[utoipa::path(get, path = "/api/ws/shell/{session_id}", tag = "websockets", operation_id = "shell_terminal_api", params(("session_id" = String, Path)), responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open_below_api(state: State<super::State>, id: Path<String>, request: Request) -> Result<Response> {
    open(state, id, request).await
}

async fn converse(
    mut socket: Socket,
    session: Arc<Session>,
    allowed: AllowedCommand,
    mut viewer: Viewer,
    alive: CancellationToken,
) -> Ended {
    loop {
        let done = tokio::select! {
            heard = socket.hear_any() => match heard {
                Err(ended) => return ended,
                Ok(Heard::Bytes(bytes)) => typed(&mut socket, &session, &allowed, &bytes).await,
                Ok(Heard::Text(text)) => answer(&mut socket, &session, &allowed, &text).await,
            },
            printed = viewer.next() => match printed {
                Some(bytes) => socket.say_bytes(bytes).await,
                None => return socket.close(close_code::NORMAL, &session.end_reason()).await,
            },
            () = alive.cancelled() => return socket.close(close_code::AWAY, "the shell service was stopped").await,
        };
        if let Err(ended) = done {
            return ended;
        }
    }
}

/// Passes on what was typed.
async fn typed(socket: &mut Socket, session: &Session, allowed: &AllowedCommand, bytes: &[u8]) -> Result<(), Ended> {
    match session.keys_of(allowed, bytes) {
        Ok(true) => Ok(()),
        Ok(false) => {
            let full = "what runs in the terminal does not read: 1 MiB waits already, and this was dropped";
            socket.fail(&Failure::new(Kind::RateLimited, full)).await
        }
        // The viewer is about to say so.
        Err(_) => Ok(()),
    }
}

/// Deals with one text message.
async fn answer(socket: &mut Socket, session: &Session, allowed: &AllowedCommand, text: &str) -> Result<(), Ended> {
    match extract::read::<Said>(text.as_bytes()) {
        Ok(said) => {
            socket.understood();
            match said {
                Said::Ping {} => socket.say(pong().to_string()).await,
                Said::Resize { cols, rows } => match session.resize(allowed, cols, rows) {
                    Ok(()) => Ok(()),
                    Err(error) => socket.fail(&error.into()).await,
                },
            }
        }
        Err(error) => socket.malformed(error.failure()).await,
    }
}

//! `/ws/shell/{session_id}`: a session's terminal, for any number of viewers, one of which types.
//!
//! Binary messages are bytes, both ways: what is typed, and what the terminal prints, beginning with what makes the viewer's terminal the
//! same. Text messages are JSON: [`Said`], and the answers to it. Commands sent over REST run in the same shell, so whoever looks sees
//! them run. A client that asks for the subprotocol `tty` is spoken to as ttyd speaks ([`super::ttyd`]).

use std::sync::Arc;

use axum::extract::ws::close_code;
use axum::extract::{Request, State};
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::error::{ErrorResponse, Result};
use super::extract::{self, Path};
use super::shell::session;
use super::socket::{Ended, Handshake, Heard, Socket, pong};
use super::ttyd;
use crate::error::{Failure, Kind};
use crate::policy::AllowedCommand;
use crate::services::Name;
use crate::shell::{Seen, Session, Standing, Taken, TerminalSize, Viewer};

/// What a client says beside what is typed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Said {
    /// The window in which the terminal is shown has this size, in characters. The terminal takes the size of who types.
    Resize {
        /// Columns.
        #[schema(minimum = 1, maximum = 1000)]
        cols: u16,
        /// Rows.
        #[schema(minimum = 1, maximum = 1000)]
        rows: u16,
    },
    /// Types from now on, instead of whoever did.
    Take {},
    /// Prints no more for now. What is kept meanwhile comes later; for the rest comes the screen as it is then.
    Pause {},
    /// Prints on.
    Resume {},
    /// Answered by `pong`.
    Ping {},
}

/// One end of a conversation.
pub(super) struct Seat {
    pub(super) socket: Socket,
    pub(super) session: Arc<Session>,
    pub(super) allowed: AllowedCommand,
    pub(super) viewer: Viewer,
}

/// Opens a session's terminal. Binary: bytes both ways; text: `resize {cols, rows}`, `take`, `pause`, `resume`, `ping`, and back `standing
/// {writer, viewers, cols, rows}`, `pong` and errors. With the subprotocol `tty` it speaks as ttyd does.
#[utoipa::path(get, path = "/ws/shell/{session_id}", tag = "websockets", operation_id = "shell_terminal", params(("session_id" = String, Path)), responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open(State(state): State<super::State>, Path(id): Path<String>, request: Request) -> Result<Response> {
    let alive = state.enter(Name::Shell)?;
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok());
    let like_ttyd = offered.flat_map(|value| value.split(',')).any(|protocol| protocol.trim() == ttyd::PROTOCOL);
    let handshake = Handshake::begin(&state, request).await?;
    let (session, allowed) = session(&state, &id).await?;
    let viewer = session.view(&allowed)?;
    Ok(handshake.finish(&state, move |mut socket| async move {
        socket.be_patient();
        let seat = Seat { socket, session, allowed, viewer };
        if like_ttyd { ttyd::converse(seat, alive).await } else { converse(seat, alive).await }
    }))
}

/// The same socket, where a frontend expects it.
#[utoipa::path(get, path = "/api/ws/shell/{session_id}", tag = "websockets", operation_id = "shell_terminal_api", params(("session_id" = String, Path)), responses((status = 101, description = "The socket is open"), (status = 400, body = ErrorResponse), (status = 404, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 503, body = ErrorResponse)))]
pub(crate) async fn open_below_api(state: State<super::State>, id: Path<String>, request: Request) -> Result<Response> {
    open(state, id, request).await
}

async fn converse(mut seat: Seat, alive: CancellationToken) -> Ended {
    loop {
        let done = tokio::select! {
            heard = seat.socket.hear_any() => match heard {
                Err(ended) => return ended,
                Ok(Heard::Bytes(bytes)) => typed(&mut seat, &bytes).await,
                Ok(Heard::Text(text)) => answer(&mut seat, &text).await,
            },
            seen = seat.viewer.next() => match seen {
                Some(Seen::Printed(bytes)) => seat.socket.say_bytes(bytes).await,
                Some(Seen::Standing(standing)) => seat.socket.say(shown(standing)).await,
                None => return seat.socket.close(close_code::NORMAL, &seat.session.end_reason()).await,
            },
            () = alive.cancelled() => return seat.socket.close(close_code::AWAY, "the shell service was stopped").await,
        };
        if let Err(ended) = done {
            return ended;
        }
    }
}

fn shown(Standing { writer, viewers, size }: Standing) -> String {
    json!({ "type": "standing", "writer": writer, "viewers": viewers, "cols": size.cols, "rows": size.rows }).to_string()
}

/// Passes on what was typed.
async fn typed(seat: &mut Seat, bytes: &[u8]) -> Result<(), Ended> {
    let failure = match seat.viewer.keys(&seat.allowed, bytes) {
        Ok(Taken::Taken) => return Ok(()),
        Ok(Taken::Full) => full(),
        Ok(Taken::NotYours) => Failure::new(
            Kind::Conflict,
            "somebody else types in this terminal, and this was dropped: send {\"type\":\"take\"} to take over",
        ),
        // The viewer is about to say so.
        Err(_) => return Ok(()),
    };
    seat.socket.fail(&failure).await
}

pub(super) fn full() -> Failure {
    Failure::new(Kind::RateLimited, "what runs in the terminal does not read: 1 MiB waits already, and this was dropped")
}

/// Deals with one text message.
async fn answer(seat: &mut Seat, text: &str) -> Result<(), Ended> {
    let said = match extract::read::<Said>(text.as_bytes()) {
        Ok(said) => said,
        Err(error) => return seat.socket.malformed(error.failure()).await,
    };
    seat.socket.understood();
    match said {
        Said::Ping {} => return seat.socket.say(pong().to_string()).await,
        Said::Take {} => seat.viewer.take(),
        Said::Pause {} => seat.viewer.pause(true),
        Said::Resume {} => seat.viewer.pause(false),
        Said::Resize { cols, rows } => {
            if let Err(error) = seat.viewer.resize(&seat.allowed, TerminalSize { cols, rows }) {
                return seat.socket.fail(&error.into()).await;
            }
        }
    }
    Ok(())
}

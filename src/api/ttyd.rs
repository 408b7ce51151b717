//! A session's terminal for clients of ttyd, which ask for the subprotocol `tty`.
//!
//! Each message begins with a byte that says what it is: `0` what is typed or printed, `1` a size or a title, `2` pause or preferences,
//! `3` resume; the first one of a client is JSON with its size. There is no way to ask who types: whoever types takes that over.

use axum::extract::ws::close_code;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::shell_terminal::{Seat, full};
use super::socket::{Ended, Heard};
use crate::error::{Failure, Kind};
use crate::shell::{Seen, Taken, TerminalSize};

/// The subprotocol.
pub(super) const PROTOCOL: &str = "tty";

/// A client's size. Whatever else it says with it is not for us.
#[derive(Deserialize)]
struct Window {
    columns: u16,
    rows: u16,
}

pub(super) async fn converse(mut seat: Seat, alive: CancellationToken) -> Ended {
    let title = format!("1{} ({})", seat.session.name(), seat.session.shell_type().as_str());
    for greeting in [title, "2{}".to_owned()] {
        if let Err(ended) = seat.socket.say_bytes(greeting.into_bytes()).await {
            return ended;
        }
    }
    loop {
        let done = tokio::select! {
            heard = seat.socket.hear_any() => match heard {
                Err(ended) => return ended,
                Ok(Heard::Bytes(bytes)) => heed(&mut seat, &bytes).await,
                Ok(Heard::Text(text)) => heed(&mut seat, text.as_bytes()).await,
            },
            seen = seat.viewer.next() => match seen {
                Some(Seen::Printed(mut bytes)) => {
                    bytes.insert(0, b'0');
                    seat.socket.say_bytes(bytes).await
                }
                Some(Seen::Standing(_)) => Ok(()),
                None => return seat.socket.close(close_code::NORMAL, &seat.session.end_reason()).await,
            },
            () = alive.cancelled() => return seat.socket.close(close_code::AWAY, "the shell service was stopped").await,
        };
        if let Err(ended) = done {
            return ended;
        }
    }
}

/// Does what a client says.
async fn heed(seat: &mut Seat, message: &[u8]) -> Result<(), Ended> {
    match message {
        [b'0', keys @ ..] => {
            let mut done = seat.viewer.keys(&seat.allowed, keys);
            if matches!(done, Ok(Taken::NotYours)) {
                seat.viewer.take();
                done = seat.viewer.keys(&seat.allowed, keys);
            }
            // It has no words for an error: what was dropped is seen not to appear.
            if matches!(done, Ok(Taken::Full)) {
                tracing::debug!(session = seat.session.id(), "{}", full());
            }
        }
        [b'1', size @ ..] | size @ [b'{', ..] => match serde_json::from_slice::<Window>(size) {
            Ok(Window { columns, rows }) => {
                // A size that no terminal has is not taken.
                let _ = seat.viewer.resize(&seat.allowed, TerminalSize { cols: columns, rows });
            }
            // The first message may come without one.
            Err(_) if message.first() == Some(&b'{') => {}
            Err(error) => return malformed(seat, &format!("this is no size: {error}")).await,
        },
        [b'2'] => seat.viewer.pause(true),
        [b'3'] => seat.viewer.pause(false),
        _ => return malformed(seat, "a message begins with 0 (keys), 1 (size), 2 (pause) or 3 (resume)").await,
    }
    seat.socket.understood();
    Ok(())
}

async fn malformed(seat: &mut Seat, why: &str) -> Result<(), Ended> {
    seat.socket.malformed(&Failure::new(Kind::ValidationError, why)).await
}

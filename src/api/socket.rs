//! The life of one WebSocket, whatever is spoken on it: how many there are, pings, silence, slow readers, malformed messages.
//!
//! What is spoken lives beside: `echo`, `filesystem`, `shell_terminal`, `workflow_automation`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts, MatchedPath, Request};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

use super::error::Error;
use super::state::State;
use super::visit;
use crate::error::{Failure, Kind};
use crate::mask;

/// The largest message, in bytes.
const MESSAGE_BYTES: usize = 1 << 20;
/// How long one message may take to leave before its reader counts as too slow.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many malformed messages in a row a connection survives.
const MALFORMED: u32 = 9;
/// The longest reason for a close, in bytes.
const REASON_BYTES: usize = 123;
/// The close code for "try again later".
const TRY_AGAIN_LATER: u16 = 1013;
const TOO_SLOW: &str = "too slow: connect again and go on after the last event that was read";

/// The sockets that are open.
pub(crate) struct Sockets {
    limit: usize,
    free: Arc<Semaphore>,
    open: Mutex<BTreeMap<String, usize>>,
}

impl Sockets {
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, free: Arc::new(Semaphore::new(limit)), open: Mutex::default() }
    }

    /// How many there may be.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many are open, by path; those of paths where none is open any more count 0.
    pub(crate) fn open(&self) -> BTreeMap<String, usize> {
        self.count().clone()
    }

    /// A place for one more at `path`, if there is one.
    fn take(self: &Arc<Self>, path: &str) -> Option<Place> {
        let permit = Arc::clone(&self.free).try_acquire_owned().ok()?;
        *self.count().entry(path.to_owned()).or_default() += 1;
        Some(Place { sockets: Arc::clone(self), path: path.to_owned(), _permit: permit })
    }

    fn count(&self) -> MutexGuard<'_, BTreeMap<String, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The place of one socket, until it is dropped.
struct Place {
    sockets: Arc<Sockets>,
    path: String,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(count) = self.sockets.count().get_mut(&self.path) {
            *count -= 1;
        }
    }
}

/// A handshake that may go on: sockets are on, and one is free.
pub(crate) struct Handshake {
    upgrade: WebSocketUpgrade,
    place: Place,
}

impl Handshake {
    /// Refuses where there are no sockets at all.
    pub(crate) fn possible(state: &State) -> Result<(), Error> {
        if state.config().services.websockets {
            return Ok(());
        }
        Err(unavailable("sockets are switched off by ENABLE_WEBSOCKETS", "set ENABLE_WEBSOCKETS=true and start again"))
    }

    /// Checks everything that can be refused with an ordinary answer.
    pub(crate) async fn begin(state: &State, request: Request) -> Result<Self, Error> {
        Self::possible(state)?;
        let (mut parts, _) = request.into_parts();
        let upgrade = WebSocketUpgrade::from_request_parts(&mut parts, state).await.map_err(|rejection| {
            Error::invalid_at("", format!("this path is a WebSocket: {}", rejection.body_text())).with_status(rejection.status())
        })?;
        // `/ws/…` and `/api/ws/…` are the same socket.
        let path = parts.extensions.get::<MatchedPath>().map_or_else(|| parts.uri.path(), MatchedPath::as_str);
        let place = state
            .sockets()
            .take(path.strip_prefix("/api").unwrap_or(path))
            .ok_or_else(|| unavailable("all sockets are in use: close one, or try again later", "raise MAX_WEBSOCKET_CONNECTIONS"))?;
        Ok(Self { upgrade: upgrade.max_message_size(MESSAGE_BYTES).max_frame_size(MESSAGE_BYTES), place })
    }

    /// Opens the socket and speaks on it.
    pub(crate) fn finish<F>(self, state: &State, speak: impl FnOnce(Socket) -> F + Send + 'static) -> axum::response::Response
    where
        F: Future<Output = Ended> + Send + 'static,
    {
        let state = state.clone();
        let place = self.place;
        let visit = visit::current();
        self.upgrade.on_upgrade(move |socket| async move {
            let _place = place;
            let speaking = speak(Socket::new(socket, state.clone()));
            let Some(visit) = visit else {
                let Ended = speaking.await;
                return;
            };
            // What is said on it is said by whoever opened it, as long as they have their key.
            let speaking = visit::within(Arc::clone(&visit), speaking);
            tokio::select! {
                _ = speaking => {}
                () = visit.revoked(state.keys()) => {}
            }
        })
    }
}

fn unavailable(message: &str, hint: &str) -> Error {
    Failure::new(Kind::ServiceUnavailable, message).with(json!({ "service": "websockets", "hint": hint })).into()
}

/// The socket is closed; nothing can be said any more.
pub(crate) struct Ended;

/// What a client sends.
pub(crate) enum Heard {
    /// A text message.
    Text(String),
    /// A binary message.
    Bytes(Bytes),
}

/// An open socket.
pub(crate) struct Socket {
    socket: WebSocket,
    state: State,
    heard: Instant,
    pinged: Instant,
    malformed: u32,
    /// How long one message may take to leave.
    patience: Duration,
}

impl Socket {
    fn new(socket: WebSocket, state: State) -> Self {
        let now = Instant::now();
        // Whoever is heard of no more after a silence of that length need not be waited for any longer when it does not read.
        let patience = PATIENCE.min(state.config().websockets.timeout);
        Self { socket, state, heard: now, pinged: now, malformed: 0, patience }
    }

    /// Waits for its reader as long as for a sign of life: nothing is held for one that reads slowly.
    pub(crate) fn be_patient(&mut self) {
        self.patience = self.state.config().websockets.timeout;
    }

    /// The next text. Everything else is dealt with here. May be dropped while it waits.
    pub(crate) async fn hear(&mut self) -> Result<String, Ended> {
        loop {
            match self.hear_any().await? {
                Heard::Text(text) => return Ok(text),
                Heard::Bytes(_) => {
                    self.malformed(&Failure::new(Kind::ValidationError, "send JSON as text messages, not as binary ones")).await?;
                }
            }
        }
    }

    /// The next message, text or binary. Pings and silence are dealt with here. May be dropped while it waits.
    pub(crate) async fn hear_any(&mut self) -> Result<Heard, Ended> {
        let settings = &self.state.config().websockets;
        let interval = settings.ping_interval;
        // Who answers no ping for two of them does not read any more, or is not there.
        let silence = settings.timeout.min(interval.saturating_mul(2));
        let shutdown = self.state.shutdown().clone();
        loop {
            let silent_at = self.heard + silence;
            let ping_at = self.pinged + interval;
            let received = tokio::select! {
                biased;
                () = shutdown.cancelled() => return Err(self.close(close_code::AWAY, "the server ends").await),
                // What came while nobody listened counts before what the clock says.
                received = self.socket.recv() => received,
                () = tokio::time::sleep_until(silent_at.min(ping_at)) => {
                    if Instant::now() >= silent_at {
                        return Err(self.close(close_code::AWAY, "nothing was heard for too long").await);
                    }
                    self.pinged = Instant::now();
                    self.send(Message::Ping(Default::default())).await?;
                    continue;
                }
            };
            self.heard = Instant::now();
            match received {
                Some(Ok(Message::Text(text))) => return Ok(Heard::Text(text.as_str().to_owned())),
                Some(Ok(Message::Binary(bytes))) => return Ok(Heard::Bytes(bytes)),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(_))) | None => return Err(Ended),
                Some(Err(error)) => {
                    let (code, reason) = fault(&error);
                    return Err(self.close(code, reason).await);
                }
            }
        }
    }

    /// Says something.
    pub(crate) async fn say(&mut self, text: String) -> Result<(), Ended> {
        self.send(Message::Text(text.into())).await
    }

    /// Sends bytes.
    pub(crate) async fn say_bytes(&mut self, bytes: impl Into<Bytes>) -> Result<(), Ended> {
        self.send(Message::Binary(bytes.into())).await
    }

    /// Some of what its reader was to hear is lost, as it reads too slowly.
    pub(crate) async fn too_slow(&mut self) -> Ended {
        self.close(TRY_AGAIN_LATER, TOO_SLOW).await
    }

    /// Answers with an error; the connection lives on.
    pub(crate) async fn fail(&mut self, failure: &Failure) -> Result<(), Ended> {
        let mut message = json!({ "type": "error", "error": failure.message, "error_code": failure.code.code() });
        if let (Some(map), Some(details)) = (message.as_object_mut(), &failure.details) {
            map.insert("details".to_owned(), details.clone());
        }
        mask::value(&mut message);
        self.say(message.to_string()).await
    }

    /// Answers a message that cannot be understood. Who sends nothing else is cut off.
    pub(crate) async fn malformed(&mut self, failure: &Failure) -> Result<(), Ended> {
        self.malformed += 1;
        self.fail(failure).await?;
        if self.malformed > MALFORMED {
            return Err(self.close(close_code::POLICY, "too many malformed messages").await);
        }
        Ok(())
    }

    /// The last message was understood.
    pub(crate) fn understood(&mut self) {
        self.malformed = 0;
    }

    async fn send(&mut self, message: Message) -> Result<(), Ended> {
        match timeout(self.patience, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Ended),
            Err(_) => Err(self.too_slow().await),
        }
    }

    /// Ends the connection with a reason, of which the protocol carries 123 bytes.
    pub(crate) async fn close(&mut self, code: u16, reason: &str) -> Ended {
        let frame = CloseFrame { code, reason: reason[..reason.floor_char_boundary(REASON_BYTES)].into() };
        // Whoever does not read will not read this either; nobody waits long for it.
        let _ = timeout(PATIENCE, self.socket.send(Message::Close(Some(frame)))).await;
        // Closing the connection with unread bytes in it resets it, and the reason would be lost on the way.
        let _ = timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = self.socket.recv().await {} }).await;
        Ended
    }
}

/// The close code of what the protocol's layer refused. It says so in words only.
fn fault(error: &axum::Error) -> (u16, &'static str) {
    let said = error.to_string();
    if said.contains("Control frame") {
        (close_code::PROTOCOL, "a ping has 125 bytes at most")
    } else if said.contains("Space limit exceeded") || said.contains("too long") || said.contains("too big") {
        (close_code::SIZE, "a message may have 1 MiB")
    } else if said.to_ascii_lowercase().contains("utf-8") {
        (close_code::INVALID, "a text is UTF-8")
    } else {
        (close_code::PROTOCOL, "this is not the WebSocket protocol")
    }
}

/// The answer to a ping.
pub(crate) fn pong() -> Value {
    json!({ "type": "pong", "timestamp": super::error::now() })
}

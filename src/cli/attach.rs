//! One's own terminal as that of a session: keys go there, what it prints comes here.
//!
//! Whatever happens, the terminal is given back as it was found.

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::shell::{Target, said};
use super::{exit, print};

/// How a server has a terminal begin anew. One's own keeps what went out at its top.
const RESET: &[u8] = b"\x1bc";
/// Instead: no other screen, no modes, and an empty screen.
const ANEW: &[u8] = b"\x1b[?1049l\x1b[!p\x1b[m\x1b[H\x1b[2J";
/// What programs in the session may have changed, as it was.
const AS_BEFORE: &[u8] =
    b"\x1b[?1049l\x1b[r\x1b[?6l\x1b[?1l\x1b>\x1b[?7h\x1b[4l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[?25h\x1b[m\x1b(B\r\n";

/// The key that leaves a session, as the byte that a terminal makes of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct DetachKey(u8);

impl FromStr for DetachKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let key = text.to_ascii_lowercase();
        let key = key.strip_prefix("ctrl-").or_else(|| key.strip_prefix('^')).unwrap_or_default();
        match key.as_bytes() {
            [key] if key.is_ascii_lowercase() || b"@[\\]^_".contains(key) => Ok(Self(key.to_ascii_uppercase() ^ 0x40)),
            _ => Err(format!("{text:?} is no such key: write ctrl-] or ctrl-x, say")),
        }
    }
}

impl std::fmt::Display for DetachKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ctrl-{}", char::from(self.0 ^ 0x40).to_ascii_lowercase())
    }
}

/// How it ended.
enum Ended {
    Left,
    Told(String),
    Lost(String),
}

/// Uses the session in this terminal until it ends or is left.
pub(super) async fn run(target: &Target, id: &str, take: bool, key: DetachKey) -> Result<ExitCode, ExitCode> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        print::complaint("this is no terminal: attach from one, or run commands with POST /api/shell/bash and a session_id");
        return Err(exit::USAGE.into());
    }
    let complain = |message: String| {
        print::complaint(&message);
        ExitCode::from(exit::FAILED)
    };
    let socket = connect(target, id).await.map_err(complain)?;
    print::note(&format!("attached to {id}; {key} leaves it"));
    let raw = Raw::enter().map_err(|error| complain(format!("the terminal cannot be used: {error}")))?;
    let ended = converse(socket, take, key).await;
    drop(raw);
    match ended {
        Ended::Left => print::note(&format!("left {id}, which goes on")),
        Ended::Told(reason) => print::note(&reason),
        Ended::Lost(reason) => {
            print::complaint(&format!("the connection was lost ({reason}); the session goes on: attach again"));
            return Err(exit::UNAVAILABLE.into());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A stream of bytes to a server.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

async fn connect(target: &Target, id: &str) -> Result<WebSocketStream<Box<dyn Stream>>, String> {
    let url = url::Url::parse(&target.url).map_err(|error| format!("{:?} is no URL: {error}", target.url))?;
    let secure = match url.scheme() {
        "http" => false,
        "https" => true,
        other => return Err(format!("{other}: is no way to reach a server: use http: or https:")),
    };
    let host = url.host_str().ok_or_else(|| format!("{:?} names no host", target.url))?.to_owned();
    let port = url.port_or_known_default().unwrap_or(80);
    let tcp = TcpStream::connect((host.trim_matches(['[', ']']), port));
    let tcp = tcp.await.map_err(|error| format!("there is no server at {}: {error}", target.url))?;
    let _ = tcp.set_nodelay(true);
    let stream: Box<dyn Stream> = if secure { Box::new(encrypted(tcp, &host).await?) } else { Box::new(tcp) };
    let mut path = url.clone();
    if let Ok(mut segments) = path.path_segments_mut() {
        segments.pop_if_empty().extend(["ws", "shell", id]);
    }
    let address = format!("{}://{host}:{port}{}", if secure { "wss" } else { "ws" }, path.path());
    let mut request = address.into_client_request().map_err(|error| format!("{:?} is no URL: {error}", target.url))?;
    if let Some(key) = &target.key {
        let value = format!("Bearer {key}").parse().map_err(|_| "the key holds characters that no key has".to_owned())?;
        request.headers_mut().insert("authorization", value);
    }
    match client_async(request, stream).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => {
            let body = answer.body().as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or(Value::Null);
            Err(said(answer.status().as_u16(), &body))
        }
        Err(error) => Err(format!("the server does not open the session: {error}")),
    }
}

async fn encrypted(tcp: TcpStream, host: &str) -> Result<impl Stream + use<>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(&provider)).map_err(|error| error.to_string())?;
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from(host.to_owned()).map_err(|error| format!("{host:?} is no host: {error}"))?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    connector.connect(name, tcp).await.map_err(|error| format!("{host} cannot be trusted: {error}"))
}

/// A terminal that hands on every key, until this is dropped.
struct Raw(Termios);

impl Raw {
    fn enter() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(std::io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(before))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        show(AS_BEFORE);
        // Keys that nobody read any more are not for the shell that comes after.
        let _ = tcsetattr(std::io::stdin(), OptionalActions::Flush, &self.0);
    }
}

async fn converse(mut socket: WebSocketStream<Box<dyn Stream>>, take: bool, key: DetachKey) -> Ended {
    let watch = |kind| signal(kind).map_err(|error| Ended::Lost(error.to_string()));
    let signals = [SignalKind::window_change(), SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()].map(watch);
    let [Ok(mut resized), Ok(mut terminated), Ok(mut hung_up), Ok(mut interrupted)] = signals else {
        return Ended::Lost("no signals can be heard".to_owned());
    };
    let mut keys = keys();
    if take && let Err(lost) = say(&mut socket, Message::text(json!({ "type": "take" }).to_string())).await {
        return lost;
    }
    let mut size = Some(());
    loop {
        if size.take().is_some()
            && let Some(message) = window()
            && let Err(lost) = say(&mut socket, message).await
        {
            return lost;
        }
        let message = tokio::select! {
            bytes = keys.recv() => match bytes {
                Some(bytes) => match bytes.iter().position(|byte| *byte == key.0) {
                    Some(at) => {
                        let _ = say(&mut socket, Message::binary(bytes[..at].to_vec())).await;
                        let _ = socket.close(None).await;
                        return Ended::Left;
                    }
                    None => Message::binary(bytes),
                },
                None => return Ended::Left,
            },
            heard = socket.next() => match heed(heard) {
                Ok(()) => continue,
                Err(ended) => return ended,
            },
            _ = resized.recv() => {
                size = Some(());
                continue;
            }
            _ = terminated.recv() => return Ended::Left,
            _ = hung_up.recv() => return Ended::Left,
            _ = interrupted.recv() => return Ended::Left,
        };
        if let Err(lost) = say(&mut socket, message).await {
            return lost;
        }
    }
}

async fn say(socket: &mut WebSocketStream<Box<dyn Stream>>, message: Message) -> Result<(), Ended> {
    socket.send(message).await.map_err(|error| Ended::Lost(error.to_string()))
}

/// Shows what the server says.
fn heed(heard: Option<Result<Message, Error>>) -> Result<(), Ended> {
    match heard {
        Some(Ok(Message::Binary(bytes))) => match bytes.strip_prefix(RESET) {
            Some(rest) => show(&[ANEW, rest].concat()),
            None => show(&bytes),
        },
        Some(Ok(Message::Text(text))) => {
            let said: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
            if let Some(error) = said["error"].as_str() {
                show(format!("\r\n[{error}]\r\n").as_bytes());
            }
        }
        Some(Ok(Message::Close(Some(frame)))) if frame.code == 1000.into() => return Err(Ended::Told(frame.reason.to_string())),
        Some(Ok(Message::Close(frame))) => {
            return Err(Ended::Lost(frame.map_or_else(|| "the server closed it".to_owned(), |frame| frame.reason.to_string())));
        }
        Some(Ok(_)) => {}
        Some(Err(error)) => return Err(Ended::Lost(error.to_string())),
        None => return Err(Ended::Lost("the server is gone".to_owned())),
    }
    Ok(())
}

fn show(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    // A terminal that is gone is told by its signal.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// The size of this terminal, as the server is told it.
fn window() -> Option<Message> {
    let size = tcgetwinsize(std::io::stdout()).ok()?;
    let message = json!({ "type": "resize", "cols": size.ws_col.clamp(1, 1000), "rows": size.ws_row.clamp(1, 1000) });
    Some(Message::text(message.to_string()))
}

/// What is typed, read on a thread of its own: reading a terminal cannot be given up.
fn keys() -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(read @ 1..) = std::io::stdin().lock().read(&mut buffer) {
            if sender.blocking_send(buffer[..read].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_as_people_write_them() {
        for (name, byte) in [("ctrl-]", 0x1d), ("Ctrl-X", 0x18), ("^\\", 0x1c), ("ctrl-@", 0), ("ctrl-_", 0x1f)] {
            assert_eq!(name.parse::<DetachKey>().unwrap().0, byte, "{name}");
        }
        for name in ["x", "ctrl-", "ctrl-1", "ctrl-xy", "ctrl-ä", ""] {
            assert!(name.parse::<DetachKey>().is_err(), "{name}");
        }
        assert_eq!("^]".parse::<DetachKey>().unwrap().to_string(), "ctrl-]");
    }
}

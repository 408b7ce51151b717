//! What a request shows to say who sent it: a key, a ticket, or a session's cookie. Never a key in the URL, which ends up in logs and
//! histories; a ticket may stand there, since it is good for once.

use axum::extract::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, ORIGIN, SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING, UPGRADE};
use axum::http::{HeaderName, StatusCode};

use super::error::Error;
use super::peer::Port;
use crate::error::Kind;

const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const X_CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
/// How a browser's WebSocket, which can set no header, shows its key or ticket: as a subprotocol that begins so.
const BEARER_PROTOCOL: &str = "bearer.";
const TICKET_PROTOCOL: &str = "ticket.";

/// What was shown.
pub(super) enum Shown {
    /// A key, or a token.
    Key(String),
    /// A ticket for a socket.
    Ticket(String),
    /// A session.
    Cookie(Cookie),
}

/// A session's cookie, and what else of the request counts beside it: a browser sends the cookie whoever made it ask.
pub(super) struct Cookie {
    pub(super) value: String,
    repeated: Option<String>,
    /// A body that is not JSON, as a form of another page would send it.
    strange_body: bool,
    upgrades: bool,
    has_origin: bool,
}

impl Cookie {
    /// Whether the session's own page sent it, which has to repeat `csrf` with whatever changes something.
    pub(super) fn check(&self, looks: bool, csrf: &str) -> Result<(), Error> {
        if self.upgrades && !self.has_origin {
            return Err(Error::new(
                Kind::OriginNotAllowed,
                "a socket that is opened with a session's cookie names its Origin, as browsers do",
            ));
        }
        if looks {
            return Ok(());
        }
        if self.repeated.as_deref() != Some(csrf) {
            let message = "what changes something in a session carries its X-CSRF-Token: GET /api/auth/session tells it";
            return Err(Error::new(Kind::PermissionDenied, message));
        }
        if self.strange_body {
            let message = "in a session a body is JSON, and says so: Content-Type: application/json";
            return Err(Error::new(Kind::UnsupportedMediaType, message).with_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        Ok(())
    }
}

/// The name of the cookie: servers on several ports of one host share their cookies.
pub(super) fn cookie_name(port: u16) -> String {
    format!("trae_{port}")
}

/// The port that the request came in at.
pub(super) fn port(request: &Request) -> u16 {
    request.extensions().get::<Port>().map_or(0, |port| port.0)
}

/// What the request shows.
pub(super) fn shown(request: &Request) -> Option<Shown> {
    if let Some(key) = key(request) {
        return Some(Shown::Key(key));
    }
    ticket(request).map(Shown::Ticket).or_else(|| {
        let has = |name: HeaderName| request.headers().contains_key(name);
        let has_body = has(TRANSFER_ENCODING) || text(request, CONTENT_LENGTH).is_some_and(|length| length != "0");
        let json = text(request, CONTENT_TYPE).is_some_and(|kind| {
            let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            kind == "application/json" || kind.ends_with("+json")
        });
        Some(Shown::Cookie(Cookie {
            value: cookie(request)?,
            repeated: text(request, X_CSRF_TOKEN).map(str::to_owned),
            strange_body: has_body && !json,
            upgrades: has(UPGRADE),
            has_origin: has(ORIGIN),
        }))
    })
}

fn text(request: &Request, name: HeaderName) -> Option<&str> {
    request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

fn key(request: &Request) -> Option<String> {
    if let Some((scheme, key)) = text(request, AUTHORIZATION).and_then(|value| value.split_once(' '))
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(key.trim().to_owned());
    }
    let offered = || protocols(request).find_map(|name| name.strip_prefix(BEARER_PROTOCOL).map(str::to_owned));
    text(request, X_API_KEY).map(str::to_owned).or_else(offered)
}

/// A ticket opens sockets and nothing else.
fn ticket(request: &Request) -> Option<String> {
    let offered = protocols(request).find_map(|name| name.strip_prefix(TICKET_PROTOCOL).map(str::to_owned));
    offered.or_else(|| {
        let query = request.uri().query().filter(|_| request.headers().contains_key(UPGRADE))?;
        url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "ticket").map(|(_, ticket)| ticket.into_owned())
    })
}

/// The value of the session's cookie.
pub(super) fn cookie(request: &Request) -> Option<String> {
    let name = cookie_name(port(request));
    let all = request.headers().get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.to_owned())
}

/// The subprotocols that a WebSocket's handshake offers.
pub(super) fn protocols(request: &Request) -> impl Iterator<Item = &str> {
    let upgrades = request.headers().contains_key(UPGRADE);
    let named = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter(move |_| upgrades);
    named.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

//! What every request passes before a route sees it: which host it was sent to, which page sent it, who sent it and how often.
//!
//! A server on loopback is in reach of every page in the user's browser. Two headers that pages cannot forge tell them apart: `Host`
//! (a page that rebinds its own name to 127.0.0.1 still names itself there) and `Origin`. Both are checked for plain requests and for
//! WebSocket upgrades alike, before anything else happens. CORS answers are given here too, for the same list decides.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN,
    SEC_WEBSOCKET_PROTOCOL, UPGRADE, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use tower::Service;
use tower_http::normalize_path::NormalizePath;

use super::access::{self, Need};
use super::error::{self, Error};
use super::limits::{Rate, Who, WrongKeys, network};
use super::visit::{self, Caller, REQUEST_ID, Visit};
use super::{peer, request_log};
use crate::config::{Config, Network};
use crate::error::{Failure, Kind};
use crate::keys::{self, Keys};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");
/// How a browser's WebSocket, which can set no header, shows its key: as a subprotocol that begins so.
const BEARER_PROTOCOL: &str = "bearer.";
const HTML: &str = "text/html";

/// The whole API behind its door; what a server serves.
#[derive(Clone)]
pub struct Door {
    rules: Arc<Rules>,
    inside: NormalizePath<Router>,
}

/// Who gets in.
struct Rules {
    hosts: Vec<String>,
    address: IpAddr,
    origins: Vec<String>,
    credentials: bool,
    proxies: Vec<Network>,
    /// Whether a key is wanted.
    wanted: bool,
    keys: Option<Arc<Keys>>,
    wrong: WrongKeys,
    rate: Option<Rate>,
}

/// What of a request says who sent it, and what they may.
struct Looked {
    need: Need,
    client: IpAddr,
    credential: Option<String>,
    /// It changes nothing.
    looks: bool,
    /// It counts among the requests of its minute.
    counts: bool,
}

/// An origin that a browser named and that may read the answer: listed, or (`None`) the server's own.
type Reader = Option<HeaderValue>;

impl Door {
    /// Puts the door before `routes`. Paths work with and without a slash at the end. Where keys are wanted, none is known yet.
    pub(crate) fn new(routes: Router, config: &Config) -> Self {
        let rules = Rules {
            hosts: config.server.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            address: config.server.host,
            origins: config.cors.origins.clone(),
            credentials: config.cors.credentials,
            proxies: config.server.trusted_proxies.clone(),
            wanted: config.security.api_key_enabled,
            keys: None,
            wrong: WrongKeys::default(),
            rate: config.security.rate_limit_enabled.then(|| Rate::new(config.security.rate_limit_requests_per_minute)),
        };
        Self { rules: Arc::new(rules), inside: NormalizePath::trim_trailing_slash(routes) }
    }

    /// The same door, which knows these keys.
    pub(crate) fn with(mut self, keys: &Arc<Keys>) -> Self {
        if let Some(rules) = Arc::get_mut(&mut self.rules) {
            rules.keys = Some(Arc::clone(keys));
        }
        self
    }

    /// The answer to one request.
    async fn answer(mut self, request: Request, visit: &Visit) -> Response {
        let rules = Arc::clone(&self.rules);
        let offered = protocols(&request).next().and_then(|protocol| HeaderValue::try_from(protocol).ok());
        let (mut response, reader) = match rules.admit(&request) {
            Err(error) => (error.into_response(), None),
            Ok(reader) if is_preflight(&request) => (rules.preflight(), reader),
            Ok(reader) => match rules.identify(rules.look(&request)).await {
                Err(error) => (error.into_response(), reader),
                Ok(caller) => {
                    visit.admit(caller);
                    match AssertUnwindSafe(self.inside.call(request)).catch_unwind().await {
                        Ok(Ok(response)) => (response, reader),
                        Err(panic) => (error::panicked(panic), reader),
                    }
                }
            },
        };
        // A browser that offers protocols and is told none gives up.
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(protocol)) = (response.status(), offered) {
            response.headers_mut().entry(SEC_WEBSOCKET_PROTOCOL).or_insert(protocol);
        }
        if let Ok(id) = HeaderValue::from_str(&visit.id) {
            response.headers_mut().insert(REQUEST_ID, id);
        }
        rules.mark(response.headers_mut(), reader);
        response
    }
}

impl Service<Request> for Door {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let door = self.clone();
        let (began, visit) = (Instant::now(), Arc::new(Visit::begin(request.headers())));
        let (method, uri) = (request.method().clone(), request.uri().clone());
        Box::pin(async move {
            let response = visit::within(Arc::clone(&visit), door.answer(request, &visit)).await;
            request_log::note(&visit, &method, uri.path(), response.status(), began.elapsed());
            Ok(response)
        })
    }
}

impl Rules {
    /// Lets in what was sent to this server, by itself or by a page that may.
    fn admit(&self, request: &Request) -> Result<Reader, Error> {
        let authority = self.host(request)?;
        self.origin(request, &authority)
    }

    /// The one host that the request names.
    fn host(&self, request: &Request) -> Result<Authority, Error> {
        let mut named = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            return Err(Error::new(Kind::HostNotAllowed, "a request names exactly one Host").with_status(StatusCode::BAD_REQUEST));
        };
        let authority = Authority::try_from(host.as_bytes()).map_err(|_| stranger(&String::from_utf8_lossy(host.as_bytes())))?;
        // `GET http://host/ HTTP/1.1`: what stands there counts as well.
        for authority in [Some(&authority), request.uri().authority()].into_iter().flatten() {
            if !self.answers_to(authority) {
                return Err(stranger(authority.as_str()));
            }
        }
        Ok(authority)
    }

    fn answers_to(&self, authority: &Authority) -> bool {
        if authority.as_str().contains('@') {
            return false;
        }
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            // Only names can be rebound, so an address that this server can be reached at is as good as its own.
            let reachable = self.address == address || (self.address.is_unspecified() && !address.is_unspecified());
            return address.is_loopback() || reachable || self.listed(bare);
        }
        host.eq_ignore_ascii_case("localhost") || self.listed(host)
    }

    fn listed(&self, host: &str) -> bool {
        self.hosts.iter().any(|listed| listed.eq_ignore_ascii_case(host))
    }

    /// The page that the request came from, if it came from one, is the server's own or listed.
    fn origin(&self, request: &Request, authority: &Authority) -> Result<Reader, Error> {
        let mut named = request.headers().get_all(ORIGIN).iter();
        let Some(origin) = named.next() else {
            return self.fetched(request);
        };
        let text = origin.to_str().unwrap_or("unreadable");
        if named.next().is_none() {
            let own = |scheme: &str| text.strip_prefix(scheme).is_some_and(|rest| rest.eq_ignore_ascii_case(authority.as_str()));
            if own("http://") || own("https://") {
                return Ok(None);
            }
            if self.origins.iter().any(|listed| listed.eq_ignore_ascii_case(text)) {
                return Ok(Some(origin.clone()));
            }
        }
        let failure = Failure::new(
            Kind::OriginNotAllowed,
            format!("pages of {text:?} may not use this server: add that origin to CORS_ORIGINS if they should"),
        );
        Err(failure.with(json!({ "origin": text })).into())
    }

    /// A browser that sends no `Origin` still says whether another site made it ask: an `<img>`, a link, a form.
    fn fetched(&self, request: &Request) -> Result<Reader, Error> {
        let path = request.uri().path().trim_start_matches('/');
        let cross = request.headers().get(SEC_FETCH_SITE).is_some_and(|site| site == "cross-site");
        if cross && (path.starts_with("api") || path.starts_with("ws")) {
            return Err(Error::new(Kind::OriginNotAllowed, "pages of other sites may not use this server: open it directly"));
        }
        Ok(None)
    }

    /// What of a request says who sent it.
    fn look(&self, request: &Request) -> Looked {
        let path = request.uri().path();
        Looked {
            need: access::need(request.method(), path),
            client: network(peer::client(request, &self.proxies)),
            credential: self.wanted.then(|| credential(request)).flatten(),
            looks: request.method().is_safe(),
            counts: !access::is_health(path),
        }
    }

    /// Who sent it: known where a key is wanted, not too often, and with the scope that the route needs.
    async fn identify(&self, looked: Looked) -> Result<Caller, Error> {
        let caller = match (self.wanted, looked.need) {
            (false, _) => Ok(Caller::anyone()),
            (true, Need::Open) => Ok(Caller::nobody()),
            (true, Need::Key | Need::Scope(_)) => self.recognise(&looked).await,
        };
        if let Some(rate) = self.rate.as_ref().filter(|_| looked.counts) {
            let key = caller.as_ref().ok().and_then(|caller| Some(Who::Key(caller.known.as_ref()?.key.id.as_str().into())));
            rate.spend(&key.unwrap_or(Who::Peer(looked.client)))?;
        }
        let caller = caller?;
        match looked.need {
            Need::Scope(scope) => caller.require(scope)?,
            Need::Open | Need::Key => {}
        }
        Ok(caller)
    }

    /// Whose key or token the request shows.
    async fn recognise(&self, looked: &Looked) -> Result<Caller, Error> {
        let (Some(credential), Some(keys)) = (&looked.credential, &self.keys) else {
            let message = "this server wants a key (API_KEY_ENABLED=true): send it as `Authorization: Bearer …` or `X-API-Key`";
            return Err(Error::new(Kind::Unauthenticated, message));
        };
        self.wrong.check(looked.client)?;
        match keys.identify(credential).await {
            Ok(known) => Ok(Caller::known(known, looked.looks)),
            Err(error) => {
                if matches!(error, keys::Error::Unknown) {
                    self.wrong.note(looked.client);
                }
                Err(error.into())
            }
        }
    }

    /// What a browser asks before it lets a page of another origin send the request.
    fn preflight(&self) -> Response {
        let headers = [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
            (
                ACCESS_CONTROL_ALLOW_HEADERS,
                "Accept, Authorization, Content-Type, Last-Event-ID, X-API-Key, X-CSRF-Token, X-Control-Token, X-Request-Id",
            ),
            (ACCESS_CONTROL_MAX_AGE, "600"),
        ];
        (StatusCode::NO_CONTENT, headers).into_response()
    }

    /// What every answer carries.
    fn mark(&self, headers: &mut HeaderMap, reader: Reader) {
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        headers.append(VARY, HeaderValue::from_static("Origin"));
        if let Some(origin) = reader {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After, X-Request-Id"));
            if self.credentials {
                headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
            }
        }
        let html = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(HTML.as_bytes()));
        if html {
            headers.insert(
                HeaderName::from_static("content-security-policy"),
                HeaderValue::from_static(
                    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
                ),
            );
        }
    }
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The key or token that a request shows. Never one in the URL, which ends up in logs and histories.
fn credential(request: &Request) -> Option<String> {
    let text = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    if let Some((scheme, key)) = text(AUTHORIZATION).and_then(|value| value.split_once(' '))
        && scheme.eq_ignore_ascii_case("bearer")
    {
        return Some(key.trim().to_owned());
    }
    text(X_API_KEY).map(str::to_owned).or_else(|| protocols(request).find_map(|name| name.strip_prefix(BEARER_PROTOCOL).map(str::to_owned)))
}

/// The subprotocols that a WebSocket's handshake offers.
fn protocols(request: &Request) -> impl Iterator<Item = &str> {
    let upgrades = request.headers().contains_key(UPGRADE);
    let named = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter(move |_| upgrades);
    named.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim).filter(|name| !name.is_empty())
}

fn stranger(host: &str) -> Error {
    let host: String = host.chars().take(256).collect();
    Failure::new(
        Kind::HostNotAllowed,
        format!("this server does not answer to {host:?}: use localhost or 127.0.0.1, or add the name to ALLOWED_HOSTS"),
    )
    .with(json!({ "host": host }))
    .into()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use serde_json::Value;

    use super::*;

    #[tokio::test]
    async fn a_handler_that_panics_answers_500_in_the_shape_of_every_error() {
        let routes = Router::new().route("/boom", get(async || -> &'static str { panic!("for the test: a secret reason") }));
        let mut door = Door::new(routes, &Config::default());
        let request = Request::builder().uri("/boom").header(HOST, "localhost").body(Body::empty()).unwrap();
        let answer = door.call(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.headers()[CONTENT_TYPE], "application/json");
        let body: Value = serde_json::from_slice(&to_bytes(answer.into_body(), 4096).await.unwrap()).unwrap();
        assert_eq!(body["error_code"], "INTERNAL");
        assert!(!body.to_string().contains("secret reason"), "{body}");
    }
}

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
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
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
use super::limits::{Class, Rate, Who, WrongKeys, network};
use super::noted::Asked;
use super::owner::Stranger;
use super::passes::Passes;
use super::shown::{self, Shown};
use super::visit::{self, Caller, REQUEST_ID, Visit};
use super::{peer, request_log};
use crate::audit::Audit;
use crate::config::{Config, Network};
use crate::error::{Failure, Kind};
use crate::keys::{self, Keys};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const HTML: &str = "text/html";
/// What a page of ours may load.
const PAGE: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";
/// Anything else is no page, also where it is opened as one: a picture or a file may hold what somebody else put into it.
const ANSWER: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";

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
    audit: Option<Arc<Audit>>,
    passes: Arc<Passes>,
    wrong: WrongKeys,
    rate: Option<Rate>,
}

/// What of a request says who sent it, and what they may.
struct Looked {
    need: Need,
    client: IpAddr,
    shown: Option<Shown>,
    method: Method,
    path: String,
    /// Among which requests of its minute it counts.
    class: Option<Class>,
}

/// An origin that a browser named and that may read the answer: listed, or (`None`) the server's own.
type Reader = Option<HeaderValue>;

impl Door {
    /// Puts the door before `routes`. Paths work with and without a slash at the end. Where keys are wanted, none is known yet.
    pub fn new(routes: Router, config: &Config) -> Self {
        let rules = Rules {
            hosts: config.server.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            address: config.server.host,
            origins: config.cors.origins.clone(),
            credentials: config.cors.credentials,
            proxies: config.server.trusted_proxies.clone(),
            wanted: config.security.api_key_enabled,
            keys: None,
            audit: None,
            passes: Arc::default(),
            wrong: WrongKeys::default(),
            rate: config.security.rate_limit_enabled.then(|| Rate::new(config.security.rate_limit_requests_per_minute)),
        };
        Self { rules: Arc::new(rules), inside: NormalizePath::trim_trailing_slash(routes) }
    }

    /// The same door, which knows these keys and keeps account of who goes through.
    pub(crate) fn with(mut self, keys: &Arc<Keys>, audit: &Arc<Audit>, passes: &Arc<Passes>) -> Self {
        if let Some(rules) = Arc::get_mut(&mut self.rules) {
            rules.passes = Arc::clone(passes);
            rules.keys = Some(Arc::clone(keys));
            rules.audit = Some(Arc::clone(audit));
        }
        self
    }

    /// Whether a request passes every check of the door: what they cost can be measured by it.
    ///
    /// # Errors
    /// Why it does not.
    pub async fn judge(&self, request: &Request) -> Result<(), Error> {
        let (looked, visit) = (self.rules.look(request), Visit::begin(request.headers()));
        self.rules.admit(request)?;
        self.rules.identify(looked, &visit).await
    }

    /// The answer to one request.
    async fn answer(mut self, request: Request, visit: &Visit) -> Response {
        let rules = Arc::clone(&self.rules);
        let offered = shown::protocols(&request).next().and_then(|protocol| HeaderValue::try_from(protocol).ok());
        let looked = rules.look(&request);
        let asked = Asked::new(request.method(), request.uri().path(), looked.client, request.headers().contains_key(UPGRADE));
        let audit = rules.audit.as_ref();
        let refuse = |error: Error, showed: bool| {
            asked.refused(audit, visit, error.failure(), showed);
            error.into_response()
        };
        let (mut response, reader) = match rules.admit(&request) {
            Err(error) => (refuse(error, true), None),
            Ok(reader) if is_preflight(&request) => (rules.preflight(), reader),
            Ok(reader) => {
                let showed = looked.shown.is_some();
                match rules.identify(looked, visit).await {
                    Err(error) => (refuse(error, showed), reader),
                    Ok(()) => match asked.begin(audit, visit).await {
                        Err(error) => (error.into_response(), reader),
                        Ok(noted) => {
                            let done = AssertUnwindSafe(self.inside.call(request)).catch_unwind().await;
                            let response = done.map_or_else(error::panicked, |Ok(response)| response);
                            if let Some(noted) = noted {
                                noted.end(&response);
                            }
                            (response, reader)
                        }
                    },
                }
            }
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
        let reader = self.origin(request, &authority)?;
        self.neighbour(request)?;
        Ok(reader)
    }

    /// Where no key is wanted, other users of this machine are refused, but a proxy that the settings name.
    fn neighbour(&self, request: &Request) -> Result<(), Error> {
        if self.wanted || request.extensions().get::<Stranger>().is_none() || peer::is_proxy(request, &self.proxies) {
            return Ok(());
        }
        let message = "another user of this machine, or a command of a script, made this connection, and this server wants no keys, so that it serves its own user \
                       only: set API_KEY_ENABLED=true and give them a key, or name their proxy in TRUSTED_PROXIES";
        Err(Error::new(Kind::PermissionDenied, message))
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
            shown: self.wanted.then(|| shown::shown(request)).flatten(),
            method: request.method().clone(),
            path: path.to_owned(),
            class: (!access::is_health(path)).then(|| Class::of(request.method(), path)),
        }
    }

    /// Who sent it: known where a key is wanted, not too often, and with the scope that the route needs.
    async fn identify(&self, looked: Looked, visit: &Visit) -> Result<(), Error> {
        let caller = match (self.wanted, looked.need) {
            (false, _) => Ok(Caller::anyone()),
            (true, Need::Open) => Ok(Caller::nobody()),
            (true, Need::Key | Need::Scope(_)) => self.recognise(&looked).await,
        };
        if let Some((rate, class)) = self.rate.as_ref().zip(looked.class) {
            let key = caller.as_ref().ok().and_then(|caller| Some(Who::Key(caller.known.as_ref()?.key.id.as_str().into())));
            rate.spend(&key.unwrap_or(Who::Peer(looked.client)), class)?;
        }
        let caller = caller?;
        let allowed = match looked.need {
            _ if caller.only_for().is_some() => caller.require_one_of_theirs(access::is_of_workflows(&looked.method, &looked.path)),
            Need::Scope(scope) => caller.require(scope),
            Need::Open | Need::Key => Ok(()),
        };
        // Also of who is refused it is known who that was.
        visit.admit(caller);
        allowed
    }

    /// Whose key or token the request shows.
    async fn recognise(&self, looked: &Looked) -> Result<Caller, Error> {
        let (Some(shown), Some(keys)) = (&looked.shown, &self.keys) else {
            let message = "this server wants a key (API_KEY_ENABLED=true): send it as `Authorization: Bearer …` or `X-API-Key`";
            return Err(Error::new(Kind::Unauthenticated, message));
        };
        self.wrong.check(looked.client)?;
        let mut repeats = None;
        let known = match shown {
            Shown::Key(key) => keys.identify(key).await,
            Shown::Ticket(ticket) => match self.passes.of_ticket(ticket, &looked.path) {
                Some(known) => keys.still(&known).await,
                None => Err(keys::Error::Unknown),
            },
            Shown::Cookie(cookie) => {
                // One that has ended is no guess at a key.
                let ended = || Error::new(Kind::Unauthenticated, "this session has ended: begin a new one with POST /api/auth/session");
                let (known, csrf) = self.passes.of_cookie(&cookie.value).ok_or_else(ended)?;
                cookie.check(looked.method.is_safe(), &csrf)?;
                repeats = Some(csrf);
                keys.still(&known).await
            }
        };
        match known {
            Ok(known) => {
                let mut caller = Caller::known(known, looked.method.is_safe());
                caller.csrf = repeats;
                Ok(caller)
            }
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
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
        let html = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(HTML.as_bytes()));
        headers.insert(HeaderName::from_static("content-security-policy"), HeaderValue::from_static(if html { PAGE } else { ANSWER }));
    }
}

fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(ORIGIN)
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD)
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

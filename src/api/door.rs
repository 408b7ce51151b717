//! What every request passes before a route sees it: which host it was sent to, which page sent it, who sent it.
//!
//! A server on loopback is in reach of every page in the user's browser. Two headers that pages cannot forge tell them apart: `Host`
//! (a page that rebinds its own name to 127.0.0.1 still names itself there) and `Origin`. Both are checked for plain requests and for
//! WebSocket upgrades alike, before anything else happens. CORS answers are given here too, for the same list decides.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, CONTENT_TYPE, HOST, ORIGIN, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::json;
use tower::Service;
use tower_http::normalize_path::NormalizePath;

use super::error::{self, Error};
use crate::config::Config;
use crate::error::{Failure, Kind};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
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
    keys: bool,
}

/// An origin that a browser named and that may read the answer: listed, or (`None`) the server's own.
type Reader = Option<HeaderValue>;

impl Door {
    /// Puts the door before `routes`. Paths work with and without a slash at the end.
    pub(crate) fn new(routes: Router, config: &Config) -> Self {
        let rules = Rules {
            hosts: config.server.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            address: config.server.host,
            origins: config.cors.origins.clone(),
            credentials: config.cors.credentials,
            keys: config.security.api_key_enabled,
        };
        Self { rules: Arc::new(rules), inside: NormalizePath::trim_trailing_slash(routes) }
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
        let Self { rules, mut inside } = self.clone();
        Box::pin(async move {
            let (mut response, reader) = match rules.admit(&request) {
                Err(error) => (error.into_response(), None),
                Ok(reader) if is_preflight(&request) => (rules.preflight(), reader),
                Ok(reader) => match rules.authenticate(&request) {
                    Err(error) => (error.into_response(), reader),
                    Ok(()) => match AssertUnwindSafe(inside.call(request)).catch_unwind().await {
                        Ok(Ok(response)) => (response, reader),
                        Err(panic) => (error::panicked(panic), reader),
                    },
                },
            };
            rules.mark(response.headers_mut(), reader);
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

    /// With keys on, nothing goes without one but what is open to all.
    fn authenticate(&self, request: &Request) -> Result<(), Error> {
        if !self.keys || is_open(request.uri().path()) {
            return Ok(());
        }
        Err(Error::new(
            Kind::Unauthenticated,
            "this server wants a key (API_KEY_ENABLED=true): send it as `Authorization: Bearer …` or `X-API-Key`",
        ))
    }

    /// What a browser asks before it lets a page of another origin send the request.
    fn preflight(&self) -> Response {
        let headers = [
            (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, PUT, PATCH, DELETE"),
            (ACCESS_CONTROL_ALLOW_HEADERS, "Accept, Authorization, Content-Type, Last-Event-ID, X-API-Key, X-CSRF-Token"),
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
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static("Retry-After"));
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

/// Open without a key: whether it lives, how to use it, and webhooks, which have secrets of their own.
fn is_open(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    matches!(path, "/api/health" | "/docs" | "/openapi.json") || path.starts_with("/docs/") || path.starts_with("/api/webhooks/")
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

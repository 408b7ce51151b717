//! `/api/auth`: a key for a token, and for what a browser shows in its place: a session, a link that opens one, a ticket for a socket.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::error::{Error, ErrorResponse, Result};
use super::extract::{self, Query};
use super::passes::{self, Begun};
use super::success::SuccessResponse;
use super::{peer, shown, visit};
use crate::audit::{Deed, Outcome};
use crate::error::Kind;
use crate::keys::{Known, Scope, TOKEN_SECONDS};

const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Where a browser goes that has a session.
const HOME: &str = "/docs";

/// A token, to be sent as `Authorization: Bearer …` in place of the key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenResponse {
    /// The token: a JSON Web Token, signed with HS256.
    #[schema(example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.….…")]
    access_token: String,
    /// `bearer`.
    #[schema(example = "bearer")]
    token_type: &'static str,
    /// Seconds until it is refused.
    #[schema(example = 900)]
    expires_in: i64,
    /// What it opens.
    scopes: Vec<Scope>,
}

/// Exchanges the key in the header for a token that is good for a quarter of an hour, or for as long as the key is not revoked.
#[utoipa::path(
    post,
    path = "/api/auth/token",
    tag = "keys",
    operation_id = "auth_token",
    responses((status = 200, body = TokenResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 409, body = ErrorResponse))
)]
pub(crate) async fn token(State(state): State<super::State>) -> Result<Json<TokenResponse>> {
    let known = shows_a_key()?;
    let access_token = state.keys().token(&known);
    Ok(Json(TokenResponse { access_token, token_type: "bearer", expires_in: TOKEN_SECONDS, scopes: known.scopes.iter().collect() }))
}

/// Whoever shows a key, and not what was exchanged for one: otherwise what was stolen would be good for ever.
fn shows_a_key() -> Result<Known> {
    let known = caller()?;
    if known.by_token {
        return Err(Error::new(Kind::PermissionDenied, "a token is not exchanged for another: send the key itself"));
    }
    Ok(known)
}

fn caller() -> Result<Known> {
    visit::caller().and_then(|caller| caller.known).ok_or_else(|| {
        let message = "this server wants no keys, so there is nothing to exchange: API_KEY_ENABLED=true turns them on";
        Error::new(Kind::Conflict, message)
    })
}

/// A browser's session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionResponse {
    /// To be sent as `X-CSRF-Token` with whatever changes something.
    csrf_token: String,
    /// Seconds that a new one lasts.
    #[schema(example = 43200)]
    expires_in: u64,
    /// What it opens.
    scopes: Vec<Scope>,
}

impl SessionResponse {
    fn new(csrf: &str, known: &Known) -> Self {
        Self { csrf_token: csrf.to_owned(), expires_in: passes::SESSION.as_secs(), scopes: known.scopes.iter().collect() }
    }
}

/// Exchanges the key in the header for a session: the answer sets a cookie that scripts of the page cannot read and other sites cannot send.
#[utoipa::path(post, path = "/api/auth/session", tag = "keys", operation_id = "begin_session", responses((status = 200, body = SessionResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn begin_session(State(state): State<super::State>, request: Request) -> Result<Response> {
    let known = shows_a_key()?;
    let begun = state.passes().session(&known)?;
    let cookie = set_cookie(&state, &request, &begun);
    Ok(([(SET_COOKIE, cookie)], Json(SessionResponse::new(&begun.csrf, &known))).into_response())
}

/// What the page of a session has to know of it.
#[utoipa::path(get, path = "/api/auth/session", tag = "keys", operation_id = "session", responses((status = 200, body = SessionResponse), (status = 401, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn session() -> Result<Json<SessionResponse>> {
    let known = caller()?;
    let csrf = visit::caller().and_then(|caller| caller.csrf);
    let csrf = csrf.ok_or_else(|| Error::new(Kind::Conflict, "this is no session: a key was shown, which needs no X-CSRF-Token"))?;
    Ok(Json(SessionResponse::new(&csrf, &known)))
}

/// Ends the session.
#[utoipa::path(delete, path = "/api/auth/session", tag = "keys", operation_id = "end_session", responses((status = 200, body = SuccessResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse)))]
pub(crate) async fn end_session(State(state): State<super::State>, request: Request) -> Response {
    if let Some(cookie) = shown::cookie(&request) {
        state.passes().end(&cookie);
    }
    let gone = format!("{}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0", shown::cookie_name(shown::port(&request)));
    ([(SET_COOKIE, gone)], Json(SuccessResponse::new("the session has ended", None))).into_response()
}

fn set_cookie(state: &super::State, request: &Request, begun: &Begun) -> String {
    let server = &state.config().server;
    let proxied = peer::is_proxy(request, &server.trusted_proxies)
        && request.headers().get(X_FORWARDED_PROTO).is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    let secure = if server.tls_cert.is_some() || proxied { "; Secure" } else { "" };
    let (name, seconds) = (shown::cookie_name(shown::port(request)), passes::SESSION.as_secs());
    format!("{name}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={seconds}{secure}", begun.cookie)
}

/// A link that opens a session in a browser, once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkResponse {
    /// Where to, on this server.
    #[schema(example = "/?token=…")]
    url: String,
    /// Seconds until it opens nothing any more.
    #[schema(example = 60)]
    expires_in: u64,
}

/// Exchanges the key in the header for a link, so that a browser need not be told the key.
#[utoipa::path(post, path = "/api/auth/link", tag = "keys", operation_id = "session_link", responses((status = 200, body = LinkResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 409, body = ErrorResponse)))]
pub(crate) async fn link(State(state): State<super::State>) -> Result<Json<LinkResponse>> {
    let token = state.passes().link(&shows_a_key()?)?;
    Ok(Json(LinkResponse { url: format!("/?token={token}"), expires_in: passes::LINK.as_secs() }))
}

/// What a link says.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct LinkQuery {
    /// Of `POST /api/auth/link`.
    token: Option<String>,
}

/// Opens the session that a link is for, and goes on to the API's pages.
#[utoipa::path(get, path = "/", tag = "keys", operation_id = "enter", params(LinkQuery), responses((status = 303, description = "On to the pages; with a token, in a session"), (status = 401, body = ErrorResponse)))]
pub(crate) async fn enter(State(state): State<super::State>, Query(query): Query<LinkQuery>, request: Request) -> Result<Response> {
    let Some(token) = query.token else { return Ok((StatusCode::SEE_OTHER, [(LOCATION, HOME)]).into_response()) };
    let gone = || Error::new(Kind::Unauthenticated, "this link was used already, or is too old: make a new one with POST /api/auth/link");
    let opened = match state.passes().of_link(&token).ok_or_else(gone) {
        Ok(known) => state.keys().still(&known).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    let deed = |actor: String| {
        let details = json!({ "request_id": visit::request_id() });
        Deed { actor, action: "GET /".to_owned(), target: Some("/".to_owned()), details }
    };
    let known = match opened {
        Ok(known) => known,
        Err(error) => {
            state.audit().denied(deed(visit::actor()), error.failure());
            return Err(error);
        }
    };
    // A session begins: on record before it does.
    let entry = state.audit().begin(deed(format!("key:{}", known.key.name))).await?;
    state.audit().end(entry, Outcome::Ok, json!({ "key_id": known.key.id }));
    let cookie = set_cookie(&state, &request, &state.passes().session(&known)?);
    Ok((StatusCode::SEE_OTHER, [(LOCATION, HOME.to_owned()), (SET_COOKIE, cookie)]).into_response())
}

/// Which socket.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "path": "/ws/desktop-stream" }))]
pub(crate) struct TicketRequest {
    /// The path of the socket, with or without `/api`.
    path: String,
}

/// A ticket for one socket.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TicketResponse {
    /// To be sent as `?ticket=…` or as the subprotocol `ticket.<ticket>`: once.
    ticket: String,
    /// Seconds until it opens nothing any more.
    #[schema(example = 30)]
    expires_in: u64,
}

/// Makes a ticket that opens one socket, once, for whoever cannot send a header with it.
#[utoipa::path(post, path = "/api/auth/ticket", tag = "keys", operation_id = "socket_ticket", request_body = TicketRequest, responses((status = 200, body = TicketResponse), (status = 401, body = ErrorResponse), (status = 403, body = ErrorResponse), (status = 409, body = ErrorResponse), (status = 422, body = ErrorResponse)))]
pub(crate) async fn ticket(
    State(state): State<super::State>,
    extract::Json(request): extract::Json<TicketRequest>,
) -> Result<Json<TicketResponse>> {
    let path = request.path.trim_start_matches('/');
    if !path.strip_prefix("api/").unwrap_or(path).starts_with("ws/") {
        return Err(Error::invalid_at("/path", "a ticket is for a socket: a path such as /ws/desktop-stream"));
    }
    Ok(Json(TicketResponse { ticket: state.passes().ticket(&caller()?, path)?, expires_in: passes::TICKET.as_secs() }))
}

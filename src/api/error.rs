//! How a failure looks over the wire.
//!
//! Rooms know nothing of HTTP: they say what [`Kind`] of failure it was and write a sentence. Here a kind gets its status, in one
//! match without a catch-all arm, and the sentence its envelope: [`ErrorResponse`]. Every answer that is not a success goes through
//! [`Error`], also for paths that do not exist, methods that are not there and handlers that panic.

use std::any::Any;

use axum::extract::OriginalUri;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{SecondsFormat, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::visit;
use crate::error::{Classify, Failure, Kind};
use crate::mask;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErrorResponse {
    /// A sentence that says what to do about it.
    #[schema(example = "there is no workflow \"invoices\": GET /api/workflows/ lists those there are")]
    pub error: String,
    /// What to branch on.
    #[schema(example = "NOT_FOUND")]
    pub error_code: String,
    /// Facts beside the sentence: `errors` (a list of `{path, message}`), `kind` and `id`, `service` and `hint`, `request_id`, …
    #[schema(value_type = Option<Object>)]
    pub details: Option<Value>,
    /// When, RFC 3339 UTC.
    #[schema(format = DateTime)]
    pub timestamp: String,
}

/// One value that is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Invalid {
    /// Where it stands, as a JSON Pointer into the body; `/query/…` and `/path/…` for the other places.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

/// A failure on its way to a client.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    failure: Failure,
    status: Option<StatusCode>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a handler gives back.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A failure without details.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Failure::new(kind, message).into()
    }

    /// There is no such thing.
    pub fn not_found(kind: &str, id: &str) -> Self {
        let shown: String = id.chars().take(128).collect();
        Failure::new(Kind::NotFound, format!("there is no {kind} {shown:?}")).with(json!({ "kind": kind, "id": shown })).into()
    }

    /// Values that are not accepted; nothing was changed.
    pub fn invalid(errors: Vec<Invalid>) -> Self {
        let message = match errors.as_slice() {
            [one] if one.path.is_empty() => one.message.clone(),
            [one] => format!("{}: {}", one.path, one.message),
            many => format!("{} values are not accepted; details.errors lists each with its path", many.len()),
        };
        Failure::new(Kind::ValidationError, message).with(json!({ "errors": errors })).into()
    }

    /// One value that is not accepted.
    pub fn invalid_at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self::invalid(vec![Invalid { path: path.into(), message: message.into() }])
    }

    /// The same failure with a status of its own.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    /// The same failure with a header beside it.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.push((name, value));
        self
    }

    /// What it is.
    pub fn failure(&self) -> &Failure {
        &self.0.failure
    }

    /// The status it is answered with.
    pub fn status(&self) -> StatusCode {
        self.0.status.unwrap_or_else(|| status(self.0.failure.code))
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Self(Box::new(Inner { failure, status: None, headers: Vec::new() }))
    }
}

impl<E: Classify> From<E> for Error {
    fn from(error: E) -> Self {
        Failure::from(error).into()
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let Inner { failure, headers, .. } = *self.0;
        let mut details = with_errors(failure.code, &failure.message, failure.details);
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            // By this whoever reports it and whoever reads the log speak of the same request.
            let request_id = visit::request_id();
            tracing::error!(request_id, error = %failure.message, "a request failed through no fault of its sender");
            if let Some(map) = details.get_or_insert_with(|| json!({})).as_object_mut() {
                map.insert("request_id".to_owned(), json!(request_id));
            }
        }
        if let Some(details) = &mut details {
            mask::value(details);
        }
        let retry_after = details.as_ref().and_then(|details| details.get("retry_after")?.as_u64());
        let body = ErrorResponse { error: mask::string(failure.message), error_code: failure.code.code(), details, timestamp: now() };
        let mut response = (status, axum::Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let (StatusCode::TOO_MANY_REQUESTS, Some(seconds)) = (status, retry_after) {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response.headers_mut().extend(headers);
        response
    }
}

/// A room that refuses one value says where in `details.path`, and why in `details.message` or its message as a whole; the wire always has
/// the list.
fn with_errors(kind: Kind, said: &str, details: Option<Value>) -> Option<Value> {
    if kind != Kind::ValidationError {
        return details;
    }
    let mut details = details.unwrap_or_else(|| json!({}));
    if let Some(map) = details.as_object_mut()
        && !map.contains_key("errors")
    {
        let path = map.get("path").and_then(Value::as_str).unwrap_or_default().to_owned();
        let message = map.get("message").and_then(Value::as_str).unwrap_or(said).to_owned();
        map.insert("errors".to_owned(), json!([{ "path": path, "message": message }]));
    }
    Some(details)
}

/// The status of each kind of failure.
pub fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::InvalidJson => StatusCode::BAD_REQUEST,
        Kind::Unauthenticated => StatusCode::UNAUTHORIZED,
        Kind::PermissionDenied | Kind::UnsafeCommand | Kind::ApprovalRequired | Kind::OriginNotAllowed | Kind::HostNotAllowed => {
            StatusCode::FORBIDDEN
        }
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::PayloadTooLarge | Kind::LimitSource => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::ValidationError
        | Kind::InvalidWorkflow
        | Kind::ScriptError
        | Kind::LimitOps
        | Kind::LimitTime
        | Kind::LimitDepth
        | Kind::LimitMemory => StatusCode::UNPROCESSABLE_ENTITY,
        Kind::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        // Cancelled: by the server's own end, for nobody else can cancel a request and still read the answer.
        Kind::ServiceUnavailable | Kind::Cancelled => StatusCode::SERVICE_UNAVAILABLE,
        Kind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        Kind::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        Kind::RunnerCrashed | Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The present, as every answer writes it: RFC 3339, UTC, milliseconds.
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Answers a path that leads nowhere.
pub async fn no_such_path(OriginalUri(uri): OriginalUri) -> Error {
    let path: String = uri.path().chars().take(256).collect();
    Failure::new(Kind::NotFound, format!("there is nothing at {path:?}: GET /openapi.json lists every path"))
        .with(json!({ "kind": "path", "id": path }))
        .into()
}

/// Answers a method that a path does not have; axum adds `Allow`.
pub async fn no_such_method(method: Method, OriginalUri(uri): OriginalUri) -> Error {
    let path: String = uri.path().chars().take(256).collect();
    Failure::new(Kind::MethodNotAllowed, format!("{path:?} does not take {method}: the Allow header lists what it takes"))
        .with(json!({ "method": method.as_str() }))
        .into()
}

/// Answers in place of a handler that panicked. The reason goes to the log, not to the client.
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let reason =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
    tracing::error!(request_id = visit::request_id(), reason, "a handler panicked");
    Error::new(Kind::Internal, "this is a defect of TRAE: the server's log has the reason, please report it").into_response()
}

/// JSON text that is ready to be sent.
pub fn json_text(status: StatusCode, text: String) -> Response {
    (status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], text).into_response()
}

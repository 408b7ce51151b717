//! What handlers take in: bodies, queries and ids that answer in our own error shape when they are not acceptable.
//!
//! A body is checked against the JSON Schema that `/openapi.json` publishes for it, so that what is documented is what is enforced,
//! and so that every wrong value is named at once.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, Uri};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{ValidationError, Validator};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body;
use super::error::{Error, Invalid};
use super::state::State;
use crate::error::{Failure, Kind};

/// A JSON body that fits its schema.
pub struct Json<T>(pub T);

/// The same together with the text it came as.
pub struct Written<T>(pub T, pub Bytes);

/// The same, where no body at all stands for `{}`.
pub struct OptionalJson<T>(pub T);

/// The query string. Unknown parameters are ignored.
pub struct Query<T>(pub T);

/// What the path names.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest<State> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &State) -> Result<Self, Error> {
        is_json(request.headers())?;
        read(&body::read(request.into_body(), state.config().server.max_body_bytes).await?).map(Self)
    }
}

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest<State> for Written<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &State) -> Result<Self, Error> {
        is_json(request.headers())?;
        let bytes = body::read(request.into_body(), state.config().server.max_body_bytes).await?;
        Ok(Self(read(&bytes)?, bytes))
    }
}

impl<T: DeserializeOwned + ToSchema + 'static> FromRequest<State> for OptionalJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &State) -> Result<Self, Error> {
        let typed = request.headers().contains_key(CONTENT_TYPE).then(|| is_json(request.headers()));
        let bytes = body::read(request.into_body(), state.config().server.max_body_bytes).await?;
        if bytes.is_empty() {
            return read(b"{}").map(Self);
        }
        typed.unwrap_or_else(|| Err(not_json("none")))?;
        read(&bytes).map(Self)
    }
}

impl<T: DeserializeOwned> FromRequestParts<State> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &State) -> Result<Self, Error> {
        query(&parts.uri).map(Self)
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<State> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &State) -> Result<Self, Error> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => Err(Error::not_found("path", parts.uri.path())),
        }
    }
}

/// Reads a query string.
fn query<T: DeserializeOwned>(uri: &Uri) -> Result<T, Error> {
    let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs))
        .map_err(|error| Error::invalid_at(format!("/query{}", pointer(error.path())), error.inner().to_string()))
}

/// Whether the headers promise plain `application/json`.
fn is_json(headers: &HeaderMap) -> Result<(), Error> {
    if let Some(encoding) = headers.get(CONTENT_ENCODING)
        && !encoding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Error::new(Kind::UnsupportedMediaType, "send the body as it is: compressed bodies are not accepted"));
    }
    let sent = headers.get(CONTENT_TYPE).map_or("", |value| value.to_str().unwrap_or("unreadable"));
    let mut parts = sent.split(';').map(str::trim);
    let json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let utf8 = parts
        .filter_map(|part| part.split_once('='))
        .all(|(name, value)| !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"));
    if json && utf8 { Ok(()) } else { Err(not_json(if sent.is_empty() { "none" } else { sent })) }
}

fn not_json(sent: &str) -> Error {
    Failure::new(Kind::UnsupportedMediaType, "send the body as JSON in UTF-8, with the header `Content-Type: application/json`")
        .with(json!({ "content_type": sent }))
        .into()
}

/// Reads a body: does it parse, does it fit the schema, does it fit the type.
pub(crate) fn read<T: DeserializeOwned + ToSchema + 'static>(bytes: &[u8]) -> Result<T, Error> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| syntax(&error))?;
    let errors: Vec<Invalid> = validator::<T>()?.iter_errors(&value).flat_map(|error| explain(&error)).take(100).collect();
    if !errors.is_empty() {
        return Err(Error::invalid(errors));
    }
    drop(value);
    let mut from = serde_json::Deserializer::from_slice(bytes);
    serde_path_to_error::deserialize(&mut from).map_err(|error| {
        let message = error.inner().to_string();
        // serde appends the place in the text, which the pointer already says.
        let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message).to_owned();
        Error::invalid_at(pointer(error.path()), message)
    })
}

/// Says why a body does not parse.
pub(crate) fn syntax(error: &serde_json::Error) -> Error {
    let message = error.to_string();
    if message.starts_with("recursion limit") {
        return Error::invalid_at("", "lists and maps may be nested at most 127 deep");
    }
    Failure::new(Kind::InvalidJson, format!("the body is not JSON: {message}"))
        .with(json!({ "line": error.line(), "column": error.column() }))
        .into()
}

/// The pointer to a place that serde found.
fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut text = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => text.push_str(&format!("/{index}")),
            Segment::Map { key } => text.push_str(&format!("/{}", escape(key))),
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    text
}

/// A name as a part of a JSON Pointer.
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What a violation of the schema says, at the field itself rather than at what surrounds it.
fn explain(error: &ValidationError<'_>) -> Vec<Invalid> {
    let at = error.instance_path().to_string();
    let field = |name: &str, message: &str| Invalid { path: format!("{at}/{}", escape(name)), message: message.to_owned() };
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|name| field(name, "is not a field here: look for a typing error, or leave it out")).collect()
        }
        ValidationErrorKind::Required { property } => vec![field(property.as_str().unwrap_or_default(), "is required")],
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            // An optional thing is "null or this": what is wrong inside of it says more than "matches neither".
            let all = || context.iter().flatten();
            let mut inner: Vec<Invalid> = all().flat_map(explain).filter(|invalid| invalid.path.len() > at.len()).collect();
            if inner.is_empty() {
                // So do the values that it may have.
                inner = all().filter(|inner| !matches!(inner.kind(), ValidationErrorKind::Type { .. })).flat_map(explain).collect();
            }
            if inner.is_empty() { vec![Invalid { path: at, message: shown(error) }] } else { inner }
        }
        _ => vec![Invalid { path: at, message: shown(error) }],
    }
}

/// The sentence of a violation, without repeating a value that may be long or secret.
fn shown(error: &ValidationError<'_>) -> String {
    let message = error.masked_with("it").to_string();
    message.chars().take(500).collect()
}

/// The compiled schema of a body; made once for each type.
fn validator<T: ToSchema + 'static>() -> Result<Arc<Validator>, Error> {
    static COMPILED: LazyLock<Mutex<HashMap<TypeId, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let id = TypeId::of::<T>();
    if let Some(known) = COMPILED.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
        return Ok(Arc::clone(known));
    }
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    let components: serde_json::Map<_, _> = parts.into_iter().map(|(name, schema)| (name, json!(schema))).collect();
    let mut schema = json!(T::schema());
    if let Some(map) = schema.as_object_mut() {
        map.insert("components".to_owned(), json!({ "schemas": components }));
    }
    let compiled = jsonschema::validator_for(&schema).map(Arc::new).map_err(|error| {
        Error::new(Kind::Internal, format!("the schema of a body does not compile: {error}")).with_status(StatusCode::INTERNAL_SERVER_ERROR)
    })?;
    COMPILED.lock().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&compiled));
    Ok(compiled)
}

/// A body that was already taken in, for handlers that look at the raw bytes.
pub struct Raw(pub Bytes);

impl FromRequest<State> for Raw {
    type Rejection = Error;

    async fn from_request(request: Request, state: &State) -> Result<Self, Error> {
        body::read(request.into_body(), state.config().server.max_body_bytes).await.map(Self)
    }
}

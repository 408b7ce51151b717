//! From the words of a caller to a request that can be sent.

use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde_json::Value;
use url::Url;

use super::{Error, Request};

/// Fields that say how a message travels, or to whom; the client writes them.
const OURS: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade"];

/// A request that was checked.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) url: Url,
    method: Method,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl Prepared {
    pub(super) fn new(url: &Url, request: Request) -> Result<Self, Error> {
        let mut url = url.clone();
        if !request.query.is_empty() {
            let mut query = url.query_pairs_mut();
            for (name, value) in &request.query {
                match value {
                    Value::String(text) => query.append_pair(name, text),
                    other => query.append_pair(name, &other.to_string()),
                };
            }
        }
        let mut headers = headers(&request)?;
        let body = match request.body {
            Value::Null => None,
            Value::String(text) => Some(text.into_bytes()),
            json => {
                headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
                Some(json.to_string().into_bytes())
            }
        };
        Ok(Self { url, method: method(&request.method)?, headers, body })
    }

    pub(super) fn build(&self, client: &Client) -> RequestBuilder {
        let mut builder = client.request(self.method.clone(), self.url.clone()).headers(self.headers.clone());
        if let Some(body) = &self.body {
            builder = builder.body(body.clone());
        }
        builder
    }

    /// The request for where a redirect leads. As browsers do: what was posted is not posted again unless the status says so.
    pub(super) fn redirected(&mut self, next: Url, status: StatusCode) {
        self.url = next;
        let becomes_get = match status.as_u16() {
            301 | 302 => self.method == Method::POST,
            303 => self.method != Method::HEAD,
            _ => false,
        };
        if becomes_get {
            self.method = Method::GET;
            self.body = None;
            self.headers.remove(CONTENT_TYPE);
        }
    }
}

/// The limit for the whole exchange.
pub(super) fn time_limit(seconds: f64) -> Result<Duration, Error> {
    if seconds.is_finite() && seconds > 0.0 && seconds <= 300.0 {
        return Ok(Duration::from_secs_f64(seconds));
    }
    Err(Error::Invalid(format!("a timeout of {seconds} is not possible: give seconds above 0 and at most 300")))
}

fn method(name: &str) -> Result<Method, Error> {
    let upper = name.to_ascii_uppercase();
    match Method::from_bytes(upper.as_bytes()) {
        Ok(method) if upper.len() <= 32 && !matches!(upper.as_str(), "CONNECT" | "TRACE") => Ok(method),
        _ => Err(Error::Invalid(format!(
            "{:?} is not a method that can be used: give GET, POST, PUT, PATCH, DELETE, HEAD or OPTIONS",
            shown(name)
        ))),
    }
}

fn headers(request: &Request) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| Error::Invalid(format!("{:?} is not the name of a header field", shown(name))))?;
        if OURS.contains(&parsed.as_str()) {
            return Err(Error::Invalid(format!("the header field {parsed} is written by the client and cannot be set: leave it out")));
        }
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            Error::Invalid(format!("the value of the header field {parsed} holds line breaks or control characters: leave them out"))
        })?;
        headers.append(parsed, value);
    }
    Ok(headers)
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect()
}

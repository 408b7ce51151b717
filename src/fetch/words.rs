//! The words of this room.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// `GET`, `POST`, …
    #[serde(default = "get")]
    pub method: String,
    /// Header fields.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Query parameters, added to the URL's; values that are not texts are written as JSON.
    #[serde(default)]
    pub query: BTreeMap<String, Value>,
    /// The body: a text is sent as it is, anything else as JSON with `Content-Type: application/json`; null or absent sends none.
    #[serde(default)]
    pub body: Value,
    /// Seconds for the whole exchange, above 0 and at most 300.
    #[serde(default = "thirty")]
    pub timeout: f64,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Header fields, names in lower case; repeated ones joined by `, `.
    pub headers: BTreeMap<String, String>,
    /// The body: parsed where it is JSON, else text.
    pub body: Value,
}

fn get() -> String {
    "GET".to_owned()
}

fn thirty() -> f64 {
    30.0
}

//! The envelopes of what went well: `SuccessResponse` and `AutomationResponse`.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::error::now;

/// The answer to an action.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuccessResponse {
    /// `true`.
    success: bool,
    /// What was done, as a sentence.
    message: String,
    /// Facts beside the sentence.
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// When, RFC 3339 UTC.
    #[schema(format = DateTime)]
    timestamp: String,
}

/// The answer to an action on the desktop.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AutomationResponse {
    /// `true`.
    success: bool,
    /// What was done, as a sentence.
    message: String,
    /// Facts beside the sentence.
    #[schema(value_type = Option<Object>)]
    data: Option<Value>,
    /// When, in Unix seconds.
    timestamp: f64,
}

impl SuccessResponse {
    pub(crate) fn new(message: impl Into<String>, data: Option<Value>) -> Self {
        Self { success: true, message: message.into(), data, timestamp: now() }
    }
}

impl AutomationResponse {
    pub(crate) fn new(message: impl Into<String>, data: Option<Value>) -> Self {
        Self { success: true, message: message.into(), data, timestamp: unix_now() }
    }
}

/// The present in Unix seconds.
pub(crate) fn unix_now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

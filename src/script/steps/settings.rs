//! The settings that every node has, and what they say about its errors.

use crate::error::Kind;
use crate::host::protocol::ScriptError;

/// The settings that every node has.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StepSettings {
    pub(super) retry: Option<Retry>,
    pub(super) timeout: Option<f64>,
    pub(super) on_error: OnError,
    pub(super) disabled: bool,
}

#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Retry {
    pub(super) times: u32,
    pub(super) wait: f64,
    pub(super) backoff: f64,
}

impl Default for Retry {
    fn default() -> Self {
        Self { times: 1, wait: 1.0, backoff: 1.0 }
    }
}

#[derive(Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnError {
    #[default]
    Stop,
    Continue,
    Route,
}

/// Limits and refusals are not worth a second try.
pub(super) fn retriable(error: &ScriptError) -> bool {
    !matches!(
        error.code,
        Kind::PermissionDenied
            | Kind::Cancelled
            | Kind::LimitOps
            | Kind::LimitTime
            | Kind::LimitDepth
            | Kind::LimitMemory
            | Kind::LimitSource
    )
}

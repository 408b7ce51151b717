//! The settings that every node has, and what they say about its errors.

use crate::error::Kind;
use crate::host::protocol::{Expectation, ScriptError};

/// The settings that every node has.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StepSettings {
    pub(super) retry: Option<Retry>,
    pub(super) timeout: Option<f64>,
    pub(super) on_error: OnError,
    pub(super) disabled: bool,
    /// What it puts out instead of running, where its run heeds that.
    pub(super) pinned: Option<serde_json::Value>,
    pub(super) on_interrupt: Option<OnInterrupt>,
    /// What is to be so once it has done its work.
    pub(super) expect: Option<Expectation>,
}

impl StepSettings {
    /// Whether the step may run again where it was under way when its run broke off; `usually`: as its type says.
    pub(super) fn again(&self, usually: bool) -> bool {
        match self.on_interrupt {
            Some(OnInterrupt::Retry) => true,
            Some(OnInterrupt::Fail) => false,
            None => usually,
        }
    }
}

#[derive(Clone, Copy, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OnInterrupt {
    Fail,
    Retry,
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

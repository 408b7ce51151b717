//! What a run puts on record.

use serde::{Deserialize, Serialize};

use super::Json;
use crate::error::Failure;

/// What happened in a run, in the order in which it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "most records are the end of a step: a box for each costs more than the room it saves")]
pub enum Record {
    /// A step began and is about to do something outside the engine, or takes long.
    StepStarted(StepStarted),
    /// A step is over. Where no `StepStarted` came before, it says it all.
    StepFinished(StepFinished),
    /// A line of log.
    Log {
        /// `debug`, `info`, `warn` or `error`.
        level: String,
        /// At most 4 KiB.
        message: String,
        /// Microseconds since 1970.
        at: i64,
        /// Whether it was written outside all steps.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        loose: bool,
    },
    /// What a step that goes on needs for going on after a break.
    Note {
        /// The step.
        step_id: String,
        /// Which attempt.
        attempt: u32,
        /// What it needs.
        note: Json,
    },
    /// An effect is about to happen outside all steps: going on after a break would have it happen again.
    Loose,
    /// What a step would have done, in a run that only describes.
    Would(serde_json::Value),
}

/// A step that began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepStarted {
    /// The step's id: the node's, with the loops' indexes behind it (`log[2]`), or the one a script gave.
    pub step_id: String,
    /// The graph's node, where it is one.
    pub node_id: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// 1 for the first try.
    pub attempt: u32,
    /// What it works on.
    pub input: StepInput,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// Whether it may run again where it was under way when its run broke off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
}

/// A step that is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StepFinished {
    /// The step, as it began.
    pub step: StepStarted,
    /// What came of it.
    pub outcome: StepOutcome,
    /// Whether what was expected of it is so: its `result` and a `message`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expectation: Option<Json>,
    /// Microseconds since 1970.
    pub finished_at: i64,
}

/// What a step works on.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepInput {
    /// Nothing was given.
    None,
    /// Exactly what that step put out: not sent twice, not stored twice.
    OutputOf(String),
    /// This.
    Value(Json),
}

/// What came of a step.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// It did its work.
    Succeeded {
        /// What it puts out.
        output: Json,
        /// The output it chose, where it is not the first.
        handle: Option<String>,
    },
    /// It did not.
    Failed {
        /// Why.
        error: ScriptError,
        /// The output it goes on at (`error`), where its settings say that it goes on.
        handle: Option<String>,
    },
    /// Left out: it is disabled, or its run only describes. What goes out in its place.
    Skipped {
        /// What the next steps work on.
        output: Json,
        /// The output it would go on at, where it is not the first.
        handle: Option<String>,
    },
}

/// An error of a script, with its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScriptError {
    /// What a caller may branch on.
    pub code: crate::error::Kind,
    /// A sentence.
    pub message: String,
    /// The graph's node in which it arose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// The file in which it arose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// From 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Facts beside the sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<serde_json::Value>,
}

impl From<Failure> for ScriptError {
    fn from(failure: Failure) -> Self {
        Self { code: failure.code, message: failure.message, node_id: None, file: None, line: None, column: None, details: failure.details }
    }
}

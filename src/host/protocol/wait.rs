//! What a run may wait for, and what comes of it.

use serde::{Deserialize, Serialize};

use super::Json;

/// A wait: for a time, a person, a call from outside, another run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Wait {
    /// Its name within the run, the same each time the run comes by it: so a wait that is over is not waited for again.
    pub place: String,
    /// The step in which it stands, where it stands in one.
    pub step_id: Option<String>,
    /// The run cannot be let go here: what it did since its last finished step would be done again.
    pub hold: bool,
    /// For what.
    pub what: WaitFor,
}

/// What a run may wait for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitFor {
    /// → null, once `seconds` have passed
    Time { seconds: f64 },
    /// → [`Decision`]
    Approval(Approval),
    /// → `{method, path, params, query, headers, body}`
    Webhook(AwaitedCall),
    /// → the script's result
    Script { path: String, parameters: Json },
    /// → the workflow's result; `{run_id}` where nobody waits for it
    Workflow { workflow_id: String, parameters: Json, wait: bool },
}

impl WaitFor {
    /// Whether it starts something, so that all steps so far must be durable first.
    pub fn has_effect(&self) -> bool {
        match self {
            Self::Script { .. } | Self::Workflow { .. } => true,
            Self::Time { .. } | Self::Approval(_) | Self::Webhook(_) => false,
        }
    }

    /// Its kind in one word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Time { .. } => "time",
            Self::Approval(_) => "approval",
            Self::Webhook(_) => "webhook",
            Self::Script { .. } => "script",
            Self::Workflow { .. } => "workflow",
        }
    }
}

/// A question to a person.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// What is asked.
    pub message: String,
    /// What may be answered.
    pub choices: Vec<String>,
    /// Seconds after which nobody is asked any more; for ever without it.
    #[serde(default)]
    pub timeout: Option<f64>,
    /// What counts as the answer then; without it the wait fails with `TIMEOUT`.
    #[serde(default)]
    pub default: Option<String>,
}

/// What a person decided.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Decision {
    /// One of the choices.
    pub choice: String,
    /// What the person said beside it.
    pub comment: Option<String>,
    /// Who it was: a key's name, or null where nobody had to say. `timeout` where nobody answered.
    pub by: Option<String>,
    /// When, RFC 3339.
    pub at: String,
}

/// A call from outside that a run waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AwaitedCall {
    /// What stands behind `/api/webhooks/`.
    pub path: String,
    /// The methods that count.
    #[serde(default = "post")]
    pub methods: Vec<String>,
    /// The HMAC's secret, where one is asked for.
    #[serde(default)]
    pub secret: Option<String>,
    /// Seconds after which the wait fails with `TIMEOUT`; for ever without it.
    #[serde(default)]
    pub timeout: Option<f64>,
}

/// A step that is about to begin, for whoever goes through a run step by step.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Pause {
    /// Its id.
    pub step_id: String,
    /// Its type, where it is a graph's.
    pub node_type: Option<String>,
    /// What it works on.
    pub input: Json,
}

fn post() -> Vec<String> {
    vec!["POST".to_owned()]
}

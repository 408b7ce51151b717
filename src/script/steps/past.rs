//! What a step did before the run was let go, broke off, or was retried.

use rhai::{Dynamic, ImmutableString, NativeCallContext};

use super::Run;
use crate::host::protocol::{Json, PastStep, ScriptError, StepOutcome};
use crate::script::values::{Returned, from_json, raise};

/// How a step stands, before anything is done about it.
pub(super) enum Went {
    /// Nothing is on record of it.
    New,
    /// It is over: it put this out, at that output.
    Over(Dynamic, Option<ImmutableString>),
    /// It began, or failed.
    On {
        /// So many attempts failed.
        failed: u32,
        /// So many are over.
        attempts: u32,
        /// The attempt that goes on began then.
        began_at: Option<i64>,
        /// What the last one failed with.
        error: Option<ScriptError>,
    },
}

impl Run {
    /// How the step `id`, in the round of the loops around it, stands.
    pub(super) fn went(&self, id: &str, context: &NativeCallContext) -> Returned<Went> {
        if self.past.steps.is_empty() {
            return Ok(Went::New);
        }
        let Some(past) = self.past.steps.get(&self.step_id(id)) else { return Ok(Went::New) };
        Ok(match &past.end {
            Some(StepOutcome::Succeeded { output, handle } | StepOutcome::Skipped { output, handle }) => {
                let output = from_json(output).map_err(|failure| raise(failure, context.call_position()))?;
                Went::Over(output, handle.as_deref().map(Into::into))
            }
            Some(StepOutcome::Failed { error, .. }) => on(past, Some(error.clone())),
            None => on(past, None),
        })
    }

    /// What the step that goes on noted.
    pub(super) fn note(&self, id: &str) -> Option<&Json> {
        self.past.steps.get(&self.step_id(id))?.note.as_ref()
    }
}

fn on(past: &PastStep, error: Option<ScriptError>) -> Went {
    Went::On { failed: past.failed, attempts: past.attempts, began_at: past.began_at, error }
}

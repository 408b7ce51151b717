//! What is expected of a step: looked for once it has done its work, before it counts as done.

use rhai::NativeCallContext;
use serde_json::json;

use super::{Run, failure_at};
use crate::error::{Failure, Kind};
use crate::host::protocol::{Before, Call, Expectation, Met, ScriptError, Verdict};
use crate::workflow;

/// What the settings of a script's own step say.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OwnSettings {
    pub(super) expect: Option<Expectation>,
}

impl Run {
    /// Takes a picture of what is to change. One that makes no sense is an error, before the step has done anything.
    pub(super) fn look_before(
        &self,
        context: &NativeCallContext,
        expectation: Option<&Expectation>,
    ) -> Result<Option<Before>, ScriptError> {
        let Some(expectation) = expectation.filter(|_| !self.mode.dry) else { return Ok(None) };
        if let Some((field, message)) = workflow::fault_of_expectation(&json!(expectation)) {
            let path = if field.is_empty() { "/expect".to_owned() } else { format!("/expect/{field}") };
            let mut error = failure_at(&format!("{path}: {message}"), &self.program, context);
            (error.code, error.details) = (Kind::ValidationError, Some(json!({ "errors": [{ "path": path, "message": message }] })));
            return Err(error);
        }
        if !expectation.change {
            return Ok(None);
        }
        let told = self.call(Call::ExpectBefore(Box::new(expectation.clone()))).map_err(|failure| self.refused(context, failure))?;
        Ok(serde_json::from_str(told.get()).ok())
    }

    fn refused(&self, context: &NativeCallContext, failure: Failure) -> ScriptError {
        let mut error = failure_at(&failure.message, &self.program, context);
        (error.code, error.details) = (failure.code, failure.details);
        error
    }

    /// Whether what is expected of the step that is under way is so. Where it is not, that is the step's error.
    pub(super) fn look_after(
        &self,
        context: &NativeCallContext,
        expectation: Option<&Expectation>,
        before: Option<Before>,
    ) -> Result<(), ScriptError> {
        let Some(expectation) = expectation.filter(|_| !self.mode.dry) else { return Ok(()) };
        let call = Call::Expect { expectation: Box::new(expectation.clone()), before };
        let told = self.call(call).map_err(|failure| self.refused(context, failure))?;
        let unknown = |_| Verdict { result: Met::Unknown, message: "the answer has another shape".to_owned(), details: None };
        let verdict: Verdict = serde_json::from_str(told.get()).unwrap_or_else(unknown);
        // Where it is unmet, they stand in the step's error.
        let details = verdict.details.as_ref().filter(|_| verdict.result == Met::Unknown);
        let mut shown = json!({ "result": verdict.result, "message": verdict.message });
        if let (Some(details), Some(fields)) = (details, shown.as_object_mut()) {
            fields.insert("details".to_owned(), details.clone());
        }
        if let Some(open) = self.open.borrow_mut().last_mut() {
            open.expectation = serde_json::value::to_raw_value(&shown).ok();
        }
        match verdict.result {
            Met::Met => Ok(()),
            Met::Unknown => {
                self.log("warn", &format!("whether what was expected of the step is so is not known: {}", verdict.message));
                Ok(())
            }
            Met::Unmet => {
                let message = format!("the step did its work, but what was expected of it is not so: {}", verdict.message);
                let mut error = failure_at(&message, &self.program, context);
                error.code = Kind::Timeout;
                let mut details = verdict.details.unwrap_or_else(|| json!({}));
                if let Some(fields) = details.as_object_mut() {
                    fields.insert("expectation".to_owned(), json!("unmet"));
                }
                error.details = Some(details);
                Err(error)
            }
        }
    }
}

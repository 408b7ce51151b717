//! What is expected of a step: looked for once it has done its work, before it counts as done.

use rhai::NativeCallContext;
use serde_json::json;

use super::{Run, failure_at};
use crate::error::Kind;
use crate::host::protocol::{Call, Expectation, ImageRef, Met, ScriptError, Verdict};

/// What the settings of a script's own step say.
#[derive(Default, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OwnSettings {
    pub(super) expect: Option<Expectation>,
}

impl Run {
    /// Takes a picture of what is to change. None where nothing is expected to, or it cannot be seen: then it is not known afterwards.
    pub(super) fn look_before(&self, expectation: Option<&Expectation>) -> Option<u64> {
        let expectation = expectation.filter(|expectation| expectation.change && !self.mode.dry)?;
        let taken = self.call(Call::ExpectBefore(expectation.clone())).ok()?;
        serde_json::from_str::<ImageRef>(taken.get()).ok().map(|image| image.image)
    }

    /// Whether what is expected of the step that is under way is so. Where it is not, that is the step's error.
    pub(super) fn look_after(
        &self,
        context: &NativeCallContext,
        expectation: Option<&Expectation>,
        before: Option<u64>,
    ) -> Result<(), ScriptError> {
        let Some(expectation) = expectation.filter(|_| !self.mode.dry) else { return Ok(()) };
        let call = Call::Expect { expectation: expectation.clone(), before };
        let told = match self.call(call) {
            Ok(told) => told,
            Err(failure) => {
                let mut error = failure_at(&failure.message, &self.program, context);
                (error.code, error.details) = (failure.code, failure.details);
                return Err(error);
            }
        };
        let unknown = |_| Verdict { result: Met::Unknown, message: "the answer has another shape".to_owned(), details: None };
        let verdict: Verdict = serde_json::from_str(told.get()).unwrap_or_else(unknown);
        let shown = json!({ "result": verdict.result, "message": verdict.message });
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

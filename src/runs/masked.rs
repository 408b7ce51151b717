//! What a run says, before any of it is kept or told: without the secrets in it.

use crate::host::protocol::{Record, ScriptError, StepFinished, StepInput, StepOutcome, StepStarted};
use crate::host::{Answer, Outcome};
use crate::mask;

/// What a run's runner says.
pub(super) fn record(record: Record) -> Record {
    match record {
        Record::StepStarted(step) => Record::StepStarted(started(step)),
        Record::StepFinished(StepFinished { step, outcome, expectation, finished_at }) => {
            let outcome = match outcome {
                StepOutcome::Succeeded { output, handle } => StepOutcome::Succeeded { output: mask::json(output), handle },
                StepOutcome::Failed { error, handle } => StepOutcome::Failed { error: self::error(error), handle },
                StepOutcome::Skipped { output, handle } => StepOutcome::Skipped { output: mask::json(output), handle },
            };
            let expectation = expectation.map(mask::json);
            Record::StepFinished(StepFinished { step: started(step), outcome, expectation, finished_at })
        }
        Record::Note { step_id, attempt, note } => Record::Note { step_id: mask::string(step_id), attempt, note: mask::json(note) },
        Record::Would(mut would) => {
            mask::value(&mut would);
            Record::Would(would)
        }
        Record::Log { level, message, at, loose } => Record::Log { level, message: mask::string(message), at, loose },
        Record::Loose => Record::Loose,
    }
}

fn started(step: StepStarted) -> StepStarted {
    let input = match step.input {
        StepInput::Value(value) => StepInput::Value(mask::json(value)),
        other => other,
    };
    StepStarted { step_id: mask::string(step.step_id), input, ..step }
}

/// How it ended.
pub(super) fn outcome(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Succeeded(value) => Outcome::Succeeded(mask::json(value)),
        Outcome::Failed(error) => Outcome::Failed(self::error(error)),
        other => other,
    }
}

/// What it answers to whoever called its webhook.
pub(super) fn answer(mut answer: Answer) -> Answer {
    answer.headers.values_mut().for_each(|value| *value = mask::string(std::mem::take(value)));
    answer.body = mask::json(answer.body);
    answer
}

/// What it failed with.
pub(super) fn error(mut error: ScriptError) -> ScriptError {
    error.message = mask::string(error.message);
    if let Some(details) = &mut error.details {
        mask::value(details);
    }
    error
}

/// JSON text that is kept as text.
pub(super) fn text(json: String) -> String {
    match serde_json::value::RawValue::from_string(json) {
        Ok(json) => String::from(Box::<str>::from(mask::json(json))),
        Err(_) => String::new(),
    }
}

//! Waits: for a time, a person, a call, another run. The server may let the run go meanwhile.

use rhai::{Dynamic, EvalAltResult, NativeCallContext, Position};

use super::{Ending, Run, run_of};
use crate::error::{Failure, Kind};
use crate::host::protocol::Reply;
use crate::host::protocol::{Call, PastWait, Wait, WaitFor};
use crate::script::values::{Returned, from_json, raise};

/// Waits, on behalf of the script at `context`.
pub(in crate::script) fn wait(context: &NativeCallContext, what: WaitFor) -> Returned<Dynamic> {
    run_of(context)?.wait(what, context.call_position())
}

impl Run {
    fn wait(&self, what: WaitFor, position: Position) -> Returned<Dynamic> {
        let (place, step_id) = self.next_place();
        self.wait_at(place, step_id, what, position)
    }

    /// The name of the next wait, the same each time the run comes by here.
    fn next_place(&self) -> (String, Option<String>) {
        if let Some(open) = self.open.borrow_mut().last_mut() {
            let number = open.waits;
            open.waits += 1;
            return (format!("{}@{}/{number}", open.started.step_id, open.failed), Some(open.started.step_id.clone()));
        }
        let number = self.loose_waits.get();
        self.loose_waits.set(number + 1);
        (format!("/{number}"), None)
    }

    /// Whether what was done or asked since the last step that is over could be otherwise another time.
    fn is_held(&self) -> bool {
        self.touched.get() || self.open.borrow().iter().any(|open| open.touched) || self.round_of.is_some()
    }

    pub(super) fn wait_at(&self, place: String, step_id: Option<String>, what: WaitFor, position: Position) -> Returned<Dynamic> {
        let refused = |failure| raise(failure, position);
        match self.past.waits.get(&place) {
            Some(PastWait::Value(value)) => return from_json(value).map_err(refused),
            Some(PastWait::Failed(failure)) => return Err(refused(failure.clone())),
            None => {}
        }
        if self.deadline.get().is_some_and(|deadline| deadline <= self.clock()) {
            return Err(refused(Failure::new(Kind::Timeout, "the step took longer than its settings allow")));
        }
        let wait = Wait { place, step_id, hold: self.is_held(), what };
        match self.ask(Call::Wait(wait)) {
            Reply::Value(value) => from_json(&value).map_err(refused),
            Reply::Failed(failure) => Err(refused(failure)),
            Reply::Rest => Err(self.rest(position)),
        }
    }

    fn rest(&self, position: Position) -> Box<EvalAltResult> {
        self.end(Ending::Rest, position)
    }
}

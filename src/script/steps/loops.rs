//! Loops: each round begins with the item as the loop's output, and ends with what was collected.

use std::rc::Rc;

use rhai::{Dynamic, ImmutableString};

use super::{DONE_HANDLE, Loop, Node, Run};
use crate::host::protocol::{StepOutcome, StepStarted};
use crate::script::values::to_json;

/// The rounds of a loop, for the language's `for`.
#[derive(Clone)]
pub(in crate::script) struct Each {
    pub(super) run: Rc<Run>,
    pub(super) id: ImmutableString,
    pub(super) items: rhai::Array,
    /// None where there are no rounds to be put on record.
    pub(super) started: Option<StepStarted>,
}

impl IntoIterator for Each {
    type Item = Dynamic;
    type IntoIter = Rounds;

    fn into_iter(self) -> Rounds {
        Rounds { run: self.run, id: self.id, items: self.items.into_iter(), started: self.started, results: Vec::new(), inside: false }
    }
}

/// Goes through a loop: each round begins with the item as the loop's output, and ends with what was collected.
pub(in crate::script) struct Rounds {
    run: Rc<Run>,
    id: ImmutableString,
    items: std::vec::IntoIter<Dynamic>,
    started: Option<StepStarted>,
    results: Vec<Dynamic>,
    inside: bool,
}

impl Iterator for Rounds {
    type Item = Dynamic;

    fn next(&mut self) -> Option<Dynamic> {
        if self.inside {
            let collected = self.leave();
            self.results.push(collected);
        }
        if let Some(item) = self.items.next() {
            self.enter(item.clone());
            return Some(item);
        }
        if let Some(step) = self.started.take() {
            let output = Dynamic::from_array(std::mem::take(&mut self.results));
            if let Ok(json) = to_json(&output) {
                self.run.finish(step, StepOutcome::Succeeded { output: json, handle: Some(DONE_HANDLE.to_owned()) });
            }
            self.run.keep(&self.id, output, Some(DONE_HANDLE.into()));
        }
        None
    }
}

impl Rounds {
    fn enter(&mut self, item: Dynamic) {
        let index = self.results.len();
        self.run.loops.borrow_mut().push(Loop { id: self.id.clone(), index, ran: Vec::new(), collected: Dynamic::UNIT });
        // No step put the item out, so the record cannot point at one.
        let node = Node { step_id: String::new(), output: item, handle: Some("item".into()) };
        self.run.nodes.borrow_mut().insert(self.id.clone(), node);
        self.inside = true;
    }

    fn leave(&mut self) -> Dynamic {
        self.inside = false;
        let Some(frame) = self.run.loops.borrow_mut().pop() else { return Dynamic::UNIT };
        let mut nodes = self.run.nodes.borrow_mut();
        for id in &frame.ran {
            nodes.remove(id);
        }
        frame.collected
    }
}

impl Drop for Rounds {
    /// A loop that is left early, by an error or a `break`, gives its frame back; its step stays open, and the run's end closes it.
    fn drop(&mut self) {
        if self.inside {
            let _ = self.leave();
        }
    }
}

//! Loops: each round begins with the item as the loop's output, and ends with what was collected.

use std::rc::Rc;

use rhai::{Dynamic, ImmutableString, Map, NativeCallContext};

use super::past::Went;
use super::{DONE_HANDLE, Ending, GraphStep, Loop, Node, Run, ended, failure_at, raised};
use crate::error::{Failure, Kind};
use crate::host::protocol::{Call, Json, Record, ScriptError, StepOutcome, StepStarted};
use crate::script::values::{Returned, from_json, raise, to_json};

/// What a loop noted when it began: what it goes on with after a break, and what its workers go by.
#[derive(serde::Serialize, serde::Deserialize)]
struct Plan {
    items: Vec<serde_json::Value>,
    at_once: u32,
}

/// The answer to [`Call::FlowRounds`].
#[derive(serde::Deserialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Outputs(Vec<serde_json::Value>),
    Failed(ScriptError),
}

impl Run {
    /// A loop: works out its items; the rounds come with [`Each`].
    pub(in crate::script) fn each(self: &Rc<Self>, context: &NativeCallContext, step: GraphStep) -> Returned<Each> {
        if self.ending.get().is_some() {
            return Err(ended(context.call_position()));
        }
        let nothing = Each { run: Rc::clone(self), id: step.id.clone(), items: Vec::new(), started: None, branches: None, worker: false };
        let mut started = self.begin(&step.id, Some(&step.node_type), crate::host::protocol::StepInput::None);
        match self.went(&step.id, context)? {
            Went::Over(output, handle) => {
                self.keep(&step.id, output, handle);
                return self.until(context, &step.id).map(|_| nothing);
            }
            Went::New => {}
            Went::On { attempts, began_at, .. } => {
                started.attempt = attempts + 1;
                started.started_at = began_at.unwrap_or(started.started_at);
            }
        }
        let settings = self.settings(&step, context)?;
        let (input, shown) = self.input(&step.from, context)?;
        started.input = shown;
        // Its rounds are steps of their own: what it did itself can be done again.
        started.again = true;
        if settings.disabled {
            let output = to_json(&input).map_err(|failure| raise(failure, context.call_position()))?;
            self.finish(started, StepOutcome::Skipped { output, handle: Some(DONE_HANDLE.to_owned()) });
            self.keep(&step.id, input, Some(DONE_HANDLE.into()));
            return Ok(nothing);
        }
        if let Some(pinned) = settings.pinned.as_ref().filter(|_| self.mode.pinned) {
            let output = rhai::serde::to_dynamic(pinned)?;
            self.finish_loop(started, output, &step.id);
            return self.until(context, &step.id).map(|_| nothing);
        }
        self.pause(context, &started, &input)?;
        let noted = self.note(&step.id).map(|note| serde_json::from_str(note.get()));
        let is_worker = self.round_of.as_deref() == Some(started.step_id.as_str());
        let plan: Plan = match noted {
            Some(Ok(plan)) => plan,
            _ => {
                self.link.record(Record::StepStarted(started.clone()));
                self.enter(started.clone(), true, 0);
                match self.plan(context, &step, input.clone()) {
                    Ok(plan) => {
                        self.leave();
                        if let Ok(note) = serde_json::value::to_raw_value(&plan) {
                            self.link.record(Record::Note { step_id: started.step_id.clone(), attempt: started.attempt, note });
                        }
                        plan
                    }
                    Err(_) if self.ending.get().is_some() => return Err(ended(context.call_position())),
                    Err(error) => return self.fail_open(context, &step.id, error, &settings.on_error).map(|_| nothing),
                }
            }
        };
        let items = plan.items.iter().map(rhai::serde::to_dynamic).collect::<Returned<Vec<Dynamic>>>()?;
        let branches = (step.node_type == super::PARALLEL).then(|| input.clone());
        if is_worker {
            return Ok(Each { items, branches, worker: true, ..nothing });
        }
        // A runner that does rounds of a loop does what is inside them by itself.
        if plan.at_once > 1 && items.len() > 1 && self.round_of.is_none() && !self.mode.stepwise {
            let outputs = self.rounds(context, &started, items.len(), plan.at_once)?;
            let output = loop_output(branches.is_some(), &items, outputs);
            self.finish_loop(started, output, &step.id);
            return self.until(context, &step.id).map(|_| nothing);
        }
        Ok(Each { items, branches, started: Some(started), ..nothing })
    }

    /// Whether the rounds of the loop `id` are branches.
    fn is_branch(&self, id: &str) -> bool {
        self.loops.borrow().iter().rev().find(|frame| frame.id == id).is_some_and(|frame| frame.by_branch)
    }

    fn plan(self: &Rc<Self>, context: &NativeCallContext, step: &GraphStep, input: Dynamic) -> Result<Plan, ScriptError> {
        let config = self.config(context, step, &input)?;
        let at_once = config.as_map_ref().ok().and_then(|config| config.get("concurrency")?.as_int().ok()).unwrap_or(1);
        let (items, _) = self.run_with(context, step, config, input)?;
        let items = items
            .into_array()
            .map_err(|kind| failure_at(&format!("the items of a loop are a list, not {kind}"), &self.program, context))?;
        let items = items.iter().map(serde_json::to_value).collect::<Result<_, _>>();
        let items = items.map_err(|error| failure_at(&format!("an item cannot be written as JSON: {error}"), &self.program, context))?;
        Ok(Plan { items, at_once: u32::try_from(at_once).unwrap_or(1) })
    }

    /// Has the rounds done, several at the same time.
    fn rounds(&self, context: &NativeCallContext, started: &StepStarted, rounds: usize, at_once: u32) -> Returned<Vec<Dynamic>> {
        let refused = |failure| raise(failure, context.call_position());
        let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
        let answer = self.call(Call::FlowRounds { step_id: started.step_id.clone(), rounds, at_once }).map_err(refused)?;
        let done: Done = serde_json::from_str(answer.get())
            .map_err(|error| refused(Failure::new(Kind::Internal, format!("an answer has another shape: {error}"))))?;
        match done {
            Done::Outputs(outputs) => outputs.iter().map(rhai::serde::to_dynamic).collect(),
            Done::Failed(error) => Err(raised(&error, context.call_position())),
        }
    }

    fn finish_loop(&self, started: StepStarted, output: Dynamic, id: &ImmutableString) {
        if let Ok(json) = to_json(&output) {
            let handle = Some(DONE_HANDLE.to_owned());
            self.finish(
                started,
                match self.mode.dry {
                    false => StepOutcome::Succeeded { output: json, handle },
                    true => StepOutcome::Skipped { output: json, handle },
                },
            );
        }
        self.keep(id, output, Some(DONE_HANDLE.into()));
    }

    /// What a round of the loop `id` comes to: the output of the named nodes that ran in it.
    pub(in crate::script) fn collect(&self, id: &str, sinks: &[ImmutableString]) {
        let nodes = self.nodes.borrow();
        let ran: Vec<_> = sinks.iter().filter_map(|sink| Some((sink, nodes.get(sink)?))).collect();
        let value = match ran.as_slice() {
            [] => Dynamic::UNIT,
            [(_, node)] if sinks.len() == 1 || self.is_branch(id) => node.output.clone(),
            several => several.iter().map(|(id, node)| (id.as_str().into(), node.output.clone())).collect::<Map>().into(),
        };
        drop(nodes);
        if let Some(frame) = self.loops.borrow_mut().iter_mut().rev().find(|frame| frame.id == id) {
            frame.collected = value;
        }
    }
}

/// What a loop puts out: a list of what its rounds came to, or by branch.
fn loop_output(by_branch: bool, items: &[Dynamic], outputs: Vec<Dynamic>) -> Dynamic {
    if !by_branch {
        return Dynamic::from_array(outputs);
    }
    let named = items.iter().zip(outputs).map(|(branch, output)| (branch.to_string().into(), output));
    Dynamic::from_map(named.collect::<Map>())
}

/// The rounds of a loop, for the language's `for`.
#[derive(Clone)]
pub(in crate::script) struct Each {
    run: Rc<Run>,
    id: ImmutableString,
    items: Vec<Dynamic>,
    /// None where there are no rounds to be put on record.
    started: Option<StepStarted>,
    /// Of branches that run side by side: what goes into each of them. The items are then their names.
    branches: Option<Dynamic>,
    /// Its rounds are given out by the server.
    worker: bool,
}

impl IntoIterator for Each {
    type Item = Dynamic;
    type IntoIter = Rounds;

    fn into_iter(self) -> Rounds {
        Rounds { each: self, results: Vec::new(), inside: None }
    }
}

/// Goes through a loop: each round begins with the item as the loop's output, and ends with what was collected.
pub(in crate::script) struct Rounds {
    each: Each,
    results: Vec<Dynamic>,
    /// The round that goes on.
    inside: Option<usize>,
}

impl Iterator for Rounds {
    type Item = Dynamic;

    fn next(&mut self) -> Option<Dynamic> {
        if self.each.worker {
            return self.next_given();
        }
        if self.inside.is_some() {
            let collected = self.leave();
            self.results.push(collected);
        }
        let index = self.results.len();
        if let Some(item) = self.each.items.get(index).cloned() {
            self.enter(index, item.clone());
            return Some(item);
        }
        if let Some(step) = self.each.started.take() {
            let output = loop_output(self.each.branches.is_some(), &self.each.items, std::mem::take(&mut self.results));
            self.each.run.finish_loop(step, output, &self.each.id);
        }
        None
    }
}

impl Rounds {
    /// The next round that this runner is given; with the last one the run ends here.
    fn next_given(&mut self) -> Option<Dynamic> {
        let done = self.inside.map(|index| {
            let collected = self.leave();
            (u32::try_from(index).unwrap_or(u32::MAX), to_json(&collected).unwrap_or_else(|_| serde_json::value::RawValue::NULL.to_owned()))
        });
        let run = Rc::clone(&self.each.run);
        let next = run.call(Call::FlowNextRound { done }).ok().and_then(|answer: Json| from_json(&answer).ok());
        let index = next.and_then(|next| next.as_int().ok()).and_then(|index| usize::try_from(index).ok());
        match index.and_then(|index| Some((index, self.each.items.get(index)?.clone()))) {
            Some((index, item)) => {
                self.enter(index, item.clone());
                Some(item)
            }
            None => {
                run.ending.set(Some(Ending::RoundsOver));
                None
            }
        }
    }

    fn enter(&mut self, index: usize, item: Dynamic) {
        let run = &self.each.run;
        run.loops.borrow_mut().push(Loop {
            id: self.each.id.clone(),
            index,
            ran: Vec::new(),
            collected: Dynamic::UNIT,
            by_branch: self.each.branches.is_some(),
        });
        let (output, handle) = match &self.each.branches {
            Some(input) => (input.clone(), item.to_string().into()),
            None => (item, "item".into()),
        };
        // No step put the item out, so the record cannot point at one.
        let node = Node { step_id: String::new(), output, handle: Some(handle) };
        run.nodes.borrow_mut().insert(self.each.id.clone(), node);
        self.inside = Some(index);
    }

    fn leave(&mut self) -> Dynamic {
        self.inside = None;
        let run = &self.each.run;
        let Some(frame) = run.loops.borrow_mut().pop() else { return Dynamic::UNIT };
        let mut nodes = run.nodes.borrow_mut();
        for id in &frame.ran {
            nodes.remove(id);
        }
        frame.collected
    }
}

impl Drop for Rounds {
    /// A loop that is left early, by an error or a `break`, gives its frame back; its step stays open, and the run's end closes it.
    fn drop(&mut self) {
        if self.inside.is_some() {
            let _ = self.leave();
        }
    }
}

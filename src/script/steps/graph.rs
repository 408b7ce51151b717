//! The nodes of a graph: a config worked out, a node type's code run, and what the node's settings say about its errors.

use std::rc::Rc;

use rhai::{CallFnOptions, Dynamic, FnPtr, ImmutableString, Map, NativeCallContext, Scope};

use super::past::Went;
use super::settings::{OnError, Retry, StepSettings, retriable};
use super::{ERROR_HANDLE, Ending, GraphStep, Node, Out, Run, To, deadline, ended, failure_at, now, raised};
use crate::error::{Failure, Kind};
use crate::host::protocol::{Call, Pause, ScriptError, StepInput, StepOutcome, StepStarted, WaitFor};
use crate::script::error;
use crate::script::values::{Returned, raise, to_json};

impl Run {
    /// A node of a graph: works out its config, runs it, puts it on record.
    pub(in crate::script) fn graph_step(self: &Rc<Self>, context: &NativeCallContext, step: GraphStep) -> Returned<Dynamic> {
        if self.ending.get().is_some() {
            return Err(ended(context.call_position()));
        }
        let went = self.went(&step.id, context)?;
        let (failed, attempts, began_at, last_error) = match went {
            Went::Over(output, handle) => {
                self.keep(&step.id, output, handle);
                return self.until(context, &step.id);
            }
            Went::New => (0, 0, None, None),
            Went::On { failed, attempts, began_at, error } => (failed, attempts, began_at, error),
        };
        let settings = self.settings(&step, context)?;
        let (input, shown) = self.input(&step.from, context)?;
        let mut started = self.begin(&step.id, Some(&step.node_type), shown);
        started.attempt = attempts + 1;
        started.again = settings.again(self.node_types.get(step.node_type.as_str()).is_some_and(|code| code.again));
        if let Some(at) = began_at {
            started.started_at = at;
        }
        if settings.disabled {
            let output = to_json(&input).map_err(|failure| raise(failure, context.call_position()))?;
            self.finish(started, StepOutcome::Skipped { output, handle: None });
            self.keep(&step.id, input, None);
            return self.until(context, &step.id);
        }
        if let Some(pinned) = settings.pinned.as_ref().filter(|_| self.mode.pinned) {
            return self.put_out_pinned(context, &step.id, started, pinned);
        }
        self.pause(context, &started, &input)?;
        let retry = settings.retry.unwrap_or(Retry { times: 0, wait: 0.0, backoff: 1.0 });
        let mut failed = failed;
        // An attempt that failed before the run was let go: it is decided once more what becomes of that.
        let mut error = last_error;
        loop {
            if let Some(error) = error.take() {
                if failed > retry.times || !retriable(&error) || self.exceeded() {
                    return self.give_up(context, &step.id, error, &settings.on_error);
                }
                self.back_off(context, &started, failed, &retry)?;
                if began_at.is_none() {
                    started.started_at = now();
                }
            }
            self.enter(started.clone(), false, failed);
            let outer = self.deadline.get();
            self.deadline.set(deadline(settings.timeout, self.clock(), started.started_at, outer));
            let expected = settings.expect.as_ref();
            let ran = self.look_before(context, expected).and_then(|before| {
                let done = self.run_node(context, &step, input.clone())?;
                self.look_after(context, expected, before).map(|()| done)
            });
            self.deadline.set(outer);
            match ran {
                Ok((output, handle)) => {
                    self.succeed(context, &step.id, output, handle)?;
                    return self.until(context, &step.id);
                }
                Err(_) if self.ending.get().is_some() => return Err(ended(context.call_position())),
                Err(failure) => {
                    let last = failed + 1 > retry.times || !retriable(&failure) || self.exceeded();
                    if last {
                        self.settle_failure(&step.id, &failure, &settings.on_error);
                    } else {
                        self.close(StepOutcome::Failed { error: failure.clone(), handle: None });
                    }
                    failed += 1;
                    started.attempt += 1;
                    error = Some(failure);
                }
            }
        }
    }

    /// Whether the run ends with this node.
    pub(super) fn until(&self, context: &NativeCallContext, id: &ImmutableString) -> Returned<Dynamic> {
        match &self.mode.until {
            Some(last) if *last == **id && self.loops.borrow().is_empty() => Err(self.end(Ending::Until, context.call_position())),
            _ => Ok(Dynamic::UNIT),
        }
    }

    /// Waits before the next attempt, without being under way meanwhile.
    fn back_off(&self, context: &NativeCallContext, started: &StepStarted, failed: u32, retry: &Retry) -> Returned<()> {
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        let seconds = retry.wait * retry.backoff.powi(exponent);
        if seconds <= 0.0 || self.mode.dry {
            return Ok(());
        }
        let place = format!("{}@{failed}/retry", started.step_id);
        self.wait_at(place, None, WaitFor::Time { seconds }, context.call_position()).map(|_| ())
    }

    fn put_out_pinned(
        &self,
        context: &NativeCallContext,
        id: &ImmutableString,
        started: StepStarted,
        pinned: &serde_json::Value,
    ) -> Returned<Dynamic> {
        let output = rhai::serde::to_dynamic(pinned)?;
        let json = to_json(&output).map_err(|failure| raise(failure, context.call_position()))?;
        self.finish(started, StepOutcome::Succeeded { output: json, handle: None });
        self.keep(id, output, None);
        self.until(context, id)
    }

    /// Lets whoever goes through the run step by step look before the step begins.
    pub(super) fn pause(&self, context: &NativeCallContext, started: &StepStarted, input: &Dynamic) -> Returned<()> {
        if !self.mode.stepwise {
            return Ok(());
        }
        let refused = |failure| raise(failure, context.call_position());
        let pause =
            Pause { step_id: started.step_id.clone(), node_type: started.node_type.clone(), input: to_json(input).map_err(refused)? };
        self.call(Call::FlowPause(pause)).map(|_| ()).map_err(refused)
    }

    pub(super) fn settings(&self, step: &GraphStep, context: &NativeCallContext) -> Returned<StepSettings> {
        if step.settings.is_empty() {
            return Ok(StepSettings::default());
        }
        crate::script::values::read(step.settings.clone()).map_err(|failure| raise(failure, context.call_position()))
    }

    pub(super) fn run_node(
        self: &Rc<Self>,
        context: &NativeCallContext,
        step: &GraphStep,
        input: Dynamic,
    ) -> Result<(Dynamic, Option<ImmutableString>), ScriptError> {
        let config = self.config(context, step, &input)?;
        self.run_with(context, step, config, input)
    }

    /// The config of a node, with its expressions worked out and its defaults filled in.
    pub(super) fn config(&self, context: &NativeCallContext, step: &GraphStep, input: &Dynamic) -> Result<Dynamic, ScriptError> {
        let in_script = |e: &rhai::EvalAltResult| error::of_running(e, &self.program);
        let code = self.code(context, step)?;
        let touched = self.open.borrow().last().is_some_and(|open| open.touched);
        let worked_out = step.config.is_fnptr();
        let config = match step.config.clone().try_cast_result::<FnPtr>() {
            Ok(function) => function.call_within_context::<Dynamic>(context, (input.clone(),)).map_err(|e| in_script(&e))?,
            Err(map) => map,
        };
        // That an expression looked at the clock is no reason to work it out again: a wait keeps the time it was first given.
        if let Some(open) = self.open.borrow_mut().last_mut() {
            open.touched = touched;
        }
        let mut config = config.try_cast::<Map>().ok_or_else(|| failure_at("a config is a map", &self.program, context))?;
        for (name, value) in &code.defaults {
            config.entry(name.clone()).or_insert_with(|| value.clone());
        }
        let config = Dynamic::from_map(config);
        if worked_out {
            code.check(&config).map_err(|message| {
                let mut error = failure_at(&format!("the config does not fit: {message}"), &self.program, context);
                error.code = Kind::ValidationError;
                error
            })?;
        }
        Ok(config)
    }

    fn code(&self, context: &NativeCallContext, step: &GraphStep) -> Result<Rc<crate::script::engine::NodeCode>, ScriptError> {
        let code = self.node_types.get(step.node_type.as_str()).cloned();
        code.ok_or_else(|| failure_at(&format!("there is no node type {:?}", step.node_type), &self.program, context))
    }

    /// Runs a node with its config.
    pub(super) fn run_with(
        self: &Rc<Self>,
        context: &NativeCallContext,
        step: &GraphStep,
        config: Dynamic,
        input: Dynamic,
    ) -> Result<(Dynamic, Option<ImmutableString>), ScriptError> {
        let code = self.code(context, step)?;
        let options = CallFnOptions::new().eval_ast(!code.ast.statements().is_empty());
        let result = context
            .engine()
            .call_fn_with_options::<Dynamic>(options, &mut Scope::new(), &code.ast, "run", (config, input))
            .map_err(|e| error::of_running(&e, &code.file))?;
        Ok(match result.try_cast_result::<To>() {
            Ok(to) => (to.value, Some(to.handle)),
            Err(value) => (value, None),
        })
    }

    /// What flows into a step, and how the record says so.
    pub(super) fn input(&self, from: &Dynamic, context: &NativeCallContext) -> Returned<(Dynamic, StepInput)> {
        let nodes = self.nodes.borrow();
        let refused = || {
            raise(Failure::new(Kind::ValidationError, "where a step comes from is a step's id or a list of them"), context.call_position())
        };
        let mut taken: Vec<(ImmutableString, &Node)> = Vec::new();
        let one = |source: &Dynamic| -> Returned<Option<(ImmutableString, &Node)>> {
            if let Ok(id) = source.as_immutable_string_ref() {
                return Ok(nodes.get(&*id).map(|node| (id.clone(), node)));
            }
            let out = source.read_lock::<Out>().ok_or_else(refused)?;
            let node = nodes.get(&out.id).filter(|node| node.took(&out.handle));
            Ok(node.map(|node| (out.id.clone(), node)))
        };
        if let Ok(list) = from.as_array_ref() {
            for source in list.iter() {
                taken.extend(one(source)?);
            }
        } else {
            taken.extend(one(from)?);
        }
        Ok(match taken.as_slice() {
            [] if from.as_array_ref().is_ok_and(|list| list.is_empty()) => {
                (self.begins_with.0.clone(), StepInput::Value(self.begins_with.1.clone()))
            }
            [] => (Dynamic::UNIT, StepInput::None),
            [(_, node)] if node.step_id.is_empty() => {
                let shown = to_json(&node.output).map_err(|failure| raise(failure, context.call_position()))?;
                (node.output.clone(), StepInput::Value(shown))
            }
            [(_, node)] => (node.output.clone(), StepInput::OutputOf(node.step_id.clone())),
            several => {
                let map: Map = several.iter().map(|(id, node)| (id.as_str().into(), node.output.clone())).collect();
                let map = Dynamic::from_map(map);
                let shown = to_json(&map).map_err(|failure| raise(failure, context.call_position()))?;
                (map, StepInput::Value(shown))
            }
        })
    }

    pub(super) fn succeed(
        &self,
        context: &NativeCallContext,
        id: &ImmutableString,
        output: Dynamic,
        handle: Option<ImmutableString>,
    ) -> Returned<()> {
        let json = match to_json(&output) {
            Ok(json) => json,
            Err(failure) => {
                let error = ScriptError::from(failure.clone());
                self.close(StepOutcome::Failed { error, handle: None });
                return Err(raise(failure, context.call_position()));
            }
        };
        let name = handle.as_ref().map(ToString::to_string);
        self.close(match self.mode.dry {
            false => StepOutcome::Succeeded { output: json, handle: name },
            true => StepOutcome::Skipped { output: json, handle: name },
        });
        self.keep(id, output, handle);
        Ok(())
    }

    /// Puts on record that a step failed for good.
    fn settle_failure(&self, id: &ImmutableString, error: &ScriptError, on_error: &OnError) {
        let mut error = error.clone();
        error.node_id = Some(id.to_string());
        let handle = self.error_handle(on_error).map(|handle| handle.to_string());
        self.close(StepOutcome::Failed { error, handle });
    }

    fn error_handle(&self, on_error: &OnError) -> Option<ImmutableString> {
        (*on_error == OnError::Route && !self.exceeded()).then(|| ImmutableString::from(ERROR_HANDLE))
    }

    /// A step failed for good, and that is on record: the run stops, or goes on as the node's settings say.
    pub(super) fn give_up(
        &self,
        context: &NativeCallContext,
        id: &ImmutableString,
        mut error: ScriptError,
        on_error: &OnError,
    ) -> Returned<Dynamic> {
        error.node_id = Some(id.to_string());
        let goes_on = (*on_error != OnError::Stop || self.mode.dry) && !self.exceeded();
        if !goes_on {
            return Err(raised(&error, context.call_position()));
        }
        let output = rhai::serde::to_dynamic(serde_json::json!({ "error": error })).unwrap_or(Dynamic::UNIT);
        self.keep(id, output, self.error_handle(on_error));
        self.until(context, id)
    }

    /// A step that is open failed for good.
    pub(super) fn fail_open(
        &self,
        context: &NativeCallContext,
        id: &ImmutableString,
        error: ScriptError,
        on_error: &OnError,
    ) -> Returned<Dynamic> {
        self.settle_failure(id, &error, on_error);
        self.give_up(context, id, error, on_error)
    }
}

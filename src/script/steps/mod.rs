//! A run as its script sees it: steps that are put on record, what each put out, the loops it is in.
//!
//! One step without a call to the outside costs one record and no round trip; a step that asks the server for something is announced
//! first, so that a crash finds it under way.

mod loops;
mod settings;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rhai::{CallFnOptions, Dynamic, FnPtr, ImmutableString, Map, NativeCallContext, Position, Scope};

use crate::error::{Failure, Kind};
use crate::host::protocol::{Answer, Call, Json, Record, ScriptError, StepFinished, StepInput, StepOutcome, StepStarted};
use crate::script::engine::NodeCode;
use crate::script::error;
use crate::script::link::Link;
use crate::script::values::{Returned, from_json, raise, to_json};

/// Lines of log that one run may write; what comes after is counted, not kept.
const MAX_LOG_LINES: usize = 10_000;
/// Bytes of one line.
const MAX_LOG_BYTES: usize = 4096;
/// The output at which a loop goes on once its rounds are over.
const DONE_HANDLE: &str = "done";
/// The output at which a node goes on that failed, where its settings say so.
const ERROR_HANDLE: &str = "error";

pub(in crate::script) use loops::Each;
use settings::{OnError, Retry, StepSettings, retriable};

/// What travels in the engine's tag: the run that a native function works for.
#[derive(Clone)]
pub(in crate::script) struct Tag(pub(in crate::script) Rc<Run>);

/// The run that `context` works for.
pub(in crate::script) fn run_of(context: &NativeCallContext) -> Returned<Rc<Run>> {
    let tag = context.tag().and_then(|tag| tag.read_lock::<Tag>().map(|tag| Rc::clone(&tag.0)));
    tag.ok_or_else(|| raise(Failure::new(Kind::Internal, "this function works only within a run"), context.call_position()))
}

/// Asks the server to do something, on behalf of the script at `context`.
pub(in crate::script) fn call(context: &NativeCallContext, call: Call) -> Returned<Dynamic> {
    let run = run_of(context)?;
    run.call(call).and_then(|json| from_json(&json)).map_err(|failure| raise(failure, context.call_position()))
}

/// The same, with a map of options that the script gave.
pub(in crate::script) fn call_with<T: serde::de::DeserializeOwned>(
    context: &NativeCallContext,
    options: Map,
    make: impl Fn(T) -> Call,
) -> Returned<Dynamic> {
    let words = crate::script::values::read(options).map_err(|failure| raise(failure, context.call_position()))?;
    call(context, make(words))
}

/// The same, for an answer that is not handed to the script as it is.
pub(in crate::script) fn call_for<T: serde::de::DeserializeOwned>(context: &NativeCallContext, call: Call) -> Returned<T> {
    let refused = |failure| raise(failure, context.call_position());
    let json = run_of(context)?.call(call).map_err(refused)?;
    serde_json::from_str(json.get()).map_err(|error| refused(Failure::new(Kind::Internal, format!("an answer has another shape: {error}"))))
}

/// One run of a program.
pub(in crate::script) struct Run {
    pub(in crate::script) id: String,
    pub(in crate::script) started_at: String,
    start_node: Option<String>,
    /// What a node without edges in works on: the trigger's event, or else the run's parameters.
    begins_with: (Dynamic, Json),
    program: String,
    node_types: Rc<HashMap<String, Rc<NodeCode>>>,
    link: Rc<Link>,
    nodes: RefCell<HashMap<ImmutableString, Node>>,
    starts: RefCell<Vec<String>>,
    loops: RefCell<Vec<Loop>>,
    open: RefCell<Vec<Open>>,
    operations: Cell<u64>,
    max_operations: u64,
    /// When the step that is under way must be over, where its settings say so.
    deadline: Cell<Option<Instant>>,
    log_lines: Cell<usize>,
    /// The node that ran last, outside of loops or as one.
    last: RefCell<Option<ImmutableString>>,
    /// What the webhook's caller was answered, where it was.
    answered: RefCell<Option<Json>>,
}

/// What a node put out.
#[derive(Clone)]
struct Node {
    step_id: String,
    output: Dynamic,
    /// The output it chose; none is its first one.
    handle: Option<ImmutableString>,
}

impl Node {
    /// Whether it went on at that output. One that chose none went on at its first, which is never the one for errors.
    fn took(&self, handle: &str) -> bool {
        match self.handle.as_deref() {
            Some(chosen) => chosen == handle,
            None => handle != ERROR_HANDLE,
        }
    }
}

/// A loop the run is in.
struct Loop {
    id: ImmutableString,
    index: usize,
    /// The nodes that ran in this round: the next one starts without them.
    ran: Vec<ImmutableString>,
    collected: Dynamic,
}

/// A step that began and is not over.
struct Open {
    started: StepStarted,
    announced: bool,
}

/// What a branch gives back: the output it chose, and what goes out there.
#[derive(Clone)]
pub(in crate::script) struct To {
    pub(in crate::script) handle: ImmutableString,
    pub(in crate::script) value: Dynamic,
}

/// One of several edges into a node: from a branch's output.
#[derive(Clone)]
pub(in crate::script) struct Out {
    pub(in crate::script) id: ImmutableString,
    pub(in crate::script) handle: ImmutableString,
}

/// A node of the graph, as a script writes it down.
pub(in crate::script) struct GraphStep {
    pub(in crate::script) id: ImmutableString,
    pub(in crate::script) node_type: ImmutableString,
    pub(in crate::script) from: Dynamic,
    pub(in crate::script) config: Dynamic,
    pub(in crate::script) settings: Map,
}

impl Run {
    pub(in crate::script) fn new(
        start: &crate::host::protocol::Start,
        begins_with: (Dynamic, Json),
        program: &str,
        node_types: Rc<HashMap<String, Rc<NodeCode>>>,
        link: Rc<Link>,
        max_operations: u64,
    ) -> Self {
        Self {
            id: start.run_id.clone(),
            started_at: start.started_at.clone(),
            start_node: start.start_node.clone(),
            begins_with,
            program: program.to_owned(),
            node_types,
            link,
            nodes: RefCell::default(),
            starts: RefCell::default(),
            loops: RefCell::default(),
            open: RefCell::default(),
            operations: Cell::new(0),
            max_operations,
            deadline: Cell::new(None),
            log_lines: Cell::new(0),
            last: RefCell::default(),
            answered: RefCell::default(),
        }
    }

    /// Counts one operation of the engine, and says why it may not go on: too many of them (and from then on always, whatever the
    /// script does about it), or a step out of time.
    pub(in crate::script) fn stop_reason(&self) -> Option<&'static str> {
        let operations = self.operations.get() + 1;
        self.operations.set(operations);
        if operations.is_multiple_of(4096) {
            self.link.flush_if_due();
            if self.deadline.get().is_some_and(|deadline| deadline <= Instant::now()) {
                return Some(error::TIMEOUT_TOKEN);
            }
        }
        (operations > self.max_operations).then_some(error::OPERATIONS_TOKEN)
    }

    /// Whether the operation limit was hit, even if the script went on to return something.
    pub(in crate::script) fn exceeded(&self) -> bool {
        self.operations.get() > self.max_operations
    }

    /// Asks the server to do something. Steps that are under way are announced first.
    pub(in crate::script) fn call(&self, call: Call) -> Result<Json, Failure> {
        for open in self.open.borrow_mut().iter_mut().filter(|open| !open.announced) {
            open.announced = true;
            self.link.record(Record::StepStarted(open.started.clone()));
        }
        let within = self.deadline.get().map(|deadline| deadline.saturating_duration_since(Instant::now()).as_secs_f64());
        self.link.call(call, within)
    }

    /// Gives the answer of the webhook that started this run; nobody waits until it is given.
    pub(in crate::script) fn respond(&self, answer: Answer) {
        self.answered.borrow_mut().get_or_insert_with(|| answer.body.clone());
        self.link.respond(answer);
    }

    /// What the run comes to: the script's value; of a graph, whose script has none, the body of its answer, or what its last node put out.
    pub(in crate::script) fn result(&self, value: &Dynamic) -> Result<Json, Failure> {
        if !value.is_unit() {
            return to_json(value);
        }
        if let Some(body) = &*self.answered.borrow() {
            return Ok(body.clone());
        }
        match &*self.last.borrow() {
            Some(last) => to_json(&self.output(last)),
            None => to_json(value),
        }
    }

    /// Writes a line of log.
    pub(in crate::script) fn log(&self, level: &str, message: &str) {
        let lines = self.log_lines.get() + 1;
        self.log_lines.set(lines);
        let message = match lines {
            ..=MAX_LOG_LINES => clip(message),
            _ if lines == MAX_LOG_LINES + 1 => format!("this run wrote {MAX_LOG_LINES} lines of log; later ones are not kept"),
            _ => return,
        };
        self.link.record(Record::Log { level: level.to_owned(), message, at: now() });
    }

    /// Which starts a run takes that no particular trigger began.
    pub(in crate::script) fn set_starts(&self, ids: Vec<String>) {
        *self.starts.borrow_mut() = ids;
    }

    /// Whether the run began at this node.
    pub(in crate::script) fn started(&self, id: &str) -> bool {
        match &self.start_node {
            Some(start) => start == id,
            None => self.starts.borrow().iter().any(|start| start == id),
        }
    }

    /// Whether the node ran.
    pub(in crate::script) fn ran(&self, id: &str) -> bool {
        self.nodes.borrow().contains_key(id)
    }

    /// Whether the node ran and went on at that output.
    pub(in crate::script) fn took(&self, id: &str, handle: &str) -> bool {
        self.nodes.borrow().get(id).is_some_and(|node| node.took(handle))
    }

    /// What the node put out, or nothing where it did not run.
    pub(in crate::script) fn output(&self, id: &str) -> Dynamic {
        self.nodes.borrow().get(id).map_or(Dynamic::UNIT, |node| node.output.clone())
    }

    /// The round of the innermost loop, from 0.
    pub(in crate::script) fn index(&self) -> Option<usize> {
        self.loops.borrow().last().map(|frame| frame.index)
    }

    /// A node of a graph: works out its config, runs it, puts it on record.
    pub(in crate::script) fn graph_step(self: &Rc<Self>, context: &NativeCallContext, step: GraphStep) -> Returned<Dynamic> {
        let settings = self.settings(&step, context)?;
        let (input, shown) = self.input(&step.from, context)?;
        let mut started = self.begin(&step.id, Some(&step.node_type), shown);
        if settings.disabled {
            self.finish(started, StepOutcome::Skipped);
            self.keep(&step.id, input, None);
            return Ok(Dynamic::UNIT);
        }
        let retry = settings.retry.unwrap_or(Retry { times: 0, wait: 0.0, backoff: 1.0 });
        let mut wait = retry.wait;
        loop {
            self.open.borrow_mut().push(Open { started: started.clone(), announced: false });
            let outer = self.deadline.get();
            self.deadline.set(deadline(settings.timeout, outer));
            let ran = self.run_node(context, &step, input.clone());
            self.deadline.set(outer);
            let error = match ran {
                Ok((output, handle)) => return self.succeed(context, &step.id, output, handle),
                Err(error) => error,
            };
            if started.attempt <= retry.times && retriable(&error) && !self.exceeded() {
                self.close(StepOutcome::Failed { error, handle: None });
                self.call(Call::TimeSleep { seconds: wait }).map_err(|failure| raise(failure, context.call_position()))?;
                wait *= retry.backoff;
                started.attempt += 1;
                started.started_at = now();
                continue;
            }
            return self.give_up(context, &step.id, error, &settings.on_error);
        }
    }

    /// A step of a script's own: runs the function and puts it on record.
    pub(in crate::script) fn own_step(
        self: &Rc<Self>,
        context: &NativeCallContext,
        id: &ImmutableString,
        work: &FnPtr,
    ) -> Returned<Dynamic> {
        let started = self.begin(id, None, StepInput::None);
        self.open.borrow_mut().push(Open { started, announced: false });
        // What a script's own step gives is the script's to use.
        let last = self.last.borrow().clone();
        match work.call_within_context::<Dynamic>(context, ()) {
            Ok(output) => {
                let done = self.succeed(context, id, output.clone(), None).map(|_| output);
                *self.last.borrow_mut() = last;
                done
            }
            Err(raised) => {
                let error = error::of_running(&raised, &self.program);
                self.close(StepOutcome::Failed { error, handle: None });
                Err(raised)
            }
        }
    }

    /// A loop: works out its items; the rounds come with [`Each`].
    pub(in crate::script) fn each(self: &Rc<Self>, context: &NativeCallContext, step: GraphStep) -> Returned<Each> {
        let settings = self.settings(&step, context)?;
        let (input, shown) = self.input(&step.from, context)?;
        let started = self.begin(&step.id, Some(&step.node_type), shown);
        let nothing = Each { run: Rc::clone(self), id: step.id.clone(), items: rhai::Array::new(), started: None };
        if settings.disabled {
            self.finish(started, StepOutcome::Skipped);
            self.keep(&step.id, input, Some(DONE_HANDLE.into()));
            return Ok(nothing);
        }
        self.open.borrow_mut().push(Open { started: started.clone(), announced: true });
        self.link.record(Record::StepStarted(started.clone()));
        let ran = self.run_node(context, &step, input).and_then(|(items, _)| {
            items.into_array().map_err(|kind| failure_at(&format!("the items of a loop are a list, not {kind}"), &self.program, context))
        });
        match ran {
            Ok(items) => {
                self.open.borrow_mut().pop();
                Ok(Each { items, started: Some(started), ..nothing })
            }
            Err(error) => self.give_up(context, &step.id, error, &settings.on_error).map(|_| nothing),
        }
    }

    /// What a round of the loop `id` comes to: the output of the named nodes that ran in it.
    pub(in crate::script) fn collect(&self, id: &str, sinks: &[ImmutableString]) {
        let nodes = self.nodes.borrow();
        let ran: Vec<_> = sinks.iter().filter_map(|sink| Some((sink, nodes.get(sink)?))).collect();
        let value = match ran.as_slice() {
            [] => Dynamic::UNIT,
            [(_, node)] if sinks.len() == 1 => node.output.clone(),
            several => several.iter().map(|(id, node)| (id.as_str().into(), node.output.clone())).collect::<Map>().into(),
        };
        drop(nodes);
        if let Some(frame) = self.loops.borrow_mut().iter_mut().rev().find(|frame| frame.id == id) {
            frame.collected = value;
        }
    }

    fn settings(&self, step: &GraphStep, context: &NativeCallContext) -> Returned<StepSettings> {
        if step.settings.is_empty() {
            return Ok(StepSettings::default());
        }
        crate::script::values::read(step.settings.clone()).map_err(|failure| raise(failure, context.call_position()))
    }

    fn run_node(
        self: &Rc<Self>,
        context: &NativeCallContext,
        step: &GraphStep,
        input: Dynamic,
    ) -> Result<(Dynamic, Option<ImmutableString>), ScriptError> {
        let in_script = |e: &rhai::EvalAltResult| error::of_running(e, &self.program);
        let code = self.node_types.get(step.node_type.as_str()).cloned();
        let code = code.ok_or_else(|| failure_at(&format!("there is no node type {:?}", step.node_type), &self.program, context))?;
        let worked_out = step.config.is_fnptr();
        let config = match step.config.clone().try_cast_result::<FnPtr>() {
            Ok(function) => function.call_within_context::<Dynamic>(context, (input.clone(),)).map_err(|e| in_script(&e))?,
            Err(map) => map,
        };
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
    fn input(&self, from: &Dynamic, context: &NativeCallContext) -> Returned<(Dynamic, StepInput)> {
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

    fn begin(&self, id: &ImmutableString, node_type: Option<&ImmutableString>, input: StepInput) -> StepStarted {
        StepStarted {
            step_id: self.step_id(id),
            node_id: node_type.map(|_| id.to_string()),
            node_type: node_type.map(ToString::to_string),
            attempt: 1,
            input,
            started_at: now(),
        }
    }

    /// The id with the rounds of the loops around it: `log[2]`, `cell[0][4]`.
    fn step_id(&self, id: &str) -> String {
        let mut step_id = id.to_owned();
        for frame in self.loops.borrow().iter() {
            step_id.push_str(&format!("[{}]", frame.index));
        }
        step_id
    }

    fn succeed(
        &self,
        context: &NativeCallContext,
        id: &ImmutableString,
        output: Dynamic,
        handle: Option<ImmutableString>,
    ) -> Returned<Dynamic> {
        let json = match to_json(&output) {
            Ok(json) => json,
            Err(failure) => {
                let error = ScriptError::from(failure.clone());
                self.close(StepOutcome::Failed { error, handle: None });
                return Err(raise(failure, context.call_position()));
            }
        };
        self.close(StepOutcome::Succeeded { output: json, handle: handle.as_ref().map(ToString::to_string) });
        self.keep(id, output, handle);
        Ok(Dynamic::UNIT)
    }

    /// A step failed for good: the run stops, or goes on as the node's settings say.
    fn give_up(&self, context: &NativeCallContext, id: &ImmutableString, mut error: ScriptError, on_error: &OnError) -> Returned<Dynamic> {
        error.node_id = Some(id.to_string());
        let handle = match on_error {
            OnError::Route if !self.exceeded() => Some(ImmutableString::from(ERROR_HANDLE)),
            _ => None,
        };
        let raised = raised(&error, context.call_position());
        let output = rhai::serde::to_dynamic(serde_json::json!({ "error": error })).unwrap_or(Dynamic::UNIT);
        self.close(StepOutcome::Failed { error, handle: handle.as_ref().map(ToString::to_string) });
        if *on_error == OnError::Stop || self.exceeded() {
            return Err(raised);
        }
        self.keep(id, output, handle);
        Ok(Dynamic::UNIT)
    }

    fn close(&self, outcome: StepOutcome) {
        if let Some(open) = self.open.borrow_mut().pop() {
            self.finish(open.started, outcome);
        }
    }

    fn finish(&self, step: StepStarted, outcome: StepOutcome) {
        self.link.record(Record::StepFinished(StepFinished { step, outcome, finished_at: now() }));
    }

    fn keep(&self, id: &ImmutableString, output: Dynamic, handle: Option<ImmutableString>) {
        let step_id = self.step_id(id);
        self.nodes.borrow_mut().insert(id.clone(), Node { step_id, output, handle });
        *self.last.borrow_mut() = Some(id.clone());
        if let Some(frame) = self.loops.borrow_mut().last_mut() {
            frame.ran.push(id.clone());
        }
    }
}

/// The earlier of a step's own end and the one around it.
fn deadline(seconds: Option<f64>, outer: Option<Instant>) -> Option<Instant> {
    let own = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).and_then(|wait| Instant::now().checked_add(wait));
    own.into_iter().chain(outer).min()
}

fn failure_at(message: &str, file: &str, context: &NativeCallContext) -> ScriptError {
    let position = context.call_position();
    error::of_running(&rhai::EvalAltResult::ErrorRuntime(message.to_owned().into(), position), file)
}

/// A step's error as the script can catch it; what is not caught keeps the step's own place.
fn raised(error: &ScriptError, position: Position) -> Box<rhai::EvalAltResult> {
    let map = rhai::serde::to_dynamic(error).unwrap_or_else(|_| error.message.clone().into());
    Box::new(rhai::EvalAltResult::ErrorRuntime(map, position))
}

fn clip(message: &str) -> String {
    let end = (0..=MAX_LOG_BYTES.min(message.len())).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
    message.get(..end).unwrap_or_default().to_owned()
}

/// Microseconds since 1970.
pub(in crate::script) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

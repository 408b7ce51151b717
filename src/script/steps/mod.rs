//! A run as its script sees it: steps that are put on record, what each put out, the loops it is in.
//!
//! One step without a call to the outside costs one record and no round trip; a step that asks the server for something is announced
//! first, so that a crash finds it under way.

mod expect;
mod graph;
mod loops;
mod own;
mod past;
mod settings;
mod waits;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rhai::{Dynamic, EvalAltResult, ImmutableString, Map, NativeCallContext, Position};

use crate::error::{Failure, Kind};
use crate::host::protocol::{
    Answer, Asked, Call, Json, Mode, Past, Record, Reply, ScriptError, StepFinished, StepInput, StepOutcome, StepStarted,
};
use crate::script::engine::{Loaded, NodeCode};
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
/// The loop whose rounds are branches that run side by side.
const PARALLEL: &str = "parallel";

pub(in crate::script) use loops::Each;
pub(in crate::script) use waits::wait;

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
    /// What it did before, where it goes on.
    past: Past,
    mode: Mode,
    /// It does rounds of this loop, and nothing else.
    round_of: Option<String>,
    /// A step of a script's own may run again after a break.
    resumable: bool,
    /// It is to unwind, and why.
    ending: Cell<Option<Ending>>,
    /// What was called or asked outside steps could be otherwise another time: the run cannot be let go any more.
    touched: Cell<bool>,
    /// It had an effect outside steps.
    loose: Cell<bool>,
    /// Waits outside steps so far, and lines of log.
    loose_waits: Cell<u32>,
    loose_lines: Cell<u32>,
    nodes: RefCell<HashMap<ImmutableString, Node>>,
    starts: RefCell<Vec<String>>,
    loops: RefCell<Vec<Loop>>,
    open: RefCell<Vec<Open>>,
    operations: Cell<u64>,
    max_operations: u64,
    /// When the step that is under way must be over, where its settings say so.
    /// By the run's own clock.
    deadline: Cell<Option<Instant>>,
    /// For how long a person has held the run up: then its clock stood still.
    stood: Cell<Duration>,
    log_lines: Cell<usize>,
    /// The desktop that is meant; none is the default one.
    target: RefCell<Option<ImmutableString>>,
    /// The node that ran last, outside of loops or as one.
    last: RefCell<Option<ImmutableString>>,
    /// What the webhook's caller was answered, where it was.
    answered: RefCell<Option<Json>>,
}

/// Why a run unwinds without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::script) enum Ending {
    /// It is let go until what it waits for has come.
    Rest,
    /// It came to the node at which it is to end.
    Until,
    /// There are no more rounds for this runner.
    RoundsOver,
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
    /// Its rounds are branches that run side by side.
    by_branch: bool,
}

/// A step that began and is not over.
struct Open {
    started: StepStarted,
    announced: bool,
    /// Something in it could be otherwise another time: the run cannot be let go within it.
    touched: bool,
    /// Waits so far.
    waits: u32,
    /// Attempts before it that failed.
    failed: u32,
    /// Whether what was expected of it is so.
    expectation: Option<Json>,
    /// The desktop that was meant before it, and is again after it.
    target: Option<ImmutableString>,
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
        program: &Loaded,
        link: Rc<Link>,
    ) -> Self {
        Self {
            id: start.run_id.clone(),
            started_at: start.started_at.clone(),
            start_node: start.start_node.clone(),
            begins_with,
            program: program.name.clone(),
            node_types: Rc::clone(&program.node_types),
            link,
            mode: start.mode.clone(),
            round_of: start.round_of.clone(),
            resumable: program.resumable,
            ending: Cell::new(None),
            touched: Cell::new(false),
            loose: Cell::new(false),
            loose_waits: Cell::new(0),
            loose_lines: Cell::new(0),
            nodes: RefCell::default(),
            starts: RefCell::default(),
            loops: RefCell::default(),
            open: RefCell::default(),
            operations: Cell::new(0),
            max_operations: program.limits.operations,
            deadline: Cell::new(None),
            stood: Cell::new(Duration::ZERO),
            log_lines: Cell::new(0),
            target: RefCell::default(),
            last: RefCell::default(),
            answered: RefCell::new(start.past.answered.clone()),
            past: start.past.clone(),
        }
    }

    /// Means another desktop from here on: to the end of the step that is under way, else to that of the run. Gives the one that was meant
    /// so far.
    pub(in crate::script) fn turn_to(&self, target: Option<ImmutableString>) -> Option<ImmutableString> {
        self.target.replace(target)
    }

    /// Why the run unwinds without an error, if it does.
    pub(in crate::script) fn ending(&self) -> Option<Ending> {
        self.ending.get()
    }

    /// Lets the run unwind; no script can catch it.
    fn end(&self, why: Ending, position: Position) -> Box<EvalAltResult> {
        self.ending.set(Some(why));
        ended(position)
    }

    /// What was asked could be otherwise another time: from here to the end of the step the run cannot be let go.
    pub(in crate::script) fn touch(&self) {
        match self.open.borrow_mut().last_mut() {
            Some(open) => open.touched = true,
            None => self.touched.set(true),
        }
    }

    /// Counts one operation of the engine, and says why it may not go on: too many of them (and from then on always, whatever the
    /// script does about it), or a step out of time.
    pub(in crate::script) fn stop_reason(&self) -> Option<&'static str> {
        let operations = self.operations.get() + 1;
        self.operations.set(operations);
        if operations.is_multiple_of(4096) {
            self.link.flush_if_due();
            if self.deadline.get().is_some_and(|deadline| deadline <= self.clock()) {
                return Some(error::TIMEOUT_TOKEN);
            }
        }
        if self.ending.get().is_some() {
            return Some(error::ENDING_TOKEN);
        }
        (operations > self.max_operations).then_some(error::OPERATIONS_TOKEN)
    }

    /// Whether the operation limit was hit, even if the script went on to return something.
    pub(in crate::script) fn exceeded(&self) -> bool {
        self.operations.get() > self.max_operations
    }

    /// Asks the server to do something. Steps that are under way are announced first.
    pub(in crate::script) fn call(&self, call: Call) -> Result<Json, Failure> {
        // A secret is asked for again where the run goes on: it may be another one by then, and should be.
        if !matches!(
            call,
            Call::SecretGet { .. } | Call::DesktopUse { .. } | Call::FlowPause(_) | Call::FlowRounds { .. } | Call::FlowNextRound { .. }
        ) {
            self.touch();
        }
        self.send(call)
    }

    fn send(&self, call: Call) -> Result<Json, Failure> {
        match self.ask(call) {
            Reply::Value(value) => Ok(value),
            Reply::Failed(failure) => Err(failure),
            Reply::Rest => Err(Failure::new(Kind::Internal, "the server let go of a run that does not wait")),
        }
    }

    fn ask(&self, call: Call) -> Reply {
        if self.ending.get().is_some() {
            return Reply::Failed(Failure::new(Kind::Cancelled, "the run ends here"));
        }
        let loose = call.has_effect() && self.open.borrow().is_empty();
        if loose && !self.loose.replace(true) {
            self.link.record(Record::Loose);
        }
        self.announce();
        let within = self.deadline.get().map(|deadline| deadline.saturating_duration_since(self.clock()).as_secs_f64());
        let target = self.target.borrow().as_ref().map(ToString::to_string);
        let (reply, stood) = self.link.call(Asked { call, within, target });
        self.stood.set(self.stood.get() + stood);
        reply
    }

    /// What time it is for the limits of steps.
    fn clock(&self) -> Instant {
        let now = Instant::now();
        now.checked_sub(self.stood.get()).unwrap_or(now)
    }

    /// Puts the steps that are under way on record, so that a crash finds them so.
    fn announce(&self) {
        for open in self.open.borrow_mut().iter_mut().filter(|open| !open.announced) {
            open.announced = true;
            self.link.record(Record::StepStarted(open.started.clone()));
        }
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
        let loose = self.open.borrow().is_empty();
        if loose {
            let lines = self.loose_lines.get() + 1;
            self.loose_lines.set(lines);
            // It was written already, before the run was let go or broke off.
            if lines <= self.past.logged {
                return;
            }
        }
        let lines = self.log_lines.get() + 1;
        self.log_lines.set(lines);
        let message = match lines {
            ..=MAX_LOG_LINES => clip(message),
            _ if lines == MAX_LOG_LINES + 1 => format!("this run wrote {MAX_LOG_LINES} lines of log; later ones are not kept"),
            _ => return,
        };
        self.link.record(Record::Log { level: level.to_owned(), message, at: now(), loose });
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

    fn begin(&self, id: &ImmutableString, node_type: Option<&ImmutableString>, input: StepInput) -> StepStarted {
        StepStarted {
            step_id: self.step_id(id),
            node_id: node_type.map(|_| id.to_string()),
            node_type: node_type.map(ToString::to_string),
            attempt: 1,
            input,
            started_at: now(),
            again: false,
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

    fn close(&self, outcome: StepOutcome) {
        let expectation = self.open.borrow_mut().last_mut().and_then(|open| open.expectation.take());
        if let Some(step) = self.leave() {
            self.link.record(Record::StepFinished(StepFinished { step, outcome, expectation, finished_at: now() }));
        }
    }

    /// A step begins, after so many attempts that failed.
    fn enter(&self, started: StepStarted, announced: bool, failed: u32) {
        let target = self.target.borrow().clone();
        self.open.borrow_mut().push(Open { started, announced, touched: false, waits: 0, failed, expectation: None, target });
    }

    /// The step that began last is over. What it meant by the desktop counts no longer: a run that goes on does not do it again.
    fn leave(&self) -> Option<StepStarted> {
        let Open { started, target, .. } = self.open.borrow_mut().pop()?;
        self.turn_to(target);
        Some(started)
    }

    fn finish(&self, step: StepStarted, outcome: StepOutcome) {
        self.link.record(Record::StepFinished(StepFinished { step, outcome, expectation: None, finished_at: now() }));
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

/// What unwinds a run that is not over, or over before its script is.
fn ended(position: Position) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorTerminated(error::ENDING_TOKEN.into(), position))
}

/// The earlier of a step's own end and the one around it.
fn deadline(seconds: Option<f64>, clock: Instant, began_at: i64, outer: Option<Instant>) -> Option<Instant> {
    let spent = Duration::from_micros(now().saturating_sub(began_at).max(0).unsigned_abs());
    let left = seconds.and_then(|s| Duration::try_from_secs_f64(s).ok()).map(|whole| whole.saturating_sub(spent));
    let own = left.and_then(|left| clock.checked_add(left));
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

//! The runner: a child process that holds the engine and nothing else.
//!
//! Its standard input is one end of a socket to the server; it has no other files, an empty environment, a memory limit, and dies with
//! its parent. It serves one program, any number of times, each time with a fresh scope; then the server lets go of the socket.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::rc::Rc;

use rhai::{Dynamic, EvalAltResult};

use super::bind::{Nodes, RunInfo};
use super::engine::{Loaded, Stdlib, constants};
use super::error;
use super::link::Link;
use super::steps::{Ending, Run, Tag};
use super::values::from_json;
use crate::error::Kind;
use crate::host::protocol::{FromRunner, Json, Limits, ScriptError, Start, ToRunner};

/// The stack of the thread that runs scripts: deep values are dropped recursively, and that must not be what ends a process.
const STACK: usize = 256 << 20;

/// What `trae runner` does, until the server lets go.
pub fn main() -> ExitCode {
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::from(70) };
    let link = UnixStream::from(socket);
    let thread = std::thread::Builder::new().name("script".to_owned()).stack_size(STACK).spawn(move || serve(link));
    match thread.map(std::thread::JoinHandle::join) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::from(70),
    }
}

fn serve(stream: UnixStream) {
    let link = Rc::new(Link::new(stream));
    let stdlib = Stdlib::load();
    confine();
    let mut loaded: Option<Loaded> = None;
    while let Some(message) = link.receive() {
        match message {
            ToRunner::Load(program) => {
                limit_memory(&program.limits);
                let answer = match Loaded::compile(program, &stdlib) {
                    Ok(program) => {
                        loaded = Some(program);
                        Ok(())
                    }
                    Err(errors) => Err(errors.into_iter().next().unwrap_or_else(unknown)),
                };
                link.send(&FromRunner::Loaded(answer));
            }
            ToRunner::Check(program) => {
                limit_memory(&program.limits);
                link.send(&FromRunner::Checked(Loaded::compile(program, &stdlib).err().unwrap_or_default()));
            }
            ToRunner::Start(start) => {
                let result = match &mut loaded {
                    Some(program) => run(program, &start, &link),
                    None => Some(Err(unknown())),
                };
                link.send(&result.map_or(FromRunner::Resting, FromRunner::Finished));
            }
            ToRunner::Reply(_) => {}
        }
    }
}

/// Runs the program once, to its end, or until it is let go: then there is no result.
fn run(program: &mut Loaded, start: &Start, link: &Rc<Link>) -> Option<Result<Json, ScriptError>> {
    let value = |json: &Json| from_json(json).map_err(ScriptError::from);
    let (parameters, input) = match (value(&start.parameters), value(&start.input)) {
        (Ok(parameters), Ok(input)) => (parameters, input),
        (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
    };
    let begins_with = if input.is_unit() { (parameters.clone(), start.parameters.clone()) } else { (input.clone(), start.input.clone()) };
    let run = Rc::new(Run::new(start, begins_with, program, Rc::clone(link)));
    let (counted, printing, debugging) = (Rc::clone(&run), Rc::clone(&run), Rc::clone(&run));
    program.engine.set_default_tag(Dynamic::from(Tag(Rc::clone(&run))));
    program.engine.on_progress(move |_| counted.stop_reason().map(Dynamic::from));
    program.engine.on_print(move |text| printing.log("info", text));
    program.engine.on_debug(move |text, _, _| debugging.log("debug", text));
    let nodes = Dynamic::from(Nodes(Rc::clone(&run)));
    let mut scope = constants(parameters, input, nodes, Dynamic::from(RunInfo(Rc::clone(&run))));
    // A panic in a native function is a defect, but one of the run's, not of the runner's next run.
    let result = catch_unwind(AssertUnwindSafe(|| program.engine.eval_ast_with_scope::<Dynamic>(&mut scope, &program.ast)));
    match run.ending() {
        Some(Ending::Rest) => return None,
        Some(Ending::Until | Ending::RoundsOver) => return Some(run.result(&Dynamic::UNIT).map_err(ScriptError::from)),
        None => {}
    }
    let result = match result {
        Ok(Ok(value)) => run.result(&value).map_err(ScriptError::from),
        Ok(Err(raised)) => Err(error::of_running(&raised, &program.name)),
        Err(_) => Err(ScriptError { code: Kind::Internal, message: "a host function panicked".to_owned(), ..unknown() }),
    };
    if run.exceeded() {
        // Sticky: a script that caught the limit, or a `sort` that swallowed it, does not get away with a result.
        let raised = EvalAltResult::ErrorTooManyOperations(rhai::Position::NONE);
        let place = result.err();
        let mut limit = error::of_running(&raised, &program.name);
        if let Some(place) = place.filter(|place| place.code == Kind::LimitOps) {
            limit = place;
        }
        return Some(Err(limit));
    }
    Some(result)
}

/// Gives up what the runner needs no more. The standard library is in memory, the socket is open; nothing else is ever needed.
fn confine() {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        let files = Rlimit { current: Some(16), maximum: Some(16) };
        // Each only narrows what a script could do with a hole in the engine; where the kernel refuses one, the others still hold.
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        let _ = rustix::thread::set_no_new_privs(true);
        let _ = setrlimit(Resource::Core, none);
        let _ = setrlimit(Resource::Fsize, none);
        let _ = setrlimit(Resource::Nofile, files);
    }
}

/// Caps the address space at what the runner has now and what the program may use.
fn limit_memory(limits: &Limits) {
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let pages: Option<u64> = std::fs::read_to_string("/proc/self/statm").ok().and_then(|text| text.split(' ').next()?.parse().ok());
        let now = pages.map(|pages| pages.saturating_mul(rustix::param::page_size() as u64));
        let cap = now.map(|now| now.saturating_add(limits.memory));
        let _ = setrlimit(Resource::As, Rlimit { current: cap, maximum: cap });
    }
}

fn unknown() -> ScriptError {
    ScriptError {
        code: Kind::Internal,
        message: "the runner was asked to run before it had a program".to_owned(),
        node_id: None,
        file: None,
        line: None,
        column: None,
        details: None,
    }
}

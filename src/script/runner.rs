//! The runner: a process that holds the engine and nothing else.
//!
//! It begins as a copy of the zygote. Its standard input is one end of a socket to the server; it has no other files, an empty environment,
//! a memory limit, and dies with its parent. Before it serves it gives up what it needs no more, for good: privileges, paths, system calls ([`crate::sandbox`]). It
//! serves one program, any number of times, each time with a fresh scope; then the server lets go of the socket.

use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

use rhai::{Dynamic, EvalAltResult};

use super::bind::{Nodes, RunInfo, Secrets};
use super::engine::{Loaded, Stdlib, constants};
use super::error;
use super::link::Link;
use super::steps::{Ending, Run, Tag};
use super::values::from_json;
use super::zygote;
use crate::error::Kind;
use crate::host::protocol::{FromRunner, Json, Limits, ScriptError, Start, ToRunner};
use crate::sandbox::{self, Sandbox};

/// The stack of the thread that runs scripts: deep values are dropped recursively, and that must not be what ends a process.
const STACK: usize = 256 << 20;

/// What `trae runner` does: a zygote until it is asked for a runner, and in each of these, serving until the server lets go.
pub fn main() -> ExitCode {
    // Beside the three that it is meant to have.
    sandbox::close_files(3);
    #[cfg(all(target_os = "linux", debug_assertions))]
    if let Some(layers) = std::env::args().nth(3).filter(|_| std::env::args().nth(2).is_some_and(|word| word == "try")) {
        return trial::main(&layers);
    }
    let stdlib = Stdlib::load();
    match zygote::serve() {
        zygote::Role::Runner => {}
        zygote::Role::Over => return ExitCode::SUCCESS,
    }
    let Ok(socket) = std::io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::from(70) };
    let link = UnixStream::from(socket);
    let size = Size::open();
    sandbox::drop_privileges();
    let landlock = sandbox::close_paths(&needed());
    let serving = move || serve(link, &stdlib, &size, landlock);
    match std::thread::Builder::new().name("script".to_owned()).stack_size(STACK).spawn(serving).map(std::thread::JoinHandle::join) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        _ => ExitCode::from(70),
    }
}

/// What it reads once it has given up its paths: nothing, but that a debug build has the standard library on the disk.
fn needed() -> Vec<PathBuf> {
    if cfg!(debug_assertions) { vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/stdlib"))] } else { Vec::new() }
}

fn serve(stream: UnixStream, stdlib: &Stdlib, size: &Size, landlock: Option<i32>) {
    let link = Rc::new(Link::new(stream));
    sandbox::lower_limits();
    let sandbox = Sandbox { landlock, seccomp: sandbox::close_calls() };
    let mut loaded: Option<Loaded> = None;
    while let Some(message) = link.receive() {
        match message {
            ToRunner::Load(program) => {
                size.limit(&program.limits);
                let answer = match Loaded::compile(program, stdlib) {
                    Ok(program) => {
                        loaded = Some(program);
                        Ok(sandbox)
                    }
                    Err(errors) => Err(errors.into_iter().next().unwrap_or_else(unknown)),
                };
                link.send(&FromRunner::Loaded(answer));
            }
            ToRunner::Check(program) => {
                size.limit(&program.limits);
                link.send(&FromRunner::Checked(Loaded::compile(program, stdlib).err().unwrap_or_default()));
            }
            ToRunner::Start(start) => {
                let result = match &mut loaded {
                    Some(program) => run(program, &start, &link),
                    None => Some(Err(unknown())),
                };
                link.send(&result.map_or(FromRunner::Resting, FromRunner::Finished));
            }
            ToRunner::Reply { .. } => {}
        }
    }
}

/// What a panic within the language comes to. It asks for memory that no machine has without looking at its own limits first.
fn panicked(panic: &(dyn std::any::Any + Send)) -> ScriptError {
    let said = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    if said.is_some_and(|said| said.contains("capacity overflow")) {
        let message = "the script asks for more memory than there is: make the list or text shorter".to_owned();
        return ScriptError { code: Kind::LimitMemory, message, ..unknown() };
    }
    ScriptError { code: Kind::Internal, message: "a host function panicked".to_owned(), ..unknown() }
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
    let (info, secrets) = (Dynamic::from(RunInfo(Rc::clone(&run))), Dynamic::from(Secrets));
    let mut scope = constants([parameters, input, nodes, info, secrets]);
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
        Err(panic) => Err(panicked(&*panic)),
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

/// How much memory this process has, for which nothing can be opened or asked later.
struct Size {
    #[cfg(target_os = "linux")]
    pages: Option<std::fs::File>,
    #[cfg(target_os = "linux")]
    page: u64,
}

#[cfg(target_os = "linux")]
impl Size {
    fn open() -> Self {
        Self { pages: std::fs::File::open("/proc/self/statm").ok(), page: rustix::param::page_size() as u64 }
    }

    /// Caps the address space at what the runner has now and what the program may use.
    fn limit(&self, limits: &Limits) {
        use std::os::unix::fs::FileExt;

        use rustix::process::{Resource, Rlimit, setrlimit};
        let mut text = [0; 128];
        let read = self.pages.as_ref().and_then(|file| file.read_at(&mut text, 0).ok());
        let text = read.and_then(|length| std::str::from_utf8(text.get(..length)?).ok());
        let pages: Option<u64> = text.and_then(|text| text.split(' ').next()?.parse().ok());
        let cap = pages.map(|pages| pages.saturating_mul(self.page).saturating_add(limits.memory));
        let _ = setrlimit(Resource::As, Rlimit { current: cap, maximum: cap });
    }
}

#[cfg(not(target_os = "linux"))]
impl Size {
    fn open() -> Self {
        Self {}
    }

    fn limit(&self, _: &Limits) {}
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

/// For whoever wants to see that it holds: see [`crate::sandbox::attempts`].
#[cfg(all(target_os = "linux", debug_assertions))]
mod trial {
    use std::io::Write;
    use std::process::ExitCode;

    use super::{STACK, needed};
    use crate::sandbox::{self, attempts};

    pub(super) fn main(layers: &str) -> ExitCode {
        let (paths, calls) = (layers != "seccomp", layers != "landlock");
        let server = rustix::process::getppid();
        sandbox::drop_privileges();
        if paths && sandbox::close_paths(&needed()).is_none() {
            return ExitCode::from(69);
        }
        let trying = move || {
            if calls {
                sandbox::lower_limits();
                if !sandbox::close_calls() {
                    return false;
                }
            }
            say(if calls { attempts::on_calls(server) } else { attempts::on_paths(server) })
        };
        let tried = std::thread::Builder::new().stack_size(STACK).spawn(trying).map(std::thread::JoinHandle::join);
        // The thread that only waits is held as well.
        let here = if calls { attempts::on_calls(server) } else { attempts::on_paths(server) };
        if matches!(tried, Ok(Ok(true))) && say(here) { ExitCode::SUCCESS } else { ExitCode::from(69) }
    }

    fn say(attempts: attempts::Attempts) -> bool {
        serde_json::to_string(&attempts).is_ok_and(|line| writeln!(std::io::stdout(), "{line}").is_ok())
    }
}

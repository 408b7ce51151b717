//! `shell::` — commands, and sessions that scripts and people share.

use rhai::plugin::*;
use rhai::{Array, Map};

use super::session::Session;
use crate::error::{Failure, Kind};
use crate::host::protocol::Call;
use crate::script::steps::call;
use crate::script::steps::call_for;
use crate::script::values::{Returned, raise, read};
use crate::shell::{CommandOptions, OpenSession};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// Runs a command line in bash and waits for it, at most 30 seconds: a map of `exit_code`, `output`, `error`, `execution_time`,
    /// `timed_out`, `truncated`.
    ///
    /// A command that fails raises nothing: look at `exit_code`. Needs `shell = ["bash"]`.
    ///
    /// ```rhai
    /// assert(shell::run("echo hello").output == "hello\n");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn run(context: NativeCallContext, command: &str) -> Returned<Dynamic> {
        call(&context, Call::ShellRun { shell: "bash".to_owned(), command: command.to_owned(), options: CommandOptions::default() })
    }

    /// Runs a program with its arguments; no shell reads them, so nothing needs quoting.
    ///
    /// Needs the program's name in `shell = […]`.
    ///
    /// ```rhai
    /// assert(shell::run(["echo", "$(whoami); ls"]).output == "$(whoami); ls\n");
    /// ```
    #[rhai_fn(name = "run", return_raw)]
    pub fn run_argv(context: NativeCallContext, argv: Array) -> Returned<Dynamic> {
        let argv = argv.into_iter().map(|argument| argument.to_string()).collect();
        call(&context, Call::ShellArgv { argv, options: CommandOptions::default() })
    }

    /// Runs as described: `command` and `shell` (`"bash"`), or `argv`; `timeout` (seconds, up to 300), `working_directory`, `env`
    /// (a map), `stdin`; or `session_id`, a shell session in whose shell it runs, with everything it printed in `output`.
    ///
    /// One that runs out of time is ended with everything it started and has `exit_code` 124.
    ///
    /// ```rhai
    /// let done = shell::run(#{ command: "sleep 9", timeout: 0.2 });
    /// assert(done.timed_out && done.exit_code == 124);
    /// ```
    #[rhai_fn(name = "run", return_raw)]
    pub fn run_as(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        super::run_with(&context, options)
    }

    /// Opens a bash in a terminal of its own, 80 × 24: a `Session`, in which programs can be used as a person uses them.
    ///
    /// It ends with the run. What runs in it may touch what the run's commands may. Needs `shell = ["bash"]`.
    ///
    /// ```rhai
    /// let session = shell::open();
    /// session.run("cd /tmp");
    /// assert(session.run("pwd").output == "/tmp\n");
    /// session.close();
    /// ```
    #[rhai_fn(return_raw)]
    pub fn open(context: NativeCallContext) -> Returned<Session> {
        call_for(&context, Call::ShellOpen(OpenSession::default())).map(Session::new)
    }

    /// Opens a session as described: `shell` (`"bash"`, `"sh"`, `"zsh"`, `"fish"`, `"powershell"`, `"cmd"`), `name`, `working_directory`,
    /// `env` (a map), `cols`, `rows` (1–1000), `record` (whether it is recorded from the beginning), `keep` (whether it stays open when the
    /// run ends).
    ///
    /// Raises `SERVICE_UNAVAILABLE` where the shell is not on this machine, `RATE_LIMITED` where too many sessions are open. Needs the
    /// shell's name in `shell = […]`.
    ///
    /// ```rhai
    /// let session = shell::open(#{ shell: "bash", cols: 100, rows: 30, env: #{ GREETING: "hello" } });
    /// assert(session.run("echo $GREETING; stty size").output == "hello\n30 100\n");
    /// ```
    #[rhai_fn(name = "open", return_raw)]
    pub fn open_as(context: NativeCallContext, options: Map) -> Returned<Session> {
        let open: OpenSession = read(options).map_err(|failure| raise(failure, context.call_position()))?;
        call_for(&context, Call::ShellOpen(open)).map(Session::new)
    }

    /// A session that is open already, by its id. What it printed before does not count for `wait_for`.
    ///
    /// Raises `NOT_FOUND` where there is none, `CONFLICT` where it has ended. Needs the shell's name in `shell = […]`.
    ///
    /// ```rhai
    /// let mine = shell::open();
    /// let same = shell::session(mine.id);
    /// mine.run("MINE=7");
    /// assert(same.run("echo $MINE").output == "7\n");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn session(context: NativeCallContext, id: &str) -> Returned<Session> {
        call_for(&context, Call::ShellSession { session_id: id.to_owned() }).map(Session::new)
    }
}

fn run_with(context: &NativeCallContext, mut options: Map) -> Returned<Dynamic> {
    let refused = |failure| raise(failure, context.call_position());
    options.retain(|_, value| !value.is_unit());
    let text = |value: Option<Dynamic>| value.map(|value| value.to_string());
    let (command, argv) = (text(options.remove("command")), options.remove("argv"));
    let shell = text(options.remove("shell")).unwrap_or_else(|| "bash".to_owned());
    let options: CommandOptions = read(options).map_err(refused)?;
    match (command, argv.and_then(|argv| argv.into_array().ok())) {
        (Some(command), None) => call(context, Call::ShellRun { shell, command, options }),
        (None, Some(argv)) => call(context, Call::ShellArgv { argv: argv.into_iter().map(|part| part.to_string()).collect(), options }),
        _ => Err(refused(Failure::new(Kind::ValidationError, "give either `command`, a text, or `argv`, a list"))),
    }
}

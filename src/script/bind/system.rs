//! `system::` — the machine and its processes.

use rhai::plugin::*;

use crate::error::{Failure, Kind};
use crate::host::protocol::Call;
use crate::script::steps::call;
use crate::script::values::{Returned, raise};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// How busy the machine is: `cpu_percent`, `memory_percent`, `memory_used`, `memory_total` (bytes), `cores`, `host_name`,
    /// `operating_system`.
    ///
    /// Needs `process = true`.
    ///
    /// ```rhai
    /// assert(system::load().cores > 0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn load(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::SystemLoad)
    }

    /// The processes: a list of maps with `pid`, `name`, `cpu_percent` (of one core), `memory_percent`, `status`, `ppid`, `start_time`
    /// (Unix seconds), `user`.
    ///
    /// Needs `process = true`.
    ///
    /// ```rhai
    /// assert(system::processes().some(|p| p.pid == 1));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn processes(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::SystemProcesses)
    }

    /// Asks a process to end.
    ///
    /// Raises `NOT_FOUND` where there is none, `PERMISSION_DENIED` for TRAE itself, its parents and runners, and pid 1. Needs `process = true`.
    ///
    /// ```rhai
    /// let pid = parse_int(shell::run("sleep 60 >/dev/null 2>&1 & echo $!").output);
    /// system::kill(pid);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn kill(context: NativeCallContext, pid: i64) -> Returned<Dynamic> {
        let Ok(pid) = u32::try_from(pid) else {
            return Err(raise(Failure::new(Kind::ValidationError, format!("{pid} is no process id")), context.call_position()));
        };
        call(&context, Call::SystemKill { pid, force: false, tree: false })
    }

    /// Ends a process at once, with all that it started and all that these did.
    ///
    /// Raises as `system::kill` does; where one of them is left alone, none is ended. Needs `process = true`.
    ///
    /// ```rhai
    /// let pid = parse_int(shell::run("(sleep 60 & sleep 60) >/dev/null 2>&1 & echo $!").output);
    /// system::kill_tree(pid);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn kill_tree(context: NativeCallContext, pid: i64) -> Returned<Dynamic> {
        let Ok(pid) = u32::try_from(pid) else {
            return Err(raise(Failure::new(Kind::ValidationError, format!("{pid} is no process id")), context.call_position()));
        };
        call(&context, Call::SystemKill { pid, force: true, tree: true })
    }

    /// An environment variable of the server, or `()` where it is not set.
    ///
    /// Needs its name in `env = […]`.
    ///
    /// ```rhai
    /// assert(system::env("PATH") != ());
    /// ```
    #[rhai_fn(return_raw)]
    pub fn env(context: NativeCallContext, name: &str) -> Returned<Dynamic> {
        call(&context, Call::SystemEnv { name: name.to_owned() })
    }
}

//! `log::` — lines in the run's log, 4 KiB each, 10,000 a run.

use rhai::plugin::*;

use crate::error::{Failure, Kind};
use crate::script::steps::run_of;
use crate::script::values::{Returned, raise};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// A line of a level: `"debug"`, `"info"`, `"warn"` or `"error"`.
    ///
    /// Raises `VALIDATION_ERROR` for any other level.
    ///
    /// ```rhai
    /// log::write("debug", "three candidates");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn write(context: NativeCallContext, level: &str, message: Dynamic) -> Returned<()> {
        if !["debug", "info", "warn", "error"].contains(&level) {
            let failure =
                Failure::new(Kind::ValidationError, format!("{level:?} is no level: use \"debug\", \"info\", \"warn\" or \"error\""));
            return Err(raise(failure, context.call_position()));
        }
        super::line(&context, level, &message)
    }

    /// A line that tells how the run goes.
    ///
    /// ```rhai
    /// log::info("order 4711 entered");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn info(context: NativeCallContext, message: Dynamic) -> Returned<()> {
        super::line(&context, "info", &message)
    }

    /// A line about something that should be looked at.
    ///
    /// ```rhai
    /// log::warn("no answer, trying again");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn warn(context: NativeCallContext, message: Dynamic) -> Returned<()> {
        super::line(&context, "warn", &message)
    }

    /// A line about something that went wrong.
    ///
    /// ```rhai
    /// log::error("the order was refused");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn error(context: NativeCallContext, message: Dynamic) -> Returned<()> {
        super::line(&context, "error", &message)
    }
}

fn line(context: &NativeCallContext, level: &str, message: &Dynamic) -> Returned<()> {
    run_of(context)?.log(level, &super::flow::joined(std::slice::from_ref(message)));
    Ok(())
}

//! `time::` — clocks and waiting.

use rhai::plugin::*;

use crate::error::{Failure, Kind};
use crate::host::protocol::WaitFor;
use crate::script::steps::{now as microseconds, run_of, wait};
use crate::script::values::{Returned, raise};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// The time as RFC 3339, in UTC.
    ///
    /// ```rhai
    /// assert(time::now().ends_with("Z"));
    /// ```
    pub fn now(context: NativeCallContext) -> String {
        super::touch(&context);
        chrono::DateTime::from_timestamp_micros(microseconds()).unwrap_or_default().to_rfc3339_opts(chrono::SecondsFormat::Micros, true)
    }

    /// Seconds since 1970.
    ///
    /// ```rhai
    /// assert(time::unix() > 1_700_000_000.0);
    /// ```
    #[expect(clippy::cast_precision_loss, reason = "microseconds since 1970 fit a float's 53 bits until the year 2255")]
    pub fn unix(context: NativeCallContext) -> f64 {
        super::touch(&context);
        microseconds() as f64 / 1e6
    }

    /// Waits so many seconds, whole or not; a run that is cancelled stops waiting at once.
    ///
    /// A run that waits longer than a second is let go meanwhile, and outlives a restart of the server, unless it did or asked something
    /// since its last finished step: put what comes before a long wait into a `step`.
    ///
    /// Raises `VALIDATION_ERROR` for a number below zero or beyond any calendar.
    ///
    /// ```rhai
    /// let before = time::unix();
    /// time::sleep(0.05);
    /// assert(time::unix() - before >= 0.05);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn sleep(context: NativeCallContext, seconds: Dynamic) -> Returned<Dynamic> {
        match seconds.as_float().or_else(|_| seconds.as_int().map(super::whole)) {
            Ok(seconds) if seconds.is_finite() => wait(&context, WaitFor::Time { seconds }),
            Ok(_) => {
                let failure = Failure::new(
                    Kind::ValidationError,
                    "a wait is a number of seconds, and this is none: the calculation before it has no result",
                );
                Err(raise(failure, context.call_position()))
            }
            Err(kind) => {
                let failure = Failure::new(Kind::ValidationError, format!("a wait is a number of seconds, not {kind}"));
                Err(raise(failure, context.call_position()))
            }
        }
    }
}

/// The clock says something else another time.
fn touch(context: &NativeCallContext) {
    if let Ok(run) = run_of(context) {
        run.touch();
    }
}

#[expect(clippy::cast_precision_loss, reason = "a wait of more than 2^53 seconds is refused anyway")]
pub(super) fn whole(seconds: i64) -> f64 {
    seconds as f64
}

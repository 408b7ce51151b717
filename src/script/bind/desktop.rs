//! `desktop::` — which desktop is meant by what looks at one or acts on one.

use rhai::plugin::*;
use rhai::{FnPtr, ImmutableString};

use crate::host::protocol::Call;
use crate::script::steps::{call, run_of};
use crate::script::values::Returned;

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// Means another desktop from here on, for everything that looks at one or acts on one: to the end of the step, or outside of steps to
    /// the end of the run. `"default"` is the one that is meant without this.
    ///
    /// A run has mouse and keyboard of one desktop at a time: it lets those of the last one go when it uses the next one's. Raises
    /// `NOT_FOUND`, with the names there are, where there is no such desktop.
    ///
    /// ```rhai
    /// desktop::use("default");
    /// let caught = ();
    /// try { desktop::use("nowhere"); } catch (error) { caught = error; }
    /// assert(caught.code == "NOT_FOUND" && caught.details.targets.contains("default"));
    /// ```
    #[rhai_fn(name = "use", return_raw)]
    pub fn use_from_here(context: NativeCallContext, name: ImmutableString) -> Returned<Dynamic> {
        super::known(&context, &name)?;
        run_of(&context)?.turn_to(Some(name));
        Ok(Dynamic::UNIT)
    }

    /// Means another desktop as long as a function runs, and gives what that gives.
    ///
    /// ```rhai
    /// let names = desktop::use("default", || desktop::targets().map(|target| target.name));
    /// assert(names.contains("default"));
    /// ```
    #[rhai_fn(name = "use", return_raw)]
    pub fn use_within(context: NativeCallContext, name: ImmutableString, work: FnPtr) -> Returned<Dynamic> {
        super::known(&context, &name)?;
        let run = run_of(&context)?;
        let before = run.turn_to(Some(name));
        let done = work.call_within_context(&context, ());
        run.turn_to(before);
        done
    }

    /// The desktops there are, the default one first: a list of maps with `name`, `kind` (`"local"`, `"virtual"`, `"vnc"`), `is_default`,
    /// `alive`, `display`, `address`, `error`, `width`, `height`, `viewers`, `holder` and `waiting` (who has mouse and keyboard, and who waits
    /// for them).
    ///
    /// Needs `screen`, `input` or `clipboard`.
    ///
    /// ```rhai
    /// assert(desktop::targets()[0].name == "default");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn targets(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::DesktopTargets)
    }
}

fn known(context: &NativeCallContext, name: &ImmutableString) -> Returned<()> {
    call(context, Call::DesktopUse { name: name.to_string() }).map(|_| ())
}

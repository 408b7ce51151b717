//! `clipboard::` — text on the desktop's clipboard.

use rhai::plugin::*;

use crate::clipboard::ClipboardText;
use crate::host::protocol::Call;
use crate::script::steps::call;
use crate::script::values::Returned;

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// The text on the clipboard; empty where there is none.
    ///
    /// Needs `clipboard = true`.
    ///
    /// ```rhai
    /// clipboard::set("4711");
    /// assert(clipboard::get() == "4711");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(context: NativeCallContext) -> Returned<Dynamic> {
        call(&context, Call::ClipboardGet)
    }

    /// Puts a text on the clipboard.
    ///
    /// Needs `clipboard = true`.
    ///
    /// ```rhai
    /// clipboard::set("äöü €");
    /// assert(clipboard::get() == "äöü €");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn set(context: NativeCallContext, text: &str) -> Returned<Dynamic> {
        call(&context, Call::ClipboardSet(ClipboardText { text: text.to_owned() }))
    }
}

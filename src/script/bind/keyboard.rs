//! `keyboard::` — text and keys.

use rhai::plugin::*;
use rhai::{Array, Map};

use crate::host::protocol::Call;
use crate::input::{Hotkey, KeyHold, TypeText};
use crate::script::steps::{call, call_with};
use crate::script::values::Returned;

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// Types a text at full speed, whatever the keyboard layout; gives the number of characters.
    ///
    /// A text that would press keys raises `VALIDATION_ERROR`, and nothing of it is typed: a line break would press Return, which starts what was
    /// typed before it, wherever the text comes from. With `allow_control` it is meant. Needs `input = true`.
    ///
    /// ```rhai
    /// assert(keyboard::type_text("Grüße!") == 6);
    /// let caught = ();
    /// try { keyboard::type_text("as read from the screen\n"); } catch (error) { caught = error; }
    /// assert(caught.code == "VALIDATION_ERROR" && caught.message.contains("Return"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn type_text(context: NativeCallContext, text: &str) -> Returned<Dynamic> {
        call(&context, Call::KeyboardType(TypeText { text: text.to_owned(), interval: 0.0, allow_control: false }))
    }

    /// Types as described: `text`, `interval` (seconds between two characters), `allow_control` (a line break in it may press Return, a tab Tab;
    /// other control characters raise `VALIDATION_ERROR` anyway).
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// assert(keyboard::type_text(#{ text: "slow\n", interval: 0.01, allow_control: true }) == 5);
    /// ```
    #[rhai_fn(name = "type_text", return_raw)]
    pub fn type_as(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::KeyboardType)
    }

    /// Presses a key and lets it go; keys are spelled as PyAutoGUI spells them: `enter`, `f5`, `a`, `ctrlleft`, …
    ///
    /// Raises `VALIDATION_ERROR` for a key there is not, and names the nearest. Needs `input = true`.
    ///
    /// ```rhai
    /// keyboard::press("enter");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn press(context: NativeCallContext, key: &str) -> Returned<Dynamic> {
        call_with(&context, Map::from([("key".into(), key.into())]), Call::KeyboardPress)
    }

    /// Presses as described: `key`, `presses` (1–1000), `interval` (seconds between two).
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// keyboard::press(#{ key: "tab", presses: 2 });
    /// ```
    #[rhai_fn(name = "press", return_raw)]
    pub fn press_as(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::KeyboardPress)
    }

    /// Presses several keys together, in the order given.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// keyboard::hotkey(["ctrl", "a"]);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn hotkey(context: NativeCallContext, keys: Array) -> Returned<Dynamic> {
        let keys = keys.into_iter().map(|key| key.to_string()).collect();
        call(&context, Call::KeyboardHotkey(Hotkey { keys }))
    }

    /// Presses a key and keeps it down until [`up`].
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// keyboard::down("shift");
    /// keyboard::up("shift");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn down(context: NativeCallContext, key: &str) -> Returned<Dynamic> {
        call(&context, Call::KeyboardDown(KeyHold { key: key.to_owned() }))
    }

    /// Lets a key go.
    ///
    /// Needs `input = true`.
    ///
    /// ```rhai
    /// keyboard::down("ctrl");
    /// keyboard::up("ctrl");
    /// ```
    #[rhai_fn(return_raw)]
    pub fn up(context: NativeCallContext, key: &str) -> Returned<Dynamic> {
        call(&context, Call::KeyboardUp(KeyHold { key: key.to_owned() }))
    }
}

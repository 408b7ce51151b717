//! `json::` — JSON text and values.

use rhai::plugin::*;

use crate::error::{Failure, Kind};
use crate::script::values::{Returned, raise, to_json};

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// The value that a JSON text describes.
    ///
    /// Raises `VALIDATION_ERROR` where it is not JSON.
    ///
    /// ```rhai
    /// assert(json::parse(`{"a": [1, null]}`).a[0] == 1);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn parse(context: NativeCallContext, text: &str) -> Returned<Dynamic> {
        serde_json::from_str(text)
            .map_err(|error| raise(Failure::new(Kind::ValidationError, format!("this is not JSON: {error}")), context.call_position()))
    }

    /// A value as JSON, on one line.
    ///
    /// ```rhai
    /// assert(json::text(#{ a: [1, ()] }) == `{"a":[1,null]}`);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn text(context: NativeCallContext, value: Dynamic) -> Returned<String> {
        to_json(&value).map(|json| json.get().to_owned()).map_err(|failure| raise(failure, context.call_position()))
    }

    /// A value as JSON, indented for people.
    ///
    /// ```rhai
    /// assert(json::pretty([1]).contains("\n"));
    /// ```
    #[rhai_fn(return_raw)]
    pub fn pretty(context: NativeCallContext, value: Dynamic) -> Returned<String> {
        serde_json::to_string_pretty(&value)
            .map_err(|error| raise(Failure::new(Kind::ValidationError, error.to_string()), context.call_position()))
    }
}

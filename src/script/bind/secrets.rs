//! `secrets::` — values that a script uses and nobody reads.

use rhai::Engine;
use rhai::plugin::*;

use crate::host::protocol::Call;
use crate::script::steps::call;
use crate::script::values::Returned;

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

/// `secrets`: each secret that the run may use, by its name.
#[derive(Clone)]
pub(crate) struct Secrets;

pub(super) fn register_types(engine: &mut Engine) {
    engine
        .register_type_with_name::<Secrets>("Secrets")
        .register_indexer_get(|context: NativeCallContext, _: &mut Secrets, name: &str| -> Returned<Dynamic> { get(&context, name) });
}

fn get(context: &NativeCallContext, name: &str) -> Returned<Dynamic> {
    call(context, Call::SecretGet { name: name.to_owned() })
}

#[export_module]
mod functions {
    /// The value of a secret, as `trae secrets set NAME` or `PUT /api/secrets/NAME` set it. `secrets.NAME` and `secrets["NAME"]` are the same.
    ///
    /// Where the value would be shown or kept (log, steps, results, errors, audit) `***` stands instead, also in base64, percent-encoded and
    /// in JSON: a run that goes on after a long wait or a restart sees `***` in what its earlier steps put out. So ask for a secret in the
    /// step that uses it. Raises `NOT_FOUND` where there is none of that name. Needs its name in `secrets = […]`.
    ///
    /// ```rhai
    /// let token = "none";
    /// try { token = secrets::get("API_TOKEN"); } catch (error) { assert(error.code == "NOT_FOUND"); }
    /// assert(token.len() > 0);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(context: NativeCallContext, name: &str) -> Returned<Dynamic> {
        super::get(&context, name)
    }
}

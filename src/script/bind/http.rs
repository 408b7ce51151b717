//! `http::` — calls to other servers.

use rhai::Map;
use rhai::plugin::*;

use crate::host::protocol::Call;
use crate::script::steps::call_with;
use crate::script::values::Returned;

pub(super) fn module() -> Module {
    rhai::exported_module!(functions)
}

#[export_module]
mod functions {
    /// Gets a URL: a map of `status`, `headers` (names in lower case) and `body` (parsed where it is JSON, else text).
    ///
    /// Any answer is a success, also 404. Raises `SERVICE_UNAVAILABLE` where nobody answers, `TIMEOUT` after 30 seconds.
    /// Needs the host in `http = […]`.
    ///
    /// ```rhai
    /// let answer = http::get(params.server + "/hello");
    /// assert(answer.status == 200);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn get(context: NativeCallContext, url: &str) -> Returned<Dynamic> {
        call_with(&context, Map::from([("url".into(), url.into())]), Call::HttpRequest)
    }

    /// Posts a body: a text as it is, anything else as JSON.
    ///
    /// Needs the host in `http = […]`.
    ///
    /// ```rhai
    /// let answer = http::post(params.server + "/echo", #{ total: 12 });
    /// assert(answer.body.total == 12);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn post(context: NativeCallContext, url: &str, body: Dynamic) -> Returned<Dynamic> {
        let options = Map::from([("url".into(), url.into()), ("method".into(), "POST".into()), ("body".into(), body)]);
        call_with(&context, options, Call::HttpRequest)
    }

    /// Sends a request as described: `url`, `method`, `headers`, `query`, `body`, `timeout` (seconds, up to 300).
    ///
    /// Needs the host in `http = […]`.
    ///
    /// ```rhai
    /// let answer = http::request(#{ url: params.server + "/hello", method: "GET", query: #{ page: 2 }, timeout: 5 });
    /// assert(answer.status == 200);
    /// ```
    #[rhai_fn(return_raw)]
    pub fn request(context: NativeCallContext, options: Map) -> Returned<Dynamic> {
        call_with(&context, options, Call::HttpRequest)
    }
}

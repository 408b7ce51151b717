//! The functions a script has: one namespace a file. Adding one is a file and a line in [`namespaces`].
//!
//! A native function does the least there is, builds a call and sends it; what composes natives is written in the language itself, in
//! `stdlib/<namespace>.rhai`, and folded into the same namespace.

#![expect(unreachable_pub, reason = "the macro that makes a namespace takes public functions only")]
#![expect(clippy::unwrap_used, reason = "the same macro unwraps arguments whose number and types the engine has checked")]

mod clipboard;
mod desktop;
mod files;
mod flow;
mod http;
mod json;
mod keyboard;
mod log;
mod mouse;
mod ocr;
mod screen;
mod secrets;
mod session;
mod shell;
mod system;
mod time;
mod vision;
mod window;

use rhai::{Engine, Module};

use crate::policy::Permissions;

pub(super) use flow::{Nodes, RunInfo};
pub(super) use secrets::Secrets;

/// Its name, whether it is open, and what makes it.
type Namespace = (&'static str, bool, fn() -> Module);

/// Every namespace that `permissions` open, in alphabetical order.
pub(super) fn namespaces(permissions: &Permissions) -> Vec<(&'static str, Module)> {
    let files = !permissions.read.is_empty() || !permissions.write.is_empty();
    let all: [Namespace; 17] = [
        ("clipboard", permissions.clipboard, clipboard::module),
        ("desktop", true, desktop::module),
        ("files", files, files::module),
        ("flow", true, flow::module),
        ("http", !permissions.http.is_empty(), http::module),
        ("json", true, json::module),
        ("keyboard", permissions.input, keyboard::module),
        ("log", true, log::module),
        ("mouse", permissions.input, mouse::module),
        ("ocr", permissions.screen, ocr::module),
        ("screen", permissions.screen, screen::module),
        ("secrets", !permissions.secrets.is_empty(), secrets::module),
        ("shell", !permissions.shell.is_empty(), shell::module),
        ("system", true, system::module),
        ("time", true, time::module),
        ("vision", permissions.screen, vision::module),
        ("window", permissions.screen || permissions.input, window::module),
    ];
    all.into_iter().filter(|(_, open, _)| *open).map(|(name, _, module)| (name, module())).collect()
}

/// What is called without a namespace: `step` and `text`.
pub(super) fn globals() -> rhai::Shared<Module> {
    flow::globals().into()
}

/// The types of values that only the host makes.
pub(super) fn register_types(engine: &mut Engine) {
    flow::register_types(engine);
    screen::register_types(engine);
    secrets::register_types(engine);
    session::register_types(engine);
}

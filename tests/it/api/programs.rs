//! Programs on a server's desktop.

use std::process::{Child, Command, Stdio};

/// A program on the server's desktop; it ends with the test.
pub struct Program(pub Child);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Program {
    pub fn start(display: &str, program: &str, arguments: &[&str]) -> Self {
        let mut command = Command::new(program);
        command.args(arguments).env("DISPLAY", display).env("LC_ALL", "C.UTF-8").env("NO_AT_BRIDGE", "1").env("GTK_A11Y", "none");
        Self(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// A terminal that shows a text.
    pub fn showing(display: &str, title: &str, text: &str, place: &str) -> Self {
        let script = format!("printf '{}'; exec sleep 600", text.replace('\n', "\\n"));
        let look = ["-u8", "-fa", "DejaVu Sans Mono", "-fs", "14", "-fg", "black", "-bg", "white", "+sb", "-uc", "-cr", "white"];
        let arguments = ["-T", title, "-geometry", place, "-e", "sh", "-c", &script];
        Self::start(display, "xterm", &[&look[..], &arguments[..]].concat())
    }
}

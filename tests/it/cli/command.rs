//! `trae` in an empty folder, and what came of it.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

/// An empty folder with a data folder of its own.
pub struct Folder(tempfile::TempDir);

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Folder {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path().join(name), text).unwrap();
        self
    }

    /// A command that is not started yet.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).stdin(std::process::Stdio::null());
        command.env("DATA_DIR", self.path().join("data")).env("DISPLAY_MODE", "none").env_remove("LOG_LEVEL").env("NO_COLOR", "1");
        command
    }

    pub fn trae(&self, arguments: &[&str]) -> Done {
        self.command(env!("CARGO_BIN_EXE_trae")).args(arguments).output().unwrap().into()
    }
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// A graph whose nodes follow one another.
pub fn chain(nodes: &[(&str, &str, Value)]) -> String {
    let drawn: Vec<_> = nodes.iter().map(|(id, kind, config)| json!({ "id": id, "type": kind, "data": { "config": config } })).collect();
    let edge = |pair: &[(&str, &str, Value)]| json!({ "id": pair[1].0, "source": pair[0].0, "target": pair[1].0 });
    json!({ "name": "Flow", "nodes": drawn, "edges": nodes.windows(2).map(edge).collect::<Vec<_>>() }).to_string()
}

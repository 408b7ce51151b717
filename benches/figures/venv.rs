//! A Python with packages: `target/bench-venv`, made where it is not there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The Python that has these packages.
pub fn environment(packages: &[&str]) -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-venv");
    let python = folder.join("bin/python");
    let modules = packages.join(", ").replace("pillow", "PIL");
    let ready = || Command::new(&python).args(["-c", &format!("import {modules}")]).output().is_ok_and(|done| done.status.success());
    if ready() {
        return Ok(python);
    }
    let folder = folder.to_string_lossy().into_owned();
    run("python3", &["-m", "venv", &folder])?;
    let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    run(&python.to_string_lossy(), &[&install[..], packages].concat())?;
    if ready() { Ok(python) } else { Err(format!("{modules} do not load")) }
}

fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, stdout, .. }) => {
            let said = [stdout, stderr].concat();
            let said = String::from_utf8_lossy(&said);
            Err(format!("{program} {}: {}", arguments.join(" "), said.trim().lines().next_back().unwrap_or("no reason given")))
        }
        Err(error) => Err(format!("{program}: {error}")),
    }
}

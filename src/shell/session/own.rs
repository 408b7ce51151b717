//! Commands of our own in a session: where it is, and its variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Session;
use crate::policy::AllowedCommand;
use crate::shell::{Error, ShellType, environment, existing_folder};

impl Session {
    /// Goes to a folder; relative ones count from where the session is. `at` is where it stands in the request.
    pub async fn change_directory(self: &Arc<Self>, allowed: &AllowedCommand, path: &str, at: &'static str) -> Result<PathBuf, Error> {
        self.is_meant(allowed)?;
        let folder = existing_folder(&self.directory().join(path), path, at)?;
        let (code, said) = self.run_quietly(self.shell_type.change_directory(&folder.to_string_lossy())).await?;
        if code != 0 {
            let said = if said.trim().is_empty() { "the shell refused" } else { said.trim() };
            return Err(Error::invalid(at, format!("the session cannot go to {path:?}: {said}")));
        }
        Ok(folder)
    }

    /// Sets a variable for what runs in it from now on.
    pub async fn set_variable(self: &Arc<Self>, allowed: &AllowedCommand, name: &str, value: &str) -> Result<(), Error> {
        self.is_meant(allowed)?;
        environment::check_one(name, value, "/name", "/value")?;
        if self.shell_type == ShellType::Cmd && value.contains(['\n', '\r', '"']) {
            return Err(Error::invalid("/value", "cmd takes no line breaks and quotes in a value"));
        }
        let (code, said) = self.run_quietly(self.shell_type.set_variable(name, value)).await?;
        if code == 0 { Ok(()) } else { Err(Error::invalid("/name", format!("the shell refused: {}", said.trim()))) }
    }

    /// The variables that what runs in it is given.
    pub async fn variables(self: &Arc<Self>, allowed: &AllowedCommand) -> Result<BTreeMap<String, String>, Error> {
        self.is_meant(allowed)?;
        let env = self.env.as_deref().unwrap_or_else(|| Path::new("env"));
        // Several may ask at once: each has an answer of its own.
        let answer = self.folder.join(format!("answer-{}", uuid::Uuid::now_v7().simple()));
        let (code, said) = self.run_quietly(self.shell_type.tell_variables(&answer, &env.to_string_lossy())).await?;
        let told = std::fs::read(&answer).unwrap_or_default();
        let _ = std::fs::remove_file(&answer);
        if code != 0 && told.is_empty() {
            return Err(Error::Wait(std::io::Error::other(format!("the shell does not tell its variables: {}", said.trim()))));
        }
        let separator = if self.shell_type == ShellType::Cmd { b'\n' } else { 0 };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\r').to_owned();
        Ok(told
            .split(|byte| *byte == separator)
            .filter_map(|line| text(line).split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())))
            .collect())
    }
}

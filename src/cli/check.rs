//! `trae compile` and `trae check`: what is wrong, without running anything.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use trae::app::{App, Programs};
use trae::runs::{Checked, Library as _};
use trae::workflow::Graph;

use super::serve::failed;
use super::{Place, exit, log_to_stderr, print, runtime};

/// Print the script that a workflow compiles to.
#[derive(Args)]
pub(super) struct Compile {
    /// The workflow
    #[arg(value_name = "FLOW.JSON")]
    file: PathBuf,
    #[command(flatten)]
    place: Place,
}

/// Check workflows and scripts.
#[derive(Args)]
pub(super) struct Check {
    /// Workflows (.json) and scripts (.rhai)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Compile {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        let (text, graph) = graph(&self.file)?;
        drop(text);
        let config = self.place.config(std::collections::BTreeMap::new())?;
        let _log = log_to_stderr(&config);
        runtime(1)?.block_on(async {
            let app = App::new(config).await.map_err(|failure| failed(&failure))?;
            let checked = app.workflows.check(graph).await.map_err(|failure| failed(&failure))?;
            app.shutdown().await;
            print::problems(&self.file.display().to_string(), &checked.problems);
            match checked.script {
                Some(script) => {
                    print::result(script.trim_end());
                    Ok(ExitCode::SUCCESS)
                }
                None => Err(exit::DATA.into()),
            }
        })
    }
}

impl Check {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        let config = self.place.config(std::collections::BTreeMap::new())?;
        let _log = log_to_stderr(&config);
        runtime(1)?.block_on(async {
            let app = App::new(config).await.map_err(|failure| failed(&failure))?;
            let mut broken = false;
            for file in &self.files {
                broken |= !check(&app, file).await?;
            }
            app.shutdown().await;
            if broken { Err(exit::DATA.into()) } else { Ok(ExitCode::SUCCESS) }
        })
    }
}

/// Says what is wrong with one file, or what it may do. True where it can run.
async fn check(app: &App, file: &Path) -> Result<bool, ExitCode> {
    let name = file.display().to_string();
    if is_graph(file) {
        let (_, graph) = graph(file)?;
        let Checked { valid, problems, permissions, .. } = app.workflows.check(graph).await.map_err(|failure| failed(&failure))?;
        print::problems(&name, &problems);
        if valid {
            print::result(&format!("{name}: ok; it needs {}", needs(&permissions)));
        }
        return Ok(valid);
    }
    let source = print::read(file)?;
    let loaded = match Programs::new(std::sync::Arc::clone(&app.library)).source(&name, &source) {
        Ok(loaded) => loaded,
        Err(failure) => {
            let line = failure.details.as_ref().and_then(|details| details.get("line")?.as_u64()).and_then(|line| u32::try_from(line).ok());
            print::placed(&failure.message, &name, line, Some(1), Some(&source));
            return Ok(false);
        }
    };
    let permissions = loaded.program.permissions.clone();
    let errors = app.host.check(loaded.program).await;
    for error in &errors {
        let place = error.file.as_deref().unwrap_or(&name);
        print::placed(&error.message, place, error.line, error.column, (place == name).then_some(&source));
    }
    if errors.is_empty() {
        print::result(&format!("{name}: ok; it needs {}", needs(&permissions)));
    }
    Ok(errors.is_empty())
}

/// A manifest on one line.
fn needs(permissions: &trae::policy::Permissions) -> String {
    match serde_json::to_string(permissions) {
        Ok(text) if !permissions.is_empty() => text,
        _ => "no permissions".to_owned(),
    }
}

pub(super) fn is_graph(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"))
}

/// A workflow's file: its text and its graph.
pub(super) fn graph(file: &Path) -> Result<(String, Graph), ExitCode> {
    let text = print::read(file)?;
    match serde_json::from_str(&text) {
        Ok(graph) => Ok((text, graph)),
        Err(error) => Err(print::broken_json(file, &text, &error)),
    }
}

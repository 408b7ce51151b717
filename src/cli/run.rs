//! `trae run`: a workflow or a script, here and now, on record like any other run.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt;
use serde_json::Value;
use trae::app::{App, Programs};
use trae::error::Kind;
use trae::policy::Permissions;
use trae::runs::{Execute, Library as _, Run as Record, RunStatus, Ticket};
use trae::script::header::ScriptHeader;

use super::check::{graph, is_graph};
use super::progress::Progress;
use super::serve::{asked_to_end, failed};
use super::{Place, exit, log_to_stderr, parameters, permit, print, runtime, table};

/// Run a workflow or a script.
#[derive(Args)]
pub(super) struct Run {
    /// A workflow (.json) or a script (.rhai)
    file: PathBuf,
    /// A parameter; the value is JSON where it reads as such, else text
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameters::pair)]
    parameters: Vec<(String, Value)>,
    /// A file with a JSON object of parameters
    #[arg(long, value_name = "FILE")]
    params_file: Option<PathBuf>,
    /// Print the whole run record as JSON, and nothing else
    #[arg(long)]
    json: bool,
    /// Print the steps as a table
    #[arg(long, conflicts_with = "json")]
    table: bool,
    /// Grant what the script does not declare: screen, input, clipboard, process, shell=bash, http=host, read=glob, write=glob, …
    #[arg(long, value_name = "PERMISSION", value_parser = permit::allow)]
    allow: Vec<Permissions>,
    /// Grant everything
    #[arg(long)]
    allow_all: bool,
    #[command(flatten)]
    place: Place,
}

impl Run {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        let parameters = parameters::all(self.params_file.as_deref(), self.parameters.clone())?;
        let parameters = serde_json::value::to_raw_value(&parameters).map_err(|error| {
            print::complaint(&error.to_string());
            ExitCode::from(exit::DATA)
        })?;
        let config = Place { data_dir: self.place.data_dir.clone() }.config(BTreeMap::new())?;
        let _log = log_to_stderr(&config);
        let source = print::read(&self.file)?;
        let mut lent = if self.allow_all { Permissions::all() } else { Permissions::default() };
        self.allow.iter().for_each(|more| lent.merge(more));
        if !is_graph(&self.file) {
            // A header that cannot be read is reported where the script is.
            let declared = ScriptHeader::parse(&source).map(|header| header.permissions).unwrap_or_default();
            permit::ask(&source, &declared, &mut lent);
        }
        runtime(config.server.workers)?.block_on(async {
            let app = App::new(config).await.map_err(|failure| failed(&failure))?;
            let ended = self.on(&app, &source, Execute { parameters, lent, ..Execute::default() }).await;
            app.shutdown().await;
            ended
        })
    }

    async fn on(&self, app: &App, source: &str, execute: Execute) -> Result<ExitCode, ExitCode> {
        let mut steps = None;
        let started = if is_graph(&self.file) {
            let (_, graph) = graph(&self.file)?;
            steps = Some(graph.nodes.len());
            let checked = app.workflows.check(graph.clone()).await.map_err(|failure| failed(&failure))?;
            print::problems(&self.file.display().to_string(), &checked.problems);
            if !checked.valid {
                return Err(exit::DATA.into());
            }
            app.runs.execute_graph(&graph, execute).await
        } else {
            app.runs.execute_source(&self.file.display().to_string(), source, execute).await
        };
        let ticket = started.map_err(|failure| self.refused(&failure, source))?;
        let run = self.follow(app, ticket, steps).await?;
        let reported = self.report(&run, source);
        if reported.is_err() && steps.is_none() && !compiles(app, &run, source).await {
            return Err(exit::DATA.into());
        }
        reported
    }

    /// Shows the run until it ends; the first Ctrl-C cancels it.
    async fn follow(&self, app: &App, mut ticket: Ticket, steps: Option<usize>) -> Result<Record, ExitCode> {
        let mut progress = Progress::new(self.json, steps);
        let events = app.runs.subscribe(&ticket.run_id, 0).await.map_err(|failure| failed(&failure))?;
        let mut events = std::pin::pin!(events);
        let mut ending = std::pin::pin!(asked_to_end());
        let mut cancelled = false;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => progress.show(&event),
                    None => break,
                },
                () = &mut ending, if !cancelled => {
                    cancelled = true;
                    // Over already is as good as cancelled.
                    let _ = app.runs.cancel(&ticket.run_id).await;
                }
            }
        }
        Ok(ticket.finished().await)
    }

    fn report(&self, run: &Record, source: &str) -> Result<ExitCode, ExitCode> {
        if self.json {
            print::json(run);
        } else if self.table {
            print::result(&table::steps(run));
        }
        if run.status == RunStatus::Succeeded {
            if let (false, Some(result)) = (self.json || self.table, &run.result) {
                match serde_json::to_value(result) {
                    Ok(Value::Null) | Err(_) => {}
                    Ok(Value::String(text)) => print::result(&text),
                    Ok(value) => print::json(&value),
                }
            }
            return Ok(ExitCode::SUCCESS);
        }
        match &run.error {
            Some(error) => {
                let own = self.file.display().to_string();
                let file = error.file.as_deref().unwrap_or(&own);
                let message = match &error.node_id {
                    Some(node) => format!("node {node:?}: {}", error.message),
                    None => error.message.clone(),
                };
                print::placed(&message, file, error.line, error.column, (file == own).then_some(source));
            }
            None => print::complaint("the run was cancelled"),
        }
        Err(exit::FAILED.into())
    }

    /// A run that could not be started: a header that cannot be read, parameters that do not fit.
    fn refused(&self, failure: &trae::error::Failure, source: &str) -> ExitCode {
        let line = failure.details.as_ref().and_then(|details| details.get("line")?.as_u64()).and_then(|line| u32::try_from(line).ok());
        print::placed(&failure.message, &shown(&self.file), line, Some(1), Some(source));
        match line {
            Some(_) => exit::DATA.into(),
            None => exit::code(failure.code),
        }
    }
}

/// Whether a script that failed was one at all: a broken one is not a run that failed.
async fn compiles(app: &App, run: &Record, source: &str) -> bool {
    let at_once = run.error.as_ref().is_some_and(|error| error.code == Kind::ScriptError) && run.steps.is_empty() && run.logs.is_empty();
    if !at_once {
        return true;
    }
    match Programs::new(Arc::clone(&app.library)).source(run.script.as_deref().unwrap_or_default(), source) {
        Ok(loaded) => app.host.check(loaded.program).await.is_empty(),
        Err(_) => false,
    }
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

//! `trae run`: a workflow or a script, here and now, on record like any other run.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use futures_util::StreamExt;
use serde_json::Value;
use trae::app::{App, Programs};
use trae::error::Kind;
use trae::host::protocol::Mode;
use trae::policy::{Learned, Permissions};
use trae::runs::{Decide, Event, Execute, Happening, Library as _, Run as Record, RunStatus, Stepper, Ticket};
use trae::script::header::ScriptHeader;

use super::check::{graph, is_graph};
use super::progress::Progress;
use super::serve::{asked_to_end, failed};
use super::step::AtTerminal;
use super::{Place, audit, exit, log_to_stderr, parameters, permit, print, runtime, table};

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
    /// Show each step before it begins, and ask: run it, look at values, go on, or stop
    #[arg(long, conflicts_with = "json")]
    step: bool,
    /// Describe what would be done instead of doing it; prints the steps as JSON
    #[arg(long)]
    dry_run: bool,
    /// Grant what the script does not declare: screen, input, clipboard, process, shell=bash, http=host, read=glob, write=glob, …
    #[arg(long, value_name = "PERMISSION", value_parser = permit::allow)]
    allow: Vec<Permissions>,
    /// Grant everything
    #[arg(long)]
    allow_all: bool,
    /// Grant everything for this run, note what it asks for, and print the manifest that declares it
    #[arg(long, conflicts_with_all = ["json", "dry_run"])]
    learn: bool,
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
        let mut lent = if self.allow_all || self.learn { Permissions::all() } else { Permissions::default() };
        self.allow.iter().for_each(|more| lent.merge(more));
        if !is_graph(&self.file) {
            // A header that cannot be read is reported where the script is.
            let declared = ScriptHeader::parse(&source).map(|header| header.permissions).unwrap_or_default();
            permit::ask(&source, &declared, &mut lent);
        }
        runtime(config.server.workers)?.block_on(async {
            let app = App::new(config).await.map_err(|failure| failed(&failure))?;
            let mode = Mode { attended: true, pinned: true, stepwise: self.step, dry: self.dry_run, ..Mode::default() };
            let stepper = self.step.then(|| Arc::new(AtTerminal::default()));
            let asked = stepper.clone().map(|stepper| stepper as Arc<dyn Stepper>);
            let learned = self.learn.then(Learned::default);
            let execute = Execute { parameters, lent, mode, learned: learned.clone(), stepper: asked, ..Execute::default() };
            let ended = self.on(&app, &source, execute, stepper.as_deref()).await;
            app.shutdown().await;
            if let Some(learned) = learned {
                print::result(&manifest(&learned.permissions()));
            }
            ended
        })
    }

    async fn on(&self, app: &App, source: &str, execute: Execute, stepper: Option<&AtTerminal>) -> Result<ExitCode, ExitCode> {
        let mut steps = None;
        let started = if is_graph(&self.file) {
            let (_, graph) = graph(&self.file)?;
            steps = Some(graph.nodes.len());
            let checked = app.workflows.check(graph.clone()).await.map_err(|failure| failed(&failure))?;
            print::problems(&self.file.display().to_string(), &checked.problems);
            if !checked.valid {
                return Err(exit::DATA.into());
            }
            app.runs.by(&audit::actor()).execute_graph(&graph, execute).await
        } else {
            app.runs.by(&audit::actor()).execute_source(&self.file.display().to_string(), source, execute).await
        };
        let ticket = started.map_err(|failure| self.refused(&failure, source))?;
        let run = self.follow(app, ticket, steps, stepper).await?;
        let reported = self.report(&run, source);
        if reported.is_err() && steps.is_none() && !compiles(app, &run, source).await {
            return Err(exit::DATA.into());
        }
        reported
    }

    /// Shows the run until it ends; the first Ctrl-C cancels it.
    async fn follow(&self, app: &App, mut ticket: Ticket, steps: Option<usize>, stepper: Option<&AtTerminal>) -> Result<Record, ExitCode> {
        // A moving line and questions do not go together.
        let mut progress = Progress::new(self.json || self.dry_run, steps.filter(|_| stepper.is_none()));
        let stop = stepper.map_or_else(tokio_util::sync::CancellationToken::new, |stepper| stepper.stop.clone());
        let events = app.runs.subscribe(&ticket.run_id, 0).await.map_err(|failure| failed(&failure))?;
        let mut events = std::pin::pin!(events);
        let mut ending = std::pin::pin!(asked_to_end());
        let mut cancelled = false;
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(event) => {
                        progress.show(&event);
                        answer(app, &event);
                    }
                    None => break,
                },
                () = stop.cancelled(), if !cancelled => {
                    cancelled = true;
                    let _ = app.runs.cancel(&ticket.run_id).await;
                }
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
        if self.json || self.dry_run {
            print::json(run);
        } else if self.table {
            print::result(&table::steps(run));
        }
        if run.status == RunStatus::Succeeded {
            if let (false, Some(result)) = (self.json || self.dry_run || self.table, &run.result) {
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

/// The header that declares what a run asked for.
fn manifest(asked: &Permissions) -> String {
    let lines = asked.lines();
    if lines.is_empty() {
        return "This run asked for nothing: the script needs no [permissions].".to_owned();
    }
    let lines = lines.into_iter().map(|line| format!("//! {line}\n"));
    format!("//! ---\n//! [permissions]\n{}//! ---", lines.collect::<String>())
}

/// A question that the run asks is asked at the terminal, where there is one. Only the answer is waited for, not by the run's events.
fn answer(app: &App, event: &Event) {
    let Happening::WaitStarted { wait } = &event.what else { return };
    if wait.kind != "approval" || !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return;
    }
    let (runs, id) = (app.runs.clone(), wait.id.clone());
    let choices: Vec<String> =
        wait.details.get("choices").and_then(|choices| serde_json::from_value(choices.clone()).ok()).unwrap_or_default();
    tokio::spawn(async move {
        let asking = tokio::task::spawn_blocking(move || permit::choose(&choices));
        if let Ok(Some(choice)) = asking.await {
            let by = std::env::var("USER").ok();
            if let Err(failure) = runs.decide(&id, Decide { choice, comment: None, by }).await {
                print::complaint(&failure.message);
            }
        }
    });
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

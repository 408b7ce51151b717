//! `trae runs`: what ran, from the data folder; beside a server or without one.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use trae::app;
use trae::config::Config;
use trae::runs::{Run, RunFilter, RunStatus};

use super::serve::failed;
use super::{Place, exit, log_to_stderr, print, runtime, table};

/// List, show and export what ran.
#[derive(Subcommand)]
pub(super) enum Runs {
    /// List runs, newest first
    List(List),
    /// Show a run with its steps
    Show(Show),
    /// Write a run into a folder: its record, events, script, large values and pictures
    Export(Export),
}

#[derive(Args)]
pub(super) struct List {
    /// Only of this workflow
    #[arg(long, value_name = "ID")]
    workflow: Option<String>,
    /// Only of this script
    #[arg(long, value_name = "PATH")]
    script: Option<String>,
    /// Only in this status: queued, running, waiting, succeeded, failed, cancelled, interrupted; can be given several times
    #[arg(long = "status", value_name = "STATUS", value_parser = status)]
    statuses: Vec<RunStatus>,
    /// Only started by this, such as webhook or webhook:orders
    #[arg(long)]
    trigger: Option<String>,
    /// Only with these words in error, parameters, result or log; word* for words that begin so
    #[arg(long, value_name = "WORDS")]
    search: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Show {
    /// The run's id
    id: String,
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(Args)]
pub(super) struct Export {
    /// The run's id
    id: String,
    /// Where to; it is made
    folder: PathBuf,
    #[command(flatten)]
    place: Place,
}

impl Runs {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        match self {
            Self::List(list) => list.execute(),
            Self::Show(Show { id, json, place }) => with(place, |runs| async move {
                let run = runs.get(&id).await.map_err(|failure| failed(&failure))?.ok_or_else(|| unknown(&id))?;
                if json {
                    print::json(&run);
                } else {
                    print::result(&head(&run));
                    print::result(&table::steps(&run));
                    run.logs.iter().for_each(|line| print::result(&format!("{} {} {}", line.timestamp, line.level, line.message)));
                }
                Ok(ExitCode::SUCCESS)
            }),
            Self::Export(Export { id, folder, place }) => with(place, |runs| async move {
                let export = runs.export(&id).await.map_err(|failure| failed(&failure))?.ok_or_else(|| unknown(&id))?;
                export.write_folder(&folder).map_err(|error| {
                    print::complaint(&format!("{} cannot be written: {error}", folder.display()));
                    ExitCode::from(exit::CANNOT_WRITE)
                })?;
                print::note(&format!("the run {id} is in {}", folder.display()));
                Ok(ExitCode::SUCCESS)
            }),
        }
    }
}

impl List {
    fn execute(self) -> Result<ExitCode, ExitCode> {
        let Self { workflow, script, statuses, trigger, search, limit, json, place } = self;
        let filter = RunFilter { workflow_id: workflow, script, statuses, trigger, search, limit: Some(limit), ..RunFilter::default() };
        with(place, |runs| async move {
            let page = runs.list(filter).await.map_err(|failure| failed(&failure))?;
            if json {
                print::json(&page);
            } else {
                print::result(&table::runs(&page.runs));
                print::note(&format!("{} of {}", page.runs.len(), page.count));
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn with<F: Future<Output = Result<ExitCode, ExitCode>>>(
    place: Place,
    work: impl FnOnce(trae::runs::Runs) -> F,
) -> Result<ExitCode, ExitCode> {
    let config: Config = place.config(BTreeMap::new())?;
    let _log = log_to_stderr(&config);
    runtime(1)?.block_on(async {
        let runs = app::history(&config).map_err(|failure| failed(&failure))?;
        work(runs).await
    })
}

fn status(word: &str) -> Result<RunStatus, String> {
    RunStatus::parse(word).ok_or_else(|| "write queued, running, waiting, succeeded, failed, cancelled or interrupted".to_owned())
}

fn unknown(id: &str) -> ExitCode {
    print::complaint(&format!("there is no run {id:?}: trae runs list shows those there are"));
    exit::FAILED.into()
}

/// The run in a line, and why it did not succeed.
fn head(run: &Run) -> String {
    let what = run.workflow_id.as_deref().or(run.script.as_deref()).unwrap_or("a graph that is not stored");
    let error = run.error.as_ref().map(|error| format!("\n{}", error.message)).unwrap_or_default();
    format!("{} {what} by {}, {}: {}{error}", run.kind, run.trigger, run.created_at, run.status.as_str())
}

//! The command line: parses, calls, prints. What a command does is decided in the rooms it calls.
//!
//! Results go to standard output, everything else to standard error, so that `trae run … > result.json` holds a result only.

mod attach;
mod audit;
mod check;
mod doctor;
mod exit;
mod keys;
mod models;
mod new;
mod parameters;
mod permit;
mod print;
mod progress;
mod run;
mod runs;
mod secrets;
mod serve;
mod shell;
mod step;
mod table;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use trae::config::{Config, Source, Sources};
use trae::logging::{self, Log};
use trae::script::reference;

/// Sees a desktop, uses its mouse and keyboard, reads its text, runs its shells and calls HTTP: from workflows and Rhai scripts.
#[derive(Parser)]
#[command(name = "trae", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API
    Serve(serve::Serve),
    /// Run a workflow (.json) or a script (.rhai)
    Run(run::Run),
    /// Print the script that a workflow compiles to
    Compile(check::Compile),
    /// Check workflows and scripts; nothing of them runs
    Check(check::Check),
    /// Make a script or node type to begin with
    #[command(subcommand)]
    New(new::New),
    /// Print the functions that scripts have
    Docs {
        /// As JSON instead of Markdown
        #[arg(long)]
        json: bool,
    },
    /// Print every setting and where its value comes from
    Config(Place),
    /// Make, list and revoke API keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Set, list and remove secrets
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// List who did what, and check that nobody changed that
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Install the neural engine, which reads beside Tesseract
    #[command(subcommand)]
    Models(models::Models),
    /// List, show and export what ran
    #[command(subcommand)]
    Runs(runs::Runs),
    /// List the shell sessions of a server, and use one in this terminal
    #[command(subcommand)]
    Shell(shell::Shell),
    /// Tell what this machine has, and how to get what is missing
    Doctor(doctor::Doctor),
}

/// Where the data is.
#[derive(Args)]
struct Place {
    /// The data folder [DATA_DIR]
    #[arg(long, value_name = "FOLDER")]
    data_dir: Option<PathBuf>,
}

impl Place {
    /// The settings, with `flags` over all others.
    fn config(self, mut flags: BTreeMap<String, String>) -> Result<Config, ExitCode> {
        if let Some(folder) = self.data_dir {
            flags.insert("DATA_DIR".to_owned(), folder.to_string_lossy().into_owned());
        }
        Config::load(&Sources::of_process(flags)).map_err(|problems| {
            print::complaint(&problems.to_string());
            exit::CONFIG.into()
        })
    }
}

/// Parses the command line and does what it says.
pub(super) fn main() -> ExitCode {
    // A wrong command line ends here, with code 2.
    let done = match Cli::parse().command {
        Command::Serve(serve) => serve.execute(),
        Command::Run(run) => run.execute(),
        Command::Compile(compile) => compile.execute(),
        Command::Check(check) => check.execute(),
        Command::Docs { json } => docs(json),
        Command::New(new) => new.execute(),
        Command::Keys(keys) => keys.execute(),
        Command::Audit(audit) => audit.execute(),
        Command::Secrets(secrets) => secrets.execute(),
        Command::Models(models) => models.execute(),
        Command::Runs(runs) => runs.execute(),
        Command::Shell(shell) => shell.execute(),
        Command::Doctor(doctor) => doctor.execute(),
        Command::Config(place) => place.config(BTreeMap::new()).map(|config| {
            for setting in config.settings() {
                print::result(&format!("{} = {}  ({})", setting.name, setting.value, setting.source));
            }
            ExitCode::SUCCESS
        }),
    };
    done.unwrap_or_else(|code| code)
}

/// The reference of the language.
fn docs(json: bool) -> Result<ExitCode, ExitCode> {
    if json {
        print::json(&reference::reference());
    } else {
        print::result(reference::markdown().trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends the log to standard error: of a command, whose own output is what one wants to read. Warnings and worse, unless somebody set
/// `LOG_LEVEL`.
fn log_to_stderr(config: &Config) -> Log {
    let chosen = config.settings().iter().any(|setting| setting.name == "LOG_LEVEL" && setting.source != Source::Default);
    logging::to_stderr(&config.logging, chosen.then_some(config.logging.level.as_str()))
}

/// The asynchronous runtime, with so many threads for its own work.
fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, ExitCode> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build().map_err(|error| {
        print::complaint(&format!("no threads could be started: {error}"));
        exit::UNAVAILABLE.into()
    })
}

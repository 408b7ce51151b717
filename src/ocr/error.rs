//! Why nothing was read.

use std::path::PathBuf;

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
    /// The file of a language is cut short, or has a hole.
    #[error("the file {} of the language {language:?} is broken ({reason}): install it again with `{hint}`", file.display(), hint = again(language))]
    Broken {
        /// The language.
        language: String,
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An engine did not start.
    #[error("Tesseract could not load the language {0:?}: its file may be broken; install it again with `{hint}`", hint = again(.0))]
    Start(String),
    /// The neural engine is not there, or broken.
    #[error("the neural engine cannot be used: {reason}; get it with `{}`, or read with engine tesseract", install(folder))]
    NoModels {
        /// What is missing, or wrong.
        reason: String,
        /// Where its files belong.
        folder: PathBuf,
    },
    /// A language that the neural engine does not read.
    #[error("the neural engine does not read the language {0:?} (it reads {all}): use engine tesseract for it", all = super::languages::NEURAL.join(", "))]
    Unread(String),
    /// It took too long.
    #[error(
        "reading the picture took longer than {0} s: read a part of it, or give it more time (at most OCR_TIMEOUT, which can be raised)"
    )]
    Timeout(f64),
    /// Nobody was done in time with reading something else.
    #[error(
        "no engine was free within {0} s, as all of them were reading: try again, read smaller parts of the screen or less often, or give it \
         more time"
    )]
    Busy(f64),
    /// A picture that is no text: Tesseract would look for lines in it for minutes, and cannot be stopped while it does.
    #[error(
        "the picture has {0} dark spots that are apart, far more than a page has letters: read a part of it, make it smaller, or leave out \
         page_segmentation and preprocess, so that lines are looked for first"
    )]
    Crowded(usize),
    /// Somebody asked for it to stop.
    #[error("the reading was cancelled")]
    Cancelled,
    /// Reading was stopped.
    #[error("reading text is stopped: try again once enhanced_ocr runs again")]
    Off,
    /// An engine failed.
    #[error("reading this picture failed: {0}")]
    Failed(String),
}

/// The scripts that Tesseract reads, and what Debian calls them.
const SCRIPTS: &[(&str, &str)] = &[
    ("arabic", "arab"),
    ("armenian", "armn"),
    ("bengali", "beng"),
    ("canadian-aboriginal", "cans"),
    ("cherokee", "cher"),
    ("cyrillic", "cyrl"),
    ("devanagari", "deva"),
    ("ethiopic", "ethi"),
    ("fraktur", "frak"),
    ("georgian", "geor"),
    ("greek", "grek"),
    ("gujarati", "gujr"),
    ("gurmukhi", "guru"),
    ("hangul", "hang"),
    ("hangul-vert", "hang-vert"),
    ("hebrew", "hebr"),
    ("japanese", "jpan"),
    ("japanese-vert", "jpan-vert"),
    ("kannada", "knda"),
    ("khmer", "khmr"),
    ("lao", "laoo"),
    ("latin", "latn"),
    ("malayalam", "mlym"),
    ("myanmar", "mymr"),
    ("oriya", "orya"),
    ("sinhala", "sinh"),
    ("syriac", "syrc"),
    ("tamil", "taml"),
    ("telugu", "telu"),
    ("thaana", "thaa"),
    ("thai", "thai"),
    ("tibetan", "tibt"),
    ("vietnamese", "viet"),
];

/// The packages of languages joined by `+`, as Debian names them: `chi_sim` is in `tesseract-ocr-chi-sim`.
fn packages(languages: &str) -> String {
    let package = |language: &str| {
        let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
        match language.strip_prefix("script/").map(plain) {
            None => format!("tesseract-ocr-{}", plain(language)),
            Some(script) => {
                let known = SCRIPTS.iter().find(|(name, _)| *name == script).map(|(_, package)| *package);
                format!("tesseract-ocr-script-{}", known.unwrap_or(&script))
            }
        }
    };
    languages.split('+').map(package).collect::<Vec<_>>().join(" ")
}

/// How a language is installed that is missing.
fn hint(language: &str) -> String {
    format!("apt-get install {}", packages(language))
}

/// How languages are installed whose files are there and broken.
fn again(languages: &str) -> String {
    format!("apt-get install --reinstall {}", packages(languages))
}

/// The command that brings the neural engine.
pub(super) fn install(folder: &std::path::Path) -> String {
    // Whoever types it may be elsewhere.
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    format!("trae models install --to {}", folder.display())
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Invalid(_) | Self::Unread(_) | Self::Crowded(_) => Kind::ValidationError,
            Self::Language { .. } | Self::NoTesseract | Self::NoModels { .. } | Self::Broken { .. } | Self::Start(_) | Self::Off => {
                Kind::ServiceUnavailable
            }
            Self::Timeout(_) | Self::Busy(_) => Kind::Timeout,
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
            Self::NoModels { folder, .. } => Some(json!({ "service": "enhanced_ocr", "engine": "onnx", "hint": install(folder) })),
            Self::Off => Some(json!({ "service": "enhanced_ocr", "hint": "GET /api/health/service/enhanced_ocr says why" })),
            Self::Start(languages) | Self::Broken { language: languages, .. } => {
                Some(json!({ "service": "enhanced_ocr", "hint": again(languages) }))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_broken_comes_with_the_command_that_helps() {
        for (language, package) in [
            ("deu", "tesseract-ocr-deu"),
            ("chi_sim", "tesseract-ocr-chi-sim"),
            ("script/Latin", "tesseract-ocr-script-latn"),
            ("script/HanS", "tesseract-ocr-script-hans"),
            ("script/HanT_vert", "tesseract-ocr-script-hant-vert"),
            ("script/Canadian_Aboriginal", "tesseract-ocr-script-cans"),
        ] {
            let missing = Error::Language { language: language.to_owned(), installed: vec!["eng".to_owned()] };
            let command = format!("apt-get install {package}");
            assert!(missing.to_string().contains(&format!("`{command}`")), "{missing}");
            assert_eq!(missing.details().unwrap()["hint"], command);
        }
        let broken = Error::Start("deu+script/Cyrillic".to_owned());
        let command = "apt-get install --reinstall tesseract-ocr-deu tesseract-ocr-script-cyrl";
        assert!(broken.to_string().contains(command), "{broken}");
        assert_eq!(broken.details().unwrap()["hint"], command);
    }
}

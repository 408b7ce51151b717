//! Programs that are started, or whose libraries are used: Tesseract and the shells.

use std::collections::BTreeMap;
use std::path::PathBuf;

use tokio_util::sync::CancellationToken;

use super::Finding;
use crate::config::Config;
use crate::ocr;
use crate::policy::{Grant, Permissions, Program};
use crate::shell::{CommandOptions, Settings, Shells};

/// Starts programs to ask for their versions.
pub(super) struct Programs {
    shells: Shells,
    grant: Grant,
}

impl Programs {
    pub(super) fn new() -> Self {
        let directory = std::env::temp_dir();
        let grant = Grant::new(vec![Permissions::all()], directory.clone());
        Self { shells: Shells::new(Settings { shells: BTreeMap::new(), directory, ..Settings::default() }), grant }
    }

    /// The first line that `argv` prints. None where it does not.
    async fn says(&self, argv: &[&str]) -> Option<String> {
        let program = Program::Argv(argv.iter().map(|part| (*part).to_owned()).collect());
        let command = self.grant.command(program).ok()?;
        let options = CommandOptions { timeout: 10.0, ..CommandOptions::default() };
        let done = self.shells.run(command, options, &BTreeMap::new(), &CancellationToken::new()).await.ok()?;
        let text = if done.output.trim().is_empty() { done.error } else { done.output };
        text.lines().find(|line| !line.trim().is_empty()).map(|line| line.trim().to_owned())
    }

    /// Tesseract, and the languages that are configured.
    pub(super) async fn ocr(&self, config: &Config) -> Vec<Finding> {
        if !config.services.ocr {
            return vec![Finding::ok("ocr", "switched off by ENABLE_OCR=false")];
        }
        let wanted = &config.ocr.languages;
        let packages = |languages: &[&String]| {
            let names: Vec<_> = languages.iter().map(|language| format!("tesseract-ocr-{}", language.replace('_', "-"))).collect();
            format!("apt-get install {}", names.join(" "))
        };
        let reader = ocr::Ocr::new(crate::app::ocr_settings(config));
        let installed = match reader.languages() {
            Ok(installed) => installed,
            Err(error) => return vec![Finding::missing("ocr", error.to_string(), packages(&wanted.iter().collect::<Vec<_>>()))],
        };
        let version =
            self.says(&["tesseract", "--version"]).await.unwrap_or_else(|| "Tesseract (its program is not on the PATH)".to_owned());
        let missing: Vec<_> = wanted.iter().filter(|language| !installed.contains(language)).collect();
        let languages = format!("configured {}; installed {}", wanted.join(", "), installed.join(", "));
        let languages = if missing.is_empty() {
            Finding::ok("ocr languages", languages)
        } else {
            Finding::missing("ocr languages", languages, packages(&missing))
        };
        let engine = if installed.is_empty() {
            Finding::missing("ocr", version, "apt-get install tesseract-ocr")
        } else {
            Finding::ok("ocr", version)
        };
        vec![engine, languages]
    }

    /// The shells by the names that the API has for them.
    pub(super) async fn shells(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        for (part, program, needed, mend) in [
            ("bash", "bash", true, "apt-get install bash"),
            ("zsh", "zsh", false, "apt-get install zsh"),
            ("fish", "fish", false, "apt-get install fish"),
            (
                "powershell",
                "pwsh",
                cfg!(windows),
                "see https://learn.microsoft.com/powershell/scripting/install/installing-powershell-on-linux",
            ),
            ("cmd", "cmd", cfg!(windows), "nothing to do: cmd belongs to Windows (under wine: a script `cmd` on the PATH)"),
        ] {
            let finding = match on_path(program) {
                None => Finding::missing(part, format!("{program} is not on the PATH"), mend),
                Some(path) => match self.says(&[program, if program == "cmd" { "/C ver" } else { "--version" }]).await {
                    Some(version) => Finding::ok(part, format!("{}, {version}", path.display())),
                    None => Finding::broken(part, format!("{} does not say its version", path.display()), mend),
                },
            };
            findings.push(if needed { finding } else { finding.optional() });
        }
        findings
    }
}

/// Where a program is, if it is on the `PATH`.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let name = if cfg!(windows) { format!("{program}.exe") } else { program.to_owned() };
    std::env::split_paths(&path).map(|folder| folder.join(&name)).find(|file| is_program(file))
}

fn is_program(file: &std::path::Path) -> bool {
    #[cfg(unix)]
    return rustix::fs::access(file, rustix::fs::Access::EXEC_OK).is_ok() && file.is_file();
    #[cfg(not(unix))]
    return file.is_file();
}

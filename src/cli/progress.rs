//! How a run goes on, on standard error: a moving line on a terminal, a log elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use trae::runs::{Event, Happening, StepStatus};

use super::print;

/// Shows the events of one run.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
}

impl Progress {
    pub(super) fn new(quiet: bool) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} steps  {elapsed}  {msg}") {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, quiet }
    }

    pub(super) fn show(&self, event: &Event) {
        match &event.what {
            Happening::StepStarted { step_id, .. } => {
                if let Some(bar) = &self.bar {
                    bar.set_message(step_id.clone());
                }
            }
            Happening::StepFinished { step_id, node_type, status, error, .. } => {
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
                let kind = node_type.as_ref().map_or_else(String::new, |node_type| format!(" ({node_type})"));
                match error {
                    Some(error) => self.line(&format!("step {step_id}{kind}: {}: {}", name(*status), error.message)),
                    // On a terminal the moving line says it; thousands of lines would not.
                    None if self.bar.is_none() => self.line(&format!("step {step_id}{kind}: {}", name(*status))),
                    None => {}
                }
            }
            Happening::Log { level, message } => self.line(&format!("{level}: {message}")),
            Happening::RunStarted { .. } => {}
            Happening::RunFinished { .. } => {
                if let Some(bar) = &self.bar {
                    bar.finish_and_clear();
                }
            }
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None if !self.quiet => print::note(text),
            None => {}
        }
    }
}

/// A status as the wire writes it.
pub(super) fn name(status: StepStatus) -> String {
    serde_json::to_value(status).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

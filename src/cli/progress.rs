//! How a run goes on, on standard error: a moving line on a terminal, a log elsewhere; at its end, how long it took.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use trae::runs::{Awaited, Event, Happening, StepStatus};

use super::print;

/// Shows the events of one run.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    quiet: bool,
    /// When the run and its open steps began, in microseconds.
    begun: i64,
    open: HashMap<(String, u32), i64>,
    done: usize,
}

impl Progress {
    /// Progress of a run of so many steps, where that is known. `quiet`: standard output is for a program, and nothing is shown.
    pub(super) fn new(quiet: bool, steps: Option<usize>) -> Self {
        let terminal = std::io::stderr().is_terminal() && !quiet;
        let bar = terminal.then(|| {
            let (bar, template) = match steps {
                Some(steps) => (ProgressBar::new(steps as u64), "{spinner} {bar:24} {pos}/{len} steps  {elapsed}  {msg}"),
                None => (ProgressBar::new_spinner(), "{spinner} {pos} steps  {elapsed}  {msg}"),
            };
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { bar, quiet, begun: 0, open: HashMap::new(), done: 0 }
    }

    pub(super) fn show(&mut self, event: &Event) {
        let now = event.timestamp.0;
        match &event.what {
            Happening::RunStarted { .. } => self.begun = now,
            Happening::StepStarted { step_id, attempt, .. } => {
                self.open.insert((step_id.clone(), *attempt), now);
                if let Some(bar) = &self.bar {
                    bar.set_message(step_id.clone());
                }
            }
            Happening::StepFinished { step_id, node_type, attempt, status, error, .. } => {
                self.done += 1;
                // The rounds of a loop are more steps than the graph has nodes.
                if let Some(bar) = self.bar.as_ref().filter(|bar| bar.length().is_none() || !step_id.contains('[')) {
                    bar.inc(1);
                }
                let kind = node_type.as_ref().map_or_else(String::new, |node_type| format!(" ({node_type})"));
                let took = self.open.remove(&(step_id.clone(), *attempt)).map_or_else(String::new, |begun| span(now - begun));
                match error {
                    Some(error) => self.line(&format!("step {step_id}{kind}: {} after {took}: {}", name(*status), error.message)),
                    // On a terminal the moving line says it; thousands of lines would not.
                    None if self.bar.is_none() => self.line(&format!("step {step_id}{kind}: {} in {took}", name(*status))),
                    None => {}
                }
            }
            Happening::WaitStarted { wait } => self.line(&waits(wait)),
            Happening::WaitFinished { .. } => {}
            Happening::Log { level, message } => self.line(&format!("{level}: {message}")),
            Happening::RunFinished { status, .. } => {
                if let Some(bar) = self.bar.take() {
                    bar.finish_and_clear();
                }
                let steps = match self.done {
                    0 => String::new(),
                    1 => "1 step, ".to_owned(),
                    steps => format!("{steps} steps, "),
                };
                self.line(&format!("run {}: {steps}{}", status.as_str(), span(now - self.begun)));
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

/// What a run waits for, in a line.
fn waits(wait: &Awaited) -> String {
    let detail = |name: &str| wait.details.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let until = wait.until.map_or_else(String::new, |until| format!(" until {until}"));
    match wait.kind.as_str() {
        "time" => format!("the run waits{until}"),
        "approval" => format!("the run asks: {}{until}; answer with POST /api/approvals/{} on a server", detail("message"), wait.id),
        "webhook" => format!("the run waits for a call at {:?}{until}", detail("path")),
        kind => format!("the run waits for the {kind} {}", [detail("path"), detail("workflow_id")].concat()),
    }
}

/// A time as people read it.
fn span(microseconds: i64) -> String {
    format!("{:.3} s", Duration::from_micros(microseconds.max(0).unsigned_abs()).as_secs_f64())
}

/// A status as the wire writes it.
pub(super) fn name(status: StepStatus) -> String {
    serde_json::to_value(status).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

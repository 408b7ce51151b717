//! Runs and their steps as tables.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use trae::runs::{Run, RunSummary};

use super::progress::name;

/// Longer outputs are cut.
const WIDEST: usize = 60;

/// Each step with its time and what came of it.
pub(super) fn steps(run: &Run) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["step", "type", "status", "time", "output"]);
    for step in &run.steps {
        let seconds = match (step.started_at, step.finished_at) {
            (Some(from), Some(to)) => format!("{:.3} s", std::time::Duration::from_micros((to.0 - from.0).unsigned_abs()).as_secs_f64()),
            _ => String::new(),
        };
        let output = match (&step.error, &step.output) {
            (Some(error), _) => error.message.clone(),
            (None, Some(output)) => serde_json::to_string(output).unwrap_or_default(),
            (None, None) => String::new(),
        };
        table.add_row([step.step_id.clone(), step.node_type.clone().unwrap_or_default(), name(step.status), seconds, cut(&output)]);
    }
    table.to_string()
}

/// Each run in a line, without what it was given and what came of it.
pub(super) fn runs(runs: &[RunSummary]) -> String {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["run", "of", "by", "created", "status", "error"]);
    for run in runs {
        let of = run.workflow_id.as_ref().or(run.script.as_ref()).cloned().unwrap_or_else(|| "a graph".to_owned());
        let created = run.created_at.to_string().chars().take(19).collect::<String>().replace('T', " ");
        let error = run.error.as_ref().map(|error| cut(&error.message)).unwrap_or_default();
        table.add_row([run.run_id.clone(), of, run.trigger.clone(), created, run.status.as_str().to_owned(), error]);
    }
    table.to_string()
}

fn cut(text: &str) -> String {
    if text.chars().count() > WIDEST { text.chars().take(WIDEST).chain(['…']).collect() } else { text.to_owned() }
}

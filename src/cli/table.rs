//! A finished run as a table.

use comfy_table::Table;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use trae::runs::Run;

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
        let shown: String = if output.chars().count() > WIDEST { output.chars().take(WIDEST).chain(['…']).collect() } else { output };
        table.add_row([step.step_id.clone(), step.node_type.clone().unwrap_or_default(), name(step.status), seconds, shown]);
    }
    table.to_string()
}

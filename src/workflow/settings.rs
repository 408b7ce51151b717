//! The settings of a workflow as a whole: the object `settings` beside its nodes and edges.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// What holds for all runs of a workflow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({ "concurrency": 1, "priority": 5, "timeout": 600, "error_workflow": "tell_somebody" }))]
pub struct WorkflowSettings {
    /// So many of its runs at once, 1–1000; the others wait. 0 or nothing sets no bound.
    #[schema(minimum = 0, maximum = 1000)]
    pub concurrency: Option<u32>,
    /// Runs of a higher priority go first, -10–10; 0 without it.
    #[schema(minimum = -10, maximum = 10)]
    pub priority: Option<i8>,
    /// Seconds for a whole run, waiting included.
    #[schema(exclusive_minimum = 0)]
    pub timeout: Option<f64>,
    /// The stored workflow that is run when a run of this one fails or is interrupted. Its `params` say what failed: `run_id`,
    /// `workflow_id`, `trigger`, `error`.
    pub error_workflow: Option<String>,
    /// The desktop that its nodes mean where they name none; without it the default one.
    #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]{1,64}$")]
    pub target: Option<String>,
}

/// The greatest number of runs of one workflow at once that can be set.
const MAX_CONCURRENCY: u64 = 1000;
/// The highest priority; the lowest is its negative.
pub const MAX_PRIORITY: i8 = 10;

/// Something that is wrong with them: a JSON Pointer into the object, and a sentence.
type Fault = (String, String);

impl WorkflowSettings {
    /// Reads what was drawn. What is wrong is left out, and said.
    pub fn read(drawn: Option<&Value>) -> (Self, Vec<Fault>) {
        let (mut settings, mut faults) = (Self::default(), Vec::new());
        let fields = match drawn {
            None | Some(Value::Null) => return (settings, faults),
            Some(Value::Object(fields)) => fields,
            Some(_) => return (settings, vec![(String::new(), "the settings should be an object".to_owned())]),
        };
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            if let Err(message) = settings.put(name, value) {
                faults.push((format!("/{}", name.replace('~', "~0").replace('/', "~1")), message));
            }
        }
        (settings, faults)
    }

    fn put(&mut self, name: &str, value: &Value) -> Result<(), String> {
        match name {
            "concurrency" => {
                let known = value.as_u64().filter(|number| *number <= MAX_CONCURRENCY).and_then(|number| u32::try_from(number).ok());
                self.concurrency = Some(known.ok_or_else(|| format!("write a whole number from 0 to {MAX_CONCURRENCY}"))?);
            }
            "priority" => {
                let known = value
                    .as_i64()
                    .and_then(|number| i8::try_from(number).ok())
                    .filter(|number| (-MAX_PRIORITY..=MAX_PRIORITY).contains(number));
                self.priority = Some(known.ok_or_else(|| format!("write a whole number from -{MAX_PRIORITY} to {MAX_PRIORITY}"))?);
            }
            "timeout" => {
                let known = value.as_f64().filter(|seconds| *seconds > 0.0 && seconds.is_finite());
                self.timeout = Some(known.ok_or("write a number of seconds above 0")?);
            }
            "error_workflow" => {
                let known = value.as_str().filter(|id| !id.is_empty() && id.len() <= 128);
                self.error_workflow = Some(known.ok_or("write the id of a stored workflow")?.to_owned());
            }
            "target" => {
                let is_name =
                    |name: &&str| name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
                let known = value.as_str().filter(|name| !name.is_empty()).filter(is_name);
                self.target = Some(known.ok_or("write the name of a desktop: letters, digits, _ and -")?.to_owned());
            }
            _ => return Err("a workflow has no such setting: it has concurrency, priority, timeout, error_workflow, target".to_owned()),
        }
        Ok(())
    }

    /// So many of its runs at once, where that is bounded.
    pub fn bound(&self) -> Option<usize> {
        self.concurrency.filter(|bound| *bound > 0).and_then(|bound| usize::try_from(bound).ok())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_right_is_read_and_what_is_wrong_is_said() {
        let (read, faults) = WorkflowSettings::read(Some(&json!({ "concurrency": 2, "priority": -10, "timeout": 1.5 })));
        assert_eq!(read, WorkflowSettings { concurrency: Some(2), priority: Some(-10), timeout: Some(1.5), ..WorkflowSettings::default() });
        assert_eq!((faults, read.bound()), (vec![], Some(2)));
        let (read, faults) = WorkflowSettings::read(Some(
            &json!({ "concurrency": 1.5, "priority": -128, "timeout": 0, "target": "a b", "a/b": 1, "x": null }),
        ));
        assert_eq!(read, WorkflowSettings::default());
        let mut paths: Vec<_> = faults.iter().map(|(path, _)| path.as_str()).collect();
        paths.sort_unstable();
        assert_eq!(paths, ["/a~1b", "/concurrency", "/priority", "/target", "/timeout"]);
    }

    #[test]
    fn nothing_sets_no_bound() {
        for none in [None, Some(json!(null)), Some(json!({})), Some(json!({ "concurrency": 0 }))] {
            let (read, faults) = WorkflowSettings::read(none.as_ref());
            assert_eq!((read.bound(), faults), (None, vec![]));
        }
        assert_eq!(WorkflowSettings::read(Some(&json!([]))).1[0].0, "");
    }
}

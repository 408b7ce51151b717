//! Triggers that are neither drawn nor declared, but made over the API.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::table::{Origin, Told};
use super::{Error, Inner, Source, Trigger, Triggers};
use crate::error::Failure;
use crate::store::triggers::MadeRow;
use crate::workflow::Listens;

/// So many can be made.
const MOST: u32 = 1000;

/// A trigger to be made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "type": "schedule", "source": { "workflow_id": "report" }, "config": { "cron": "0 7 * * MON-FRI", "timezone": "Europe/Berlin" } }))]
pub struct TriggerDraft {
    /// `webhook`, `watch_folder`, `schedule`, `screen` or `startup`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it starts: `{workflow_id}`, from `node_id` on where there is one, or `{script}`.
    pub source: Source,
    /// The fields of the trigger node of that type.
    #[serde(default)]
    #[schema(value_type = Object, required = false)]
    pub config: Map<String, Value>,
    /// What its runs get as parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>, required = false)]
    pub parameters: Option<Map<String, Value>>,
    /// Whether it is switched on.
    #[serde(default = "yes", skip_serializing)]
    #[schema(required = false, default = true)]
    pub enabled: bool,
}

/// The ids of a graph's nodes.
fn nodes(text: Option<&str>) -> Vec<String> {
    let nodes: Vec<Value> = text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    nodes.iter().filter_map(|node| Some(node.get("id")?.as_str()?.to_owned())).collect()
}

fn yes() -> bool {
    true
}

impl Triggers {
    /// Keeps a new trigger.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` with all that is wrong with it; `CONFLICT` where there are too many.
    pub async fn make(&self, draft: TriggerDraft) -> Result<Trigger, Failure> {
        let mut wrong: Vec<(String, String)> = Vec::new();
        if let Err(faults) = Listens::read(&draft.kind, &Value::Object(draft.config.clone())) {
            wrong.extend(
                faults
                    .into_iter()
                    .map(|(path, message)| if path == "/type" { (path, message) } else { (format!("/config{path}"), message) }),
            );
        }
        let source = &draft.source;
        match (&source.workflow_id, &source.script) {
            (Some(workflow), None) => match self.inner.runs.workflows().get(workflow).await? {
                None => wrong.push(("/source/workflow_id".to_owned(), format!("there is no workflow {workflow:?}"))),
                Some(stored) => {
                    let nodes = nodes(stored.graph.get("nodes"));
                    if let Some(node) = source.node_id.as_deref().filter(|node| !nodes.iter().any(|known| known == node)) {
                        wrong.push(("/source/node_id".to_owned(), format!("the workflow has no node {node:?}")));
                    }
                }
            },
            (None, Some(script)) => {
                if !self.inner.runs.has_script(script) {
                    wrong.push(("/source/script".to_owned(), format!("there is no script {script:?}")));
                }
                if source.node_id.is_some() {
                    wrong.push(("/source/node_id".to_owned(), "a script has no nodes".to_owned()));
                }
            }
            _ => wrong.push(("/source".to_owned(), "name what it starts: either `workflow_id` or `script`".to_owned())),
        }
        if !wrong.is_empty() {
            return Err(Error::Wrong(wrong).into());
        }
        let id = uuid::Uuid::now_v7().to_string();
        let row = MadeRow { id: id.clone(), body: serde_json::to_string(&draft).unwrap_or_default() };
        if !self.inner.store.make_trigger(row, draft.enabled, self.inner.clock.now(), MOST).await? {
            return Err(Error::TooMany(MOST).into());
        }
        self.inner.read_made().await?;
        self.get(&id).await
    }

    /// Removes a trigger that was made over the API.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` for one that is drawn or declared, which says where.
    pub async fn remove(&self, id: &str) -> Result<(), Failure> {
        self.follow_library().await?;
        let known = self.inner.table.get(id).ok_or_else(|| Error::no_trigger(id))?;
        match (known.origin, &known.source) {
            (Origin::Made, _) => {}
            (Origin::Declared, source) => {
                return Err(Error::Declared(id.to_owned(), source.script.clone().unwrap_or_default()).into());
            }
            (Origin::Drawn, source) => {
                let (workflow, node) = (source.workflow_id.clone(), source.node_id.clone());
                return Err(Error::Drawn(id.to_owned(), workflow.unwrap_or_default(), node.unwrap_or_default()).into());
            }
        }
        self.inner.store.delete_trigger(id).await?;
        self.inner.read_made().await
    }
}

impl Inner {
    /// Takes in the triggers that were made.
    pub(super) async fn read_made(&self) -> Result<(), Failure> {
        let rows = self.store.made_triggers().await?;
        let disabled: HashSet<String> =
            self.store.triggers().await?.into_iter().filter(|(_, row)| !row.enabled).map(|(id, _)| id).collect();
        self.table.set_disabled(disabled);
        let mut told = Vec::with_capacity(rows.len());
        for MadeRow { id, body } in rows {
            // Only another version, or somebody's hand in the database, writes what cannot be read.
            let Ok(draft) = serde_json::from_str::<TriggerDraft>(&body) else { continue };
            told.push(Told {
                id,
                problem: self.missing(&draft.source).await,
                source: draft.source,
                kind: draft.kind,
                config: Value::Object(draft.config),
                parameters: draft.parameters.map(Value::Object),
            });
        }
        self.table.replace(Origin::Made, "", told);
        Ok(())
    }

    /// Why what a trigger starts cannot be started.
    async fn missing(&self, source: &Source) -> Option<String> {
        match (&source.workflow_id, &source.script) {
            (Some(workflow), _) => match self.runs.workflows().get(workflow).await {
                Ok(Some(stored)) => {
                    let error = |problem: &&crate::workflow::Problem| problem.severity == crate::workflow::Severity::Error;
                    let problems = stored.problems.unwrap_or_default();
                    problems.iter().find(error).map(|problem| format!("the workflow cannot run: {}", problem.message))
                }
                Ok(None) => Some(format!("there is no workflow {workflow:?} any more")),
                Err(failure) => Some(failure.message),
            },
            (None, Some(script)) if !self.runs.has_script(script) => {
                Some(format!("there is no script {script:?} any more, or it is broken"))
            }
            _ => None,
        }
    }
}

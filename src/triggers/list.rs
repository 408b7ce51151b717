//! The triggers there are, whether they may fire or not, and switching them on and off.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{Error, Webhooks};
use crate::error::Failure;
use crate::runs::{DrawnTrigger, Timestamp};

/// A trigger.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({ "id": "orders:hook", "type": "webhook", "source": { "workflow_id": "orders", "node_id": "hook" }, "config": { "path": "orders/new", "methods": ["POST"] }, "enabled": true, "armed": true, "reason": null, "last_fired": "2026-01-20T10:30:00Z", "next_due": null }))]
pub struct Trigger {
    /// Its id: the workflow's and the node's, with a colon between.
    pub id: String,
    /// `webhook`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// Where it is drawn.
    pub source: Source,
    /// What it listens for. Secrets are left out.
    #[schema(value_type = Object)]
    pub config: Value,
    /// Whether nobody switched it off.
    pub enabled: bool,
    /// Whether it starts runs now.
    pub armed: bool,
    /// Why it does not.
    pub reason: Option<String>,
    /// When it last started a run.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_fired: Option<Timestamp>,
    /// When it is to start the next one; none for what waits for others.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_due: Option<Timestamp>,
}

/// Where a trigger is drawn.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Source {
    /// The workflow.
    pub workflow_id: String,
    /// The node in it.
    pub node_id: String,
}

impl Webhooks {
    /// All triggers that are drawn in stored workflows.
    ///
    /// # Errors
    /// Where the stored workflows cannot be read.
    pub async fn list(&self) -> Result<Vec<Trigger>, Failure> {
        let drawn = self.runs().workflows().triggers(None).await?;
        let mut all: Vec<_> = drawn.into_iter().filter_map(|drawn| self.trigger(drawn)).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// One trigger.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, id: &str) -> Result<Trigger, Failure> {
        let missing = || Failure::from(Error::NoTrigger(id.chars().take(300).collect()));
        let (workflow, _) = id.split_once(':').ok_or_else(missing)?;
        let drawn = self.runs().workflows().triggers(Some(workflow)).await.map_err(|failure| match failure.code {
            crate::error::Kind::NotFound => missing(),
            _ => failure,
        })?;
        drawn.into_iter().filter_map(|drawn| self.trigger(drawn)).find(|trigger| trigger.id == id).ok_or_else(missing)
    }

    /// Switches a trigger on or off, for good; gives it as it is then.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn enable(&self, id: &str, enabled: bool) -> Result<Trigger, Failure> {
        let Source { workflow_id, node_id } = self.get(id).await?.source;
        self.runs().workflows().enable_trigger(&workflow_id, &node_id, enabled).await?;
        self.get(id).await
    }

    /// None for a node that starts no run by itself.
    fn trigger(&self, drawn: DrawnTrigger) -> Option<Trigger> {
        let DrawnTrigger { workflow_id, trigger, enabled, problem, last_fired } = drawn;
        if trigger.node_type != "webhook_trigger" {
            return None;
        }
        let reason = if !enabled {
            Some("it is switched off: PATCH it with `{\"enabled\": true}`".to_owned())
        } else if problem.is_some() {
            problem
        } else if !self.is_armed() {
            Some("the service triggers is stopped".to_owned())
        } else {
            None
        };
        let fields =
            ["path", "methods", "respond"].into_iter().filter_map(|name| Some((name.to_owned(), trigger.config.get(name)?.clone())));
        Some(Trigger {
            id: format!("{workflow_id}:{}", trigger.node_id),
            kind: "webhook",
            source: Source { workflow_id, node_id: trigger.node_id },
            config: fields.collect(),
            enabled,
            armed: reason.is_none(),
            reason,
            last_fired,
            next_due: None,
        })
    }
}

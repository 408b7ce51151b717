//! The triggers there are, whether they may fire or not, and switching them on and off.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::table::Known;
use super::{Error, Source, Triggers};
use crate::error::Failure;
use crate::runs::Timestamp;
use crate::store::triggers::TriggerRow;

/// A trigger.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({ "id": "orders:hook", "type": "webhook", "source": { "workflow_id": "orders", "node_id": "hook" }, "config": { "path": "orders/new", "methods": ["POST"] }, "enabled": true, "armed": true, "reason": null, "last_fired": "2026-01-20T10:30:00Z", "next_due": null }))]
pub struct Trigger {
    /// Its id: the workflow's and the node's, with a colon between; `script:`, the script's path, `#` and its number in the header; or one
    /// of its own where it was made over the API.
    pub id: String,
    /// `webhook`, `watch_folder`, `schedule` or `startup`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it is drawn or declared, or what it starts.
    pub source: Source,
    /// What it listens for. Secrets are left out.
    #[schema(value_type = Object)]
    pub config: Value,
    /// What its runs get as parameters, where it was made with some.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Whether nobody switched it off.
    pub enabled: bool,
    /// Whether it starts runs now.
    pub armed: bool,
    /// Why it does not, or what keeps it from doing so at the moment.
    pub reason: Option<String>,
    /// When it last started a run.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_fired: Option<Timestamp>,
    /// When it is to start the next one; none for what waits for others.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_due: Option<Timestamp>,
}

impl Triggers {
    /// All triggers, by id.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn list(&self) -> Result<Vec<Trigger>, Failure> {
        self.follow_library().await?;
        let rows = self.inner.store.triggers().await?;
        Ok(self.inner.table.all().iter().map(|known| self.trigger(known, rows.get(&*known.id))).collect())
    }

    /// One trigger.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn get(&self, id: &str) -> Result<Trigger, Failure> {
        self.follow_library().await?;
        let known = self.inner.table.get(id).ok_or_else(|| Error::no_trigger(id))?;
        let rows = self.inner.store.triggers().await?;
        Ok(self.trigger(&known, rows.get(id)))
    }

    /// Switches a trigger on or off, for good; gives it as it is then. A schedule that is switched on makes up for nothing.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn enable(&self, id: &str, enabled: bool) -> Result<Trigger, Failure> {
        self.get(id).await?;
        self.inner.store.enable_trigger(id, enabled, self.inner.clock.now()).await?;
        self.inner.table.enable(id, enabled);
        self.get(id).await
    }

    fn trigger(&self, known: &Known, row: Option<&TriggerRow>) -> Trigger {
        let reason = if !known.enabled {
            Some("it is switched off: PATCH it with `{\"enabled\": true}`".to_owned())
        } else if known.problem.is_some() {
            known.problem.clone()
        } else if !self.is_armed() {
            Some("the service triggers is stopped".to_owned())
        } else {
            None
        };
        let mut config = known.config.clone();
        if let Some(fields) = config.as_object_mut() {
            fields.shift_remove("secret");
        }
        let armed = reason.is_none();
        Trigger {
            id: known.id.to_string(),
            kind: known.kind.clone(),
            source: known.source.clone(),
            config,
            parameters: known.parameters.clone(),
            enabled: known.enabled,
            armed,
            reason: reason.or_else(|| known.status.note()),
            last_fired: row.and_then(|row| row.last_fired).map(Timestamp),
            next_due: known.status.next_due().filter(|_| armed).map(Timestamp),
        }
    }
}

//! Stored node configs: what several nodes share, checked against their type when it is stored and again wherever it is used.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::workflows::{new_id, same_id};
use super::{Error, Runs, Timestamp};
use crate::error::Failure;
use crate::store::node_configs::NodeConfigRow;

/// A node config as it is sent.
#[derive(Debug, Clone, Deserialize)]
pub struct NodeConfigDraft {
    /// Its id; made where it is missing.
    #[serde(default)]
    pub id: Option<String>,
    /// The type of the nodes it is for.
    pub node_type: String,
    /// Its fields.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// What a client keeps beside it.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
}

/// A stored node config.
#[derive(Debug, Clone, Serialize)]
pub struct NodeConfig {
    /// Its id.
    pub id: String,
    /// The type of the nodes it is for.
    pub node_type: String,
    /// Its fields.
    pub config: Map<String, Value>,
    /// What a client keeps beside it.
    pub metadata: Option<Map<String, Value>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A list of node configs.
#[derive(Debug, Clone, Serialize)]
pub struct NodeConfigPage {
    /// Newest first.
    pub node_configs: Vec<NodeConfig>,
    /// How many match in all.
    pub count: u64,
}

/// The stored node configs.
#[derive(Clone)]
pub struct NodeConfigs {
    pub(super) runs: Runs,
}

impl NodeConfigs {
    /// Keeps a new node config, under its own `id` or a new one.
    ///
    /// # Errors
    /// `VALIDATION_ERROR` for an unknown type, a config that its type does not accept, a malformed id; `CONFLICT` for one that is taken.
    pub async fn create(&self, draft: NodeConfigDraft) -> Result<NodeConfig, Failure> {
        let id = new_id(draft.id.as_deref())?;
        let row = self.row(id, draft).await?;
        self.runs.inner.store.create_node_config(row.clone()).await?;
        self.changed(&row.id).await?;
        Ok(node_config(row))
    }

    /// Replaces a node config. Workflows that name it run with the new one from now on.
    ///
    /// # Errors
    /// As [`NodeConfigs::create`]; `NOT_FOUND`; another `id` than its own is a `VALIDATION_ERROR`.
    pub async fn update(&self, id: &str, draft: NodeConfigDraft) -> Result<NodeConfig, Failure> {
        same_id(id, draft.id.as_deref(), "node config")?;
        if self.get(id).await?.is_none() {
            return Err(Error::NotFound { kind: "node_config", id: id.to_owned() }.into());
        }
        let row = self.row(id.to_owned(), draft).await?;
        let row = self.runs.inner.store.update_node_config(row).await?;
        self.changed(id).await?;
        Ok(node_config(row))
    }

    /// The node config of that id.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<NodeConfig>, Failure> {
        Ok(self.runs.inner.store.node_config(id).await?.map(node_config))
    }

    /// Node configs, newest first, of one type or of all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn list(&self, node_type: Option<&str>, limit: u32, offset: u32) -> Result<NodeConfigPage, Failure> {
        let (rows, count) = self.runs.inner.store.node_configs(node_type.map(str::to_owned), limit, offset).await?;
        Ok(NodeConfigPage { node_configs: rows.into_iter().map(node_config).collect(), count })
    }

    /// Removes a node config.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` with `details.workflows` while stored workflows name it.
    pub async fn delete(&self, id: &str) -> Result<(), Failure> {
        self.runs.inner.store.delete_node_config(id).await?;
        self.runs.inner.programs.forget_all();
        Ok(())
    }

    /// What a draft is kept as, once it is found to be right.
    async fn row(&self, id: String, draft: NodeConfigDraft) -> Result<NodeConfigRow, Error> {
        let (inner, node_type, config) = (Arc::clone(&self.runs.inner), draft.node_type.clone(), draft.config.clone());
        let checking = tokio::task::spawn_blocking(move || inner.programs.library.check_config(&node_type, &config));
        let faults = match checking.await.map_err(|_| Error::Stopping)? {
            Ok(faults) => faults.into_iter().map(|(path, message)| (format!("/config{path}"), message)).collect(),
            Err(unknown) => vec![("/node_type".to_owned(), unknown)],
        };
        if !faults.is_empty() {
            return Err(Error::Validation(faults));
        }
        let now = Timestamp::now().0;
        Ok(NodeConfigRow {
            id,
            node_type: draft.node_type,
            config: Value::Object(draft.config).to_string(),
            metadata: draft.metadata.map(|metadata| Value::Object(metadata).to_string()),
            created_at: now,
            updated_at: now,
        })
    }

    /// Workflows that name it are compiled anew, and their triggers armed anew, before whoever changed it gets an answer.
    async fn changed(&self, id: &str) -> Result<(), Failure> {
        self.runs.inner.programs.forget_all();
        for (workflow, _) in self.runs.inner.store.workflows_with_config(id).await? {
            match self.runs.workflows().announce_one(&workflow).await {
                // Deleted in between.
                Err(failure) if failure.code == crate::error::Kind::NotFound => {}
                announced => announced?,
            }
        }
        Ok(())
    }
}

fn node_config(row: NodeConfigRow) -> NodeConfig {
    NodeConfig {
        id: row.id,
        node_type: row.node_type,
        config: serde_json::from_str(&row.config).unwrap_or_default(),
        metadata: row.metadata.and_then(|text| serde_json::from_str(&text).ok()),
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
    }
}

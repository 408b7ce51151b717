//! Stored graphs, compiled: with the node configs that they name, once for each change.

use std::sync::Arc;

use super::Error;
use super::execute::Inner;
use super::programs::PreparedGraph;
use crate::store::node_configs::NodeConfigRow;
use crate::store::workflows::WorkflowRow;
use crate::workflow::{Graph, Problem, Severity, StoredConfig, StoredConfigs};

/// Graphs of fewer nodes compile within a fraction of a millisecond.
const SMALL: usize = 50;

impl Inner {
    /// The stored workflow of that id, compiled: once for each change to it or to the library.
    pub(super) async fn graph(self: &Arc<Self>, id: &str) -> Result<Arc<PreparedGraph>, Error> {
        let (known, seen) = self.programs.workflow(id);
        if let Some(known) = known {
            return Ok(known);
        }
        let row = self.row(id).await?;
        let graph = Arc::new(self.stored(&row).await?);
        self.programs.keep(id, &graph, seen);
        Ok(graph)
    }

    /// A stored workflow, compiled, and how far it is trusted.
    pub(super) async fn stored(self: &Arc<Self>, row: &WorkflowRow) -> Result<PreparedGraph, Error> {
        let drawn: Graph = serde_json::from_str(&row.body).map_err(|error| unreadable(&error))?;
        let compiled = self.compile(drawn.clone()).await?;
        let standing = self.standing(row, &drawn, &compiled.declared()).await?;
        Ok(PreparedGraph { standing, ..compiled })
    }

    async fn row(&self, id: &str) -> Result<WorkflowRow, Error> {
        self.store.workflow(id).await?.ok_or_else(|| Error::NotFound { kind: "workflow", id: id.to_owned() })
    }

    /// The stored workflow of that id, as it is drawn.
    pub(super) async fn drawn(&self, id: &str) -> Result<Graph, Error> {
        serde_json::from_str(&self.row(id).await?.body).map_err(|error| unreadable(&error))
    }

    /// Compiles a graph with the stored configs that it names. A large one takes a while, which must hold nobody up.
    pub(super) async fn compile(self: &Arc<Self>, graph: Graph) -> Result<PreparedGraph, Error> {
        let configs = self.configs_of(&graph).await?;
        if graph.nodes.len() < SMALL {
            return Ok(self.programs.compile(&graph, &configs));
        }
        let inner = Arc::clone(self);
        let compiling = tokio::task::spawn_blocking(move || inner.programs.compile(&graph, &configs));
        // It ends early only where the whole server does.
        compiling.await.map_err(|_| Error::Stopping)
    }

    /// The stored configs that a graph's nodes name, as far as there are.
    async fn configs_of(&self, graph: &Graph) -> Result<StoredConfigs, Error> {
        let ids: Vec<String> = graph.config_ids().into_iter().map(str::to_owned).collect();
        if ids.is_empty() {
            return Ok(StoredConfigs::new());
        }
        let rows = self.store.node_configs_of(ids).await?;
        let stored = |row: NodeConfigRow| {
            let config = serde_json::from_str(&row.config).unwrap_or_default();
            (row.id, StoredConfig { node_type: row.node_type, config })
        };
        Ok(rows.into_iter().map(stored).collect())
    }
}

/// Stored text that is no graph: only another version's, or somebody's hand in the database.
pub(super) fn unreadable(error: &serde_json::Error) -> Error {
    let message = format!("the stored graph cannot be read ({error}): save the workflow anew");
    Error::Invalid(vec![Problem { node_id: None, path: String::new(), message, severity: Severity::Error }])
}

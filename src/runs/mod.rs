//! Runs: from a workflow or a script to a finished record, with every step in the journal.
//!
//! Here: who may run and when, the journal of a run and its events, cancel, history, and the stored workflows and node configs. Not here: how a script
//! runs (`host`), how a graph becomes one (`workflow`), how rows are kept (`store`), what starts runs by itself (`triggers`).

mod approvals;
mod audited;
mod children;
mod counts;
mod error;
mod event;
mod execute;
mod export;
mod going_on;
mod graphs;
mod held_up;
mod history;
mod library;
mod live;
mod masked;
mod node_configs;
mod only;
mod order;
mod owner;
mod programs;
mod queue;
mod queued;
mod record;
mod resume;
mod retention;
mod ticket;
mod timestamp;
mod trust;
mod values;
mod versions;
mod waits;
mod workflows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use approvals::{Approval, AwaitedWebhook, Decide};
pub use counts::Figures;
pub use error::Error;
pub use event::{Event, Happening};
use execute::{Halt, Inner};
pub use export::Export;
pub use history::RunFilter;
pub use library::{CompiledGraph, Library, LoadedScript, Runner};
pub use live::Ended;
pub use node_configs::{NodeConfig, NodeConfigDraft, NodeConfigPage, NodeConfigs};
pub use only::only_these;
use order::Order;
pub use order::{Execute, Stepper};
pub use queue::Queued;
pub use queued::{QueueLimits, QueueView, RunInQueue};
pub use record::{Awaited, LogLine, Run, RunError, RunPage, RunStatus, RunSummary, SharedJson, Step, StepStatus};
pub use resume::{Recovered, Retry};
pub use ticket::Ticket;
pub use timestamp::Timestamp;
pub use trust::{ApprovedScript, Trust};
pub use values::{RunFile, StepImages, ValueRef};
pub use versions::{Author, Difference, MadeBy, ShownAs, Thing, Version, VersionPage, Versions};
pub use workflows::{Checked, Observer, Workflow, WorkflowPage, Workflows};

use crate::error::Failure;
use crate::policy::{Commands, Kept, Permissions};
use crate::store::Store;
use crate::workflow::Graph;
use programs::Programs;

/// What runs may do, and how many at a time.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The folder in which relative paths lie.
    pub files: PathBuf,
    /// What the settings allow at most.
    pub allowed: Permissions,
    /// What no permission opens.
    pub closed: Arc<Kept>,
    /// Which commands may be started.
    pub commands: Commands,
    /// What of the sandbox is missing on this machine; what came from elsewhere does not run there.
    pub lacking: Option<String>,
    /// Whether scripts of the folders that declare anything run only once they were approved.
    pub script_approval: bool,
    /// So many run at the same time (64); the others are queued.
    pub max_runs: usize,
    /// So many may be queued (10,000); the others are refused.
    pub max_queued: usize,
    /// So many runs that are over stay on record (100,000), the newest; none for all.
    pub kept: Option<u64>,
    /// They stay so long after their end (90 days); none for ever.
    pub kept_for: Option<Duration>,
    /// So many versions of each workflow and script are kept; 0 (the usual) keeps all.
    pub versions_kept: u32,
}

impl Settings {
    /// The usual numbers.
    pub fn new(files: impl Into<PathBuf>, allowed: Permissions) -> Self {
        let days = |days: u64| Duration::from_secs(days * 86_400);
        let (kept, kept_for) = (Some(100_000), Some(days(90)));
        Self {
            files: files.into(),
            allowed,
            closed: Arc::default(),
            commands: Commands::default(),
            lacking: None,
            script_approval: false,
            max_runs: 64,
            max_queued: 10_000,
            kept,
            kept_for,
            versions_kept: 0,
        }
    }
}

/// All runs. Clones share them.
#[derive(Clone)]
pub struct Runs {
    inner: Arc<Inner>,
    observers: Arc<workflows::Observers>,
    /// What those that are started through this may do at most; none where only the settings say so.
    within: Option<Arc<Permissions>>,
    /// Who starts them, for the audit log; none where it is their trigger.
    by: Option<Arc<str>>,
    /// The only workflows that are run through this, and whose runs are to be seen; none for all.
    only: Option<Arc<[String]>>,
}

impl Runs {
    /// Runs that are kept in `store`, made by `library`, done by `runner`.
    pub fn new(store: Store, runner: Arc<dyn Runner>, library: Arc<dyn Library>, settings: Settings) -> Self {
        let inner = Arc::new(Inner::new(store, Programs::new(library), runner, settings));
        Self { inner, observers: Arc::default(), within: None, by: None, only: None }
    }

    /// The same runs, for somebody who may do no more than `allowed`: what is started through them is held to it.
    #[must_use]
    pub fn within(&self, allowed: Permissions) -> Self {
        Self { within: Some(Arc::new(allowed)), ..self.clone() }
    }

    /// The same runs, for whoever is called that in the audit log.
    #[must_use]
    pub fn by(&self, actor: &str) -> Self {
        Self { by: Some(actor.into()), ..self.clone() }
    }

    /// The same runs, for somebody who runs these workflows only, and looks at their runs only.
    #[must_use]
    pub fn only(&self, workflows: &[String]) -> Self {
        Self { only: Some(workflows.into()), ..self.clone() }
    }

    /// The stored workflows.
    pub fn workflows(&self) -> Workflows {
        Workflows { runs: self.clone(), author: Author::default() }
    }

    /// What workflows and scripts were.
    pub fn versions(&self) -> Versions {
        Versions { runs: self.clone() }
    }

    /// The stored node configs.
    pub fn node_configs(&self) -> NodeConfigs {
        NodeConfigs { runs: self.clone() }
    }

    /// Grows whenever a script or a node type changed.
    pub fn library_generation(&self) -> u64 {
        self.inner.programs.library.generation()
    }

    /// The triggers that scripts declare in their headers, by the script's path: each its type and its fields.
    pub fn script_triggers(&self) -> Vec<(String, Vec<(String, serde_json::Value)>)> {
        self.inner.programs.library.script_triggers()
    }

    /// Whether there is a script at that path.
    pub fn has_script(&self, path: &str) -> bool {
        self.inner.programs.library.script(path).is_some()
    }

    /// Runs a stored workflow. Resolves once the run is on record (at once for one that is [`Execute::awaited`]); it may have begun by
    /// then.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_WORKFLOW` with `details.problems`, `APPROVAL_REQUIRED`, `RATE_LIMITED`, `STORAGE_FULL`; `PERMISSION_DENIED`
    /// where it is none of [`Runs::only`].
    pub async fn execute_workflow(&self, id: &str, execute: Execute) -> Result<Ticket, Failure> {
        self.check_workflow(Some(id))?;
        let graph = self.workflows().prepared(id).await?;
        graph.check_start(execute.start_node.as_deref())?;
        graph.check_until(execute.mode.until.as_deref())?;
        let order = Order { kind: "workflow", workflow_id: Some(id.to_owned()), script: None, prepared: graph.ready()? };
        graph.check_trust(id)?;
        Ok(self.inner.start(order, execute, self, graph.standing.ceiling.clone()).await?)
    }

    /// Runs one node of a stored workflow alone: it works on [`Execute::input`].
    ///
    /// # Errors
    /// As [`Runs::execute_workflow`]; `VALIDATION_ERROR` where there is no such node.
    pub async fn execute_node(&self, id: &str, node: &str, execute: Execute) -> Result<Ticket, Failure> {
        self.check_workflow(Some(id))?;
        let stored = self.workflows().prepared(id).await?;
        stored.check_trust(id)?;
        let mut graph = self.inner.drawn(id).await?;
        graph.nodes.retain(|other| other.id == node);
        graph.edges.clear();
        if graph.nodes.is_empty() {
            return Err(Error::Validation(vec![("/only".to_owned(), format!("the workflow has no node {node:?}"))]).into());
        }
        let prepared = self.inner.compile(graph).await?.ready()?;
        let order = Order { kind: "workflow", workflow_id: Some(id.to_owned()), script: None, prepared };
        let execute = Execute { start_node: Some(node.to_owned()), ..execute };
        Ok(self.inner.start(order, execute, self, stored.standing.ceiling.clone()).await?)
    }

    /// Runs a graph that is not stored.
    ///
    /// # Errors
    /// As [`Runs::execute_workflow`].
    pub async fn execute_graph(&self, graph: &Graph, execute: Execute) -> Result<Ticket, Failure> {
        self.check_workflow(None)?;
        let graph = self.inner.compile(graph.clone()).await?;
        graph.check_start(execute.start_node.as_deref())?;
        let order = Order { kind: "workflow", workflow_id: None, script: None, prepared: graph.ready()? };
        Ok(self.inner.start(order, execute, self, None).await?)
    }

    /// Runs a script of the library.
    ///
    /// # Errors
    /// `NOT_FOUND`; `APPROVAL_REQUIRED`; `VALIDATION_ERROR` for parameters that its header does not accept; `RATE_LIMITED`, `STORAGE_FULL`.
    pub async fn execute_script(&self, path: &str, execute: Execute) -> Result<Ticket, Failure> {
        self.check_workflow(None)?;
        let (prepared, parameters) = self.inner.programs.script(path, execute.parameters)?;
        let ceiling = self.inner.check_script(path, &prepared).await?;
        let order = Order { kind: "script", workflow_id: None, script: Some(path.to_owned()), prepared };
        Ok(self.inner.start(order, Execute { parameters, ..execute }, self, ceiling).await?)
    }

    /// Runs a script that is in no folder; `name` is how errors and history name it.
    ///
    /// # Errors
    /// `SCRIPT_ERROR` for a header that cannot be read; as [`Runs::execute_script`].
    pub async fn execute_source(&self, name: &str, source: &str, execute: Execute) -> Result<Ticket, Failure> {
        self.check_workflow(None)?;
        let prepared = self.inner.programs.source(name, source, &execute)?;
        let order = Order { kind: "script", workflow_id: None, script: Some(name.to_owned()), prepared };
        Ok(self.inner.start(order, execute, self, None).await?)
    }

    /// What a run is held to that is started through this: what whoever starts it may do, and whoever made it.
    fn held_to(&self, ceiling: Option<Permissions>) -> Vec<Permissions> {
        self.within.iter().map(|within| (**within).clone()).chain(ceiling).collect()
    }

    /// Starts no more runs and stops those that go on, for good. What can be gone on with is left for the next start; what cannot is
    /// `interrupted`, and on record as such.
    pub async fn shutdown(&self) {
        self.inner.stop(Halt::Ending).await;
    }

    /// The same, until [`Runs::resume`].
    pub async fn pause(&self) {
        self.inner.stop(Halt::Stopped).await;
    }

    /// What they have come to since the server started, and what they do now.
    pub fn figures(&self) -> Figures {
        let live: Vec<_> = self.inner.live().values().cloned().collect();
        let running = live.iter().filter(|live| live.has_begun()).count();
        self.inner.counts.figures(running, live.len() - running, self.inner.store.size())
    }
}

//! Stored workflows: kept as drawn, with all that is wrong with them said alongside.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::programs::{PreparedGraph, Programs};
use super::trust::Trust;
use super::versions::Author;
use super::{Error, Runs, Timestamp};
use crate::error::Failure;
use crate::policy::is_device;
use crate::store::trust::Maker;
use crate::store::versions::{NewVersion, Versioned};
use crate::store::workflows::{WorkflowIndex, WorkflowRow};
use crate::workflow::{Drawing, Fields, Graph, Problem, Trigger};

/// A stored workflow: its graph's fields at the top level, and what the server knows of it.
#[derive(Debug, Clone, Serialize)]
pub struct Workflow {
    /// Its id.
    pub id: String,
    /// The graph as drawn: `name`, `description`, `nodes`, `edges`, and whatever else came with it.
    #[serde(flatten)]
    pub graph: Fields,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// All that is wrong with it; left out in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<Problem>>,
    /// How far it is trusted; left out in lists, as what follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trust: Option<Trust>,
    /// Whether it can be run and its triggers are armed, as far as trust goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// What it does, in a line each: `shell = ["bash"]`, `schedule_trigger`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Vec<String>>,
}

/// A list of workflows.
#[derive(Debug, Clone, Serialize)]
pub struct WorkflowPage {
    /// Newest first.
    pub workflows: Vec<Workflow>,
    /// How many match in all.
    pub count: u64,
}

/// Hears of changes to stored workflows, before whoever made them gets an answer.
pub trait Observer: Send + Sync {
    /// A workflow was made or changed: its triggers now, and why it cannot run, if it cannot.
    fn changed(&self, id: &str, triggers: &[Trigger], problem: Option<&str>);
    /// A workflow is gone.
    fn deleted(&self, id: &str);
}

/// What a graph that comes from elsewhere may say of itself, and nobody believes.
const NOT_IMPORTED: [&str; 4] = ["approved", "approved_by", "owner", "permissions"];

/// Those who want to hear.
#[derive(Default)]
pub(super) struct Observers {
    all: Mutex<Vec<Arc<dyn Observer>>>,
}

impl Observers {
    fn each(&self, tell: impl Fn(&dyn Observer)) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|observer| tell(observer.as_ref()));
    }

    /// Tells of the triggers of a workflow.
    fn changed(&self, id: &str, graph: &PreparedGraph) {
        let problem = graph.ready().err().or_else(|| graph.check_trust(id).err()).map(|error| error.to_string());
        self.each(|observer| observer.changed(id, &graph.compiled.triggers, problem.as_deref()));
    }
}

/// The stored workflows.
#[derive(Clone)]
pub struct Workflows {
    pub(super) runs: Runs,
    pub(super) author: Author,
}

impl Workflows {
    /// The same for somebody: the versions that they make say so.
    #[must_use]
    pub fn by(&self, author: Author) -> Self {
        Self { author, ..self.clone() }
    }

    /// Tells `observer` of each change from now on.
    pub fn observe(&self, observer: Arc<dyn Observer>) {
        self.runs.observers.all.lock().unwrap_or_else(PoisonError::into_inner).push(observer);
    }

    /// Keeps a new workflow, under its own `id` or a new one.
    ///
    /// # Errors
    /// A malformed id is a `VALIDATION_ERROR`, a taken one a `CONFLICT`.
    pub async fn create(&self, graph: Graph) -> Result<Workflow, Failure> {
        self.create_drawn(graph.into()).await
    }

    /// The same for a graph that is to keep the text it came as.
    ///
    /// # Errors
    /// As [`Workflows::create`].
    pub async fn create_drawn(&self, drawing: Drawing) -> Result<Workflow, Failure> {
        let id = new_id(drawing.graph().id.as_deref())?;
        let row = row(&id, &drawing);
        let version = self.version(&row, self.author.clone());
        let maker = self.runs.maker();
        self.runs.inner.store.create_workflow(row.clone(), index(&id, drawing.graph()), version, maker).await?;
        self.stored(row).await
    }

    /// Keeps a workflow that comes from elsewhere, under a new id: it does not run until somebody approves of it.
    ///
    /// # Errors
    /// `STORAGE_FULL`.
    pub async fn import(&self, drawing: Drawing) -> Result<Workflow, Failure> {
        let drawing = drawing.without(&NOT_IMPORTED);
        let id = new_id(None)?;
        let row = row(&id, &drawing);
        let version = self.version(&row, self.author.clone());
        let maker = Maker { imported: true, ..self.runs.maker() };
        self.runs.inner.store.create_workflow(row.clone(), index(&id, drawing.graph()), version, maker).await?;
        self.stored(row).await
    }

    /// Replaces a workflow's graph.
    ///
    /// # Errors
    /// `NOT_FOUND`; an `id` in the graph that is another's is a `VALIDATION_ERROR`.
    pub async fn update(&self, id: &str, graph: Graph) -> Result<Workflow, Failure> {
        self.update_drawn(id, graph.into()).await
    }

    /// The same for a graph that is to keep the text it came as.
    ///
    /// # Errors
    /// As [`Workflows::update`].
    pub async fn update_drawn(&self, id: &str, drawing: Drawing) -> Result<Workflow, Failure> {
        same_id(id, drawing.graph().id.as_deref(), "workflow")?;
        let row = row(id, &drawing);
        let version = self.version(&row, self.author.clone());
        let maker = self.runs.maker();
        let row = self.runs.inner.store.update_workflow(row, index(id, drawing.graph()), version, maker).await?;
        self.stored(row).await
    }

    /// Stores a workflow as it was, whether it is there or not.
    pub(super) async fn restored(&self, id: &str, drawing: Drawing, body: String, author: Author) -> Result<Workflow, Failure> {
        let row = WorkflowRow { body, ..row(id, &drawing) };
        let version = self.version(&row, author);
        let maker = self.runs.maker();
        let row = self.runs.inner.store.restore_workflow(row, index(id, drawing.graph()), version, maker).await?;
        self.stored(row).await
    }

    fn version(&self, row: &WorkflowRow, author: Author) -> NewVersion {
        self.runs.versions().new_version(Versioned::Workflow, &row.id, &row.body, author)
    }

    /// The workflow of that id, with its problems.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<Workflow>, Failure> {
        let Some(row) = self.runs.inner.store.workflow(id).await? else { return Ok(None) };
        Ok(Some(shown(row, self.prepared(id).await?.as_ref())))
    }

    /// Workflows, newest first, whose name, description or id contains `search`.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn list(&self, search: Option<&str>, limit: u32, offset: u32) -> Result<WorkflowPage, Failure> {
        let (rows, count) = self.runs.inner.store.workflows(search.map(str::to_owned), limit, offset).await?;
        Ok(WorkflowPage { workflows: rows.into_iter().map(workflow).collect(), count })
    }

    /// Removes a workflow; its runs and versions stay on record.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` while it runs.
    pub async fn delete(&self, id: &str) -> Result<(), Failure> {
        if self.runs.inner.live().values().any(|live| live.head.workflow_id.as_deref() == Some(id)) {
            return Err(Error::Running { id: id.to_owned() }.into());
        }
        self.runs.inner.store.delete_workflow(id).await?;
        self.programs().forget(id);
        self.runs.observers.each(|observer| observer.deleted(id));
        Ok(())
    }

    /// Compiles a graph without keeping it.
    ///
    /// # Errors
    /// Where the stored node configs cannot be read.
    pub async fn check(&self, graph: Graph) -> Result<Checked, Failure> {
        new_id(graph.id.as_deref())?;
        let graph = self.compile(graph).await?;
        let program = graph.prepared.map(|prepared| Arc::clone(&prepared.program));
        Ok(Checked {
            valid: program.is_some(),
            problems: graph.compiled.problems,
            script: program.as_ref().map(|program| program.source.clone()),
            permissions: program.map(|program| program.permissions.clone()).unwrap_or_default(),
        })
    }

    /// The script that a stored workflow compiles to.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_WORKFLOW`.
    pub async fn script(&self, id: &str) -> Result<String, Failure> {
        Ok(self.prepared(id).await?.ready()?.program.source.clone())
    }

    /// Tells all observers of all workflows: at the start, and when node types changed.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn announce(&self) -> Result<(), Failure> {
        for id in self.ids().await? {
            self.announce_one(&id).await?;
        }
        Ok(())
    }

    /// Tells all observers of one workflow.
    pub(super) async fn announce_one(&self, id: &str) -> Result<(), Failure> {
        let graph = self.prepared(id).await?;
        self.runs.observers.changed(id, &graph);
        Ok(())
    }

    /// The ids of all stored workflows, newest first.
    async fn ids(&self) -> Result<Vec<String>, Failure> {
        let mut ids = Vec::new();
        loop {
            let offset = u32::try_from(ids.len()).unwrap_or(u32::MAX);
            let (rows, _) = self.runs.inner.store.workflows(None, 100, offset).await?;
            let read = rows.len();
            ids.extend(rows.into_iter().map(|row| row.id));
            if read < 100 {
                return Ok(ids);
            }
        }
    }

    /// The workflow, compiled: once for each change to it or to the library.
    pub(super) async fn prepared(&self, id: &str) -> Result<Arc<PreparedGraph>, Error> {
        self.runs.inner.graph(id).await
    }

    pub(super) async fn compile(&self, graph: Graph) -> Result<PreparedGraph, Error> {
        self.runs.inner.compile(graph).await
    }

    fn programs(&self) -> &Programs {
        &self.runs.inner.programs
    }

    /// What was just written, compiled; everyone hears of it.
    async fn stored(&self, row: WorkflowRow) -> Result<Workflow, Failure> {
        self.programs().forget(&row.id);
        let (_, seen) = self.programs().workflow(&row.id);
        let graph = Arc::new(self.runs.inner.stored(&row).await?);
        self.programs().keep(&row.id, &graph, seen);
        self.runs.observers.changed(&row.id, &graph);
        Ok(shown(row, &graph))
    }
}

/// What a graph would do.
#[derive(Debug, Clone, Serialize)]
pub struct Checked {
    /// Whether it can run.
    pub valid: bool,
    /// All that is wrong with it.
    pub problems: Vec<Problem>,
    /// The script it compiles to.
    pub script: Option<String>,
    /// What it needs.
    pub permissions: crate::policy::Permissions,
}

/// The id of something new: the client's own or a new one.
pub(super) fn new_id(asked: Option<&str>) -> Result<String, Error> {
    match asked {
        None => Ok(uuid::Uuid::now_v7().to_string()),
        Some(id) if is_id(id) => Ok(id.to_owned()),
        Some(_) => {
            let message = "an id has 1 to 128 letters, digits, hyphens and underscores, and is no device of Windows as CON".to_owned();
            Err(Error::Validation(vec![("/id".to_owned(), message)]))
        }
    }
}

/// Refuses another id than that of the thing that is changed.
pub(super) fn same_id(id: &str, asked: Option<&str>, what: &str) -> Result<(), Error> {
    if asked.is_none_or(|other| other == id) {
        return Ok(());
    }
    let message = format!("this {what}'s id is {id:?}: leave the field out, or create a new {what}");
    Err(Error::Validation(vec![("/id".to_owned(), message)]))
}

fn is_id(id: &str) -> bool {
    (1..=128).contains(&id.len()) && !is_device(id) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn row(id: &str, drawing: &Drawing) -> WorkflowRow {
    let now = Timestamp::now().0;
    let graph = drawing.graph();
    WorkflowRow {
        id: id.to_owned(),
        name: graph.name.clone(),
        description: graph.description.clone().unwrap_or_default(),
        body: serde_json::to_string(drawing.fields()).unwrap_or_default(),
        created_at: now,
        updated_at: now,
    }
}

fn index(id: &str, graph: &Graph) -> WorkflowIndex {
    let text = format!("{}\n{}\n{id}", graph.name, graph.description.as_deref().unwrap_or_default());
    WorkflowIndex { search: text.to_lowercase(), configs: graph.config_ids().into_iter().map(str::to_owned).collect() }
}

/// A workflow with what compiling it came to.
fn shown(row: WorkflowRow, graph: &PreparedGraph) -> Workflow {
    Workflow {
        problems: Some(graph.compiled.problems.clone()),
        trust: Some(graph.standing.trust),
        enabled: Some(graph.standing.trust != Trust::Untrusted),
        capabilities: Some(graph.capabilities()),
        ..workflow(row)
    }
}

fn workflow(row: WorkflowRow) -> Workflow {
    Workflow {
        id: row.id,
        graph: serde_json::from_str(&row.body).unwrap_or_default(),
        created_at: Timestamp(row.created_at),
        updated_at: Timestamp(row.updated_at),
        problems: None,
        trust: None,
        enabled: None,
        capabilities: None,
    }
}

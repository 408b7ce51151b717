//! Who a workflow or a script is trusted by, and how far.
//!
//! What came from elsewhere runs only once somebody approved of it, who may grant all that it asks for, and only as they saw it: the
//! approval is bound to its content. What somebody drew who may do less than it declares may do no more than they, whoever starts it.

use serde::Serialize;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::execute::Inner;
use super::programs::{Prepared, PreparedGraph};
use super::{Error, Runs, Timestamp, Workflow};
use crate::error::Failure;
use crate::host::protocol::Program;
use crate::policy::Permissions;
use crate::store::trust::{Approved, Maker, TrustRow};
use crate::store::versions::Versioned;
use crate::store::workflows::WorkflowRow;
use crate::workflow::Graph;

/// How far something is trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Trust {
    /// It may do what it declares.
    #[default]
    Trusted,
    /// It may do what it declares and whoever drew it may do themselves. Approving of it lifts that.
    Limited,
    /// It waits for approval, and does not run.
    Untrusted,
}

/// How something stands.
#[derive(Debug, Clone, Default)]
pub(super) struct Standing {
    pub(super) trust: Trust,
    /// What it may do at most, where it is limited.
    pub(super) ceiling: Option<Permissions>,
    /// It came from elsewhere, and this part of the sandbox is missing here: it does not run.
    pub(super) unheld: Option<String>,
}

/// A script that was approved of.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ApprovedScript {
    /// Its path.
    #[schema(example = "reports/daily.rhai")]
    pub path: String,
    /// How far it is trusted now.
    pub trust: Trust,
    /// What it may do.
    #[schema(value_type = Object, example = json!({ "shell": ["git"] }))]
    pub permissions: Permissions,
}

impl Standing {
    /// That of something with that row, that content, and declaring that.
    fn of(row: &TrustRow, hash: &str, declared: &Permissions) -> Self {
        let approved = row.approved.as_ref().is_some_and(|approved| approved.hash == hash);
        if row.maker.imported && !approved {
            return Self { trust: Trust::Untrusted, ..Self::default() };
        }
        // What cannot be read holds it to nothing at all.
        let ceiling = row.maker.ceiling.as_ref().map(|text| serde_json::from_str::<Permissions>(text).unwrap_or_default());
        let trust = if ceiling.as_ref().is_some_and(|ceiling| !ceiling.covers(declared)) { Trust::Limited } else { Trust::Trusted };
        Self { trust, ceiling, unheld: None }
    }
}

impl PreparedGraph {
    /// What it declares; nothing where it does not compile.
    pub(super) fn declared(&self) -> Permissions {
        self.prepared.as_ref().map(|prepared| prepared.program.permissions.clone()).unwrap_or_default()
    }

    /// Refuses what came from elsewhere where the kernel does not hold it.
    pub(super) fn check_held(&self, id: &str) -> Result<(), Error> {
        self.standing.unheld.clone().map_or(Ok(()), |why| Err(Error::Unheld { id: id.to_owned(), why }))
    }

    /// Refuses what waits for approval, or came from elsewhere and is not held.
    pub(super) fn check_trust(&self, id: &str) -> Result<(), Error> {
        match self.standing.trust {
            Trust::Untrusted => Err(Error::Untrusted {
                kind: "workflow",
                id: id.to_owned(),
                why: FROM_ELSEWHERE.to_owned(),
                permissions: Box::new(self.declared()),
            }),
            Trust::Trusted | Trust::Limited => self.check_held(id),
        }
    }

    /// What it does, in a line each: what it may touch, and what starts it.
    pub(super) fn capabilities(&self) -> Vec<String> {
        let mut lines = self.declared().lines();
        let mut starts: Vec<_> = self.compiled.triggers.iter().map(|trigger| trigger.node_type.clone()).collect();
        starts.dedup();
        lines.append(&mut starts);
        lines
    }
}

const FROM_ELSEWHERE: &str = "came from elsewhere, or has changed since it was approved";

impl Inner {
    /// How a stored workflow stands.
    pub(super) async fn standing(&self, row: &WorkflowRow, graph: &Graph, declared: &Permissions) -> Result<Standing, Error> {
        let Some(trust) = self.store.trust(Versioned::Workflow, &row.id).await? else { return Ok(Standing::default()) };
        let unheld = self.settings.lacking.clone().filter(|_| trust.maker.imported);
        Ok(Standing { unheld, ..Standing::of(&trust, &self.content_of(row, graph).await?, declared) })
    }

    /// Why a run that was left behind is not gone on with: it is one of a workflow from elsewhere that this kernel does not hold.
    pub(super) async fn unheld(&self, workflow_id: Option<&str>) -> Result<Option<Error>, Error> {
        let (Some(id), Some(why)) = (workflow_id, &self.settings.lacking) else { return Ok(None) };
        let imported = self.store.trust(Versioned::Workflow, id).await?.is_some_and(|trust| trust.maker.imported);
        Ok(imported.then(|| Error::Unheld { id: id.to_owned(), why: why.clone() }))
    }

    /// What an approval of a workflow is bound to: its text, and the node configs that it names.
    async fn content_of(&self, row: &WorkflowRow, graph: &Graph) -> Result<String, Error> {
        let ids: Vec<String> = graph.config_ids().into_iter().map(str::to_owned).collect();
        let mut digest = Sha256::new();
        digest.update(&row.body);
        if !ids.is_empty() {
            let mut configs = self.store.node_configs_of(ids).await?;
            configs.sort_by(|a, b| a.id.cmp(&b.id));
            for config in configs {
                digest.update(format!("\n{}\n{}\n{}", config.id, config.node_type, config.config));
            }
        }
        Ok(hex(digest))
    }

    /// How a script of the library stands; refuses one that waits for approval.
    pub(super) async fn check_script(&self, path: &str, prepared: &Prepared) -> Result<Option<Permissions>, Error> {
        let (row, declared) = (self.store.trust(Versioned::Script, path).await?, &prepared.program.permissions);
        let hash = content_of_script(&prepared.program);
        let approved = row.as_ref().and_then(|row| row.approved.as_ref());
        let as_it_is = approved.is_some_and(|approved| approved.hash == hash);
        let untrusted =
            |why: String| Error::Untrusted { kind: "script", id: path.to_owned(), why, permissions: Box::new(declared.clone()) };
        if let Some(why) = self.programs.library.exposed(path).filter(|_| !as_it_is) {
            return Err(untrusted(why));
        }
        if self.settings.script_approval && !declared.is_empty() && !as_it_is {
            let before = approved.and_then(|approved| serde_json::from_str::<Permissions>(&approved.permissions).ok());
            if !before.is_some_and(|before| before.covers(declared)) {
                return Err(untrusted("asks for more than was approved".to_owned()));
            }
        }
        Ok(row.and_then(|row| Standing::of(&row, &hash, declared).ceiling))
    }

    async fn approve(&self, kind: Versioned, thing: &str, hash: String, asked: &Permissions, by: Option<String>) -> Result<(), Error> {
        let permissions = serde_json::to_string(asked).unwrap_or_default();
        Ok(self.store.approve(kind, thing, Approved { hash, permissions, by, at: Timestamp::now().0 }).await?)
    }
}

impl Runs {
    /// Approves of a workflow as it is now, for `by`.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_WORKFLOW`; `PERMISSION_DENIED` where it asks for what whoever approves may not do themselves.
    pub async fn approve_workflow(&self, id: &str, by: Option<String>) -> Result<Workflow, Failure> {
        let inner = &self.inner;
        let row = inner.store.workflow(id).await.map_err(Error::from)?;
        let row = row.ok_or_else(|| Error::NotFound { kind: "workflow", id: id.to_owned() })?;
        let graph: Graph = serde_json::from_str(&row.body).map_err(|error| super::graphs::unreadable(&error))?;
        let declared = inner.compile(graph.clone()).await?.ready()?.program.permissions.clone();
        self.may_grant("workflow", id, &declared)?;
        let hash = inner.content_of(&row, &graph).await?;
        inner.approve(Versioned::Workflow, id, hash, &declared, by).await?;
        inner.programs.forget(id);
        let workflows = self.workflows();
        workflows.announce_one(id).await?;
        workflows.get(id).await?.ok_or_else(|| Error::NotFound { kind: "workflow", id: id.to_owned() }.into())
    }

    /// Approves of a script as it is live now, for `by`.
    ///
    /// # Errors
    /// `NOT_FOUND`; `PERMISSION_DENIED` as for workflows.
    pub async fn approve_script(&self, path: &str, by: Option<String>) -> Result<ApprovedScript, Failure> {
        let loaded = self.inner.programs.library.script(path).ok_or_else(|| Error::NotFound { kind: "script", id: path.to_owned() })?;
        let permissions = loaded.program.permissions.clone();
        self.may_grant("script", path, &permissions)?;
        self.inner.approve(Versioned::Script, path, content_of_script(&loaded.program), &permissions, by).await?;
        Ok(ApprovedScript { path: path.to_owned(), trust: Trust::Trusted, permissions })
    }

    /// Notes that whoever these runs are for makes the script at `path` from now on. Blocks.
    ///
    /// # Errors
    /// `STORAGE_FULL`.
    pub fn made_script(&self, path: &str) -> Result<(), Failure> {
        Ok(self.inner.store.made_script(path, self.maker())?)
    }

    /// Forgets what is known of a script that is gone. Blocks.
    ///
    /// # Errors
    /// `STORAGE_FULL`.
    pub fn forget_script(&self, path: &str) -> Result<(), Failure> {
        Ok(self.inner.store.forget_script(path)?)
    }

    /// What is held against whatever is made through these.
    pub(super) fn maker(&self) -> Maker {
        Maker { imported: false, ceiling: self.within.as_ref().and_then(|within| serde_json::to_string(within.as_ref()).ok()) }
    }

    fn may_grant(&self, kind: &'static str, id: &str, asked: &Permissions) -> Result<(), Error> {
        match &self.within {
            Some(within) if !within.covers(asked) => {
                Err(Error::MayNotApprove { kind, id: id.to_owned(), permissions: Box::new(asked.clone()) })
            }
            _ => Ok(()),
        }
    }
}

/// What an approval of a script is bound to: its text, and those that it imports.
fn content_of_script(program: &Program) -> String {
    let mut digest = Sha256::new();
    digest.update(&program.source);
    for (name, source) in &program.modules {
        digest.update(format!("\n{name}\n{}\n{source}", source.len()));
    }
    hex(digest)
}

fn hex(digest: Sha256) -> String {
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

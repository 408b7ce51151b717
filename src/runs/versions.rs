//! What workflows and scripts were, change by change: listed, shown, compared, and kept.
//!
//! A version is made with the change itself, in the same transaction; equal texts in a row are one version, and removing a thing removes
//! none of its versions. Workflows are compared as the scripts they compile to.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;
use similar::{ChangeTag, TextDiff};
use utoipa::ToSchema;

use super::workflows::Workflow;
use super::{Error, Runs, Timestamp};
use crate::error::Failure;
use crate::store::versions::{NewVersion, Origin, ThingRow, VersionRow, Versioned};
use crate::workflow::{Drawing, Graph};

/// Comparing takes so long at most; what is left then is shown as replaced.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who or what made a version.
#[derive(Debug, Clone, Default)]
pub struct Author {
    /// The name of the key that was shown, if one was.
    pub api_key: Option<String>,
    /// The version that is restored, if one is.
    pub restored_from: Option<u32>,
}

/// How a version came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MadeBy {
    /// Through the API.
    Api,
    /// A file was saved.
    File,
    /// An earlier version was restored.
    Restore,
}

/// A version, without what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "version": 2, "hash": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "size_bytes": 412, "created_at": "2026-01-31T12:00:00.000000Z", "made_by": "api", "api_key": "ada", "restored_from": null }))]
pub struct Version {
    /// From 1, in the order in which they were made.
    pub version: u32,
    /// SHA-256 of what it holds, in hexadecimal.
    pub hash: String,
    /// Bytes of what it holds.
    pub size_bytes: u64,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// How it came about.
    pub made_by: MadeBy,
    /// The name of the key that was shown, if one was.
    pub api_key: Option<String>,
    /// The version that was restored, if one was.
    pub restored_from: Option<u32>,
}

/// A list of versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VersionPage {
    /// Newest first.
    pub versions: Vec<Version>,
    /// How many there are in all.
    pub count: u64,
}

/// Something of which versions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// Its id or path.
    pub name: String,
    /// Its newest version.
    pub newest: Version,
    /// How many there are.
    pub versions: u64,
}

/// As what two versions are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShownAs {
    /// As scripts.
    Script,
    /// As the JSON they were drawn as.
    Drawing,
}

/// How two versions differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "from": 1, "to": 2, "shown_as": "script", "reason": null, "added": 1, "removed": 1, "diff": "--- version 1\n+++ version 2\n@@ -1 +1 @@\n-40\n+42\n" }))]
pub struct Difference {
    /// The version that is compared.
    pub from: u32,
    /// With which one.
    pub to: u32,
    /// As what.
    pub shown_as: ShownAs,
    /// Why not as scripts.
    pub reason: Option<String>,
    /// Lines that only `to` has.
    pub added: usize,
    /// Lines that only `from` has.
    pub removed: usize,
    /// The unified diff; empty where there is no difference.
    pub diff: String,
}

/// The versions of everything that has some.
#[derive(Clone)]
pub struct Versions {
    pub(super) runs: Runs,
}

impl Versions {
    /// Versions of a workflow, newest first, before that one.
    ///
    /// # Errors
    /// `NOT_FOUND` where there never was such a workflow.
    pub async fn of_workflow(&self, id: &str, limit: u32, before: Option<u32>) -> Result<VersionPage, Failure> {
        self.page(Versioned::Workflow, id, limit, before).await
    }

    /// Versions of a script, newest first, before that one.
    ///
    /// # Errors
    /// `NOT_FOUND` where there never was such a script.
    pub async fn of_script(&self, path: &str, limit: u32, before: Option<u32>) -> Result<VersionPage, Failure> {
        self.page(Versioned::Script, path, limit, before).await
    }

    /// Every script of which there are versions, also those that are gone, by path, after that one; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn scripts(&self, limit: u32, after: Option<String>) -> Result<(Vec<Thing>, u64), Failure> {
        let (rows, count) = self.runs.inner.store.versioned(Versioned::Script, limit, after).await?;
        Ok((rows.into_iter().map(thing).collect(), count))
    }

    /// The workflows that were deleted, those that changed last first, before that one: each with what it was called; and how many there are
    /// in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn deleted_workflows(&self, limit: u32, before: Option<String>) -> Result<(Vec<(Thing, String)>, u64), Failure> {
        let (rows, count) = self.runs.inner.store.deleted_workflows(limit, before).await?;
        Ok((rows.into_iter().map(|(row, name)| (thing(row), name.unwrap_or_default())).collect(), count))
    }

    /// A version of a workflow, byte for byte as it was stored.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn drawing(&self, id: &str, version: u32) -> Result<(Version, String), Failure> {
        Ok(self.content(Versioned::Workflow, id, Some(version)).await?)
    }

    /// A version of a script, byte for byte.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn source(&self, path: &str, version: u32) -> Result<(Version, String), Failure> {
        Ok(self.content(Versioned::Script, path, Some(version)).await?)
    }

    /// The script that a version of a workflow compiles to now.
    ///
    /// # Errors
    /// `NOT_FOUND`, `INVALID_WORKFLOW`.
    pub async fn script(&self, id: &str, version: u32) -> Result<String, Failure> {
        let (_, content) = self.content(Versioned::Workflow, id, Some(version)).await?;
        Ok(self.compiled(&content).await?)
    }

    /// How two versions of a workflow differ: as scripts, or as drawings where one does not compile. Without `to` it is the newest one,
    /// without `from` the one before `to`.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn compare_workflow(&self, id: &str, from: Option<u32>, to: Option<u32>) -> Result<Difference, Failure> {
        let [(from, old), (to, new)] = self.both(Versioned::Workflow, id, from, to).await?;
        let (old_script, new_script) = (self.compiled(&old).await, self.compiled(&new).await);
        let why = |version: u32, error: &Error| format!("version {version} does not compile: {error}");
        let reason = match (&old_script, &new_script) {
            (Err(error), _) => Some(why(from, error)),
            (_, Err(error)) => Some(why(to, error)),
            _ => None,
        };
        let (shown_as, old, new) = match (old_script, new_script) {
            (Ok(old), Ok(new)) => (ShownAs::Script, old, new),
            _ => (ShownAs::Drawing, pretty(old), pretty(new)),
        };
        compare(Difference { from, to, shown_as, reason, added: 0, removed: 0, diff: String::new() }, old, new).await
    }

    /// How two versions of a script differ. What is left out is as for [`Versions::compare_workflow`].
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub async fn compare_script(&self, path: &str, from: Option<u32>, to: Option<u32>) -> Result<Difference, Failure> {
        let [(from, old), (to, new)] = self.both(Versioned::Script, path, from, to).await?;
        let plain = Difference { from, to, shown_as: ShownAs::Script, reason: None, added: 0, removed: 0, diff: String::new() };
        compare(plain, old, new).await
    }

    /// Stores a workflow as that version of it was, as a new version; also one that was removed.
    ///
    /// # Errors
    /// `NOT_FOUND`, `STORAGE_FULL`.
    pub async fn restore_workflow(&self, id: &str, version: u32, author: Author) -> Result<Workflow, Failure> {
        let (_, content) = self.content(Versioned::Workflow, id, Some(version)).await?;
        let graph: Graph = serde_json::from_str(&content).map_err(|error| super::graphs::unreadable(&error))?;
        let drawing = Drawing::new(graph, &content).map_err(|error| super::graphs::unreadable(&error))?;
        let author = Author { restored_from: Some(version), ..author };
        self.runs.workflows().restored(id, drawing, content, author).await
    }

    /// Keeps a version of a script that is about to be written. Blocks until it is on record.
    ///
    /// # Errors
    /// `STORAGE_FULL`.
    pub fn keep_script(&self, path: &str, source: &str, author: Author) -> Result<(), Failure> {
        let version = self.new_version(Versioned::Script, path, source, author);
        self.runs.inner.store.keep_version(version)?;
        Ok(())
    }

    /// Keeps versions of files that were saved, by their paths, in the order in which this is called. False where that failed.
    pub fn keep_files(&self, texts: Vec<(String, String)>) -> BoxFuture<'static, bool> {
        let version = |(path, source): (String, String)| {
            let mut version = self.new_version(Versioned::Script, &path, &source, Author::default());
            version.origin.made_by = "file".to_owned();
            version
        };
        let kept = self.runs.inner.store.keep_versions(texts.into_iter().map(version).collect());
        Box::pin(async move {
            let kept = kept.await;
            if let Err(error) = &kept {
                tracing::warn!(%error, "versions of saved scripts could not be kept; the next time anything is saved it is tried again");
            }
            kept.is_ok()
        })
    }

    /// A version that is to be kept.
    pub(super) fn new_version(&self, kind: Versioned, thing: &str, content: &str, author: Author) -> NewVersion {
        let made_by = if author.restored_from.is_some() { "restore" } else { "api" };
        let origin = Origin { made_by: made_by.to_owned(), api_key: author.api_key, restored_from: author.restored_from };
        let (thing, content, kept) = (thing.to_owned(), content.to_owned(), self.runs.inner.settings.versions_kept);
        NewVersion { kind, thing, content, created_at: Timestamp::now().0, origin, kept }
    }

    async fn page(&self, kind: Versioned, thing: &str, limit: u32, before: Option<u32>) -> Result<VersionPage, Failure> {
        let (rows, count) = self.runs.inner.store.versions(kind, thing, limit, before).await?;
        if count == 0 {
            return Err(unknown(kind, thing).into());
        }
        Ok(VersionPage { versions: rows.into_iter().map(version).collect(), count })
    }

    async fn content(&self, kind: Versioned, thing: &str, number: Option<u32>) -> Result<(Version, String), Error> {
        let store = &self.runs.inner.store;
        if let Some((row, content)) = store.version(kind, thing, number).await? {
            return Ok((version(row), content));
        }
        let (known, _) = store.versions(kind, thing, 1, None).await?;
        match number {
            Some(number) if !known.is_empty() => Err(Error::NotFound { kind: "version", id: number.to_string() }),
            _ => Err(unknown(kind, thing)),
        }
    }

    async fn both(&self, kind: Versioned, thing: &str, from: Option<u32>, to: Option<u32>) -> Result<[(u32, String); 2], Error> {
        let (new, new_content) = self.content(kind, thing, to).await?;
        let from = match from {
            Some(from) => from,
            None => {
                let before = self.runs.inner.store.versions(kind, thing, 1, Some(new.version)).await?.0;
                // The first one is compared with itself: nothing changed before it.
                before.first().map_or(new.version, |row| row.number)
            }
        };
        let (old, old_content) = self.content(kind, thing, Some(from)).await?;
        Ok([(old.version, old_content), (new.version, new_content)])
    }

    async fn compiled(&self, content: &str) -> Result<String, Error> {
        let graph: Graph = serde_json::from_str(content).map_err(|error| super::graphs::unreadable(&error))?;
        Ok(self.runs.workflows().compile(graph).await?.ready()?.program.source.clone())
    }
}

/// Fills in how the texts differ. Long ones take a while, which must hold nobody up.
async fn compare(plain: Difference, old: String, new: String) -> Result<Difference, Failure> {
    let comparing = tokio::task::spawn_blocking(move || {
        let diff = TextDiff::configure().timeout(PATIENCE).diff_lines(&old, &new);
        let count = |tag: ChangeTag| diff.iter_all_changes().filter(|change| change.tag() == tag).count();
        let (added, removed) = (count(ChangeTag::Insert), count(ChangeTag::Delete));
        let names = [plain.from, plain.to].map(|version| format!("version {version}"));
        let text = diff.unified_diff().header(&names[0], &names[1]).to_string();
        Difference { added, removed, diff: text, ..plain }
    });
    // It ends early only where the whole server does.
    comparing.await.map_err(|_| Error::Stopping.into())
}

/// A drawing with each value on a line of its own.
fn pretty(drawing: String) -> String {
    let value = serde_json::from_str::<Value>(&drawing);
    value.and_then(|value| serde_json::to_string_pretty(&value)).map_or(drawing, |text| text + "\n")
}

fn unknown(kind: Versioned, thing: &str) -> Error {
    let kind = match kind {
        Versioned::Workflow => "workflow",
        Versioned::Script => "script",
    };
    Error::NotFound { kind, id: thing.to_owned() }
}

fn thing(row: ThingRow) -> Thing {
    Thing { name: row.thing, newest: version(row.newest), versions: row.versions }
}

fn version(row: VersionRow) -> Version {
    let made_by = match row.origin.made_by.as_str() {
        "file" => MadeBy::File,
        "restore" => MadeBy::Restore,
        _ => MadeBy::Api,
    };
    Version {
        version: row.number,
        hash: row.hash,
        size_bytes: row.size,
        created_at: Timestamp(row.created_at),
        made_by,
        api_key: row.origin.api_key,
        restored_from: row.origin.restored_from,
    }
}

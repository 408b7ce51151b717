//! The rows of stored workflows.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::trust::{self, Maker};
use super::versions::{self, NewVersion, Versioned};
use super::{Error, Store};

/// A stored workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: String,
    /// The graph, as JSON text.
    pub body: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; grows with each change.
    pub updated_at: i64,
}

/// What a workflow is found by, beside its id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowIndex {
    /// What a search looks through, in lower case.
    pub search: String,
    /// The stored node configs that it names.
    pub configs: Vec<String>,
}

const COLUMNS: &str = "id, name, description, body, created_at, updated_at";

impl WorkflowRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            description: row.get(2)?,
            body: row.get(3)?,
            created_at: row.get(4)?,
            updated_at: row.get(5)?,
        })
    }
}

fn missing(id: &str) -> Error {
    Error::Missing { kind: "workflow", id: id.to_owned() }
}

impl Store {
    /// Keeps a new workflow, and its version.
    ///
    /// # Errors
    /// [`Error::Taken`] where the id is in use.
    pub async fn create_workflow(&self, row: WorkflowRow, index: WorkflowIndex, version: NewVersion, maker: Maker) -> Result<(), Error> {
        self.transact(move |connection| {
            if !insert(connection, &row, &index)? {
                return Err(Error::Taken { kind: "workflow", id: row.id });
            }
            trust::made(connection, Versioned::Workflow, &row.id, &maker)?;
            versions::add(connection, &version)?;
            Ok(())
        })
        .await
    }

    /// Replaces a workflow's graph, and keeps its version; gives the row as it is now. Its time of change always grows.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn update_workflow(
        &self,
        row: WorkflowRow,
        index: WorkflowIndex,
        version: NewVersion,
        maker: Maker,
    ) -> Result<WorkflowRow, Error> {
        self.transact(move |connection| {
            let changed = update(connection, &row, &index)?.ok_or_else(|| missing(&row.id))?;
            trust::changed(connection, Versioned::Workflow, &row.id, &maker)?;
            versions::add(connection, &version)?;
            Ok(changed)
        })
        .await
    }

    /// Removes a workflow. Its runs and versions stay.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_workflow(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| {
            super::triggers::forget_workflow(connection, &id)?;
            trust::gone(connection, Versioned::Workflow, &id)?;
            match connection.prepare_cached("DELETE FROM workflows WHERE id = ?")?.execute([&id])? {
                0 => Err(missing(&id)),
                _ => Ok(()),
            }
        })
        .await
    }

    /// The workflow of that id.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn workflow(&self, id: &str) -> Result<Option<WorkflowRow>, Error> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM workflows WHERE id = ?");
            Ok(connection.prepare_cached(&sql)?.query_row([id], WorkflowRow::from_row).optional()?)
        })
        .await
    }

    /// Workflows, newest first, whose name, description or id contains `search` in whatever case; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn workflows(&self, search: Option<String>, limit: u32, offset: u32) -> Result<(Vec<WorkflowRow>, u64), Error> {
        let search = search.map(|search| search.to_lowercase());
        self.read(move |connection| {
            let condition = "?1 IS NULL OR instr(search, ?1)";
            let sql = format!("SELECT {COLUMNS} FROM workflows WHERE {condition} ORDER BY key DESC LIMIT ?2 OFFSET ?3");
            let rows = connection
                .prepare_cached(&sql)?
                .query_map(params![search, limit, offset], WorkflowRow::from_row)?
                .collect::<Result<_, _>>()?;
            let count = count(connection, condition, search.as_deref())?;
            Ok((rows, count))
        })
        .await
    }
}

/// Stores a workflow, whether it is there or not.
pub(super) fn put(connection: &Connection, row: &WorkflowRow, index: &WorkflowIndex) -> Result<WorkflowRow, Error> {
    match update(connection, row, index)? {
        Some(changed) => Ok(changed),
        None => insert(connection, row, index).map(|_| row.clone()),
    }
}

/// False where the id is in use.
fn insert(connection: &Connection, row: &WorkflowRow, index: &WorkflowIndex) -> Result<bool, Error> {
    let sql = "INSERT INTO workflows (id, name, description, body, created_at, updated_at, search) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING";
    let values = params![row.id, row.name, row.description, row.body, row.created_at, row.updated_at, index.search];
    if connection.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(false);
    }
    name_configs(connection, &row.id, &index.configs)?;
    Ok(true)
}

/// None where there is no such workflow.
fn update(connection: &Connection, row: &WorkflowRow, index: &WorkflowIndex) -> Result<Option<WorkflowRow>, Error> {
    let sql = format!(
        "UPDATE workflows SET name = ?2, description = ?3, body = ?4, updated_at = max(?5, updated_at + 1), search = ?6 WHERE id = ?1 RETURNING {COLUMNS}"
    );
    let values = params![row.id, row.name, row.description, row.body, row.updated_at, index.search];
    let changed = connection.prepare_cached(&sql)?.query_row(values, WorkflowRow::from_row).optional()?;
    if let Some(changed) = &changed {
        name_configs(connection, &changed.id, &index.configs)?;
    }
    Ok(changed)
}

/// Notes which stored node configs a workflow names.
fn name_configs(connection: &Connection, id: &str, configs: &[String]) -> Result<(), Error> {
    connection.prepare_cached("DELETE FROM workflow_configs WHERE workflow = (SELECT key FROM workflows WHERE id = ?)")?.execute([id])?;
    let mut add =
        connection.prepare_cached("INSERT INTO workflow_configs (workflow, config_id) SELECT key, ?2 FROM workflows WHERE id = ?1")?;
    for config in configs {
        add.execute([id, config])?;
    }
    Ok(())
}

fn count(connection: &Connection, condition: &str, search: Option<&str>) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM workflows WHERE {condition}");
    let count: i64 = connection.prepare_cached(&sql)?.query_row([search], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

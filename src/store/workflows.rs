//! The rows of stored workflows.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Store};

/// A stored workflow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkflowRow {
    /// Its id.
    pub id: String,
    /// Its name, for search.
    pub name: String,
    /// Its description, for search.
    pub description: String,
    /// The graph, as JSON text.
    pub body: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; grows with each change.
    pub updated_at: i64,
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
    /// Keeps a new workflow.
    ///
    /// # Errors
    /// [`Error::Taken`] where the id is in use.
    pub async fn create_workflow(&self, row: WorkflowRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "INSERT INTO workflows (id, name, description, body, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING";
            let added = connection.prepare_cached(sql)?.execute(params![
                row.id,
                row.name,
                row.description,
                row.body,
                row.created_at,
                row.updated_at
            ])?;
            if added == 0 { Err(Error::Taken { kind: "workflow", id: row.id }) } else { Ok(()) }
        })
        .await
    }

    /// Replaces a workflow's graph; gives the row as it is now. Its time of change always grows.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn update_workflow(&self, row: WorkflowRow) -> Result<WorkflowRow, Error> {
        self.transact(move |connection| {
            let sql = format!(
                "UPDATE workflows SET name = ?2, description = ?3, body = ?4, updated_at = max(?5, updated_at + 1) WHERE id = ?1 RETURNING {COLUMNS}"
            );
            connection
                .prepare_cached(&sql)?
                .query_row(params![row.id, row.name, row.description, row.body, row.updated_at], WorkflowRow::from_row)
                .optional()?
                .ok_or_else(|| missing(&row.id))
        })
        .await
    }

    /// Removes a workflow. Its runs stay.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_workflow(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| {
            connection.prepare_cached("DELETE FROM disabled_triggers WHERE workflow_id = ?")?.execute([&id])?;
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

    /// Workflows, newest first, whose name, description or id contains `search`; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn workflows(&self, search: Option<String>, limit: u32, offset: u32) -> Result<(Vec<WorkflowRow>, u64), Error> {
        self.read(move |connection| {
            let condition =
                "?1 IS NULL OR instr(lower(name), lower(?1)) OR instr(lower(description), lower(?1)) OR instr(lower(id), lower(?1))";
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

fn count(connection: &Connection, condition: &str, search: Option<&str>) -> Result<u64, Error> {
    let sql = format!("SELECT count(*) FROM workflows WHERE {condition}");
    let count: i64 = connection.prepare_cached(&sql)?.query_row([search], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

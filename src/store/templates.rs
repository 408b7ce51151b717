//! The rows of snapshot templates: named sets of zones and clicks.

use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Store};

/// A template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateRow {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its zones and clicks, as JSON text.
    pub body: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; grows with each change.
    pub updated_at: i64,
}

const COLUMNS: &str = "id, name, body, created_at, updated_at";

impl TemplateRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { id: row.get(0)?, name: row.get(1)?, body: row.get(2)?, created_at: row.get(3)?, updated_at: row.get(4)? })
    }
}

fn missing(id: String) -> Error {
    Error::Missing { kind: "template", id }
}

impl Store {
    /// Keeps a new template.
    ///
    /// # Errors
    /// [`Error::Taken`] where the id is in use.
    pub async fn create_template(&self, row: TemplateRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = format!("INSERT INTO snapshot_templates ({COLUMNS}) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
            let values = params![row.id, row.name, row.body, row.created_at, row.updated_at];
            match connection.prepare_cached(&sql)?.execute(values)? {
                0 => Err(Error::Taken { kind: "template", id: row.id }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Replaces a template; gives the row as it is now. Its time of change always grows.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn update_template(&self, row: TemplateRow) -> Result<TemplateRow, Error> {
        self.transact(move |connection| {
            let sql = format!(
                "UPDATE snapshot_templates SET name = ?2, body = ?3, updated_at = max(?4, updated_at + 1) WHERE id = ?1 RETURNING {COLUMNS}"
            );
            let values = params![row.id, row.name, row.body, row.updated_at];
            let changed = connection.prepare_cached(&sql)?.query_row(values, TemplateRow::from_row).optional()?;
            changed.ok_or_else(|| missing(row.id))
        })
        .await
    }

    /// Removes a template.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_template(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| match connection.prepare_cached("DELETE FROM snapshot_templates WHERE id = ?")?.execute([&id])? {
            0 => Err(missing(id)),
            _ => Ok(()),
        })
        .await
    }

    /// The template of that id.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn template(&self, id: &str) -> Result<Option<TemplateRow>, Error> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM snapshot_templates WHERE id = ?");
            Ok(connection.prepare_cached(&sql)?.query_row([id], TemplateRow::from_row).optional()?)
        })
        .await
    }

    /// The template of that id and those of that name, at most two.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn templates_named(&self, named: &str) -> Result<Vec<TemplateRow>, Error> {
        let named = named.to_owned();
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM snapshot_templates WHERE id = ?1 OR name = ?1 ORDER BY id = ?1 DESC LIMIT 2");
            let mut query = connection.prepare_cached(&sql)?;
            Ok(query.query_map([named], TemplateRow::from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Templates, newest first; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn templates(&self, limit: u32, offset: u32) -> Result<(Vec<TemplateRow>, u64), Error> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM snapshot_templates ORDER BY key DESC LIMIT ? OFFSET ?");
            let mut query = connection.prepare_cached(&sql)?;
            let rows = query.query_map([limit, offset], TemplateRow::from_row)?.collect::<Result<_, _>>()?;
            let count: i64 = connection.prepare_cached("SELECT count(*) FROM snapshot_templates")?.query_row([], |row| row.get(0))?;
            Ok((rows, count.unsigned_abs()))
        })
        .await
    }
}

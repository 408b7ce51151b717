//! The rows of stored node configs.

use rusqlite::{Connection, OptionalExtension, Row, params, params_from_iter};

use super::{Error, Store};

/// A stored node config.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeConfigRow {
    /// Its id.
    pub id: String,
    /// The type of the nodes it is for.
    pub node_type: String,
    /// Its fields, as JSON text.
    pub config: String,
    /// What a client keeps beside it, as JSON text.
    pub metadata: Option<String>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; grows with each change.
    pub updated_at: i64,
}

const COLUMNS: &str = "id, node_type, config, metadata, created_at, updated_at";
const KIND: &str = "node_config";

impl NodeConfigRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            node_type: row.get(1)?,
            config: row.get(2)?,
            metadata: row.get(3)?,
            created_at: row.get(4)?,
            updated_at: row.get(5)?,
        })
    }
}

fn missing(id: &str) -> Error {
    Error::Missing { kind: KIND, id: id.to_owned() }
}

impl Store {
    /// Keeps a new node config.
    ///
    /// # Errors
    /// [`Error::Taken`] where the id is in use.
    pub async fn create_node_config(&self, row: NodeConfigRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = format!("INSERT INTO node_configs ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
            let values = params![row.id, row.node_type, row.config, row.metadata, row.created_at, row.updated_at];
            match connection.prepare_cached(&sql)?.execute(values)? {
                0 => Err(Error::Taken { kind: KIND, id: row.id }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Replaces a node config; gives the row as it is now. Its time of change always grows.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn update_node_config(&self, row: NodeConfigRow) -> Result<NodeConfigRow, Error> {
        self.transact(move |connection| {
            let sql = format!(
                "UPDATE node_configs SET node_type = ?2, config = ?3, metadata = ?4, updated_at = max(?5, updated_at + 1) WHERE id = ?1 RETURNING {COLUMNS}"
            );
            let values = params![row.id, row.node_type, row.config, row.metadata, row.updated_at];
            let changed = connection.prepare_cached(&sql)?.query_row(values, NodeConfigRow::from_row).optional()?;
            changed.ok_or_else(|| missing(&row.id))
        })
        .await
    }

    /// Removes a node config that no workflow names.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::InUse`] with the workflows that name it.
    pub async fn delete_node_config(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| {
            if connection.prepare_cached("DELETE FROM node_configs WHERE id = ?")?.execute([&id])? == 0 {
                return Err(missing(&id));
            }
            // Looked for after the row is gone, in the same transaction: an error brings it back.
            let by = users(connection, &id)?;
            if by.is_empty() { Ok(()) } else { Err(Error::InUse { kind: KIND, id, by }) }
        })
        .await
    }

    /// The node config of that id.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn node_config(&self, id: &str) -> Result<Option<NodeConfigRow>, Error> {
        Ok(self.node_configs_of(vec![id.to_owned()]).await?.pop())
    }

    /// Those of these node configs that there are.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn node_configs_of(&self, ids: Vec<String>) -> Result<Vec<NodeConfigRow>, Error> {
        self.read(move |connection| {
            let mut rows = Vec::new();
            // SQLite takes 32,766 values at once; a graph has fewer nodes than that, but its ids come from outside.
            for ids in ids.chunks(1000) {
                let places = vec!["?"; ids.len()].join(", ");
                let sql = format!("SELECT {COLUMNS} FROM node_configs WHERE id IN ({places})");
                let mut query = connection.prepare(&sql)?;
                for row in query.query_map(params_from_iter(ids), NodeConfigRow::from_row)? {
                    rows.push(row?);
                }
            }
            Ok(rows)
        })
        .await
    }

    /// Node configs, newest first, of one type or of all; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn node_configs(&self, node_type: Option<String>, limit: u32, offset: u32) -> Result<(Vec<NodeConfigRow>, u64), Error> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM node_configs WHERE ?1 IS NULL OR node_type = ?1 ORDER BY key DESC LIMIT ?2 OFFSET ?3");
            let mut query = connection.prepare_cached(&sql)?;
            let rows = query.query_map(params![node_type, limit, offset], NodeConfigRow::from_row)?.collect::<Result<_, _>>()?;
            let sql = "SELECT count(*) FROM node_configs WHERE ?1 IS NULL OR node_type = ?1";
            let count: i64 = connection.prepare_cached(sql)?.query_row([node_type], |row| row.get(0))?;
            Ok((rows, count.unsigned_abs()))
        })
        .await
    }

    /// The workflows that name a node config: id and name, newest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn workflows_with_config(&self, id: &str) -> Result<Vec<(String, String)>, Error> {
        let id = id.to_owned();
        self.read(move |connection| users(connection, &id)).await
    }
}

fn users(connection: &Connection, id: &str) -> Result<Vec<(String, String)>, Error> {
    let sql = "SELECT id, name FROM workflows WHERE key IN (SELECT workflow FROM workflow_configs WHERE config_id = ?) ORDER BY key DESC";
    Ok(connection.prepare_cached(sql)?.query_map([id], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
}

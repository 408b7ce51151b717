//! The rows of API keys.

use rusqlite::{Row, params};

use super::{Error, Store};

/// An API key: all but the key itself, which is kept nowhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: String,
    /// What its owner calls it.
    pub name: String,
    /// SHA-256 of the key.
    pub hash: [u8; 32],
    /// What it opens, separated by blanks.
    pub scopes: String,
    /// The workflows that it is for, separated by blanks; empty where it is for none in particular.
    pub workflows: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; none where nobody used it yet.
    pub last_used: Option<i64>,
}

impl KeyRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            hash: row.get(2)?,
            scopes: row.get(3)?,
            workflows: row.get(4)?,
            created_at: row.get(5)?,
            last_used: row.get(6)?,
        })
    }
}

impl Store {
    /// Keeps a new key.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn create_key(&self, row: KeyRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "INSERT INTO keys (id, name, hash, scopes, workflows, created_at, last_used) VALUES (?, ?, ?, ?, ?, ?, ?)";
            let KeyRow { id, name, hash, scopes, workflows, created_at, last_used } = row;
            connection.prepare_cached(sql)?.execute(params![id, name, hash, scopes, workflows, created_at, last_used])?;
            Ok(())
        })
        .await
    }

    /// All keys, the oldest first: as they are now, also where another process wrote them.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, Error> {
        self.read(|connection| {
            let sql = "SELECT id, name, hash, scopes, workflows, created_at, last_used FROM keys ORDER BY created_at, id";
            Ok(connection.prepare_cached(sql)?.query_map([], KeyRow::from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Removes a key.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_key(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| match connection.prepare_cached("DELETE FROM keys WHERE id = ?")?.execute([&id])? {
            0 => Err(Error::Missing { kind: "key", id }),
            _ => Ok(()),
        })
        .await
    }

    /// Notes that a key was used. One that is gone is not missed.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn touch_key(&self, id: &str, at: i64) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| {
            let sql = "UPDATE keys SET last_used = max(coalesce(last_used, 0), ?2) WHERE id = ?1";
            connection.prepare_cached(sql)?.execute(params![id, at])?;
            Ok(())
        })
        .await
    }
}

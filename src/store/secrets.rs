//! The rows of secrets, whose values are encrypted before they come here.

use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Store};

/// A secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRow {
    /// Its name.
    pub name: String,
    /// Its value, encrypted.
    pub sealed: Vec<u8>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970; grows with each change.
    pub updated_at: i64,
}

const COLUMNS: &str = "name, sealed, created_at, updated_at";

impl SecretRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { name: row.get(0)?, sealed: row.get(1)?, created_at: row.get(2)?, updated_at: row.get(3)? })
    }
}

impl Store {
    /// Keeps a secret, in place of the one of that name where there is one; gives the row as it is now.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn put_secret(&self, name: String, sealed: Vec<u8>, now: i64) -> Result<SecretRow, Error> {
        self.transact(move |connection| {
            let sql = format!(
                "INSERT INTO secrets ({COLUMNS}) VALUES (?1, ?2, ?3, ?3) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, \
                 updated_at = max(excluded.updated_at, updated_at + 1) RETURNING {COLUMNS}"
            );
            Ok(connection.prepare_cached(&sql)?.query_row(params![name, sealed, now], SecretRow::from_row)?)
        })
        .await
    }

    /// All secrets, by name.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn secrets(&self) -> Result<Vec<SecretRow>, Error> {
        self.read(|connection| {
            let sql = format!("SELECT {COLUMNS} FROM secrets ORDER BY name");
            Ok(connection.prepare_cached(&sql)?.query_map([], SecretRow::from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The secret of that name.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn secret(&self, name: String) -> Result<Option<SecretRow>, Error> {
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM secrets WHERE name = ?");
            Ok(connection.prepare_cached(&sql)?.query_row([name], SecretRow::from_row).optional()?)
        })
        .await
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_secret(&self, name: String) -> Result<(), Error> {
        self.transact(move |connection| match connection.prepare_cached("DELETE FROM secrets WHERE name = ?")?.execute([&name])? {
            0 => Err(Error::Missing { kind: "secret", id: name }),
            _ => Ok(()),
        })
        .await
    }
}

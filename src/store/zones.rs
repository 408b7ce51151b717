//! The rows of parts of the screen that have names.

use super::{Error, Store};

impl Store {
    /// Keeps a part of the screen under its name, in place of the one that had it.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn keep_zone(&self, name: String, body: String) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "INSERT INTO zones (name, body) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET body = excluded.body";
            connection.prepare_cached(sql)?.execute([&name, &body])?;
            Ok(())
        })
        .await
    }

    /// Removes one, if it is there.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn delete_zone(&self, name: String) -> Result<(), Error> {
        self.transact(move |connection| {
            connection.prepare_cached("DELETE FROM zones WHERE name = ?")?.execute([&name])?;
            Ok(())
        })
        .await
    }

    /// Every one: its name, and as it was written down.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn zones(&self) -> Result<Vec<(String, String)>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached("SELECT name, body FROM zones ORDER BY name")?;
            Ok(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

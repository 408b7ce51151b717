//! The rows of desktops beside the default one.

use super::{Error, Store};

impl Store {
    /// Keeps a new desktop: its name, and as it was asked for, as JSON text.
    ///
    /// # Errors
    /// [`Error::Taken`] where the name is in use.
    pub async fn create_target(&self, name: String, spec: String) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "INSERT INTO targets (name, spec) VALUES (?, ?) ON CONFLICT (name) DO NOTHING";
            match connection.prepare_cached(sql)?.execute([&name, &spec])? {
                0 => Err(Error::Taken { kind: "target", id: name }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Removes a desktop, if it is there.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn delete_target(&self, name: String) -> Result<(), Error> {
        self.transact(move |connection| {
            connection.prepare_cached("DELETE FROM targets WHERE name = ?")?.execute([&name])?;
            Ok(())
        })
        .await
    }

    /// Every desktop: its name, and as it was asked for.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn targets(&self) -> Result<Vec<(String, String)>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached("SELECT name, spec FROM targets ORDER BY name")?;
            Ok(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

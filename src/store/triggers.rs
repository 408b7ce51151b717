//! Which triggers are switched off, and when one last started a run.

use std::collections::HashSet;

use rusqlite::OptionalExtension;

use super::{Error, Store};

impl Store {
    /// The triggers that are switched off: workflow and node.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn disabled_triggers(&self) -> Result<HashSet<(String, String)>, Error> {
        self.read(|connection| {
            let mut all = connection.prepare_cached("SELECT workflow_id, node_id FROM disabled_triggers")?;
            Ok(all.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Switches a trigger on or off.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn enable_trigger(&self, workflow_id: &str, node_id: &str, enabled: bool) -> Result<(), Error> {
        let id = [workflow_id.to_owned(), node_id.to_owned()];
        self.transact(move |connection| {
            let sql = if enabled {
                "DELETE FROM disabled_triggers WHERE workflow_id = ? AND node_id = ?"
            } else {
                "INSERT INTO disabled_triggers (workflow_id, node_id) VALUES (?, ?) ON CONFLICT DO NOTHING"
            };
            connection.prepare_cached(sql)?.execute(id)?;
            Ok(())
        })
        .await
    }

    /// When a node of a workflow last began a run; microseconds since 1970.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn last_started(&self, workflow_id: &str, node_id: &str) -> Result<Option<i64>, Error> {
        let id = [workflow_id.to_owned(), node_id.to_owned()];
        self.read(move |connection| {
            let sql = "SELECT created_at FROM runs WHERE workflow_id = ? AND start_node = ? ORDER BY key DESC LIMIT 1";
            Ok(connection.prepare_cached(sql)?.query_row(id, |row| row.get(0)).optional()?)
        })
        .await
    }
}

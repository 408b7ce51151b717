//! What holds workflows and scripts back that somebody else made, and what was approved of them.

use rusqlite::{Connection, OptionalExtension, params};

use super::versions::Versioned;
use super::{Error, Store};

/// Who makes a workflow or a script, as far as that holds it back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maker {
    /// It comes from elsewhere.
    pub imported: bool,
    /// What its maker may do at most, as JSON text; none where nothing holds them back.
    pub ceiling: Option<String>,
}

/// What is known of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustRow {
    /// Who made it.
    pub maker: Maker,
    /// What was approved of it.
    pub approved: Option<Approved>,
}

/// An approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approved {
    /// The content that it is of.
    pub hash: String,
    /// What that asked for, as JSON text.
    pub permissions: String,
    /// Who gave it, where keys are wanted.
    pub by: Option<String>,
    /// Microseconds since 1970.
    pub at: i64,
}

impl Store {
    /// What is known of a workflow or a script; none where nothing holds it back.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn trust(&self, kind: Versioned, thing: &str) -> Result<Option<TrustRow>, Error> {
        let thing = thing.to_owned();
        self.read(move |connection| {
            let sql = "SELECT imported, ceiling, hash, permissions, approved_by, approved_at FROM trust WHERE kind = ? AND thing = ?";
            let row = connection.prepare_cached(sql)?.query_row(params![kind.as_str(), thing], |row| {
                let maker = Maker { imported: row.get(0)?, ceiling: row.get(1)? };
                let (hash, permissions) = (row.get::<_, Option<String>>(2)?, row.get::<_, Option<String>>(3)?);
                let (by, at) = (row.get(4)?, row.get::<_, Option<i64>>(5)?.unwrap_or_default());
                let approved = hash.zip(permissions).map(|(hash, permissions)| Approved { hash, permissions, by, at });
                Ok(TrustRow { maker, approved })
            });
            Ok(row.optional()?)
        })
        .await
    }

    /// Puts an approval on record; nothing but its content holds it back from now on.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn approve(&self, kind: Versioned, thing: &str, approved: Approved) -> Result<(), Error> {
        let thing = thing.to_owned();
        self.transact(move |connection| {
            let sql = "INSERT INTO trust (kind, thing, hash, permissions, approved_by, approved_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                ON CONFLICT (kind, thing) DO UPDATE
                SET ceiling = NULL, hash = ?3, permissions = ?4, approved_by = ?5, approved_at = ?6";
            let Approved { hash, permissions, by, at } = approved;
            connection.prepare_cached(sql)?.execute(params![kind.as_str(), thing, hash, permissions, by, at])?;
            Ok(())
        })
        .await
    }

    /// Notes who makes a script from now on. Blocks.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn made_script(&self, path: &str, maker: Maker) -> Result<(), Error> {
        let path = path.to_owned();
        let asked = self.ask(move |connection| changed(connection, Versioned::Script, &path, &maker));
        asked.blocking_recv().unwrap_or(Err(Error::Closed))
    }

    /// Forgets a script that is gone. Blocks.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub fn forget_script(&self, path: &str) -> Result<(), Error> {
        let path = path.to_owned();
        self.ask(move |connection| forget(connection, Versioned::Script, &path)).blocking_recv().unwrap_or(Err(Error::Closed))
    }
}

/// Something new was made.
pub(super) fn made(connection: &Connection, kind: Versioned, thing: &str, maker: &Maker) -> Result<(), Error> {
    forget(connection, kind, thing)?;
    if *maker == Maker::default() {
        return Ok(());
    }
    let sql = "INSERT INTO trust (kind, thing, imported, ceiling) VALUES (?, ?, ?, ?)";
    connection.prepare_cached(sql)?.execute(params![kind.as_str(), thing, maker.imported, maker.ceiling])?;
    Ok(())
}

/// Something was made anew: what came from elsewhere stays so, and an approval counts for the content that it is of.
pub(super) fn changed(connection: &Connection, kind: Versioned, thing: &str, maker: &Maker) -> Result<(), Error> {
    let sql = "UPDATE trust SET ceiling = ?3 WHERE kind = ?1 AND thing = ?2";
    let known = connection.prepare_cached(sql)?.execute(params![kind.as_str(), thing, maker.ceiling])?;
    if known == 0 { made(connection, kind, thing, maker) } else { Ok(()) }
}

/// Something is gone. That it came from elsewhere stays known: it may be brought back.
pub(super) fn gone(connection: &Connection, kind: Versioned, thing: &str) -> Result<(), Error> {
    let sql = "DELETE FROM trust WHERE kind = ? AND thing = ? AND imported = 0";
    connection.prepare_cached(sql)?.execute(params![kind.as_str(), thing])?;
    Ok(())
}

/// Nothing is known of it any more.
pub(super) fn forget(connection: &Connection, kind: Versioned, thing: &str) -> Result<(), Error> {
    connection.prepare_cached("DELETE FROM trust WHERE kind = ? AND thing = ?")?.execute(params![kind.as_str(), thing])?;
    Ok(())
}

//! Triggers: which are switched off, which were made over the API, how far schedules have come, and what fired so far.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Store};

/// What is known of a trigger, however it came to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TriggerRow {
    /// Whether nobody switched it off.
    pub enabled: bool,
    /// When it last started a run; microseconds since 1970.
    pub last_fired: Option<i64>,
}

/// How far a schedule has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleRow {
    /// From when intervals are counted.
    pub anchor: i64,
    /// What was due up to then is settled.
    pub through: i64,
}

/// A trigger that was made over the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeRow {
    /// Its id.
    pub id: String,
    /// All of it, as JSON.
    pub body: String,
}

/// What starts a run, put on record together with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFiring {
    /// The trigger.
    pub trigger_id: String,
    /// `webhook`, `watch_folder`, `schedule`, `screen`, `startup`.
    pub kind: &'static str,
    /// What happened: it starts one run only. Without it every call starts one.
    pub key: Option<String>,
    /// Microseconds since 1970.
    pub at: i64,
    /// The file, where it is one.
    pub file: Option<FiredFile>,
}

/// A file that fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FiredFile {
    /// Where it lies.
    pub path: String,
    /// What told its content last.
    pub stamp: String,
    /// Which folder that was.
    pub folder: String,
    /// What is to be done with it once the run is over: `move`, `delete`.
    pub after: Option<&'static str>,
}

/// A file that fired and is still known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownFile {
    /// The firing's key.
    pub key: String,
    /// Where it lies.
    pub path: String,
    /// What told its content last.
    pub stamp: String,
    /// Which folder that was.
    pub folder: String,
    /// Whether something is still to be done with it.
    pub pending: bool,
}

/// A file whose run is over, and which waits for what comes after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FollowUp {
    /// The firing.
    pub id: i64,
    /// The trigger.
    pub trigger_id: String,
    /// The firing's key.
    pub key: String,
    /// Where the file lies.
    pub path: String,
    /// What told its content last.
    pub stamp: String,
    /// `move` or `delete`.
    pub after: String,
    /// How the run ended; none where there is no record of it any more.
    pub status: Option<String>,
}

/// Puts a firing on record. False where it is there already: then there must not be a run.
pub(super) fn insert(connection: &Connection, firing: &NewFiring, run_id: &str) -> rusqlite::Result<bool> {
    if let Some(key) = &firing.key {
        let file = firing.file.as_ref();
        if let Some(file) = file {
            // What the file held before may come again, and is then new.
            let sql = "DELETE FROM firings WHERE trigger_id = ?1 AND key >= ?2 || '#' AND key < ?2 || '$' AND key <> ?3 AND path = ?2 \
                       AND after IS NULL";
            connection.prepare_cached(sql)?.execute(params![firing.trigger_id, file.path, key])?;
        }
        let sql = "INSERT INTO firings (trigger_id, key, kind, run_id, fired_at, path, stamp, folder, after) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (trigger_id, key) DO NOTHING";
        let added = connection.prepare_cached(sql)?.execute(params![
            firing.trigger_id,
            key,
            firing.kind,
            run_id,
            firing.at,
            file.map(|file| &file.path),
            file.map(|file| &file.stamp),
            file.map(|file| &file.folder),
            file.and_then(|file| file.after)
        ])?;
        if added == 0 {
            return Ok(false);
        }
    }
    let sql = "INSERT INTO triggers (id, last_fired) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET last_fired = excluded.last_fired";
    connection.prepare_cached(sql)?.execute(params![firing.trigger_id, firing.at])?;
    Ok(true)
}

/// Forgets what is known of the triggers of a workflow.
pub(super) fn forget_workflow(connection: &Connection, workflow_id: &str) -> rusqlite::Result<()> {
    // `;` comes right after `:`.
    let within = [format!("{workflow_id}:"), format!("{workflow_id};")];
    connection.prepare_cached("DELETE FROM triggers WHERE id >= ? AND id < ?")?.execute(params![within[0], within[1]])?;
    connection.prepare_cached("DELETE FROM firings WHERE trigger_id >= ? AND trigger_id < ?")?.execute(params![within[0], within[1]])?;
    Ok(())
}

fn known_file(row: &Row<'_>) -> rusqlite::Result<KnownFile> {
    Ok(KnownFile { key: row.get(0)?, path: row.get(1)?, stamp: row.get(2)?, folder: row.get(3)?, pending: row.get(4)? })
}

impl Store {
    /// What is known of each trigger of which anything is.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn triggers(&self) -> Result<HashMap<String, TriggerRow>, Error> {
        self.read(|connection| {
            let row = |row: &Row<'_>| Ok((row.get(0)?, TriggerRow { enabled: row.get(1)?, last_fired: row.get(2)? }));
            let mut all = connection.prepare_cached("SELECT id, enabled, last_fired FROM triggers")?;
            Ok(all.query_map([], row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Switches a trigger on or off. A schedule that is switched on goes on from `now`.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn enable_trigger(&self, id: &str, enabled: bool, now: i64) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| {
            let sql = "INSERT INTO triggers (id, enabled) VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET enabled = ?2, \
                       through = CASE WHEN ?2 THEN max(through, ?3) ELSE through END";
            connection.prepare_cached(sql)?.execute(params![id, enabled, now])?;
            Ok(())
        })
        .await
    }

    /// How far a schedule has come: the same as ever, or from `now` where there was none, or another one. With `fresh` what was due up
    /// to `now` is settled in any case.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn schedule(&self, id: &str, spec: &str, now: i64, fresh: bool) -> Result<ScheduleRow, Error> {
        let (id, spec) = (id.to_owned(), spec.to_owned());
        self.transact(move |connection| {
            let sql = "SELECT anchor, through FROM triggers WHERE id = ? AND spec = ?";
            let known = connection.prepare_cached(sql)?.query_row([&id, &spec], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let (anchor, mut through): (i64, i64) = known.unwrap_or((now, now));
            if known.is_some() && !fresh {
                // Instants as 20 digits: their order is that of time.
                let sql = "SELECT max(key) FROM firings WHERE trigger_id = ?";
                let last: Option<String> = connection.prepare_cached(sql)?.query_row([&id], |row| row.get(0))?;
                let last = last.and_then(|key| key.parse().ok()).unwrap_or(through);
                return Ok(ScheduleRow { anchor, through: through.max(last) });
            }
            through = through.max(now);
            let sql = "INSERT INTO triggers (id, spec, anchor, through) VALUES (?1, ?2, ?3, ?4) \
                       ON CONFLICT (id) DO UPDATE SET spec = ?2, anchor = ?3, through = ?4";
            connection.prepare_cached(sql)?.execute(params![id, spec, anchor, through])?;
            Ok(ScheduleRow { anchor, through })
        })
        .await
    }

    /// What was due up to then is settled without a run.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn settle_schedule(&self, id: &str, through: i64) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| {
            let sql = "UPDATE triggers SET through = max(through, ?) WHERE id = ?";
            connection.prepare_cached(sql)?.execute(params![through, id])?;
            Ok(())
        })
        .await
    }

    /// Whether a run that this trigger started is not over yet.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn trigger_is_running(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.read(move |connection| {
            // Only an older one can go on where runs may overlap, and then nobody asks.
            let sql = "SELECT EXISTS (SELECT 1 FROM (SELECT run_id FROM firings WHERE trigger_id = ? ORDER BY key DESC LIMIT 16) f \
                       JOIN runs r ON r.run_id = f.run_id WHERE r.finished_at IS NULL)";
            Ok(connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))?)
        })
        .await
    }

    /// The run that was started for that key.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn fired(&self, trigger_id: &str, key: &str) -> Result<Option<String>, Error> {
        let id = [trigger_id.to_owned(), key.to_owned()];
        self.read(move |connection| {
            let sql = "SELECT run_id FROM firings WHERE trigger_id = ? AND key = ?";
            Ok(connection.prepare_cached(sql)?.query_row(id, |row| row.get(0)).optional()?)
        })
        .await
    }

    /// Takes a firing back: it may happen anew.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn forget_firing(&self, trigger_id: &str, key: &str) -> Result<(), Error> {
        let id = [trigger_id.to_owned(), key.to_owned()];
        self.transact(move |connection| {
            connection.prepare_cached("DELETE FROM firings WHERE trigger_id = ? AND key = ?")?.execute(id)?;
            Ok(())
        })
        .await
    }

    /// The files for which a trigger started a run, and which are not known to be gone.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn known_files(&self, trigger_id: &str) -> Result<Vec<KnownFile>, Error> {
        let id = trigger_id.to_owned();
        self.read(move |connection| {
            let sql = "SELECT key, path, stamp, folder, after IS NOT NULL FROM firings WHERE trigger_id = ? AND path IS NOT NULL \
                       ORDER BY id";
            Ok(connection.prepare_cached(sql)?.query_map([id], known_file)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Files of a trigger that are gone, which may come again (their keys); and files that stayed, though they look different now (key,
    /// stamp, folder).
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn update_files(&self, trigger_id: &str, gone: Vec<String>, stayed: Vec<(String, String, String)>) -> Result<(), Error> {
        let id = trigger_id.to_owned();
        self.transact(move |connection| {
            let mut remove = connection.prepare_cached("DELETE FROM firings WHERE trigger_id = ? AND key = ?")?;
            for key in gone {
                remove.execute([&id, &key])?;
            }
            let mut change = connection.prepare_cached("UPDATE firings SET stamp = ?3, folder = ?4 WHERE trigger_id = ?1 AND key = ?2")?;
            for (key, stamp, folder) in stayed {
                change.execute(params![id, key, stamp, folder])?;
            }
            Ok(())
        })
        .await
    }

    /// The files of runs that are over, for which something is still to be done; at most `limit`. And how many wait in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn follow_ups(&self, limit: u32) -> Result<(Vec<FollowUp>, u64), Error> {
        self.read(move |connection| {
            let sql = "SELECT f.id, f.trigger_id, f.key, f.path, f.stamp, f.after, r.status FROM firings f LEFT JOIN runs r ON r.run_id = f.run_id \
                       WHERE f.after IS NOT NULL AND (r.run_id IS NULL OR r.finished_at IS NOT NULL) ORDER BY f.id LIMIT ?";
            let row = |row: &Row<'_>| {
                Ok(FollowUp {
                    id: row.get(0)?,
                    trigger_id: row.get(1)?,
                    key: row.get(2)?,
                    path: row.get(3)?,
                    stamp: row.get(4)?,
                    after: row.get(5)?,
                    status: row.get(6)?,
                })
            };
            let due = connection.prepare_cached(sql)?.query_map([limit], row)?.collect::<Result<_, _>>()?;
            let sql = "SELECT count(*) FROM firings WHERE after IS NOT NULL";
            let waiting: i64 = connection.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok((due, waiting.unsigned_abs()))
        })
        .await
    }

    /// Nothing more is to be done with these files. Those that are `gone` may come again; the others stay known.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn followed_up(&self, gone: Vec<i64>, stay: Vec<i64>) -> Result<(), Error> {
        self.transact(move |connection| {
            for (ids, sql) in [(gone, "DELETE FROM firings WHERE id = ?"), (stay, "UPDATE firings SET after = NULL WHERE id = ?")] {
                let mut statement = connection.prepare_cached(sql)?;
                for id in ids {
                    statement.execute([id])?;
                }
            }
            Ok(())
        })
        .await
    }

    /// Forgets firings of that kind from before `before`, but for the newest of each trigger. Files are not forgotten for their age: those
    /// that stay must not fire again.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn prune_firings(&self, kind: &'static str, before: i64) -> Result<usize, Error> {
        self.transact(move |connection| {
            let sql = "DELETE FROM firings WHERE kind = ?1 AND fired_at < ?2 AND path IS NULL \
                       AND id NOT IN (SELECT max(id) FROM firings GROUP BY trigger_id)";
            Ok(connection.prepare_cached(sql)?.execute(params![kind, before])?)
        })
        .await
    }

    /// Forgets the files of triggers that are not among `ids` any more, from before `before`.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn prune_files(&self, ids: Vec<String>, before: i64) -> Result<usize, Error> {
        let ids = serde_json::to_string(&ids).unwrap_or_default();
        self.transact(move |connection| {
            let sql = "DELETE FROM firings WHERE path IS NOT NULL AND fired_at < ? AND after IS NULL \
                       AND trigger_id NOT IN (SELECT value FROM json_each(?))";
            Ok(connection.prepare_cached(sql)?.execute(params![before, ids])?)
        })
        .await
    }

    /// The triggers that were made over the API, oldest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn made_triggers(&self) -> Result<Vec<MadeRow>, Error> {
        self.read(|connection| {
            let mut all = connection.prepare_cached("SELECT id, body FROM made_triggers ORDER BY created_at, id")?;
            Ok(all.query_map([], |row| Ok(MadeRow { id: row.get(0)?, body: row.get(1)? }))?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Keeps a trigger that was made over the API; false where there are `most` already.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn make_trigger(&self, row: MadeRow, enabled: bool, now: i64, most: u32) -> Result<bool, Error> {
        self.transact(move |connection| {
            let there: u32 = connection.prepare_cached("SELECT count(*) FROM made_triggers")?.query_row([], |row| row.get(0))?;
            if there >= most {
                return Ok(false);
            }
            let sql = "INSERT INTO made_triggers (id, body, created_at) VALUES (?, ?, ?)";
            connection.prepare_cached(sql)?.execute(params![row.id, row.body, now])?;
            connection.prepare_cached("INSERT INTO triggers (id, enabled) VALUES (?, ?)")?.execute(params![row.id, enabled])?;
            Ok(true)
        })
        .await
    }

    /// Removes a trigger that was made over the API, and all that is known of it.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_trigger(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.transact(move |connection| {
            if connection.prepare_cached("DELETE FROM made_triggers WHERE id = ?")?.execute([&id])? == 0 {
                return Err(Error::Missing { kind: "trigger", id });
            }
            connection.prepare_cached("DELETE FROM triggers WHERE id = ?")?.execute([&id])?;
            connection.prepare_cached("DELETE FROM firings WHERE trigger_id = ?")?.execute([&id])?;
            Ok(())
        })
        .await
    }
}

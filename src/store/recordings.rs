//! The rows of recordings: what was done step by step, with the pictures of it. Films are files, which are the business of `recordings`.

use std::collections::BTreeSet;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::blobs::{self, Content};
use super::{Error, Store};

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingRow {
    /// Its id.
    pub id: String,
    /// `input`, `video`.
    pub kind: String,
    /// For people.
    pub name: String,
    /// `recording`, `paused`, `finished`, `interrupted`.
    pub status: String,
    /// Why it ended, where nobody ended it.
    pub reason: Option<String>,
    /// The run that a film is of.
    pub run_id: Option<String>,
    /// What only its kind has, as JSON.
    pub body: String,
    /// Bytes of a film, or of all pictures.
    pub size_bytes: u64,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// Microseconds since 1970; none while it goes on.
    pub finished_at: Option<i64>,
}

/// A step of what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingStepRow {
    /// Counted from 1.
    pub number: u32,
    /// What was done, as JSON.
    pub body: String,
    /// The SHA-256 of its picture.
    pub hash: Option<String>,
}

/// Which recordings are meant.
#[derive(Debug, Clone, Default)]
pub struct RecordingFilter {
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this run.
    pub run_id: Option<String>,
}

const COLUMNS: &str = "id, kind, name, status, reason, run_id, body, size_bytes, started_at, finished_at";

impl RecordingRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            kind: row.get(1)?,
            name: row.get(2)?,
            status: row.get(3)?,
            reason: row.get(4)?,
            run_id: row.get(5)?,
            body: row.get(6)?,
            size_bytes: row.get::<_, i64>(7)?.unsigned_abs(),
            started_at: row.get(8)?,
            finished_at: row.get(9)?,
        })
    }
}

impl Store {
    /// Keeps a new recording.
    ///
    /// # Errors
    /// [`Error::Taken`] where the id is in use.
    pub async fn create_recording(&self, row: RecordingRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = format!("INSERT INTO recordings ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
            let size = i64::try_from(row.size_bytes).unwrap_or(i64::MAX);
            let RecordingRow { id, kind, name, status, reason, run_id, body, started_at, finished_at, .. } = row;
            let values = params![id, kind, name, status, reason, run_id, body, size, started_at, finished_at];
            match connection.prepare_cached(&sql)?.execute(values)? {
                0 => Err(Error::Taken { kind: "recording", id }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Writes down how a recording is now: status, reason, body, size and end.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn update_recording(&self, row: RecordingRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "UPDATE recordings SET status = ?, reason = ?, body = ?, size_bytes = ?, finished_at = ? WHERE id = ?";
            let size = i64::try_from(row.size_bytes).unwrap_or(i64::MAX);
            let values = params![row.status, row.reason, row.body, size, row.finished_at, row.id];
            match connection.prepare_cached(sql)?.execute(values)? {
                0 => Err(Error::Missing { kind: "recording", id: row.id }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Says which run a film is of, and what it is called by that.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn set_recorded_run(&self, id: &str, run_id: &str, name: &str) -> Result<(), Error> {
        let (id, run_id, name) = (id.to_owned(), run_id.to_owned(), name.to_owned());
        self.transact(move |connection| {
            let sql = "UPDATE recordings SET run_id = ?, name = ? WHERE id = ?";
            match connection.prepare_cached(sql)?.execute(params![run_id, name, id])? {
                0 => Err(Error::Missing { kind: "recording", id }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Adds a step to a recording, and its picture (a JPEG) beside it. Gives the picture's SHA-256.
    ///
    /// # Errors
    /// [`Error::Missing`]; [`Error::Full`] where the picture cannot be written.
    pub async fn add_recording_step(&self, id: &str, number: u32, body: String, picture: Option<Vec<u8>>) -> Result<Option<String>, Error> {
        let (id, files) = (id.to_owned(), self.inner.blobs.clone());
        self.transact(move |connection| {
            let key = key_of(connection, &id)?;
            let mut hash = None;
            if let (Some(picture), Some(files)) = (&picture, &files) {
                let name = blobs::hash(picture);
                files.put(&name, Content::Image, picture)?;
                let bytes = i64::try_from(picture.len()).unwrap_or(i64::MAX);
                let sql = "INSERT INTO recording_files (recording, hash, bytes) VALUES (?, ?, ?) ON CONFLICT (recording, hash) DO NOTHING";
                if connection.prepare_cached(sql)?.execute(params![key, name, bytes])? > 0 {
                    let sql = "UPDATE recordings SET size_bytes = size_bytes + ? WHERE key = ?";
                    connection.prepare_cached(sql)?.execute(params![bytes, key])?;
                }
                hash = Some(name);
            }
            let sql = "INSERT OR REPLACE INTO recording_steps (recording, number, body, hash) VALUES (?, ?, ?, ?)";
            connection.prepare_cached(sql)?.execute(params![key, number, body, hash])?;
            Ok(hash)
        })
        .await
    }

    /// The steps of a recording.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn recording_steps(&self, id: &str) -> Result<Vec<RecordingStepRow>, Error> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql =
                "SELECT number, s.body, hash FROM recording_steps s JOIN recordings r ON r.key = recording WHERE r.id = ? ORDER BY number";
            let mut query = connection.prepare_cached(sql)?;
            let step = |row: &Row<'_>| Ok(RecordingStepRow { number: row.get(0)?, body: row.get(1)?, hash: row.get(2)? });
            Ok(query.query_map([id], step)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// A picture of a recording, as JPEG. None where it has no such picture, or its file is gone.
    ///
    /// # Errors
    /// Where the database or the file cannot be read.
    pub async fn recording_image(&self, id: &str, hash: &str) -> Result<Option<Vec<u8>>, Error> {
        let (id, hash) = (id.to_owned(), hash.to_owned());
        let Some(files) = self.inner.blobs.clone().filter(|_| blobs::is_hash(&hash)) else { return Ok(None) };
        self.read(move |connection| {
            let sql = "SELECT bytes FROM recording_files JOIN recordings r ON r.key = recording WHERE r.id = ? AND hash = ?";
            let bytes: Option<i64> = connection.prepare_cached(sql)?.query_row(params![id, hash], |row| row.get(0)).optional()?;
            bytes.map_or(Ok(None), |bytes| files.get(&hash, Content::Image, bytes.unsigned_abs()))
        })
        .await
    }

    /// The recording of that id.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn recording(&self, id: &str) -> Result<Option<RecordingRow>, Error> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM recordings WHERE id = ?");
            Ok(connection.prepare_cached(&sql)?.query_row([id], RecordingRow::from_row).optional()?)
        })
        .await
    }

    /// Recordings, newest first; and how many fit in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn recordings(&self, filter: RecordingFilter, limit: u32, offset: u32) -> Result<(Vec<RecordingRow>, u64), Error> {
        self.read(move |connection| {
            let fits = "(?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR run_id = ?2)";
            let sql = format!("SELECT {COLUMNS} FROM recordings WHERE {fits} ORDER BY key DESC LIMIT ?3 OFFSET ?4");
            let mut query = connection.prepare_cached(&sql)?;
            let values = params![filter.kind, filter.run_id, limit, offset];
            let rows = query.query_map(values, RecordingRow::from_row)?.collect::<Result<_, _>>()?;
            let sql = format!("SELECT count(*) FROM recordings WHERE {fits}");
            let count: i64 = connection.prepare_cached(&sql)?.query_row(params![filter.kind, filter.run_id], |row| row.get(0))?;
            Ok((rows, count.unsigned_abs()))
        })
        .await
    }

    /// Removes a recording with its steps and pictures; gives what it was.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_recording(&self, id: &str) -> Result<RecordingRow, Error> {
        let id = id.to_owned();
        let removed = self.transact(move |connection| {
            let key = key_of(connection, &id)?;
            let hashes = hashes_of(connection, key)?;
            let sql = format!("DELETE FROM recordings WHERE key = ? RETURNING {COLUMNS}");
            let row = connection.prepare_cached(&sql)?.query_row([key], RecordingRow::from_row)?;
            Ok((row, hashes))
        });
        let (row, hashes) = removed.await?;
        self.remove_files(hashes).await?;
        Ok(row)
    }

    /// Says of every recording that was going on that it is `interrupted`, since its server died; gives which they are.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn interrupt_recordings(&self, reason: &str, now: i64) -> Result<Vec<RecordingRow>, Error> {
        let reason = reason.to_owned();
        self.transact(move |connection| {
            let sql = format!(
                "UPDATE recordings SET status = 'interrupted', reason = ?, finished_at = ?
                 WHERE status IN ('recording', 'paused') RETURNING {COLUMNS}"
            );
            let mut query = connection.prepare_cached(&sql)?;
            Ok(query.query_map(params![reason, now], RecordingRow::from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The finished films that began before `before`, and the oldest ones for as long as all together have more than `most` bytes; the
    /// newest one does not go for its size.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn outdated_films(&self, before: Option<i64>, most: Option<u64>) -> Result<Vec<RecordingRow>, Error> {
        let most = most.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM (
                    SELECT {COLUMNS}, sum(size_bytes) OVER newer AS total, row_number() OVER newer AS place
                    FROM recordings WHERE kind = 'video' AND finished_at IS NOT NULL WINDOW newer AS (ORDER BY key DESC)
                ) WHERE started_at < ?1 OR (total > ?2 AND place > 1)"
            );
            let mut query = connection.prepare_cached(&sql)?;
            Ok(query.query_map(params![before, most], RecordingRow::from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

fn key_of(connection: &Connection, id: &str) -> Result<i64, Error> {
    let key = connection.prepare_cached("SELECT key FROM recordings WHERE id = ?")?.query_row([id], |row| row.get(0)).optional()?;
    key.ok_or_else(|| Error::Missing { kind: "recording", id: id.to_owned() })
}

fn hashes_of(connection: &Connection, key: i64) -> Result<BTreeSet<String>, Error> {
    let mut query = connection.prepare_cached("SELECT hash FROM recording_files WHERE recording = ?")?;
    Ok(query.query_map([key], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

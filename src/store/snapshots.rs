//! The rows of snapshots. Their images are files, which are the business of `snapshots`.

use rusqlite::{OptionalExtension, Row, params};

use super::{Error, Store};

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotRow {
    /// Its id.
    pub id: String,
    /// The monitor it shows.
    pub monitor: i64,
    /// The part of it, as JSON text.
    pub region: Option<String>,
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// 1–100.
    pub quality: u32,
    /// `jpeg`, `png`, `webp`.
    pub format: String,
    /// Bytes of its image.
    pub size_bytes: u64,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// The desktop it shows; none is the default one.
    pub target: Option<String>,
}

const COLUMNS: &str = "id, monitor, region, width, height, quality, format, size_bytes, created_at, target";

impl SnapshotRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            monitor: row.get(1)?,
            region: row.get(2)?,
            width: row.get(3)?,
            height: row.get(4)?,
            quality: row.get(5)?,
            format: row.get(6)?,
            size_bytes: row.get::<_, i64>(7)?.unsigned_abs(),
            created_at: row.get(8)?,
            target: row.get(9)?,
        })
    }
}

impl Store {
    /// Keeps a new snapshot.
    ///
    /// # Errors
    /// [`Error::Taken`] where the id is in use.
    pub async fn create_snapshot(&self, row: SnapshotRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = format!("INSERT INTO snapshots ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING");
            let size = i64::try_from(row.size_bytes).unwrap_or(i64::MAX);
            let SnapshotRow { id, monitor, region, width, height, quality, format, created_at, target, .. } = &row;
            let values = params![id, monitor, region, width, height, quality, format, size, created_at, target];
            match connection.prepare_cached(&sql)?.execute(values)? {
                0 => Err(Error::Taken { kind: "snapshot", id: row.id }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Removes a snapshot; gives what it was.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn delete_snapshot(&self, id: &str) -> Result<SnapshotRow, Error> {
        let id = id.to_owned();
        self.transact(move |connection| {
            let sql = format!("DELETE FROM snapshots WHERE id = ? RETURNING {COLUMNS}");
            let gone = connection.prepare_cached(&sql)?.query_row([&id], SnapshotRow::from_row).optional()?;
            gone.ok_or(Error::Missing { kind: "snapshot", id })
        })
        .await
    }

    /// Removes the snapshots made before `before`, and the oldest ones for as long as all together have more than `most` bytes; the
    /// newest one is not removed for its size. Gives what they were.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn outdated_snapshots(&self, before: Option<i64>, most: Option<u64>) -> Result<Vec<SnapshotRow>, Error> {
        let most = most.map(|most| i64::try_from(most).unwrap_or(i64::MAX));
        self.transact(move |connection| {
            let sql = format!(
                "DELETE FROM snapshots WHERE key IN (
                    SELECT key FROM (
                        SELECT key, created_at, sum(size_bytes) OVER newer AS total, row_number() OVER newer AS place
                        FROM snapshots WINDOW newer AS (ORDER BY key DESC)
                    ) WHERE created_at < ?1 OR (total > ?2 AND place > 1)
                ) RETURNING {COLUMNS}"
            );
            let mut query = connection.prepare_cached(&sql)?;
            Ok(query.query_map(params![before, most], SnapshotRow::from_row)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// The snapshot of that id.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn snapshot(&self, id: &str) -> Result<Option<SnapshotRow>, Error> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = format!("SELECT {COLUMNS} FROM snapshots WHERE id = ?");
            Ok(connection.prepare_cached(&sql)?.query_row([id], SnapshotRow::from_row).optional()?)
        })
        .await
    }

    /// The ids of snapshots, newest first; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn snapshot_ids(&self, limit: u32, offset: u32) -> Result<(Vec<String>, u64), Error> {
        self.read(move |connection| {
            let mut query = connection.prepare_cached("SELECT id FROM snapshots ORDER BY key DESC LIMIT ? OFFSET ?")?;
            let ids = query.query_map([limit, offset], |row| row.get(0))?.collect::<Result<_, _>>()?;
            let count: i64 = connection.prepare_cached("SELECT count(*) FROM snapshots")?.query_row([], |row| row.get(0))?;
            Ok((ids, count.unsigned_abs()))
        })
        .await
    }

    /// Every snapshot: id and format.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn all_snapshots(&self) -> Result<Vec<(String, String)>, Error> {
        self.read(|connection| {
            let mut query = connection.prepare_cached("SELECT id, format FROM snapshots")?;
            Ok(query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?)
        })
        .await
    }
}

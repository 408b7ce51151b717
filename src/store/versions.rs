//! The rows of what workflows and scripts were, change by change.

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};
use sha2::{Digest, Sha256};

use super::trust::Maker;
use super::workflows::{WorkflowIndex, WorkflowRow};
use super::{Error, Store};

/// What there are versions of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versioned {
    /// A stored workflow, by its id.
    Workflow,
    /// A script or node type, by its path.
    Script,
}

impl Versioned {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Workflow => "workflow",
            Self::Script => "script",
        }
    }
}

/// How a version came about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// `api`, `file` or `restore`.
    pub made_by: String,
    /// The name of the key that was shown, if one was.
    pub api_key: Option<String>,
    /// The version that was restored, if one was.
    pub restored_from: Option<u32>,
}

/// A version, without what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionRow {
    /// From 1, in the order in which they were made.
    pub number: u32,
    /// SHA-256 of the content, in hexadecimal.
    pub hash: String,
    /// Bytes of the content.
    pub size: u64,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// How it came about.
    pub origin: Origin,
}

/// A text that is to be a version.
#[derive(Debug, Clone)]
pub struct NewVersion {
    /// What it is a version of.
    pub kind: Versioned,
    /// Its id or path.
    pub thing: String,
    /// The text.
    pub content: String,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// How it came about.
    pub origin: Origin,
    /// So many are kept of each thing; 0 keeps all.
    pub kept: u32,
}

/// Something of which versions are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThingRow {
    /// Its id or path.
    pub thing: String,
    /// The newest version.
    pub newest: VersionRow,
    /// How many there are.
    pub versions: u64,
}

const COLUMNS: &str = "number, hash, size, created_at, made_by, api_key, restored_from";

impl VersionRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get(0)?,
            hash: row.get(1)?,
            size: row.get::<_, i64>(2)?.unsigned_abs(),
            created_at: row.get(3)?,
            origin: Origin { made_by: row.get(4)?, api_key: row.get(5)?, restored_from: row.get(6)? },
        })
    }
}

impl ThingRow {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { newest: VersionRow::from_row(row)?, thing: row.get(7)?, versions: row.get::<_, i64>(8)?.unsigned_abs() })
    }
}

/// Keeps a version, unless it says what the newest one says; gives its number.
pub(super) fn add(connection: &Connection, version: &NewVersion) -> Result<u32, Error> {
    let hash: String = Sha256::digest(&version.content).iter().map(|byte| format!("{byte:02x}")).collect();
    let (kind, thing) = (version.kind.as_str(), &version.thing);
    let sql = "SELECT number, hash FROM versions WHERE kind = ? AND thing = ? ORDER BY number DESC LIMIT 1";
    let newest: Option<(u32, String)> =
        connection.prepare_cached(sql)?.query_row(params![kind, thing], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    let number = match newest {
        Some((number, known)) if known == hash => return Ok(number),
        Some((number, _)) => number + 1,
        None => 1,
    };
    let sql = "INSERT INTO versions (kind, thing, number, hash, content, size, created_at, made_by, api_key, restored_from)
        VALUES (:kind, :thing, :number, :hash, :content, :size, :created_at, :made_by, :api_key, :restored_from)";
    connection.prepare_cached(sql)?.execute(named_params! {
        ":kind": kind,
        ":thing": thing,
        ":number": number,
        ":hash": hash,
        ":content": version.content,
        ":size": i64::try_from(version.content.len()).unwrap_or(i64::MAX),
        ":created_at": version.created_at,
        ":made_by": version.origin.made_by,
        ":api_key": version.origin.api_key,
        ":restored_from": version.origin.restored_from,
    })?;
    if version.kept > 0 {
        let sql = "DELETE FROM versions WHERE kind = ? AND thing = ? AND number <= ?";
        connection.prepare_cached(sql)?.execute(params![kind, thing, i64::from(number) - i64::from(version.kept)])?;
    }
    Ok(number)
}

/// Makes the first versions of the workflows that are stored already: with the table itself.
pub(super) fn begin(connection: &Connection) -> Result<(), Error> {
    let mut stored = connection.prepare("SELECT id, body, updated_at FROM workflows")?;
    let rows = stored.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    for row in rows {
        let (thing, content, created_at) = row?;
        let origin = Origin { made_by: "api".to_owned(), ..Origin::default() };
        add(connection, &NewVersion { kind: Versioned::Workflow, thing, content, created_at, origin, kept: 0 })?;
    }
    Ok(())
}

impl Store {
    /// Keeps versions in the order in which this is called, whoever awaits what; gives their numbers.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub fn keep_versions(&self, versions: Vec<NewVersion>) -> impl Future<Output = Result<Vec<u32>, Error>> + Send + 'static + use<> {
        let asked = self.ask(move |connection| versions.iter().map(|version| add(connection, version)).collect());
        async move { asked.await.unwrap_or(Err(Error::Closed)) }
    }

    /// The same for one, on a thread that may block.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn keep_version(&self, version: NewVersion) -> Result<u32, Error> {
        self.ask(move |connection| add(connection, &version)).blocking_recv().unwrap_or(Err(Error::Closed))
    }

    /// Stores a workflow as an earlier version of it was, whether it is still there or not; gives the row and the version's number.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub async fn restore_workflow(
        &self,
        row: WorkflowRow,
        index: WorkflowIndex,
        version: NewVersion,
        maker: Maker,
    ) -> Result<WorkflowRow, Error> {
        self.transact(move |connection| {
            let changed = super::workflows::put(connection, &row, &index)?;
            super::trust::changed(connection, Versioned::Workflow, &row.id, &maker)?;
            add(connection, &version)?;
            Ok(changed)
        })
        .await
    }

    /// Versions of one thing, newest first, before that number; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn versions(&self, kind: Versioned, thing: &str, limit: u32, before: Option<u32>) -> Result<(Vec<VersionRow>, u64), Error> {
        let thing = thing.to_owned();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS} FROM versions WHERE kind = ?1 AND thing = ?2 AND number < ifnull(?3, 1 << 62) ORDER BY number DESC LIMIT ?4"
            );
            let rows = connection
                .prepare_cached(&sql)?
                .query_map(params![kind.as_str(), thing, before, limit], VersionRow::from_row)?
                .collect::<Result<_, _>>()?;
            let sql = "SELECT count(*) FROM versions WHERE kind = ? AND thing = ?";
            let count: i64 = connection.prepare_cached(sql)?.query_row(params![kind.as_str(), thing], |row| row.get(0))?;
            Ok((rows, count.unsigned_abs()))
        })
        .await
    }

    /// One version and what it holds; the newest one where no number is given.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn version(&self, kind: Versioned, thing: &str, number: Option<u32>) -> Result<Option<(VersionRow, String)>, Error> {
        let thing = thing.to_owned();
        self.read(move |connection| {
            let sql = format!(
                "SELECT {COLUMNS}, content FROM versions WHERE kind = ?1 AND thing = ?2 AND (?3 IS NULL OR number = ?3)
                ORDER BY number DESC LIMIT 1"
            );
            let read = |row: &Row<'_>| Ok((VersionRow::from_row(row)?, row.get(7)?));
            Ok(connection.prepare_cached(&sql)?.query_row(params![kind.as_str(), thing, number], read).optional()?)
        })
        .await
    }

    /// The workflows of which there is nothing left but versions, those that changed last first, before that one: each with what its newest
    /// version calls it; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn deleted_workflows(&self, limit: u32, before: Option<String>) -> Result<(Vec<(ThingRow, Option<String>)>, u64), Error> {
        self.read(move |connection| {
            let gone = "kind = 'workflow' AND thing NOT IN (SELECT id FROM workflows)";
            if let Some(id) = &before {
                let sql = "SELECT EXISTS (SELECT 1 FROM versions WHERE kind = 'workflow' AND thing = ?)";
                if !connection.prepare_cached(sql)?.query_row([id], |row| row.get(0))? {
                    return Err(Error::Missing { kind: "workflow", id: id.chars().take(300).collect() });
                }
            }
            // Of the columns beside max(), SQLite gives those of the row that has the maximum.
            let sql = format!(
                "SELECT {COLUMNS}, thing, count(*), iif(json_valid(content), json_extract(content, '$.name'), NULL), max(key) AS newest
                FROM versions WHERE {gone} GROUP BY thing
                HAVING newest < ifnull((SELECT max(key) FROM versions WHERE kind = 'workflow' AND thing = ?1), 1 << 62)
                ORDER BY newest DESC LIMIT ?2"
            );
            let read = |row: &Row<'_>| Ok((ThingRow::from_row(row)?, row.get::<_, Option<String>>(9)?));
            let rows = connection.prepare_cached(&sql)?.query_map(params![before, limit], read)?.collect::<Result<_, _>>()?;
            let sql = format!("SELECT count(DISTINCT thing) FROM versions WHERE {gone}");
            let count: i64 = connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))?;
            Ok((rows, count.unsigned_abs()))
        })
        .await
    }

    /// Everything of that kind of which there are versions, by name, after that one; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn versioned(&self, kind: Versioned, limit: u32, after: Option<String>) -> Result<(Vec<ThingRow>, u64), Error> {
        self.read(move |connection| {
            // Of the columns beside max(), SQLite gives those of the row that has the maximum.
            let sql = "SELECT max(number), hash, size, created_at, made_by, api_key, restored_from, thing, count(*) FROM versions
                WHERE kind = ?1 AND (?2 IS NULL OR thing > ?2) GROUP BY thing ORDER BY thing LIMIT ?3";
            let read = |row: &Row<'_>| {
                Ok(ThingRow { newest: VersionRow::from_row(row)?, thing: row.get(7)?, versions: row.get::<_, i64>(8)?.unsigned_abs() })
            };
            let rows = connection.prepare_cached(sql)?.query_map(params![kind.as_str(), after, limit], read)?.collect::<Result<_, _>>()?;
            let sql = "SELECT count(DISTINCT thing) FROM versions WHERE kind = ?";
            let count: i64 = connection.prepare_cached(sql)?.query_row([kind.as_str()], |row| row.get(0))?;
            Ok((rows, count.unsigned_abs()))
        })
        .await
    }
}

//! Opening the file: what is checked before the first write, and the numbered migrations.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::Error;

/// Marks a file as TRAE's own ("TRAE" in ASCII).
const APPLICATION_ID: i64 = 0x5452_4145;

/// Each file brings the schema one version further; the number is the version it leads to.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_workflows_and_runs.sql"),
    include_str!("migrations/0002_shell_sessions.sql"),
    include_str!("migrations/0003_node_configs.sql"),
    include_str!("migrations/0004_snapshots.sql"),
    include_str!("migrations/0005_keys.sql"),
    include_str!("migrations/0006_triggers.sql"),
    include_str!("migrations/0007_resuming.sql"),
    VERSIONS,
    include_str!("migrations/0009_history.sql"),
    include_str!("migrations/0010_firings.sql"),
    include_str!("migrations/0011_targets.sql"),
    include_str!("migrations/0012_recordings.sql"),
    include_str!("migrations/0013_shell_endings.sql"),
    include_str!("migrations/0014_sight.sql"),
    include_str!("migrations/0015_secrets.sql"),
    include_str!("migrations/0016_audit.sql"),
    include_str!("migrations/0017_trust.sql"),
    include_str!("migrations/0018_keys_of_workflows.sql"),
];

/// The one that has workflows begin with a version each.
const VERSIONS: &str = include_str!("migrations/0008_versions.sql");

/// Files up to this size are checked whole when they are opened; of larger ones first what is small in them, and the whole while they
/// are in use already ([`damage`]).
pub(super) const CHECKED_WHOLE: u64 = 8 << 20;

/// Tables that grow with use.
const LARGE: &[&str] =
    &["audit", "logs", "recording_files", "recording_steps", "run_files", "runs", "shell_commands", "step_images", "steps"];

/// Opens the writing connection: checks first, changes afterwards.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(|error| open_error(path, &error))?;
    connection.busy_timeout(Duration::from_secs(5))?;
    check(&connection, path)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(|error| open_error(path, &error))?;
    if mode != "wal" {
        let reason = format!("its folder's file system allows no write-ahead log, only {mode:?}");
        return Err(Error::Open { path: path.to_path_buf(), reason });
    }
    settle(&mut connection)?;
    Ok(connection)
}

/// A database that lives as long as its connection.
pub(super) fn open_in_memory() -> Result<Connection, Error> {
    let mut connection = Connection::open_in_memory()?;
    settle(&mut connection)?;
    Ok(connection)
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, Error> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn settle(connection: &mut Connection) -> Result<(), Error> {
    // Without a sync on each commit a crash of the process loses nothing; a power cut loses at most the last commits, never the file.
    connection.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;")?;
    connection.set_prepared_statement_cache_capacity(64);
    migrate(connection)
}

fn migrate(connection: &mut Connection) -> Result<(), Error> {
    let version: usize = connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))? as usize;
    for (index, migration) in MIGRATIONS.iter().enumerate().skip(version) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(migration)?;
        if *migration == VERSIONS {
            super::versions::begin(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", u32::try_from(index + 1).unwrap_or(u32::MAX))?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Refuses what is not ours, is newer, or is damaged. Only reads.
fn check(connection: &Connection, path: &Path) -> Result<(), Error> {
    let ask = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, i64>(0)).map_err(|error| open_error(path, &error));
    let version = ask("PRAGMA user_version")?;
    let tables = ask("SELECT count(*) FROM sqlite_schema")?;
    if tables == 0 && version == 0 {
        return Ok(());
    }
    let foreign = |reason: String| Err(Error::Foreign { path: path.to_path_buf(), reason });
    if ask("PRAGMA application_id")? != APPLICATION_ID {
        return foreign("it belongs to another program; choose another data folder".to_owned());
    }
    let newest = MIGRATIONS.len();
    if usize::try_from(version).map_or(true, |version| version > newest) {
        return foreign(format!("it has schema {version}, written by a newer TRAE (this one knows {newest}); start that one"));
    }
    let size = std::fs::metadata(path).map_or(0, |data| data.len());
    let found = if size <= CHECKED_WHOLE { damage(connection) } else { glance(connection) };
    match found.map_err(|error| open_error(path, &error))? {
        Some(reason) => Err(Error::Corrupt { path: path.to_path_buf(), reason }),
        None => Ok(()),
    }
}

/// What is wrong with the database, looked through as a whole.
pub(super) fn damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)).map(|verdict| (verdict != "ok").then_some(verdict))
}

/// What is wrong with a large database at first sight: in a small table, or at the ends of a large one. A file that was cut
/// SQLite knows by itself.
fn glance(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let mut tables = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'")?;
    for table in tables.query_map([], |row| row.get::<_, String>(0))? {
        let table = table?;
        if LARGE.contains(&table.as_str()) || table.starts_with("runs_text") {
            for order in ["ASC", "DESC"] {
                let sql = format!("SELECT * FROM \"{table}\" ORDER BY 1 {order} LIMIT 1");
                connection.prepare(&sql)?.query([])?.next()?;
            }
        } else {
            let verdict: String = connection.query_row(&format!("PRAGMA quick_check(\"{table}\")"), [], |row| row.get(0))?;
            if verdict != "ok" {
                return Ok(Some(verdict));
            }
        }
    }
    Ok(None)
}

fn open_error(path: &Path, error: &rusqlite::Error) -> Error {
    use rusqlite::ErrorCode::{DatabaseCorrupt, DiskFull, NotADatabase};
    let (path, reason) = (path.to_path_buf(), error.to_string());
    match error.sqlite_error_code() {
        Some(DatabaseCorrupt | NotADatabase) => Error::Corrupt { path, reason },
        Some(DiskFull) => Error::Full(reason),
        _ => Error::Open { path, reason },
    }
}

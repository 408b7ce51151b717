//! The rows of shell sessions and of what ran in them.

use rusqlite::{OptionalExtension, params};

use super::{Error, Store};

/// Commands kept of one session; older ones make room.
const COMMANDS: u32 = 1000;
/// Sessions whose commands are kept; older ones make room.
const SESSIONS: u32 = 1000;

/// A session that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellSessionRow {
    /// Its id.
    pub session_id: String,
    /// What people call it.
    pub name: String,
    /// Its shell.
    pub shell_type: String,
    /// RFC 3339 UTC.
    pub created_at: String,
}

/// A command that ran in one.
#[derive(Debug, Clone, PartialEq)]
pub struct ShellCommandRow {
    /// Grows with each; given by the database.
    pub id: u64,
    /// As it was sent, or typed.
    pub command: String,
    /// When it began, RFC 3339 UTC.
    pub timestamp: String,
    /// Its exit code.
    pub exit_code: i32,
    /// What it printed.
    pub output: String,
    /// Whether it printed more.
    pub truncated: bool,
    /// Seconds it ran.
    pub execution_time: f64,
}

impl Store {
    /// Keeps a session.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn open_shell_session(&self, row: ShellSessionRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "INSERT INTO shell_sessions (session_id, name, shell_type, created_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING";
            connection.prepare_cached(sql)?.execute(params![row.session_id, row.name, row.shell_type, row.created_at])?;
            let old = "DELETE FROM shell_sessions WHERE key <= (SELECT key FROM shell_sessions ORDER BY key DESC LIMIT 1 OFFSET ?)";
            connection.prepare_cached(old)?.execute([SESSIONS])?;
            Ok(())
        })
        .await
    }

    /// Keeps a command that ran in a session. One whose session was not kept is not kept either.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn add_shell_command(&self, session_id: String, row: ShellCommandRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "INSERT INTO shell_commands (session, command, timestamp, exit_code, output, truncated, execution_time) \
                       SELECT key, ?2, ?3, ?4, ?5, ?6, ?7 FROM shell_sessions WHERE session_id = ?1";
            connection.prepare_cached(sql)?.execute(params![
                session_id,
                row.command,
                row.timestamp,
                row.exit_code,
                row.output,
                row.truncated,
                row.execution_time
            ])?;
            let old = "DELETE FROM shell_commands WHERE session = (SELECT key FROM shell_sessions WHERE session_id = ?1) AND id <= \
                       (SELECT id FROM shell_commands WHERE session = (SELECT key FROM shell_sessions WHERE session_id = ?1) ORDER BY id DESC LIMIT 1 OFFSET ?2)";
            connection.prepare_cached(old)?.execute(params![session_id, COMMANDS])?;
            Ok(())
        })
        .await
    }

    /// The last commands of a session before the one with the id `before`, the oldest first, and how many there are. Nothing where no
    /// such session is kept.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn shell_commands(
        &self,
        session_id: String,
        limit: u32,
        before: Option<u64>,
    ) -> Result<Option<(Vec<ShellCommandRow>, u64)>, Error> {
        self.read(move |connection| {
            let key: Option<i64> = connection
                .prepare_cached("SELECT key FROM shell_sessions WHERE session_id = ?")?
                .query_row([session_id], |row| row.get(0))
                .optional()?;
            let Some(key) = key else { return Ok(None) };
            let sql = "SELECT id, command, timestamp, exit_code, output, truncated, execution_time FROM shell_commands \
                       WHERE session = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            let before = before.map_or(i64::MAX, |before| i64::try_from(before).unwrap_or(i64::MAX));
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map(params![key, before, limit], |row| {
                Ok(ShellCommandRow {
                    id: row.get::<_, i64>(0)?.unsigned_abs(),
                    command: row.get(1)?,
                    timestamp: row.get(2)?,
                    exit_code: row.get(3)?,
                    output: row.get(4)?,
                    truncated: row.get(5)?,
                    execution_time: row.get(6)?,
                })
            })?;
            let mut rows: Vec<_> = rows.collect::<Result<_, _>>()?;
            rows.reverse();
            let count: i64 =
                connection.prepare_cached("SELECT count(*) FROM shell_commands WHERE session = ?")?.query_row([key], |row| row.get(0))?;
            Ok(Some((rows, count.unsigned_abs())))
        })
        .await
    }
}

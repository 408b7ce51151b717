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
    /// How it ended, where it has.
    pub end: Option<ShellEndRow>,
}

/// How one ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShellEndRow {
    /// RFC 3339 UTC.
    pub ended_at: String,
    /// The exit code of its shell, where somebody saw it.
    pub exit_code: Option<i32>,
    /// Why, as a sentence.
    pub reason: String,
    /// What its terminal showed last.
    pub screen: String,
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
    /// Where it ran.
    pub working_directory: Option<String>,
}

/// What is read of a session.
const SESSION: &str = "SELECT session_id, name, shell_type, created_at, ended_at, exit_code, end_reason, screen FROM shell_sessions";

fn session(row: &rusqlite::Row<'_>) -> rusqlite::Result<ShellSessionRow> {
    let ended_at: Option<String> = row.get(4)?;
    let end = match ended_at {
        Some(ended_at) => Some(ShellEndRow {
            ended_at,
            exit_code: row.get(5)?,
            reason: row.get::<_, Option<String>>(6)?.unwrap_or_default(),
            screen: row.get::<_, Option<String>>(7)?.unwrap_or_default(),
        }),
        None => None,
    };
    Ok(ShellSessionRow { session_id: row.get(0)?, name: row.get(1)?, shell_type: row.get(2)?, created_at: row.get(3)?, end })
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

    /// Keeps how a session ended. What is kept of one that has ended already stays as it is.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn end_shell_session(&self, session_id: String, end: ShellEndRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "UPDATE shell_sessions SET ended_at = ?2, exit_code = ?3, end_reason = ?4, screen = ?5 \
                       WHERE session_id = ?1 AND ended_at IS NULL";
            connection.prepare_cached(sql)?.execute(params![session_id, end.ended_at, end.exit_code, end.reason, end.screen])?;
            Ok(())
        })
        .await
    }

    /// Notes of all sessions that have not ended on record that they did: nothing of them is left after a start.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn end_shell_sessions(&self, at: String, reason: String) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "UPDATE shell_sessions SET ended_at = ?1, end_reason = ?2, screen = '' WHERE ended_at IS NULL";
            connection.prepare_cached(sql)?.execute(params![at, reason])?;
            Ok(())
        })
        .await
    }

    /// A session that is kept.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn shell_session(&self, session_id: String) -> Result<Option<ShellSessionRow>, Error> {
        self.read(move |connection| {
            let sql = format!("{SESSION} WHERE session_id = ?");
            Ok(connection.prepare_cached(&sql)?.query_row([session_id], session).optional()?)
        })
        .await
    }

    /// The last sessions that have ended, at most `limit`, the newest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn ended_shell_sessions(&self, limit: u32) -> Result<Vec<ShellSessionRow>, Error> {
        self.read(move |connection| {
            let sql = format!("{SESSION} WHERE ended_at IS NOT NULL ORDER BY key DESC LIMIT ?");
            let mut statement = connection.prepare_cached(&sql)?;
            let rows = statement.query_map([limit], session)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Keeps a command that ran in a session. One whose session was not kept is not kept either.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn add_shell_command(&self, session_id: String, row: ShellCommandRow) -> Result<(), Error> {
        self.transact(move |connection| {
            let sql = "INSERT INTO shell_commands (session, command, timestamp, exit_code, output, truncated, execution_time, working_directory) \
                       SELECT key, ?2, ?3, ?4, ?5, ?6, ?7, ?8 FROM shell_sessions WHERE session_id = ?1";
            connection.prepare_cached(sql)?.execute(params![
                session_id,
                row.command,
                row.timestamp,
                row.exit_code,
                row.output,
                row.truncated,
                row.execution_time,
                row.working_directory
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
            let sql = "SELECT id, command, timestamp, exit_code, output, truncated, execution_time, working_directory FROM shell_commands \
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
                    working_directory: row.get(7)?,
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

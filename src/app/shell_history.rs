//! What runs in shell sessions, kept in the database.

use futures_util::future::BoxFuture;

use crate::error::Failure;
use crate::shell::{History, HistoryEntry, HistoryPage, PastSession, SessionEnd, ShellSessionInfo};
use crate::store::Store;
use crate::store::shell::{ShellCommandRow, ShellEndRow, ShellSessionRow};

/// The database, as `shell` wants it.
pub(super) struct Kept(pub(super) Store);

impl History for Kept {
    fn opened(&self, session: ShellSessionInfo) -> BoxFuture<'_, Result<(), Failure>> {
        let ShellSessionInfo { session_id, name, shell_type, created_at, .. } = session;
        let row = ShellSessionRow { session_id, name, shell_type: shell_type.as_str().to_owned(), created_at, end: None };
        Box::pin(async move { Ok(self.0.open_shell_session(row).await?) })
    }

    fn ended(&self, session_id: String, end: SessionEnd) -> BoxFuture<'_, Result<(), Failure>> {
        let SessionEnd { ended_at, exit_code, reason, screen } = end;
        let row = ShellEndRow { ended_at, exit_code, reason, screen };
        Box::pin(async move { Ok(self.0.end_shell_session(session_id, row).await?) })
    }

    fn session(&self, session_id: String) -> BoxFuture<'_, Result<Option<PastSession>, Failure>> {
        Box::pin(async move { Ok(self.0.shell_session(session_id).await?.map(past)) })
    }

    fn past(&self, limit: u32) -> BoxFuture<'_, Result<Vec<PastSession>, Failure>> {
        Box::pin(async move { Ok(self.0.ended_shell_sessions(limit).await?.into_iter().map(past).collect()) })
    }

    fn ran(&self, session_id: String, entry: HistoryEntry) -> BoxFuture<'_, Result<(), Failure>> {
        let HistoryEntry { id, command, timestamp, exit_code, output, truncated, execution_time, working_directory } = entry;
        let row = ShellCommandRow { id, command, timestamp, exit_code, output, truncated, execution_time, working_directory };
        Box::pin(async move { Ok(self.0.add_shell_command(session_id, row).await?) })
    }

    fn of(&self, session_id: String, limit: u32, before: Option<u64>) -> BoxFuture<'_, Result<Option<HistoryPage>, Failure>> {
        Box::pin(async move {
            let found = self.0.shell_commands(session_id, limit, before).await?;
            Ok(found.map(|(rows, count)| (rows.into_iter().map(entry).collect(), count)))
        })
    }
}

fn entry(row: ShellCommandRow) -> HistoryEntry {
    let ShellCommandRow { id, command, timestamp, exit_code, output, truncated, execution_time, working_directory } = row;
    HistoryEntry { id, command, timestamp, exit_code, output, truncated, execution_time, working_directory }
}

/// Notes that no session is left of those that an earlier server did not see end.
pub(super) async fn close(store: &Store) {
    let now = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    if let Err(error) = store.end_shell_sessions(now, "the session ended with the server it was in".to_owned()).await {
        tracing::warn!(%error, "the ends of earlier shell sessions could not be put on record");
    }
}

fn past(row: ShellSessionRow) -> PastSession {
    let ShellSessionRow { session_id, name, shell_type, created_at, end } = row;
    let end = end.map(|ShellEndRow { ended_at, exit_code, reason, screen }| SessionEnd { ended_at, exit_code, reason, screen });
    PastSession { session_id, name, shell: shell_type, created_at, end }
}

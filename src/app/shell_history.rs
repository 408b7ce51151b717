//! What runs in shell sessions, kept in the database.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::audit::{Audit, Deed, Outcome};
use crate::error::Failure;
use crate::mask;
use crate::shell::{History, HistoryEntry, HistoryPage, PastSession, SessionEnd, ShellSessionInfo};
use crate::store::Store;
use crate::store::shell::{ShellCommandRow, ShellEndRow, ShellSessionRow};

/// The database, as `shell` wants it.
pub(super) struct Kept {
    pub(super) store: Store,
    pub(super) audit: Arc<Audit>,
}

impl History for Kept {
    fn opened(&self, session: ShellSessionInfo) -> BoxFuture<'_, Result<(), Failure>> {
        let ShellSessionInfo { session_id, name, shell_type, created_at, .. } = session;
        let row = ShellSessionRow { session_id, name, shell_type: shell_type.as_str().to_owned(), created_at, end: None };
        Box::pin(async move { Ok(self.store.open_shell_session(row).await?) })
    }

    fn ended(&self, session_id: String, end: SessionEnd) -> BoxFuture<'_, Result<(), Failure>> {
        let SessionEnd { ended_at, exit_code, reason, screen } = end;
        let screen = mask::string(screen);
        let row = ShellEndRow { ended_at, exit_code, reason, screen };
        Box::pin(async move { Ok(self.store.end_shell_session(session_id, row).await?) })
    }

    fn session(&self, session_id: String) -> BoxFuture<'_, Result<Option<PastSession>, Failure>> {
        Box::pin(async move { Ok(self.store.shell_session(session_id).await?.map(past)) })
    }

    fn past(&self, limit: u32) -> BoxFuture<'_, Result<Vec<PastSession>, Failure>> {
        Box::pin(async move { Ok(self.store.ended_shell_sessions(limit).await?.into_iter().map(past).collect()) })
    }

    fn ran(&self, session_id: String, entry: HistoryEntry) -> BoxFuture<'_, Result<(), Failure>> {
        let HistoryEntry { id, command, timestamp, exit_code, output, truncated, execution_time, working_directory } = entry;
        let (command, output) = (mask::string(command), mask::string(output));
        // Also what a person typed, which nobody knew beforehand.
        let deed = Deed {
            actor: format!("session:{session_id}"),
            action: "shell.command".to_owned(),
            target: Some(session_id.clone()),
            details: serde_json::json!({ "command": command, "exit_code": exit_code }),
        };
        self.audit.note(deed, Outcome::Ok);
        let row = ShellCommandRow { id, command, timestamp, exit_code, output, truncated, execution_time, working_directory };
        Box::pin(async move { Ok(self.store.add_shell_command(session_id, row).await?) })
    }

    fn of(&self, session_id: String, limit: u32, before: Option<u64>) -> BoxFuture<'_, Result<Option<HistoryPage>, Failure>> {
        Box::pin(async move {
            let found = self.store.shell_commands(session_id, limit, before).await?;
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

//! What runs in shell sessions, kept in the database.

use futures_util::future::BoxFuture;

use crate::error::Failure;
use crate::shell::{History, HistoryEntry, HistoryPage, ShellSessionInfo};
use crate::store::Store;
use crate::store::shell::{ShellCommandRow, ShellSessionRow};

/// The database, as `shell` wants it.
pub(super) struct Kept(pub(super) Store);

impl History for Kept {
    fn opened(&self, session: ShellSessionInfo) -> BoxFuture<'_, Result<(), Failure>> {
        let ShellSessionInfo { session_id, name, shell_type, created_at, .. } = session;
        let row = ShellSessionRow { session_id, name, shell_type: shell_type.as_str().to_owned(), created_at };
        Box::pin(async move { Ok(self.0.open_shell_session(row).await?) })
    }

    fn ran(&self, session_id: String, entry: HistoryEntry) -> BoxFuture<'_, Result<(), Failure>> {
        let HistoryEntry { id, command, timestamp, exit_code, output, truncated, execution_time } = entry;
        let row = ShellCommandRow { id, command, timestamp, exit_code, output, truncated, execution_time };
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
    let ShellCommandRow { id, command, timestamp, exit_code, output, truncated, execution_time } = row;
    HistoryEntry { id, command, timestamp, exit_code, output, truncated, execution_time }
}

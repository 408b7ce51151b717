//! Where what ran in sessions is kept: this room says what happened, whoever made it keeps it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::BoxFuture;

use super::{HistoryEntry, PastSession, SessionEnd, ShellSessionInfo};
use crate::error::Failure;

/// Commands of a session, the oldest first, and how many are kept of it in all.
pub type HistoryPage = (Vec<HistoryEntry>, u64);

/// Keeps what ran in sessions.
pub trait History: Send + Sync {
    /// A session was opened.
    fn opened(&self, session: ShellSessionInfo) -> BoxFuture<'_, Result<(), Failure>>;
    /// A command ended in a session. The entry's id is given by the keeper.
    fn ran(&self, session_id: String, entry: HistoryEntry) -> BoxFuture<'_, Result<(), Failure>>;
    /// A session ended.
    fn ended(&self, session_id: String, end: SessionEnd) -> BoxFuture<'_, Result<(), Failure>>;
    /// A session that was opened once. Nothing where there never was such a session.
    fn session(&self, session_id: String) -> BoxFuture<'_, Result<Option<PastSession>, Failure>>;
    /// The last sessions that have ended, at most `limit`, the newest first.
    fn past(&self, limit: u32) -> BoxFuture<'_, Result<Vec<PastSession>, Failure>>;
    /// The last commands of a session, at most `limit` of those before the entry `before`, the oldest first, and how many there are.
    /// Nothing where there never was such a session.
    fn of(&self, session_id: String, limit: u32, before: Option<u64>) -> BoxFuture<'_, Result<Option<HistoryPage>, Failure>>;
}

/// Commands that are remembered of one session.
const REMEMBERED: usize = 100;

/// Remembers as long as the process lives.
#[derive(Debug, Default)]
pub(super) struct Remembered(Mutex<BTreeMap<String, One>>);

/// What is remembered of one session.
#[derive(Debug)]
struct One {
    session: PastSession,
    ran: VecDeque<HistoryEntry>,
}

impl Remembered {
    fn sessions(&self) -> MutexGuard<'_, BTreeMap<String, One>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History for Remembered {
    fn opened(&self, session: ShellSessionInfo) -> BoxFuture<'_, Result<(), Failure>> {
        let ShellSessionInfo { session_id, name, shell_type, created_at, .. } = session;
        let session = PastSession { session_id: session_id.clone(), name, shell: shell_type.as_str().to_owned(), created_at, end: None };
        self.sessions().insert(session_id, One { session, ran: VecDeque::new() });
        Box::pin(async { Ok(()) })
    }

    fn ended(&self, session_id: String, end: SessionEnd) -> BoxFuture<'_, Result<(), Failure>> {
        if let Some(one) = self.sessions().get_mut(&session_id) {
            one.session.end = Some(end);
        }
        Box::pin(async { Ok(()) })
    }

    fn session(&self, session_id: String) -> BoxFuture<'_, Result<Option<PastSession>, Failure>> {
        let found = self.sessions().get(&session_id).map(|one| one.session.clone());
        Box::pin(async { Ok(found) })
    }

    fn past(&self, limit: u32) -> BoxFuture<'_, Result<Vec<PastSession>, Failure>> {
        let sessions = self.sessions();
        let ended = sessions.values().rev().filter(|one| one.session.end.is_some());
        let past = ended.take(limit as usize).map(|one| one.session.clone()).collect();
        drop(sessions);
        Box::pin(async { Ok(past) })
    }

    fn ran(&self, session_id: String, mut entry: HistoryEntry) -> BoxFuture<'_, Result<(), Failure>> {
        if let Some(One { ran: entries, .. }) = self.sessions().get_mut(&session_id) {
            entry.id = entries.back().map_or(1, |last| last.id + 1);
            entries.push_back(entry);
            if entries.len() > REMEMBERED {
                entries.pop_front();
            }
        }
        Box::pin(async { Ok(()) })
    }

    fn of(&self, session_id: String, limit: u32, before: Option<u64>) -> BoxFuture<'_, Result<Option<HistoryPage>, Failure>> {
        let found = self.sessions().get(&session_id).map(|One { ran: entries, .. }| {
            let older: Vec<HistoryEntry> = entries.iter().filter(|entry| before.is_none_or(|id| entry.id < id)).cloned().collect();
            let skipped = older.len().saturating_sub(limit as usize);
            (older.into_iter().skip(skipped).collect(), entries.len() as u64)
        });
        Box::pin(async { Ok(found) })
    }
}

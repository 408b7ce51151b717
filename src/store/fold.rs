//! Folding the write-ahead log into the database, beside the thread that writes: a commit waits for the last few pages of it at most, or
//! where the other thread does not keep up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, DEFAULT_NAME, OpenFlags};

use super::Error;

/// From so many pages (of 4 KiB) on the log is folded in.
const WORTHWHILE: i32 = 1_000;
/// From so many on whoever writes does it, and all of it: the log never grows for ever, however much is written without a break.
const TOO_MANY: i32 = 4_000;
/// So many pages whoever writes folds in itself. Only a log of which nothing is left begins anew, in the pages it has already, and where
/// there is always more to write, the other thread alone never gets there.
const FEW: i32 = 200;

/// The thread that does so. It ends when this is dropped.
pub(super) struct Folding {
    wake: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Folding {
    /// Has what `writer` writes to the database at `path` folded in.
    pub(super) fn of(writer: &mut Connection, path: &Path) -> Result<Self, Error> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags)?;
        // Somebody else folds: that is as good.
        connection.busy_timeout(Duration::ZERO)?;
        // A connection that has read nothing does not know of the log, and folds nothing.
        connection.query_row("PRAGMA schema_version", [], |_| Ok(()))?;
        let folded = Arc::new(AtomicI32::new(0));
        let known = Arc::clone(&folded);
        let (wake, work) = sync_channel(1);
        let hint = wake.clone();
        // In the place of SQLite's own, which folds within a commit.
        writer.wal_hook(Some(move |log: &mut Wal, pages| {
            if pages < WORTHWHILE {
                known.store(0, Ordering::Relaxed);
            } else if pages >= TOO_MANY || pages - known.load(Ordering::Relaxed) <= FEW {
                // What it cannot do now, for want of room or because somebody reads, it tries again after the next commit.
                let _ = log.checkpoint_v2(CheckpointMode::PASSIVE);
            } else {
                // Full: it is awake already.
                let _ = hint.try_send(());
            }
            Ok(())
        }))?;
        let thread = std::thread::Builder::new().name("store-fold".to_owned()).spawn(move || fold(&connection, &work, &folded));
        let thread = thread.map_err(|error| Error::Sqlite(format!("its thread did not start: {error}")))?;
        Ok(Self { wake: Some(wake), thread: Some(thread) })
    }

    /// Ends it, and leaves the log to `writer`. Waits for what is under way.
    pub(super) fn end(mut self, writer: &mut Connection) {
        // With the hook goes the other end of the channel.
        if let Err(error) = writer.wal_hook(None::<fn(&mut Wal, i32) -> rusqlite::Result<()>>) {
            tracing::warn!(%error, "the write-ahead log is folded in by its own thread to the end");
            return;
        }
        drop(self.wake.take());
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

fn fold(connection: &Connection, work: &Receiver<()>, done: &AtomicI32) {
    while work.recv().is_ok() {
        match connection.wal_checkpoint_v2(DEFAULT_NAME, CheckpointMode::PASSIVE) {
            Ok((pages, folded)) => {
                done.store(folded, Ordering::Relaxed);
                tracing::trace!(pages, folded, "the write-ahead log was folded in");
            }
            // It stays in the log, and is no less safe there.
            Err(error) => tracing::debug!(%error, "the write-ahead log was not folded in; it is, the next time"),
        }
    }
}

//! The one thread that writes: everything that waits goes into one transaction, and those who wait hear of it after the commit.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use tokio_util::sync::CancellationToken;

use super::Error;
use super::blobs::{self, Blobs};
use super::fold::Folding;
use super::queue::{Item, Queue};
use super::runs::{RunKey, Write, insert_steps};
use super::search;
use crate::failpoint::{self, Mutant};

/// After a commit that found no room, the next attempt comes so much later.
const RETRY: Duration = Duration::from_millis(250);

/// Works until the queue wants it to end and is empty. `crashed` is cancelled where it ends in any other way.
pub(super) fn work(mut connection: Connection, queue: &Queue, blobs: Option<&Blobs>, path: Option<&Path>, crashed: CancellationToken) {
    let mut guard = Guard { queue, crashed: Some(crashed) };
    let folding = path.and_then(|path| {
        let warn = |error: &Error| tracing::warn!(%error, "the write-ahead log is folded in by whoever commits");
        Folding::of(&mut connection, path).inspect_err(warn).ok()
    });
    let mut kept: Vec<Write> = Vec::new();
    let mut batch = Vec::new();
    loop {
        let open = queue.take(&mut batch, (!kept.is_empty()).then_some(RETRY));
        if !batch.is_empty() || !kept.is_empty() {
            commit(&mut connection, queue, blobs, &mut kept, &mut batch);
        }
        if !open {
            break;
        }
    }
    if !kept.is_empty() && !queue.put_back(&mut kept) {
        tracing::error!(rows = kept.len(), "the database had no room left for the last records of the runs");
    }
    guard.crashed = None;
    if let Some(folding) = folding {
        folding.end(&mut connection);
    }
    // Everything in one file again, so that whoever copies that file has all of it.
    if let Err(error) = connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "the write-ahead log was not folded in; it is, the next time");
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the database did not close cleanly");
    }
}

/// However the thread ends, nobody waits in vain for it.
struct Guard<'a> {
    queue: &'a Queue,
    crashed: Option<CancellationToken>,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if let Some(crashed) = self.crashed.take() {
            self.queue.down(&Error::Sqlite("its thread ended; it is started again".to_owned()));
            crashed.cancel();
        }
    }
}

/// Puts the end of a run that begins in the same batch into its beginning: one row written, instead of a row, a change to it, and
/// changes to every index that knows its status. The same with what the audit log says of it.
fn fold(batch: &mut Vec<Item>) {
    let mut begun: HashMap<RunKey, usize> = HashMap::new();
    let mut deeds: HashMap<i64, usize> = HashMap::new();
    let mut folded: Vec<Item> = Vec::with_capacity(batch.len());
    for item in batch.drain(..) {
        match item {
            Item::Write(Write::Run(row)) => {
                begun.insert(row.key, folded.len());
                folded.push(Item::Write(Write::Run(row)));
            }
            Item::Write(Write::RunEnd { run, end }) => match begun.get(&run).and_then(|place| folded.get_mut(*place)) {
                Some(Item::Write(Write::Run(row))) => row.end = Some(*end),
                _ => folded.push(Item::Write(Write::RunEnd { run, end })),
            },
            Item::Write(Write::Audit(row)) if row.is_end => {
                match deeds.get(&row.id).and_then(|place| folded.get_mut(*place)) {
                    // Committed together, before anybody who waits for the beginning acts: one entry says both.
                    Some(Item::Write(Write::Audit(begun))) => begun.end_with(*row),
                    _ => folded.push(Item::Write(Write::Audit(row))),
                }
            }
            Item::Write(Write::Audit(row)) => {
                deeds.insert(row.id, folded.len());
                folded.push(Item::Write(Write::Audit(row)));
            }
            other => folded.push(other),
        }
    }
    *batch = folded;
}

fn commit(connection: &mut Connection, queue: &Queue, blobs: Option<&Blobs>, kept: &mut Vec<Write>, batch: &mut Vec<Item>) {
    fold(batch);
    let mut waiting: Vec<Waiting> = Vec::new();
    // Where nothing is to be written, whoever waits need not wait for a transaction.
    let idle = kept.is_empty() && batch.iter().all(|item| matches!(item, Item::Barrier(_)));
    let mut result = if idle { Ok(()) } else { begin(connection) };
    let mut written = 0;
    for item in batch.drain(..) {
        match item {
            Item::Write(write) => kept.push(write),
            Item::Task(mut task) => {
                // It sees what was queued before it.
                if result.is_ok() {
                    result = write_rows(connection, blobs, kept.get(written..).unwrap_or_default());
                    written = kept.len();
                }
                let outcome = if result.is_ok() { within_savepoint(connection, |c| task.run(c)) } else { Ok(()) };
                if let Err(error @ Error::Full(_)) = &outcome {
                    result = Err(error.clone());
                }
                waiting.push(Waiting::Task(task, outcome));
            }
            Item::Barrier(then) => waiting.push(Waiting::Barrier(then)),
        }
    }
    if result.is_ok() {
        result = write_rows(connection, blobs, kept.get(written..).unwrap_or_default());
    }
    if failpoint::is_mutant(Mutant::AckBeforeCommit) {
        tell(std::mem::take(&mut waiting), &result);
        std::thread::sleep(Duration::from_millis(20));
    }
    if result.is_ok() && !idle {
        failpoint::here("store.commit.before");
        result = connection.execute_batch("COMMIT").map_err(Error::from);
        failpoint::here("store.commit.after");
    }
    if let Err(error) = &result {
        if !connection.is_autocommit() {
            drop(connection.execute_batch("ROLLBACK"));
        }
        tracing::error!(%error, rows = kept.len(), "the database could not commit; it keeps trying");
    } else {
        tracing::trace!(rows = kept.len(), "committed");
        kept.clear();
    }
    queue.report(result.as_ref().err().cloned(), (kept.len(), kept.iter().map(Write::bytes).sum()));
    let waited = !waiting.is_empty();
    tell(waiting, &result);
    if waited && !idle {
        failpoint::here("store.commit.told");
    }
}

/// Says to those who wait how the commit went.
fn tell(waiting: Vec<Waiting>, result: &Result<(), Error>) {
    for waiting in waiting {
        match waiting {
            Waiting::Task(task, outcome) => task.done(outcome.and(result.clone())),
            Waiting::Barrier(then) => then(result.clone()),
        }
    }
}

enum Waiting {
    Task(Box<dyn super::queue::Task>, Result<(), Error>),
    Barrier(Box<dyn FnOnce(Result<(), Error>) + Send>),
}

fn begin(connection: &Connection) -> Result<(), Error> {
    connection.execute_batch("BEGIN IMMEDIATE").map_err(Error::from)
}

/// Writes rows in their order. Steps that follow one another, which most rows are, go into the table several at a time: much of what one
/// costs is its statement.
fn write_rows(connection: &Connection, blobs: Option<&Blobs>, mut rows: &[Write]) -> Result<(), Error> {
    while let Some((first, rest)) = rows.split_first() {
        if let Some(steps) = Write::steps_together(rows, blobs::fits_in_row) {
            match insert_steps(connection, &steps).map_err(Error::from) {
                Ok(()) => {
                    rows = rows.get(steps.len()..).unwrap_or_default();
                    continue;
                }
                // One by one, so that only the one is left out.
                Err(Error::Constraint(_)) => {}
                Err(error) => return Err(error),
            }
        }
        write_row(connection, blobs, first)?;
        rows = rest;
    }
    Ok(())
}

/// Writes one row. A row that breaks a constraint is a defect, which must not take the others with it: it is left out, and said.
fn write_row(connection: &Connection, blobs: Option<&Blobs>, write: &Write) -> Result<(), Error> {
    let written = match blobs {
        Some(blobs) => blobs.write(connection, write),
        None => write.apply(connection).map_err(Error::from),
    };
    match written.and_then(|()| search::note_end(connection, write)) {
        Err(Error::Constraint(error)) => {
            tracing::error!(%error, "a record of a run was left out");
            Ok(())
        }
        written => written,
    }
}

fn within_savepoint(connection: &Connection, work: impl FnOnce(&Connection) -> Result<(), Error>) -> Result<(), Error> {
    connection.execute_batch("SAVEPOINT task")?;
    let outcome = work(connection);
    if outcome.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK TO task")?;
    }
    if !connection.is_autocommit() {
        connection.execute_batch("RELEASE task")?;
    }
    outcome
}

//! What goes with time: old runs, and the files and programs that no run refers to any more.
//!
//! Each call is one short transaction, so that runs that go on are held up by none of them. A run goes as a whole. Files go after the
//! commit that forgets them, each once no row names it; what a crash leaves behind is found by [`Store::sweep_files`].

use std::collections::{BTreeSet, HashSet};

use rusqlite::{Connection, OptionalExtension, params};

use super::blobs::Blobs;
use super::runs::RunKey;
use super::{Error, Store};

/// Steps of the runs that go in one transaction; a single run may have more.
const STEPS_AT_ONCE: i64 = 2_000;
/// Runs that do.
const RUNS_AT_ONCE: u32 = 64;
/// Files that are looked at in one transaction.
const FILES_AT_ONCE: usize = 256;
/// Whether a run or a recording names a file.
const REFERRED: &str = "SELECT EXISTS (SELECT 1 FROM run_files WHERE hash = ?1 UNION ALL SELECT 1 FROM recording_files WHERE hash = ?1)";
/// In these statuses a run is over.
const OVER: &str = "('succeeded', 'failed', 'cancelled', 'interrupted')";

/// Which runs stay.
#[derive(Debug, Clone, Copy, Default)]
pub struct Keep {
    /// So many of the newest; none for all.
    pub count: Option<u64>,
    /// Those that ended at this moment or later, in microseconds since 1970; none for all.
    pub since: Option<i64>,
}

impl Store {
    /// Removes some of the runs that need not stay, the oldest first, with all that belongs to them; gives how many. None is left once
    /// it gives 0. A run that is not over stays.
    ///
    /// # Errors
    /// Where the database cannot be read or written.
    pub async fn remove_old_runs(&self, keep: Keep) -> Result<usize, Error> {
        let old = self.read(move |connection| old_runs(connection, keep)).await?;
        if old.is_empty() {
            return Ok(0);
        }
        let count = old.len();
        let hashes = self.transact(move |connection| remove(connection, &old)).await?;
        self.remove_files(hashes).await?;
        Ok(count)
    }

    /// Removes those of these programs that no run refers to; gives the others to which none does.
    ///
    /// # Errors
    /// Where the database cannot be read or written.
    pub async fn sweep_programs(&self, suspects: &HashSet<String>) -> Result<HashSet<String>, Error> {
        let (newest, unused) = self.read(unused_programs).await?;
        let (gone, rest): (HashSet<_>, _) = unused.into_iter().partition(|hash| suspects.contains(hash));
        if !gone.is_empty() {
            let removed = self.transact(move |connection| {
                for hash in gone {
                    // A run may have come since.
                    let sql = "DELETE FROM programs WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE key > ?2 AND program = ?1)";
                    connection.prepare_cached(sql)?.execute(params![hash, newest])?;
                }
                Ok(())
            });
            removed.await?;
        }
        Ok(rest)
    }

    /// Removes the files that no run and no recording refers to: what a crash, or a commit that failed, left behind. Gives how many.
    ///
    /// # Errors
    /// Where the database cannot be read, or a file not be removed.
    pub async fn sweep_files(&self) -> Result<usize, Error> {
        let Some(blobs) = self.inner.blobs.clone() else { return Ok(0) };
        let found = self.read(move |connection| {
            let mut known = connection.prepare_cached(REFERRED)?;
            let (mut orphans, mut failed) = (Vec::new(), None);
            blobs.each(|path, hash| {
                let referred = hash.as_deref().map(|hash| known.query_row([hash], |row| row.get(0)));
                match referred.transpose() {
                    Ok(Some(true)) => {}
                    Ok(Some(false) | None) => orphans.push((path, hash)),
                    Err(error) => failed = Some(error),
                }
            });
            match failed {
                Some(error) => Err(error.into()),
                None => Ok(orphans),
            }
        });
        let orphans = found.await?;
        let Some(blobs) = self.inner.blobs.clone() else { return Ok(0) };
        let mut removed = 0;
        for some in orphans.chunks(FILES_AT_ONCE) {
            let (some, blobs) = (some.to_vec(), blobs.clone());
            // Within a transaction nobody else is about to refer to a file, or in the middle of writing one.
            let gone = self.transact(move |connection| {
                let mut gone = 0;
                for (path, hash) in some {
                    if hash.as_deref().map(|hash| is_referred_to(connection, hash)).transpose()? != Some(true) {
                        blobs.remove(&path)?;
                        gone += 1;
                    }
                }
                Ok(gone)
            });
            removed += gone.await?;
        }
        Ok(removed)
    }

    /// Removes those of these files to which nobody refers.
    pub(super) async fn remove_files(&self, hashes: BTreeSet<String>) -> Result<(), Error> {
        let Some(blobs) = self.inner.blobs.clone().filter(|_| !hashes.is_empty()) else { return Ok(()) };
        self.transact(move |connection| remove_files(connection, &blobs, &hashes)).await
    }
}

/// Some runs that need not stay.
fn old_runs(connection: &Connection, keep: Keep) -> Result<Vec<RunKey>, Error> {
    let mut old = Vec::new();
    if let Some(count) = keep.count {
        let sql = "SELECT key FROM runs INDEXED BY runs_listed ORDER BY key DESC LIMIT 1 OFFSET ?";
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let past: Option<i64> = connection.prepare_cached(sql)?.query_row([count], |row| row.get(0)).optional()?;
        if let Some(past) = past {
            let sql = format!("SELECT key FROM runs INDEXED BY runs_listed WHERE key <= ?1 AND status IN {OVER} ORDER BY key LIMIT ?2");
            let mut found = connection.prepare_cached(&sql)?;
            old = found.query_map(params![past, RUNS_AT_ONCE], |row| row.get(0))?.collect::<Result<_, _>>()?;
        }
    }
    if let Some(since) = keep.since.filter(|_| old.is_empty()) {
        // Numbers grow with time, and no run ended before it was created.
        let sql =
            format!("SELECT key FROM runs NOT INDEXED WHERE key < ?1 AND status IN {OVER} AND finished_at < ?2 ORDER BY key LIMIT ?3");
        let mut found = connection.prepare_cached(&sql)?;
        let below = since.clamp(0, i64::MAX >> 11) << 11;
        old = found.query_map(params![below, since, RUNS_AT_ONCE], |row| row.get(0))?.collect::<Result<_, _>>()?;
    }
    let mut steps = 0;
    let mut some = Vec::new();
    for key in old {
        steps += connection.prepare_cached("SELECT count(*) FROM steps WHERE run = ?")?.query_row([key], |row| row.get::<_, i64>(0))?;
        some.push(RunKey(key));
        if steps >= STEPS_AT_ONCE {
            break;
        }
    }
    Ok(some)
}

/// Removes runs; gives the files they referred to.
fn remove(connection: &Connection, runs: &[RunKey]) -> Result<BTreeSet<String>, Error> {
    let mut hashes = BTreeSet::new();
    for run in runs {
        let mut files = connection.prepare_cached("SELECT hash FROM run_files WHERE run = ?")?;
        for hash in files.query_map([run.0], |row| row.get(0))? {
            hashes.insert(hash?);
        }
        // Steps, log, pictures and what it says of files go with it. One that goes on again since it was looked at stays.
        let sql = format!("DELETE FROM runs WHERE key = ? AND status IN {OVER}");
        if connection.prepare_cached(&sql)?.execute([run.0])? > 0 {
            connection.prepare_cached("DELETE FROM runs_text WHERE rowid = ?")?.execute([run.0])?;
            connection.prepare_cached("DELETE FROM runs_unread WHERE run = ?")?.execute([run.0])?;
        }
    }
    Ok(hashes)
}

fn is_referred_to(connection: &Connection, hash: &str) -> Result<bool, Error> {
    Ok(connection.prepare_cached(REFERRED)?.query_row([hash], |row| row.get(0))?)
}

fn remove_files(connection: &Connection, blobs: &Blobs, hashes: &BTreeSet<String>) -> Result<(), Error> {
    for hash in hashes {
        if !is_referred_to(connection, hash)? {
            blobs.paths(hash).iter().try_for_each(|path| blobs.remove(path))?;
        }
    }
    Ok(())
}

/// The number of the newest run, and the programs that none refers to.
fn unused_programs(connection: &Connection) -> Result<(i64, Vec<String>), Error> {
    let newest: Option<i64> = connection.prepare_cached("SELECT max(key) FROM runs")?.query_row([], |row| row.get(0))?;
    let mut programs: HashSet<String> =
        connection.prepare_cached("SELECT hash FROM programs")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut used = connection.prepare_cached("SELECT program FROM runs")?;
    let mut used = used.query([])?;
    while let Some(row) = used.next()? {
        programs.remove(row.get_ref(0)?.as_str().unwrap_or_default());
        if programs.is_empty() {
            break;
        }
    }
    Ok((newest.unwrap_or(i64::MIN), programs.into_iter().collect()))
}

//! Reading the journal.

use std::path::PathBuf;

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row};
use serde_json::value::RawValue;

use super::{ImageRow, Json, LogRow, RunKey, RunRow, StepRow, WholeRun};
use crate::store::{Apart, Content, Error, Store};

/// Which runs to list. Each field that is set narrows the list.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Of this stored workflow.
    pub workflow_id: Option<String>,
    /// Of the script at this path.
    pub script: Option<String>,
    /// In one of these statuses; empty for any.
    pub statuses: Vec<String>,
    /// Started by this, or by anything of this kind: `webhook` is every `webhook:…`.
    pub trigger: Option<String>,
    /// `workflow` or `script`.
    pub kind: Option<String>,
    /// Created at this moment or later, in microseconds since 1970.
    pub since: Option<i64>,
    /// Created before this moment.
    pub until: Option<i64>,
    /// With all these words in them.
    pub search: Option<String>,
    /// Older than the run of this id.
    pub before: Option<String>,
    /// At most so many.
    pub limit: u32,
}

/// JSON text out of a column.
pub(super) struct Text(pub(super) Json);

impl FromSql for Text {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?.to_owned();
        RawValue::from_string(text).map(Self).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

pub(super) fn json(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Json>> {
    Ok(row.get::<_, Option<Text>>(index)?.map(|text| text.0))
}

pub(super) const RUN: &str = "key, run_id, kind, workflow_id, script, trigger, status, parameters, result, error, created_at, started_at, finished_at, \
                   finish_event, mode, parent, retry_of, priority";

pub(super) fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
    Ok(RunRow {
        key: RunKey(row.get(0)?),
        run_id: row.get(1)?,
        kind: row.get(2)?,
        workflow_id: row.get(3)?,
        script: row.get(4)?,
        trigger: row.get(5)?,
        status: row.get(6)?,
        parameters: row.get::<_, Text>(7)?.0,
        result: json(row, 8)?,
        error: row.get(9)?,
        created_at: row.get(10)?,
        started_at: row.get(11)?,
        finished_at: row.get(12)?,
        finish_event: row.get(13)?,
        mode: row.get(14)?,
        parent: row.get(15)?,
        retry_of: row.get(16)?,
        priority: row.get(17)?,
    })
}

fn step_row(row: &Row<'_>) -> rusqlite::Result<StepRow> {
    Ok(StepRow {
        step_id: row.get(0)?,
        node_id: row.get(1)?,
        node_type: row.get(2)?,
        attempt: row.get(3)?,
        status: row.get(4)?,
        input_of: row.get(5)?,
        input: json(row, 6)?,
        output: json(row, 7)?,
        handle: row.get(8)?,
        error: row.get(9)?,
        started_at: row.get(10)?,
        finished_at: row.get(11)?,
        start_event: row.get(12)?,
        finish_event: row.get(13)?,
        would: json(row, 14)?,
        expectation: json(row, 15)?,
    })
}

const STEP: &str = "step_id, node_id, node_type, attempt, status, input_of, input, output, handle, error, started_at, finished_at, \
                    start_event, finish_event, would, expectation";

pub(super) fn find(connection: &Connection, run_id: &str) -> Result<Option<RunRow>, Error> {
    let sql = format!("SELECT {RUN} FROM runs WHERE run_id = ?");
    Ok(connection.prepare_cached(&sql)?.query_row([run_id], run_row).optional()?)
}

/// Steps that began or ended after event `after`, in the order in which they began; -1 for all.
fn steps(connection: &Connection, run: RunKey, after: i64) -> Result<Vec<StepRow>, Error> {
    let sql = format!("SELECT {STEP} FROM steps WHERE run = ?1 AND (?2 < 0 OR start_event > ?2 OR finish_event > ?2) ORDER BY seq");
    Ok(connection.prepare_cached(&sql)?.query_map([run.0, after], step_row)?.collect::<Result<_, _>>()?)
}

fn logs(connection: &Connection, run: RunKey, after: i64) -> Result<Vec<LogRow>, Error> {
    let line =
        |row: &Row<'_>| Ok(LogRow { event_id: row.get(0)?, at: row.get(1)?, level: row.get(2)?, message: row.get(3)?, loose: row.get(4)? });
    let sql = "SELECT event_id, at, level, message, loose FROM logs WHERE run = ? AND event_id > ? ORDER BY event_id";
    Ok(connection.prepare_cached(sql)?.query_map([run.0, after], line)?.collect::<Result<_, _>>()?)
}

/// One state of the database for several statements: without it a run could end between two of them.
pub(super) fn at_one_time<T>(connection: &Connection, work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    connection.execute_batch("SAVEPOINT read")?;
    let result = work();
    connection.execute_batch("RELEASE read")?;
    result
}

/// What stands for a large value of the run of that id, where it is not shown itself.
pub type Show = fn(&str, Apart) -> Json;

/// A file of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFile {
    /// SHA-256 of what is in it, in hex.
    pub hash: String,
    /// What that is.
    pub content: Content,
    /// Its size.
    pub bytes: u64,
    /// Where it lies.
    pub path: PathBuf,
}

impl WholeRun {
    /// Every value that may be large, in the order in which they are read.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Json> {
        let run = [Some(&mut self.run.parameters), self.run.result.as_mut()].into_iter().flatten();
        run.chain(self.steps.iter_mut().flat_map(|step| [step.input.as_mut(), step.output.as_mut()].into_iter().flatten()))
    }
}

fn whole_run(connection: &Connection, run_id: &str, after: i64) -> Result<Option<WholeRun>, Error> {
    at_one_time(connection, || {
        let Some(run) = find(connection, run_id)? else { return Ok(None) };
        let sql = "SELECT p.nodes FROM runs r JOIN programs p ON p.hash = r.program WHERE r.key = ?";
        let nodes: Option<String> = connection.prepare_cached(sql)?.query_row([run.key.0], |row| row.get(0)).optional()?;
        Ok(Some(WholeRun {
            steps: steps(connection, run.key, after)?,
            waits: super::waits::of_run(connection, run.key)?,
            logs: logs(connection, run.key, after)?,
            nodes: nodes.unwrap_or_default(),
            images: images(connection, run.key)?,
            films: films(connection, run_id)?,
            run,
        }))
    })
}

fn images(connection: &Connection, run: RunKey) -> Result<Vec<ImageRow>, Error> {
    let image = |row: &Row<'_>| Ok(ImageRow { step_id: row.get(0)?, attempt: row.get(1)?, moment: row.get(2)?, hash: row.get(3)? });
    let sql = "SELECT step_id, attempt, moment, hash FROM step_images WHERE run = ?";
    Ok(connection.prepare_cached(sql)?.query_map([run.0], image)?.collect::<Result<_, _>>()?)
}

fn films(connection: &Connection, run_id: &str) -> Result<Vec<String>, Error> {
    let mut query = connection.prepare_cached("SELECT id FROM recordings WHERE run_id = ? ORDER BY key")?;
    Ok(query.query_map([run_id], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

impl Store {
    /// The run of that id, without its steps.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn run(&self, run_id: &str) -> Result<Option<RunRow>, Error> {
        let (run_id, store) = (run_id.to_owned(), self.clone());
        self.read(move |connection| find(connection, &run_id)?.map(|run| store.resolve_run(run)).transpose()).await
    }

    /// The run of that id with its steps and log after event `after`; -1 for everything. All its values are there.
    ///
    /// # Errors
    /// Where the database cannot be read, or the file of a value is gone.
    pub async fn whole_run(&self, run_id: &str, after: i64) -> Result<Option<WholeRun>, Error> {
        let (run_id, store) = (run_id.to_owned(), self.clone());
        self.read(move |connection| {
            let Some(mut whole) = whole_run(connection, &run_id, after)? else { return Ok(None) };
            for value in whole.values_mut() {
                *value = store.resolve(std::mem::replace(value, RawValue::NULL.to_owned()))?;
            }
            Ok(Some(whole))
        })
        .await
    }

    /// The same for whoever only looks: in the place of large values beyond so many bytes in all, and of those whose file is gone, stands
    /// what `show` makes of them.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn run_to_show(&self, run_id: &str, after: i64, bytes: u64, show: Show) -> Result<Option<WholeRun>, Error> {
        let (run_id, blobs) = (run_id.to_owned(), self.inner.blobs.clone());
        self.read(move |connection| {
            let Some(mut whole) = whole_run(connection, &run_id, after)? else { return Ok(None) };
            let mut left = bytes;
            for value in whole.values_mut() {
                let Some((apart, blobs)) = Apart::of(value).zip(blobs.as_ref()) else { continue };
                let read = if apart.bytes <= left { blobs.value(&apart)? } else { None };
                *value = match read {
                    Some(read) => {
                        left -= apart.bytes;
                        read
                    }
                    None => show(&run_id, apart),
                };
            }
            Ok(Some(whole))
        })
        .await
    }

    /// The value itself, where `json` is the stand-in of one that lies in a file: whoever reads values out of rows asks this of each
    /// before it makes anything of it. Blocks.
    ///
    /// # Errors
    /// Where its file is gone.
    pub fn resolve(&self, json: Json) -> Result<Json, Error> {
        let Some((apart, blobs)) = Apart::of(&json).zip(self.inner.blobs.as_ref()) else { return Ok(json) };
        blobs.value(&apart)?.ok_or_else(|| {
            let path = blobs.path(&apart.sha256, Content::Value);
            Error::Sqlite(format!("a value of a run is gone with its file {}: restore the folder from a backup", path.display()))
        })
    }

    /// The same for a run's own values.
    pub(super) fn resolve_run(&self, mut run: RunRow) -> Result<RunRow, Error> {
        run.parameters = self.resolve(run.parameters)?;
        run.result = run.result.map(|result| self.resolve(result)).transpose()?;
        Ok(run)
    }

    /// A file of a run: what it is, and its bytes. None where the run has no such file.
    ///
    /// # Errors
    /// Where the database or the file cannot be read.
    pub async fn run_file(&self, run_id: &str, hash: &str) -> Result<Option<(Content, Vec<u8>)>, Error> {
        let Some(blobs) = self.inner.blobs.clone() else { return Ok(None) };
        let (run_id, hash) = (run_id.to_owned(), hash.to_owned());
        self.read(move |connection| {
            let sql = "SELECT f.kind, f.bytes FROM runs r JOIN run_files f ON f.run = r.key WHERE r.run_id = ? AND f.hash = ?";
            let found = connection.prepare_cached(sql)?.query_row([&run_id, &hash], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
            let Some((kind, bytes)): Option<(String, i64)> = found else { return Ok(None) };
            let content = if kind == Content::Image.as_str() { Content::Image } else { Content::Value };
            Ok(blobs.get(&hash, content, bytes.unsigned_abs())?.map(|bytes| (content, bytes)))
        })
        .await
    }

    /// The files of a run: what each is, its hash and bytes, and where it lies.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn run_files(&self, run_id: &str) -> Result<Vec<RunFile>, Error> {
        let Some(blobs) = self.inner.blobs.clone() else { return Ok(Vec::new()) };
        let run_id = run_id.to_owned();
        self.read(move |connection| {
            let sql = "SELECT f.hash, f.kind, f.bytes FROM runs r JOIN run_files f ON f.run = r.key WHERE r.run_id = ? ORDER BY f.hash";
            let file = |row: &Row<'_>| {
                let (hash, kind, bytes): (String, String, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let content = if kind == Content::Image.as_str() { Content::Image } else { Content::Value };
                Ok(RunFile { path: blobs.path(&hash, content), hash, content, bytes: bytes.unsigned_abs() })
            };
            Ok(connection.prepare_cached(sql)?.query_map([run_id], file)?.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Runs, newest first, and how many match in all (`before` and `limit` apart). In the place of large values stands what `show` makes
    /// of them.
    ///
    /// # Errors
    /// Where the database cannot be read; [`Error::Missing`] where there is no run `before`.
    pub async fn runs(&self, query: RunQuery, show: Show) -> Result<(Vec<RunRow>, u64), Error> {
        let apart = self.inner.blobs.is_some();
        self.read(move |connection| {
            let (mut rows, count) = at_one_time(connection, || super::list::list(connection, &query))?;
            for row in rows.iter_mut().filter(|_| apart) {
                let RunRow { run_id, parameters, result, .. } = row;
                for value in std::iter::once(parameters).chain(result) {
                    if let Some(apart) = Apart::of(value) {
                        *value = show(run_id, apart);
                    }
                }
            }
            Ok((rows, count))
        })
        .await
    }

    /// Whether a run of that workflow is on record as not finished.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn workflow_is_running(&self, workflow_id: &str) -> Result<bool, Error> {
        let workflow_id = workflow_id.to_owned();
        self.read(move |connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM runs WHERE status IN ('queued', 'running', 'waiting') AND workflow_id = ?)";
            Ok(connection.prepare_cached(sql)?.query_row([workflow_id], |row| row.get(0))?)
        })
        .await
    }

    /// The program that a run was started with, as JSON text.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn program(&self, run_id: &str) -> Result<Option<String>, Error> {
        let run_id = run_id.to_owned();
        self.read(move |connection| {
            let sql = "SELECT p.source FROM runs r JOIN programs p ON p.hash = r.program WHERE r.run_id = ?";
            Ok(connection.prepare_cached(sql)?.query_row([run_id], |row| row.get(0)).optional()?)
        })
        .await
    }
}

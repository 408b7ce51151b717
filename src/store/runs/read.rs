//! Reading the journal.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, ToSql};
use serde_json::value::RawValue;

use super::{Json, LogRow, RunKey, RunRow, StepRow, WholeRun};
use crate::store::{Error, Store};

/// Which runs to list. Each field that is set narrows the list.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Of this stored workflow.
    pub workflow_id: Option<String>,
    /// Of the script at this path.
    pub script: Option<String>,
    /// In this status.
    pub status: Option<String>,
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

const RUN: &str = "key, run_id, kind, workflow_id, script, trigger, status, parameters, result, error, created_at, started_at, finished_at, \
                   finish_event, mode, parent, retry_of";

fn run_row(row: &Row<'_>) -> rusqlite::Result<RunRow> {
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
    })
}

const STEP: &str = "step_id, node_id, node_type, attempt, status, input_of, input, output, handle, error, started_at, finished_at, \
                    start_event, finish_event, would";

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

impl Store {
    /// The run of that id, without its steps.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn run(&self, run_id: &str) -> Result<Option<RunRow>, Error> {
        let run_id = run_id.to_owned();
        self.read(move |connection| find(connection, &run_id)).await
    }

    /// The run of that id with its steps and log after event `after`; -1 for everything.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn whole_run(&self, run_id: &str, after: i64) -> Result<Option<WholeRun>, Error> {
        let run_id = run_id.to_owned();
        self.read(move |connection| {
            at_one_time(connection, || {
                let Some(run) = find(connection, &run_id)? else { return Ok(None) };
                let sql = "SELECT p.nodes FROM runs r JOIN programs p ON p.hash = r.program WHERE r.key = ?";
                let nodes: Option<String> = connection.prepare_cached(sql)?.query_row([run.key.0], |row| row.get(0)).optional()?;
                Ok(Some(WholeRun {
                    steps: steps(connection, run.key, after)?,
                    waits: super::waits::of_run(connection, run.key)?,
                    logs: logs(connection, run.key, after)?,
                    nodes: nodes.unwrap_or_default(),
                    run,
                }))
            })
        })
        .await
    }

    /// Runs, newest first, and how many match in all (`before` and `limit` apart).
    ///
    /// # Errors
    /// Where the database cannot be read; [`Error::Missing`] where there is no run `before`.
    pub async fn runs(&self, query: RunQuery) -> Result<(Vec<RunRow>, u64), Error> {
        self.read(move |connection| at_one_time(connection, || list(connection, &query))).await
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

fn list(connection: &Connection, query: &RunQuery) -> Result<(Vec<RunRow>, u64), Error> {
    let mut conditions = Vec::new();
    let mut values: Vec<&dyn ToSql> = Vec::new();
    for (column, value) in [("workflow_id", &query.workflow_id), ("script", &query.script), ("status", &query.status)] {
        if let Some(value) = value {
            conditions.push(format!("{column} = ?"));
            values.push(value);
        }
    }
    let narrowed = |conditions: &[String]| match conditions {
        [] => String::new(),
        some => format!(" WHERE {}", some.join(" AND ")),
    };
    let sql = format!("SELECT count(*) FROM runs{}", narrowed(&conditions));
    let count: i64 = connection.prepare_cached(&sql)?.query_row(values.as_slice(), |row| row.get(0))?;
    let before: i64;
    if let Some(id) = &query.before {
        let key = connection.prepare_cached("SELECT key FROM runs WHERE run_id = ?")?.query_row([id], |row| row.get(0)).optional()?;
        before = key.ok_or_else(|| Error::Missing { kind: "run", id: id.clone() })?;
        conditions.push("key < ?".to_owned());
        values.push(&before);
    }
    values.push(&query.limit);
    let sql = format!("SELECT {RUN} FROM runs{} ORDER BY key DESC LIMIT ?", narrowed(&conditions));
    let rows = connection.prepare_cached(&sql)?.query_map(values.as_slice(), run_row)?.collect::<Result<_, _>>()?;
    Ok((rows, count.unsigned_abs()))
}

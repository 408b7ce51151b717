//! What runs wait for.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::read::json;
use super::{Json, RunKey};
use crate::store::{Error, Store};

/// A wait as it begins.
#[derive(Debug, Clone)]
pub struct NewWait {
    /// Its id.
    pub id: String,
    /// Its run.
    pub run: RunKey,
    /// Its name within the run.
    pub place: String,
    /// The step in which it stands.
    pub step_id: Option<String>,
    /// `time`, `approval`, `webhook`, `script`, `workflow`, `control`.
    pub kind: &'static str,
    /// What is waited for, as JSON.
    pub request: String,
    /// Whether the run could not be let go.
    pub hold: bool,
    /// Microseconds since 1970: when it is over by itself.
    pub due: Option<i64>,
    /// Microseconds since 1970: when the step in which it stands is out of time.
    pub until: Option<i64>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// The number of the event that says so.
    pub start_event: i64,
}

/// How a wait ended.
#[derive(Debug, Clone)]
pub struct WaitEnd {
    /// What it gave.
    pub answer: Option<Json>,
    /// Why it failed, as JSON.
    pub failure: Option<String>,
    /// Microseconds since 1970.
    pub at: i64,
}

/// A wait as it is stored.
#[derive(Debug, Clone)]
pub struct WaitRow {
    /// Its id.
    pub id: String,
    /// Its run.
    pub run: RunKey,
    /// Its run's id.
    pub run_id: String,
    /// The stored workflow of its run.
    pub workflow_id: Option<String>,
    /// Its name within the run.
    pub place: String,
    /// The step in which it stands.
    pub step_id: Option<String>,
    /// Its kind.
    pub kind: String,
    /// What is waited for, as JSON.
    pub request: String,
    /// Whether the run could not be let go.
    pub hold: bool,
    /// Microseconds since 1970.
    pub due: Option<i64>,
    /// Microseconds since 1970: when the step in which it stands is out of time.
    pub until: Option<i64>,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// The number of the event that says it began.
    pub start_event: i64,
    /// What it gave.
    pub answer: Option<Json>,
    /// Why it failed, as JSON.
    pub failure: Option<String>,
    /// Microseconds since 1970.
    pub answered_at: Option<i64>,
    /// The number of the event that says it ended.
    pub finish_event: Option<i64>,
}

const INSERT: &str = "INSERT INTO waits (id, run, place, step_id, kind, request, hold, due, until, created_at, start_event) \
                      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) \
                      ON CONFLICT (run, place) DO NOTHING";
const END: &str = "UPDATE waits SET answer = ?, failure = ?, answered_at = ? WHERE id = ? AND answered_at IS NULL";
const TOLD: &str = "UPDATE waits SET finish_event = ? WHERE id = ?";
const OVER: &str = "UPDATE waits SET answer = 'null', answered_at = ?, finish_event = ? WHERE id = ? AND answered_at IS NULL";
const SELECT: &str = "SELECT w.id, w.run, r.run_id, r.workflow_id, w.place, w.step_id, w.kind, w.request, w.hold, w.due, w.created_at, \
                      w.start_event, w.answer, w.failure, w.answered_at, w.finish_event, w.until FROM waits w JOIN runs r ON r.key = w.run";

pub(super) fn insert(connection: &Connection, wait: &NewWait) -> rusqlite::Result<()> {
    let NewWait { id, run, place, step_id, kind, request, hold, due, until, created_at, start_event } = wait;
    connection.prepare_cached(INSERT)?.execute(params![
        id,
        run.0,
        place,
        step_id,
        kind,
        request,
        hold,
        due,
        until,
        created_at,
        start_event
    ])?;
    Ok(())
}

pub(super) fn end(connection: &Connection, id: &str, end: &WaitEnd) -> rusqlite::Result<usize> {
    connection.prepare_cached(END)?.execute(params![end.answer.as_ref().map(|json| json.get()), end.failure, end.at, id])
}

/// The end of a wait was told under that number.
pub(super) fn told(connection: &Connection, id: &str, event: i64) -> rusqlite::Result<usize> {
    connection.prepare_cached(TOLD)?.execute(params![event, id])
}

/// A wait that gives nothing is over, and that was told under that number.
pub(super) fn over(connection: &Connection, id: &str, event: i64, at: i64) -> rusqlite::Result<usize> {
    connection.prepare_cached(OVER)?.execute(params![at, event, id])
}

fn wait_row(row: &Row<'_>) -> rusqlite::Result<WaitRow> {
    Ok(WaitRow {
        id: row.get(0)?,
        run: RunKey(row.get(1)?),
        run_id: row.get(2)?,
        workflow_id: row.get(3)?,
        place: row.get(4)?,
        step_id: row.get(5)?,
        kind: row.get(6)?,
        request: row.get(7)?,
        hold: row.get(8)?,
        due: row.get(9)?,
        created_at: row.get(10)?,
        start_event: row.get(11)?,
        answer: json(row, 12)?,
        failure: row.get(13)?,
        answered_at: row.get(14)?,
        finish_event: row.get(15)?,
        until: row.get(16)?,
    })
}

/// The waits of one run, in the order in which they began.
pub(super) fn of_run(connection: &Connection, run: RunKey) -> Result<Vec<WaitRow>, Error> {
    let sql = format!("{SELECT} WHERE w.run = ? ORDER BY w.created_at, w.place");
    Ok(connection.prepare_cached(&sql)?.query_map([run.0], wait_row)?.collect::<Result<_, _>>()?)
}

impl Store {
    /// The waits of that kind that are not over, of runs that are not over either, the oldest first; and how many there are in all.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn open_waits(&self, kind: &'static str, limit: u32) -> Result<(Vec<WaitRow>, u64), Error> {
        self.read(move |connection| {
            let open = "w.kind = ?1 AND w.answered_at IS NULL AND r.finished_at IS NULL";
            let sql = format!("SELECT count(*) FROM waits w JOIN runs r ON r.key = w.run WHERE {open}");
            let count: i64 = connection.prepare_cached(&sql)?.query_row([kind], |row| row.get(0))?;
            let sql = format!("{SELECT} WHERE {open} ORDER BY w.created_at LIMIT ?2");
            let rows = connection.prepare_cached(&sql)?.query_map(params![kind, limit], wait_row)?.collect::<Result<_, _>>()?;
            Ok((rows, count.unsigned_abs()))
        })
        .await
    }

    /// The wait of that id.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn wait(&self, id: &str) -> Result<Option<WaitRow>, Error> {
        let id = id.to_owned();
        self.read(move |connection| {
            let sql = format!("{SELECT} WHERE w.id = ?");
            Ok(connection.prepare_cached(&sql)?.query_row([id], wait_row).optional()?)
        })
        .await
    }

    /// Ends a wait, once: false where it is over already. Resolves when that is committed.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Closed`]: it is not.
    pub async fn end_wait(&self, id: &str, answer: WaitEnd) -> Result<bool, Error> {
        let id = id.to_owned();
        self.transact(move |connection| Ok(end(connection, &id, &answer)? > 0)).await
    }
}

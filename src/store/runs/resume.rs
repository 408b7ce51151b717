//! What is needed to go on with a run that was let go, broke off, or is retried.

use rusqlite::{Connection, Row, params};

use super::read::{Text, at_one_time, find, json};
use super::waits::{self, WaitRow};
use super::{Json, RunKey, RunRow, StepRow};
use crate::store::{Error, Store};

/// A run that is on record as not finished.
#[derive(Debug, Clone)]
pub struct OpenRun {
    /// The run.
    pub run: RunRow,
    /// Its trigger's event.
    pub input: Json,
    /// The trigger node that fired.
    pub start_node: Option<String>,
    /// The process that worked on it.
    pub owner: String,
    /// What whoever started it may do at most, as a JSON list of manifests.
    pub within: Option<String>,
    /// How many runs stand above it.
    pub depth: u32,
    /// Whether it had an effect outside steps.
    pub loose: bool,
    /// How often in a row its runner died.
    pub crashes: u32,
    /// Hash, sources and nodes of its program.
    pub program: (String, String, String),
    /// The number of its last event, 0 for none.
    pub last_event: i64,
    /// The place of its next step.
    pub next_seq: u32,
    /// Whether any step is on record.
    pub has_steps: bool,
    /// Its steps that did not finish.
    pub open_steps: Vec<OpenStep>,
    /// Its waits that are not over.
    pub open_waits: Vec<WaitRow>,
}

/// A step that did not finish.
#[derive(Debug, Clone)]
pub struct OpenStep {
    /// Its place.
    pub seq: u32,
    /// Its id.
    pub step_id: String,
    /// The graph's node.
    pub node_id: Option<String>,
    /// Its type.
    pub node_type: Option<String>,
    /// From 1.
    pub attempt: u32,
    /// Microseconds since 1970.
    pub started_at: i64,
    /// Whether it may run again.
    pub again: bool,
    /// Whether it noted what it goes on with.
    pub noted: bool,
}

/// What a run did so far.
#[derive(Debug, Clone, Default)]
pub struct Past {
    /// Its steps, in the order in which they began, and what each noted.
    pub steps: Vec<(StepRow, Option<Json>)>,
    /// Its waits.
    pub waits: Vec<WaitRow>,
    /// Lines of log that it wrote outside steps.
    pub logged: u32,
}

impl Store {
    /// The runs that are on record as not finished, the oldest first.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn open_runs(&self) -> Result<Vec<OpenRun>, Error> {
        let store = self.clone();
        self.read(move |connection| {
            let open = at_one_time(connection, || open_runs(connection))?;
            open.into_iter().map(|open| store.resolve_open(open)).collect()
        })
        .await
    }

    /// What the run of that number did so far.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn past(&self, run: RunKey) -> Result<Past, Error> {
        let store = self.clone();
        self.read(move |connection| {
            let mut past = at_one_time(connection, || {
                let sql = "SELECT count(*) FROM logs WHERE run = ? AND loose";
                let logged = connection.prepare_cached(sql)?.query_row([run.0], |row| row.get(0))?;
                Ok(Past { steps: steps(connection, run)?, waits: waits::of_run(connection, run)?, logged })
            })?;
            for (step, _) in &mut past.steps {
                step.output = step.output.take().map(|output| store.resolve(output)).transpose()?;
            }
            Ok(past)
        })
        .await
    }

    /// Whether the run `parent` started one by that trigger.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn has_child(&self, parent: &str, trigger: &str) -> Result<bool, Error> {
        let (parent, trigger) = (parent.to_owned(), trigger.to_owned());
        self.read(move |connection| {
            let sql = "SELECT EXISTS (SELECT 1 FROM runs WHERE parent = ? AND trigger = ?)";
            Ok(connection.prepare_cached(sql)?.query_row([parent, trigger], |row| row.get(0))?)
        })
        .await
    }

    /// Everything with which the run of that id was started, whether it is over or not.
    ///
    /// # Errors
    /// Where the database cannot be read.
    pub async fn started_with(&self, run_id: &str) -> Result<Option<OpenRun>, Error> {
        let (run_id, store) = (run_id.to_owned(), self.clone());
        self.read(move |connection| {
            let open = at_one_time(connection, || match find(connection, &run_id)? {
                Some(run) => open_run(connection, run).map(Some),
                None => Ok(None),
            })?;
            open.map(|open| store.resolve_open(open)).transpose()
        })
        .await
    }

    /// Its values themselves, where they lie in files.
    fn resolve_open(&self, mut open: OpenRun) -> Result<OpenRun, Error> {
        open.run = self.resolve_run(open.run)?;
        open.input = self.resolve(open.input)?;
        Ok(open)
    }

    /// Copies the steps of one run to another that does it again: those that are over before the step at place `before`. With `leave_out`
    /// one that broke off there is taken as left out. Resolves once that is committed, together with everything queued before. Gives how many there are.
    ///
    /// # Errors
    /// [`Error::Full`], [`Error::Closed`].
    pub async fn reuse_steps(&self, from: RunKey, to: RunKey, before: u32, leave_out: bool) -> Result<u32, Error> {
        self.transact(move |connection| {
            let sql = "INSERT INTO steps (run, seq, step_id, node_id, node_type, attempt, status, input_of, input, output, handle, error, \
                       started_at, finished_at, again, note) \
                       SELECT ?2, seq, step_id, node_id, node_type, attempt, \
                       CASE WHEN status IN ('interrupted', 'cancelled') THEN 'skipped' ELSE status END, \
                       input_of, input, output, handle, error, started_at, finished_at, again, note \
                       FROM steps WHERE run = ?1 AND seq < ?3 AND (status IN ('succeeded', 'skipped', 'failed') \
                       OR (?4 AND status IN ('interrupted', 'cancelled') AND note IS NULL))";
            let copied = connection.prepare_cached(sql)?.execute(params![from.0, to.0, before, leave_out])?;
            // Both refer to the same files.
            let sql = "INSERT OR IGNORE INTO run_files (run, hash, kind, bytes) \
                       SELECT ?2, hash, kind, bytes FROM run_files WHERE run = ?1 AND kind = 'value'";
            connection.prepare_cached(sql)?.execute(params![from.0, to.0])?;
            Ok(u32::try_from(copied).unwrap_or(u32::MAX))
        })
        .await
    }
}

fn open_runs(connection: &Connection) -> Result<Vec<OpenRun>, Error> {
    let sql = "SELECT run_id FROM runs WHERE status IN ('queued', 'running', 'waiting') ORDER BY key";
    let ids: Vec<String> = connection.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut runs = Vec::with_capacity(ids.len());
    for id in ids {
        if let Some(run) = find(connection, &id)? {
            runs.push(open_run(connection, run)?);
        }
    }
    Ok(runs)
}

fn open_run(connection: &Connection, run: RunRow) -> Result<OpenRun, Error> {
    let key = run.key.0;
    let sql = "SELECT r.input, r.start_node, r.owner, r.within, r.depth, r.loose, r.crashes, p.hash, p.source, p.nodes \
               FROM runs r JOIN programs p ON p.hash = r.program WHERE r.key = ?";
    let mut open = connection.prepare_cached(sql)?.query_row([key], |row| {
        Ok(OpenRun {
            input: row.get::<_, Text>(0)?.0,
            start_node: row.get(1)?,
            owner: row.get(2)?,
            within: row.get(3)?,
            depth: row.get(4)?,
            loose: row.get(5)?,
            crashes: row.get(6)?,
            program: (row.get(7)?, row.get(8)?, row.get(9)?),
            last_event: i64::from(run.started_at.is_some()),
            next_seq: 0,
            has_steps: false,
            open_steps: Vec::new(),
            open_waits: Vec::new(),
            run,
        })
    })?;
    let sql = "SELECT max(coalesce(max(start_event), 0), coalesce(max(finish_event), 0), \
               coalesce((SELECT max(event_id) FROM logs WHERE run = ?1), 0), \
               coalesce((SELECT max(max(start_event), coalesce(max(finish_event), 0)) FROM waits WHERE run = ?1), 0)), coalesce(max(seq) + 1, 0) FROM steps WHERE run = ?1";
    let (last, next): (i64, u32) = connection.prepare_cached(sql)?.query_row([key], |row| Ok((row.get(0)?, row.get(1)?)))?;
    open.last_event = open.last_event.max(last);
    open.next_seq = next;
    open.has_steps = next > 0;
    let sql = "SELECT seq, step_id, node_id, node_type, attempt, started_at, again, note IS NOT NULL FROM steps WHERE run = ? AND status = 'running' ORDER BY seq";
    open.open_steps = connection.prepare_cached(sql)?.query_map([key], open_step)?.collect::<Result<_, _>>()?;
    open.open_waits = waits::of_run(connection, RunKey(key))?;
    open.open_waits.retain(|wait| wait.answered_at.is_none());
    Ok(open)
}

fn open_step(row: &Row<'_>) -> rusqlite::Result<OpenStep> {
    Ok(OpenStep {
        seq: row.get(0)?,
        step_id: row.get(1)?,
        node_id: row.get(2)?,
        node_type: row.get(3)?,
        attempt: row.get(4)?,
        started_at: row.get(5)?,
        again: row.get(6)?,
        noted: row.get(7)?,
    })
}

/// The steps of a run without their inputs, which nobody needs who goes on.
fn steps(connection: &Connection, run: RunKey) -> Result<Vec<(StepRow, Option<Json>)>, Error> {
    let sql = "SELECT step_id, node_id, node_type, attempt, status, output, handle, error, started_at, finished_at, note \
               FROM steps WHERE run = ? ORDER BY seq";
    let step = |row: &Row<'_>| {
        let step = StepRow {
            step_id: row.get(0)?,
            node_id: row.get(1)?,
            node_type: row.get(2)?,
            attempt: row.get(3)?,
            status: row.get(4)?,
            input_of: None,
            input: None,
            output: json(row, 5)?,
            handle: row.get(6)?,
            error: row.get(7)?,
            would: None,
            expectation: None,
            started_at: row.get(8)?,
            finished_at: row.get(9)?,
            start_event: None,
            finish_event: None,
        };
        Ok((step, row.get::<_, Option<Text>>(10)?.map(|text| text.0)))
    };
    Ok(connection.prepare_cached(sql)?.query_map([run.0], step)?.collect::<Result<_, _>>()?)
}

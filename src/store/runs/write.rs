//! Writing the journal, a row at a time.

use std::sync::{Arc, LazyLock};

use rusqlite::{Connection, ToSql, params};

use super::waits::{self, NewWait};
use super::{Json, LogRow, NewImage, NewRun, NewStep, ProgramRow, RunEnd, RunKey, StepEnd};
use crate::store::audit::{self, AuditRow};
use crate::store::triggers;

/// A row to be written. Applied in the order in which they were queued.
#[derive(Debug, Clone)]
pub enum Write {
    /// A program; kept once.
    Program(Arc<ProgramRow>),
    /// A new run.
    Run(Box<NewRun>),
    /// A queued run began.
    RunStarted {
        /// The run.
        run: RunKey,
        /// Microseconds since 1970.
        at: i64,
    },
    /// A step.
    Step(Box<NewStep>),
    /// The end of a step that was written as begun.
    StepEnd {
        /// The run.
        run: RunKey,
        /// The step's place in it.
        seq: u32,
        /// How it ended.
        end: Box<StepEnd>,
    },
    /// What a step noted for going on.
    StepNote {
        /// The run.
        run: RunKey,
        /// The step's place in it.
        seq: u32,
        /// What.
        note: Json,
    },
    /// A run was let go, goes on, or is gone on with by another process.
    RunStatus {
        /// The run.
        run: RunKey,
        /// `queued`, `running` or `waiting`.
        status: &'static str,
        /// The process that works on it.
        owner: Arc<str>,
    },
    /// A run had an effect outside steps.
    RunLoose(RunKey),
    /// How often in a row the runner of a run died.
    RunCrashes {
        /// The run.
        run: RunKey,
        /// So often.
        crashes: u32,
    },
    /// A run begins to wait.
    Wait(Box<NewWait>),
    /// The end of a wait was told.
    WaitTold {
        /// Its id.
        id: String,
        /// The number of the event.
        event: i64,
    },
    /// A wait that nobody answers is over, and that was told.
    WaitOver {
        /// Its id.
        id: String,
        /// The number of the event.
        event: i64,
        /// Microseconds since 1970.
        at: i64,
    },
    /// A line of log.
    Log {
        /// The run.
        run: RunKey,
        /// The line.
        row: LogRow,
    },
    /// The end of a run.
    RunEnd {
        /// The run.
        run: RunKey,
        /// How it ended.
        end: Box<RunEnd>,
    },
    /// A picture of a step; kept only where there are files beside the database.
    Image(Box<NewImage>),
    /// An entry of the audit log.
    Audit(Box<AuditRow>),
}

const PROGRAM: &str = "INSERT INTO programs (hash, source, nodes) VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING";
const RUN: &str = "INSERT INTO runs (key, run_id, kind, workflow_id, script, trigger, status, parameters, input, start_node, program, owner, \
                   created_at, started_at, result, error, finished_at, finish_event, within, mode, parent, retry_of, depth, priority) \
                   VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const RUN_STARTED: &str = "UPDATE runs SET status = 'running', started_at = ? WHERE key = ?";
const STEP: &str = "INSERT INTO steps (run, seq, step_id, node_id, node_type, attempt, input_of, input, started_at, start_event, \
                    status, output, handle, error, finished_at, finish_event, again, would, expectation) VALUES ";
const STEP_VALUES: &str = "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
/// So many steps are written by one statement.
const TOGETHER: usize = 16;
static STEP_ALONE: LazyLock<String> = LazyLock::new(|| format!("{STEP}{STEP_VALUES}"));
static STEPS_TOGETHER: LazyLock<String> = LazyLock::new(|| format!("{STEP}{}", [STEP_VALUES; TOGETHER].join(", ")));
const STEP_END: &str = "UPDATE steps SET status = ?, output = ?, handle = ?, error = ?, finished_at = ?, finish_event = ?, would = ?, expectation = ? WHERE run = ? AND seq = ?";
const STEP_NOTE: &str = "UPDATE steps SET note = ? WHERE run = ? AND seq = ?";
const RUN_STATUS: &str = "UPDATE runs SET status = ?, owner = ? WHERE key = ? AND finished_at IS NULL";
const RUN_LOOSE: &str = "UPDATE runs SET loose = 1 WHERE key = ?";
const RUN_CRASHES: &str = "UPDATE runs SET crashes = ? WHERE key = ?";
const LOG: &str = "INSERT INTO logs (run, event_id, at, level, message, loose) VALUES (?, ?, ?, ?, ?, ?)";
const RUN_END: &str = "UPDATE runs SET status = ?, result = ?, error = ?, finished_at = ?, finish_event = ? WHERE key = ?";

impl Write {
    /// Whether a run's record would be wrong for good without it: such rows are taken however many wait.
    pub(in crate::store) fn must_be_kept(&self) -> bool {
        match self {
            Self::RunEnd { .. }
            | Self::StepEnd { .. }
            | Self::RunStarted { .. }
            | Self::RunStatus { .. }
            | Self::RunLoose(_)
            | Self::RunCrashes { .. }
            | Self::WaitTold { .. }
            | Self::WaitOver { .. } => true,
            Self::Audit(row) => row.is_end,
            Self::Program(_) | Self::Run(_) | Self::Step(_) | Self::StepNote { .. } | Self::Wait(_) | Self::Log { .. } | Self::Image(_) => {
                false
            }
        }
    }

    /// About how much memory it holds.
    pub(in crate::store) fn bytes(&self) -> usize {
        let json = |json: &Option<super::Json>| json.as_ref().map_or(0, |json| json.get().len());
        let end = |end: &StepEnd| json(&end.output) + end.error.as_ref().map_or(0, String::len);
        match self {
            Self::Program(_)
            | Self::RunStarted { .. }
            | Self::RunStatus { .. }
            | Self::RunLoose(_)
            | Self::RunCrashes { .. }
            | Self::WaitTold { .. }
            | Self::WaitOver { .. } => 0,
            Self::StepNote { note, .. } => note.get().len(),
            Self::Wait(wait) => wait.request.len(),
            Self::Run(row) => {
                let result = row.end.as_ref().map_or(0, |end| json(&end.result));
                row.parameters.get().len() + row.input.get().len() + result
            }
            Self::Step(row) => row.step_id.len() + json(&row.input) + row.end.as_ref().map_or(0, end),
            Self::StepEnd { end: step, .. } => end(step),
            Self::Log { row, .. } => row.message.len(),
            Self::RunEnd { end, .. } => json(&end.result),
            Self::Audit(row) => row.bytes(),
            Self::Image(image) => image.picture.as_ref().map_or(0, |picture| picture.len()),
        }
    }

    /// The first rows, where they are as many steps as one statement takes, and each of them `fits`.
    pub(in crate::store) fn steps_together(rows: &[Self], fits: impl Fn(&Self) -> bool) -> Option<Vec<&NewStep>> {
        let steps = rows.iter().take(TOGETHER).map_while(|row| match row {
            Self::Step(step) if fits(row) => Some(&**step),
            _ => None,
        });
        Some(steps.collect::<Vec<_>>()).filter(|steps| steps.len() == TOGETHER)
    }

    pub(in crate::store) fn apply(&self, connection: &Connection) -> rusqlite::Result<()> {
        match self {
            Self::Program(row) => {
                connection.prepare_cached(PROGRAM)?.execute(params![row.hash.as_ref(), row.source, row.nodes])?;
            }
            Self::Run(row) => insert_run(connection, row)?,
            Self::RunStarted { run, at } => {
                connection.prepare_cached(RUN_STARTED)?.execute(params![at, run.0])?;
            }
            Self::Step(row) => insert_steps(connection, &[row])?,
            Self::StepEnd { run, seq, end } => {
                connection.prepare_cached(STEP_END)?.execute(params![
                    end.status,
                    end.output.as_ref().map(|json| json.get()),
                    end.handle,
                    end.error,
                    end.finished_at,
                    end.finish_event,
                    end.would,
                    end.expectation,
                    run.0,
                    seq
                ])?;
            }
            Self::StepNote { run, seq, note } => {
                connection.prepare_cached(STEP_NOTE)?.execute(params![note.get(), run.0, seq])?;
            }
            Self::RunStatus { run, status, owner } => {
                connection.prepare_cached(RUN_STATUS)?.execute(params![status, owner.as_ref(), run.0])?;
            }
            Self::RunLoose(run) => {
                connection.prepare_cached(RUN_LOOSE)?.execute([run.0])?;
            }
            Self::RunCrashes { run, crashes } => {
                connection.prepare_cached(RUN_CRASHES)?.execute(params![crashes, run.0])?;
            }
            Self::Wait(wait) => waits::insert(connection, wait)?,
            Self::WaitTold { id, event } => {
                waits::told(connection, id, *event)?;
            }
            Self::WaitOver { id, event, at } => {
                waits::over(connection, id, *event, *at)?;
            }
            Self::Log { run, row } => {
                connection.prepare_cached(LOG)?.execute(params![run.0, row.event_id, row.at, row.level, row.message, row.loose])?;
            }
            Self::RunEnd { run, end } => {
                connection.prepare_cached(RUN_END)?.execute(params![
                    end.status,
                    end.result.as_ref().map(|json| json.get()),
                    end.error,
                    end.finished_at,
                    end.finish_event,
                    run.0
                ])?;
            }
            Self::Audit(row) => audit::insert(connection, row)?,
            Self::Image(_) => {}
        }
        Ok(())
    }
}

fn insert_run(connection: &Connection, row: &NewRun) -> rusqlite::Result<()> {
    if let Some(firing) = &row.firing
        && !triggers::insert(connection, firing, &row.run_id)?
    {
        // Whoever fires asks before: this is the last line of defence.
        tracing::error!(trigger_id = %firing.trigger_id, run_id = %row.run_id, "a run was left out: what starts it did so before");
        return Ok(());
    }
    let end = row.end.as_ref();
    connection.prepare_cached(RUN)?.execute(params![
        row.key.0,
        row.run_id,
        row.kind,
        row.workflow_id,
        row.script,
        row.trigger,
        end.map_or(row.status, |end| end.status),
        row.parameters.get(),
        row.input.get(),
        row.start_node,
        row.program.as_ref(),
        row.owner.as_ref(),
        row.created_at,
        row.started_at,
        end.and_then(|end| end.result.as_ref()).map(|json| json.get()),
        end.and_then(|end| end.error.as_ref()),
        end.map(|end| end.finished_at),
        end.map(|end| end.finish_event),
        row.within,
        row.mode,
        row.parent,
        row.retry_of,
        row.depth,
        row.priority
    ])?;
    Ok(())
}

/// Writes one step, or as many as [`Write::steps_together`] gives: all, or none.
pub(in crate::store) fn insert_steps(connection: &Connection, steps: &[&NewStep]) -> rusqlite::Result<()> {
    let sql = if steps.len() == TOGETHER { &*STEPS_TOGETHER } else { &*STEP_ALONE };
    let mut statement = connection.prepare_cached(sql)?;
    let mut place = 0;
    for step in steps {
        bind_step(step, |value| {
            place += 1;
            statement.raw_bind_parameter(place, value)
        })?;
    }
    statement.raw_execute()?;
    Ok(())
}

/// Gives the values of a row in the order of the columns of [`STEP`].
fn bind_step(row: &NewStep, mut bind: impl FnMut(&dyn ToSql) -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    let end = row.end.as_ref();
    bind(&row.run.0)?;
    bind(&row.seq)?;
    bind(&row.step_id)?;
    bind(&row.node_id)?;
    bind(&row.node_type)?;
    bind(&row.attempt)?;
    bind(&row.input_of)?;
    bind(&row.input.as_ref().map(|json| json.get()))?;
    bind(&row.started_at)?;
    bind(&row.start_event)?;
    bind(&end.map_or("running", |end| end.status))?;
    bind(&end.and_then(|end| end.output.as_ref()).map(|json| json.get()))?;
    bind(&end.and_then(|end| end.handle.as_ref()))?;
    bind(&end.and_then(|end| end.error.as_ref()))?;
    bind(&end.map(|end| end.finished_at))?;
    bind(&end.map(|end| end.finish_event))?;
    bind(&row.again)?;
    bind(&end.and_then(|end| end.would.as_ref()))?;
    bind(&end.and_then(|end| end.expectation.as_ref()))
}

//! The list of runs: whatever narrows it, it is counted and read from an index, and only the runs that are shown are read themselves.

use rusqlite::{Connection, OptionalExtension, ToSql};

use super::RunRow;
use super::read::{RUN, RunQuery, run_row};
use crate::store::{Error, search};

/// Bits of a run's number below the microsecond in which it was created ([`crate::store::Store::next_key`]).
const BELOW_MICROSECOND: u32 = 11;

/// Conditions on an index, and what stands in their places.
#[derive(Default)]
struct Conditions {
    texts: Vec<String>,
    values: Vec<Box<dyn ToSql>>,
}

impl Conditions {
    fn add(&mut self, text: impl Into<String>, values: impl IntoIterator<Item = Box<dyn ToSql>>) {
        self.texts.push(text.into());
        self.values.extend(values);
    }

    fn is(&mut self, column: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.add(format!("{column} = ?"), [boxed(value.clone())]);
        }
    }

    /// ` WHERE …`, or nothing.
    fn narrowed(&self) -> String {
        if self.texts.is_empty() { String::new() } else { format!(" WHERE {}", self.texts.join(" AND ")) }
    }

    fn values(&self) -> Vec<&dyn ToSql> {
        self.values.iter().map(|value| &**value as &dyn ToSql).collect()
    }
}

fn boxed<T: ToSql + 'static>(value: T) -> Box<dyn ToSql> {
    Box::new(value)
}

fn conditions(query: &RunQuery) -> Conditions {
    let mut all = Conditions::default();
    all.is("workflow_id", query.workflow_id.as_ref());
    all.is("script", query.script.as_ref());
    all.is("kind", query.kind.as_ref());
    match query.statuses.as_slice() {
        [] => {}
        [one] => all.is("status", Some(one)),
        many => all.add(format!("status IN (?{})", ", ?".repeat(many.len() - 1)), many.iter().map(|status| boxed(status.clone()))),
    }
    if let Some(trigger) = &query.trigger {
        // `;` follows `:`.
        let kind = [boxed(trigger.clone()), boxed(format!("{trigger}:")), boxed(format!("{trigger};"))];
        all.add("(trigger = ? OR trigger >= ? AND trigger < ?)", kind);
    }
    let key = |at: i64| at.clamp(0, i64::MAX >> BELOW_MICROSECOND) << BELOW_MICROSECOND;
    if let Some(since) = query.since {
        all.add("key >= ?", [boxed(key(since))]);
    }
    if let Some(until) = query.until {
        all.add("key < ?", [boxed(key(until))]);
    }
    all
}

/// The index that knows everything that is asked for. SQLite's own choice may be one that does not, and reads each run.
fn index(query: &RunQuery) -> &'static str {
    let other = query.kind.is_some() || query.trigger.is_some();
    let timed = query.since.is_some() || query.until.is_some();
    match (&query.workflow_id, &query.script, query.statuses.as_slice()) {
        (Some(_), None, _) if !other => "runs_by_workflow",
        (None, Some(_), _) if !other => "runs_by_script",
        (None, None, [_]) if !other && !timed => "runs_by_status",
        _ => "runs_listed",
    }
}

/// The runs and how many match in all.
pub(super) fn list(connection: &Connection, query: &RunQuery) -> Result<(Vec<RunRow>, u64), Error> {
    let mut all = conditions(query);
    let mut from = format!("runs INDEXED BY {}", index(query));
    if let Some(text) = &query.search {
        let Some(question) = search::question(text) else { return Ok((Vec::new(), 0)) };
        if all.texts.is_empty() {
            // The index of words alone knows the answer, in the right order.
            from = "(SELECT rowid AS key FROM runs_text WHERE runs_text MATCH ?)".to_owned();
        } else {
            from = "runs_text AS found CROSS JOIN runs ON runs.key = found.rowid AND found.runs_text MATCH ?".to_owned();
        }
        all.values.insert(0, boxed(question));
    }
    let sql = format!("SELECT count(*) FROM {from}{}", all.narrowed());
    let count: i64 = connection.prepare_cached(&sql)?.query_row(all.values().as_slice(), |row| row.get(0))?;
    if let Some(id) = &query.before {
        let key = connection.prepare_cached("SELECT key FROM runs WHERE run_id = ?")?.query_row([id], |row| row.get(0)).optional()?;
        let before: i64 = key.ok_or_else(|| Error::Missing { kind: "run", id: id.clone() })?;
        all.add("key < ?", [boxed(before)]);
    }
    if count == 0 {
        return Ok((Vec::new(), 0));
    }
    all.values.push(boxed(query.limit));
    let sql = format!("SELECT key FROM {from}{} ORDER BY key DESC LIMIT ?", all.narrowed());
    let keys: Vec<i64> =
        connection.prepare_cached(&sql)?.query_map(all.values().as_slice(), |row| row.get(0))?.collect::<Result<_, _>>()?;
    let mut read = connection.prepare_cached(&format!("SELECT {RUN} FROM runs WHERE key = ?"))?;
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        rows.extend(read.query_row([key], run_row).optional()?);
    }
    Ok((rows, count.unsigned_abs()))
}

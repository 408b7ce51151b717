//! The list of runs: whatever narrows it, it is counted and read from an index, and only the runs that are shown are read themselves.

use rusqlite::{Connection, OptionalExtension, ToSql};

use super::RunRow;
use super::read::{RUN, RunQuery, run_row};
use crate::store::{Error, search};

/// Bits of a run's number below the microsecond in which it was created ([`crate::store::Store::next_key`]).
const BELOW_MICROSECOND: u32 = 11;

/// So many are counted where words are searched for.
const MOST_COUNTED: u64 = 10_000;

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

/// `number` is where a run's number stands.
fn conditions(query: &RunQuery, number: &str) -> Conditions {
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
        all.add(format!("{number} >= ?"), [boxed(key(since))]);
    }
    if let Some(until) = query.until {
        all.add(format!("{number} < ?"), [boxed(key(until))]);
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
    let before: Option<i64> = match &query.before {
        None => None,
        Some(id) => {
            let key = connection.prepare_cached("SELECT key FROM runs WHERE run_id = ?")?.query_row([id], |row| row.get(0)).optional()?;
            Some(key.ok_or_else(|| Error::Missing { kind: "run", id: id.clone() })?)
        }
    };
    let (keys, count) = match &query.search {
        Some(text) => match search::question(text) {
            Some(question) => with_words(connection, query, question, before)?,
            None => (Vec::new(), 0),
        },
        None => by_index(connection, query, before)?,
    };
    let mut read = connection.prepare_cached(&format!("SELECT {RUN} FROM runs WHERE key = ?"))?;
    let mut rows = Vec::with_capacity(keys.len());
    for key in keys {
        rows.extend(read.query_row([key], run_row).optional()?);
    }
    Ok((rows, count))
}

fn by_index(connection: &Connection, query: &RunQuery, before: Option<i64>) -> Result<(Vec<i64>, u64), Error> {
    let mut all = conditions(query, "key");
    let from = format!("runs INDEXED BY {}", index(query));
    let sql = format!("SELECT count(*) FROM {from}{}", all.narrowed());
    let count: i64 = connection.prepare_cached(&sql)?.query_row(all.values().as_slice(), |row| row.get(0))?;
    if count == 0 {
        return Ok((Vec::new(), 0));
    }
    if let Some(before) = before {
        all.add("key < ?", [boxed(before)]);
    }
    all.values.push(boxed(query.limit));
    let sql = format!("SELECT key FROM {from}{} ORDER BY key DESC LIMIT ?", all.narrowed());
    let keys = connection.prepare_cached(&sql)?.query_map(all.values().as_slice(), |row| row.get(0))?.collect::<Result<_, _>>()?;
    Ok((keys, count.unsigned_abs()))
}

/// Goes through the runs with these words, newest first, until the page is full and enough are counted.
fn with_words(connection: &Connection, query: &RunQuery, question: String, before: Option<i64>) -> Result<(Vec<i64>, u64), Error> {
    let mut all = conditions(query, "runs_text.rowid");
    all.add("runs_text MATCH ?", [boxed(question)]);
    let whole = RunQuery { since: None, until: None, ..query.clone() };
    // The index of words knows their runs in the right order; what else is asked of each of them, the run itself knows.
    let from = if conditions(&whole, "").texts.is_empty() {
        "SELECT rowid AS key FROM runs_text"
    } else {
        "SELECT runs_text.rowid AS key FROM runs_text CROSS JOIN runs ON runs.key = runs_text.rowid"
    };
    let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
    let sql = |all: &Conditions| format!("{from}{} ORDER BY runs_text.rowid DESC", all.narrowed());
    let (mut keys, mut count) = (Vec::new(), 0);
    let mut found = connection.prepare_cached(&sql(&all))?;
    let mut found = found.query(all.values().as_slice())?;
    while let Some(row) = found.next()? {
        count += 1;
        if before.is_none() && keys.len() < limit {
            keys.push(row.get(0)?);
        }
        if count >= MOST_COUNTED && (before.is_some() || keys.len() == limit) {
            break;
        }
    }
    drop(found);
    if let Some(before) = before {
        all.add("runs_text.rowid < ?", [boxed(before)]);
        let mut page = connection.prepare_cached(&format!("{} LIMIT ?", sql(&all)))?;
        all.values.push(boxed(query.limit));
        keys = page.query_map(all.values().as_slice(), |row| row.get(0))?.collect::<Result<_, _>>()?;
    }
    Ok((keys, count))
}

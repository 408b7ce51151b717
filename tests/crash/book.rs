//! What the server promised, written down outside of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

/// Everything that was acknowledged.
#[derive(Debug, Default)]
pub struct Book(Mutex<Pages>);

/// Its pages.
#[derive(Debug, Default, Clone)]
pub struct Pages {
    /// Runs that were taken, and how those ended whose end was told.
    pub runs: BTreeMap<String, Option<End>>,
    /// Runs whose webhook was answered.
    pub answered: BTreeSet<String>,
    /// Things that are written and read back, by their path: what may be there now (null: nothing). One thing where nothing is under
    /// way; more where an answer never came.
    pub kept: BTreeMap<String, Vec<Value>>,
    /// Questions that were answered, with what.
    pub decided: BTreeMap<String, String>,
    /// Files that were dropped into the folder that is watched.
    pub dropped: BTreeSet<String>,
    /// Snapshots that were taken.
    pub snapshots: BTreeSet<String>,
    /// Runners that were killed.
    pub runners_killed: usize,
    /// Everything that was acknowledged, counted.
    pub promises: usize,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    pub status: String,
    pub result: Value,
}

impl Book {
    pub fn open(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn run(&self, run_id: &str) {
        let mut pages = self.open();
        pages.promises += 1;
        pages.runs.entry(run_id.to_owned()).or_default();
    }

    pub fn ended(&self, run: &Value) {
        let (Some(id), Some(status)) = (run["run_id"].as_str(), run["status"].as_str()) else { return };
        let mut pages = self.open();
        pages.promises += 1;
        pages.runs.insert(id.to_owned(), Some(End { status: status.to_owned(), result: run["result"].clone() }));
    }

    pub fn answered(&self, run_id: &str) {
        self.run(run_id);
        self.open().answered.insert(run_id.to_owned());
    }

    pub fn decided(&self, question: &str, choice: &str) {
        let mut pages = self.open();
        pages.promises += 1;
        pages.decided.insert(question.to_owned(), choice.to_owned());
    }

    pub fn dropped(&self, name: &str) {
        let mut pages = self.open();
        pages.promises += 1;
        pages.dropped.insert(name.to_owned());
    }

    pub fn snapshot(&self, id: &str) {
        let mut pages = self.open();
        pages.promises += 1;
        pages.snapshots.insert(id.to_owned());
    }

    /// What is at `path` for all that is known, if that is one thing.
    pub fn known(&self, path: &str) -> Option<Value> {
        match self.open().kept.get(path).map(Vec::as_slice) {
            None => Some(Value::Null),
            Some([one]) => Some(one.clone()),
            Some(_) => None,
        }
    }

    /// It is about to be written: until the answer comes, both may be there.
    pub fn trying(&self, path: &str, value: &Value) {
        self.open().kept.entry(path.to_owned()).or_insert_with(|| vec![Value::Null]).push(value.clone());
    }

    /// It was written.
    pub fn wrote(&self, path: &str, value: &Value) {
        let mut pages = self.open();
        pages.promises += 1;
        pages.kept.insert(path.to_owned(), vec![value.clone()]);
    }

    /// It was refused.
    pub fn refused(&self, path: &str) {
        if let Some(values) = self.open().kept.get_mut(path) {
            values.pop();
        }
    }
}

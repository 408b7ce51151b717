//! What the handlers ask of the rest of the house: a few traits in the API's own words, so that this room can be built, tested and
//! described without a desktop, a database or a runner. `app` puts the real rooms behind them.
//!
//! Records (workflows, runs, events) pass through as JSON: their shape is decided where they are made.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio_util::sync::CancellationToken;

use crate::error::Failure;
use crate::host::Answer;
use crate::host::protocol::Json;
use crate::input::{Click, TypeText};
use crate::policy::Grant;
use crate::screen::{Capture, ImageFormat, Monitor};
use crate::workflow::NodeType;

/// Something that is answered later.
pub type Later<'a, T> = BoxFuture<'a, Result<T, Failure>>;

/// Stored workflows.
pub trait Workflows: Send + Sync {
    /// Stores a graph as it is drawn; gives it back with its `id`, its times and its `problems`.
    fn create(&self, graph: Value) -> Later<'_, Value>;
    /// A stored one.
    fn get<'a>(&'a self, id: &'a str) -> Later<'a, Value>;
    /// `{workflows, count}`, newest first.
    fn list(&self, filter: WorkflowFilter) -> Later<'_, Value>;
    /// Stores it anew.
    fn update<'a>(&'a self, id: &'a str, graph: Value) -> Later<'a, Value>;
    /// Removes it.
    fn delete<'a>(&'a self, id: &'a str) -> Later<'a, ()>;
    /// Compiles without storing: `{valid, problems, script, permissions}`.
    fn validate(&self, graph: Value) -> Later<'_, Value>;
    /// The script that it compiles to.
    fn script<'a>(&'a self, id: &'a str) -> Later<'a, String>;
}

/// Which workflows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkflowFilter {
    /// At most so many.
    pub limit: u32,
    /// After so many.
    pub offset: u32,
    /// Only with this text in name, description or id.
    pub search: Option<String>,
}

/// Runs, new and old.
pub trait Runs: Send + Sync {
    /// Starts one.
    fn execute(&self, what: Target, parameters: Json) -> Later<'_, Box<dyn Ticket>>;
    /// One with its steps and log.
    fn get<'a>(&'a self, run_id: &'a str) -> Later<'a, Value>;
    /// `{runs, count}`, newest first.
    fn list(&self, filter: RunFilter) -> Later<'_, Value>;
    /// Stops one.
    fn cancel<'a>(&'a self, run_id: &'a str) -> Later<'a, ()>;
    /// Its events after that number, then as they come, until it is over. The stream holds a bounded number of events, whatever the
    /// pace of its reader.
    fn subscribe<'a>(&'a self, run_id: &'a str, after: u64) -> Later<'a, BoxStream<'static, Event>>;
}

/// What to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A stored workflow.
    Workflow(String),
    /// A script of the library, by its path.
    Script(String),
    /// A script that is in no folder.
    Source(String),
}

/// A run that was started.
pub trait Ticket: Send {
    /// Its id.
    fn run_id(&self) -> &str;
    /// Waits for its end; gives the whole run.
    fn finished(&mut self) -> BoxFuture<'_, Result<Value, Failure>>;
}

/// Which runs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// Only this workflow's.
    pub workflow_id: Option<String>,
    /// Only this script's.
    pub script: Option<String>,
    /// Only with this status.
    pub status: Option<String>,
    /// At most so many.
    pub limit: u32,
    /// Only those before this run.
    pub before: Option<String>,
}

/// Something that happened in a run.
#[derive(Debug, Clone)]
pub struct Event {
    /// Its number within the run, from 1.
    pub event_id: u64,
    /// `run_started`, `step_started`, `step_finished`, `log`, `run_finished`.
    pub name: &'static str,
    /// All of it as JSON, with `type`, `run_id`, `event_id` and `timestamp`.
    pub text: String,
}

/// The webhooks of workflows and scripts.
pub trait Webhooks: Send + Sync {
    /// Starts what waits for `call`.
    fn receive(&self, call: WebhookCall) -> Later<'_, WebhookReply>;
}

/// A call of a webhook.
#[derive(Debug, Clone, Serialize)]
pub struct WebhookCall {
    /// `GET`, `POST`, …
    pub method: String,
    /// What follows `/api/webhooks/`, without slashes at its ends.
    pub path: String,
    /// The query's parameters; of several with one name the last.
    pub query: BTreeMap<String, String>,
    /// The headers with names in lower case; several of one name joined by commas.
    pub headers: BTreeMap<String, String>,
    /// The body: JSON as it is, anything else as a text, none as null.
    pub body: Box<RawValue>,
    /// The body byte by byte, for signatures.
    #[serde(skip)]
    pub raw: Vec<u8>,
}

/// What a webhook's caller is told.
#[derive(Debug)]
pub enum WebhookReply {
    /// Runs were started; nobody waits for them.
    Started(Vec<String>),
    /// The first run is over.
    Finished {
        /// Its whole record.
        run: Value,
        /// Every run that was started.
        run_ids: Vec<String>,
    },
    /// A run gave its own answer.
    Answered(Answer),
}

/// The screen, the mouse and the keyboard. All of it blocks, and is called where blocking is allowed.
pub trait Desktop: Send + Sync {
    /// All monitors.
    fn monitors(&self, grant: &Grant) -> Result<Vec<Monitor>, Failure>;
    /// A picture of the screen.
    fn capture(&self, grant: &Grant, capture: &Capture, format: ImageFormat, quality: u8) -> Result<Picture, Failure>;
    /// Clicks.
    fn click(&self, grant: &Grant, click: &Click, cancel: &CancellationToken) -> Result<(), Failure>;
    /// Types; gives the number of characters.
    fn type_text(&self, grant: &Grant, text: &TypeText, cancel: &CancellationToken) -> Result<u64, Failure>;
    /// `local`, `virtual` or `none`.
    fn mode(&self) -> &'static str;
    /// Whether Tesseract can read.
    fn tesseract(&self) -> bool;
}

/// A picture, encoded.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

/// The node types there are at this moment, by name.
pub trait Palette: Send + Sync {
    /// All, sorted by name.
    fn all(&self) -> Vec<Arc<NodeType>>;
    /// The one of that name.
    fn get(&self, name: &str) -> Option<Arc<NodeType>>;
}

//! What starts runs by itself: webhooks, watched folders, schedules, what a screen shows, the start of the server.
//!
//! One table knows every trigger, whether it is drawn in a workflow, declared in a script's header or made over the API (`table.rs`). What
//! happens is told by `webhook.rs`, `inbox.rs`, `schedules.rs` and `screens.rs`; it becomes a run in `fire.rs`, once. Not here: how a run goes on
//! (`runs`), what the fields of a trigger mean (`workflow`), when a schedule is due (`schedule`).

mod awaited;
mod clock;
mod error;
mod fire;
mod follow_up;
mod inbox;
mod list;
mod made;
mod schedules;
mod screens;
mod signature;
mod startup;
mod table;
mod webhook;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub use clock::{Clock, SystemClock};
pub use error::Error;
pub use list::Trigger;
pub use made::TriggerDraft;
pub use table::Source;
pub use webhook::{Delivery, Fired, FiredRun};

pub use crate::workflow::Respond;

use crate::desktop::Desktops;
use crate::error::Failure;
use crate::policy::Grant;
use crate::runs::{Observer, Runs};
use crate::sight::Sight;
use crate::store::Store;
use fire::{Claims, Counts};
use screens::Eyes;
use table::{Origin, Table, Told};

/// What triggers are made of.
pub struct Settings {
    /// Where it is kept what fired.
    pub store: Store,
    /// What the settings allow: which folders may be watched.
    pub grant: Grant,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// All triggers. Clones share them.
#[derive(Clone)]
pub struct Triggers {
    inner: Arc<Inner>,
}

struct Inner {
    runs: Runs,
    store: Store,
    grant: Grant,
    clock: Arc<dyn Clock>,
    table: Arc<Table>,
    /// The library's generation that the table was made with.
    generation: AtomicU64,
    claims: Claims,
    counts: Counts,
    armed: AtomicBool,
    /// This start of the server.
    start_id: String,
    started: AtomicBool,
    /// What is at work while they are armed.
    at_work: Mutex<Option<(CancellationToken, Vec<JoinHandle<()>>)>>,
    /// A file waits for its run to be over.
    pending: Notify,
    /// None where no screen can be seen.
    eyes: OnceLock<Eyes>,
    /// Files that were dealt with, by trigger: key, and whether it is away.
    followed: Mutex<HashMap<String, Vec<(String, bool)>>>,
}

impl Triggers {
    /// Triggers that follow the changes of workflows, none of them armed yet.
    pub fn new(runs: Runs, settings: Settings) -> Self {
        let table = Arc::new(Table::new(settings.grant.clone()));
        runs.workflows().observe(Arc::clone(&table) as Arc<dyn Observer>);
        let inner = Inner {
            generation: AtomicU64::new(runs.library_generation()),
            runs,
            store: settings.store,
            grant: settings.grant,
            clock: settings.clock,
            table,
            claims: Claims::default(),
            counts: Counts::default(),
            armed: AtomicBool::new(false),
            start_id: uuid::Uuid::now_v7().to_string(),
            started: AtomicBool::new(false),
            at_work: Mutex::default(),
            pending: Notify::new(),
            eyes: OnceLock::new(),
            followed: Mutex::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Lets triggers see the desktops.
    #[must_use]
    pub fn seeing(self, sight: Sight, desktops: Arc<Desktops>) -> Self {
        // The first one counts, and there is only one.
        let _ = self.inner.eyes.set(Eyes { sight, desktops });
        self
    }

    /// Arms the triggers there are, and follows their changes.
    ///
    /// # Errors
    /// Where the stored workflows cannot be read; none is armed then.
    pub async fn arm(&self) -> Result<(), Failure> {
        let inner = &self.inner;
        self.disarm().await;
        let known = inner.store.triggers().await?;
        inner.table.set_disabled(known.into_iter().filter(|(_, row)| !row.enabled).map(|(id, _)| id).collect());
        self.read_all().await?;
        inner.armed.store(true, Ordering::SeqCst);
        let cancel = CancellationToken::new();
        let mut tasks = vec![
            tokio::spawn(schedules::follow(Arc::clone(inner), cancel.clone())),
            tokio::spawn(screens::follow(Arc::clone(inner), cancel.clone())),
            tokio::spawn(inbox::watch(Arc::clone(inner), cancel.clone())),
            tokio::spawn(follow_up::follow(Arc::clone(inner), cancel.clone())),
            tokio::spawn(startup::tidy(Arc::clone(inner), cancel.clone())),
        ];
        if !inner.started.swap(true, Ordering::SeqCst) {
            tasks.push(tokio::spawn(startup::fire(Arc::clone(inner), cancel.clone())));
        }
        let before = inner.at_work.lock().unwrap_or_else(PoisonError::into_inner).replace((cancel, tasks));
        end(before).await;
        Ok(())
    }

    /// Disarms all triggers: nothing starts a run until they are armed again.
    pub async fn disarm(&self) {
        self.inner.armed.store(false, Ordering::SeqCst);
        let at_work = self.inner.at_work.lock().unwrap_or_else(PoisonError::into_inner).take();
        end(at_work).await;
    }

    /// Whether anything starts a run.
    pub fn is_armed(&self) -> bool {
        self.inner.armed.load(Ordering::SeqCst)
    }

    /// How many are armed, by type.
    pub fn armed(&self) -> std::collections::BTreeMap<String, usize> {
        self.inner.table.armed()
    }

    /// How often they fired since the server started, by type.
    pub fn firings(&self) -> Vec<(&'static str, u64)> {
        self.inner.counts.by_kind()
    }

    /// Scripts or node types changed: that can make a workflow run, keep it from running, and scripts declare triggers.
    ///
    /// # Errors
    /// Where the stored workflows cannot be read.
    pub async fn follow_library(&self) -> Result<(), Failure> {
        let generation = self.inner.runs.library_generation();
        if self.inner.generation.swap(generation, Ordering::SeqCst) != generation {
            self.read_all().await.inspect_err(|_| self.inner.generation.store(0, Ordering::SeqCst))?;
        }
        if self.inner.table.take_stale() {
            self.inner.read_made().await?;
        }
        Ok(())
    }

    async fn read_all(&self) -> Result<(), Failure> {
        self.inner.generation.store(self.inner.runs.library_generation(), Ordering::SeqCst);
        self.inner.runs.workflows().announce().await?;
        self.inner.read_scripts();
        self.inner.read_made().await
    }
}

/// Ends what is at work, and waits for it.
async fn end(at_work: Option<(CancellationToken, Vec<JoinHandle<()>>)>) {
    let Some((cancel, tasks)) = at_work else { return };
    cancel.cancel();
    for task in tasks {
        if task.await.is_err() {
            tracing::error!("what follows triggers ended in a panic");
        }
    }
}

impl Inner {
    /// Takes in the triggers that scripts declare.
    fn read_scripts(&self) {
        let mut told = Vec::new();
        for (path, triggers) in self.runs.script_triggers() {
            for (number, (kind, config)) in (1..).zip(triggers) {
                told.push(Told {
                    id: format!("script:{path}#{number}"),
                    source: Source { script: Some(path.clone()), ..Source::default() },
                    kind,
                    config,
                    parameters: None,
                    problem: None,
                });
            }
        }
        self.table.replace(Origin::Declared, "script:", told);
    }

    /// A file was dealt with.
    fn followed(&self, trigger_id: String, key: String, gone: bool) {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).entry(trigger_id).or_default().push((key, gone));
    }

    /// The files of a trigger that were dealt with since.
    fn take_followed(&self, trigger_id: &str) -> Vec<(String, bool)> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner).remove(trigger_id).unwrap_or_default()
    }
}

//! The scripts and node types there are, kept up to date while the server runs.
//!
//! A reload builds everything aside and swaps it in; a file that is broken keeps its last good version and shows its error. A text that
//! has changed is compiled first, where that can do no harm ([`Checker`]), and goes live once it is known to compile, with what it
//! imports: when that changes, it is compiled anew (`live.rs`). A run keeps what it started with, because its program holds all of it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use rust_embed::RustEmbed;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch as watched};

use super::catalog::{Candidate, Catalog, LibraryError, LibraryEvent};
use super::folder::{self, Read};
use super::imports::module_name;
use super::live::{File, Finding, Findings, Pending, Settling, Standing, same};
use super::watch::{self, Watching};
use crate::failpoint;
use crate::host::protocol::Program;

#[derive(RustEmbed)]
#[folder = "stdlib/"]
struct Embedded;

#[derive(RustEmbed)]
#[folder = "scripts/"]
struct Starters;

/// The scripts that a new data folder begins with: path and text.
pub fn starters() -> Vec<(String, String)> {
    let files = Starters::iter().filter(|path| path.ends_with(".rhai")).filter_map(|path| Some((path.to_string(), Starters::get(&path)?)));
    files.map(|(path, file)| (path, String::from_utf8_lossy(&file.data).into_owned())).collect()
}

/// The sources of the language's own library: namespace and text.
pub(super) fn stdlib_sources() -> Vec<(String, String)> {
    embedded(|path| path.strip_suffix(".rhai").filter(|name| !name.contains('/')).map(str::to_owned))
}

fn embedded(select: impl Fn(&str) -> Option<String>) -> Vec<(String, String)> {
    let files = Embedded::iter().filter(|path| path.ends_with(".rhai")).filter_map(|path| Some((select(&path)?, Embedded::get(&path)?)));
    files.map(|(name, file)| (name, String::from_utf8_lossy(&file.data).into_owned())).collect()
}

/// Where scripts come from.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Folders of scripts; node types lie in each one's `nodes/`. The first one's scripts are named by their path in it, those of the
    /// others by the folder's name and their path.
    pub folders: Vec<PathBuf>,
    /// Whether the folders are watched.
    pub reload: bool,
}

/// Compiles the text of a file where that can do no harm.
pub trait Checker: Send + Sync {
    /// What is wrong with `program`, which the file at `path` would be; nothing where it compiles, or where that cannot be found out now.
    fn check(&self, path: String, program: Program) -> BoxFuture<'static, Option<LibraryError>>;
}

/// Keeps the texts that go live.
pub trait Keeper: Send + Sync {
    /// Keeps texts, by the paths of their files. What is handed over first is kept first, whoever awaits what; false where it is not kept.
    fn keep(&self, texts: Vec<(String, String)>) -> BoxFuture<'static, bool>;
}

/// The scripts and node types there are.
pub struct Library {
    pub(super) shared: Arc<Shared>,
    watching: Mutex<Option<Watching>>,
}

/// Who compiles texts, who keeps them, and on what.
#[derive(Clone)]
struct Helpers {
    checker: Arc<dyn Checker>,
    keeper: Arc<dyn Keeper>,
    runtime: Handle,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    current: RwLock<Arc<Catalog>>,
    events: broadcast::Sender<LibraryEvent>,
    /// One reload at a time.
    state: Mutex<State>,
    /// Counts the texts that were compiled.
    compiled: watched::Sender<u64>,
}

#[derive(Default)]
struct State {
    helpers: Option<Helpers>,
    builtin: Vec<(String, String)>,
    /// The files as they were last read.
    files: Vec<Arc<File>>,
    findings: Findings,
    number: u64,
}

impl Library {
    /// Reads the folders. A folder that is not there counts as empty.
    pub fn open(settings: Settings) -> Self {
        let (events, _) = broadcast::channel(1024);
        let shared = Shared { settings, current: RwLock::default(), events, state: Mutex::default(), compiled: watched::Sender::new(0) };
        let shared = Arc::new(shared);
        shared.reload();
        Self { shared, watching: Mutex::default() }
    }

    /// Compiles with `checker` what is there and what changes from now on, has `keeper` keep what is good, on `runtime`, and watches the
    /// folders where the settings say so.
    ///
    /// # Errors
    /// Where the system does not let folders be watched, as a sentence that says what to do about it.
    pub fn start(&self, checker: Arc<dyn Checker>, keeper: Arc<dyn Keeper>, runtime: Handle) -> Result<(), String> {
        self.stop();
        folder::tidy(&self.shared.settings.folders);
        self.shared.state().helpers = Some(Helpers { checker, keeper, runtime });
        if self.shared.settings.reload {
            *self.watching() = Some(watch::start(&self.shared)?);
        }
        self.shared.reload();
        Ok(())
    }

    /// Watches no more. What is live stays so. Blocks for a moment.
    pub fn stop(&self) {
        let watching = self.watching().take();
        drop(watching);
    }

    /// Resolves when watching has ended though nobody stopped it.
    pub async fn ended(&self) {
        let ended = self.watching().as_ref().map(Watching::ended);
        match ended {
            Some(ended) => ended.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// Resolves when nothing is being compiled that imports the file at `path`.
    pub async fn followed(&self, path: &str) {
        let name = module_name(path);
        let mut compiled = self.shared.compiled.subscribe();
        loop {
            compiled.borrow_and_update();
            let follows = |finding: &Finding| {
                finding.standing == Standing::Unknown && finding.modules.as_ref().is_some_and(|modules| modules.contains_key(name))
            };
            if !self.shared.state().findings.all.values().any(follows) {
                return;
            }
            // Its sender is ours.
            let _ = compiled.changed().await;
        }
    }

    /// Whether the folders are watched.
    pub fn is_watching(&self) -> bool {
        self.watching().is_some()
    }

    /// Everything there is now. It does not change under its holder.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog()
    }

    /// Reads the folders again, now. Blocks.
    pub fn reload(&self) {
        self.shared.reload();
    }

    /// What happens to the files from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<LibraryEvent> {
        self.shared.events.subscribe()
    }

    /// The folders it reads.
    pub fn folders(&self) -> &[PathBuf] {
        &self.shared.settings.folders
    }

    /// `source` was found to compile as the file at `path`, which `write` makes it: it goes live. Where writing fails, nothing is known of
    /// it.
    pub(super) fn accept<E>(&self, path: &str, source: &str, write: impl FnOnce() -> Result<(), E>) -> Result<(), E> {
        // Whoever decides in between would know no such file, and forget what is known of it.
        let mut state = self.shared.state();
        write()?;
        state.number += 1;
        let number = state.number;
        let good = Finding { source: source.to_owned(), modules: None, standing: Standing::Good, number, kept: true };
        state.findings.all.insert(path.to_owned(), good);
        self.shared.read(&mut state);
        Ok(())
    }

    fn watching(&self) -> MutexGuard<'_, Option<Watching>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the folders, and puts live what is good.
    pub(super) fn reload(self: &Arc<Self>) -> Read {
        self.read(&mut self.state())
    }

    fn read(self: &Arc<Self>, state: &mut State) -> Read {
        state.builtin = embedded(|path| path.strip_prefix("nodes/")?.strip_suffix(".rhai").map(str::to_owned));
        let before = std::mem::take(&mut state.files);
        let before: HashMap<_, _> = before.into_iter().map(|file| (file.candidate.path.clone(), file)).collect();
        // An empty text that was stored is no file that is being written.
        let stored = |path: &str| state.findings.all.get(path).is_some_and(|finding| finding.source.is_empty());
        let text = |path: &str| {
            if stored(path) { Some(String::new()) } else { before.get(path).map(|file| file.candidate.source.clone()) }
        };
        let (found, read) = folder::read_all(&self.settings.folders, text);
        let file = |candidate: Candidate| match before.get(&candidate.path) {
            Some(same) if same.candidate == candidate => Arc::clone(same),
            _ => Arc::new(File::new(candidate)),
        };
        state.files = found.into_iter().map(file).collect();
        self.settle(state);
        read
    }

    /// Decides which version of each file is live, and has compiled what has yet to be.
    fn settle(self: &Arc<Self>, state: &mut State) {
        let State { helpers, builtin, files, findings, .. } = state;
        let old = self.catalog();
        let (new, pending) = Settling::new(&old, builtin, helpers.as_ref().map(|_| &mut *findings)).settle(files);
        let new = self.swap(&old, new);
        if let Some(helpers) = state.helpers.clone() {
            pending.into_iter().for_each(|pending| self.find_out(state, &helpers, &new, pending));
            self.keep(state, &helpers);
        }
    }

    /// Puts the new catalog in the old one's place, if anything is different, and tells who listens. This is the one place where anything
    /// goes live.
    fn swap(&self, old: &Arc<Catalog>, mut new: Catalog) -> Arc<Catalog> {
        let events = new.differences(old);
        if events.is_empty() && old.generation > 0 {
            return Arc::clone(old);
        }
        new.generation = old.generation + 1;
        let new = Arc::new(new);
        failpoint::here("reload.swap.before");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&new);
        failpoint::here("reload.swap.after");
        for event in events {
            match &event {
                LibraryEvent::Failed(error) => tracing::warn!(%error, "a script is broken; its last good version stays"),
                LibraryEvent::Loaded(path) => tracing::debug!(path, "script loaded"),
                LibraryEvent::Removed(path) => tracing::debug!(path, "script removed"),
            }
            // Nobody listening is fine.
            let _ = self.events.send(event);
        }
        new
    }

    /// Has a text compiled, unless it is being compiled already; then decides again.
    fn find_out(self: &Arc<Self>, state: &mut State, helpers: &Helpers, catalog: &Catalog, pending: Pending) {
        let Pending { candidate, modules } = pending;
        let path = candidate.path.clone();
        let known = state.findings.all.get(&path).filter(|known| known.source == candidate.source);
        if known.is_some_and(|known| known.modules.as_ref().is_some_and(|theirs| same(theirs, &modules))) {
            return;
        }
        let kept = known.is_some_and(|known| known.kept);
        state.number += 1;
        let number = state.number;
        let program = catalog.program_with(&candidate, &modules);
        let finding = Finding { source: candidate.source, modules: Some(modules), standing: Standing::Unknown, number, kept };
        state.findings.all.insert(path.clone(), finding);
        let checked = program.map(|program| helpers.checker.check(path.clone(), program));
        let shared = Arc::clone(self);
        helpers.runtime.spawn(async move {
            let found = match checked {
                Ok(checked) => checked.await,
                Err(error) => Some(error),
            };
            // It may wait for a reload that reads files.
            let deciding = Arc::clone(&shared);
            drop(tokio::task::spawn_blocking(move || deciding.found(&path, number, found)).await);
            shared.compiled.send_modify(|texts| *texts += 1);
        });
    }

    /// Notes what came of compiling a text.
    fn found(self: &Arc<Self>, path: &str, number: u64, error: Option<LibraryError>) {
        let mut state = self.state();
        // The file may have changed again meanwhile: what was found out is then of no use.
        let Some(finding) = state.findings.all.get_mut(path).filter(|finding| finding.number == number) else { return };
        finding.standing = error.map_or(Standing::Good, Standing::Broken);
        self.settle(&mut state);
    }

    /// Has the good texts kept that are not yet.
    fn keep(self: &Arc<Self>, state: &mut State, helpers: &Helpers) {
        let fresh = state.findings.all.iter_mut().filter(|(_, finding)| !finding.kept && finding.standing == Standing::Good);
        let texts: Vec<_> = fresh
            .map(|(path, finding)| {
                finding.kept = true;
                (path.clone(), finding.source.clone())
            })
            .collect();
        if texts.is_empty() {
            return;
        }
        let kept = helpers.keeper.keep(texts.clone());
        let shared = Arc::clone(self);
        helpers.runtime.spawn(async move {
            if kept.await {
                return;
            }
            // Tried again with the next reload.
            for (path, source) in texts {
                if let Some(finding) = shared.state().findings.all.get_mut(&path).filter(|finding| finding.source == source) {
                    finding.kept = false;
                }
            }
        });
    }
}

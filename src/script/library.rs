//! The scripts and node types there are, kept up to date while the server runs.
//!
//! A reload builds everything aside and swaps it in; a file that is broken keeps its last good version and shows its error. A text that
//! has changed is compiled first, where that can do no harm ([`Checker`]), and goes live once it is known to compile. A run keeps what
//! it started with, because it holds the [`Catalog`] it was compiled from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use futures_util::future::BoxFuture;
use rust_embed::RustEmbed;
use tokio::runtime::Handle;
use tokio::sync::broadcast;

use super::catalog::{Candidate, Catalog, LibraryError, LibraryEvent, Standing};
use super::folder;
use super::watch::{self, Watching};
use crate::failpoint;

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
    /// What is wrong with it, beside `catalog`; nothing where it compiles, or where that cannot be found out now.
    fn check(&self, catalog: Arc<Catalog>, candidate: Candidate) -> BoxFuture<'static, Option<LibraryError>>;
}

/// The scripts and node types there are.
pub struct Library {
    shared: Arc<Shared>,
    watching: Mutex<Option<Watching>>,
}

pub(super) struct Shared {
    pub(super) settings: Settings,
    current: RwLock<Arc<Catalog>>,
    reloading: Mutex<()>,
    events: broadcast::Sender<LibraryEvent>,
    checking: Mutex<Option<(Arc<dyn Checker>, Handle)>>,
    /// What is known of each file: the text it was found out for, and what came of it (nothing yet, while it is being compiled).
    known: Mutex<BTreeMap<String, (String, Option<Standing>)>>,
}

impl Library {
    /// Reads the folders. A folder that is not there counts as empty.
    pub fn open(settings: Settings) -> Self {
        let (events, _) = broadcast::channel(1024);
        let shared = Shared {
            settings,
            current: RwLock::default(),
            reloading: Mutex::default(),
            events,
            checking: Mutex::default(),
            known: Mutex::default(),
        };
        let shared = Arc::new(shared);
        shared.reload();
        Self { shared, watching: Mutex::default() }
    }

    /// Compiles with `checker` what is there and what changes from now on, on `runtime`, and watches the folders where the settings say so.
    ///
    /// # Errors
    /// Where the system does not let folders be watched, as a sentence that says what to do about it.
    pub fn start(&self, checker: Arc<dyn Checker>, runtime: Handle) -> Result<(), String> {
        self.stop();
        *self.shared.checking.lock().unwrap_or_else(PoisonError::into_inner) = Some((checker, runtime));
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

    /// Whether the folders are watched.
    pub fn is_watching(&self) -> bool {
        self.watching().is_some()
    }

    /// Everything there is now. It does not change under its holder.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.shared.catalog()
    }

    /// Reads the folders again, now.
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

    /// `source` was found to compile as the file at `path`, which `write` makes it: it goes live with the next reload.
    pub(super) fn accept<T>(&self, path: &str, source: &str, write: impl FnOnce() -> T) -> T {
        // A reload in between would find no such file, and forget what is known of it.
        let _no_reload = self.shared.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        self.shared.known().insert(path.to_owned(), (source.to_owned(), Some(Standing::Good)));
        write()
    }

    fn watching(&self) -> MutexGuard<'_, Option<Watching>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<String, (String, Option<Standing>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reload(self: &Arc<Self>) {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let checking = self.checking.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let old = self.catalog();
        let mut new = Catalog::default();
        for (name, source) in embedded(|path| path.strip_prefix("nodes/")?.strip_suffix(".rhai").map(str::to_owned)) {
            new.add_builtin(&old, &name, source);
        }
        let mut pending = Vec::new();
        let mut seen = BTreeSet::new();
        for candidate in folder::read_all(&self.settings.folders) {
            let Candidate { path, node_type, source } = candidate.clone();
            seen.insert(path.clone());
            let standing = if checking.is_some() { self.standing(&path, &source) } else { Standing::Good };
            let unknown = match &node_type {
                Some(name) => new.add_node_type(&old, name, &path, source, false, standing),
                None => new.add_script(&old, path, source, standing),
            };
            if unknown {
                pending.push(candidate);
            }
        }
        self.known().retain(|path, _| seen.contains(path));
        if let Some((checker, runtime)) = checking {
            pending.into_iter().for_each(|candidate| self.find_out(&checker, &runtime, &old, candidate));
        }
        self.swap(&old, new);
    }

    /// Puts the new catalog in the old one's place, if anything is different, and tells who listens.
    fn swap(&self, old: &Catalog, mut new: Catalog) {
        let events = new.differences(old);
        if events.is_empty() && old.generation > 0 {
            return;
        }
        new.generation = old.generation + 1;
        failpoint::here("reload.swap.before");
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
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
    }

    fn standing(&self, path: &str, source: &str) -> Standing {
        match self.known().get(path) {
            Some((text, Some(standing))) if text == source => standing.clone(),
            _ => Standing::Unknown,
        }
    }

    /// Has a text compiled, unless it is being compiled already; then reads the folders again.
    fn find_out(self: &Arc<Self>, checker: &Arc<dyn Checker>, runtime: &Handle, catalog: &Arc<Catalog>, candidate: Candidate) {
        let Candidate { path, source, .. } = candidate.clone();
        let before = self.known().insert(path.clone(), (source.clone(), None));
        if before.is_some_and(|(text, standing)| text == source && standing.is_none()) {
            return;
        }
        let checked = checker.check(Arc::clone(catalog), candidate);
        let shared = Arc::clone(self);
        runtime.spawn(async move {
            let standing = checked.await.map_or(Standing::Good, Standing::Broken);
            // It reads files.
            let done = tokio::task::spawn_blocking(move || {
                let mut known = shared.known();
                // The file may have changed again meanwhile: what was found out is then of no use.
                match known.get_mut(&path) {
                    Some((text, found)) if *text == source && found.is_none() => *found = Some(standing),
                    _ => return,
                }
                drop(known);
                shared.reload();
            });
            drop(done.await);
        });
    }
}

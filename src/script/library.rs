//! The folders scripts and node types come from, watched while the server runs.
//!
//! A reload builds everything aside and swaps it in; a file that is broken keeps its last good version and shows its error. A run keeps
//! what it started with, because it holds the [`Catalog`] it was compiled from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use notify::{RecursiveMode, Watcher};
use rust_embed::RustEmbed;
use tokio::sync::broadcast;

use super::header::{self, ScriptHeader};
use crate::error::{Classify, Kind};
use crate::workflow::{NodeType, NodeTypes};

/// How long the folders must have been still before they are read: an editor writes a file in several steps.
const SETTLE: Duration = Duration::from_millis(50);
/// However busy the folders are, they are read at least this often.
const AT_LATEST: Duration = Duration::from_millis(250);
/// Files larger than this are no scripts.
const MAX_FILE: u64 = 1 << 20;

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

/// A script of a folder.
#[derive(Debug, Clone)]
pub struct ScriptFile {
    /// Its path in the library, such as `reports/daily.rhai`.
    pub path: String,
    /// Its text.
    pub source: String,
    /// What its header says.
    pub header: ScriptHeader,
}

/// What is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LibraryError {
    /// The file, as its path in the library.
    pub path: String,
    /// From 1.
    pub line: u32,
    /// From 1.
    pub column: u32,
    /// A sentence.
    pub message: String,
}

impl std::fmt::Display for LibraryError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}: {}", self.path, self.line, self.column, self.message)
    }
}

impl std::error::Error for LibraryError {}

impl Classify for LibraryError {
    fn kind(&self) -> Kind {
        Kind::ScriptError
    }

    fn details(&self) -> Option<serde_json::Value> {
        Some(serde_json::json!({ "file": self.path, "line": self.line, "column": self.column, "message": self.message }))
    }
}

/// What happened to a file of the folders.
#[derive(Debug, Clone)]
pub enum LibraryEvent {
    /// It is live.
    Loaded(String),
    /// It is broken; its last good version stays live.
    Failed(LibraryError),
    /// It is gone.
    Removed(String),
}

/// Everything the folders hold, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    generation: u64,
    node_types: BTreeMap<String, Arc<NodeType>>,
    scripts: BTreeMap<String, Arc<ScriptFile>>,
    errors: BTreeMap<String, LibraryError>,
}

impl Catalog {
    /// Counts the reloads that changed something.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The script at `path`, with or without its `.rhai`.
    pub fn script(&self, path: &str) -> Option<Arc<ScriptFile>> {
        self.scripts.get(path).or_else(|| self.scripts.get(&format!("{path}.rhai"))).cloned()
    }

    /// All scripts, by path.
    pub fn scripts(&self) -> impl Iterator<Item = &Arc<ScriptFile>> {
        self.scripts.values()
    }

    /// The files that are broken.
    pub fn errors(&self) -> impl Iterator<Item = &LibraryError> {
        self.errors.values()
    }

    /// What an `import` may name: every script, by its path without `.rhai`.
    pub fn modules(&self) -> Vec<(String, String)> {
        let module = |script: &Arc<ScriptFile>| (script.path.trim_end_matches(".rhai").to_owned(), script.source.clone());
        self.scripts.values().map(module).collect()
    }
}

impl NodeTypes for Catalog {
    fn get(&self, name: &str) -> Option<Arc<NodeType>> {
        self.node_types.get(name).cloned()
    }

    fn names(&self) -> Vec<String> {
        self.node_types.keys().cloned().collect()
    }
}

/// The scripts and node types there are, kept up to date.
pub struct Library {
    shared: Arc<Shared>,
    _watcher: Mutex<Option<notify::RecommendedWatcher>>,
}

struct Shared {
    settings: Settings,
    current: RwLock<Arc<Catalog>>,
    reloading: Mutex<()>,
    events: broadcast::Sender<LibraryEvent>,
}

impl Library {
    /// Reads the folders, and watches them where the settings say so. A folder that is not there counts as empty.
    pub fn open(settings: Settings) -> Self {
        let watch = settings.reload;
        let (events, _) = broadcast::channel(1024);
        let shared = Arc::new(Shared { settings, current: RwLock::default(), reloading: Mutex::default(), events });
        shared.reload();
        let watcher = watch.then(|| watch_folders(&shared)).flatten();
        Self { shared, _watcher: Mutex::new(watcher) }
    }

    /// Everything there is now. It does not change under its holder.
    pub fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.shared.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the folders again, now.
    pub fn reload(&self) {
        self.shared.reload();
    }

    /// What happens to the files from now on.
    pub fn subscribe(&self) -> broadcast::Receiver<LibraryEvent> {
        self.shared.events.subscribe()
    }
}

impl Shared {
    fn reload(&self) {
        let _one_at_a_time = self.reloading.lock().unwrap_or_else(PoisonError::into_inner);
        let old = Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner));
        let mut new = Catalog { generation: old.generation, ..Catalog::default() };
        for (name, source) in embedded(|path| path.strip_prefix("nodes/")?.strip_suffix(".rhai").map(str::to_owned)) {
            new.add_node_type(&old, &name, &format!("stdlib/nodes/{name}.rhai"), source, true);
        }
        for (position, folder) in self.settings.folders.iter().enumerate() {
            let prefix = match (position, folder.file_name()) {
                (1.., Some(name)) => format!("{}/", name.to_string_lossy()),
                _ => String::new(),
            };
            for (path, source) in read_folder(folder) {
                match path.strip_prefix("nodes/").and_then(|rest| rest.strip_suffix(".rhai")) {
                    Some(name) if !name.contains('/') => new.add_node_type(&old, name, &format!("{prefix}{path}"), source, false),
                    _ => new.add_script(&old, format!("{prefix}{path}"), source),
                }
            }
        }
        let events = new.differences(&old);
        if events.is_empty() && old.generation > 0 {
            return;
        }
        new.generation += 1;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
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
}

impl Catalog {
    fn add_node_type(&mut self, old: &Self, name: &str, file: &str, source: String, builtin: bool) {
        if let Some(same) = old.node_types.get(name).filter(|t| t.source == source && t.file == file) {
            self.node_types.insert(name.to_owned(), Arc::clone(same));
            return;
        }
        let made = header::parse(&source).map_err(|error| (error.line, error.message)).and_then(|header| {
            NodeType::from_header(name, file, &source, &header.doc, &header.table, builtin).map_err(|message| (1, message))
        });
        match made {
            Ok(node_type) => {
                self.node_types.insert(name.to_owned(), Arc::new(node_type));
            }
            Err((line, message)) => {
                self.errors.insert(file.to_owned(), LibraryError { path: file.to_owned(), line, column: 1, message });
                if let Some(last_good) = old.node_types.get(name).filter(|t| t.file == file) {
                    self.node_types.insert(name.to_owned(), Arc::clone(last_good));
                }
            }
        }
    }

    fn add_script(&mut self, old: &Self, path: String, source: String) {
        if let Some(same) = old.scripts.get(&path).filter(|script| script.source == source) {
            self.scripts.insert(path, Arc::clone(same));
            return;
        }
        match ScriptFile::read(&path, source) {
            Ok(script) => {
                self.scripts.insert(path, Arc::new(script));
            }
            Err(error) => {
                self.errors.insert(path.clone(), error);
                if let Some(last_good) = old.scripts.get(&path) {
                    self.scripts.insert(path, Arc::clone(last_good));
                }
            }
        }
    }

    fn differences(&self, old: &Self) -> Vec<LibraryEvent> {
        let mut events: Vec<_> =
            self.errors.values().filter(|error| old.errors.get(&error.path) != Some(error)).cloned().map(LibraryEvent::Failed).collect();
        let loaded = |path: &String| LibraryEvent::Loaded(path.clone());
        let fresh_script = |path: &String, script: &Arc<ScriptFile>| old.scripts.get(path).is_none_or(|o| !Arc::ptr_eq(o, script));
        let fresh_type = |node_type: &Arc<NodeType>| old.node_types.get(&node_type.node_type).is_none_or(|o| !Arc::ptr_eq(o, node_type));
        events.extend(self.scripts.iter().filter(|(path, script)| fresh_script(path, script)).map(|(path, _)| loaded(path)));
        events.extend(self.node_types.values().filter(|t| fresh_type(t)).map(|t| loaded(&t.file)));
        // A file that was broken and is whole again, with the text it had before.
        let mended = old.errors.keys().filter(|path| !self.errors.contains_key(*path) && self.holds(path));
        events.extend(mended.map(loaded));
        events.extend(old.scripts.keys().filter(|path| !self.scripts.contains_key(*path)).map(|path| LibraryEvent::Removed(path.clone())));
        let gone = old.node_types.values().filter(|t| !self.node_types.contains_key(&t.node_type));
        events.extend(gone.map(|t| LibraryEvent::Removed(t.file.clone())));
        events
    }

    fn holds(&self, path: &str) -> bool {
        self.scripts.contains_key(path) || self.node_types.values().any(|t| t.file == path)
    }
}

impl ScriptFile {
    /// Reads the header of a script's text.
    pub fn read(path: &str, source: String) -> Result<Self, LibraryError> {
        let failed = |line: u32, message: String| LibraryError { path: path.to_owned(), line, column: 1, message };
        let header = ScriptHeader::parse(&source).map_err(|error| failed(error.line, error.message))?;
        Ok(Self { path: path.to_owned(), source, header })
    }
}

/// Every `.rhai` file below `folder`, by its path in it. Links are not followed: a folder holds what is in it.
fn read_folder(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_path_buf()];
    while let Some(directory) = waiting.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else { continue };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() && waiting.len() < 1000 {
                waiting.push(path);
                continue;
            }
            let readable =
                kind.is_file() && path.extension().is_some_and(|e| e == "rhai") && entry.metadata().is_ok_and(|m| m.len() <= MAX_FILE);
            if let (true, Ok(name), Ok(source)) = (readable, path.strip_prefix(folder), std::fs::read_to_string(&path)) {
                found.push((name.to_string_lossy().replace('\\', "/"), source));
            }
        }
    }
    found.sort();
    found
}

/// Reads the folders again whenever they change and have come to rest.
fn watch_folders(shared: &Arc<Shared>) -> Option<notify::RecommendedWatcher> {
    let (changed, changes) = std::sync::mpsc::channel();
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading a script is an event too; it must not cause the next reading.
        if !event.as_ref().is_ok_and(|event| event.kind.is_access()) {
            let _ = changed.send(());
        }
    })
    .inspect_err(|error| tracing::warn!(%error, "script folders are not watched; restart to reload"))
    .ok()?;
    for folder in &shared.settings.folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::Recursive) {
            tracing::warn!(folder = %folder.display(), %error, "this folder is not watched; restart to reload it");
        }
    }
    let shared = Arc::downgrade(shared);
    let watching = std::thread::Builder::new().name("script-folders".to_owned()).spawn(move || {
        while changes.recv().is_ok() {
            let first = std::time::Instant::now();
            while first.elapsed() < AT_LATEST && changes.recv_timeout(SETTLE).is_ok() {}
            match shared.upgrade() {
                Some(shared) => shared.reload(),
                None => return,
            }
        }
    });
    watching.inspect_err(|error| tracing::warn!(%error, "script folders are not watched; restart to reload")).ok()?;
    Some(watcher)
}

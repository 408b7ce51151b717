//! Everything the script folders hold at one moment: scripts, node types, and what is wrong with the files that are broken.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::header::{self, ScriptHeader};
use crate::error::{Classify, Kind};
use crate::workflow::{NodeType, NodeTypes};

/// A script of a folder.
#[derive(Debug, Clone)]
pub struct ScriptFile {
    /// Its path in the library, such as `reports/daily.rhai`.
    pub path: String,
    /// Its text.
    pub source: String,
    /// What its header says.
    pub header: ScriptHeader,
    /// What it imports, as it was when it went live: it stays with it, whatever becomes of the files.
    pub(super) modules: Modules,
}

/// The scripts that a text imports, and those that they import, by the names that imports have for them.
pub(super) type Modules = BTreeMap<String, Arc<ScriptFile>>;

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

/// A file that has yet to be compiled before it goes live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its path in the library.
    pub path: String,
    /// The node type that it is, where it is one.
    pub node_type: Option<String>,
    /// Its text.
    pub source: String,
}

/// Everything the folders hold, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    pub(super) generation: u64,
    pub(super) node_types: BTreeMap<String, Arc<NodeType>>,
    /// What node types of the folders import.
    pub(super) node_modules: BTreeMap<String, Modules>,
    pub(super) scripts: BTreeMap<String, Arc<ScriptFile>>,
    pub(super) errors: BTreeMap<String, LibraryError>,
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

    /// What is wrong with the file at `path`, with or without its `.rhai`.
    pub fn error(&self, path: &str) -> Option<&LibraryError> {
        self.errors.get(path).or_else(|| self.errors.get(&format!("{path}.rhai")))
    }

    /// Whether there is a file at `path`, broken or not.
    pub fn holds(&self, path: &str) -> bool {
        self.is_live(path) || self.errors.contains_key(path)
    }

    /// The node types that come from the folders, not with TRAE.
    pub fn own_node_types(&self) -> impl Iterator<Item = &Arc<NodeType>> {
        self.node_types.values().filter(|node_type| !node_type.builtin)
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

impl Catalog {
    /// Adds what comes with TRAE.
    pub(super) fn add_builtin(&mut self, old: &Self, name: &str, source: &str) {
        let file = format!("stdlib/nodes/{name}.rhai");
        let before = old.node_types.get(name).filter(|before| before.file == file && before.source == source).cloned();
        match before.map_or_else(|| node_type(name, &file, source, true).map(Arc::new), Ok) {
            Ok(node_type) => drop(self.node_types.insert(name.to_owned(), node_type)),
            Err(error) => drop(self.errors.insert(file, error)),
        }
    }

    /// Adds a node type of the folders, with what it imports.
    pub(super) fn add_node_type(&mut self, node_type: Arc<NodeType>, modules: Modules) {
        let name = node_type.node_type.clone();
        self.node_modules.insert(name.clone(), modules);
        self.node_types.insert(name, node_type);
    }

    /// What happened between `old` and this.
    pub(super) fn differences(&self, old: &Self) -> Vec<LibraryEvent> {
        let failed = self.errors.values().filter(|error| old.errors.get(&error.path) != Some(error));
        let mut events: Vec<_> = failed.cloned().map(LibraryEvent::Failed).collect();
        let fresh_script = |path: &String, script: &Arc<ScriptFile>| old.scripts.get(path).is_none_or(|o| !Arc::ptr_eq(o, script));
        let fresh_type = |node_type: &Arc<NodeType>| old.node_types.get(&node_type.node_type).is_none_or(|o| !Arc::ptr_eq(o, node_type));
        let mut loaded: BTreeSet<&String> =
            self.scripts.iter().filter(|(path, script)| fresh_script(path, script)).map(|(path, _)| path).collect();
        loaded.extend(self.node_types.values().filter(|node_type| fresh_type(node_type)).map(|node_type| &node_type.file));
        // A file that was broken and is whole again, with the text it had before.
        loaded.extend(old.errors.keys().filter(|path| !self.errors.contains_key(*path) && self.is_live(path)));
        events.extend(loaded.into_iter().cloned().map(LibraryEvent::Loaded));
        let known: BTreeSet<&String> = self.files().collect();
        let gone: BTreeSet<&String> = old.files().filter(|path| !known.contains(path)).collect();
        events.extend(gone.into_iter().cloned().map(LibraryEvent::Removed));
        events
    }

    /// Every file that is known, broken or not; some twice.
    fn files(&self) -> impl Iterator<Item = &String> {
        self.scripts.keys().chain(self.node_types.values().map(|node_type| &node_type.file)).chain(self.errors.keys())
    }

    fn is_live(&self, path: &str) -> bool {
        self.scripts.contains_key(path) || self.node_types.values().any(|node_type| node_type.file == path)
    }
}

/// Reads the header of a node type's text.
pub(super) fn node_type(name: &str, file: &str, source: &str, builtin: bool) -> Result<NodeType, LibraryError> {
    let failed = |line: u32, message: String| LibraryError { path: file.to_owned(), line, column: 1, message };
    let header = header::parse(source).map_err(|error| failed(error.line, error.message))?;
    NodeType::from_header(name, file, source, &header.doc, &header.table, builtin).map_err(|message| failed(1, message))
}

impl ScriptFile {
    /// A file of which only the path is known.
    pub fn bare(path: &str) -> Self {
        Self { path: path.to_owned(), source: String::new(), header: ScriptHeader::default(), modules: Modules::new() }
    }

    /// Reads the header of a script's text.
    pub fn read(path: &str, source: String) -> Result<Self, LibraryError> {
        let failed = |line: u32, message: String| LibraryError { path: path.to_owned(), line, column: 1, message };
        let header = ScriptHeader::parse(&source).map_err(|error| failed(error.line, error.message))?;
        Ok(Self { path: path.to_owned(), source, header, modules: Modules::new() })
    }
}

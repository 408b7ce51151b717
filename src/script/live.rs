//! Which version of each file is live: its text as it is now where that is known to compile with what it imports, else its last good one
//! with what that one imports.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::catalog::{Candidate, Catalog, LibraryError, Modules, ScriptFile, node_type};
use super::imports::{self, Import, module_name};
use crate::workflow::NodeType;

/// So many files that import each other are decided about within one another.
const MAX_STACK: usize = 128;

/// A file as it was last read.
#[derive(Debug)]
pub(super) struct File {
    pub(super) candidate: Candidate,
    imports: Vec<Import>,
}

impl File {
    pub(super) fn new(candidate: Candidate) -> Self {
        Self { imports: imports::named(&candidate.source), candidate }
    }
}

/// What is known of a file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Standing {
    /// It compiles.
    Good,
    /// It does not.
    Broken(LibraryError),
    /// Nothing yet: what was live stays so meanwhile.
    Unknown,
}

/// What was found out about a file.
#[derive(Debug)]
pub(super) struct Finding {
    /// The text that it was found out for.
    pub(super) source: String,
    /// What it imported then; none where nobody has looked yet.
    pub(super) modules: Option<Modules>,
    /// What came of it; unknown while it is being compiled.
    pub(super) standing: Standing,
    /// Tells it from what is being found out of the same file for another text.
    pub(super) number: u64,
    /// Whether the text is kept for good.
    pub(super) kept: bool,
}

/// What is known of the files, by path.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) all: BTreeMap<String, Finding>,
    /// The files of which a version was found good; where one is live, it is that one.
    pub(super) proven: BTreeSet<String>,
}

/// A text that has yet to be compiled, with what it imports.
pub(super) struct Pending {
    pub(super) candidate: Candidate,
    pub(super) modules: Modules,
}

/// Decides about all files, one after another.
pub(super) struct Settling<'a> {
    files: HashMap<&'a str, &'a File>,
    old: &'a Catalog,
    /// None where nothing is compiled before it goes live.
    findings: Option<&'a mut Findings>,
    new: Catalog,
    pending: Vec<Pending>,
    settled: BTreeSet<String>,
    /// How deep the imports of scripts are nested.
    heights: HashMap<String, usize>,
    /// The files that are being decided about, each imported by the one before it.
    within: Vec<String>,
}

/// What a file's imports come to.
#[derive(Default)]
struct Imported {
    modules: Modules,
    /// What is wrong with one of them.
    trouble: Option<LibraryError>,
    /// One has no version that could be used.
    unusable: bool,
    /// One is being compiled for the first time.
    waiting: bool,
    /// How deep they are nested.
    height: usize,
}

impl<'a> Settling<'a> {
    /// Begins with what comes with TRAE.
    pub(super) fn new(old: &'a Catalog, builtin: &[(String, String)], findings: Option<&'a mut Findings>) -> Self {
        let mut new = Catalog::default();
        for (name, source) in builtin {
            new.add_builtin(old, name, source);
        }
        let (files, pending, settled, heights, within) = (HashMap::new(), Vec::new(), BTreeSet::new(), HashMap::new(), Vec::new());
        Self { files, old, findings, new, pending, settled, heights, within }
    }

    /// Decides about `files`: gives everything there is now, and what has yet to be compiled.
    pub(super) fn settle(mut self, files: &'a [Arc<File>]) -> (Catalog, Vec<Pending>) {
        self.files = files.iter().map(|file| (file.candidate.path.as_str(), file.as_ref())).collect();
        for file in files {
            self.file(&file.candidate.path);
        }
        if let Some(findings) = self.findings {
            findings.all.retain(|path, _| self.files.contains_key(path.as_str()));
            findings.proven.retain(|path| self.files.contains_key(path.as_str()));
        }
        (self.new, self.pending)
    }

    fn file(&mut self, path: &str) {
        let Some(file) = self.files.get(path).copied().filter(|_| self.settled.insert(path.to_owned())) else { return };
        self.within.push(module_name(path).to_owned());
        let imported = self.imported(file);
        self.within.pop();
        self.heights.insert(module_name(path).to_owned(), imported.height);
        let standing = self.standing(&file.candidate, &imported);
        if standing == Standing::Unknown && !imported.waiting {
            self.pending.push(Pending { candidate: file.candidate.clone(), modules: imported.modules.clone() });
        }
        match standing {
            Standing::Good => {
                let made = self.live(&file.candidate, imported.modules);
                let error = match made {
                    Ok(()) => imported.trouble,
                    Err(error) => {
                        self.keep_good(&file.candidate);
                        Some(error)
                    }
                };
                self.new.errors.extend(error.map(|error| (path.to_owned(), error)));
            }
            Standing::Broken(error) => {
                self.keep_good(&file.candidate);
                self.new.errors.insert(path.to_owned(), error);
            }
            Standing::Unknown => {
                // What is shown of it stays as it was, too.
                self.keep(&file.candidate);
                let error = self.old.errors.get(path).cloned().or(imported.trouble);
                self.new.errors.extend(error.map(|error| (path.to_owned(), error)));
            }
        }
    }

    /// Decides about what a file imports, before the file itself.
    fn imported(&mut self, file: &File) -> Imported {
        let mut imported = Imported::default();
        for import in &file.imports {
            let path = format!("{}.rhai", import.path);
            let failed =
                |message: String| LibraryError { path: file.candidate.path.clone(), line: import.line, column: import.column, message };
            let refused = if self.within.contains(&import.path) {
                Some(imports::circle(&self.within, &import.path))
            } else {
                // Each level takes some of the thread's stack; files that deep are refused for their own imports anyway.
                (self.within.len() > MAX_STACK).then(imports::too_deep)
            };
            if refused.is_none() {
                self.file(&path);
                imported.height = imported.height.max(1 + self.heights.get(&import.path).copied().unwrap_or_default());
            }
            let refused = refused.or_else(|| (imported.height > imports::MAX_DEPTH).then(imports::too_deep));
            if let Some(message) = refused {
                imported.trouble.get_or_insert_with(|| failed(message));
                imported.unusable = true;
                continue;
            }
            let error = self.new.errors.get(&path).map(|error| failed(format!("it imports {path}, which is broken: {error}")));
            match self.new.scripts.get(&path) {
                Some(live) => {
                    // What is imported by name itself is meant as it is now.
                    let theirs = live.modules.iter().filter(|(name, _)| !file.imports.iter().any(|import| import.path == **name));
                    imported.modules.extend(theirs.map(|(name, module)| (name.clone(), Arc::clone(module))));
                    imported.modules.insert(import.path.clone(), Arc::clone(live));
                }
                None if error.is_some() => imported.unusable = true,
                // Where it is not there at all, compiling says so.
                None => imported.waiting |= self.files.get(path.as_str()).is_some_and(|file| file.candidate.node_type.is_none()),
            }
            imported.trouble = imported.trouble.or(error);
        }
        imported
    }

    fn standing(&mut self, candidate: &Candidate, imported: &Imported) -> Standing {
        if let (true, Some(trouble)) = (imported.unusable, &imported.trouble) {
            return Standing::Broken(trouble.clone());
        }
        let Some(findings) = self.findings.as_mut().filter(|_| !imported.waiting) else {
            return if imported.waiting { Standing::Unknown } else { Standing::Good };
        };
        let Some(finding) = findings.all.get_mut(&candidate.path).filter(|finding| finding.source == candidate.source) else {
            return Standing::Unknown;
        };
        if !same(finding.modules.get_or_insert_with(|| imported.modules.clone()), &imported.modules) {
            return Standing::Unknown;
        }
        if finding.standing == Standing::Good {
            findings.proven.insert(candidate.path.clone());
        }
        finding.standing.clone()
    }

    /// The text as it is now goes live.
    fn live(&mut self, candidate: &Candidate, modules: Modules) -> Result<(), LibraryError> {
        let Candidate { path, node_type: name, source } = candidate;
        let Some(name) = name else {
            let old = self.old.scripts.get(path).filter(|old| old.source == *source && same(&old.modules, &modules));
            let script = match old {
                Some(old) => Arc::clone(old),
                None => Arc::new(ScriptFile { modules, ..ScriptFile::read(path, source.clone())? }),
            };
            self.new.scripts.insert(path.clone(), script);
            return Ok(());
        };
        let old = self.old_type(candidate).filter(|(old, theirs)| old.source == *source && same(theirs, &modules));
        let node_type = match old {
            Some((old, _)) => Arc::clone(old),
            None => Arc::new(node_type(name, path, source, false)?),
        };
        self.new.add_node_type(node_type, modules);
        Ok(())
    }

    /// What was live stays so, if it was ever found good or nobody looks.
    fn keep_good(&mut self, candidate: &Candidate) {
        if self.findings.as_ref().is_none_or(|findings| findings.proven.contains(&candidate.path)) {
            self.keep(candidate);
        }
    }

    /// What was live stays so.
    fn keep(&mut self, candidate: &Candidate) {
        if candidate.node_type.is_none() {
            let old = self.old.scripts.get(&candidate.path).map(|old| (candidate.path.clone(), Arc::clone(old)));
            self.new.scripts.extend(old);
        } else if let Some((node_type, modules)) = self.old_type(candidate).map(|(old, modules)| (Arc::clone(old), modules.clone())) {
            self.new.add_node_type(node_type, modules);
        }
    }

    fn old_type(&self, candidate: &Candidate) -> Option<(&'a Arc<NodeType>, &'a Modules)> {
        let name = candidate.node_type.as_ref()?;
        let old = self.old.node_types.get(name).filter(|old| old.file == candidate.path)?;
        Some((old, self.old.node_modules.get(name)?))
    }
}

/// Whether the same texts are meant.
pub(super) fn same(one: &Modules, other: &Modules) -> bool {
    let text = |(a, b): (&Arc<ScriptFile>, &Arc<ScriptFile>)| Arc::ptr_eq(a, b) || a.source == b.source;
    one.len() == other.len() && one.keys().eq(other.keys()) && one.values().zip(other.values()).all(text)
}

//! Programs out of scripts: a script's text and everything that it may use, as a runner wants it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::catalog::{Candidate, Catalog, LibraryError, Modules, ScriptFile};
use super::imports;
use crate::error::Kind;
use crate::host::protocol::{Limits, NodeSource, Program, ScriptError};
use crate::policy::Permissions;
use crate::workflow::{NodeType, NodeTypes, OnInterrupt};

impl Catalog {
    /// The program of a script.
    pub fn program(&self, script: &ScriptFile) -> Program {
        let header = &script.header;
        let usual = Limits::default();
        // A header lowers limits; only the settings could raise them.
        let limits = Limits {
            operations: header.limits.operations.unwrap_or(usual.operations).min(usual.operations),
            seconds: header.limits.seconds.unwrap_or(usual.seconds).min(usual.seconds),
            memory: header.limits.memory.unwrap_or(usual.memory).min(usual.memory),
            depth: header.limits.depth.unwrap_or(usual.depth).min(usual.depth),
            timeout: header.timeout,
            // What a graph compiles to may be longer than a person writes; the head tells which it is.
            source: usual.source,
        };
        let node_types = self.used_types(&script.source);
        Program {
            name: script.path.clone(),
            source: script.source.clone(),
            modules: self.modules(&script.modules, &script.source, &node_types),
            node_types,
            permissions: header.permissions.clone(),
            limits,
            resumable: header.resumable,
        }
    }

    /// The program of a file that is not live yet: of a node type, it is one that only holds that.
    ///
    /// # Errors
    /// Where its header cannot be read.
    pub fn program_of(&self, candidate: &Candidate) -> Result<Program, LibraryError> {
        self.program_with(candidate, &Modules::new())
    }

    /// The same for one that is to be compiled with these imports.
    pub(super) fn program_with(&self, candidate: &Candidate, modules: &Modules) -> Result<Program, LibraryError> {
        let Candidate { path, node_type, source } = candidate;
        let Some(name) = node_type else {
            return Ok(self.program(&ScriptFile { modules: modules.clone(), ..ScriptFile::read(path, source.clone())? }));
        };
        let node_type = super::catalog::node_type(name, path, source, false)?;
        Ok(Program {
            name: path.clone(),
            // Where they depend on a config, what matters here is which functions they open.
            permissions: serde_json::from_value(node_type.permissions.clone()).unwrap_or_else(|_| Permissions::all()),
            modules: self.modules(modules, source, &[]),
            node_types: vec![node_source(&node_type)],
            ..Program::default()
        })
    }

    /// What node types import.
    pub fn modules_of(&self, node_types: &[NodeSource]) -> Vec<(String, String)> {
        self.modules(&Modules::new(), "", node_types)
    }

    /// What a text may import: what it went live with, else what is live now; and what its node types import.
    fn modules(&self, own: &Modules, source: &str, node_types: &[NodeSource]) -> Vec<(String, String)> {
        let mut all = own.clone();
        let add = |all: &mut Modules, name: &str, script: &Arc<ScriptFile>| {
            all.entry(name.to_owned()).or_insert_with(|| Arc::clone(script));
        };
        for import in if own.is_empty() { imports::named(source) } else { Vec::new() } {
            if let Some(script) = self.scripts.get(&format!("{}.rhai", import.path)) {
                add(&mut all, &import.path, script);
                script.modules.iter().for_each(|(name, module)| add(&mut all, name, module));
            }
        }
        for (name, module) in node_types.iter().filter_map(|used| self.node_modules.get(&used.name)).flatten() {
            add(&mut all, name, module);
        }
        // Names that are put together while it runs are not known beforehand.
        if imports::computed(source) || all.values().any(|module| imports::computed(&module.source)) {
            for (path, script) in &self.scripts {
                add(&mut all, imports::module_name(path), script);
            }
        }
        all.into_iter().map(|(name, script)| (name, script.source.clone())).collect()
    }

    /// The node types that a script names: a graph that a person took over uses them by name, in quotes.
    fn used_types(&self, source: &str) -> Vec<NodeSource> {
        let quoted: BTreeSet<&str> = source.split('"').collect();
        let mut used: Vec<_> = quoted.into_iter().filter_map(|name| self.get(name)).map(|t| node_source(&t)).collect();
        for (function, name) in [("flow::each", "for_each"), ("flow::parallel", "parallel")] {
            if source.contains(function) && !used.iter().any(|t| t.name == name) {
                used.extend(self.get(name).map(|t| node_source(&t)));
            }
        }
        used
    }
}

/// A node type as a runner wants it.
pub fn node_source(node_type: &NodeType) -> NodeSource {
    NodeSource {
        name: node_type.node_type.clone(),
        file: node_type.file.clone(),
        source: node_type.source.clone(),
        schema: node_type.schema.clone(),
        again: node_type.on_interrupt == OnInterrupt::Retry,
    }
}

impl LibraryError {
    /// What a runner found wrong with the file at `path`. None where it found nothing out about the file itself.
    pub fn of_check(path: &str, errors: &[ScriptError]) -> Option<Self> {
        let error = errors.first()?;
        if matches!(error.code, Kind::ServiceUnavailable | Kind::Internal) && error.line.is_none() {
            return None;
        }
        Some(Self {
            path: path.to_owned(),
            line: error.line.unwrap_or(1),
            column: error.column.unwrap_or(1),
            message: error.message.clone(),
        })
    }
}

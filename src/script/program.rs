//! Programs out of scripts: a script's text and everything that it may use, as a runner wants it.

use std::collections::BTreeSet;

use super::catalog::{Candidate, Catalog, LibraryError, ScriptFile};
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
        Program {
            name: script.path.clone(),
            source: script.source.clone(),
            node_types: self.used_types(&script.source),
            modules: if script.source.contains("import") { self.modules() } else { Vec::new() },
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
        let Candidate { path, node_type, source } = candidate;
        let Some(name) = node_type else { return Ok(self.program(&ScriptFile::read(path, source.clone())?)) };
        let node_type = super::catalog::node_type(name, path, source, false)?;
        Ok(Program {
            name: path.clone(),
            // Where they depend on a config, what matters here is which functions they open.
            permissions: serde_json::from_value(node_type.permissions.clone()).unwrap_or_else(|_| Permissions::all()),
            node_types: vec![node_source(&node_type)],
            ..Program::default()
        })
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

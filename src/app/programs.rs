//! Makes programs out of graphs and scripts: what `runs` asks of the library, the compiler and the language together.

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::error::Failure;
use crate::host::protocol::{Limits, Program};
use crate::runs::{CompiledGraph, LoadedScript};
use crate::script::expression::RhaiExpressions;
use crate::script::header::declared_trigger;
use crate::script::{Catalog, Library, ScriptFile, node_source};
use crate::workflow::{self, Graph, NodeTypes, StoredConfigs};

/// Bytes of a compiled graph: it is written by the compiler, which writes nothing that is slow to read.
const MAX_COMPILED: usize = 64 << 20;

/// The programs there are.
pub struct Programs {
    library: Arc<Library>,
}

impl Programs {
    /// Programs of the scripts and node types in `library`.
    pub fn new(library: Arc<Library>) -> Self {
        Self { library }
    }
}

impl crate::runs::Library for Programs {
    fn generation(&self) -> u64 {
        self.library.catalog().generation()
    }

    fn graph(&self, graph: &Graph, configs: &StoredConfigs) -> CompiledGraph {
        let catalog = self.library.catalog();
        let compiled = workflow::compile_with(graph, catalog.as_ref(), &RhaiExpressions, configs);
        CompiledGraph::new(compiled, |compiled| {
            let node_types: Vec<_> = compiled.node_types.iter().filter_map(|name| catalog.get(name)).map(|t| node_source(&t)).collect();
            Program {
                name: graph.name.clone(),
                source: compiled.script.clone(),
                modules: catalog.modules_of(&node_types),
                node_types,
                permissions: compiled.permissions.clone(),
                limits: Limits { source: MAX_COMPILED, timeout: compiled.settings.timeout, ..Limits::default() },
                resumable: false,
            }
        })
    }

    fn check_config(&self, node_type: &str, config: &Map<String, Value>) -> Result<Vec<(String, String)>, String> {
        let catalog = self.library.catalog();
        match catalog.get(node_type) {
            Some(node_type) => Ok(workflow::check_config(&node_type, config, &RhaiExpressions)),
            None => Err(workflow::unknown_type(node_type, catalog.as_ref())),
        }
    }

    fn script(&self, path: &str) -> Option<Arc<LoadedScript>> {
        let catalog = self.library.catalog();
        let script = catalog.script(path)?;
        Some(Arc::new(load(&catalog, &script)))
    }

    fn exposed(&self, path: &str) -> Option<String> {
        self.library.exposed(path)
    }

    fn script_triggers(&self) -> Vec<(String, Vec<(String, Value)>)> {
        let catalog = self.library.catalog();
        let declared = catalog.scripts().filter(|script| !script.header.triggers.is_empty());
        declared.map(|script| (script.path.clone(), script.header.triggers.iter().filter_map(declared_trigger).collect())).collect()
    }

    fn source(&self, name: &str, source: &str) -> Result<LoadedScript, Failure> {
        let script = ScriptFile::read(name, source.to_owned())?;
        Ok(load(&self.library.catalog(), &script))
    }
}

fn load(catalog: &Catalog, script: &ScriptFile) -> LoadedScript {
    LoadedScript { program: catalog.program(script), parameters: parameters(&script.header.params) }
}

/// One schema for all parameters. Further ones are let through: a caller may know more than the script asks for.
fn parameters(fields: &std::collections::BTreeMap<String, Value>) -> Option<Value> {
    if fields.is_empty() {
        return None;
    }
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, field) in fields {
        let mut field = field.clone();
        if let Some(object) = field.as_object_mut()
            && object.remove("required") == Some(Value::Bool(true))
        {
            required.push(Value::String(name.clone()));
        }
        properties.insert(name.clone(), field);
    }
    Some(serde_json::json!({ "type": "object", "properties": properties, "required": required }))
}

//! Programs, made once and kept: a run costs no compilation while nothing changed.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::library::{CompiledGraph, Library};
use super::trust::Standing;
use super::{Error, Execute};
use crate::error::Failure;
use crate::host::protocol::{Json, Program};
use crate::store::runs::{ProgramRow, Write};
use crate::store::{self, Store};
use crate::workflow::{Graph, StoredConfigs, WorkflowSettings};

/// So many programs are kept; past that the cache begins anew.
const KEPT: usize = 512;

/// A program that is ready to run, and its row.
pub(super) struct Prepared {
    /// What holds for all runs of the workflow that it was made of; nothing does for a script.
    pub(super) settings: WorkflowSettings,
    pub(super) program: Arc<Program>,
    pub(super) row: Arc<ProgramRow>,
}

/// A graph as it compiled.
pub(super) struct PreparedGraph {
    pub(super) compiled: CompiledGraph,
    pub(super) prepared: Option<Arc<Prepared>>,
    /// How far it is trusted; what is not stored is its caller's own.
    pub(super) standing: Standing,
}

impl PreparedGraph {
    /// What to run.
    pub(super) fn ready(&self) -> Result<Arc<Prepared>, Error> {
        self.prepared.clone().ok_or_else(|| Error::Invalid(self.compiled.problems.clone()))
    }

    /// Whether `node` can be started from.
    pub(super) fn check_start(&self, node: Option<&str>) -> Result<(), Error> {
        self.check_node("/start_node", node)
    }

    /// Whether a run can end with `node`.
    pub(super) fn check_until(&self, node: Option<&str>) -> Result<(), Error> {
        self.check_node("/until", node)
    }

    fn check_node(&self, path: &str, node: Option<&str>) -> Result<(), Error> {
        match node {
            Some(node) if !self.compiled.nodes.iter().any(|(id, _)| id == node) => {
                Err(Error::Validation(vec![(path.to_owned(), format!("the workflow has no node {node:?}"))]))
            }
            _ => Ok(()),
        }
    }
}

/// The cache.
pub(super) struct Programs {
    pub(super) library: Arc<dyn Library>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    generation: u64,
    /// Grows with each change to a stored workflow or node config: what was read before it is not kept.
    epoch: u64,
    workflows: HashMap<String, Arc<PreparedGraph>>,
    scripts: HashMap<String, (Arc<Prepared>, Option<Arc<jsonschema::Validator>>)>,
    on_record: HashSet<Arc<str>>,
    /// Programs that were read from the record, so that all runs of one share it.
    recalled: HashMap<String, Weak<Prepared>>,
}

impl Programs {
    pub(super) fn new(library: Arc<dyn Library>) -> Self {
        Self { library, state: Mutex::default() }
    }

    /// The state, emptied of what the library has outgrown.
    fn state(&self) -> MutexGuard<'_, State> {
        let generation = self.library.generation();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.generation != generation {
            state.generation = generation;
            state.workflows.clear();
            state.scripts.clear();
        }
        state
    }

    /// The stored workflow of that id, if it was compiled since it changed; and what to give [`Programs::keep`].
    pub(super) fn workflow(&self, id: &str) -> (Option<Arc<PreparedGraph>>, (u64, u64)) {
        let state = self.state();
        (state.workflows.get(id).cloned(), (state.generation, state.epoch))
    }

    /// Keeps a workflow as compiled, unless something changed since `seen`.
    pub(super) fn keep(&self, id: &str, graph: &Arc<PreparedGraph>, seen: (u64, u64)) {
        let mut state = self.state();
        if (state.generation, state.epoch) == seen {
            if state.workflows.len() >= KEPT {
                state.workflows.clear();
            }
            state.workflows.insert(id.to_owned(), Arc::clone(graph));
        }
    }

    /// The stored workflow of that id changed, or is gone.
    pub(super) fn forget(&self, id: &str) {
        let mut state = self.state();
        state.epoch += 1;
        state.workflows.remove(id);
    }

    /// A stored node config changed, or is gone: any workflow may have been compiled with it.
    pub(super) fn forget_all(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.workflows.clear();
    }

    /// Compiles a graph, whose nodes may name one of `configs`.
    pub(super) fn compile(&self, graph: &Graph, configs: &StoredConfigs) -> PreparedGraph {
        let mut compiled = self.library.graph(graph, configs);
        let prepared = compiled
            .program
            .take()
            .map(|program| Arc::new(Prepared { settings: compiled.settings.clone(), ..prepare(program, &compiled.nodes) }));
        PreparedGraph { compiled, prepared, standing: Standing::default() }
    }

    /// The script at `path`, with its parameters checked against its header.
    pub(super) fn script(&self, path: &str, parameters: Json) -> Result<(Arc<Prepared>, Json), Error> {
        let known = self.state().scripts.get(path).cloned();
        let (prepared, schema) = match known {
            Some(known) => known,
            None => {
                let loaded = self.library.script(path).ok_or_else(|| Error::NotFound { kind: "script", id: path.to_owned() })?;
                let entry = (Arc::new(prepare(loaded.program.clone(), &[])), validator(loaded.parameters.as_ref()));
                let mut state = self.state();
                if state.scripts.len() >= KEPT {
                    state.scripts.clear();
                }
                state.scripts.insert(path.to_owned(), entry.clone());
                entry
            }
        };
        check(schema.as_deref(), &parameters)?;
        Ok((prepared, parameters))
    }

    /// The program that is on record as this hash, source and nodes.
    pub(super) fn recall(&self, (hash, source, nodes): &(String, String, String)) -> Result<Arc<Prepared>, Error> {
        let mut state = self.state();
        if let Some(known) = state.recalled.get(hash).and_then(Weak::upgrade) {
            return Ok(known);
        }
        let program: Program = serde_json::from_str(source)
            .map_err(|error| Error::Validation(vec![("/program".to_owned(), format!("the program on record cannot be read: {error}"))]))?;
        let row = ProgramRow { hash: hash.as_str().into(), source: source.clone(), nodes: nodes.clone() };
        let prepared = Arc::new(Prepared { settings: WorkflowSettings::default(), program: Arc::new(program), row: Arc::new(row) });
        state.recalled.retain(|_, known| known.strong_count() > 0);
        state.recalled.insert(hash.clone(), Arc::downgrade(&prepared));
        Ok(prepared)
    }

    /// A script that is in no folder.
    pub(super) fn source(&self, name: &str, source: &str, execute: &Execute) -> Result<Arc<Prepared>, Failure> {
        let mut loaded = self.library.source(name, source)?;
        check(validator(loaded.parameters.as_ref()).as_deref(), &execute.parameters)?;
        loaded.program.permissions.merge(&execute.lent);
        Ok(Arc::new(prepare(loaded.program, &[])))
    }

    /// These are about to be removed from the record, as nothing refers to them: whoever runs one puts it there anew.
    pub(super) fn off_record(&self, hashes: &HashSet<String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.on_record.retain(|hash| !hashes.contains(hash.as_ref()));
    }

    /// Sees to it that the program is on record before a run that refers to it.
    pub(super) fn put_on_record(&self, store: &Store, prepared: &Prepared) -> Result<(), store::Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.on_record.contains(&prepared.row.hash) {
            store.write(Write::Program(Arc::clone(&prepared.row)))?;
            if state.on_record.len() >= KEPT {
                state.on_record.clear();
            }
            state.on_record.insert(Arc::clone(&prepared.row.hash));
        }
        Ok(())
    }
}

fn prepare(program: Program, nodes: &[(String, String)]) -> Prepared {
    let source = serde_json::to_string(&program).unwrap_or_default();
    let nodes = if nodes.is_empty() { "[]".to_owned() } else { serde_json::to_string(nodes).unwrap_or_default() };
    let mut digest = Sha256::new();
    digest.update(&source);
    digest.update(&nodes);
    let hash: String = digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Prepared {
        settings: WorkflowSettings::default(),
        program: Arc::new(program),
        row: Arc::new(ProgramRow { hash: hash.into(), source, nodes }),
    }
}

fn validator(schema: Option<&Value>) -> Option<Arc<jsonschema::Validator>> {
    let schema = schema?;
    match jsonschema::validator_for(schema) {
        Ok(validator) => Some(Arc::new(validator)),
        Err(error) => {
            tracing::warn!(%error, "a script's header has a schema that cannot be used; its parameters are not checked");
            None
        }
    }
}

fn check(schema: Option<&jsonschema::Validator>, parameters: &Json) -> Result<(), Error> {
    let Some(schema) = schema else { return Ok(()) };
    let value: Value =
        serde_json::from_str(parameters.get()).map_err(|error| Error::Validation(vec![("/parameters".to_owned(), error.to_string())]))?;
    let errors: Vec<_> =
        schema.iter_errors(&value).map(|error| (format!("/parameters{}", error.instance_path()), error.to_string())).collect();
    if errors.is_empty() { Ok(()) } else { Err(Error::Validation(errors)) }
}

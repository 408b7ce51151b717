//! Every trigger there is, by its id; and which of the webhooks a call is for.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::policy::{Access, Grant};
use crate::runs::Observer;
use crate::workflow::{self, Listens, Segment, TriggerFault, WebhookStart};

/// What a trigger starts, and where it is drawn or declared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "workflow_id": "orders", "node_id": "hook" }))]
pub struct Source {
    /// The workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow_id: Option<String>,
    /// The node in it at which its run starts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node_id: Option<String>,
    /// Or the script, by its path.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
}

/// How a trigger came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Drawn in a workflow.
    Drawn,
    /// Declared in a script's header.
    Declared,
    /// Made over the API.
    Made,
}

/// A trigger.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) id: Arc<str>,
    pub(super) origin: Origin,
    pub(super) source: Source,
    /// `webhook`, …
    pub(super) kind: String,
    /// Its fields as they were given.
    pub(super) config: Value,
    /// None where its fields are wrong.
    pub(super) listens: Option<Listens>,
    pub(super) enabled: bool,
    /// Why it cannot start anything.
    pub(super) problem: Option<String>,
    /// What its runs get as parameters, where it was made with some.
    pub(super) parameters: Option<Value>,
    pub(super) status: Arc<Status>,
}

/// How a trigger does.
#[derive(Debug, Default)]
pub(super) struct Status {
    note: Mutex<Option<String>>,
    next_due: AtomicI64,
}

impl Status {
    /// What keeps it from firing at the moment.
    pub(super) fn note(&self) -> Option<String> {
        self.note.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what keeps it from firing; in the log, too, where that is news.
    pub(super) fn set_note(&self, id: &str, note: Option<String>) {
        let mut known = self.note.lock().unwrap_or_else(PoisonError::into_inner);
        if *known != note {
            if let Some(reason) = &note {
                tracing::warn!(trigger_id = id, reason, "a trigger cannot do its work; it is tried again");
            }
            *known = note;
        }
    }

    /// When it is due next; microseconds since 1970.
    pub(super) fn next_due(&self) -> Option<i64> {
        Some(self.next_due.load(Ordering::Relaxed)).filter(|due| *due != 0)
    }

    pub(super) fn set_next_due(&self, due: Option<i64>) {
        self.next_due.store(due.unwrap_or_default(), Ordering::Relaxed);
    }
}

impl Known {
    /// Whether it may start runs.
    pub(super) fn is_armed(&self) -> bool {
        self.enabled && self.problem.is_none() && self.listens.is_some()
    }

    pub(super) fn webhook(&self) -> Option<&WebhookStart> {
        match &self.listens {
            Some(Listens::Webhook(webhook)) => Some(webhook),
            _ => None,
        }
    }
}

/// A trigger as its origin tells of it.
pub(super) struct Told {
    pub(super) id: String,
    pub(super) source: Source,
    pub(super) kind: String,
    pub(super) config: Value,
    pub(super) parameters: Option<Value>,
    /// Why what it would start cannot run.
    pub(super) problem: Option<String>,
}

#[derive(Default)]
struct State {
    all: BTreeMap<Arc<str>, Arc<Known>>,
    /// Webhooks without parameters, by their path.
    exact: HashMap<String, Vec<Arc<Known>>>,
    /// The others.
    patterns: Vec<Arc<Known>>,
    disabled: HashSet<String>,
}

/// All triggers.
pub(super) struct Table {
    state: RwLock<State>,
    grant: Grant,
    /// Grows with each change.
    changes: watch::Sender<u64>,
    /// A workflow changed that a trigger made over the API starts.
    stale: AtomicBool,
}

/// A webhook that a call is for, and the parameters out of its path.
pub(super) type Called = (Arc<Known>, BTreeMap<String, String>);

impl Table {
    pub(super) fn new(grant: Grant) -> Self {
        Self { state: RwLock::default(), grant, changes: watch::Sender::new(0), stale: AtomicBool::new(false) }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells of each change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Known>> {
        self.read().all.get(id).cloned()
    }

    /// By id.
    pub(super) fn all(&self) -> Vec<Arc<Known>> {
        self.read().all.values().cloned().collect()
    }

    /// How many may fire, by type.
    pub(super) fn armed(&self) -> BTreeMap<String, usize> {
        let mut armed = BTreeMap::new();
        for known in self.read().all.values().filter(|known| known.is_armed()) {
            *armed.entry(known.kind.clone()).or_default() += 1;
        }
        armed
    }

    /// The triggers that are switched off.
    pub(super) fn set_disabled(&self, disabled: HashSet<String>) {
        self.write().disabled = disabled;
    }

    /// Switches a trigger on or off.
    pub(super) fn enable(&self, id: &str, enabled: bool) {
        let mut state = self.write();
        if enabled {
            state.disabled.remove(id);
        } else {
            state.disabled.insert(id.to_owned());
        }
        let Some(known) = state.all.get(id).cloned() else { return };
        let told = Told {
            id: id.to_owned(),
            source: known.source.clone(),
            kind: known.kind.clone(),
            config: known.config.clone(),
            parameters: known.parameters.clone(),
            problem: known.problem.clone(),
        };
        state.remove(&HashSet::from([Arc::clone(&known.id)]));
        let again = self.known(&state, known.origin, told, Some(&known.status));
        state.add(again);
        drop(state);
        self.changed();
    }

    /// These take the place of those of that origin whose ids begin so.
    pub(super) fn replace(&self, origin: Origin, prefix: &str, told: Vec<Told>) {
        let mut state = self.write();
        let old: HashMap<Arc<str>, Arc<Status>> = state
            .all
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(id, _)| id.starts_with(prefix))
            .filter(|(_, known)| known.origin == origin)
            .map(|(id, known)| (Arc::clone(id), Arc::clone(&known.status)))
            .collect();
        if old.is_empty() && told.is_empty() {
            return;
        }
        state.remove(&old.keys().cloned().collect());
        for told in told {
            let status = old.get(told.id.as_str());
            let known = self.known(&state, origin, told, status);
            state.add(known);
        }
        drop(state);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Whether those that were made over the API have to be read again.
    pub(super) fn take_stale(&self) -> bool {
        self.stale.swap(false, Ordering::SeqCst)
    }

    /// The workflow changed: what was made for it may be able to start it now, or not any more.
    fn touch(&self, workflow_id: &str) {
        let starts_it = |known: &Arc<Known>| known.origin == Origin::Made && known.source.workflow_id.as_deref() == Some(workflow_id);
        if self.read().all.values().any(starts_it) {
            self.stale.store(true, Ordering::SeqCst);
        }
    }

    fn known(&self, state: &State, origin: Origin, told: Told, status: Option<&Arc<Status>>) -> Arc<Known> {
        let read = Listens::read(&told.kind, &told.config);
        let problem = told.problem.or_else(|| match &read {
            Err(faults) => Some(sentence(faults)),
            Ok(listens) => self.denied(listens),
        });
        Arc::new(Known {
            enabled: !state.disabled.contains(&told.id),
            id: told.id.into(),
            origin,
            source: told.source,
            kind: told.kind,
            config: told.config,
            listens: read.ok(),
            problem,
            parameters: told.parameters,
            status: status.cloned().unwrap_or_default(),
        })
    }

    /// Why a folder or a screen may not be watched.
    fn denied(&self, listens: &Listens) -> Option<String> {
        match listens {
            Listens::Folder(folder) => super::inbox::allowed(&self.grant, folder).err().map(|denied| denied.to_string()),
            Listens::Screen(screen) => {
                let picture = screen.image.as_ref().and_then(|image| self.grant.path(image, Access::Read).err());
                picture.or(self.grant.screen().err()).map(|denied| denied.to_string())
            }
            Listens::Webhook(_) | Listens::Schedule(_) | Listens::Startup => None,
        }
    }

    /// The webhooks that a call is for, those that are not armed as well if `all`. A text in a path comes before a parameter.
    pub(super) fn called(&self, path: &str, all: bool) -> Vec<Called> {
        let path = path.trim_matches('/');
        let state = self.read();
        let fits = |known: &&Arc<Known>| all || known.is_armed();
        let exact: Vec<_> =
            state.exact.get(path).into_iter().flatten().filter(fits).map(|known| (Arc::clone(known), BTreeMap::new())).collect();
        if !exact.is_empty() || state.patterns.is_empty() {
            return exact;
        }
        let parts: Vec<&str> = path.split('/').collect();
        let mut best: Vec<bool> = Vec::new();
        let mut called: Vec<Called> = Vec::new();
        for known in state.patterns.iter().filter(fits) {
            let Some((texts, parameters)) = known.webhook().and_then(|webhook| matched(&webhook.path, &parts)) else { continue };
            if texts > best {
                called.clear();
                best.clone_from(&texts);
            }
            if texts == best {
                called.push((Arc::clone(known), parameters));
            }
        }
        called
    }
}

impl State {
    fn remove(&mut self, ids: &HashSet<Arc<str>>) {
        if ids.is_empty() {
            return;
        }
        for id in ids {
            self.all.remove(id);
        }
        let stays = |known: &Arc<Known>| !ids.contains(&known.id);
        self.patterns.retain(stays);
        self.exact.retain(|_, hooks| {
            hooks.retain(stays);
            !hooks.is_empty()
        });
    }

    fn add(&mut self, known: Arc<Known>) {
        if let Some(webhook) = known.webhook() {
            let hooks = match exact(&webhook.path) {
                Some(path) => self.exact.entry(path).or_default(),
                None => &mut self.patterns,
            };
            hooks.push(Arc::clone(&known));
            hooks.sort_by(|a, b| a.id.cmp(&b.id));
        }
        self.all.insert(Arc::clone(&known.id), known);
    }
}

impl Observer for Table {
    fn changed(&self, id: &str, triggers: &[workflow::Trigger], problem: Option<&str>) {
        let told = triggers.iter().filter_map(|trigger| {
            let kind = Listens::kind_of_node(&trigger.node_type)?;
            let source = Source { workflow_id: Some(id.to_owned()), node_id: Some(trigger.node_id.clone()), script: None };
            Some(Told {
                id: format!("{id}:{}", trigger.node_id),
                source,
                kind: kind.to_owned(),
                config: trigger.config.clone(),
                parameters: None,
                problem: problem.map(str::to_owned),
            })
        });
        let told = told.collect();
        self.touch(id);
        self.replace(Origin::Drawn, &format!("{id}:"), told);
    }

    fn deleted(&self, id: &str) {
        self.replace(Origin::Drawn, &format!("{id}:"), Vec::new());
        // Another one of that name begins anew.
        self.write().disabled.retain(|trigger| trigger.strip_prefix(id).is_none_or(|rest| !rest.starts_with(':')));
        self.touch(id);
    }
}

/// What is wrong with a trigger's fields, as one sentence.
pub(super) fn sentence(faults: &[TriggerFault]) -> String {
    let faults = faults.iter().map(|(path, message)| match path.trim_start_matches('/') {
        "" => message.clone(),
        field => format!("{field}: {message}"),
    });
    faults.collect::<Vec<_>>().join("; ")
}

/// The path, where it has no parameters.
fn exact(path: &[Segment]) -> Option<String> {
    let texts: Option<Vec<&str>> = path
        .iter()
        .map(|segment| match segment {
            Segment::Text(text) => Some(text.as_str()),
            Segment::Parameter(_) => None,
        })
        .collect();
    Some(texts?.join("/"))
}

/// Which parts of a path are texts, and the parameters; none where it does not fit.
fn matched(path: &[Segment], parts: &[&str]) -> Option<(Vec<bool>, BTreeMap<String, String>)> {
    if path.len() != parts.len() {
        return None;
    }
    let mut texts = Vec::with_capacity(path.len());
    let mut parameters = BTreeMap::new();
    for (segment, part) in path.iter().zip(parts) {
        match segment {
            Segment::Text(text) if text == part => texts.push(true),
            Segment::Parameter(name) if !part.is_empty() => {
                texts.push(false);
                parameters.insert(name.clone(), (*part).to_owned());
            }
            _ => return None,
        }
    }
    Some((texts, parameters))
}

//! Everything that can be wrong with a graph, found at once, each with its node and its place.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use super::plan::{Link, Obstacle, Plan, Shape, closing_links, plan, reachable};
use super::schema::{faults, listed, nearest, shortened, validator};
use super::trigger::faults_of_node;
use super::{
    Expressions, Graph, Node, NodeKind, NodeType, NodeTypes, Problem, Severity, StoredConfig, StoredConfigs, Trigger, WorkflowSettings,
    config, permissions,
};
use crate::policy::Permissions;

/// The longest expression, in bytes.
pub(super) const MAX_EXPRESSION: usize = 4 << 10;
/// The most nodes.
const MAX_NODES: usize = 10_000;
/// The most edges.
const MAX_EDGES: usize = 50_000;
/// How deep a node's data may be nested.
const MAX_DEPTH: usize = 64;
/// The longest id, in bytes.
const MAX_ID: usize = 1024;
/// The trigger at which a run starts that nothing else set off.
const MANUAL: &str = "manual_trigger";

/// A node as the checks see it.
pub(super) struct CheckedNode {
    pub(super) node_type: Arc<NodeType>,
    pub(super) config: Map<String, Value>,
    /// Whether there is an expression in its config.
    pub(super) has_expressions: bool,
    /// The secrets that these name.
    secrets: Vec<String>,
    /// The names of its outputs.
    pub(super) handles: Vec<String>,
    /// Its settings, without what the script does not need.
    pub(super) settings: Map<String, Value>,
}

impl CheckedNode {
    /// Of branches that run side by side: how many.
    fn branches(&self) -> usize {
        let usual = self.node_type.outputs.first().map(|port| port.id.as_str());
        self.handles.iter().position(|handle| Some(handle.as_str()) == usual).unwrap_or(self.handles.len())
    }
}

/// A graph that was looked through.
pub(super) struct Checked<'g> {
    pub(super) graph: &'g Graph,
    /// None where the type is not known.
    pub(super) nodes: Vec<Option<CheckedNode>>,
    pub(super) problems: Vec<Problem>,
    /// None where something stands in the way.
    pub(super) plan: Option<Plan>,
    /// The nodes at which a run starts where nobody says at which.
    pub(super) default_starts: Vec<usize>,
}

impl Checked<'_> {
    /// What the graph needs.
    pub(super) fn permissions(&self) -> Permissions {
        let mut needed = Permissions::default();
        for node in self.nodes.iter().flatten() {
            if node.settings.get("disabled") != Some(&Value::Bool(true)) {
                needed.merge(&permissions::of_node(&node.node_type, &node.config));
                needed.merge(&Permissions { secrets: node.secrets.clone(), ..Permissions::default() });
                needed.merge(&permissions::of_expectation(node.settings.get("expect")));
            }
        }
        needed
    }

    /// The names of the types it uses, sorted.
    pub(super) fn type_names(&self) -> Vec<String> {
        self.nodes.iter().flatten().map(|node| node.node_type.node_type.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Its triggers.
    pub(super) fn triggers(&self) -> Vec<Trigger> {
        let nodes = self.graph.nodes.iter().zip(&self.nodes);
        let triggers =
            nodes.filter_map(|(node, checked)| checked.as_ref().filter(|it| it.node_type.kind == NodeKind::Trigger).map(|it| (node, it)));
        triggers
            .map(|(node, it)| Trigger {
                node_id: node.id.clone(),
                node_type: node.node_type.clone(),
                config: Value::Object(it.config.clone()),
            })
            .collect()
    }
}

/// Looks through `graph`.
pub(super) fn check<'g>(graph: &'g Graph, types: &dyn NodeTypes, expressions: &dyn Expressions, configs: &StoredConfigs) -> Checked<'g> {
    let mut checker = Checker { graph, types, expressions, configs, problems: Vec::new(), validators: HashMap::new(), settings: None };
    for (count, limit, what) in [(graph.nodes.len(), MAX_NODES, "nodes"), (graph.edges.len(), MAX_EDGES, "edges")] {
        if count > limit {
            checker.add(
                None,
                format!("/{what}"),
                format!("the graph has {count} {what}; at most {limit} are possible: split it into several workflows"),
            );
            return Checked { graph, nodes: Vec::new(), problems: checker.problems, plan: None, default_starts: Vec::new() };
        }
    }
    for (path, message) in WorkflowSettings::read(graph.drawn_settings.as_ref()).1 {
        checker.add(None, format!("/settings{path}"), message);
    }
    let nodes: Vec<Option<CheckedNode>> = (0..graph.nodes.len()).map(|index| checker.node(index)).collect();
    let ids = checker.ids();
    let (links, broken) = checker.links(&nodes, &ids);
    let mut shapes: Vec<Shape> = nodes.iter().map(|node| shape(node.as_ref())).collect();
    let (closing, cycles) =
        closing_links(&shapes, &links).map_or_else(|cycles| (vec![false; links.len()], cycles), |closing| (closing, Vec::new()));
    let default_starts = checker.starts(&nodes, &links, &closing, &mut shapes);
    let is_circular = !cycles.is_empty();
    for cycle in cycles {
        checker.obstacle(cycle);
    }
    let plan = if is_circular { None } else { checker.plan(&nodes, &links, &closing, &shapes, !broken) };
    Checked { graph, nodes, problems: checker.problems, plan, default_starts }
}

struct Checker<'a> {
    graph: &'a Graph,
    types: &'a dyn NodeTypes,
    expressions: &'a dyn Expressions,
    configs: &'a StoredConfigs,
    problems: Vec<Problem>,
    validators: HashMap<String, Result<Validator, String>>,
    /// Made when the first node has settings.
    settings: Option<(Value, Result<Validator, String>)>,
}

impl<'a> Checker<'a> {
    fn add(&mut self, node: Option<usize>, path: String, message: String) {
        let node_id = node.and_then(|index| self.graph.nodes.get(index)).map(|node| node.id.clone());
        self.problems.push(Problem { node_id, path, message, severity: Severity::Error });
    }

    fn warn(&mut self, node: usize, path: String, message: String) {
        self.add(Some(node), path, message);
        if let Some(problem) = self.problems.last_mut() {
            problem.severity = Severity::Warning;
        }
    }

    fn name(&self, node: usize) -> String {
        format!("`{}`", shortened(&self.graph.nodes[node].id))
    }

    /// What is wrong with one node by itself.
    fn node(&mut self, index: usize) -> Option<CheckedNode> {
        let node = &self.graph.nodes[index];
        self.id(Some(index), format!("/nodes/{index}/id"), &node.id);
        let too_deep = |map: &Map<String, Value>| map.values().any(|value| is_deeper(value, MAX_DEPTH - 1));
        if too_deep(&node.data) {
            self.add(Some(index), format!("/nodes/{index}/data"), format!("the data is nested deeper than {MAX_DEPTH} levels"));
            return None;
        }
        let Some(node_type) = self.types.get(&node.node_type) else {
            let message = unknown_type(&node.node_type, self.types);
            self.add(Some(index), format!("/nodes/{index}/type"), message);
            return None;
        };
        if node.data.get("config").is_some_and(|config| !config.is_object() && !config.is_null()) {
            self.add(Some(index), format!("/nodes/{index}/data/config"), "the config should be an object".to_owned());
        }
        let (config, has_expressions) = self.whole_config(index, node, &node_type);
        let settings = self.settings(index, node);
        let mut handles: Vec<String> = node_type.outputs.iter().map(|port| port.id.clone()).collect();
        for pointer in &node_type.outputs_from {
            let mut steps = pointer.split('/').skip(1);
            let first = steps.next().unwrap_or_default();
            let usual = node_type.schema["properties"][first].get("default");
            let known = handles.len();
            if let Some(value) = config.get(first).or(usual) {
                named_outputs(value, steps, &mut handles);
            }
            // Edges name outputs before anything runs.
            if let Some(handle) = handles[known..].iter().find(|handle| handle.contains("{{")) {
                let message = format!("the output `{}` is named by an expression: edges need its name as it is", shortened(handle));
                self.add(Some(index), format!("/nodes/{index}{}/{first}", node.config_path()), message);
            }
        }
        if node_type.kind == NodeKind::Parallel {
            // What leads into it stands first, as with a loop.
            handles.rotate_left(node_type.outputs.len());
        }
        if settings.get("on_error").and_then(Value::as_str) == Some("route") {
            handles.push("error".to_owned());
        }
        let mut seen = BTreeSet::new();
        handles.retain(|handle| seen.insert(handle.clone()));
        let secrets = if has_expressions { config::secrets(&config, &node_type.schema, self.expressions) } else { Vec::new() };
        Some(CheckedNode { node_type, config, has_expressions, secrets, handles, settings })
    }

    fn id(&mut self, node: Option<usize>, path: String, id: &str) {
        if id.is_empty() {
            self.add(node, path, "the id is empty".to_owned());
        } else if id.len() > MAX_ID {
            self.add(node, path, format!("the id is longer than {MAX_ID} bytes"));
        }
    }

    /// The node's own config over the stored one that it names, checked; and whether there are expressions in it.
    fn whole_config(&mut self, index: usize, node: &Node, node_type: &NodeType) -> (Map<String, Value>, bool) {
        let own = node.config();
        let stored = match self.stored(index, node, node_type) {
            // What it lacks may be what could not be found.
            Err(()) => return (own, false),
            Ok(stored) => stored,
        };
        let Some((id, stored)) = stored else {
            let has_expressions = self.config(index, node, node_type, &own, |_| None);
            return (own, has_expressions);
        };
        let mut config = stored.config.clone();
        config.extend(own.clone());
        // A field that only the stored config has is wrong there, not in this node.
        let has_expressions = self.config(index, node, node_type, &config, |path| {
            let field = path.split('/').nth(1)?.replace("~1", "/").replace("~0", "~");
            (!own.contains_key(&field) && stored.config.contains_key(&field)).then(|| format!("in the stored node config `{id}`, {path}: "))
        });
        (config, has_expressions)
    }

    /// The stored config that a node names, if it names one.
    fn stored(&mut self, index: usize, node: &Node, node_type: &NodeType) -> Result<Option<(String, &'a StoredConfig)>, ()> {
        let Some(named) = node.config_id() else { return Ok(None) };
        let configs = self.configs;
        let message = match named.as_str().map(|id| (shortened(id), configs.get(id))) {
            None => "the id of a stored node config is a text".to_owned(),
            Some((id, None)) => {
                format!("there is no stored node config `{id}`: `GET /api/node-configs/` lists the ones there are; or leave the field out")
            }
            Some((id, Some(stored))) if stored.node_type != node_type.node_type => {
                format!("the stored node config `{id}` is for nodes of the type `{}`", shortened(&stored.node_type))
            }
            Some((id, Some(stored))) => return Ok(Some((id, stored))),
        };
        self.add(Some(index), format!("/nodes/{index}/data/config_id"), message);
        Err(())
    }

    /// The config against its schema, and its expressions. Gives whether there are any. `elsewhere` says of a path that it is in the
    /// stored config, as the beginning of a sentence.
    fn config(
        &mut self,
        index: usize,
        node: &Node,
        node_type: &NodeType,
        config: &Map<String, Value>,
        elsewhere: impl Fn(&str) -> Option<String>,
    ) -> bool {
        let base = format!("/nodes/{index}{}", node.config_path());
        let validator = self.validators.entry(node_type.node_type.clone()).or_insert_with(|| validator(&node_type.schema));
        let (found, has_expressions) = config_faults(validator, node_type, config, self.expressions);
        for (path, message) in found {
            match elsewhere(&path) {
                None => self.add(Some(index), format!("{base}{path}"), message),
                Some(place) => self.add(Some(index), format!("/nodes/{index}/data/config_id"), format!("{place}{message}")),
            }
        }
        has_expressions
    }

    /// What the script needs of a node's settings.
    fn settings(&mut self, index: usize, node: &Node) -> Map<String, Value> {
        let Some(settings) = node.settings() else { return Map::new() };
        let base = format!("/nodes/{index}/data/settings");
        let Value::Object(settings) = settings else {
            self.add(Some(index), base, "the settings should be an object".to_owned());
            return Map::new();
        };
        let (schema, validator) = self.settings.get_or_insert_with(|| {
            let schema = settings_schema();
            let validator = validator(&schema);
            (schema, validator)
        });
        if let Ok(validator) = validator {
            let mut found: Vec<_> = faults(validator, schema, settings).into_iter().map(|fault| (fault.path, fault.message)).collect();
            if found.is_empty() && !validator.is_valid(&Value::Object(settings.clone())) {
                found.push((String::new(), "settings are known before the run: there cannot be an {{ expression }} in them".to_owned()));
            }
            for (path, message) in found {
                self.add(Some(index), format!("{base}{path}"), message);
            }
        }
        let expected = settings.get("expect").filter(|expected| expected.is_object());
        if let Some((field, message)) = expected.and_then(super::fault_of_expectation) {
            let path = if field.is_empty() { format!("{base}/expect") } else { format!("{base}/expect/{field}") };
            self.add(Some(index), path, message);
        }
        if let Some(field) = expected.and_then(super::expectation::expression) {
            let message = "what is expected is known before the run: there cannot be an {{ expression }} in it".to_owned();
            self.add(Some(index), format!("{base}/expect/{field}"), message);
        }
        let compiled = ["retry", "timeout", "on_error", "disabled", "pinned", "on_interrupt", "expect"];
        settings
            .iter()
            .filter(|(name, value)| compiled.contains(&name.as_str()) && !value.is_null())
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect()
    }

    /// The number of each id, and the ids that are there twice.
    fn ids(&mut self) -> HashMap<String, usize> {
        let graph = self.graph;
        let mut ids: HashMap<String, usize> = HashMap::with_capacity(graph.nodes.len());
        for (index, node) in graph.nodes.iter().enumerate() {
            if let Some(first) = ids.get(&node.id) {
                let message = format!("the id {} is taken by /nodes/{first} already", self.name(index));
                self.add(Some(index), format!("/nodes/{index}/id"), message);
            } else {
                ids.insert(node.id.clone(), index);
            }
        }
        let mut edges: HashMap<&str, usize> = HashMap::with_capacity(graph.edges.len());
        for (index, edge) in graph.edges.iter().enumerate() {
            self.id(None, format!("/edges/{index}/id"), &edge.id);
            if let Some(first) = edges.insert(&edge.id, index) {
                let message = format!("the id `{}` is taken by /edges/{first} already", shortened(&edge.id));
                self.add(None, format!("/edges/{index}/id"), message);
            }
        }
        ids
    }

    /// The edges that connect something, and whether any does not.
    fn links(&mut self, nodes: &[Option<CheckedNode>], ids: &HashMap<String, usize>) -> (Vec<Link>, bool) {
        let mut links = Vec::with_capacity(self.graph.edges.len());
        let mut broken = nodes.iter().any(Option::is_none);
        let outputs: Vec<HashMap<&str, usize>> = nodes
            .iter()
            .map(|node| node.iter().flat_map(|node| node.handles.iter().enumerate()).map(|(at, name)| (name.as_str(), at)).collect())
            .collect();
        for (index, edge) in self.graph.edges.iter().enumerate() {
            let ends = [("source", &edge.source), ("target", &edge.target)].map(|(end, id)| {
                let node = ids.get(id).copied();
                if node.is_none() {
                    self.add(
                        None,
                        format!("/edges/{index}/{end}"),
                        format!("the edge's {end} `{}` is no node of this graph", shortened(id)),
                    );
                    broken = true;
                }
                node
            });
            let [Some(from), Some(to)] = ends else { continue };
            if from == to {
                let message = format!("the edge leads from {} back to itself: a node cannot run before it has run", self.name(from));
                self.add(Some(from), format!("/edges/{index}"), message);
                continue;
            }
            let (Some(source), Some(target)) = (&nodes[from], &nodes[to]) else { continue };
            if target.node_type.kind == NodeKind::Trigger {
                let message = format!("the edge leads into the trigger {}: runs start there, nothing can come before", self.name(to));
                self.add(Some(to), format!("/edges/{index}/target"), message);
                continue;
            }
            let wanted = edge.target_handle.as_deref().filter(|handle| !handle.is_empty() && *handle != "input");
            if let Some(handle) = wanted.filter(|handle| target.node_type.inputs.iter().all(|port| port.id != *handle)) {
                let there = listed(target.node_type.inputs.iter().map(|port| port.id.as_str()));
                let message = format!("{} has no input `{}`; there is {there}", self.name(to), shortened(handle));
                self.add(Some(to), format!("/edges/{index}/target_handle"), message);
            }
            let handle = match edge.source_handle.as_deref().filter(|handle| !handle.is_empty()) {
                Some(name) => outputs[from].get(name).copied(),
                None if is_branching(source) => None,
                None => Some(0),
            };
            let Some(handle) = handle.filter(|_| !source.handles.is_empty()) else {
                let there = listed(source.handles.iter().map(String::as_str));
                let message = match edge.source_handle.as_deref().filter(|handle| !handle.is_empty()) {
                    Some(name) => format!("{} has no output `{}`; there is {there}", self.name(from), shortened(name)),
                    None => format!("the edge must say by which output it leaves {}: source_handle is one of {there}", self.name(from)),
                };
                self.add(Some(from), format!("/edges/{index}/source_handle"), message);
                broken = true;
                continue;
            };
            links.push(Link { from, handle, to });
        }
        (links, broken)
    }

    /// Where a run may start, and where it starts when nobody says.
    fn starts(&mut self, nodes: &[Option<CheckedNode>], links: &[Link], closing: &[bool], shapes: &mut [Shape]) -> Vec<usize> {
        let mut has_incoming = vec![false; nodes.len()];
        for (link, closes) in links.iter().zip(closing) {
            has_incoming[link.to] |= !closes;
        }
        let is_trigger = |index: &usize| nodes[*index].as_ref().is_some_and(|node| node.node_type.kind == NodeKind::Trigger);
        let manual: Vec<usize> =
            (0..nodes.len()).filter(|index| nodes[*index].as_ref().is_some_and(|node| node.node_type.node_type == MANUAL)).collect();
        let roots = || (0..nodes.len()).filter(|index| !has_incoming[*index]);
        let starts: Vec<usize> = if manual.is_empty() { roots().collect() } else { (0..nodes.len()).filter(is_trigger).collect() };
        if starts.is_empty() {
            let message = if nodes.is_empty() {
                "the graph has no nodes: add a trigger, `manual_trigger` for one, and something for it to start"
            } else {
                "the graph has no start: add a trigger, or a node that no edge leads to"
            };
            self.add(None, "/nodes".to_owned(), message.to_owned());
        }
        for start in &starts {
            shapes[*start].start = true;
        }
        if manual.is_empty() { starts } else { manual }
    }

    fn plan(&mut self, nodes: &[Option<CheckedNode>], links: &[Link], closing: &[bool], shapes: &[Shape], whole: bool) -> Option<Plan> {
        let starts = shapes.iter().filter(|shape| shape.start).count();
        if whole && starts > 0 {
            for (index, _) in reachable(shapes, links).into_iter().enumerate().filter(|(_, reached)| !reached) {
                let message = format!("no run can reach {}: no edge leads to it from a start, so it is left out", self.name(index));
                self.warn(index, format!("/nodes/{index}"), message);
            }
        }
        // Nodes without a known type stay in: what they connect is part of a cycle all the same.
        let has_trigger = nodes.iter().flatten().any(|node| node.node_type.kind == NodeKind::Trigger);
        match plan(shapes, links, closing, has_trigger && starts > 1) {
            Ok(plan) => Some(plan),
            Err(obstacles) => {
                for obstacle in obstacles {
                    self.obstacle(obstacle);
                }
                None
            }
        }
    }

    fn obstacle(&mut self, obstacle: Obstacle) {
        let (node, message) = match obstacle {
            Obstacle::Cycle(cycle) => {
                let shown = cycle.iter().take(20).map(|node| self.name(*node)).collect::<Vec<_>>().join(" → ");
                let more = if cycle.len() > 20 { " → …".to_owned() } else { String::new() };
                let first = cycle.first().copied().unwrap_or_default();
                let message = format!(
                    "these nodes lead in a circle: {shown}{more} → {}. Only the output `item` of a loop such as `for_each` may be led back",
                    self.name(first)
                );
                (first, message)
            }
            Obstacle::InsideAndAfter { node, repeats } => (
                node,
                format!(
                    "{} is inside the loop {} and after it as well: lead it either from `item` or from `done`",
                    self.name(node),
                    self.name(repeats)
                ),
            ),
            Obstacle::TwoLoops { node, loops } => {
                let (one, other) = (self.name(loops.0), self.name(loops.1));
                (node, format!("{} is inside two loops, {one} and {other}, and neither of them is inside the other", self.name(node)))
            }
            Obstacle::BackFromDeeper { node, repeats } => (
                node,
                format!(
                    "{} leads back to the loop {} from inside another loop: lead the inner loop's `done` there instead",
                    self.name(node),
                    self.name(repeats)
                ),
            ),
            Obstacle::TooDeep { repeats } => {
                (repeats, format!("the loop {} is nested too deep: at most 16 loops can be inside one another", self.name(repeats)))
            }
        };
        self.add(Some(node), format!("/nodes/{node}"), message);
    }
}

/// Says that there is no such type, and which was probably meant.
pub(super) fn unknown_type(name: &str, types: &dyn NodeTypes) -> String {
    let name = shortened(name);
    let names = types.names();
    let hint = nearest(&name, names.iter().map(String::as_str))
        .map_or_else(|| "`GET /api/node-configs/templates` lists the ones there are".to_owned(), |near| format!("did you mean `{near}`?"));
    if name.is_empty() { format!("the node has no type; {hint}") } else { format!("there is no node type `{name}`; {hint}") }
}

/// All that is wrong with one config by itself.
pub(super) fn config(node_type: &NodeType, config: &Map<String, Value>, expressions: &dyn Expressions) -> Vec<(String, String)> {
    if config.values().any(|value| is_deeper(value, MAX_DEPTH - 1)) {
        return vec![(String::new(), format!("the config is nested deeper than {MAX_DEPTH} levels"))];
    }
    config_faults(&validator(&node_type.schema), node_type, config, expressions).0
}

/// What is wrong with a config, as pointers into it and sentences; and whether there are expressions in it.
fn config_faults(
    validator: &Result<Validator, String>,
    node_type: &NodeType,
    config: &Map<String, Value>,
    expressions: &dyn Expressions,
) -> (Vec<(String, String)>, bool) {
    let mut found: Vec<(String, String)> = match validator {
        Ok(validator) => faults(validator, &node_type.schema, config).into_iter().map(|fault| (fault.path, fault.message)).collect(),
        Err(message) => vec![(String::new(), format!("the node type `{}` cannot be used: {message}", node_type.node_type))],
    };
    let mut wrong = Vec::new();
    let has_expressions = config::check(config, &node_type.schema, expressions, &mut wrong);
    found.extend(wrong.into_iter().map(|fault| (fault.path, fault.message)));
    if found.is_empty() && node_type.kind == NodeKind::Trigger {
        found = faults_of_node(&node_type.node_type, &Value::Object(config.clone()));
    }
    (found, has_expressions)
}

/// Whether an edge must say by which output it leaves: a node that only ever goes on at its first output need not be asked.
fn is_branching(node: &CheckedNode) -> bool {
    matches!(node.node_type.kind, NodeKind::Branch | NodeKind::Loop | NodeKind::Parallel) && node.handles.len() > 1
}

fn shape(node: Option<&CheckedNode>) -> Shape {
    let Some(node) = node else { return Shape { is_loop: false, bodies: 0, choices: 1, may_skip: false, start: false } };
    let is_loop = node.node_type.kind.is_loop();
    let on_error = node.settings.get("on_error").and_then(Value::as_str);
    // A loop's two usual outputs are no choice: the body runs, then what comes after.
    let choices = if is_loop && on_error != Some("route") { 1 } else { node.handles.len().max(1) };
    let may_skip = is_loop || on_error == Some("continue") || node.settings.get("disabled") == Some(&Value::Bool(true));
    let bodies = match node.node_type.kind {
        NodeKind::Loop => 1,
        // All its outputs but the one at which it goes on, which is its type's first.
        NodeKind::Parallel => node.branches(),
        NodeKind::Trigger | NodeKind::Action | NodeKind::Branch => 0,
    };
    Shape { is_loop, bodies, choices, may_skip, start: false }
}

/// Collects the texts at `pointer` (`*` = every item).
fn named_outputs<'p>(value: &Value, mut pointer: impl Iterator<Item = &'p str> + Clone, handles: &mut Vec<String>) {
    match (pointer.next(), value) {
        (None, Value::String(handle)) if !handle.is_empty() => handles.push(handle.clone()),
        (Some("*"), Value::Array(items)) => items.iter().for_each(|item| named_outputs(item, pointer.clone(), handles)),
        (Some(step), Value::Object(fields)) => {
            if let Some(value) = fields.get(step) {
                named_outputs(value, pointer, handles);
            }
        }
        _ => {}
    }
}

/// Whether lists and objects in `value` are nested deeper than `levels`.
fn is_deeper(value: &Value, levels: usize) -> bool {
    let mut work = vec![(value, 1)];
    while let Some((value, depth)) = work.pop() {
        let is_nested = matches!(value, Value::Array(_) | Value::Object(_));
        if is_nested && depth > levels {
            return true;
        }
        match value {
            Value::Array(items) => work.extend(items.iter().map(|item| (item, depth + 1))),
            Value::Object(fields) => work.extend(fields.values().map(|field| (field, depth + 1))),
            _ => {}
        }
    }
    false
}

/// What every node may have in `data.settings`.
fn settings_schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "properties": {
            "retry": {
                "type": ["object", "null"],
                "additionalProperties": false,
                "properties": {
                    "times": { "type": "integer", "minimum": 0, "maximum": 100, "description": "how often it is tried again" },
                    "wait": { "type": "number", "minimum": 0, "maximum": 86400, "description": "seconds before the next try" },
                    "backoff": { "type": "number", "minimum": 1, "maximum": 100, "description": "by how much the wait grows each time" },
                },
                "required": ["times"],
            },
            "timeout": { "type": ["number", "null"], "exclusiveMinimum": 0, "description": "seconds" },
            "on_error": { "enum": ["stop", "continue", "route", null] },
            "disabled": { "type": ["boolean", "null"] },
            "on_interrupt": { "enum": ["fail", "retry", null], "description": "what becomes of a step that was under way when its run broke off" },
            "pinned": true,
            "expect": super::expectation::schema(),
        },
    })
}

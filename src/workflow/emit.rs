//! The text of the script: one `step` a node, branches as `if`s, loops as `for`s.

use serde_json::{Map, Value};

use super::check::{Checked, CheckedNode};
use super::guard::{ALWAYS, Guards, Term};
use super::literal::{comment, push_list, push_map, push_string, push_value};
use super::plan::{Entry, Plan};
use super::{NodeKind, config};
use crate::policy::Permissions;

/// A line longer than this is broken up, where it can be.
const WIDTH: usize = 120;

/// Writes down the whole script.
pub(super) fn script(checked: &Checked<'_>, plan: &Plan, permissions: &Permissions) -> String {
    let mut writer = Writer { checked, plan, out: String::with_capacity(256 + checked.nodes.len() * 64) };
    writer.header(permissions);
    if let Some(target) = checked.graph.settings().target {
        writer.out.push_str("\n// The desktop that is meant where a node names none\ndesktop::use(");
        push_string(&mut writer.out, &target);
        writer.out.push_str(");\n");
    }
    if plan.several_starts {
        let ids = checked.default_starts.clone();
        writer.out.push_str("\n// Where a run starts that no trigger set off\nflow::start(");
        push_list(&mut writer.out, &ids, |out, node| push_string(out, &checked.graph.nodes[*node].id));
        writer.out.push_str(");\n");
    }
    writer.entries(&plan.entries, 0, true);
    writer.out
}

struct Writer<'a> {
    checked: &'a Checked<'a>,
    plan: &'a Plan,
    out: String,
}

impl<'a> Writer<'a> {
    /// Name, description and permissions, as a script's header says them.
    fn header(&mut self, permissions: &Permissions) {
        let graph = self.checked.graph;
        // A line of dashes alone would be taken for the header's border.
        let prose = |text: &str| {
            let line = comment(text);
            if line.trim_matches('-').is_empty() { String::new() } else { line }
        };
        let name = Some(prose(&graph.name)).filter(|name| !name.is_empty()).unwrap_or_else(|| "Untitled Workflow".to_owned());
        self.out.push_str(&format!("//! {name}\n"));
        if let Some(description) = graph.description.as_deref().map(prose).filter(|text| !text.is_empty()) {
            self.out.push_str(&format!("//!\n//! {description}\n"));
        }
        self.out.push_str("//! ---\n//! name = ");
        push_string(&mut self.out, &graph.name);
        self.out.push('\n');
        if let Ok(Value::Object(table)) = serde_json::to_value(permissions)
            && !table.is_empty()
        {
            self.out.push_str("//! [permissions]\n");
            for (name, value) in &table {
                self.out.push_str(&format!("//! {name} = "));
                // Lists of texts and `true` read the same in TOML.
                push_value(&mut self.out, value);
                self.out.push('\n');
            }
        }
        self.out.push_str("//! ---\n");
    }

    /// Nodes in their order; those with the same guard in a row share an `if`. `spaced` sets an empty line before each.
    fn entries(&mut self, entries: &[Entry], indent: usize, spaced: bool) {
        let mut rest = entries;
        let mut first = true;
        while let Some(entry) = rest.first() {
            let same = rest.iter().take_while(|other| other.guard == entry.guard).count();
            let (group, later) = rest.split_at(same);
            rest = later;
            if entry.guard == ALWAYS {
                for entry in group {
                    self.gap(spaced || !first);
                    first = false;
                    self.entry(entry, indent);
                }
                continue;
            }
            self.gap(spaced || !first);
            first = false;
            self.indent(indent);
            self.out.push_str("if ");
            self.guard(&self.plan.guards, entry.guard);
            self.out.push_str(" {\n");
            for (index, entry) in group.iter().enumerate() {
                self.gap(index > 0);
                self.entry(entry, indent + 4);
            }
            self.indent(indent);
            self.out.push_str("}\n");
        }
    }

    fn gap(&mut self, wanted: bool) {
        if wanted {
            self.out.push('\n');
        }
    }

    fn indent(&mut self, indent: usize) {
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    fn guard(&mut self, guards: &Guards, guard: usize) {
        let graph = self.checked.graph;
        for (index, term) in guards.terms(guard).iter().enumerate() {
            if index > 0 {
                self.out.push_str(" || ");
            }
            match term {
                Term::Started(node) => self.call("flow::started", &[&graph.nodes[*node].id]),
                Term::Ran(node) => self.call("flow::ran", &[&graph.nodes[*node].id]),
                Term::Took(node, handle) => {
                    let handle = self.handle(*node, *handle);
                    self.call("flow::took", &[&graph.nodes[*node].id, handle]);
                }
            }
        }
    }

    fn handle(&self, node: usize, handle: usize) -> &'a str {
        let checked: &'a Checked<'a> = self.checked;
        checked.nodes[node].as_ref().and_then(|node| node.handles.get(handle)).map_or("", String::as_str)
    }

    fn call(&mut self, function: &str, texts: &[&str]) {
        push_call(&mut self.out, function, texts);
    }

    fn entry(&mut self, entry: &Entry, indent: usize) {
        let checked = self.checked;
        let node = &checked.graph.nodes[entry.node];
        let Some(known) = &checked.nodes[entry.node] else { return };
        if let Some(label) = node.label().map(comment).filter(|label| !label.is_empty()) {
            self.indent(indent);
            self.out.push_str(&format!("// {label}\n"));
        }
        self.indent(indent);
        match known.node_type.kind {
            NodeKind::Loop | NodeKind::Parallel => {
                let is_parallel = known.node_type.kind == NodeKind::Parallel;
                self.out.push_str(if is_parallel { "for branch in flow::parallel(" } else { "for item in flow::each(" });
                push_string(&mut self.out, &node.id);
            }
            NodeKind::Trigger | NodeKind::Action | NodeKind::Branch => {
                self.out.push_str("step(");
                push_string(&mut self.out, &node.id);
                self.out.push_str(", ");
                push_string(&mut self.out, &node.node_type);
            }
        }
        self.arguments(entry.node, known, indent);
        if !known.node_type.kind.is_loop() {
            self.out.push_str(");\n");
            return;
        }
        self.out.push_str(") {\n");
        self.entries(&entry.body, indent + 4, false);
        if !entry.collects.is_empty() {
            self.indent(indent + 4);
            self.out.push_str("flow::collect(");
            push_string(&mut self.out, &node.id);
            self.out.push_str(", ");
            push_list(&mut self.out, &entry.collects, |out, node| push_string(out, &checked.graph.nodes[*node].id));
            self.out.push_str(");\n");
        }
        self.indent(indent);
        self.out.push_str("}\n");
    }

    /// `, from, config, settings` as far as they are needed.
    fn arguments(&mut self, node: usize, known: &CheckedNode, indent: usize) {
        let is_loop = known.node_type.kind.is_loop();
        let has_settings = !known.settings.is_empty();
        let has_config = is_loop || has_settings || !known.config.is_empty();
        let sources = self.sources(node);
        if sources.is_empty() && !has_config {
            return;
        }
        self.out.push_str(", ");
        match sources.as_slice() {
            [(source, _)] => push_string(&mut self.out, source),
            sources => push_list(&mut self.out, sources, |out, (source, handle)| match handle {
                Some(handle) => push_call(out, "flow::out", &[source, handle]),
                None => push_string(out, source),
            }),
        }
        if !has_config {
            return;
        }
        self.out.push_str(", ");
        if known.has_expressions {
            self.out.push_str("|input| ");
        }
        let line = self.out.len() - self.out.rfind('\n').map_or(0, |at| at + 1);
        config::push(&mut self.out, &known.config, &known.node_type.schema, indent, WIDTH.saturating_sub(line));
        if has_settings {
            self.out.push_str(", ");
            push_settings(&mut self.out, &known.settings);
        }
    }

    /// The nodes whose outputs become the input, each once; with the output's name where it is one of several.
    fn sources(&self, node: usize) -> Vec<(&'a str, Option<&'a str>)> {
        let checked: &'a Checked<'a> = self.checked;
        let mut seen = std::collections::HashSet::new();
        let links = self.plan.incoming[node].iter().filter(|link| seen.insert((link.from, link.handle)));
        links
            .map(|link| {
                let source = &checked.graph.nodes[link.from];
                let branches = checked.nodes[link.from].as_ref().is_some_and(|known| {
                    let routed = known.settings.get("on_error").and_then(Value::as_str) == Some("route");
                    known.handles.len() > 1 && (known.node_type.kind != NodeKind::Loop || routed)
                });
                (source.id.as_str(), branches.then(|| self.handle(link.from, link.handle)))
            })
            .collect()
    }
}

fn push_call(out: &mut String, function: &str, texts: &[&str]) {
    out.push_str(function);
    out.push('(');
    for (index, text) in texts.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        push_string(out, text);
    }
    out.push(')');
}

fn push_settings(out: &mut String, settings: &Map<String, Value>) {
    push_map(out, settings, |out, _, value| push_value(out, value));
}

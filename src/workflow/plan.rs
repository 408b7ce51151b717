//! The order in which a graph's nodes stand in its script: loops found and nested, then topological, nodes of one guard together.
//!
//! Everything here is linear in nodes and edges, but for the nesting of loops, which is limited.

use std::collections::BTreeSet;

use super::guard::{ALWAYS, GuardId, Guards, Term};

/// How deep loops may be nested.
const MAX_NESTING: usize = 16;

/// What the plan needs to know of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// Whether it is a loop.
    pub(super) is_loop: bool,
    /// How many of its outputs, from the first on, lead into its body: 1 of a loop over items, one for each branch that runs beside others.
    pub(super) bodies: usize,
    /// How many outputs it has to choose from; 1 where there is nothing to choose.
    pub(super) choices: usize,
    /// Whether it may end without having chosen any.
    pub(super) may_skip: bool,
    /// Whether a run may start here.
    pub(super) start: bool,
}

/// An edge between two nodes that exist.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub(super) from: usize,
    /// The number of the output.
    pub(super) handle: usize,
    pub(super) to: usize,
}

/// A node's place.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) node: usize,
    pub(super) guard: GuardId,
    /// Of a loop: what it repeats.
    pub(super) body: Vec<Entry>,
    /// Of a loop: the nodes of its body whose outputs it collects.
    pub(super) collects: Vec<usize>,
}

/// The plan of a whole graph.
pub(super) struct Plan {
    pub(super) entries: Vec<Entry>,
    pub(super) guards: Guards,
    /// For each node the edges that lead to it when it runs: without the ones that close a loop.
    pub(super) incoming: Vec<Vec<Link>>,
    /// Whether a run may start at several nodes, so that guards ask which.
    pub(super) several_starts: bool,
}

/// What stands in the way of a plan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// These nodes lead in a circle, and none of them is a loop that could repeat it.
    Cycle(Vec<usize>),
    /// The node is inside the loop and after it.
    InsideAndAfter { node: usize, repeats: usize },
    /// The node is inside two loops of which neither is inside the other.
    TwoLoops { node: usize, loops: (usize, usize) },
    /// The edge leads back to a loop from inside another loop in its body.
    BackFromDeeper { node: usize, repeats: usize },
    /// Loops nested too deep.
    TooDeep { repeats: usize },
}

/// Which nodes a run can reach.
pub(super) fn reachable(shapes: &[Shape], links: &[Link]) -> Vec<bool> {
    let outgoing = by_source(shapes.len(), links);
    let mut seen: Vec<bool> = shapes.iter().map(|shape| shape.start).collect();
    let mut work: Vec<usize> = (0..shapes.len()).filter(|node| seen[*node]).collect();
    while let Some(node) = work.pop() {
        for link in &outgoing[node] {
            if !std::mem::replace(&mut seen[links[*link].to], true) {
                work.push(links[*link].to);
            }
        }
    }
    seen
}

/// Plans the nodes that can be reached, or says everything that stands in the way. `closing` says which links close a loop.
pub(super) fn plan(shapes: &[Shape], links: &[Link], closing: &[bool], several_starts: bool) -> Result<Plan, Vec<Obstacle>> {
    let reached = reachable(shapes, links);
    let (closing, forward): (Vec<_>, Vec<_>) =
        links.iter().zip(closing).filter(|(link, _)| reached[link.from]).partition(|(_, closes)| **closes);
    let closing: Vec<Link> = closing.into_iter().map(|(link, _)| *link).collect();
    let mut planner = Planner::new(shapes, forward.into_iter().map(|(link, _)| *link), &reached);
    let obstacles = planner.nest(&closing);
    planner.order(several_starts, obstacles)
}

fn by_source(nodes: usize, links: &[Link]) -> Vec<Vec<usize>> {
    let mut outgoing = vec![Vec::new(); nodes];
    for (index, link) in links.iter().enumerate() {
        outgoing[link.from].push(index);
    }
    outgoing
}

/// Which links close a loop: they lead back to a loop node from what it repeats.
pub(super) fn closing_links(shapes: &[Shape], links: &[Link]) -> Result<Vec<bool>, Vec<Obstacle>> {
    let outgoing = by_source(shapes.len(), links);
    let mut closing = vec![false; links.len()];
    let mut obstacles = Vec::new();
    for _ in 0..=MAX_NESTING {
        let component = components(shapes.len(), links, &outgoing, &closing);
        let mut members: std::collections::BTreeMap<usize, Vec<usize>> = Default::default();
        for (node, id) in component.iter().enumerate() {
            members.entry(*id).or_default().push(node);
        }
        members.retain(|_, nodes| nodes.len() > 1);
        if members.is_empty() {
            return if obstacles.is_empty() { Ok(closing) } else { Err(obstacles) };
        }
        let mut entered = vec![false; shapes.len()];
        let (mut repeats, mut leaves) = (vec![false; shapes.len()], vec![true; shapes.len()]);
        for (index, link) in links.iter().enumerate() {
            let inside = component[link.from] == component[link.to];
            if closing[index] {
                continue;
            }
            entered[link.to] |= !inside;
            let into_body = link.handle < shapes[link.from].bodies;
            repeats[link.from] |= inside && into_body;
            leaves[link.from] &= !inside || into_body;
        }
        let mut headers = vec![false; shapes.len()];
        obstacles.clear();
        for nodes in members.values() {
            // The outermost loop of these nodes: entered from outside, repeating something here, and going on elsewhere.
            let header = nodes
                .iter()
                .copied()
                .filter(|node| shapes[*node].is_loop && repeats[*node])
                .min_by_key(|node| (!entered[*node], !leaves[*node], *node));
            match header {
                None => obstacles.push(Obstacle::Cycle(name_cycle(nodes, links, &outgoing, &closing, &component))),
                Some(header) => headers[header] = true,
            }
        }
        if !headers.contains(&true) {
            return Err(obstacles);
        }
        for (index, link) in links.iter().enumerate() {
            closing[index] |= headers[link.to] && component[link.from] == component[link.to];
        }
    }
    let repeats = shapes.iter().position(|shape| shape.is_loop).unwrap_or_default();
    obstacles.push(Obstacle::TooDeep { repeats });
    Err(obstacles)
}

/// Tarjan's strongly connected components, without recursion. Links in `left_out` do not count.
fn components(nodes: usize, links: &[Link], outgoing: &[Vec<usize>], left_out: &[bool]) -> Vec<usize> {
    const UNSEEN: usize = usize::MAX;
    let (mut index, mut low, mut component) = (vec![UNSEEN; nodes], vec![0; nodes], vec![UNSEEN; nodes]);
    let (mut next, mut stack) = (0, Vec::new());
    let mut components = 0;
    for root in 0..nodes {
        if index[root] != UNSEEN {
            continue;
        }
        let mut calls = vec![(root, 0)];
        index[root] = next;
        low[root] = next;
        next += 1;
        stack.push(root);
        while let Some((node, position)) = calls.pop() {
            if let Some(link) = outgoing[node].get(position) {
                calls.push((node, position + 1));
                let to = links[*link].to;
                if left_out[*link] {
                    continue;
                }
                if index[to] == UNSEEN {
                    index[to] = next;
                    low[to] = next;
                    next += 1;
                    stack.push(to);
                    calls.push((to, 0));
                } else if component[to] == UNSEEN {
                    low[node] = low[node].min(index[to]);
                }
                continue;
            }
            if low[node] == index[node] {
                while let Some(member) = stack.pop() {
                    component[member] = components;
                    if member == node {
                        break;
                    }
                }
                components += 1;
            }
            if let Some((parent, _)) = calls.last() {
                low[*parent] = low[*parent].min(low[node]);
            }
        }
    }
    component
}

/// One cycle within a component, in the order in which it runs, from its first node in the graph's order.
fn name_cycle(nodes: &[usize], links: &[Link], outgoing: &[Vec<usize>], left_out: &[bool], component: &[usize]) -> Vec<usize> {
    let Some(first) = nodes.first().copied() else { return Vec::new() };
    let mut path = vec![first];
    let mut position = std::collections::HashMap::from([(first, 0)]);
    loop {
        let last = path[path.len() - 1];
        let follows = |link: &&usize| !left_out[**link] && component[links[**link].to] == component[first];
        let Some(link) = outgoing[last].iter().find(follows) else { return path };
        let to = links[*link].to;
        if let Some(start) = position.get(&to) {
            let mut cycle = path.split_off(*start);
            let smallest = cycle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
            cycle.rotate_left(smallest);
            return cycle;
        }
        position.insert(to, path.len());
        path.push(to);
    }
}

/// The body of a loop, or the graph itself (number 0).
struct Scope {
    parent: usize,
    /// The loop node; meaningless for the graph itself.
    repeats: usize,
    depth: usize,
    members: Vec<usize>,
    collects: Vec<usize>,
}

struct Planner<'a> {
    shapes: &'a [Shape],
    reached: &'a [bool],
    incoming: Vec<Vec<Link>>,
    outgoing: Vec<Vec<Link>>,
    scopes: Vec<Scope>,
    /// The innermost scope of each node.
    scope_of: Vec<usize>,
    /// The scope of each loop's body.
    body_of: Vec<usize>,
    /// Within a scope: what must come after each node, and how many it waits for.
    after: Vec<Vec<usize>>,
    waits: Vec<usize>,
}

impl<'a> Planner<'a> {
    fn new(shapes: &'a [Shape], links: impl Iterator<Item = Link>, reached: &'a [bool]) -> Self {
        let count = shapes.len();
        let (mut incoming, mut outgoing) = (vec![Vec::new(); count], vec![Vec::new(); count]);
        for link in links {
            incoming[link.to].push(link);
            outgoing[link.from].push(link);
        }
        let root = Scope { parent: 0, repeats: usize::MAX, depth: 0, members: Vec::new(), collects: Vec::new() };
        Self {
            shapes,
            reached,
            incoming,
            outgoing,
            scopes: vec![root],
            scope_of: vec![0; count],
            body_of: vec![0; count],
            after: vec![Vec::new(); count],
            waits: vec![0; count],
        }
    }

    /// Finds for each node the loops it is in, and what is wrong with them.
    fn nest(&mut self, closing: &[Link]) -> Vec<Obstacle> {
        let mut obstacles = Vec::new();
        let mut waits: Vec<usize> = self.incoming.iter().map(Vec::len).collect();
        let mut ready: BTreeSet<usize> = (0..self.shapes.len()).filter(|node| self.reached[*node] && waits[*node] == 0).collect();
        while let Some(node) = ready.pop_first() {
            let mut scope = 0;
            for link in &self.incoming[node] {
                let theirs = self.scope_behind(link);
                if self.is_within(theirs, scope) {
                    scope = theirs;
                } else if !self.is_within(scope, theirs) {
                    let loops = (self.scopes[scope].repeats, self.scopes[theirs].repeats);
                    obstacles.push(Obstacle::TwoLoops { node, loops });
                    break;
                }
            }
            self.scope_of[node] = scope;
            self.scopes[scope].members.push(node);
            if self.shapes[node].is_loop {
                let depth = self.scopes[scope].depth + 1;
                if depth > MAX_NESTING {
                    return vec![Obstacle::TooDeep { repeats: node }];
                }
                self.body_of[node] = self.scopes.len();
                self.scopes.push(Scope { parent: scope, repeats: node, depth, members: Vec::new(), collects: Vec::new() });
            }
            for link in &self.outgoing[node] {
                waits[link.to] -= 1;
                if waits[link.to] == 0 {
                    ready.insert(link.to);
                }
            }
        }
        for link in closing {
            let (from, body) = (self.scope_of[link.from], self.body_of[link.to]);
            if from == body {
                self.scopes[body].collects.push(link.from);
            } else if self.is_within(from, body) {
                obstacles.push(Obstacle::BackFromDeeper { node: link.from, repeats: link.to });
            } else {
                obstacles.push(Obstacle::InsideAndAfter { node: link.from, repeats: link.to });
            }
        }
        obstacles
    }

    /// The scope in which `link` arrives.
    fn scope_behind(&self, link: &Link) -> usize {
        if self.leads_inside(link) { self.body_of[link.from] } else { self.scope_of[link.from] }
    }

    /// Whether `link` leads into the body of the loop that it leaves.
    fn leads_inside(&self, link: &Link) -> bool {
        link.handle < self.shapes[link.from].bodies
    }

    fn is_within(&self, mut inner: usize, outer: usize) -> bool {
        while self.scopes[inner].depth > self.scopes[outer].depth {
            inner = self.scopes[inner].parent;
        }
        inner == outer
    }

    /// What stands for `node` in `scope`: itself, or the loop it is in.
    fn lifted(&self, node: usize, scope: usize) -> usize {
        let (mut standing, mut at) = (node, self.scope_of[node]);
        while at != scope && at != 0 {
            standing = self.scopes[at].repeats;
            at = self.scopes[at].parent;
        }
        standing
    }

    /// Orders each scope, and settles the guards on the way.
    fn order(mut self, several_starts: bool, mut obstacles: Vec<Obstacle>) -> Result<Plan, Vec<Obstacle>> {
        if obstacles.iter().any(|obstacle| matches!(obstacle, Obstacle::TooDeep { .. })) {
            return Err(obstacles);
        }
        for node in 0..self.shapes.len() {
            for at in 0..self.outgoing[node].len() {
                let to = self.lifted(self.outgoing[node][at].to, self.scope_of[node]);
                // Only a node inside two loops leads elsewhere than into its own scope; that is said already.
                if to != node && self.scope_of[to] == self.scope_of[node] {
                    self.after[node].push(to);
                    self.waits[to] += 1;
                }
            }
        }
        let outputs = self.shapes.iter().map(|shape| if shape.choices < 2 || shape.may_skip { 0 } else { shape.choices }).collect();
        let starts = self.shapes.iter().filter(|shape| shape.start).count();
        let mut guards = Guards::new(outputs, starts);
        let entries = self.order_scope(0, several_starts, &mut guards, &mut obstacles);
        if obstacles.is_empty() { Ok(Plan { entries, guards, incoming: self.incoming, several_starts }) } else { Err(obstacles) }
    }

    fn order_scope(&mut self, scope: usize, several_starts: bool, guards: &mut Guards, obstacles: &mut Vec<Obstacle>) -> Vec<Entry> {
        let members = std::mem::take(&mut self.scopes[scope].members);
        let mut ready: BTreeSet<usize> = BTreeSet::new();
        let mut by_guard: BTreeSet<(GuardId, usize)> = BTreeSet::new();
        let mut guard_of = std::collections::HashMap::new();
        let mut entries = Vec::with_capacity(members.len());
        let mut current = ALWAYS;
        let mut arrived: Vec<usize> = members.iter().copied().filter(|node| self.waits[*node] == 0).collect();
        loop {
            for node in arrived.drain(..) {
                let guard = self.guard(node, scope, several_starts, guards);
                guard_of.insert(node, guard);
                ready.insert(node);
                by_guard.insert((guard, node));
            }
            let same = by_guard.range((current, 0)..=(current, usize::MAX)).next().map(|(_, node)| *node);
            let Some(node) = same.or_else(|| ready.first().copied()) else { break };
            current = guard_of[&node];
            ready.remove(&node);
            by_guard.remove(&(current, node));
            guards.settle(node, current);
            let mut entry = Entry { node, guard: current, body: Vec::new(), collects: Vec::new() };
            if self.shapes[node].is_loop {
                let body = self.body_of[node];
                entry.collects = self.collected(body);
                entry.body = self.order_scope(body, several_starts, guards, obstacles);
            }
            entries.push(entry);
            for at in 0..self.after[node].len() {
                let next = self.after[node][at];
                self.waits[next] -= 1;
                if self.waits[next] == 0 {
                    arrived.push(next);
                }
            }
        }
        if entries.len() < members.len() {
            self.explain(&members, scope, obstacles);
        }
        entries
    }

    /// Under which guard `node` runs, within its scope.
    fn guard(&self, node: usize, scope: usize, several_starts: bool, guards: &mut Guards) -> GuardId {
        let mut terms = Vec::new();
        if self.shapes[node].start {
            if !several_starts {
                return ALWAYS;
            }
            terms.push(Term::Started(node));
        }
        for link in &self.incoming[node] {
            let shape = self.shapes[link.from];
            if scope != 0 && self.leads_inside(link) && self.body_of[link.from] == scope {
                if shape.bodies == 1 {
                    return ALWAYS;
                }
                terms.push(Term::Took(link.from, link.handle));
                continue;
            }
            if shape.choices > 1 {
                terms.push(Term::Took(link.from, link.handle));
                continue;
            }
            let inherited = guards.inherited(link.from);
            if inherited == ALWAYS {
                return ALWAYS;
            }
            terms.extend_from_slice(guards.terms(inherited));
        }
        let guard = guards.any(terms);
        // What holds for a loop as a whole need not be asked again inside it.
        let mut at = scope;
        while at != 0 {
            if guards.holds_within(guard, guards.inherited(self.scopes[at].repeats)) {
                return ALWAYS;
            }
            at = self.scopes[at].parent;
        }
        guard
    }

    /// The nodes whose outputs a loop collects: those that lead back to it, else the ends of its body.
    fn collected(&self, body: usize) -> Vec<usize> {
        let mut nodes = self.scopes[body].collects.clone();
        if nodes.is_empty() {
            let is_end = |node: &&usize| self.outgoing[**node].iter().all(|link| self.leads_inside(link));
            nodes = self.scopes[body].members.iter().filter(is_end).copied().collect();
        }
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    /// Some nodes of a scope wait for one another although no edges form a circle: a loop waits for what comes after it.
    fn explain(&self, members: &[usize], scope: usize, obstacles: &mut Vec<Obstacle>) {
        let mut named = BTreeSet::new();
        for node in members.iter().copied().filter(|node| self.waits[*node] > 0 || !self.after[*node].is_empty()) {
            for link in &self.outgoing[node] {
                let standing = self.lifted(link.to, scope);
                let stuck = self.waits[node] > 0 && self.waits[standing] > 0;
                if stuck && standing != link.to && standing != node && named.insert(standing) {
                    obstacles.push(Obstacle::InsideAndAfter { node: link.to, repeats: standing });
                }
            }
        }
        // Never reached as far as is known; without it such a graph would silently lose nodes.
        if obstacles.is_empty() {
            obstacles.push(Obstacle::Cycle(members.iter().copied().filter(|node| self.waits[*node] > 0).take(8).collect()));
        }
    }
}

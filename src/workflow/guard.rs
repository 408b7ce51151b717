//! Guards: the condition under which a node runs, as one short `||` of what was decided before it.
//!
//! A guard is a set of terms, kept once each and named by number, so that nodes with the same guard share an `if`. Sets stay small:
//! what follows a node with a long guard asks whether that node ran.

use std::collections::{BTreeMap, HashMap, HashSet};

/// One term of a guard. Nodes and handles by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Term {
    /// The run started at that trigger.
    Started(usize),
    /// That node chose that output.
    Took(usize, usize),
    /// That node ran.
    Ran(usize),
}

/// A guard's number.
pub(super) type GuardId = usize;

/// No condition.
pub(super) const ALWAYS: GuardId = 0;

/// With more terms than this, followers say `flow::ran` instead of repeating them.
const MAX_INHERITED: usize = 4;

/// The guards of a graph.
pub(super) struct Guards {
    sets: Vec<Vec<Term>>,
    ids: HashMap<Vec<Term>, GuardId>,
    /// What a node's followers inherit, once it is known.
    inherited: Vec<GuardId>,
    /// How many outputs a branch has; 0 where one of them need not be taken.
    outputs: Vec<usize>,
    starts: usize,
}

impl Guards {
    /// For nodes with so many outputs each (0: never all covered), and so many starts.
    pub(super) fn new(outputs: Vec<usize>, starts: usize) -> Self {
        Self { sets: vec![Vec::new()], ids: HashMap::new(), inherited: vec![ALWAYS; outputs.len()], outputs, starts }
    }

    /// The terms of a guard; none means always.
    pub(super) fn terms(&self, id: GuardId) -> &[Term] {
        &self.sets[id]
    }

    /// What followers of `node` inherit.
    pub(super) fn inherited(&self, node: usize) -> GuardId {
        self.inherited[node]
    }

    /// Settles under which guard `node` runs.
    pub(super) fn settle(&mut self, node: usize, guard: GuardId) {
        self.inherited[node] = if self.sets[guard].len() > MAX_INHERITED { self.intern(vec![Term::Ran(node)]) } else { guard };
    }

    /// The guard that holds where any of `terms` does.
    pub(super) fn any(&mut self, terms: impl IntoIterator<Item = Term>) -> GuardId {
        let mut set: HashSet<Term> = HashSet::new();
        let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
        let mut started = 0;
        let mut work: Vec<Term> = terms.into_iter().collect();
        while let Some(term) = work.pop() {
            if !set.insert(term) {
                continue;
            }
            match term {
                Term::Started(_) => started += 1,
                Term::Ran(_) => {}
                Term::Took(branch, _) => {
                    let count = taken.entry(branch).or_default();
                    *count += 1;
                    // All outputs of a branch together are no more than the branch itself.
                    if *count == self.outputs[branch] {
                        let own = self.inherited[branch];
                        if own == ALWAYS {
                            return ALWAYS;
                        }
                        work.extend_from_slice(&self.sets[own]);
                    }
                }
            }
        }
        if set.is_empty() || (started > 0 && started == self.starts) {
            return ALWAYS;
        }
        let mut kept: Vec<Term> = set.iter().copied().filter(|term| !self.is_implied(*term, &set)).collect();
        kept.sort_unstable();
        self.intern(kept)
    }

    /// Whether another term of `set` holds anyway where `term` does.
    fn is_implied(&self, term: Term, set: &HashSet<Term>) -> bool {
        let Term::Took(branch, _) = term else { return false };
        let own = self.inherited[branch];
        own != ALWAYS && self.sets[own].iter().all(|other| *other != term && set.contains(other))
    }

    /// Whether `guard` holds wherever `context` does.
    pub(super) fn holds_within(&self, guard: GuardId, context: GuardId) -> bool {
        guard == context || (context != ALWAYS && self.sets[context].iter().all(|term| self.sets[guard].binary_search(term).is_ok()))
    }

    fn intern(&mut self, set: Vec<Term>) -> GuardId {
        if set.is_empty() {
            return ALWAYS;
        }
        let next = self.sets.len();
        *self.ids.entry(set).or_insert_with_key(|key| {
            self.sets.push(key.clone());
            next
        })
    }
}

//! Whose turn it is: so many runs at once, in all and of each workflow; by priority, and among equals in the order in which they came.
//!
//! A run that has its turn holds a [`Turn`]; dropping it gives the turn to the next. A run that waits holds a [`Place`]; dropping that
//! gives the place up at once. A workflow whose own bound is reached holds up none but its own runs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;

/// Who wants a turn.
#[derive(Debug, Clone, Default)]
pub(super) struct Claim {
    /// The run.
    pub(super) run_id: String,
    /// Higher ones go first.
    pub(super) priority: i8,
    /// The workflow whose runs are bounded, and how many of them at once.
    pub(super) bound: Option<(Arc<str>, usize)>,
}

/// What became of a claim.
#[derive(Debug)]
pub(super) enum Entered {
    /// It is its turn.
    Now(Turn),
    /// Others go first.
    Waits(Place),
}

/// The queue.
#[derive(Debug)]
pub(super) struct Queue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// So many at once.
    turns: usize,
    /// So many may wait.
    places: usize,
    state: Mutex<State>,
}

/// Where a claim stands among all: by priority, then by when it came.
type Order = (Reverse<i8>, u64);
/// The workflow; none for all runs whose number is not bounded.
type Group = Option<Arc<str>>;

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
    came: u64,
    groups: HashMap<Group, Line>,
}

/// The runs of a group.
#[derive(Debug)]
struct Line {
    bound: usize,
    running: usize,
    waiting: BTreeMap<Order, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    run_id: String,
    call: oneshot::Sender<Turn>,
}

/// A run's turn. Dropping it is its end.
#[derive(Debug)]
pub(super) struct Turn {
    queue: Weak<Inner>,
    group: Group,
}

/// A run's place among those that wait. Dropping it gives it up.
#[derive(Debug)]
pub(super) struct Place {
    queue: Weak<Inner>,
    group: Group,
    order: Order,
    called: oneshot::Receiver<Turn>,
}

/// How a run waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(example = json!({ "position": 3, "reason": "64 runs go on at once already: MAX_RUNS allows no more" }))]
pub struct Queued {
    /// From 1: so many runs, itself included, have their turn by then.
    pub position: usize,
    /// What it waits for.
    pub reason: String,
}

impl Queue {
    /// A queue for so many at once, in which so many may wait.
    pub(super) fn new(turns: usize, places: usize) -> Self {
        Self { inner: Arc::new(Inner { turns: turns.max(1), places, state: Mutex::default() }) }
    }

    /// A turn or a place. None where no more may wait, with how many do.
    pub(super) fn enter(&self, claim: Claim) -> Result<Entered, usize> {
        self.inner.enter(claim, false)
    }

    /// The same for a run that was taken already: one that waited for something else, or whose server died. It is never refused.
    pub(super) fn enter_again(&self, claim: Claim) -> Entered {
        match self.inner.enter(claim, true) {
            Ok(entered) => entered,
            Err(_) => Entered::Now(Turn { queue: Weak::new(), group: None }),
        }
    }

    /// How many have their turn, and how many wait.
    pub(super) fn counts(&self) -> (usize, usize) {
        let state = self.inner.state();
        (state.running, state.waiting)
    }

    /// How many may run at once, and how many wait.
    pub(super) fn limits(&self) -> (usize, usize) {
        (self.inner.turns, self.inner.places)
    }

    /// The runs that wait, in the order of their turns as it stands, and why each does; the first so many.
    pub(super) fn waiting(&self, limit: usize) -> Vec<(String, Queued)> {
        let state = self.inner.state();
        let mut all: Vec<_> =
            state.groups.iter().flat_map(|(group, line)| line.waiting.iter().map(move |one| (one, group, line))).collect();
        all.sort_unstable_by_key(|((order, _), ..)| **order);
        let numbered = all.into_iter().zip(1..).take(limit);
        numbered
            .map(|(((_, waiting), group, line), position)| {
                (waiting.run_id.clone(), Queued { position, reason: self.inner.reason(&state, group, line) })
            })
            .collect()
    }

    /// How one run waits, if it does.
    pub(super) fn find(&self, run_id: &str) -> Option<Queued> {
        let state = self.inner.state();
        let (order, group, line) = state.groups.iter().find_map(|(group, line)| {
            line.waiting.iter().find(|(_, waiting)| waiting.run_id == run_id).map(|(order, _)| (*order, group, line))
        })?;
        let before: usize = state.groups.values().map(|line| line.waiting.range(..order).count()).sum();
        Some(Queued { position: before + 1, reason: self.inner.reason(&state, group, line) })
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(self: &Arc<Self>, claim: Claim, again: bool) -> Result<Entered, usize> {
        let Claim { run_id, priority, bound } = claim;
        let (group, bound) = bound.map_or((None, usize::MAX), |(workflow, bound)| (Some(workflow), bound.max(1)));
        let mut state = self.state();
        let (room, waiting) = (state.running < self.turns, state.waiting);
        let line = state.groups.entry(group.clone()).or_insert_with(|| Line { bound, running: 0, waiting: BTreeMap::new() });
        // What was saved last holds for all of its runs.
        line.bound = bound;
        // Where there is room, whoever waits does so for its own workflow's sake.
        if room && line.running < line.bound && line.waiting.is_empty() {
            line.running += 1;
            state.running += 1;
            return Ok(Entered::Now(Turn { queue: Arc::downgrade(self), group }));
        }
        if !again && waiting >= self.places {
            state.forget(&group);
            return Err(waiting);
        }
        let (call, called) = oneshot::channel();
        state.came += 1;
        let order = (Reverse(priority), state.came);
        state.waiting += 1;
        if let Some(line) = state.groups.get_mut(&group) {
            line.waiting.insert(order, Waiting { run_id, call });
        }
        let place = Place { queue: Arc::downgrade(self), group, order, called };
        // A bound that was raised lets others in.
        let turns = self.give(&mut state);
        drop(state);
        hand_out(turns);
        Ok(Entered::Waits(place))
    }

    /// The turns that are free go to those who are next.
    fn give(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Turn>, Turn)> {
        let mut turns = Vec::new();
        while state.running < self.turns {
            let open = state.groups.iter_mut().filter(|(_, line)| line.running < line.bound && !line.waiting.is_empty());
            let next = open.min_by_key(|(_, line)| line.waiting.keys().next().copied());
            let Some((group, line)) = next else { break };
            let Some((_, Waiting { call, .. })) = line.waiting.pop_first() else { break };
            line.running += 1;
            let turn = Turn { queue: Arc::downgrade(self), group: group.clone() };
            state.running += 1;
            state.waiting -= 1;
            turns.push((call, turn));
        }
        turns
    }

    fn reason(&self, state: &State, group: &Group, line: &Line) -> String {
        match group {
            Some(workflow) if line.running >= line.bound => match line.bound {
                1 => format!("another run of the workflow {workflow} goes on: its setting concurrency is 1"),
                bound => format!("{bound} runs of the workflow {workflow} go on: its setting concurrency allows no more"),
            },
            _ => format!("{} runs go on at once already: MAX_RUNS allows no more", state.running),
        }
    }
}

/// Outside of the lock: a turn that nobody takes any more comes back at once.
fn hand_out(turns: Vec<(oneshot::Sender<Turn>, Turn)>) {
    for (call, turn) in turns {
        drop(call.send(turn));
    }
}

impl State {
    /// Lets a group go of which nothing is left.
    fn forget(&mut self, group: &Group) {
        if self.groups.get(group).is_some_and(|line| line.running == 0 && line.waiting.is_empty()) {
            self.groups.remove(group);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(queue) = self.queue.upgrade() else { return };
        let mut state = queue.state();
        state.running -= 1;
        if let Some(line) = state.groups.get_mut(&self.group) {
            line.running -= 1;
        }
        let turns = queue.give(&mut state);
        state.forget(&self.group);
        drop(state);
        hand_out(turns);
    }
}

impl Place {
    /// Waits for the turn.
    pub(super) async fn turn(mut self) -> Turn {
        // The sender goes only with the whole queue; then nothing waits for anything any more.
        (&mut self.called).await.unwrap_or(Turn { queue: Weak::new(), group: None })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(queue) = self.queue.upgrade() else { return };
        let mut state = queue.state();
        let left = state.groups.get_mut(&self.group).and_then(|line| line.waiting.remove(&self.order));
        if left.is_some() {
            state.waiting -= 1;
            state.forget(&self.group);
        }
        drop(state);
        // A turn that came meanwhile goes to the next with the receiver.
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn claim(run_id: &str, priority: i8, bound: Option<(&str, usize)>) -> Claim {
        Claim { run_id: run_id.to_owned(), priority, bound: bound.map(|(workflow, bound)| (workflow.into(), bound)) }
    }

    fn enter(queue: &Queue, run_id: &str, priority: i8, bound: Option<(&str, usize)>) -> Entered {
        queue.enter(claim(run_id, priority, bound)).unwrap()
    }

    fn now(entered: Entered) -> Turn {
        match entered {
            Entered::Now(turn) => turn,
            Entered::Waits(_) => panic!("it waits"),
        }
    }

    fn waits(entered: Entered) -> Place {
        match entered {
            Entered::Now(_) => panic!("it is its turn"),
            Entered::Waits(place) => place,
        }
    }

    fn order(queue: &Queue) -> Vec<String> {
        queue.waiting(100).into_iter().map(|(run_id, _)| run_id).collect()
    }

    #[test]
    fn the_next_is_the_one_of_the_highest_priority_that_came_first() {
        let queue = Queue::new(1, 10);
        let mut turn = now(enter(&queue, "first", 0, None));
        let mut places: HashMap<_, _> = [("a", 0), ("b", 5), ("c", -10), ("d", 5), ("e", 0)]
            .into_iter()
            .map(|(run_id, priority)| (run_id, waits(enter(&queue, run_id, priority, None))))
            .collect();
        assert_eq!(order(&queue), ["b", "d", "a", "e", "c"]);
        assert_eq!(queue.find("e").unwrap().position, 4);
        assert!(queue.find("e").unwrap().reason.contains("MAX_RUNS"));
        for next in ["b", "d", "a", "e", "c"] {
            drop(turn);
            turn = places.remove(next).unwrap().turn().now_or_never().expect(next);
        }
        drop(turn);
        assert_eq!(queue.counts(), (0, 0));
        assert!(queue.inner.state().groups.is_empty());
    }

    #[test]
    fn a_workflow_at_its_bound_holds_up_none_but_its_own_runs() {
        let queue = Queue::new(3, 10);
        let own = now(enter(&queue, "w1", 0, Some(("w", 1))));
        let second = waits(enter(&queue, "w2", 10, Some(("w", 1))));
        assert!(queue.find("w2").unwrap().reason.contains("concurrency is 1"));
        let others = [now(enter(&queue, "x", 0, None)), now(enter(&queue, "y", 0, Some(("v", 2))))];
        let third = waits(enter(&queue, "z", 0, None));
        assert_eq!(order(&queue), ["w2", "z"]);
        drop(others);
        let third = third.turn().now_or_never().expect("there is room for it");
        assert_eq!(queue.find("w2").map(|queued| queued.position), Some(1));
        drop(own);
        drop((second.turn().now_or_never().expect("the first is over"), third));
        assert_eq!(queue.counts(), (0, 0));
    }

    #[test]
    fn a_bound_that_changes_holds_from_the_next_run_on() {
        let queue = Queue::new(10, 10);
        let _first = now(enter(&queue, "1", 0, Some(("w", 1))));
        let second = waits(enter(&queue, "2", 0, Some(("w", 1))));
        let third = waits(enter(&queue, "3", 0, Some(("w", 2))));
        let _second = second.turn().now_or_never().expect("two may run now");
        assert!(third.turn().now_or_never().is_none());
    }

    #[test]
    fn whoever_leaves_makes_room_at_once_and_takes_no_turn_along() {
        let queue = Queue::new(1, 2);
        let turn = now(enter(&queue, "first", 0, None));
        let (a, b) = (waits(enter(&queue, "a", 0, None)), waits(enter(&queue, "b", 0, None)));
        assert_eq!(queue.enter(claim("c", 10, None)).err(), Some(2));
        drop(a);
        let c = waits(enter(&queue, "c", 0, None));
        // The turn comes to `b`, which goes without having looked.
        drop(turn);
        drop(b);
        let turn = c.turn().now_or_never().expect("the turn went on to it");
        assert_eq!(queue.counts(), (1, 0));
        drop(turn);
        assert_eq!(queue.counts(), (0, 0));
    }

    #[test]
    fn a_run_that_was_taken_already_is_not_refused() {
        let queue = Queue::new(1, 0);
        let turn = now(enter(&queue, "first", 0, None));
        assert_eq!(queue.enter(claim("new", 0, None)).err(), Some(0));
        let back = waits(queue.enter_again(claim("back", 0, None)));
        drop(turn);
        assert!(back.turn().now_or_never().is_some());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn never_more_than_allowed_whatever_comes_and_goes() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (queue, at_once, most) = (Arc::new(Queue::new(4, 10_000)), Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks: Vec<_> = (0..2_000)
            .map(|index| {
                let (queue, at_once, most) = (Arc::clone(&queue), Arc::clone(&at_once), Arc::clone(&most));
                tokio::spawn(async move {
                    let bound = (index % 3 == 0).then_some(("w", 2));
                    let entered = enter(&queue, &index.to_string(), i8::try_from(index % 5).unwrap(), bound);
                    let turn = match entered {
                        Entered::Now(turn) => turn,
                        // Some lose patience.
                        Entered::Waits(place) if index % 7 == 0 => return drop(place),
                        Entered::Waits(place) => place.turn().await,
                    };
                    most.fetch_max(at_once.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    drop(turn);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert!(most.load(Ordering::SeqCst) <= 4);
        assert_eq!((queue.counts(), order(&queue).len()), ((0, 0), 0));
        assert!(queue.inner.state().groups.is_empty());
    }
}

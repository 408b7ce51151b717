//! The rounds of a loop that run at the same time: each in a runner of its own, which goes over what the run did so far and does one
//! round after the other as they are given out.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;

use super::broker::{Broker, json as as_json};
use super::protocol::{Json, ScriptError, Start};
use super::{Host, Job, Outcome};
use crate::error::Failure;

/// So many rounds of one loop run at the same time at most, however many are asked for.
const MAX_AT_ONCE: u32 = 64;

/// What the runners of one loop share.
#[derive(Default)]
struct Rounds {
    left: VecDeque<u32>,
    outputs: Vec<Option<Json>>,
}

/// A runner's part in a loop.
pub(super) struct Worker {
    shared: Arc<Mutex<Rounds>>,
}

impl Worker {
    fn shared(&self) -> MutexGuard<'_, Rounds> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a round came to, and gives out the next one.
    pub(super) fn next(&self, done: Option<(u32, Json)>) -> Result<Json, Failure> {
        let mut shared = self.shared();
        if let Some((round, output)) = done
            && let Some(place) = shared.outputs.get_mut(round as usize)
        {
            *place = Some(output);
        }
        as_json(&shared.left.pop_front())
    }
}

impl Host {
    /// Has the rounds of a loop done. After one that fails no further one begins; those that go on come to their ends.
    pub(super) async fn rounds(&self, job: &Job, broker: &Broker, step_id: String, rounds: u32, at_once: u32) -> Result<Json, Failure> {
        let past = job.journal.past().await?;
        let shared = Arc::new(Mutex::new(Rounds { left: (0..rounds).collect(), outputs: vec![None; rounds as usize] }));
        let mut workers: FuturesUnordered<_> = (0..at_once.clamp(1, MAX_AT_ONCE).min(rounds))
            .map(|_| {
                let start = Start { past: past.clone(), round_of: Some(step_id.clone()), ..job.start.clone() };
                let job = Job {
                    program: Arc::clone(&job.program),
                    start,
                    grant: job.grant.clone(),
                    journal: Arc::clone(&job.journal),
                    cancel: job.cancel.child_token(),
                    deadline: job.deadline,
                };
                let broker = broker.beside(&job);
                // Boxed, as a runner that helps another is attended to like any other.
                Box::pin(self.work(job, broker, Some(Worker { shared: Arc::clone(&shared) })))
            })
            .collect();
        let mut failed: Option<ScriptError> = None;
        while let Some(outcome) = workers.next().await {
            let error = match outcome {
                Outcome::Succeeded(_) => continue,
                Outcome::Failed(error) => error,
                Outcome::Cancelled | Outcome::Resting => {
                    Failure::new(crate::error::Kind::Cancelled, "the run was cancelled while its loop went on").into()
                }
            };
            failed.get_or_insert(error);
            Worker { shared: Arc::clone(&shared) }.shared().left.clear();
        }
        if let Some(error) = failed {
            return as_json(&json!({ "failed": error }));
        }
        let outputs = std::mem::take(&mut Worker { shared }.shared().outputs);
        as_json(&std::collections::BTreeMap::from([("outputs", outputs)]))
    }
}

//! Schedules: what is due starts a run, once for each instant, whatever the clock does.
//!
//! The instant for which a run is meant is its key: a clock that is set back makes nothing due a second time. One that is set forward,
//! or a server that was off, leaves instants behind that were missed; what is done about them is the schedule's to say.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::fire::{Shot, json as text, may_pass};
use super::table::Known;
use crate::error::Failure;
use crate::runs::{Execute, Timestamp};
use crate::workflow::{CatchUp, Listens, Overlap, ScheduleStart};

/// However far off the next instant is, the clock is looked at so often: it may be set.
const LOOK: Duration = Duration::from_secs(1);
/// What waits for a run to end, or for a refusal to pass, is looked at so often.
const AGAIN: Duration = Duration::from_millis(200);
/// What is later than this was missed; microseconds.
const GRACE: i64 = 10_000_000;
/// So many instants are made up for, or wait, at most.
const MOST: usize = 100;

/// A schedule that is followed.
struct Planned {
    known: Arc<Known>,
    start: ScheduleStart,
    anchor: i64,
    /// What was due up to then is settled, or waits.
    last: i64,
    next: Option<i64>,
    /// Instants that are due, and whether each was missed.
    waiting: VecDeque<(i64, bool)>,
}

/// Follows all schedules until cancelled.
pub(super) async fn follow(inner: Arc<Inner>, cancel: CancellationToken) {
    let mut changes = inner.table.changes();
    let mut all: HashMap<Arc<str>, Planned> = HashMap::new();
    let (mut first, mut whole) = (true, false);
    loop {
        if !whole || changes.has_changed().unwrap_or_default() {
            changes.borrow_and_update();
            whole = plan(&inner, &mut all, first).await;
            first = first && !whole;
        }
        let now = inner.clock.now();
        let mut wait = if whole && all.is_empty() { Duration::from_secs(3600) } else { LOOK };
        for planned in all.values_mut() {
            if planned.next.is_some_and(|next| next <= now) {
                planned.come_due(&inner, now).await;
            }
            planned.fire(&inner).await;
            if !planned.waiting.is_empty() {
                wait = wait.min(AGAIN);
            }
            if let Some(next) = planned.next {
                wait = wait.min(Duration::from_micros(u64::try_from(next - now).unwrap_or_default()));
            }
        }
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                changes.mark_changed();
            }
            () = inner.clock.wait(wait) => {}
        }
    }
}

/// Takes in what changed, and says whether that was possible. What was armed when the server started goes on where it was; what is armed
/// later begins now.
async fn plan(inner: &Inner, all: &mut HashMap<Arc<str>, Planned>, first: bool) -> bool {
    let mut before = std::mem::take(all);
    let mut whole = true;
    for known in inner.table.all() {
        let Some(Listens::Schedule(start)) = known.listens.clone().filter(|_| known.is_armed()) else {
            known.status.set_next_due(None);
            continue;
        };
        let planned = match before.remove(&known.id) {
            Some(planned) if planned.start.spec == start.spec => Ok(Planned { known, start, ..planned }),
            _ => begin(inner, known, start, first).await,
        };
        match planned {
            Ok(planned) => {
                planned.known.status.set_next_due(planned.next);
                all.insert(Arc::clone(&planned.known.id), planned);
            }
            Err(failure) => {
                tracing::error!(error = %failure, "a schedule could not be read; it is tried again");
                whole = false;
            }
        }
    }
    whole
}

async fn begin(inner: &Inner, known: Arc<Known>, start: ScheduleStart, first: bool) -> Result<Planned, Failure> {
    let row = inner.store.schedule(&known.id, &start.spec, inner.clock.now(), !first).await?;
    let next = start.schedule.next(row.through, row.anchor);
    Ok(Planned { known, start, anchor: row.anchor, last: row.through, next, waiting: VecDeque::new() })
}

impl Planned {
    /// Decides about what came due.
    async fn come_due(&mut self, inner: &Inner, now: i64) {
        let (due, more) = self.start.schedule.due(self.last, now, self.anchor, MOST);
        let Some(newest) = due.last().copied() else { return };
        let missed = |instant: i64| instant < now - GRACE;
        if more || due.first().is_some_and(|first| missed(*first)) {
            tracing::info!(trigger_id = %self.known.id, count = due.len(), "a schedule was due while nobody looked");
        }
        let on_time = due.iter().any(|instant| !missed(*instant));
        let chosen = due.into_iter().filter(|instant| match self.start.catch_up {
            CatchUp::All => true,
            CatchUp::Latest if !on_time => *instant == newest,
            // One that is on time makes up for those before it.
            CatchUp::Latest | CatchUp::None => !missed(*instant),
        });
        self.waiting.extend(chosen.map(|instant| (instant, missed(instant))));
        while self.waiting.len() > MOST {
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            self.settle(inner, newest).await;
        }
        self.last = newest;
        self.next = self.start.schedule.next(newest, self.anchor);
        self.known.status.set_next_due(self.next);
    }

    /// Starts what waits, as far as it may.
    async fn fire(&mut self, inner: &Arc<Inner>) {
        while let Some((instant, missed)) = self.waiting.front().copied() {
            if self.start.overlap != Overlap::Allow && inner.store.trigger_is_running(&self.known.id).await.unwrap_or(true) {
                // One that makes up for a time that was missed waits for the one before it: it was not on time anyway.
                if self.start.overlap == Overlap::Queue || missed {
                    return;
                }
                tracing::info!(trigger_id = %self.known.id, "a schedule was due while its last run went on: nothing was started");
                self.settle(inner, instant).await;
                self.waiting.pop_front();
                continue;
            }
            match self.shoot(inner, instant).await {
                Ok(_) => self.known.status.set_note(&self.known.id, None),
                Err(failure) => {
                    self.known.status.set_note(&self.known.id, Some(failure.message.clone()));
                    if may_pass(&failure) {
                        return;
                    }
                    self.settle(inner, instant).await;
                }
            }
            self.waiting.pop_front();
        }
    }

    async fn shoot(&self, inner: &Arc<Inner>, instant: i64) -> Result<Shot, Failure> {
        let input = text(&json!({ "scheduled_at": Timestamp(instant) }))?;
        let execute = Execute { input, trigger: format!("schedule:{}", self.known.id), ..Execute::default() };
        inner.shoot(&self.known, Some(format!("{instant:020}")), None, execute).await
    }

    async fn settle(&self, inner: &Inner, through: i64) {
        if let Err(error) = inner.store.settle_schedule(&self.known.id, through).await {
            tracing::warn!(trigger_id = %self.known.id, %error, "it could not be put on record how far a schedule has come");
        }
    }
}

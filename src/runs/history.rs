//! Looking back, looking on, and stopping: records, events, cancel.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::event::{Event, replay};
use super::execute::Inner;
use super::live::Live;
use super::record::{Run, RunPage, RunStatus, RunSummary};
use super::{Error, Runs, Timestamp, values};
use crate::error::Failure;
use crate::store::runs::RunQuery;

/// Events of all runs that a listener to them may lag behind.
const EVERYONE_BUFFER: usize = 4096;

/// Which runs to list. Each field that is set narrows the list.
#[derive(Debug, Clone, Default)]
pub struct RunFilter {
    /// Of this stored workflow.
    pub workflow_id: Option<String>,
    /// Of the script at this path.
    pub script: Option<String>,
    /// In one of these statuses; empty for any.
    pub statuses: Vec<RunStatus>,
    /// Started by this (`webhook:orders`), or by anything of this kind (`webhook`).
    pub trigger: Option<String>,
    /// `workflow` or `script`.
    pub kind: Option<String>,
    /// Created at this moment or later.
    pub since: Option<Timestamp>,
    /// Created before this moment.
    pub until: Option<Timestamp>,
    /// With all these words (`word*`: words that begin so) in error, parameters, result or log.
    pub search: Option<String>,
    /// At most so many; 50 without it, never more than 500.
    pub limit: Option<u32>,
    /// Older than the run of this id.
    pub before: Option<String>,
}

impl Inner {
    /// What all runs have queued is committed before it is read, with the pictures that are just being written down.
    pub(super) async fn settle(&self) {
        self.runner.settled().await;
        drop(self.store.durable().await);
    }
}

impl Runs {
    /// The run of that id, as it stands.
    ///
    /// # Errors
    /// Where the database cannot be read; `PERMISSION_DENIED` where it is no run of [`Runs::only`].
    pub async fn get(&self, run_id: &str) -> Result<Option<Run>, Failure> {
        self.check_run(run_id).await?;
        self.inner.settle().await;
        let whole = self.inner.store.run_to_show(run_id, -1, values::SHOWN_WHOLE, values::at_its_url).await?;
        let queue = self.inner.queue.find(run_id);
        Ok(whole.map(|whole| Run { queue, ..whole.into() }))
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// `NOT_FOUND` where `before` names no run.
    pub async fn list(&self, filter: RunFilter) -> Result<RunPage, Failure> {
        // Without room on the disk, what is committed is still worth reading.
        drop(self.inner.store.durable().await);
        if filter.search.is_some() {
            drop(self.read_words().await);
        }
        let (rows, count) = self
            .inner
            .store
            .runs(
                RunQuery {
                    workflow_id: filter.workflow_id,
                    script: filter.script,
                    statuses: filter.statuses.iter().map(|status| status.as_str().to_owned()).collect(),
                    trigger: filter.trigger,
                    kind: filter.kind,
                    since: filter.since.map(|at| at.0),
                    until: filter.until.map(|at| at.0),
                    search: filter.search,
                    before: filter.before,
                    limit: filter.limit.unwrap_or(50).min(500),
                },
                values::at_its_url,
            )
            .await?;
        Ok(RunPage { runs: rows.into_iter().map(RunSummary::from).collect(), count })
    }

    /// Stops a run, whatever it is doing. Does not wait for its end.
    ///
    /// # Errors
    /// `NOT_FOUND`; `CONFLICT` where it is over; `PERMISSION_DENIED` where it is no run of [`Runs::only`].
    pub async fn cancel(&self, run_id: &str) -> Result<(), Failure> {
        self.check_run(run_id).await?;
        if let Some(live) = self.inner.find_live(run_id)
            && live.progress.borrow().ended.is_none()
        {
            live.cancelled.store(true, Ordering::Relaxed);
            live.cancel.cancel();
            return Ok(());
        }
        let id = run_id.to_owned();
        match self.inner.store.run(run_id).await? {
            None => Err(Error::NotFound { kind: "run", id }.into()),
            Some(row) => Err(Error::Finished { id, status: row.status }.into()),
        }
    }

    /// The run's events after event `after` (0 for all), then those to come; ends after `run_finished`. Nothing is left out, however
    /// slowly they are read.
    ///
    /// # Errors
    /// `NOT_FOUND`; `PERMISSION_DENIED` where it is no run of [`Runs::only`].
    pub async fn subscribe(&self, run_id: &str, after: u64) -> Result<impl Stream<Item = Event> + Send + use<>, Failure> {
        self.check_run(run_id).await?;
        let live = self.inner.find_live(run_id);
        let receiver = live.as_ref().map(|live| live.listen());
        let backlog = self.replay(run_id, after).await?;
        let backlog = backlog.ok_or_else(|| Error::NotFound { kind: "run", id: run_id.to_owned() })?;
        let reader = Reader { runs: self.clone(), run_id: run_id.to_owned(), backlog, receiver, _live: live, last: after, over: false };
        Ok(unfold(reader, |mut reader| async move { reader.next().await.map(|event| (event, reader)) }))
    }

    /// The events of all runs from now on. A reader that falls behind misses some, and is told so.
    pub fn subscribe_all(&self) -> broadcast::Receiver<Event> {
        self.inner.everyone.get_or_init(|| broadcast::Sender::new(EVERYONE_BUFFER)).subscribe()
    }

    /// What a run that goes on has queued is committed before it is read.
    async fn catch_up(&self, run_id: &str) {
        if self.inner.find_live(run_id).is_some() {
            drop(self.inner.store.durable().await);
        }
    }

    async fn replay(&self, run_id: &str, after: u64) -> Result<Option<VecDeque<Event>>, Failure> {
        self.catch_up(run_id).await;
        let after_id = i64::try_from(after).unwrap_or(i64::MAX);
        let whole = self.inner.store.run_to_show(run_id, after_id, u64::MAX, values::at_its_url).await?;
        Ok(whole.map(|whole| replay(whole, after).into()))
    }
}

/// Somebody who follows a run: first from the record, then live, and from the record again where it fell behind.
struct Reader {
    runs: Runs,
    run_id: String,
    backlog: VecDeque<Event>,
    receiver: Option<broadcast::Receiver<Event>>,
    /// Keeps the sender alive.
    _live: Option<Arc<Live>>,
    last: u64,
    over: bool,
}

impl Reader {
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        loop {
            let event = match self.backlog.pop_front() {
                Some(event) => event,
                None => match self.receiver.as_mut()?.recv().await {
                    Ok(event) => event,
                    Err(RecvError::Lagged(_)) => {
                        self.backlog = self.runs.replay(&self.run_id, self.last).await.ok()??;
                        continue;
                    }
                    Err(RecvError::Closed) => return None,
                },
            };
            if event.event_id > self.last {
                self.last = event.event_id;
                self.over = event.is_last();
                return Some(event);
            }
        }
    }
}

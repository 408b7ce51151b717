//! What becomes of a dropped file once its run is over: it goes to `done/` or `failed/` beside it, or it is deleted.
//!
//! What is still to be done is on record from the moment the run is, so that a crash in between changes nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::Inner;
use crate::error::{Failure, Kind};
use crate::failpoint;
use crate::files::{self, Aside};
use crate::policy::Access;
use crate::store::triggers::FollowUp;

/// Runs that go on are asked about so often, and less often the longer they do.
const LOOK: Duration = Duration::from_millis(100);
/// But at least so often.
const LOOK_AT_LEAST: Duration = Duration::from_secs(2);
/// What could not be done is tried again after so long.
const AGAIN: Duration = Duration::from_secs(5);
/// So many at a time.
const BATCH: usize = 500;

/// Does what is to be done, until cancelled.
pub(super) async fn follow(inner: Arc<Inner>, cancel: CancellationToken) {
    let mut failed: HashMap<i64, Instant> = HashMap::new();
    let mut look = LOOK;
    loop {
        let waiting = match round(&inner, &mut failed).await {
            Ok((waiting, dealt_with)) => {
                look = if dealt_with { LOOK } else { (look * 2).min(LOOK_AT_LEAST) };
                waiting
            }
            Err(failure) => {
                tracing::warn!(error = %failure, "files whose runs are over could not be dealt with; it is tried again");
                look = LOOK_AT_LEAST;
                true
            }
        };
        tokio::select! {
            biased;
            () = cancel.cancelled() => return,
            () = inner.pending.notified() => look = LOOK,
            () = tokio::time::sleep(look), if waiting => {}
        }
    }
}

/// Deals with the files whose runs are over; whether any waits, and whether any was dealt with.
async fn round(inner: &Arc<Inner>, failed: &mut HashMap<i64, Instant>) -> Result<(bool, bool), Failure> {
    let limit = u32::try_from(BATCH + failed.len()).unwrap_or(u32::MAX);
    let (due, waiting) = inner.store.follow_ups(limit).await?;
    let (mut gone, mut stay, mut dealt_with) = (Vec::new(), Vec::new(), Vec::new());
    for follow_up in due {
        if failed.get(&follow_up.id).is_some_and(|again| *again > Instant::now()) {
            continue;
        }
        match deal_with(inner, &follow_up).await {
            Ok(is_gone) => {
                failed.remove(&follow_up.id);
                if is_gone {
                    gone.push(follow_up.id)
                } else {
                    stay.push(follow_up.id)
                }
                dealt_with.push((follow_up.trigger_id, follow_up.key, is_gone));
            }
            Err(failure) => {
                failed.insert(follow_up.id, Instant::now() + AGAIN);
                if let Some(known) = inner.table.get(&follow_up.trigger_id) {
                    known.status.set_note(&known.id, Some(format!("{:?} stays for now: {}", follow_up.path, failure.message)));
                }
            }
        }
    }
    let any = !dealt_with.is_empty();
    if any {
        inner.store.followed_up(gone, stay).await?;
        for (trigger_id, key, is_gone) in dealt_with {
            inner.followed(trigger_id, key, is_gone);
        }
    }
    Ok((waiting > 0, any))
}

/// Whether the file is away now.
async fn deal_with(inner: &Inner, follow_up: &FollowUp) -> Result<bool, Failure> {
    let succeeded = follow_up.status.as_deref() == Some("succeeded");
    let moves = follow_up.after == "move";
    if !moves && !succeeded {
        return Ok(false);
    }
    let path = inner.grant.path(&follow_up.path, Access::Write)?;
    let stamp = follow_up.stamp.clone();
    let into = if succeeded { "done" } else { "failed" };
    let done =
        tokio::task::spawn_blocking(move || if moves { files::set_aside(&path, &stamp, into) } else { files::remove_same(&path, &stamp) });
    failpoint::here("follow_up.before");
    let done = done.await;
    failpoint::here("follow_up.after");
    match done {
        // One that holds something else by now has a run of its own, or gets it.
        Ok(Ok(Aside::Done | Aside::Gone | Aside::Another)) => Ok(true),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => Err(Failure::new(Kind::Internal, error.to_string())),
    }
}

//! What happens once at the start of the server, and what is tidied up from time to time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::Inner;
use super::fire::{json as text, may_pass};
use super::table::Known;
use crate::error::Failure;
use crate::runs::{Execute, Timestamp};
use crate::workflow::Listens;

/// It is tidied up so often.
const TIDY: Duration = Duration::from_secs(3600);
/// What was refused is tried again after so long.
const AGAIN: Duration = Duration::from_secs(1);
/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// Starts what is to be started with the server.
pub(super) async fn fire(inner: Arc<Inner>, cancel: CancellationToken) {
    let mut left: Vec<Arc<Known>> = inner.table.all();
    left.retain(|known| known.is_armed() && known.listens == Some(Listens::Startup));
    while !left.is_empty() {
        let mut again = Vec::new();
        for known in left {
            let shot = start(&inner, &known).await;
            known.status.set_note(&known.id, shot.as_ref().err().map(|failure| failure.message.clone()));
            if shot.is_err_and(|failure| may_pass(&failure)) {
                again.push(known);
            }
        }
        left = again;
        if left.is_empty() {
            return;
        }
        tokio::select! { () = cancel.cancelled() => return, () = tokio::time::sleep(AGAIN) => {} }
    }
}

async fn start(inner: &Arc<Inner>, known: &Known) -> Result<(), Failure> {
    let input = text(&json!({ "started_at": Timestamp(inner.clock.now()) }))?;
    let execute = Execute { input, trigger: format!("startup:{}", known.id), ..Execute::default() };
    inner.shoot(known, Some(inner.start_id.clone()), None, execute).await.map(drop)
}

/// Forgets what fired long ago, again and again until cancelled.
pub(super) async fn tidy(inner: Arc<Inner>, cancel: CancellationToken) {
    loop {
        if let Err(error) = forget(&inner).await {
            tracing::warn!(%error, "what fired long ago could not be forgotten; it is tried again");
        }
        tokio::select! { () = cancel.cancelled() => return, () = tokio::time::sleep(TIDY) => {} }
    }
}

async fn forget(inner: &Inner) -> Result<(), crate::store::Error> {
    let now = inner.clock.now();
    // An instant before the last one is settled, whether it is on record or not.
    inner.store.prune_firings("schedule", now - DAY).await?;
    inner.store.prune_firings("webhook", now - 30 * DAY).await?;
    inner.store.prune_firings("startup", now - DAY).await?;
    inner.store.prune_firings("screen", now - 30 * DAY).await?;
    let ids = inner.table.all().iter().map(|known| known.id.to_string()).collect();
    inner.store.prune_files(ids, now - 30 * DAY).await?;
    Ok(())
}

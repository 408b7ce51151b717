//! What is done for the record by and by, while the runs go on: old runs go, with what only they refer to; the words of finished ones
//! are put where they can be searched for.

use std::collections::HashSet;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures_util::future::OptionFuture;
use tokio_util::sync::CancellationToken;

use super::execute::Inner;
use super::{Runs, Timestamp};
use crate::error::Failure;
use crate::store;
use crate::store::retention::Keep;

/// How often there is a look at what is to be done.
const LOOK: Duration = Duration::from_secs(1);
/// Old runs are looked for every so many looks.
const LOOKS_FOR_OLD: u64 = 10;
/// Programs without runs are looked for every so many.
const LOOKS_FOR_PROGRAMS: u64 = 300;
/// Runs whose words are read in one transaction.
const WORDS_AT_ONCE: u32 = 64;

impl Runs {
    /// Keeps the record in order until `end`, in the background. Before that, files that a crash left behind are removed.
    pub fn tend(&self, end: CancellationToken) {
        let inner = Arc::downgrade(&self.inner);
        tokio::spawn(async move { end.clone().run_until_cancelled(tend(inner, end)).await });
    }

    /// Removes the runs that need not stay; gives how many.
    ///
    /// # Errors
    /// Where the database cannot be written.
    pub async fn remove_old(&self) -> Result<usize, Failure> {
        Ok(remove_old(&self.inner).await?)
    }

    /// Reads the words of all finished runs, so that a search finds them.
    pub(super) async fn read_words(&self) -> Result<(), Failure> {
        let store = &self.inner.store;
        while store.has_unread().await? && store.read_words(WORDS_AT_ONCE * 4).await? > 0 {}
        Ok(())
    }
}

async fn tend(inner: Weak<Inner>, end: CancellationToken) {
    let mut suspects = HashSet::new();
    let store = inner.upgrade().map(|inner| inner.store.clone());
    if let Some(Err(error)) = OptionFuture::from(store.as_ref().map(|store| store.examine(&end))).await {
        tracing::error!(%error, "nothing more is written");
    }
    drop(store);
    if let Some(inner) = inner.upgrade() {
        said("files of no run were not removed", inner.store.sweep_files().await, |count| {
            tracing::info!(count, "files that belong to no run were removed");
        });
    }
    let mut ended = 0;
    for look in 1_u64.. {
        tokio::time::sleep(LOOK).await;
        let Some(inner) = inner.upgrade() else { return };
        if inner.store.failing().is_some() {
            continue;
        }
        let now = inner.counts.all_ended();
        said("the words of finished runs were not read", words(&inner, now == ended).await, |_| {});
        ended = now;
        if look % LOOKS_FOR_OLD == 0 {
            said("old runs were not removed", remove_old(&inner).await, |count| {
                tracing::info!(count, "runs past the limits of age or number were removed");
            });
        }
        if look % LOOKS_FOR_PROGRAMS == 0 {
            // Gone only the second time, lest a run that just begins have put its trust in one.
            match inner.store.sweep_programs(&suspects).await {
                Ok(found) => suspects = found,
                Err(error) => tracing::warn!(%error, "programs of no run were not removed"),
            }
            inner.programs.off_record(&suspects);
        }
    }
}

fn said(what: &str, done: Result<usize, store::Error>, tell: impl FnOnce(usize)) {
    match done {
        Ok(0) => {}
        Ok(count) => tell(count),
        Err(error) => tracing::warn!(%error, "{what}"),
    }
}

/// Reads the words of finished runs: of all of them where no run ends at the moment, else of some.
async fn words(inner: &Inner, quiet: bool) -> Result<usize, store::Error> {
    if !inner.store.has_unread().await? {
        return Ok(0);
    }
    let mut read = 0;
    loop {
        let now = inner.store.read_words(WORDS_AT_ONCE).await?;
        read += now;
        if now == 0 || !quiet || inner.store.size().waiting > 0 {
            return Ok(read);
        }
    }
}

async fn remove_old(inner: &Inner) -> Result<usize, store::Error> {
    let age = inner.settings.kept_for.and_then(|age| i64::try_from(age.as_micros()).ok());
    let keep = Keep { count: inner.settings.kept, since: age.map(|age| Timestamp::now().0.saturating_sub(age)) };
    let mut removed = 0;
    loop {
        match inner.store.remove_old_runs(keep).await? {
            0 => return Ok(removed),
            some => removed += some,
        }
    }
}

//! `storage`: the database.

use futures_util::future::BoxFuture;

use super::blocking;
use crate::error::{Failure, Kind};
use crate::services::Service;
use crate::store::Store;

/// The database. A restart writes what waits, folds the write-ahead log into the file, closes every connection and opens them again.
/// Whoever writes or reads meanwhile waits for that moment; nothing is refused or lost.
pub(super) struct Database(pub(super) Store);

impl Service for Database {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let store = self.0.clone();
        Box::pin(blocking(move || Ok(store.wake()?)))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        let store = self.0.clone();
        Box::pin(async {
            let rested = blocking(move || {
                store.rest();
                Ok(())
            });
            drop(rested.await);
        })
    }

    fn crashed(&self) -> BoxFuture<'_, Failure> {
        Box::pin(async {
            self.0.crashed().await;
            Failure::new(Kind::Internal, "the thread that writes the database ended; what waits is written once it is up again")
        })
    }

    fn details(&self) -> String {
        if let Some(error) = self.0.failing() {
            return error.to_string();
        }
        let size = self.0.size();
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        format!(
            "{:.1} MiB, {:.1} MiB of them not folded in yet; {} waiting to be written; a restart writes, folds in and opens anew",
            mebibytes(size.database + size.log),
            mebibytes(size.log),
            size.waiting
        )
    }
}

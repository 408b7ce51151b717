//! Parts of the screen with names, kept in the database.

use futures_util::future::BoxFuture;

use crate::error::{Failure, Kind};
use crate::sight::{Book, NamedZone};
use crate::store::Store;

/// The database, as `sight` wants it.
pub(super) struct Kept(pub(super) Store);

impl Book for Kept {
    fn keep(&self, zone: NamedZone) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let text = serde_json::to_string(&zone)
                .map_err(|error| Failure::new(Kind::Internal, format!("a zone cannot be written down: {error}")))?;
            Ok(self.0.keep_zone(zone.name, text).await?)
        })
    }

    fn forget(&self, name: String) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { Ok(self.0.delete_zone(name).await?) })
    }
}

/// Those of earlier times. What cannot be read is left out, and stays on record.
pub(super) async fn read(store: &Store) -> Result<Vec<NamedZone>, Failure> {
    let readable = |(name, body): (String, String)| {
        let zone = serde_json::from_str(&body);
        zone.inspect_err(|error| tracing::warn!("the zone {name} of an earlier time is left out: {error}")).ok()
    };
    Ok(store.zones().await?.into_iter().filter_map(readable).collect())
}

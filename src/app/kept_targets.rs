//! The desktops beside the default one, kept in the database.

use futures_util::future::BoxFuture;

use crate::desktop::{Book, TargetSpec};
use crate::error::{Failure, Kind};
use crate::store::Store;

/// The database, as `desktop` wants it.
pub(super) struct Kept(pub(super) Store);

impl Book for Kept {
    fn keep(&self, spec: TargetSpec) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let text = serde_json::to_string(&spec)
                .map_err(|error| Failure::new(Kind::Internal, format!("a desktop cannot be written down: {error}")))?;
            Ok(self.0.create_target(spec.name, text).await?)
        })
    }

    fn forget(&self, name: String) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { Ok(self.0.delete_target(name).await?) })
    }
}

/// Those of earlier times. What cannot be read is left out, and stays on record.
pub(super) async fn read(store: &Store) -> Result<Vec<TargetSpec>, Failure> {
    let readable = |(name, spec): (String, String)| {
        let spec = serde_json::from_str(&spec);
        spec.inspect_err(|error| tracing::warn!("the desktop {name} that was asked for earlier is left out: {error}")).ok()
    };
    Ok(store.targets().await?.into_iter().filter_map(readable).collect())
}

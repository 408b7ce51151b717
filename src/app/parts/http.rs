//! `n8n_integration`: the client that calls webhooks of n8n, and everything else over HTTP.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::error::Failure;
use crate::fetch::Fetch;
use crate::services::Service;

/// The HTTP client. A restart builds it anew and closes the connections it kept.
pub(super) struct Requests(pub(super) Arc<Fetch>);

impl Service for Requests {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { Ok(self.0.rebuild()?) })
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        // Calls under way end with the token that they hold.
        Box::pin(async { self.0.close() })
    }

    fn details(&self) -> String {
        "ready to call".to_owned()
    }
}

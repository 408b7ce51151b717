//! `node`: the node types there are.

use std::sync::Arc;

use futures_util::future::BoxFuture;

use super::{blocking, counted};
use crate::error::Failure;
use crate::script::Library;
use crate::services::Service;
use crate::workflow::NodeTypes;

/// The node types. A restart reads their files again.
pub(super) struct Types(pub(super) Arc<Library>);

impl Service for Types {
    fn start(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let library = Arc::clone(&self.0);
        Box::pin(blocking(move || {
            library.reload();
            Ok(())
        }))
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {})
    }

    fn details(&self) -> String {
        let catalog = self.0.catalog();
        let own = catalog.own_node_types().count();
        format!("{}, {own} of them your own", counted(catalog.names().len(), "node type"))
    }
}

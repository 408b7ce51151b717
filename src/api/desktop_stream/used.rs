//! What is on record of a client's use of mouse and keyboard: that it begins, before the first of it, and how much of it there was.

use std::sync::Arc;

use serde_json::json;

use super::super::visit;
use super::Result;
use crate::audit::{Audit, Deed, Outcome};
use crate::desktop::Action;

/// One client's use of mouse and keyboard. What came of it is on record when this is dropped.
pub(super) struct Used {
    audit: Arc<Audit>,
    id: i64,
    actions: u64,
    moves: u64,
}

impl Used {
    /// Notes that it begins.
    pub(super) async fn begin(audit: &Arc<Audit>, target: Option<&str>) -> Result<Self> {
        let id = audit.begin(deed("desktop.input", target)).await?;
        Ok(Self { audit: Arc::clone(audit), id, actions: 0, moves: 0 })
    }

    /// One more action.
    pub(super) fn count(&mut self, action: &Action) {
        match action {
            Action::Move(_) => self.moves += 1,
            _ => self.actions += 1,
        }
    }
}

impl Drop for Used {
    fn drop(&mut self) {
        self.audit.end(self.id, Outcome::Ok, json!({ "actions": self.actions, "moves": self.moves }));
    }
}

/// Something that the client of this socket does.
pub(super) fn deed(action: &str, target: Option<&str>) -> Deed {
    let details = json!({ "request_id": visit::request_id() });
    Deed { actor: visit::actor(), action: action.to_owned(), target: target.map(str::to_owned), details }
}

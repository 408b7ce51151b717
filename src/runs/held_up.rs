//! A run that cannot use mouse and keyboard, as a person is at the controls: it is shown to wait, in its record as well.

use std::sync::Arc;

use serde_json::json;

use super::Timestamp;
use super::event::Happening;
use super::live::Live;
use super::record::{Awaited, RunStatus};
use crate::store::runs::{NewWait, Write};

/// What such a wait is called.
pub(super) const KIND: &str = "control";
/// Why it waits.
pub(super) const REASON: &str = "person at the controls";

/// The wait, until it is dropped.
pub(super) struct HeldUp {
    live: Arc<Live>,
    id: String,
    step_id: Option<String>,
}

/// Shows that a run waits for that person.
pub(super) fn show(live: &Arc<Live>, person: &str) -> HeldUp {
    let (wait_id, now) = (uuid::Uuid::now_v7().to_string(), Timestamp::now());
    let details = json!({ "reason": REASON, "holder": person });
    let mut state = live.state();
    let step_id = state.step().map(str::to_owned);
    state.held_up = Some(person.to_owned());
    let id = state.number();
    let row = NewWait {
        id: wait_id.clone(),
        run: live.key,
        // No place within the script: it is not gone on with by this.
        place: format!("{KIND}:{wait_id}"),
        step_id: step_id.clone(),
        kind: KIND,
        request: json!({ "what": { KIND: details } }).to_string(),
        hold: true,
        due: None,
        until: None,
        created_at: now.0,
        start_event: id,
    };
    live.write(&mut state, Write::Wait(Box::new(row)));
    live.tell(&state, id, now.0, || Happening::WaitStarted {
        wait: Awaited { id: wait_id.clone(), kind: KIND.to_owned(), step_id: step_id.clone(), details, since: now, until: None },
    });
    drop(state);
    live.shows(RunStatus::Waiting);
    HeldUp { live: Arc::clone(live), id: wait_id, step_id }
}

impl Drop for HeldUp {
    fn drop(&mut self) {
        let live = &self.live;
        let mut state = live.state();
        state.held_up = None;
        if state.closed() {
            return;
        }
        let (event, at) = (state.number(), Timestamp::now().0);
        live.write(&mut state, Write::WaitOver { id: self.id.clone(), event, at });
        live.tell(&state, event, at, || Happening::WaitFinished {
            wait_id: self.id.clone(),
            kind: KIND.to_owned(),
            step_id: self.step_id.clone(),
        });
        drop(state);
        live.shows(RunStatus::Running);
    }
}

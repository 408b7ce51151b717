//! What can be done at a desktop, as one thing that waits its turn.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Desktop, Error, Lease};
use crate::input::{Click, Drag, Hold, Hotkey, Input, KeyHold, Move, Press, Scroll, TypeText};

/// How long an action waits for a run, or for somebody else, to be done with mouse and keyboard.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Something done with mouse or keyboard.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Move the pointer.
    Move(Move),
    /// Click.
    Click(Click),
    /// Press at one point, release at another.
    Drag(Drag),
    /// Turn the wheel.
    Scroll(Scroll),
    /// Press a button and keep it down.
    ButtonDown(Hold),
    /// Let a button go.
    ButtonUp(Hold),
    /// Type a text.
    Type(TypeText),
    /// Press a key.
    Press(Press),
    /// Press several keys together.
    Hotkey(Hotkey),
    /// Press a key and keep it down.
    KeyDown(KeyHold),
    /// Let a key go.
    KeyUp(KeyHold),
}

impl Action {
    /// Does it, and says how many characters were typed.
    pub(super) fn perform(&self, input: &Input, cancel: &CancellationToken) -> Result<u64, crate::input::Error> {
        match self {
            Self::Type(text) => return input.type_text(text, cancel),
            Self::Move(to) => input.move_to(to, cancel)?,
            Self::Click(click) => input.click(click, cancel)?,
            Self::Drag(drag) => input.drag(drag, cancel)?,
            Self::Scroll(scroll) => input.scroll(scroll)?,
            Self::ButtonDown(hold) => input.down(hold)?,
            Self::ButtonUp(hold) => input.up(hold)?,
            Self::Press(press) => input.press(press, cancel)?,
            Self::Hotkey(hotkey) => input.hotkey(hotkey)?,
            Self::KeyDown(key) => input.key_down(key)?,
            Self::KeyUp(key) => input.key_up(key)?,
        }
        Ok(0)
    }
}

impl Desktop {
    /// The lease for somebody who waits at the other end of a connection: it comes soon or not at all.
    ///
    /// # Errors
    /// [`Error::InUse`] where the turn does not come within [`PATIENCE`]; [`Error::Cancelled`].
    pub async fn lease_soon(&self, who: &str, cancel: &CancellationToken) -> Result<Lease, Error> {
        self.turn.within(who, PATIENCE, cancel).await
    }

    /// Does something once it is `who`'s turn, and says how many characters were typed. Dropped or cancelled, it stops, and lets go of
    /// what it pressed.
    ///
    /// # Errors
    /// [`Error::InUse`] where the turn does not come within [`PATIENCE`]; what [`Input`] says of the action.
    pub async fn act(self: &Arc<Self>, who: &str, action: Action, cancel: &CancellationToken) -> Result<u64, Error> {
        let lease = self.lease_soon(who, cancel).await?;
        self.act_with(lease, action, cancel).await.0
    }

    /// The same for who has the turn already, and gets it back.
    pub(super) async fn act_with(
        self: &Arc<Self>,
        lease: Lease,
        action: Action,
        cancel: &CancellationToken,
    ) -> (Result<u64, Error>, Option<Lease>) {
        let (desktop, stop) = (Arc::clone(self), cancel.child_token());
        let _gone = stop.clone().drop_guard();
        // The lease goes along: whoever stops waiting for this, it is over only when nothing is pressed any more.
        let work = tokio::task::spawn_blocking(move || (action.perform(desktop.input(), &stop), lease));
        match work.await {
            Ok((done, lease)) => (done.map_err(Error::from), Some(lease)),
            Err(_) => (Err(Error::Ended("an action")), None),
        }
    }
}

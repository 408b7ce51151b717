//! What can be done at a desktop, as one thing that waits its turn.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Acting, Desktop, Error, Lease, Who};
use crate::input::{Click, Drag, Hold, Hotkey, Input, KeyHold, Move, Physical, Press, Scroll, TypeText};

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
    /// Press the key at a place of the keyboard and let it go.
    CodePress(Physical),
    /// Press the key at a place of the keyboard and keep it down.
    CodeDown(Physical),
    /// Let the key at a place of the keyboard go.
    CodeUp(Physical),
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
            Self::CodePress(key) => input.code_press(*key)?,
            Self::CodeDown(key) => input.code_down(*key)?,
            Self::CodeUp(key) => input.code_up(*key)?,
        }
        Ok(0)
    }
}

impl Desktop {
    /// The turn for somebody who waits at the other end of a connection: it comes soon or not at all. An emergency stop sets `stop`.
    ///
    /// # Errors
    /// [`Error::Controlled`] where a person is at the controls who is not `who`; [`Error::InUse`] where the turn does not come within
    /// [`PATIENCE`]; [`Error::Cancelled`].
    pub async fn turn_soon(&self, who: Who, stop: &CancellationToken) -> Result<Acting, Error> {
        self.turn.soon(who, stop, PATIENCE).await
    }

    /// The same for who has kept its place since the last time, if it did.
    ///
    /// # Errors
    /// As [`Desktop::turn_soon`]; [`Error::Stopped`] where an emergency stop came in between.
    pub async fn turn_again(&self, lease: Option<Lease>, who: &Who, stop: &CancellationToken) -> Result<Acting, Error> {
        self.turn.again(lease, who.clone(), stop, PATIENCE).await
    }

    /// Does something once it is `who`'s turn, and says how many characters were typed. Dropped or cancelled, it stops, and lets go of
    /// what it pressed.
    ///
    /// # Errors
    /// As [`Desktop::turn_soon`]; what [`Input`] says of the action.
    pub async fn act(self: &Arc<Self>, who: impl Into<Who>, action: Action, cancel: &CancellationToken) -> Result<u64, Error> {
        let stop = cancel.child_token();
        let acting = self.turn_soon(who.into(), &stop).await?;
        self.act_with(acting, action, stop).await.0
    }

    /// The same for who has the turn already, and gets it back. `stop` is set when nobody waits for it any more.
    pub(super) async fn act_with(
        self: &Arc<Self>,
        acting: Acting,
        action: Action,
        stop: CancellationToken,
    ) -> (Result<u64, Error>, Option<Acting>) {
        let desktop = Arc::clone(self);
        let _gone = stop.clone().drop_guard();
        // The turn goes along: whoever stops waiting for this, it is over only when nothing is pressed any more.
        let work = tokio::task::spawn_blocking(move || (action.perform(desktop.input(), &stop), acting));
        match work.await {
            Ok((done, acting)) => (acting.outcome(done.map_err(Error::from)), Some(acting)),
            Err(_) => (Err(Error::Ended("an action")), None),
        }
    }
}

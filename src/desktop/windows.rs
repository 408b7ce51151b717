//! What concerns a window and something else of its desktop: its picture, and whose turn it is to move it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::{Desktop, Error, Who};
use crate::screen::{Extent, Frame, Region};
use crate::windows::{Act, Window};

impl Desktop {
    /// A picture of a window with its frame, and how much of it that is. It is not raised for it.
    ///
    /// # Errors
    /// What [`crate::windows::Windows`] says of a window that is not there, and [`crate::screen::Screen`] of one that is put away.
    pub fn capture_window(&self, id: u32) -> Result<(Frame, Extent), Error> {
        let Window { x, y, width, height, .. } = self.windows.get(id)?;
        Ok(self.screen.capture_window(id, Region { x, y, width, height })?)
    }

    /// Does something with a window once it is `who`'s turn, and says what the window is like then; `None` where it has closed. Dropped or
    /// cancelled, it waits no longer for the window.
    ///
    /// # Errors
    /// As [`Desktop::turn_soon`]; what [`crate::windows::Windows`] says.
    pub async fn act_on_window(
        self: &Arc<Self>,
        who: impl Into<Who>,
        id: u32,
        act: Act,
        cancel: &CancellationToken,
    ) -> Result<Option<Window>, Error> {
        let stop = cancel.child_token();
        let acting = self.turn_soon(who.into(), &stop).await?;
        let desktop = Arc::clone(self);
        let _gone = stop.clone().drop_guard();
        let work = move || acting.outcome(desktop.windows.act(id, act, &stop).map_err(Error::from));
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Ended("an action"))?
    }
}

//! Notices that the clipboard of an X display has changed hands: XFixes says so, and nothing is asked meanwhile.

use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;
use x11rb::connection::Connection as _;
use x11rb::protocol::Event;
use x11rb::protocol::xfixes::{ConnectionExt as _, SelectionEventMask};
use x11rb::protocol::xproto::{ClientMessageEvent, ConnectionExt as _, EventMask};

use super::x11::{Link, Lost};

/// Listens until it is dropped.
pub(super) struct Follower {
    link: Arc<Link>,
    changes: watch::Sender<u64>,
    thread: Option<JoinHandle<()>>,
}

impl Follower {
    pub(super) fn start(display: &str) -> Result<Self, Lost> {
        let link = Arc::new(Link::open(display)?);
        let connection = &link.connection;
        connection.xfixes_query_version(5, 0)?.reply()?;
        let mask = SelectionEventMask::SET_SELECTION_OWNER
            | SelectionEventMask::SELECTION_WINDOW_DESTROY
            | SelectionEventMask::SELECTION_CLIENT_CLOSE;
        connection.xfixes_select_selection_input(link.window, link.atoms.CLIPBOARD, mask)?.check()?;
        let changes = watch::Sender::new(0);
        let (heard, told) = (Arc::clone(&link), changes.clone());
        let thread = std::thread::Builder::new()
            .name("clipboard-changes".to_owned())
            .spawn(move || {
                loop {
                    match heard.connection.wait_for_event() {
                        Ok(Event::ClientMessage(message)) if message.type_ == heard.atoms.TRAE_STOP => return,
                        Ok(Event::XfixesSelectionNotify(_)) => told.send_modify(|changes| *changes += 1),
                        Ok(_) => {}
                        // The display is gone, which others notice as well.
                        Err(_) => return,
                    }
                }
            })
            .map_err(|error| Lost(error.to_string()))?;
        Ok(Self { link, changes, thread: Some(thread) })
    }

    /// Whether it still hears anything.
    pub(super) fn is_alive(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let Link { connection, window, atoms } = &*self.link;
        let stop = ClientMessageEvent::new(32, *window, atoms.TRAE_STOP, [0u32; 5]);
        let sent = connection.send_event(false, *window, EventMask::NO_EVENT, stop).and_then(|cookie| {
            cookie.ignore_error();
            connection.flush()
        });
        if let Some(thread) = self.thread.take()
            && (sent.is_ok() || thread.is_finished())
        {
            let _ = thread.join();
        }
    }
}

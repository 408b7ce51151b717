//! The side of an X clipboard that holds a text: a thread that answers whoever asks for it, until somebody else copies something.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use x11rb::connection::Connection;
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ClientMessageEvent, ConnectionExt as _, EventMask, PropMode, Property,
    SELECTION_NOTIFY_EVENT, SelectionNotifyEvent, SelectionRequestEvent, Window,
};
use x11rb::wrapper::ConnectionExt as _;

use super::x11::{Link, Lost};

/// Longer texts go in pieces of this many bytes.
const PIECE: usize = 256 * 1024;
/// How long a program may take to fetch the next piece.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many programs are served in pieces at the same time.
const READERS: usize = 64;

/// Holds the clipboard of a display. Stops with its drop.
pub(super) struct Owner {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    link: Link,
    text: Mutex<Arc<str>>,
    alive: AtomicBool,
}

/// A text on its way in pieces.
struct Transfer {
    text: Arc<str>,
    sent: usize,
    kind: Atom,
    since: Instant,
}

impl Owner {
    pub(super) fn start(display: &str) -> Result<Self, Lost> {
        let shared = Arc::new(Shared { link: Link::open(display)?, text: Mutex::new(Arc::from("")), alive: AtomicBool::new(true) });
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("clipboard".to_owned())
            .spawn(move || {
                if let Err(Lost(reason)) = served.serve() {
                    tracing::debug!("the clipboard's display is gone: {reason}");
                }
                served.alive.store(false, Ordering::Release);
            })
            .map_err(|error| Lost(error.to_string()))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    pub(super) fn is_alive(&self) -> bool {
        self.shared.alive.load(Ordering::Acquire)
    }

    /// Makes `text` what the clipboard holds.
    pub(super) fn take(&self, text: &str) -> Result<(), Lost> {
        *self.shared.text.lock().unwrap_or_else(PoisonError::into_inner) = Arc::from(text);
        let Link { connection, window, atoms } = &self.shared.link;
        connection.set_selection_owner(*window, atoms.CLIPBOARD, x11rb::CURRENT_TIME)?.ignore_error();
        let owner = connection.get_selection_owner(atoms.CLIPBOARD)?.reply()?.owner;
        if owner == *window { Ok(()) } else { Err(Lost("another program took it at the same moment, try again".to_owned())) }
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let Link { connection, window, atoms } = &self.shared.link;
        let stop = ClientMessageEvent::new(32, *window, atoms.TRAE_STOP, [0u32; 5]);
        let sent = connection.send_event(false, *window, EventMask::NO_EVENT, stop).and_then(|cookie| {
            cookie.ignore_error();
            connection.flush()
        });
        if let Some(thread) = self.thread.take()
            && (sent.is_ok() || !self.is_alive())
        {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn serve(&self) -> Result<(), Lost> {
        let mut transfers: HashMap<(Window, Atom), Transfer> = HashMap::new();
        loop {
            // Not a wait on the socket: the thread that sets a text may read this one's events from it while it waits for an answer.
            let event = self.link.connection.wait_for_event()?;
            transfers.retain(|_, transfer| transfer.since.elapsed() < PATIENCE);
            match event {
                Event::ClientMessage(message) if message.type_ == self.link.atoms.TRAE_STOP => return Ok(()),
                Event::SelectionRequest(request) => self.answer(&request, &mut transfers)?,
                Event::PropertyNotify(event) if event.state == Property::DELETE => {
                    self.next_piece((event.window, event.atom), &mut transfers)?;
                }
                // A program that was served, or asked to be, may be gone by now: its window's errors are not ours.
                _ => {}
            }
        }
    }

    fn answer(&self, request: &SelectionRequestEvent, transfers: &mut HashMap<(Window, Atom), Transfer>) -> Result<(), Lost> {
        let Link { connection, atoms, .. } = &self.link;
        // Old programs leave the place open; by convention it is then named as the form.
        let place = if request.property == x11rb::NONE { request.target } else { request.property };
        let text = Arc::clone(&self.text.lock().unwrap_or_else(PoisonError::into_inner));
        let string = u32::from(AtomEnum::STRING);
        let unicode = [atoms.UTF8_STRING, atoms.TEXT_PLAIN_UTF8, atoms.TEXT_PLAIN, atoms.TEXT];
        let mut given = true;
        if request.target == atoms.TARGETS {
            let forms = [&[atoms.TARGETS][..], &unicode, &[string]].concat();
            connection.change_property32(PropMode::REPLACE, request.requestor, place, AtomEnum::ATOM, &forms)?.ignore_error();
        } else if unicode.contains(&request.target) {
            let kind = if request.target == atoms.TEXT { atoms.UTF8_STRING } else { request.target };
            if text.len() > PIECE {
                given = transfers.len() < READERS;
                if given {
                    self.begin(request.requestor, place, kind, text, transfers)?;
                }
            } else {
                connection.change_property8(PropMode::REPLACE, request.requestor, place, kind, text.as_bytes())?.ignore_error();
            }
        } else if request.target == string && text.len() <= PIECE {
            // Latin-1 by definition: what it has not becomes a question mark.
            let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect();
            connection.change_property8(PropMode::REPLACE, request.requestor, place, string, &bytes)?.ignore_error();
        } else {
            given = false;
        }
        let answer = SelectionNotifyEvent {
            response_type: SELECTION_NOTIFY_EVENT,
            sequence: 0,
            time: request.time,
            requestor: request.requestor,
            selection: request.selection,
            target: request.target,
            property: if given { place } else { x11rb::NONE },
        };
        connection.send_event(false, request.requestor, EventMask::NO_EVENT, answer)?.ignore_error();
        connection.flush()?;
        Ok(())
    }

    fn begin(
        &self,
        to: Window,
        place: Atom,
        kind: Atom,
        text: Arc<str>,
        transfers: &mut HashMap<(Window, Atom), Transfer>,
    ) -> Result<(), Lost> {
        let Link { connection, window, atoms } = &self.link;
        if to != *window {
            let wanted = ChangeWindowAttributesAux::new().event_mask(EventMask::PROPERTY_CHANGE);
            connection.change_window_attributes(to, &wanted)?.ignore_error();
        }
        let size = u32::try_from(text.len()).unwrap_or(u32::MAX);
        connection.change_property32(PropMode::REPLACE, to, place, atoms.INCR, &[size])?.ignore_error();
        transfers.insert((to, place), Transfer { text, sent: 0, kind, since: Instant::now() });
        Ok(())
    }

    fn next_piece(&self, to: (Window, Atom), transfers: &mut HashMap<(Window, Atom), Transfer>) -> Result<(), Lost> {
        let Some(transfer) = transfers.get_mut(&to) else { return Ok(()) };
        let end = (transfer.sent + PIECE).min(transfer.text.len());
        let piece = transfer.text.as_bytes().get(transfer.sent..end).unwrap_or_default();
        let connection = &self.link.connection;
        connection.change_property8(PropMode::REPLACE, to.0, to.1, transfer.kind, piece)?.ignore_error();
        connection.flush()?;
        transfer.sent = end;
        transfer.since = Instant::now();
        if piece.is_empty() {
            transfers.remove(&to);
        }
        Ok(())
    }
}

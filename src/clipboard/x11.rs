//! The clipboard of an X display: reading what another program holds, and handing what we hold to [`super::x11_owner`].
//!
//! X has no place for a text: whoever copied it keeps it and is asked for it, in pieces if it is long (`INCR`).

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec};
use x11rb::connection::Connection;
use x11rb::errors::{ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, GetPropertyReply, Property, Window, WindowClass,
};
use x11rb::rust_connection::RustConnection;

use super::x11_follow::Follower;
use super::x11_owner::Owner;
use super::{Changes, Error, LONGEST};

/// How often what is on the clipboard may change while it is read.
const CHANGES: u32 = 5;
/// How long the holder of the text may take for each of its answers.
const PATIENCE: Duration = Duration::from_secs(3);

x11rb::atom_manager! {
    /// Names that the two sides of a clipboard use.
    pub(super) Atoms: AtomsCookie {
        CLIPBOARD,
        INCR,
        TARGETS,
        TEXT,
        UTF8_STRING,
        TEXT_PLAIN: b"text/plain",
        TEXT_PLAIN_UTF8: b"text/plain;charset=utf-8",
        TRAE_CLIPBOARD,
        TRAE_STOP,
    }
}

/// A connection with a window of its own, which is what takes part in a transfer.
pub(super) struct Link {
    pub(super) connection: RustConnection,
    pub(super) window: Window,
    pub(super) atoms: Atoms,
}

/// What went wrong on the way.
#[derive(Debug)]
pub(super) struct Lost(pub(super) String);

macro_rules! lost_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Lost {
            fn from(error: $error) -> Self {
                Self(error.to_string())
            }
        }
    )*};
}
lost_from!(ConnectionError, ReplyError, ReplyOrIdError, x11rb::errors::ConnectError, rustix::io::Errno);

impl Link {
    pub(super) fn open(display: &str) -> Result<Self, Lost> {
        let (connection, number) = RustConnection::connect(Some(display))?;
        let root = connection.setup().roots.get(number).ok_or_else(|| Lost("it has no such screen".to_owned()))?.root;
        let atoms = Atoms::new(&connection)?.reply()?;
        let window = connection.generate_id()?;
        let wanted = CreateWindowAux::new().event_mask(EventMask::PROPERTY_CHANGE);
        connection.create_window(0, window, root, 0, 0, 1, 1, 0, WindowClass::INPUT_ONLY, 0, &wanted)?.check()?;
        Ok(Self { connection, window, atoms })
    }

    /// The next event before `end`.
    pub(super) fn event_until(&self, end: Instant) -> Result<Option<Event>, Lost> {
        loop {
            if let Some(event) = self.connection.poll_for_event()? {
                return Ok(Some(event));
            }
            self.connection.flush()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let timeout = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
            let mut ready = [PollFd::new(self.connection.stream(), PollFlags::IN)];
            match rustix::event::poll(&mut ready, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub(super) struct X11 {
    display: String,
    owner: Mutex<Option<Owner>>,
    /// As long as anybody wants to hear of changes.
    follower: Mutex<Weak<Follower>>,
}

impl X11 {
    pub(super) fn open(display: String) -> Result<Self, Error> {
        let this = Self { display, owner: Mutex::default(), follower: Mutex::new(Weak::new()) };
        this.link()?;
        Ok(this)
    }

    fn link(&self) -> Result<Link, Error> {
        Link::open(&self.display).map_err(|error| self.unavailable(error))
    }

    fn unavailable(&self, error: Lost) -> Error {
        Error::Unavailable { display: self.display.clone(), reason: error.0 }
    }

    pub(super) fn changes(&self) -> Result<Changes, Error> {
        let mut slot = self.follower.lock().unwrap_or_else(PoisonError::into_inner);
        let follower = match slot.upgrade().filter(|follower| follower.is_alive()) {
            Some(follower) => follower,
            None => {
                let follower = Arc::new(Follower::start(&self.display).map_err(|error| self.unavailable(error))?);
                *slot = Arc::downgrade(&follower);
                follower
            }
        };
        Ok(Changes { heard: follower.changes(), _follower: Some(follower) })
    }

    pub(super) fn set(&self, text: &str) -> Result<(), Error> {
        let mut slot = self.owner.lock().unwrap_or_else(PoisonError::into_inner);
        // One that lost its connection is replaced: the display was restarted.
        if slot.as_ref().is_some_and(|owner| owner.is_alive() && owner.take(text).is_ok()) {
            return Ok(());
        }
        *slot = None;
        let owner = Owner::start(&self.display).map_err(|error| self.unavailable(error))?;
        owner.take(text).map_err(|error| Error::Failed(error.0))?;
        *slot = Some(owner);
        Ok(())
    }

    pub(super) fn get(&self) -> Result<String, Error> {
        let link = self.link()?;
        let mut holder = self.holder(&link)?;
        for _ in 0..CHANGES {
            if holder == x11rb::NONE {
                return Ok(String::new());
            }
            let text = self.text(&link);
            let since = self.holder(&link)?;
            if since == holder {
                return text;
            }
            // What one program offered, another one was asked for.
            holder = since;
        }
        Err(Error::Silent)
    }

    /// The window of the program that holds what is on the clipboard.
    fn holder(&self, link: &Link) -> Result<Window, Error> {
        let asked = link.connection.get_selection_owner(link.atoms.CLIPBOARD).map_err(Lost::from);
        let holder = asked.and_then(|cookie| Ok(cookie.reply()?)).map_err(|error| self.unavailable(error))?;
        Ok(holder.owner)
    }

    fn text(&self, link: &Link) -> Result<String, Error> {
        let string = u32::from(AtomEnum::STRING);
        let forms = [link.atoms.UTF8_STRING, link.atoms.TEXT_PLAIN_UTF8, link.atoms.TEXT_PLAIN, string];
        // Asked first: some programs hand over a picture whatever form one asks for. Those that do not answer this have a text.
        let offered = self.convert(link, link.atoms.TARGETS)?;
        let offered: Option<Vec<Atom>> = offered.map(|bytes| {
            let (words, _) = bytes.as_chunks::<4>();
            words.iter().map(|word| Atom::from_ne_bytes(*word)).collect()
        });
        for form in forms {
            if offered.as_ref().is_some_and(|offered| !offered.contains(&form)) {
                continue;
            }
            if let Some(bytes) = self.convert(link, form)? {
                let latin1 = form == string;
                return Ok(if latin1 { bytes.into_iter().map(char::from).collect() } else { String::from_utf8_lossy(&bytes).into_owned() });
            }
        }
        Err(Error::NotText)
    }

    /// Asks the holder for its content in one form; `None` where it has no such form.
    fn convert(&self, link: &Link, target: Atom) -> Result<Option<Vec<u8>>, Error> {
        match transfer(link, target) {
            Ok(answer) => answer,
            Err(error) => Err(self.unavailable(error)),
        }
    }
}

fn transfer(link: &Link, target: Atom) -> Result<Result<Option<Vec<u8>>, Error>, Lost> {
    let Link { connection, window, atoms } = link;
    connection.delete_property(*window, atoms.TRAE_CLIPBOARD)?.ignore_error();
    connection.convert_selection(*window, atoms.CLIPBOARD, target, atoms.TRAE_CLIPBOARD, x11rb::CURRENT_TIME)?.ignore_error();
    let end = Instant::now() + PATIENCE;
    loop {
        match link.event_until(end)? {
            None => return Ok(Err(Error::Silent)),
            Some(Event::SelectionNotify(answer)) if answer.requestor == *window && answer.target == target => {
                if answer.property == x11rb::NONE {
                    return Ok(Ok(None));
                }
                break;
            }
            Some(_) => {}
        }
    }
    let first = take(link)?;
    if first.type_ != atoms.INCR {
        return Ok(if first.value.len() > LONGEST || first.bytes_after > 0 { Err(Error::TooLarge) } else { Ok(Some(first.value)) });
    }
    // Taking the first piece away asked for the next; an empty one ends it.
    let mut all = Vec::new();
    loop {
        let end = Instant::now() + PATIENCE;
        loop {
            match link.event_until(end)? {
                None => return Ok(Err(Error::Silent)),
                Some(Event::PropertyNotify(e)) if e.atom == atoms.TRAE_CLIPBOARD && e.state == Property::NEW_VALUE => break,
                Some(_) => {}
            }
        }
        let piece = take(link)?;
        if piece.value.is_empty() {
            return Ok(Ok(Some(all)));
        }
        all.extend_from_slice(&piece.value);
        if all.len() > LONGEST {
            return Ok(Err(Error::TooLarge));
        }
    }
}

/// Reads what was put into our window, and takes it away.
fn take(link: &Link) -> Result<GetPropertyReply, Lost> {
    let words = u32::try_from(LONGEST / 4 + 1).unwrap_or(u32::MAX);
    let property = link.connection.get_property(true, link.window, link.atoms.TRAE_CLIPBOARD, AtomEnum::ANY, 0, words)?;
    Ok(property.reply()?)
}

//! Mouse and keyboard of an X display, through XTEST.
//!
//! The connection is opened anew when it breaks, so that a restarted X server is found again at the next use.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use x11rb::connection::Connection;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xkb::ConnectionExt as _;
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use super::x11_keys::Keys;
use super::{Area, Backend, Button, Ear, Error, Footprints, Key, Listening, Physical, Point, Wheel, x11_listen};

/// Event types that XTEST makes.
pub(super) const KEY_PRESS: u8 = 2;
pub(super) const KEY_RELEASE: u8 = 3;
const BUTTON_PRESS: u8 = 4;
const BUTTON_RELEASE: u8 = 5;
const MOTION: u8 = 6;
/// Buttons that the wheel is, as X counts them.
const WHEEL_UP: u8 = 4;
/// Steps of the wheel between two answers from the server, so that no buffer overflows.
const STEPS: u32 = 100;

/// What went wrong while talking to the server.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection is gone; another may work.
    Connection(String),
    /// Anything else, already said in this room's words.
    Other(Error),
}

impl From<ConnectionError> for Broken {
    fn from(error: ConnectionError) -> Self {
        Self::Connection(error.to_string())
    }
}

impl From<ReplyError> for Broken {
    fn from(error: ReplyError) -> Self {
        match error {
            ReplyError::ConnectionError(error) => error.into(),
            ReplyError::X11Error(error) => Self::Other(Error::Failed(format!("the X server says {:?}", error.error_kind))),
        }
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// One connection and what belongs to it.
pub(super) struct Session {
    pub(super) connection: Arc<RustConnection>,
    pub(super) root: Window,
    has_monitors: bool,
    keys: Keys,
}

pub(super) struct X11 {
    display: String,
    session: Mutex<Option<Arc<Session>>>,
    footprints: Arc<Footprints>,
}

impl X11 {
    pub(super) fn open(display: String) -> Result<Self, Error> {
        let this = Self { display, session: Mutex::default(), footprints: Arc::default() };
        this.session()?;
        Ok(this)
    }

    fn session(&self) -> Result<Arc<Session>, Error> {
        let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = slot.as_ref() {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(&self.display, &self.footprints)?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Does `work` over the connection; if that has broken since it was last used, once more over a new one.
    fn with<T>(&self, work: impl Fn(&Session) -> Result<T, Broken>) -> Result<T, Error> {
        let mut last = String::new();
        for _ in 0..2 {
            let session = self.session()?;
            match work(&session) {
                Ok(value) => return Ok(value),
                Err(Broken::Other(error)) => return Err(error),
                Err(Broken::Connection(reason)) => {
                    self.forget(&session);
                    last = reason;
                }
            }
        }
        Err(self.unavailable(last))
    }

    /// The same without a second try: for what would only seem to succeed over a new connection, since what was sent over the old
    /// one is lost.
    fn once<T>(&self, work: impl FnOnce(&Session) -> Result<T, Broken>) -> Result<T, Error> {
        let session = self.session()?;
        work(&session).map_err(|broken| match broken {
            Broken::Other(error) => error,
            Broken::Connection(reason) => {
                self.forget(&session);
                self.unavailable(reason)
            }
        })
    }

    fn forget(&self, lost: &Arc<Session>) {
        let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, lost)) {
            *slot = None;
        }
    }

    fn unavailable(&self, reason: String) -> Error {
        Error::Unavailable { display: self.display.clone(), reason }
    }
}

impl Session {
    fn open(display: &str, footprints: &Arc<Footprints>) -> Result<Self, Error> {
        let unavailable = |reason: String| Error::Unavailable { display: display.to_owned(), reason };
        let (connection, number) = RustConnection::connect(Some(display)).map_err(|error| unavailable(error.to_string()))?;
        let connection = Arc::new(connection);
        let root = connection.setup().roots.get(number).ok_or_else(|| unavailable("it has no such screen".to_owned()))?.root;
        let xtest = connection.xtest_get_version(2, 2).ok().and_then(|cookie| cookie.reply().ok());
        if xtest.is_none() {
            return Err(Error::Lacking(format!("the X server of {display} has no XTEST")));
        }
        let xkb = connection.xkb_use_extension(1, 0).ok().and_then(|cookie| cookie.reply().ok());
        if !xkb.is_some_and(|xkb| xkb.supported) {
            return Err(Error::Lacking(format!("the X server of {display} has no XKB")));
        }
        let has_monitors = connection
            .randr_query_version(1, 5)
            .ok()
            .and_then(|cookie| cookie.reply().ok())
            .is_some_and(|version| (version.major_version, version.minor_version) >= (1, 5));
        let keys = Keys::new(Arc::clone(&connection), root, Arc::clone(footprints));
        Ok(Self { connection, root, has_monitors, keys })
    }

    fn fake(&self, kind: u8, detail: u8, x: i16, y: i16) -> Result<(), Broken> {
        self.connection.xtest_fake_input(kind, detail, 0, self.root, x, y, 0)?.ignore_error();
        Ok(())
    }

    fn areas(&self) -> Result<Vec<Area>, Broken> {
        // Asked each time, at the price of one answer: monitors come and go without a message that one could rely on.
        let monitors = if self.has_monitors { self.connection.randr_get_monitors(self.root, true)?.reply()?.monitors } else { Vec::new() };
        let areas: Vec<Area> = monitors
            .iter()
            .filter(|monitor| monitor.width > 0 && monitor.height > 0)
            .map(|monitor| Area { x: monitor.x.into(), y: monitor.y.into(), width: monitor.width.into(), height: monitor.height.into() })
            .collect();
        let root = self.connection.get_geometry(self.root)?.reply()?;
        let root = Area { x: 0, y: 0, width: root.width.into(), height: root.height.into() };
        if areas.is_empty() {
            return Ok(vec![root]);
        }
        // One may be said to reach out of the screen. The pointer does not go there: it would stop at the edge.
        Ok(areas.into_iter().filter_map(|area| area.within(root)).collect())
    }

    fn flush(&self) -> Result<(), Broken> {
        // An answer from the server means that all before it was done.
        self.connection.get_input_focus()?.reply()?;
        // Nobody reads events here; unread, they would pile up for as long as the connection lives.
        while self.connection.poll_for_event()?.is_some() {}
        Ok(())
    }
}

impl Backend for X11 {
    fn areas(&self) -> Result<Vec<Area>, Error> {
        self.with(Session::areas)
    }

    fn position(&self) -> Result<Point, Error> {
        self.with(|session| {
            let pointer = session.connection.query_pointer(session.root)?.reply()?;
            Ok(Point { x: pointer.root_x.into(), y: pointer.root_y.into() })
        })
    }

    fn point(&self, x: i32, y: i32) -> Result<(), Error> {
        let far = || Error::Failed(format!("({x}, {y}) is further out than X can express"));
        let (x, y) = (i16::try_from(x).map_err(|_| far())?, i16::try_from(y).map_err(|_| far())?);
        self.footprints.point(x.into(), y.into());
        self.with(|session| session.fake(MOTION, 0, x, y))
    }

    fn button(&self, button: Button, down: bool) -> Result<(), Error> {
        let number = match button {
            Button::Left => 1,
            Button::Middle => 2,
            Button::Right => 3,
        };
        self.with(|session| session.fake(if down { BUTTON_PRESS } else { BUTTON_RELEASE }, number, 0, 0))
    }

    fn wheel(&self, wheel: Wheel, steps: u32) -> Result<(), Error> {
        let number = WHEEL_UP
            + match wheel {
                Wheel::Up => 0,
                Wheel::Down => 1,
                Wheel::Left => 2,
                Wheel::Right => 3,
            };
        for step in 1..=steps {
            self.with(|session| {
                session.fake(BUTTON_PRESS, number, 0, 0)?;
                session.fake(BUTTON_RELEASE, number, 0, 0)
            })?;
            if step % STEPS == 0 {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn key(&self, key: Key, down: bool) -> Result<(), Error> {
        self.with(|session| if down { session.keys.press(key) } else { session.keys.release(key) })
    }

    fn prepare(&self, text: &[Key], cancel: &CancellationToken) -> Result<usize, Error> {
        self.with(|session| session.keys.prepare(text, cancel))
    }

    fn tap(&self, key: Key) -> Result<(), Error> {
        self.once(|session| session.keys.tap(key))
    }

    fn settle(&self) -> Result<(), Error> {
        self.once(|session| session.keys.settle())
    }

    fn flush(&self) -> Result<(), Error> {
        self.once(Session::flush)?;
        self.footprints.land();
        Ok(())
    }

    fn physical(&self, key: Physical, down: bool) -> Result<(), Error> {
        self.with(|session| session.keys.physical(key, down))
    }

    fn footprints(&self) -> Option<Arc<Footprints>> {
        Some(Arc::clone(&self.footprints))
    }

    fn listen(&self, ear: Ear) -> Result<Listening, Error> {
        x11_listen::listen(&self.display, ear).map(Listening)
    }
}

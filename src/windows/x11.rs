//! The windows of an X display: the connection, and what every question needs.
//!
//! The connection is opened at the first use, and anew when it breaks, so that a restarted X server is found again at the next use.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;
use x11rb::atom_manager;
use x11rb::connection::{Connection, RequestConnection as _};
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::ErrorKind;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::res::{self, ConnectionExt as _};
use x11rb::protocol::xproto;
use x11rb::rust_connection::RustConnection;

use super::{Act, Backend, Error, Window};

/// What went wrong while talking to the server.
#[derive(Debug)]
pub(super) enum Broken {
    /// The connection is gone; another may work.
    Connection(String),
    /// What was asked about has vanished meanwhile.
    Vanished,
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
            ReplyError::X11Error(error) if matches!(error.error_kind, ErrorKind::Window | ErrorKind::Drawable) => Self::Vanished,
            ReplyError::X11Error(error) => Self::Other(Error::Failed(format!("the X server says {:?}", error.error_kind))),
        }
    }
}

impl From<Error> for Broken {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

atom_manager! {
    /// The words that programs and window managers agreed on.
    pub(super) Atoms: AtomsCookie {
        COMPOUND_TEXT,
        WM_CHANGE_STATE,
        WM_DELETE_WINDOW,
        WM_PROTOCOLS,
        WM_STATE,
        _NET_ACTIVE_WINDOW,
        _NET_CLIENT_LIST,
        _NET_CLIENT_LIST_STACKING,
        _NET_CLOSE_WINDOW,
        _NET_FRAME_EXTENTS,
        _NET_MOVERESIZE_WINDOW,
        _NET_SUPPORTING_WM_CHECK,
        _NET_WM_NAME,
        _NET_WM_PID,
        _NET_WM_STATE,
        _NET_WM_STATE_FULLSCREEN,
        _NET_WM_STATE_HIDDEN,
        _NET_WM_STATE_MAXIMIZED_HORZ,
        _NET_WM_STATE_MAXIMIZED_VERT,
        _NET_WM_VISIBLE_NAME,
    }
}

/// One connection and what was learnt over it.
pub(super) struct Session {
    pub(super) connection: RustConnection,
    pub(super) root: xproto::Window,
    pub(super) atoms: Atoms,
    pub(super) has_monitors: bool,
    /// Whether the server knows which process a window is of.
    pub(super) knows_processes: bool,
}

pub(super) struct X11 {
    display: String,
    session: Mutex<Option<Arc<Session>>>,
}

impl X11 {
    pub(super) fn new(display: String) -> Self {
        Self { display, session: Mutex::default() }
    }

    fn session(&self) -> Result<Arc<Session>, Error> {
        let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = slot.as_ref() {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(Session::open(&self.display).map_err(|reason| self.unavailable(reason))?);
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }

    /// Does `work` over the connection; if that has broken since it was last used, once more over a new one.
    fn with<T>(&self, work: impl Fn(&Session) -> Result<T, Broken>) -> Result<Option<T>, Error> {
        self.tries(2, work)
    }

    fn tries<T>(&self, most: usize, work: impl Fn(&Session) -> Result<T, Broken>) -> Result<Option<T>, Error> {
        let mut last = String::new();
        for _ in 0..most {
            let session = self.session()?;
            match work(&session).and_then(|value| session.tidy().map(|()| value)) {
                Ok(value) => return Ok(Some(value)),
                Err(Broken::Vanished) => return Ok(None),
                Err(Broken::Other(error)) => return Err(error),
                Err(Broken::Connection(reason)) => {
                    let mut slot = self.session.lock().unwrap_or_else(PoisonError::into_inner);
                    if slot.as_ref().is_some_and(|current| Arc::ptr_eq(current, &session)) {
                        *slot = None;
                    }
                    last = reason;
                }
            }
        }
        Err(self.unavailable(last))
    }

    fn unavailable(&self, reason: String) -> Error {
        Error::Unavailable { display: self.display.clone(), reason }
    }
}

impl Session {
    fn open(display: &str) -> Result<Self, String> {
        let (connection, number) = RustConnection::connect(Some(display)).map_err(|error| error.to_string())?;
        let root = connection.setup().roots.get(number).ok_or("it has no such screen")?.root;
        let atoms = Atoms::new(&connection).map_err(|error| error.to_string())?.reply().map_err(|error| error.to_string())?;
        let has_monitors = connection
            .randr_query_version(1, 5)
            .ok()
            .and_then(|cookie| cookie.reply().ok())
            .is_some_and(|version| (version.major_version, version.minor_version) >= (1, 5));
        let knows_processes = connection.extension_information(res::X11_EXTENSION_NAME).ok().flatten().is_some()
            && connection
                .res_query_version(1, 2)
                .ok()
                .and_then(|cookie| cookie.reply().ok())
                .is_some_and(|version| (version.server_major, version.server_minor) >= (1, 2));
        Ok(Self { connection, root, atoms, has_monitors, knows_processes })
    }

    /// Nobody reads events here; unread, they would pile up for as long as the connection lives.
    fn tidy(&self) -> Result<(), Broken> {
        while self.connection.poll_for_event()?.is_some() {}
        Ok(())
    }
}

impl Backend for X11 {
    fn list(&self) -> Result<Vec<Window>, Error> {
        // What vanishes is left out; the root itself does not.
        Ok(self.with(Session::list)?.unwrap_or_default())
    }

    fn get(&self, id: u32) -> Result<Window, Error> {
        self.with(|session| session.find(id))?.flatten().ok_or(Error::Gone(id))
    }

    fn act(&self, id: u32, act: Act, cancel: &CancellationToken) -> Result<Option<Window>, Error> {
        // Looked at first, over a connection that is renewed where need be; what is asked for is then asked once.
        self.get(id)?;
        self.tries(1, |session| session.act(id, act, cancel))?.ok_or(Error::Gone(id))
    }
}

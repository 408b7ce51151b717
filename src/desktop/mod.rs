//! A desktop: a screen, the mouse and keyboard, and the clipboard that belong together, and the lease on them.
//!
//! [`Desktops`] hands out the one that the configuration names: that of the session, or a virtual one of TRAE's own,
//! opened at the first use and again when it has gone. What can be done with them is the business of their rooms.

#[cfg(target_os = "linux")]
mod xvfb;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::clipboard::{self, Clipboard};
use crate::error::{Classify, Kind};
use crate::input::{self, Input};
use crate::screen::{self, Screen};

/// Which desktop is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// That of the session where there is one that answers, else a virtual one.
    #[default]
    Auto,
    /// That of the session.
    Local,
    /// One of TRAE's own, in an Xvfb.
    Virtual,
    /// None: what needs a desktop is refused.
    None,
}

/// Which desktop there is, and how large a virtual one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Which desktop is meant.
    pub mode: Mode,
    /// Width and height of a virtual one, in pixels, each 64–16384.
    pub virtual_size: (u32, u32),
}

impl Default for Settings {
    fn default() -> Self {
        Self { mode: Mode::Auto, virtual_size: (1920, 1080) }
    }
}

/// Why there is no desktop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration says so.
    #[error("this server has no desktop: its configuration turns it off")]
    Off,
    /// There is no program that makes a virtual one.
    #[error("a virtual desktop needs Xvfb, which is not installed: apt install xvfb")]
    NoXvfb,
    /// A virtual one did not come up.
    #[error("the virtual desktop did not start: {0}")]
    Start(String),
    /// A size that no virtual desktop can have.
    #[error("a virtual desktop cannot be {0}×{1} large: each side has 64 to 16384 pixels")]
    Size(u32, u32),
    /// The desktop's screen cannot be seen.
    #[error(transparent)]
    Screen(#[from] screen::Error),
    /// The desktop cannot be driven.
    #[error(transparent)]
    Input(#[from] input::Error),
    /// The desktop's clipboard does not answer.
    #[error(transparent)]
    Clipboard(#[from] clipboard::Error),
    /// Somebody asked for it to stop while it waited for its turn.
    #[error("it was cancelled while it waited for its turn at the desktop")]
    Cancelled,
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Off | Self::NoXvfb | Self::Start(_) => Kind::ServiceUnavailable,
            Self::Size(..) => Kind::ValidationError,
            Self::Screen(error) => error.kind(),
            Self::Input(error) => error.kind(),
            Self::Clipboard(error) => error.kind(),
            Self::Cancelled => Kind::Cancelled,
        }
    }

    fn details(&self) -> Option<Value> {
        let hint = match self {
            Self::Off => "choose another desktop mode in the configuration: auto, local or virtual",
            Self::NoXvfb => "apt install xvfb",
            Self::Start(_) => "see whether Xvfb starts by hand: Xvfb -displayfd 1",
            Self::Size(..) | Self::Cancelled => return None,
            Self::Screen(error) => return error.details(),
            Self::Input(error) => return error.details(),
            Self::Clipboard(error) => return error.details(),
        };
        Some(json!({"service": "live_desktop", "hint": hint}))
    }
}

/// A desktop that is open.
pub struct Desktop {
    name: &'static str,
    display: Option<String>,
    screen: Screen,
    input: Input,
    clipboard: Clipboard,
    turn: Arc<Semaphore>,
    #[cfg(target_os = "linux")]
    server: Option<xvfb::Xvfb>,
}

impl std::fmt::Debug for Desktop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desktop").field("name", &self.name).field("display", &self.display).finish_non_exhaustive()
    }
}

/// The right to use a desktop's mouse and keyboard. Given back when dropped.
#[derive(Debug)]
pub struct Lease {
    _turn: OwnedSemaphorePermit,
}

impl Desktop {
    /// `local` or `virtual`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// What a program that is to appear on it needs as `DISPLAY`; `None` on platforms without such a thing.
    pub fn display(&self) -> Option<&str> {
        self.display.as_deref()
    }

    /// What is on it.
    pub fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Its mouse and keyboard.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Its clipboard.
    pub fn clipboard(&self) -> &Clipboard {
        &self.clipboard
    }

    /// Whether somebody holds the lease.
    pub fn is_leased(&self) -> bool {
        self.turn.available_permits() == 0
    }

    /// Waits for its turn at the desktop: one holder at a time, in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Cancelled`] while waiting.
    pub async fn lease(&self, cancel: &CancellationToken) -> Result<Lease, Error> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => Err(Error::Cancelled),
            turn = Arc::clone(&self.turn).acquire_owned() => Ok(Lease { _turn: turn.map_err(|_| Error::Cancelled)? }),
        }
    }

    fn open(name: &'static str, display: Option<String>) -> Result<Self, Error> {
        Ok(Self {
            name,
            screen: Screen::open(display.as_deref())?,
            input: Input::open(display.as_deref())?,
            clipboard: Clipboard::open(display.as_deref())?,
            display,
            turn: Arc::new(Semaphore::new(1)),
            #[cfg(target_os = "linux")]
            server: None,
        })
    }

    /// That of the session.
    fn local() -> Result<Self, Error> {
        Self::open("local", session_display())
    }

    #[cfg(target_os = "linux")]
    fn virtual_of(size: (u32, u32)) -> Result<Self, Error> {
        let server = xvfb::Xvfb::start(size)?;
        let opened = Self::open("virtual", Some(server.display().to_owned()))?;
        Ok(Self { server: Some(server), ..opened })
    }

    #[cfg(not(target_os = "linux"))]
    fn virtual_of(_size: (u32, u32)) -> Result<Self, Error> {
        Err(Error::Start("this platform has no Xvfb; use its own desktop".to_owned()))
    }

    /// Whether it can still be used. One of the session may come back; a virtual one that ended does not.
    fn is_alive(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(server) = &self.server {
            return server.is_alive();
        }
        true
    }
}

fn session_display() -> Option<String> {
    std::env::var("DISPLAY").ok().filter(|name| !name.is_empty())
}

/// The desktops of this server. Opened at the first use.
pub struct Desktops {
    settings: Settings,
    open: Mutex<Option<Arc<Desktop>>>,
}

impl std::fmt::Debug for Desktops {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desktops").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Desktops {
    /// Opens nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, open: Mutex::default() }
    }

    /// The desktop that is meant where none is named. Opens it if it is not open, which for a virtual one takes a moment; waits for
    /// another thread that does so already.
    ///
    /// # Errors
    /// Each with what to do about it. Nothing is remembered of a failure: the next call tries again.
    pub fn default(&self) -> Result<Arc<Desktop>, Error> {
        let mut open = self.lock();
        if let Some(desktop) = open.as_ref().filter(|desktop| desktop.is_alive()) {
            return Ok(Arc::clone(desktop));
        }
        // Ended before another starts.
        *open = None;
        let desktop = Arc::new(self.start()?);
        *open = Some(Arc::clone(&desktop));
        Ok(desktop)
    }

    /// The desktop that is open now, if one is. Opens none, and does not wait for one that is just being opened.
    pub fn current(&self) -> Option<Arc<Desktop>> {
        let open = match self.open.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        open.as_ref().filter(|desktop| desktop.is_alive()).map(Arc::clone)
    }

    /// Ends a virtual desktop and everything on it, also for those who still hold it.
    pub fn shutdown(&self) {
        let desktop = self.lock().take();
        #[cfg(target_os = "linux")]
        if let Some(server) = desktop.as_ref().and_then(|desktop| desktop.server.as_ref()) {
            server.stop();
        }
        drop(desktop);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Desktop>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self) -> Result<Desktop, Error> {
        match self.settings.mode {
            Mode::None => Err(Error::Off),
            Mode::Local => Desktop::local(),
            Mode::Virtual => Desktop::virtual_of(self.settings.virtual_size),
            Mode::Auto if cfg!(not(target_os = "linux")) => Desktop::local(),
            Mode::Auto => {
                if let Some(name) = session_display() {
                    match Desktop::local() {
                        Ok(desktop) => return Ok(desktop),
                        Err(error) => tracing::warn!("DISPLAY is {name}, but: {error}; a virtual desktop takes its place"),
                    }
                }
                Desktop::virtual_of(self.settings.virtual_size)
            }
        }
    }
}

impl Drop for Desktops {
    fn drop(&mut self) {
        self.shutdown();
    }
}

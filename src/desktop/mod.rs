//! A desktop: a screen, its windows, the mouse and keyboard, and the clipboard that belong together, and the lease on them.
//!
//! [`Desktops`] hands out the one that the configuration names (that of the session, or a virtual one of TRAE's own), and others by their
//! names ([`TargetSpec`]): each opened at the first use and again when it has gone, each with a lease of its own. What can be done with
//! them is the business of their rooms; here is who may do it when ([`Desktop::act`], [`Hands`]) and who sees what ([`Viewer`]).

mod action;
#[cfg(target_os = "linux")]
mod alarm;
mod canvas;
pub mod control;
mod delta;
mod error;
mod frames;
mod glances;
mod hands;
mod lease;
mod plane;
#[cfg(target_os = "linux")]
mod sentinel;
mod shot;
mod slot;
mod spec;
mod streaming;
mod targets;
mod tiles;
mod turn;
mod windows;
#[cfg(target_os = "linux")]
mod xvfb;

use std::sync::Arc;
#[cfg(target_os = "linux")]
use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::clipboard::Clipboard;
use crate::input::Input;
use crate::screen::{Region, Screen};
use crate::vnc::{self, Vnc};
use crate::windows::Windows;

pub use action::{Action, PATIENCE};
pub use canvas::{Canvas, Update};
pub use control::{Changes, Control, Controls, Party, PartyKind, Stop, Stopped, Token, Who};
pub use delta::Moved;
pub use error::Error;
pub use frames::{Seen, Viewer};
pub use hands::Hands;
pub use lease::{Acting, Lease};
pub use shot::{Picture, Shot};
pub use spec::{Kind, Password, TargetKind, TargetSpec};
pub use streaming::{Change, Client, Showing, Streams, View};
pub use targets::{Book, DEFAULT, Desktops, TargetInfo};

use frames::Frames;
pub use glances::Ears;
use glances::Glances;
use turn::Turn;

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
    /// What is started on a virtual one beside a window manager: a command line in words, or nothing.
    pub virtual_startup: Vec<String>,
    /// So many desktops beside the default one.
    pub max_targets: usize,
    /// Width and height, in pixels, that none of them exceeds.
    pub max_size: (u32, u32),
    /// How control is handed about.
    pub control: control::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            mode: Mode::Auto,
            virtual_size: (1920, 1080),
            virtual_startup: Vec::new(),
            max_targets: 16,
            max_size: (7680, 4320),
            control: control::Settings::default(),
        }
    }
}

/// A desktop that is open.
pub struct Desktop {
    name: String,
    kind: Kind,
    display: Option<String>,
    screen: Arc<Screen>,
    input: Arc<Input>,
    clipboard: Clipboard,
    windows: Windows,
    turn: Arc<Turn>,
    frames: Arc<Frames>,
    glances: Glances,
    /// Cancelled when its display has ended.
    gone: CancellationToken,
    #[cfg(target_os = "linux")]
    sentinel: Mutex<Option<sentinel::Sentinel>>,
    #[cfg(target_os = "linux")]
    server: Option<xvfb::Xvfb>,
    /// The connection to another machine's.
    remote: Option<Arc<Vnc>>,
}

impl std::fmt::Debug for Desktop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desktop").field("name", &self.name).field("display", &self.display).finish_non_exhaustive()
    }
}

impl Desktop {
    /// Its name among the targets; [`DEFAULT`] for the one that is meant where none is named.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
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

    /// Its windows.
    pub fn windows(&self) -> &Windows {
        &self.windows
    }

    /// Begins to watch a monitor, at most `fps` pictures a second.
    ///
    /// # Errors
    /// [`Error::Start`] where the system has no room for another thread. What is wrong with the monitor the viewer tells.
    pub fn watch(&self, monitor: usize, fps: u32) -> Result<Viewer, Error> {
        self.frames.watch(monitor, fps)
    }

    /// A number that stands for what a part of the virtual screen shows now: as long as it is the same, nothing in it has changed, and no
    /// picture need be taken of it. `None` where that cannot be known. A picture that is taken afterwards shows at least what it stands for.
    ///
    /// # Errors
    /// [`Error::Screen`] where the display does not answer.
    pub fn generation(&self, part: Region) -> Result<Option<u64>, Error> {
        // Asking another machine all the time what has changed costs more than looking when it is needed.
        if self.remote.is_some() { Ok(None) } else { self.glances.generation(&self.screen, part) }
    }

    /// What hears that something may have changed, without a thread that waits for it. None where that cannot be heard of, or nobody has asked for a
    /// [`Desktop::generation`] yet. Made within a runtime.
    pub fn ears(&self) -> Option<Ears> {
        if self.remote.is_some() { None } else { self.glances.ears() }
    }

    /// How many watch it.
    pub fn viewers(&self) -> usize {
        self.frames.viewers()
    }

    /// How many pictures were taken for those who watch, and how many encoded.
    pub fn watching_cost(&self) -> (u64, u64) {
        self.frames.counts()
    }

    /// Whether somebody holds the lease.
    pub fn is_leased(&self) -> bool {
        self.turn.is_taken()
    }

    /// Who holds the lease.
    pub fn holder(&self) -> Option<String> {
        self.turn.holder()
    }

    /// Who waits for it, the next one first.
    pub fn waiting(&self) -> Vec<String> {
        self.turn.waiting()
    }

    /// Waits for `who`'s turn at the desktop: one holder at a time, in the order in which they came.
    ///
    /// # Errors
    /// [`Error::Cancelled`] while waiting.
    pub async fn lease(&self, who: impl Into<Who>, cancel: &CancellationToken) -> Result<Lease, Error> {
        let lease = self.enter(who.into(), None);
        lease.held(cancel).await?;
        Ok(lease)
    }

    /// Takes a place at the desktop's turn; `stop` is told of an emergency stop that ends it.
    pub fn enter(&self, who: Who, stop: Option<Stop>) -> Lease {
        self.turn.enter(who, stop, false)
    }

    fn open(name: &str, kind: Kind, display: Option<String>, turn: &Arc<Turn>) -> Result<Self, Error> {
        let screen = Arc::new(Screen::open(display.as_deref())?);
        let gone = CancellationToken::new();
        let input = Arc::new(Input::open(display.as_deref())?);
        turn.serves(&input);
        Ok(Self {
            name: name.to_owned(),
            kind,
            input: Arc::clone(&input),
            clipboard: Clipboard::open(display.as_deref())?,
            windows: Windows::open(display.as_deref()),
            turn: Arc::clone(turn),
            frames: Arc::new(Frames::new(Arc::clone(&screen))),
            glances: Glances::default(),
            #[cfg(target_os = "linux")]
            sentinel: Mutex::new(
                display.as_deref().map(|display| sentinel::Sentinel::post(display, gone.clone(), turn, input.footprints())).transpose()?,
            ),
            screen,
            display,
            gone,
            #[cfg(target_os = "linux")]
            server: None,
            remote: None,
        })
    }

    /// That of the session.
    fn local(name: &str, turn: &Arc<Turn>) -> Result<Self, Error> {
        Self::open(name, Kind::Local, slot::session_display(), turn)
    }

    /// One of TRAE's own.
    #[cfg(target_os = "linux")]
    fn virtual_of(name: &str, own: &spec::Own, turn: &Arc<Turn>) -> Result<Self, Error> {
        let server = xvfb::Xvfb::start(own)?;
        let opened = Self::open(name, Kind::Virtual, Some(server.display().to_owned()), turn)?;
        Ok(Self { server: Some(server), ..opened })
    }

    #[cfg(not(target_os = "linux"))]
    fn virtual_of(_name: &str, _own: &spec::Own, _turn: &Arc<Turn>) -> Result<Self, Error> {
        Err(Error::Start("this platform has no Xvfb; use its own desktop".to_owned()))
    }

    /// Another machine's.
    fn vnc_of(name: &str, settings: vnc::Settings, turn: &Arc<Turn>) -> Result<Self, Error> {
        let remote = Arc::new(Vnc::connect(settings)?);
        let screen = Arc::new(Screen::of_vnc(Arc::clone(&remote)));
        let input = Arc::new(Input::of_vnc(Arc::clone(&remote)));
        turn.serves(&input);
        Ok(Self {
            name: name.to_owned(),
            kind: Kind::Vnc,
            display: None,
            input,
            clipboard: Clipboard::of_vnc(Arc::clone(&remote)),
            windows: Windows::of_vnc(),
            turn: Arc::clone(turn),
            frames: Arc::new(Frames::new(Arc::clone(&screen))),
            glances: Glances::default(),
            screen,
            gone: CancellationToken::new(),
            #[cfg(target_os = "linux")]
            sentinel: Mutex::default(),
            #[cfg(target_os = "linux")]
            server: None,
            remote: Some(remote),
        })
    }

    /// Ends it on purpose, also for those who still hold it: a virtual one with everything on it.
    fn retire(&self) {
        #[cfg(target_os = "linux")]
        drop(self.sentinel.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.gone.cancel();
        #[cfg(target_os = "linux")]
        if let Some(server) = &self.server {
            server.stop();
        }
        if let Some(remote) = &self.remote {
            remote.close();
        }
    }

    /// Whether it can still be used.
    fn is_alive(&self) -> bool {
        #[cfg(target_os = "linux")]
        if let Some(server) = &self.server
            && !server.is_alive()
        {
            return false;
        }
        !self.gone.is_cancelled()
    }
}

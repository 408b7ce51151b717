//! A desktop: a screen, its windows, the mouse and keyboard, and the clipboard that belong together, and the lease on them.
//!
//! [`Desktops`] hands out the one that the configuration names: that of the session, or a virtual one of TRAE's own,
//! opened at the first use and again when it has gone. What can be done with them is the business of their rooms; here is who may do
//! it when ([`Desktop::act`], [`Hands`]) and who sees what ([`Viewer`]).

mod action;
#[cfg(target_os = "linux")]
mod alarm;
mod canvas;
pub mod control;
mod delta;
mod error;
mod frames;
mod hands;
mod lease;
mod plane;
#[cfg(target_os = "linux")]
mod sentinel;
mod shot;
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
use crate::screen::Screen;
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
pub use streaming::{Change, Client, Showing, Streams, View};
pub use targets::Desktops;

use frames::Frames;
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
    /// How control is handed about.
    pub control: control::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self { mode: Mode::Auto, virtual_size: (1920, 1080), virtual_startup: Vec::new(), control: control::Settings::default() }
    }
}

/// A desktop that is open.
pub struct Desktop {
    name: &'static str,
    display: Option<String>,
    screen: Arc<Screen>,
    input: Arc<Input>,
    clipboard: Clipboard,
    windows: Windows,
    turn: Arc<Turn>,
    frames: Arc<Frames>,
    /// Cancelled when its display has ended.
    gone: CancellationToken,
    #[cfg(target_os = "linux")]
    sentinel: Mutex<Option<sentinel::Sentinel>>,
    #[cfg(target_os = "linux")]
    server: Option<xvfb::Xvfb>,
}

impl std::fmt::Debug for Desktop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desktop").field("name", &self.name).field("display", &self.display).finish_non_exhaustive()
    }
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

    fn open(name: &'static str, display: Option<String>, turn: &Arc<Turn>) -> Result<Self, Error> {
        let screen = Arc::new(Screen::open(display.as_deref())?);
        let gone = CancellationToken::new();
        let input = Arc::new(Input::open(display.as_deref())?);
        turn.serves(&input);
        Ok(Self {
            name,
            input: Arc::clone(&input),
            clipboard: Clipboard::open(display.as_deref())?,
            windows: Windows::open(display.as_deref()),
            turn: Arc::clone(turn),
            frames: Arc::new(Frames::new(Arc::clone(&screen))),
            #[cfg(target_os = "linux")]
            sentinel: Mutex::new(
                display.as_deref().map(|display| sentinel::Sentinel::post(display, gone.clone(), turn, input.footprints())).transpose()?,
            ),
            screen,
            display,
            gone,
            #[cfg(target_os = "linux")]
            server: None,
        })
    }

    /// That of the session.
    fn local(turn: &Arc<Turn>) -> Result<Self, Error> {
        Self::open("local", targets::session_display(), turn)
    }

    #[cfg(target_os = "linux")]
    fn virtual_of(settings: &Settings, turn: &Arc<Turn>) -> Result<Self, Error> {
        let server = xvfb::Xvfb::start(settings.virtual_size, &settings.virtual_startup)?;
        let opened = Self::open("virtual", Some(server.display().to_owned()), turn)?;
        Ok(Self { server: Some(server), ..opened })
    }

    #[cfg(not(target_os = "linux"))]
    fn virtual_of(_settings: &Settings, _turn: &Arc<Turn>) -> Result<Self, Error> {
        Err(Error::Start("this platform has no Xvfb; use its own desktop".to_owned()))
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

//! What is on the screen: which monitors there are, and pictures of them.
//!
//! [`Screen`] checks what is asked for and leaves the grabbing to one of three backends of the same shape: one for X11 through shared
//! memory, one for another machine's through VNC, and a portable one. Which one is decided in [`Screen::open`] and nowhere else. Pixels stay as the server gives them
//! ([`Frame`]); what is drawn in them (text, images) is for other rooms. [`Watch`] tells when another picture is worth taking.

mod bell;
mod cells;
mod coded;
#[cfg(target_os = "linux")]
mod damage;
mod frame;
mod pointer;
mod portable;
#[cfg(target_os = "linux")]
mod portrait;
mod region;
mod scale;
#[cfg(target_os = "linux")]
mod segment;
mod signal;
mod video;
mod vnc;
mod watch;
mod words;
#[cfg(target_os = "linux")]
mod x11;

pub use bell::{Bell, Woken};
pub use cells::{Cells, TILE};
pub use coded::{Coded, Coding, Nature};
pub use frame::Frame;
pub use pointer::{Pointer, Shape};
pub use scale::{Look, scaled_size};
pub use signal::Signal;
pub use video::{VideoEncoder, VideoFrame};
pub use watch::{Changes, Heard, Watch};
pub use words::*;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::error::{Classify, Kind};
use crate::vnc::Vnc;

/// How often a picture is taken anew where the screen changed its size meanwhile.
const CHANGES: u32 = 3;

/// Why a screen could not be seen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no display, or it does not answer.
    #[error("the display {display} does not answer ({reason}): start it, or let TRAE start a virtual one")]
    Unavailable {
        /// The display's name, or words for the platform's own.
        display: String,
        /// What the system says.
        reason: String,
    },
    /// There is no display to ask.
    #[error("there is no display: set DISPLAY to that of a running session, or let TRAE start a virtual one")]
    NoDisplay,
    /// No monitor has this number.
    #[error("there is no monitor {asked}: this screen has {count}, numbered from 0")]
    NoMonitor {
        /// The number asked for.
        asked: usize,
        /// How many there are.
        count: usize,
    },
    /// A region without an area.
    #[error("the region has no area: its width and height must be at least 1")]
    EmptyRegion,
    /// A region that does not lie within what it is taken from.
    #[error(
        "the region {}×{} at ({}, {}) does not lie on {of}, which is {}×{} at ({}, {}): choose one inside it",
        asked.width, asked.height, asked.x, asked.y, bounds.width, bounds.height, bounds.x, bounds.y
    )]
    OffScreen {
        /// The region asked for.
        asked: Region,
        /// What it must lie in.
        bounds: Region,
        /// What that is: the screen, a monitor, the picture.
        of: String,
    },
    /// There is no such window, or no more.
    #[error("there is no window {0}: it has closed, or never was")]
    NoWindow(u32),
    /// A window that is not on the screen.
    #[error("the window {0} is not on the screen: restore it first")]
    Unseen(u32),
    /// A JPEG quality out of range.
    #[error("the quality {0} is out of range: it goes from 1 (small) to 100 (good)")]
    Quality(u32),
    /// A picture that could not be written down in the format asked for.
    #[error("the picture could not be encoded as {format:?}: {reason}")]
    Encode {
        /// The format.
        format: ImageFormat,
        /// What the encoder says.
        reason: String,
    },
    /// Another machine's screen cannot be seen.
    #[error(transparent)]
    Remote(#[from] crate::vnc::Error),
    /// The screen answered with something unexpected.
    #[error("the screen could not be captured: {0}")]
    Failed(String),
}

impl Error {
    fn path(&self) -> Option<&'static str> {
        match self {
            Self::NoMonitor { .. } => Some("/monitor"),
            Self::EmptyRegion | Self::OffScreen { .. } => Some("/region"),
            Self::Quality(_) => Some("/quality"),
            Self::Unavailable { .. }
            | Self::NoDisplay
            | Self::NoWindow(_)
            | Self::Unseen(_)
            | Self::Encode { .. }
            | Self::Remote(_)
            | Self::Failed(_) => None,
        }
    }
}

impl Classify for Error {
    fn kind(&self) -> Kind {
        match self {
            Self::Unavailable { .. } | Self::NoDisplay => Kind::ServiceUnavailable,
            Self::NoMonitor { .. } | Self::EmptyRegion | Self::OffScreen { .. } | Self::Quality(_) => Kind::ValidationError,
            Self::NoWindow(_) => Kind::NotFound,
            Self::Unseen(_) => Kind::Conflict,
            Self::Remote(error) => error.kind(),
            Self::Encode { .. } | Self::Failed(_) => Kind::Internal,
        }
    }

    fn details(&self) -> Option<Value> {
        if let Self::Remote(error) = self {
            return error.details();
        }
        if let Some(path) = self.path() {
            return Some(json!({"errors": [{"path": path, "message": self.to_string()}]}));
        }
        if let Self::NoWindow(id) | Self::Unseen(id) = self {
            return Some(json!({"kind": "window", "id": id}));
        }
        match self.kind() {
            Kind::ServiceUnavailable => Some(json!({
                "service": "live_desktop",
                "hint": "set DISPLAY to that of a running session, or install a virtual display: apt install xvfb"
            })),
            _ => None,
        }
    }
}

/// One picture of a series: whoever takes one after the other numbers them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial {
    /// The series.
    pub series: u64,
    /// Its number, higher than that of every picture taken before.
    pub number: u64,
}

/// What a backend does. Regions that reach [`Backend::grab`] were checked against [`Backend::bounds`].
trait Backend: Send + Sync {
    /// The rectangle around all monitors.
    fn bounds(&self) -> Result<Region, Error>;
    /// All monitors, the primary one first, numbered in that order.
    fn monitors(&self) -> Result<Vec<Monitor>, Error>;
    /// The pixels of a region of the virtual screen.
    fn grab(&self, region: Region) -> Result<Frame, Error>;
    /// The same, the next of a series, for a backend that can bring an older one up to date ([`Screen::retake`]).
    fn regrab(&self, region: Region, _serial: Serial, _changed_since: &dyn Fn(u64) -> Vec<Region>) -> Result<Frame, Error> {
        self.grab(region)
    }
    /// The pixels of a window that lies at a region, and whether they are all its own.
    fn portrait(&self, window: u32, region: Region) -> Result<(Frame, Extent), Error>;
    /// Tells when something has changed, from now on; and with `pointer` where that is.
    fn watch(&self, bell: Arc<Bell>, pointer: bool) -> Result<Watch, Error>;
}

/// The screen of one display. Safe to share; survives a restart of the display's server.
pub struct Screen {
    backend: Box<dyn Backend>,
}

impl std::fmt::Debug for Screen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Screen").finish_non_exhaustive()
    }
}

impl Screen {
    /// Opens the screen of the X display named (`:99`), or with `None` the platform's own.
    ///
    /// # Errors
    /// [`Error::NoDisplay`] and [`Error::Unavailable`] where nothing answers.
    pub fn open(display: Option<&str>) -> Result<Self, Error> {
        #[cfg(target_os = "linux")]
        {
            let named = display.map(str::to_owned).or_else(|| std::env::var("DISPLAY").ok().filter(|name| !name.is_empty()));
            if let Some(name) = named {
                return Ok(Self { backend: Box::new(x11::X11::open(name)?) });
            }
            if std::env::var_os("WAYLAND_DISPLAY").is_none() {
                return Err(Error::NoDisplay);
            }
        }
        let _ = display;
        Ok(Self { backend: Box::new(portable::Portable::open()?) })
    }

    /// The screen of another machine.
    pub fn of_vnc(vnc: Arc<Vnc>) -> Self {
        Self { backend: Box::new(vnc::Remote(vnc)) }
    }

    /// All monitors, the primary one first.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the display does not answer.
    pub fn monitors(&self) -> Result<Vec<Monitor>, Error> {
        self.backend.monitors()
    }

    /// The rectangle around all monitors.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the display does not answer.
    pub fn bounds(&self) -> Result<Region, Error> {
        self.backend.bounds()
    }

    /// A picture of what `capture` names.
    ///
    /// # Errors
    /// [`Error::NoMonitor`], [`Error::EmptyRegion`], [`Error::OffScreen`] for what is not there; [`Error::Unavailable`] where the
    /// display does not answer.
    pub fn capture(&self, capture: &Capture) -> Result<Frame, Error> {
        for _ in 0..CHANGES {
            match self.backend.grab(self.region(capture)?) {
                // Another machine's screen has changed its size in between.
                Err(Error::Remote(crate::vnc::Error::Changed(_))) => {}
                taken => return taken,
            }
        }
        self.backend.grab(self.region(capture)?)
    }

    /// The next picture of a series, of a region that was captured before. `changed_since` says what has changed after the picture with a
    /// number was taken, as rectangles counted from the region's corner: where the memory of an older picture is free, only that is
    /// fetched into it, in whole rows.
    ///
    /// # Errors
    /// As [`Screen::capture`]; also where the screen has become smaller.
    pub fn retake(&self, region: Region, serial: Serial, changed_since: &dyn Fn(u64) -> Vec<Region>) -> Result<Frame, Error> {
        self.backend.regrab(region, serial, changed_since)
    }

    /// Where a monitor is now.
    ///
    /// # Errors
    /// [`Error::NoMonitor`]; [`Error::Unavailable`] where the display does not answer.
    pub fn area(&self, monitor: usize) -> Result<Region, Error> {
        self.region(&Capture { monitor: Some(monitor), region: None })
    }

    /// Where that is, on the virtual screen.
    ///
    /// # Errors
    /// As [`Screen::capture`].
    pub fn region(&self, capture: &Capture) -> Result<Region, Error> {
        Ok(match capture.monitor {
            None => {
                let bounds = self.backend.bounds()?;
                match capture.region {
                    None => bounds,
                    Some(region) => region.within(bounds, (0, 0), "the screen")?,
                }
            }
            Some(index) => {
                let monitors = self.backend.monitors()?;
                let monitor = monitors.get(index).ok_or(Error::NoMonitor { asked: index, count: monitors.len() })?;
                let area = monitor.region();
                match capture.region {
                    None => area,
                    Some(region) => {
                        let own = Region { x: 0, y: 0, width: area.width, height: area.height };
                        region.within(own, (area.x, area.y), &format!("monitor {index}"))?
                    }
                }
            }
        })
    }

    /// A picture of the window with this number, which lies at `region` with its frame; and how much of it that is. It is not raised.
    ///
    /// # Errors
    /// [`Error::NoWindow`] for one that is not there, [`Error::Unseen`] for one that is put away; [`Error::Unavailable`] where the
    /// display does not answer.
    pub fn capture_window(&self, window: u32, region: Region) -> Result<(Frame, Extent), Error> {
        self.backend.portrait(window, region)
    }

    /// Tells when something on the screen has changed, from now on; `bell` wakes whoever waits for that.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the display does not answer.
    pub fn watch(&self, bell: Arc<Bell>) -> Result<Watch, Error> {
        self.backend.watch(bell, true)
    }

    /// The same for who asks what has changed now and then, and does not wait for it: of the pointer it is told nothing, which would be
    /// kept for it meanwhile.
    ///
    /// # Errors
    /// As [`Screen::watch`].
    pub fn watch_picture(&self) -> Result<Watch, Error> {
        let bell = Bell::new().map_err(|error| Error::Failed(format!("waiting failed: {error}")))?;
        self.backend.watch(Arc::new(bell), false)
    }
}

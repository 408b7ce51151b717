//! A mouse and a keyboard: what a hand could do at a desktop.
//!
//! [`Input`] checks everything asked for before anything happens, waits where waiting was asked for, and lets go of what it pressed
//! whatever comes in between. How a key or a button reaches the desktop is the business of three backends of the same shape, chosen in
//! [`Input::open`]. What is on the screen is for other rooms.

mod error;
mod footprints;
mod key;
mod keyboard;
#[cfg(target_os = "linux")]
mod keymap;
mod listen;
mod mouse;
mod pause;
mod physical;
mod portable;
mod shortcut;
mod vnc;
mod words;
#[cfg(target_os = "linux")]
mod x11;
#[cfg(target_os = "linux")]
mod x11_keys;
#[cfg(target_os = "linux")]
mod x11_listen;

pub use error::Error;
pub use footprints::{Aim, Footprints};
pub use key::KEY_NAMES;
pub use listen::{Deed, Ear, Heard, Listening, Modifiers, Stroke};
pub use physical::Physical;
pub use shortcut::Shortcut;
pub use words::*;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::vnc::Vnc;
use key::Key;

/// A rectangle that the pointer can be in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Area {
    x: i32,
    y: i32,
    width: u32,
    height: u32,
}

impl Area {
    fn contains(&self, x: i32, y: i32) -> bool {
        let (x, y) = (i64::from(x), i64::from(y));
        let (left, top) = (i64::from(self.x), i64::from(self.y));
        x >= left && y >= top && x < left + i64::from(self.width) && y < top + i64::from(self.height)
    }

    /// The part of it that lies in another one, if any does.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only X monitors reach out of their screen"))]
    fn within(&self, other: Self) -> Option<Self> {
        let cut = |start: i32, length: u32, other_start: i32, other_length: u32| {
            let from = i64::from(start.max(other_start));
            let to = (i64::from(start) + i64::from(length)).min(i64::from(other_start) + i64::from(other_length));
            Some((i32::try_from(from).ok()?, u32::try_from(to - from).ok().filter(|length| *length > 0)?))
        };
        let (x, width) = cut(self.x, self.width, other.x, other.width)?;
        let (y, height) = cut(self.y, self.height, other.y, other.height)?;
        Some(Self { x, y, width, height })
    }
}

/// What turns the wheel one step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wheel {
    Up,
    Down,
    Left,
    Right,
}

/// What a backend does. Actions may be held back until [`Backend::flush`].
trait Backend: Send + Sync {
    /// Every monitor.
    fn areas(&self) -> Result<Vec<Area>, Error>;
    /// Where the pointer is.
    fn position(&self) -> Result<Point, Error>;
    /// Puts the pointer at a point.
    fn point(&self, x: i32, y: i32) -> Result<(), Error>;
    /// Presses or releases a button.
    fn button(&self, button: Button, down: bool) -> Result<(), Error>;
    /// Turns the wheel.
    fn wheel(&self, wheel: Wheel, steps: u32) -> Result<(), Error>;
    /// Presses a key, with the modifiers that it needs, or releases what [`Backend::key`] pressed for it.
    fn key(&self, key: Key, down: bool) -> Result<(), Error>;
    /// Presses or releases a key by where it is on the keyboard, whatever it types there. Where the display knows no places: the key
    /// that has its symbol on a US keyboard.
    fn physical(&self, key: Physical, down: bool) -> Result<(), Error> {
        self.key(key.on_us_keyboard(), down)
    }
    /// How many of the symbols at the head of `text` can be typed one after the other without a break; makes them typeable.
    fn prepare(&self, text: &[Key], cancel: &CancellationToken) -> Result<usize, Error>;
    /// Presses and releases a key that was prepared.
    fn tap(&self, key: Key) -> Result<(), Error>;
    /// What [`Backend::prepare`] changed is no longer needed.
    fn settle(&self) -> Result<(), Error>;
    /// Returns once all actions have reached the desktop.
    fn flush(&self) -> Result<(), Error>;
    /// Tells what mouse and keyboard do, until what is given back is dropped.
    fn listen(&self, _ear: Ear) -> Result<Listening, Error> {
        Err(Error::Lacking("mouse and keyboard of this platform cannot be listened to".to_owned()))
    }

    /// What it does itself, for who listens to the display; none where that is not noted.
    fn footprints(&self) -> Option<Arc<Footprints>> {
        None
    }
}

/// The mouse and keyboard of one display. Safe to share; survives a restart of the display's server.
pub struct Input {
    backend: Box<dyn Backend>,
    /// Held by whoever uses the keyboard: two texts typed at once would be one of mixed letters.
    keyboard: Mutex<()>,
    /// What was pressed to be kept down.
    held: Mutex<Held>,
}

/// What was pressed to be kept down, in order.
#[derive(Debug, Default)]
struct Held {
    buttons: Vec<Button>,
    keys: Vec<Pressed>,
}

/// A key, by what it types or by where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pressed {
    Symbol(Key),
    Place(Physical),
}

/// The keys that were let go, to be pressed again.
#[derive(Debug, Default)]
pub struct Released(Vec<Pressed>);

impl Released {
    /// Whether there were none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Held {
    fn note_button(&mut self, button: Button) {
        if !self.buttons.contains(&button) {
            self.buttons.push(button);
        }
    }

    fn note_key(&mut self, key: Pressed) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }
}

impl std::fmt::Debug for Input {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Input").finish_non_exhaustive()
    }
}

impl Input {
    /// Opens the input of the X display named (`:99`), or with `None` the platform's own.
    ///
    /// # Errors
    /// [`Error::NoDisplay`] and [`Error::Unavailable`] where nothing answers.
    pub fn open(display: Option<&str>) -> Result<Self, Error> {
        #[cfg(target_os = "linux")]
        {
            let named = display.map(str::to_owned).or_else(|| std::env::var("DISPLAY").ok().filter(|name| !name.is_empty()));
            let name = named.ok_or(Error::NoDisplay)?;
            match x11::X11::open(name.clone()) {
                Ok(x11) => Ok(Self::with(x11)),
                // A server without XTEST or XKB: the portable way is worse, but better than none.
                Err(Error::Lacking(reason)) => {
                    tracing::warn!("{reason}; typing goes another way, in which characters may get lost");
                    Ok(Self::with(portable::Portable::open(Some(name))?))
                }
                Err(error) => Err(error),
            }
        }
        #[cfg(not(target_os = "linux"))]
        Ok(Self::with(portable::Portable::open(display.map(str::to_owned))?))
    }

    /// That of another machine.
    pub fn of_vnc(vnc: Arc<Vnc>) -> Self {
        Self::with(vnc::Remote(vnc))
    }

    fn with(backend: impl Backend + 'static) -> Self {
        Self { backend: Box::new(backend), keyboard: Mutex::default(), held: Mutex::default() }
    }

    /// Lets go of everything that was pressed to be kept down; gives the keys.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the display does not answer; then it holds nothing either.
    pub fn let_go(&self) -> Result<Released, Error> {
        let Held { buttons, keys } = std::mem::take(&mut *self.held());
        if buttons.is_empty() && keys.is_empty() {
            return Ok(Released::default());
        }
        let released = keys.iter().rev().map(|key| self.stroke(*key, false));
        let buttons = buttons.into_iter().rev().map(|button| self.backend.button(button, false));
        let released = released.chain(buttons).fold(Ok(()), Result::and);
        released.and(self.backend.flush()).map(|()| Released(keys))
    }

    /// Whether anything was pressed to be kept down.
    pub fn holds_something(&self) -> bool {
        let held = self.held();
        !held.buttons.is_empty() || !held.keys.is_empty()
    }

    /// Presses keys again that were let go.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the display does not answer.
    pub fn hold_again(&self, released: &Released) -> Result<(), Error> {
        for key in &released.0 {
            self.held().note_key(*key);
            self.stroke(*key, true)?;
        }
        self.backend.flush()
    }

    /// What this does itself with the display; none where that is not noted.
    pub fn footprints(&self) -> Option<Arc<Footprints>> {
        self.backend.footprints()
    }

    fn stroke(&self, key: Pressed, down: bool) -> Result<(), Error> {
        match key {
            Pressed::Symbol(key) => self.backend.key(key, down),
            Pressed::Place(key) => self.backend.physical(key, down),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! A mouse and a keyboard: what a hand could do at a desktop.
//!
//! [`Input`] checks everything asked for before anything happens, waits where waiting was asked for, and lets go of what it pressed
//! whatever comes in between. How a key or a button reaches the desktop is the business of three backends of the same shape, chosen in
//! [`Input::open`]. What is on the screen is for other rooms.

mod error;
mod key;
mod keyboard;
#[cfg(target_os = "linux")]
mod keymap;
mod mouse;
mod pause;
mod portable;
mod vnc;
mod words;
#[cfg(target_os = "linux")]
mod x11;
#[cfg(target_os = "linux")]
mod x11_keys;

pub use error::Error;
pub use key::KEY_NAMES;
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
    /// How many of the symbols at the head of `text` can be typed one after the other without a break; makes them typeable.
    fn prepare(&self, text: &[Key], cancel: &CancellationToken) -> Result<usize, Error>;
    /// Presses and releases a key that was prepared.
    fn tap(&self, key: Key) -> Result<(), Error>;
    /// What [`Backend::prepare`] changed is no longer needed.
    fn settle(&self) -> Result<(), Error>;
    /// Returns once all actions have reached the desktop.
    fn flush(&self) -> Result<(), Error>;
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
    keys: Vec<Key>,
}

impl Held {
    fn note_button(&mut self, button: Button) {
        if !self.buttons.contains(&button) {
            self.buttons.push(button);
        }
    }

    fn note_key(&mut self, key: Key) {
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

    /// Lets go of everything that was pressed to be kept down.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the display does not answer; then it holds nothing either.
    pub fn let_go(&self) -> Result<(), Error> {
        let Held { buttons, keys } = std::mem::take(&mut *self.held());
        if buttons.is_empty() && keys.is_empty() {
            return Ok(());
        }
        let keys = keys.into_iter().rev().map(|key| self.backend.key(key, false));
        let buttons = buttons.into_iter().rev().map(|button| self.backend.button(button, false));
        let released = keys.chain(buttons).fold(Ok(()), Result::and);
        released.and(self.backend.flush())
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

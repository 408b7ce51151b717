//! Mouse and keyboard of any platform that enigo knows. On X11 its typing loses characters; there it is what is left for a server
//! without XTEST.

use std::sync::{Mutex, MutexGuard, PoisonError};

use enigo::{Axis, Coordinate, Direction, Enigo, Keyboard as _, Mouse as _, Settings};
use tokio_util::sync::CancellationToken;

use super::{Area, Backend, Button, Error, Key, Point, Wheel};

pub(super) struct Portable {
    enigo: Mutex<Enigo>,
}

impl Portable {
    pub(super) fn open(display: Option<String>) -> Result<Self, Error> {
        let name = display.clone().unwrap_or_else(|| "of this session".to_owned());
        // enigo's own waits are left out: waiting is done where it can be cancelled.
        let settings = Settings { linux_delay: 0, x11_display: display, ..Settings::default() };
        let enigo = Enigo::new(&settings).map_err(|error| Error::Unavailable { display: name, reason: error.to_string() })?;
        Ok(Self { enigo: Mutex::new(enigo) })
    }

    fn enigo(&self) -> MutexGuard<'_, Enigo> {
        self.enigo.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn failed(error: enigo::InputError) -> Error {
    Error::Failed(error.to_string())
}

fn direction(down: bool) -> Direction {
    if down { Direction::Press } else { Direction::Release }
}

impl Backend for Portable {
    fn areas(&self) -> Result<Vec<Area>, Error> {
        let (width, height) = self.enigo().main_display().map_err(failed)?;
        let side = |length: i32| u32::try_from(length).unwrap_or(0);
        Ok(vec![Area { x: 0, y: 0, width: side(width), height: side(height) }])
    }

    fn position(&self) -> Result<Point, Error> {
        let (x, y) = self.enigo().location().map_err(failed)?;
        Ok(Point { x, y })
    }

    fn point(&self, x: i32, y: i32) -> Result<(), Error> {
        self.enigo().move_mouse(x, y, Coordinate::Abs).map_err(failed)
    }

    fn button(&self, button: Button, down: bool) -> Result<(), Error> {
        let button = match button {
            Button::Left => enigo::Button::Left,
            Button::Middle => enigo::Button::Middle,
            Button::Right => enigo::Button::Right,
        };
        self.enigo().button(button, direction(down)).map_err(failed)
    }

    fn wheel(&self, wheel: Wheel, steps: u32) -> Result<(), Error> {
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        let (length, axis) = match wheel {
            Wheel::Up => (-steps, Axis::Vertical),
            Wheel::Down => (steps, Axis::Vertical),
            Wheel::Left => (-steps, Axis::Horizontal),
            Wheel::Right => (steps, Axis::Horizontal),
        };
        if steps == 0 { Ok(()) } else { self.enigo().scroll(length, axis).map_err(failed) }
    }

    fn key(&self, key: Key, down: bool) -> Result<(), Error> {
        let named = named(key).ok_or_else(|| Error::NoKey(key.describe()))?;
        self.enigo().key(named, direction(down)).map_err(failed)
    }

    fn prepare(&self, text: &[Key], _cancel: &CancellationToken) -> Result<usize, Error> {
        Ok(text.len())
    }

    fn tap(&self, key: Key) -> Result<(), Error> {
        match key.character() {
            Some(character) => self.enigo().text(character.encode_utf8(&mut [0; 4])).map_err(failed),
            None => self.key(key, true).and_then(|()| self.key(key, false)),
        }
    }

    fn settle(&self) -> Result<(), Error> {
        Ok(())
    }

    fn flush(&self) -> Result<(), Error> {
        Ok(())
    }
}

/// enigo's word for a key, of those that it has on every platform.
fn named(key: Key) -> Option<enigo::Key> {
    use enigo::Key as E;
    const FUNCTION: [E; 20] = [
        E::F1,
        E::F2,
        E::F3,
        E::F4,
        E::F5,
        E::F6,
        E::F7,
        E::F8,
        E::F9,
        E::F10,
        E::F11,
        E::F12,
        E::F13,
        E::F14,
        E::F15,
        E::F16,
        E::F17,
        E::F18,
        E::F19,
        E::F20,
    ];
    Some(match key.0 {
        0xff08 => E::Backspace,
        0xff09 => E::Tab,
        0xff0d => E::Return,
        0xff1b => E::Escape,
        0xff50 => E::Home,
        0xff51 => E::LeftArrow,
        0xff52 => E::UpArrow,
        0xff53 => E::RightArrow,
        0xff54 => E::DownArrow,
        0xff55 => E::PageUp,
        0xff56 => E::PageDown,
        0xff57 => E::End,
        0xff6a => E::Help,
        0xffff => E::Delete,
        0xffe1 => E::LShift,
        0xffe2 => E::RShift,
        0xffe3 => E::LControl,
        0xffe4 => E::RControl,
        0xffe5 => E::CapsLock,
        0xffe9 | 0xffea => E::Alt,
        0xffeb | 0xffec => E::Meta,
        0x1008_ff11 => E::VolumeDown,
        0x1008_ff12 => E::VolumeMute,
        0x1008_ff13 => E::VolumeUp,
        0x1008_ff14 => E::MediaPlayPause,
        0x1008_ff16 => E::MediaPrevTrack,
        0x1008_ff17 => E::MediaNextTrack,
        // The number pad: as characters, which is what its keys type.
        code @ 0xffaa..=0xffb9 => E::Unicode(char::from(u8::try_from(code - 0xff80).ok()?)),
        code @ 0xffbe..=0xffd1 => *FUNCTION.get((code - 0xffbe) as usize)?,
        #[cfg(target_os = "linux")]
        code if key.character().is_none() => E::Other(code),
        _ => E::Unicode(key.character()?),
    })
}

//! The keyboard: checks first, then types; what was pressed is let go whatever happens.

use std::sync::{MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::mouse::range;
use super::pause::{pause, seconds};
use super::{Error, Hotkey, Input, Key, KeyHold, Physical, Press, Pressed, TypeText};

/// The longest text typed at once, in characters.
pub(super) const LONGEST: usize = 64 * 1024;
/// The most presses of a key at once.
const PRESSES: u32 = 1000;
/// The most keys of a hotkey.
const TOGETHER: usize = 10;
/// How long a key waits for a text that is being typed.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many characters go out between two looks at the cancel token: a few milliseconds' worth.
const BURST: usize = 64;

impl Input {
    /// Types a text, whatever the keyboard layout, and gives the number of characters typed.
    ///
    /// # Errors
    /// [`Error::TooLong`], [`Error::Control`], [`Error::NotMeant`] and [`Error::Range`] before anything is typed; [`Error::Cancelled`] in between.
    pub fn type_text(&self, action: &TypeText, cancel: &CancellationToken) -> Result<u64, Error> {
        let interval = seconds(action.interval, "/interval", "the interval")?;
        let keys = keys_of(&action.text)?;
        check(action)?;
        let _keyboard = self.keyboard(Some(cancel))?;
        let mut rest = keys.as_slice();
        while !rest.is_empty() {
            pause(Duration::ZERO, cancel)?;
            let typed = self.backend.prepare(rest, cancel).and_then(|ready| {
                let (chunk, later) = rest.split_at(ready.clamp(1, rest.len()));
                self.type_chunk(chunk, interval, cancel).map(|()| later)
            });
            // Also after a failure or a cancel: what was changed for typing must not stay.
            let settled = self.backend.settle();
            rest = typed?;
            settled?;
        }
        Ok(keys.len() as u64)
    }

    fn type_chunk(&self, chunk: &[Key], interval: Duration, cancel: &CancellationToken) -> Result<(), Error> {
        for (index, key) in chunk.iter().enumerate() {
            self.backend.tap(*key)?;
            if !interval.is_zero() {
                self.backend.flush()?;
                pause(interval, cancel)?;
            } else if index % BURST == BURST - 1 {
                self.backend.flush()?;
                pause(Duration::ZERO, cancel)?;
            }
        }
        self.backend.flush()
    }

    /// Presses a key and lets it go.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] and [`Error::Range`] before anything is pressed; [`Error::Cancelled`] in between.
    pub fn press(&self, action: &Press, cancel: &CancellationToken) -> Result<(), Error> {
        let key = Key::named(&action.key, "/key")?;
        let interval = seconds(action.interval, "/interval", "the interval")?;
        range("/presses", "the number of presses", f64::from(action.presses), 1.0, f64::from(PRESSES))?;
        let _keyboard = self.keyboard(Some(cancel))?;
        for press in 0..action.presses {
            pause(if press == 0 { Duration::ZERO } else { interval }, cancel)?;
            self.together(&[key])?;
        }
        Ok(())
    }

    /// Presses several keys together: down in their order, up in the reverse one.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] and [`Error::Keys`] before anything is pressed.
    pub fn hotkey(&self, action: &Hotkey) -> Result<(), Error> {
        if action.keys.is_empty() || action.keys.len() > TOGETHER {
            return Err(Error::Keys(action.keys.len()));
        }
        let named = action.keys.iter().enumerate().map(|(index, name)| Key::named(name, &format!("/keys/{index}")));
        let keys = named.collect::<Result<Vec<_>, _>>()?;
        let _keyboard = self.keyboard(None)?;
        self.together(&keys)
    }

    /// Presses a key and keeps it down.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] before anything is pressed.
    pub fn key_down(&self, action: &KeyHold) -> Result<(), Error> {
        self.hold_down(Pressed::Symbol(Key::named(&action.key, "/key")?))
    }

    /// Lets a key go.
    ///
    /// # Errors
    /// [`Error::UnknownKey`] before anything happens.
    pub fn key_up(&self, action: &KeyHold) -> Result<(), Error> {
        self.hold_up(Pressed::Symbol(Key::named(&action.key, "/key")?))
    }

    /// Presses the key at a place of the keyboard and keeps it down.
    ///
    /// # Errors
    /// [`Error::NoKey`] where this keyboard has no such place.
    pub fn code_down(&self, key: Physical) -> Result<(), Error> {
        self.hold_down(Pressed::Place(key))
    }

    /// Lets the key at a place of the keyboard go.
    ///
    /// # Errors
    /// As [`Input::code_down`].
    pub fn code_up(&self, key: Physical) -> Result<(), Error> {
        self.hold_up(Pressed::Place(key))
    }

    /// Presses the key at a place of the keyboard and lets it go.
    ///
    /// # Errors
    /// As [`Input::code_down`].
    pub fn code_press(&self, key: Physical) -> Result<(), Error> {
        let _keyboard = self.keyboard(None)?;
        let pressed = self.backend.physical(key, true);
        pressed.and(self.backend.physical(key, false)).and(self.backend.flush())
    }

    fn hold_down(&self, key: Pressed) -> Result<(), Error> {
        let _keyboard = self.keyboard(None)?;
        // Noted first: what fails half-way is let go as well.
        self.held().note_key(key);
        self.stroke(key, true)?;
        self.backend.flush()
    }

    fn hold_up(&self, key: Pressed) -> Result<(), Error> {
        let _keyboard = self.keyboard(None)?;
        self.stroke(key, false)?;
        self.held().keys.retain(|held| *held != key);
        self.backend.flush()
    }

    fn together(&self, keys: &[Key]) -> Result<(), Error> {
        let mut result = Ok(());
        let mut down = Vec::with_capacity(keys.len());
        for key in keys {
            // On the list before the press: one that fails half-way is let go as well.
            down.push(*key);
            result = self.backend.key(*key, true);
            if result.is_err() {
                break;
            }
        }
        for key in down.into_iter().rev() {
            let released = self.backend.key(key, false);
            result = result.and(released);
        }
        result.and(self.backend.flush())
    }

    /// The keyboard, once nothing else is typed on it; without a way to cancel, only for so long.
    fn keyboard(&self, cancel: Option<&CancellationToken>) -> Result<MutexGuard<'_, ()>, Error> {
        let start = Instant::now();
        loop {
            match self.keyboard.try_lock() {
                Ok(guard) => return Ok(guard),
                Err(TryLockError::Poisoned(poisoned)) => return Ok(PoisonError::into_inner(poisoned)),
                Err(TryLockError::WouldBlock) => {}
            }
            match cancel {
                Some(cancel) => pause(Duration::from_millis(5), cancel)?,
                None if start.elapsed() > PATIENCE => return Err(Error::Busy),
                None => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

/// The keys that type a text. A carriage return before a line break is part of it.
fn keys_of(text: &str) -> Result<Vec<Key>, Error> {
    // Bytes first, so that a huge text is refused without being walked through.
    if text.len() > LONGEST * 4 {
        return Err(Error::TooLong(text.chars().count()));
    }
    let mut keys = Vec::with_capacity(text.len());
    let mut characters = text.chars().enumerate().peekable();
    while let Some((at, character)) = characters.next() {
        if character == '\r' && characters.peek().is_some_and(|(_, next)| *next == '\n') {
            continue;
        }
        keys.push(Key::of_char(character).ok_or(Error::Control { code: character.into(), at })?);
    }
    if keys.len() > LONGEST { Err(Error::TooLong(keys.len())) } else { Ok(keys) }
}

/// Whether all keys that a text presses are meant.
fn check(action: &TypeText) -> Result<(), Error> {
    let mut characters = action.text.chars().enumerate();
    match characters.find(|(_, character)| !action.allow_control && character.is_control()) {
        Some((at, character)) => Err(Error::NotMeant { key: if character == '\t' { "Tab" } else { "Return" }, at }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Classify, Kind};

    #[test]
    fn line_breaks_are_return() {
        assert_eq!(keys_of("a\r\nb\n\t").unwrap(), [Key(0x61), Key::RETURN, Key(0x62), Key::RETURN, Key::TAB]);
    }

    #[test]
    fn what_presses_return_or_tab_is_said_to_be_meant() {
        let typed = |text: &str, allow_control| check(&TypeText { text: text.to_owned(), interval: 0.0, allow_control });
        for (text, key, at) in [("rm x\n", "Return", "position 4"), ("ä\r", "Return", "position 1"), ("\tb", "Tab", "position 0")] {
            let refused = typed(text, false).unwrap_err();
            assert_eq!(refused.kind(), Kind::ValidationError);
            assert!([key, at, "allow_control"].iter().all(|part| refused.to_string().contains(part)), "{refused}");
            typed(text, true).unwrap();
        }
        typed("plain text, \u{a0}of any kind", false).unwrap();
    }

    #[test]
    fn control_characters_and_long_texts_are_refused() {
        for text in ["a\0", "\u{1b}[A", "\u{7f}", "\u{85}"] {
            assert_eq!(keys_of(text).unwrap_err().kind(), Kind::ValidationError);
        }
        assert!(keys_of(&"ä".repeat(LONGEST)).is_ok());
        assert!(keys_of(&"a".repeat(LONGEST + 1)).is_err());
        assert!(keys_of(&"a".repeat(1 << 20)).is_err());
    }
}

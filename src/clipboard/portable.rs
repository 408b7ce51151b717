//! The clipboard of any platform that arboard knows.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Error;

pub(super) struct Portable {
    clipboard: Mutex<arboard::Clipboard>,
}

impl Portable {
    pub(super) fn open() -> Result<Self, Error> {
        let clipboard = arboard::Clipboard::new().map_err(said)?;
        Ok(Self { clipboard: Mutex::new(clipboard) })
    }

    fn clipboard(&self) -> MutexGuard<'_, arboard::Clipboard> {
        self.clipboard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self) -> Result<String, Error> {
        let text = self.clipboard().get_text().map_err(said)?;
        if text.len() > super::LONGEST { Err(Error::TooLarge) } else { Ok(text) }
    }

    pub(super) fn changes(&self) -> Result<super::Changes, Error> {
        Err(Error::NotTold)
    }

    pub(super) fn set(&self, text: &str) -> Result<(), Error> {
        self.clipboard().set_text(text).map_err(said)
    }
}

fn said(error: arboard::Error) -> Error {
    match error {
        arboard::Error::ContentNotAvailable => Error::NotText,
        arboard::Error::ClipboardOccupied => Error::Silent,
        arboard::Error::ClipboardNotSupported => Error::Unavailable { display: "of this session".to_owned(), reason: error.to_string() },
        other => Error::Failed(other.to_string()),
    }
}

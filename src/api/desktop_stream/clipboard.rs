//! The desktop's clipboard, as one client of the socket hears of it and sets it.

use std::sync::Arc;

use serde_json::json;

use super::super::error::Result;
use super::super::state::blocking;
use crate::clipboard::{Changes, Error};
use crate::desktop::Desktop;
use crate::error::Failure;

/// The longest text that is sent by itself, in bytes.
const LONGEST: usize = 1 << 20;

/// What one client has to do with it.
#[derive(Default)]
pub(super) struct Clip {
    followed: Option<(Arc<Desktop>, Changes)>,
    /// The text that the client has: set by itself, or told.
    known: Option<String>,
}

impl Clip {
    /// Hears of each change from now on, and of what there is.
    pub(super) async fn follow(&mut self, desktop: Arc<Desktop>) -> Result<Option<String>> {
        let asked = Arc::clone(&desktop);
        let changes = blocking(move || Ok(asked.clipboard().changes()?)).await?;
        self.followed = Some((desktop, changes));
        self.known = None;
        self.news().await
    }

    /// Hears of it no longer.
    pub(super) fn leave(&mut self) {
        self.followed = None;
    }

    /// Resolves with the next change. May be dropped while it waits.
    pub(super) async fn changed(&mut self) {
        match &mut self.followed {
            Some((_, changes)) => changes.next().await,
            None => std::future::pending().await,
        }
    }

    /// `clipboard`, where the client has not what is on it. A picture, or a text that is too long, is told without its content.
    pub(super) async fn news(&mut self) -> Result<Option<String>> {
        let Some((desktop, _)) = &self.followed else { return Ok(None) };
        let desktop = Arc::clone(desktop);
        let read = blocking(move || {
            Ok(match desktop.clipboard().get() {
                Ok(text) if text.len() <= LONGEST => Ok(text),
                Ok(text) => {
                    let hint = "GET /api/automation/clipboard reads it";
                    Err(format!("the text has {} bytes, and at most {LONGEST} are sent: {hint}", text.len()))
                }
                // What is no text, or is gone already, is no failure of the client's.
                Err(error @ (Error::NotText | Error::TooLarge | Error::Silent)) => Err(error.to_string()),
                Err(error) => return Err(Failure::from(error)),
            })
        });
        let message = match read.await? {
            Ok(text) if self.known.as_ref() == Some(&text) => return Ok(None),
            Ok(text) => {
                let message = json!({ "type": "clipboard", "text": text });
                self.known = Some(text);
                message
            }
            Err(reason) => {
                self.known = None;
                json!({ "type": "clipboard", "text": null, "reason": reason })
            }
        };
        Ok(Some(message.to_string()))
    }

    /// Puts a text on it.
    pub(super) async fn set(&mut self, desktop: Arc<Desktop>, text: String) -> Result<()> {
        let set = text.clone();
        blocking(move || Ok(desktop.clipboard().set(&set)?)).await?;
        self.known = Some(text);
        Ok(())
    }
}

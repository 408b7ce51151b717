//! What is to be seen on a desktop: a text or a picture is looked for where it is now, at once or until it is there, and where it is not, the
//! error says what is there instead.
//!
//! How a picture is read is `ocr`'s business, how one is found in another `vision`'s, what it is taken of `desktop`'s; here is what of the screen is looked at
//! ([`Place`]), what of an earlier look still holds ([`memory`]), and how long. Clicking at what was found does not live here.

mod beside;
mod error;
mod memory;
mod picture;
mod place;
mod show;
mod still;
mod text;
mod waiting;
mod words;
mod zones;

use std::sync::Arc;
use std::time::Instant;

use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::desktop::Desktop;
use crate::error::Kind;
use crate::ocr::{self, Ocr, Reading, Text};
use crate::screen::{Frame, Region};

pub use error::{Error, Missed, NoAnchor};
use memory::Memory;
use place::Place;
pub use still::difference;
use waiting::Patience;
pub use words::*;
pub use zones::Book;
use zones::Zones;

/// Eyes on the desktops. Clones share what they have seen.
#[derive(Clone)]
pub struct Sight {
    inner: Arc<Inner>,
}

struct Inner {
    ocr: Arc<Ocr>,
    memory: Memory,
    zones: Zones,
}

impl std::fmt::Debug for Sight {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sight").finish_non_exhaustive()
    }
}

impl Sight {
    /// Eyes that read with `ocr`.
    pub fn new(ocr: Arc<Ocr>) -> Self {
        Self { inner: Arc::new(Inner { ocr, memory: Memory::default(), zones: Zones::default() }) }
    }

    /// The same, with the zones that are kept in a book.
    pub fn with_zones(ocr: Arc<Ocr>, book: Arc<dyn Book>, known: Vec<NamedZone>) -> Self {
        Self { inner: Arc::new(Inner { ocr, memory: Memory::default(), zones: Zones::kept(book, known) }) }
    }

    /// Reads a part of a desktop. Boxes count from the corner of the virtual screen. What has not changed since it was last read is not read
    /// again.
    ///
    /// # Errors
    /// For a place that is not on the screen; what the screen and [`Ocr`] say.
    pub async fn read(&self, desktop: &Arc<Desktop>, zone: Zone, reading: Reading, cancel: &CancellationToken) -> Result<Text, Error> {
        let place = Place::new(&zone, &self.inner.zones)?;
        let reading = place.reading(reading);
        let seen = self.looking(desktop, cancel, move |inner, desktop, patience| {
            let region = place.on(inner, desktop, patience)?;
            match inner.memory.read(&inner.ocr, desktop, region, &reading, patience) {
                Ok((text, _)) => Ok(text),
                Err(Error::Ocr(late @ (ocr::Error::Timeout(_) | ocr::Error::Busy(_)))) => {
                    let details = json!({ "zone": region, "image": show::on_desktop(desktop, region) });
                    let message = format!("the zone {} could not be read in time: {late}", described(region));
                    Err(Error::Missed(Box::new(Missed { kind: Kind::Timeout, message, details })))
                }
                Err(error) => Err(error),
            }
        });
        match seen.await {
            Ok(text) => Ok(Text::clone(&text)),
            Err(error) => Err(self.explained(desktop, error, cancel).await),
        }
    }

    /// What a part of a desktop shows now, as a `data:` URL. None where it cannot be seen.
    pub async fn shown(&self, desktop: &Arc<Desktop>, part: Region, cancel: &CancellationToken) -> Option<String> {
        self.looking(desktop, cancel, move |_, desktop, _| Ok(show::on_desktop(desktop, part))).await.ok().flatten()
    }

    /// An error that ends a look, with a picture where one tells something.
    async fn explained(&self, desktop: &Arc<Desktop>, error: Error, cancel: &CancellationToken) -> Error {
        match error {
            Error::NoAnchor(mut missed) => {
                missed.image = self.shown(desktop, missed.telling(), cancel).await;
                Error::NoAnchor(missed)
            }
            error => error,
        }
    }

    /// Does what blocks where it holds nobody up. Whoever stops waiting for it stops the reading.
    async fn looking<T: Send + 'static>(
        &self,
        desktop: &Arc<Desktop>,
        cancel: &CancellationToken,
        work: impl FnOnce(&Inner, &Desktop, &Patience) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.looking_until(desktop, None, cancel, work).await
    }

    /// The same, which is given up at its end.
    async fn looking_until<T: Send + 'static>(
        &self,
        desktop: &Arc<Desktop>,
        end: Option<Instant>,
        cancel: &CancellationToken,
        work: impl FnOnce(&Inner, &Desktop, &Patience) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (inner, desktop, patience) = (Arc::clone(&self.inner), Arc::clone(desktop), Patience { cancel: cancel.child_token(), end });
        let _gone = patience.cancel.clone().drop_guard();
        let work = tokio::task::spawn_blocking(move || work(&inner, &desktop, &patience));
        work.await.unwrap_or(Err(Error::Ended))
    }
}

/// Reads a picture; boxes count from its corner, moved by where that is.
fn read_frame(ocr: &Ocr, frame: &Frame, corner: (i32, i32), reading: &Reading, patience: &Patience) -> Result<Text, ocr::Error> {
    let own = Instant::now() + ocr.timeout();
    let end = patience.end.map_or(own, |end| end.min(own));
    let mut text = ocr.read_until(&frame.to_gray(), reading, end, &patience.cancel)?;
    for word in &mut text.words {
        word.x = word.x.saturating_add(corner.0);
        word.y = word.y.saturating_add(corner.1);
    }
    Ok(text)
}

/// A part of the screen, in words.
fn described(region: Region) -> String {
    format!("{}×{} at ({}, {})", region.width, region.height, region.x, region.y)
}

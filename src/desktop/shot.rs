//! One picture of a monitor, for everybody who watches it: the pixels, what changed in it, and how it looks at each quality and size
//! that somebody wants, which is worked out once.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::OnceCell;

use super::Error;
use super::plane::Planes;
use super::tiles::Tiles;
use crate::screen::{Frame, Look, Region};

/// How much work watching has been.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) captured: AtomicU64,
    pub(super) encoded: AtomicU64,
}

/// A picture that is made once, by whoever wants it first.
type Made = Arc<OnceCell<Arc<Picture>>>;

/// A picture of a monitor.
pub struct Shot {
    frame: Frame,
    generation: u64,
    tiles: Tiles,
    taken: SystemTime,
    pictures: Mutex<Vec<(Look, Made)>>,
    planes: Planes,
    counts: Arc<Counts>,
}

impl std::fmt::Debug for Shot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shot").field("generation", &self.generation).field("frame", &self.frame).finish_non_exhaustive()
    }
}

/// A picture as it is shown.
#[derive(Debug)]
pub struct Picture {
    /// The JPEG.
    pub jpeg: Vec<u8>,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    base64: OnceLock<String>,
}

impl Picture {
    /// The JPEG as text.
    pub fn base64(&self) -> &str {
        self.base64.get_or_init(|| STANDARD.encode(&self.jpeg))
    }
}

impl Shot {
    pub(super) fn new(frame: Frame, generation: u64, tiles: Tiles, counts: Arc<Counts>) -> Self {
        counts.captured.fetch_add(1, Ordering::Relaxed);
        Self { frame, generation, tiles, taken: SystemTime::now(), pictures: Mutex::default(), planes: Planes::default(), counts }
    }

    /// The pixels.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Its number: a later picture of the same monitor has a higher one.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When it was taken.
    pub fn taken(&self) -> SystemTime {
        self.taken
    }

    pub(super) fn planes(&self) -> &Planes {
        &self.planes
    }

    pub(super) fn counts(&self) -> &Arc<Counts> {
        &self.counts
    }

    pub(super) fn tiles(&self) -> &Tiles {
        &self.tiles
    }

    /// What has changed since the picture of that generation, as rectangles counted from the picture's corner; all of it for one of
    /// another size.
    pub fn changed_since(&self, generation: u64) -> Vec<Region> {
        self.tiles.changed_since(generation)
    }

    /// The picture as it is to be shown. Whoever asks first works it out, where it holds nobody up; the others wait for that.
    ///
    /// # Errors
    /// [`Error::Screen`] where it cannot be encoded.
    pub async fn picture(self: &Arc<Self>, look: Look) -> Result<Arc<Picture>, Error> {
        let cell = self.cell(look);
        let made = cell.get_or_try_init(|| async {
            let shot = Arc::clone(self);
            let work = tokio::task::spawn_blocking(move || {
                let (jpeg, width, height) = shot.frame.show(look)?;
                shot.counts.encoded.fetch_add(1, Ordering::Relaxed);
                let picture = Picture { jpeg, width, height, base64: OnceLock::new() };
                picture.base64();
                Ok(Arc::new(picture))
            });
            work.await.map_err(|_| Error::Ended("encoding a picture"))?
        });
        made.await.map(Arc::clone)
    }

    fn cell(&self, look: Look) -> Made {
        let mut pictures = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, cell)) = pictures.iter().find(|(known, _)| *known == look) {
            return Arc::clone(cell);
        }
        let cell = Arc::new(OnceCell::new());
        pictures.push((look, Arc::clone(&cell)));
        cell
    }
}

//! Whether a part of the screen still shows what it did: the whole virtual screen in tiles, each with the number of its last change. Who
//! looks at the same part again and again, as one does who waits for a text, need not take a picture of it where nothing has changed.
//!
//! Nothing is done between two glances: the X server keeps what has changed until it is asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use super::Error;
use super::tiles::Tiles;
use crate::screen::{Changes, Region, Screen, Watch};

/// The last number that was given out. One count for all desktops and times, so that what was noted of another one never seems to be the
/// same.
static LAST: AtomicU64 = AtomicU64::new(0);

/// What is known of the changes of one desktop.
#[derive(Default)]
pub(super) struct Glances(Mutex<Option<Known>>);

struct Known {
    watch: Watch,
    tiles: Tiles,
}

impl Glances {
    /// The number of the last change in a part of the screen.
    pub(super) fn generation(&self, screen: &Screen, part: Region) -> Result<Option<u64>, Error> {
        let bounds = screen.bounds()?;
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A screen of another size is looked at anew, and so is one whose server was started again.
        let told = match known.as_mut().filter(|known| known.tiles.area() == bounds) {
            Some(known) => known.ask().ok(),
            None => None,
        };
        let is_known = match told {
            Some(is_known) => is_known,
            None => known.insert(Known::new(screen, bounds)?).ask()?,
        };
        Ok(known.as_ref().filter(|_| is_known).and_then(|known| known.tiles.newest(&part)))
    }
}

impl Known {
    fn new(screen: &Screen, bounds: Region) -> Result<Self, Error> {
        Ok(Self { watch: screen.watch_picture()?, tiles: Tiles::new(bounds, next()) })
    }

    /// Notes what has changed; says whether that can be known at all.
    fn ask(&mut self) -> Result<bool, Error> {
        // What was told meanwhile, which is no more than that there is something, makes room.
        self.watch.wait(None, Some(Instant::now()))?;
        let Changes::In(changed) = self.watch.changes()? else { return Ok(false) };
        if !changed.is_empty() {
            let generation = next();
            for part in &changed {
                self.tiles.mark(part, generation);
            }
        }
        Ok(true)
    }
}

fn next() -> u64 {
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

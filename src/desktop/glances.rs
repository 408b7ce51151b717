//! Whether a part of the screen still shows what it did: the whole virtual screen in tiles, each with the number of its last change. Who
//! looks at the same part again and again, as one does who waits for a text, need not take a picture of it where nothing has changed.
//!
//! Nothing is done between two glances: the X server keeps what has changed until it is asked, and says once that there is something ([`Ears`]).

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Notify;

use super::Error;
use super::tiles::Tiles;
use crate::screen::{Changes, Region, Screen, Signal, Watch};

/// The last number that was given out. One count for all desktops and times, so that what was noted of another one never seems to be the
/// same.
static LAST: AtomicU64 = AtomicU64::new(0);

/// What is known of the changes of one desktop.
#[derive(Default)]
pub(super) struct Glances {
    known: Mutex<Option<Known>>,
    /// Somebody has seen that something changed.
    changed: Arc<Notify>,
}

/// Hears that something on a desktop may have changed.
#[derive(Debug)]
pub struct Ears {
    signal: Signal,
    changed: Arc<Notify>,
}

impl Ears {
    /// Resolves once something may have changed since this was called: the X server says so, or somebody else heard it.
    pub fn listen(&self) -> impl Future<Output = ()> + Send + '_ {
        self.signal.clear();
        let changed = self.changed.notified();
        async move {
            tokio::select! {
                () = self.signal.rings() => {}
                () = changed => {}
            }
        }
    }
}

/// Times that the X server is asked at once: it has always something to say where a film is shown.
const ROUNDS: usize = 4;

struct Known {
    watch: Watch,
    tiles: Tiles,
}

impl Glances {
    /// The number of the last change in a part of the screen.
    pub(super) fn generation(&self, screen: &Screen, part: Region) -> Result<Option<u64>, Error> {
        let bounds = screen.bounds()?;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        // A screen of another size is looked at anew, and so is one whose server was started again.
        let told = match known.as_mut().filter(|known| known.tiles.area() == bounds) {
            Some(known) => known.ask().ok(),
            None => None,
        };
        let told = match told {
            Some(told) => told,
            None => known.insert(Known::new(screen, bounds)?).ask()?,
        };
        if told == Some(true) {
            self.changed.notify_waiters();
        }
        let is_known = told.is_some();
        Ok(known.as_ref().filter(|_| is_known).and_then(|known| known.tiles.newest(&part)))
    }

    /// What hears of changes. None where they cannot be heard of, or nobody has glanced yet. Made within a runtime.
    pub(super) fn ears(&self) -> Option<Ears> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let signal = known.as_ref()?.watch.signal()?;
        Some(Ears { signal, changed: Arc::clone(&self.changed) })
    }
}

impl Known {
    fn new(screen: &Screen, bounds: Region) -> Result<Self, Error> {
        Ok(Self { watch: screen.watch_picture()?, tiles: Tiles::new(bounds, next()) })
    }

    /// Notes what has changed; says whether anything has, or nothing where that cannot be known at all.
    fn ask(&mut self) -> Result<Option<bool>, Error> {
        let mut any = false;
        // What was told meanwhile, which is no more than that there is something, makes room.
        self.watch.wait(None, Some(Instant::now()))?;
        for _ in 0..ROUNDS {
            let Changes::In(changed) = self.watch.changes()? else { return Ok(None) };
            if !changed.is_empty() {
                any = true;
                let generation = next();
                for part in &changed {
                    self.tiles.mark(part, generation);
                }
            }
            // What came along with the answer is not on the connection any more, where ears would hear it.
            if !self.watch.wait(None, Some(Instant::now()))?.picture {
                break;
            }
        }
        Ok(Some(any))
    }
}

fn next() -> u64 {
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

//! Watching a desktop: one picture of a monitor for any number of viewers, taken when something has changed and not more often than
//! the fastest of them wants. While nobody watches nothing is taken, and an unchanged screen costs nothing.
//!
//! Each monitor that is watched has a thread of its own, which ends with its last viewer. What a viewer gets is the newest picture
//! ([`Viewer::next`]); one that is slow misses those between, and learns from [`Shot::changed_since`] what it has missed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::Error;
use super::shot::{Counts, Shot};
use super::tiles::Tiles;
use crate::error::Failure;
use crate::screen::{Bell, Capture, Changes, Frame, Region, Screen, Watch};

/// What a viewer sees: nothing yet, a picture, or why there is none.
type Sight = Option<Result<Arc<Shot>, Failure>>;

/// The monitors of one desktop that are watched.
pub(super) struct Frames {
    screen: Arc<Screen>,
    feeds: Mutex<HashMap<usize, Feed>>,
    next_viewer: AtomicU64,
    counts: Arc<Counts>,
}

/// One monitor that is watched.
struct Feed {
    newest: watch::Sender<Sight>,
    /// How many pictures a second each viewer wants at most.
    viewers: HashMap<u64, u32>,
    bell: Arc<Bell>,
}

/// Somebody who watches a monitor.
pub struct Viewer {
    frames: Arc<Frames>,
    monitor: usize,
    id: u64,
    newest: watch::Receiver<Sight>,
}

impl std::fmt::Debug for Viewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Viewer").field("monitor", &self.monitor).finish_non_exhaustive()
    }
}

impl Viewer {
    /// The newest picture that this viewer has not had yet, once there is one. May be dropped while it waits.
    ///
    /// # Errors
    /// Why there is none any more: the display is gone, or the monitor. Nothing comes after that.
    pub async fn next(&mut self) -> Result<Arc<Shot>, Failure> {
        loop {
            if self.newest.changed().await.is_err() {
                return Err(Error::Ended("watching the screen").into());
            }
            if let Some(sight) = self.newest.borrow_and_update().clone() {
                return sight;
            }
        }
    }

    /// Asks for at most so many pictures a second from now on.
    pub fn set_pace(&self, fps: u32) {
        let mut feeds = self.frames.lock();
        if let Some(feed) = feeds.get_mut(&self.monitor)
            && let Some(pace) = feed.viewers.get_mut(&self.id)
        {
            *pace = fps.max(1);
            feed.bell.ring();
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let mut feeds = self.frames.lock();
        if let Some(feed) = feeds.get_mut(&self.monitor)
            && feed.viewers.remove(&self.id).is_some()
        {
            feed.bell.ring();
        }
    }
}

impl Frames {
    pub(super) fn new(screen: Arc<Screen>) -> Self {
        Self { screen, feeds: Mutex::default(), next_viewer: AtomicU64::new(0), counts: Arc::default() }
    }

    /// Begins to watch a monitor, at most `fps` pictures a second.
    pub(super) fn watch(self: &Arc<Self>, monitor: usize, fps: u32) -> Result<Viewer, Error> {
        let id = self.next_viewer.fetch_add(1, Ordering::Relaxed);
        let mut feeds = self.lock();
        let feed = match feeds.get_mut(&monitor) {
            Some(feed) => feed,
            None => {
                let bell = Arc::new(Bell::new().map_err(|error| Error::Start(error.to_string()))?);
                let (newest, _) = watch::channel(None);
                let (frames, wake) = (Arc::clone(self), Arc::clone(&bell));
                std::thread::Builder::new()
                    .name(format!("screen-{monitor}"))
                    .spawn(move || frames.feed(monitor, &wake))
                    .map_err(|error| Error::Start(error.to_string()))?;
                feeds.entry(monitor).or_insert(Feed { newest, viewers: HashMap::new(), bell })
            }
        };
        feed.viewers.insert(id, fps.max(1));
        feed.bell.ring();
        let mut newest = feed.newest.subscribe();
        // What is there already is new to this one.
        newest.mark_changed();
        drop(feeds);
        Ok(Viewer { frames: Arc::clone(self), monitor, id, newest })
    }

    /// How many pictures were taken and how many encoded.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.counts.captured.load(Ordering::Relaxed), self.counts.encoded.load(Ordering::Relaxed))
    }

    /// How many watch.
    pub(super) fn viewers(&self) -> usize {
        self.lock().values().map(|feed| feed.viewers.len()).sum()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Feed>> {
        self.feeds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A monitor's thread.
    fn feed(&self, monitor: usize, bell: &Arc<Bell>) {
        if let Err(error) = self.look(monitor, bell) {
            // With its viewers: whoever comes now begins anew.
            let feed = self.lock().remove(&monitor);
            if let Some(feed) = feed {
                feed.newest.send_replace(Some(Err(error.into())));
            }
        }
    }

    /// Takes pictures as long as somebody watches.
    fn look(&self, monitor: usize, bell: &Arc<Bell>) -> Result<(), Error> {
        let mut watch = self.screen.watch(Arc::clone(bell))?;
        let mut newest: Option<Arc<Shot>> = None;
        let mut taken: Option<Instant> = None;
        let mut changed = true;
        while let Some(pace) = self.pace(monitor) {
            let due = taken.map_or_else(Instant::now, |taken| taken + pace);
            if !changed {
                changed = watch.wait(due)?;
            } else if Instant::now() < due {
                watch.rest(due)?;
            } else {
                changed = false;
                if let Some(shot) = self.take(monitor, &mut watch, newest.as_deref())? {
                    let shot = Arc::new(shot);
                    newest = Some(Arc::clone(&shot));
                    self.publish(monitor, shot);
                }
                taken = Some(Instant::now());
            }
        }
        Ok(())
    }

    /// The time between two pictures for the fastest viewer; `None`, and the end of the feed, where nobody watches.
    fn pace(&self, monitor: usize) -> Option<Duration> {
        let mut feeds = self.lock();
        let fastest = feeds.get(&monitor).and_then(|feed| feed.viewers.values().max().copied());
        if fastest.is_none() {
            feeds.remove(&monitor);
        }
        fastest.map(|fps| Duration::from_secs(1) / fps)
    }

    fn publish(&self, monitor: usize, shot: Arc<Shot>) {
        if let Some(feed) = self.lock().get(&monitor) {
            feed.newest.send_replace(Some(Ok(shot)));
        }
    }

    /// The next picture, unless nothing has changed in what the last one shows.
    fn take(&self, monitor: usize, watch: &mut Watch, last: Option<&Shot>) -> Result<Option<Shot>, Error> {
        // Asked first: what is drawn between the two counts as changed once more, and nothing is missed.
        let changes = watch.changes()?;
        let generation = last.map_or(0, Shot::generation) + 1;
        let mut tiles = last.map(|last| last.tiles().clone());
        if let (Changes::In(rectangles), Some(tiles)) = (&changes, &mut tiles)
            && !mark(tiles, rectangles, generation)
        {
            return Ok(None);
        }
        let frame = self.screen.capture(&Capture { monitor: Some(monitor), region: None })?;
        let tiles = match (tiles, last) {
            (Some(mut tiles), Some(last)) if tiles.area() == frame.region() => {
                if changes == Changes::Unknown && !mark(&mut tiles, &frame.differences(last.frame()), generation) {
                    return Ok(None);
                }
                tiles
            }
            _ => Tiles::new(frame.region(), generation),
        };
        Ok(Some(self.shot(frame, generation, tiles)))
    }

    fn shot(&self, frame: Frame, generation: u64, tiles: Tiles) -> Shot {
        Shot::new(frame, generation, tiles, Arc::clone(&self.counts))
    }
}

/// Notes what has changed; says whether any of it shows.
fn mark(tiles: &mut Tiles, rectangles: &[Region], generation: u64) -> bool {
    let mut shows = false;
    for rectangle in rectangles {
        shows |= tiles.mark(rectangle, generation);
    }
    shows
}

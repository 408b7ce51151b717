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
use crate::screen::{Bell, Capture, Changes, Frame, Pointer, Region, Screen, Serial, Watch};

/// The pointer is looked at not more often than this.
const POINTER: Duration = Duration::from_millis(16);

/// What a viewer sees: nothing yet, a picture, or why there is none.
type Sight = Option<Result<Arc<Shot>, Failure>>;

/// The monitors of one desktop that are watched.
pub(super) struct Frames {
    screen: Arc<Screen>,
    feeds: Mutex<HashMap<usize, Feed>>,
    next_viewer: AtomicU64,
    next_series: AtomicU64,
    counts: Arc<Counts>,
}

/// One monitor that is watched.
struct Feed {
    newest: watch::Sender<Sight>,
    pointer: watch::Sender<Option<Pointer>>,
    viewers: HashMap<u64, Wish>,
    bell: Arc<Bell>,
}

/// What a viewer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    /// How many pictures a second at most.
    fps: u32,
    /// Could do with none for the moment.
    busy: bool,
    /// The pointer as well.
    pointer: bool,
}

/// What all viewers together want.
struct Wanted {
    /// The time between two pictures for the fastest viewer; `None` where all are busy.
    pace: Option<Duration>,
    pointer: bool,
}

/// What a viewer sees that is new.
#[derive(Debug)]
pub enum Seen {
    /// A picture.
    Picture(Arc<Shot>),
    /// The pointer is elsewhere, or looks otherwise.
    Pointer(Pointer),
}

/// Somebody who watches a monitor.
pub struct Viewer {
    frames: Arc<Frames>,
    monitor: usize,
    id: u64,
    newest: watch::Receiver<Sight>,
    pointer: watch::Receiver<Option<Pointer>>,
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

    /// The newest picture there is, also one that this viewer has had. Who asks again when it is needed need not keep it.
    pub fn current(&self) -> Option<Arc<Shot>> {
        self.newest.borrow().as_ref()?.as_ref().ok().map(Arc::clone)
    }

    /// Asks for at most so many pictures a second from now on.
    pub fn set_pace(&self, fps: u32) {
        self.wish(|wish| wish.fps = fps.max(1));
    }

    /// Says whether it could do with no picture for the moment. None are taken where that is so of all viewers.
    pub fn set_busy(&self, busy: bool) {
        self.wish(|wish| wish.busy = busy);
    }

    /// Asks for the pointer as well, which [`Viewer::either`] tells.
    pub fn follow_pointer(&self) {
        self.wish(|wish| wish.pointer = true);
    }

    /// The newest picture or pointer that this viewer has not had yet. May be dropped while it waits.
    ///
    /// # Errors
    /// As [`Viewer::next`].
    pub async fn either(&mut self) -> Result<Seen, Failure> {
        loop {
            tokio::select! {
                biased;
                changed = self.newest.changed() => {
                    if changed.is_err() {
                        return Err(Error::Ended("watching the screen").into());
                    }
                    if let Some(sight) = self.newest.borrow_and_update().clone() {
                        return sight.map(Seen::Picture);
                    }
                }
                Ok(()) = self.pointer.changed() => {
                    if let Some(pointer) = self.pointer.borrow_and_update().clone() {
                        return Ok(Seen::Pointer(pointer));
                    }
                }
            }
        }
    }

    fn wish(&self, change: impl FnOnce(&mut Wish)) {
        let mut feeds = self.frames.lock();
        if let Some(feed) = feeds.get_mut(&self.monitor)
            && let Some(wish) = feed.viewers.get_mut(&self.id)
        {
            let before = *wish;
            change(wish);
            if before != *wish {
                feed.bell.ring();
            }
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
        Self { screen, feeds: Mutex::default(), next_viewer: AtomicU64::new(0), next_series: AtomicU64::new(0), counts: Arc::default() }
    }

    /// Begins to watch a monitor, at most `fps` pictures a second.
    pub(super) fn watch(self: &Arc<Self>, monitor: usize, fps: u32) -> Result<Viewer, Error> {
        let id = self.next_viewer.fetch_add(1, Ordering::Relaxed);
        let mut feeds = self.lock();
        let feed = match feeds.get_mut(&monitor) {
            Some(feed) => feed,
            None => {
                let bell = Arc::new(Bell::new().map_err(|error| Error::Start(error.to_string()))?);
                let (newest, pointer) = (watch::channel(None).0, watch::channel(None).0);
                let (frames, wake) = (Arc::clone(self), Arc::clone(&bell));
                std::thread::Builder::new()
                    .name(format!("screen-{monitor}"))
                    .spawn(move || frames.feed(monitor, &wake))
                    .map_err(|error| Error::Start(error.to_string()))?;
                feeds.entry(monitor).or_insert(Feed { newest, pointer, viewers: HashMap::new(), bell })
            }
        };
        feed.viewers.insert(id, Wish { fps: fps.max(1), busy: false, pointer: false });
        feed.bell.ring();
        let (mut newest, mut pointer) = (feed.newest.subscribe(), feed.pointer.subscribe());
        // What is there already is new to this one.
        newest.mark_changed();
        pointer.mark_changed();
        drop(feeds);
        Ok(Viewer { frames: Arc::clone(self), monitor, id, newest, pointer })
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
        let series = self.next_series.fetch_add(1, Ordering::Relaxed);
        let mut newest: Option<Arc<Shot>> = None;
        // When either is to be looked at, if there is something new.
        let (mut picture_due, mut pointer_due) = (Instant::now(), Instant::now());
        let (mut changed, mut moved) = (true, true);
        while let Some(wanted) = self.wanted(monitor) {
            let now = Instant::now();
            if let Some(pace) = wanted.pace.filter(|_| changed && picture_due <= now) {
                changed = false;
                moved = true;
                if let Some(shot) = self.take(monitor, &mut watch, newest.as_deref(), series)? {
                    let shot = Arc::new(shot);
                    newest = Some(Arc::clone(&shot));
                    let area = shot.frame().region();
                    self.publish(monitor, shot);
                    // Asked behind it, so that nobody waits for the answer. Monitors hardly ever change.
                    if self.screen.area(monitor)? != area {
                        let shot = Arc::new(self.take_anew(monitor, newest.as_deref())?);
                        newest = Some(Arc::clone(&shot));
                        self.publish(monitor, shot);
                    }
                }
                // Counted from when it was due, so that being late once does not make it slower for good.
                picture_due = if now < picture_due + pace { picture_due + pace } else { now + pace };
            } else if wanted.pointer && moved && pointer_due <= now {
                moved = false;
                self.point(monitor, watch.pointer()?);
                pointer_due = now + POINTER;
            } else {
                // A faster viewer need not wait for what a slower one was content with.
                let look_again = wanted.pace.map(|pace| picture_due.min(now + pace));
                picture_due = look_again.unwrap_or(picture_due);
                let picture = look_again.filter(|_| changed);
                let pointer = Some(pointer_due).filter(|_| wanted.pointer && moved);
                let heard = watch.wait(look_again, [picture, pointer].into_iter().flatten().min())?;
                changed |= heard.picture;
                moved |= heard.pointer;
            }
        }
        Ok(())
    }

    /// What is wanted of a monitor; `None`, and the end of the feed, where nobody watches.
    fn wanted(&self, monitor: usize) -> Option<Wanted> {
        let mut feeds = self.lock();
        let feed = feeds.get(&monitor)?;
        if feed.viewers.is_empty() {
            feeds.remove(&monitor);
            return None;
        }
        let wishes = || feed.viewers.values();
        let fastest = wishes().filter(|wish| !wish.busy).map(|wish| wish.fps).max();
        Some(Wanted { pace: fastest.map(|fps| Duration::from_secs(1) / fps), pointer: wishes().any(|wish| wish.pointer) })
    }

    fn point(&self, monitor: usize, pointer: Option<Pointer>) {
        if let Some(feed) = self.lock().get(&monitor) {
            feed.pointer.send_if_modified(|known| {
                let changed = *known != pointer;
                *known = pointer;
                changed
            });
        }
    }

    fn publish(&self, monitor: usize, shot: Arc<Shot>) {
        if let Some(feed) = self.lock().get(&monitor) {
            feed.newest.send_replace(Some(Ok(shot)));
        }
    }

    /// The next picture, unless nothing has changed in what the last one shows.
    fn take(&self, monitor: usize, watch: &mut Watch, last: Option<&Shot>, series: u64) -> Result<Option<Shot>, Error> {
        // Asked first: what is drawn between the two counts as changed once more, and nothing is missed.
        let changes = watch.changes()?;
        let Some(last) = last else { return self.take_anew(monitor, None).map(Some) };
        let number = last.generation() + 1;
        let mut tiles = last.tiles().clone();
        let frame = match &changes {
            Changes::In(rectangles) => {
                if !mark(&mut tiles, rectangles, number) {
                    return Ok(None);
                }
                self.screen.retake(tiles.area(), Serial { series, number }, &|since| tiles.changed_since(since))
            }
            Changes::Unknown => self.screen.capture(&Capture { monitor: Some(monitor), region: None }),
        };
        // The monitor is smaller than it was, or gone.
        let Ok(frame) = frame else { return self.take_anew(monitor, Some(last)).map(Some) };
        if tiles.area() != frame.region() {
            tiles = Tiles::new(frame.region(), number);
        } else if changes == Changes::Unknown && !mark(&mut tiles, &frame.differences(last.frame()), number) {
            return Ok(None);
        }
        Ok(Some(self.shot(frame, number, tiles)))
    }

    /// A picture of which everything is new.
    fn take_anew(&self, monitor: usize, last: Option<&Shot>) -> Result<Shot, Error> {
        let frame = self.screen.capture(&Capture { monitor: Some(monitor), region: None })?;
        let generation = last.map_or(0, Shot::generation) + 1;
        let tiles = Tiles::new(frame.region(), generation);
        Ok(self.shot(frame, generation, tiles))
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

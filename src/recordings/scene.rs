//! What there is to see where something is done: the window, and the picture around the target from before it was done.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;

use super::Error;
use super::gestures::Target;
use super::words::{Picture, WindowChange, WindowSeen};
use crate::desktop::{Desktop, Shot, Viewer};
use crate::input::Point;
use crate::screen::{ImageFormat, Region};
use crate::windows::{Filter, Window};

/// Pictures a second at most: enough to have one from shortly before whatever is done.
const FPS: u32 = 5;
/// How long the first picture of a monitor is waited for.
const FIRST: Duration = Duration::from_secs(2);
/// Pictures of a monitor that are remembered: one that shows what was done already is passed over for the one before.
const REMEMBERED: usize = 2;
/// The size of a picture around a target, and its JPEG quality.
const SIZE: (u32, u32) = (320, 200);
const QUALITY: u32 = 85;

/// What there was to see.
#[derive(Debug, Default)]
pub(super) struct Scene {
    pub(super) window: Option<WindowSeen>,
    pub(super) change: Option<WindowChange>,
    /// Its place, without its name, and the JPEG.
    pub(super) picture: Option<(Picture, Vec<u8>)>,
}

/// Looks at one desktop.
pub(super) struct Eyes {
    desktop: Arc<Desktop>,
    monitors: Vec<Sight>,
    /// Windows that were there at the beginning, or in which something was done since.
    known: HashSet<u32>,
    /// The window in which something was done last.
    last: Option<u32>,
    /// Where in it the mouse was used.
    clicked: Option<Point>,
}

/// A monitor, and its last pictures.
struct Sight {
    seen: Arc<Mutex<VecDeque<Arc<Shot>>>>,
    task: JoinHandle<()>,
}

impl Drop for Sight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sight {
    async fn of(mut viewer: Viewer) -> Self {
        let seen: Arc<Mutex<VecDeque<Arc<Shot>>>> = Arc::default();
        // What is done at once has a picture as well.
        if let Ok(Ok(first)) = tokio::time::timeout(FIRST, viewer.next()).await {
            remember(&seen, first);
        }
        let theirs = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            while let Ok(shot) = viewer.next().await {
                remember(&theirs, shot);
            }
        });
        Self { seen, task }
    }

    /// The newest picture from before a moment, or what comes next to that.
    fn before(&self, at: SystemTime) -> Option<Arc<Shot>> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().rev().find(|shot| shot.taken() <= at).or_else(|| seen.front()).map(Arc::clone)
    }
}

fn remember(seen: &Mutex<VecDeque<Arc<Shot>>>, shot: Arc<Shot>) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    seen.push_back(shot);
    if seen.len() > REMEMBERED {
        seen.pop_front();
    }
}

impl Eyes {
    pub(super) async fn open(desktop: Arc<Desktop>) -> Result<Self, Error> {
        let looking = Arc::clone(&desktop);
        let there = tokio::task::spawn_blocking(move || Ok::<_, Error>((looking.screen().monitors()?.len(), windows(&looking))));
        let (count, windows) = there.await.map_err(|_| Error::Ended)??;
        let mut monitors = Vec::new();
        for monitor in 0..count {
            monitors.push(Sight::of(desktop.watch(monitor, FPS)?).await);
        }
        let known = windows.into_iter().map(|window| window.id).collect();
        Ok(Self { desktop, monitors, known, last: None, clicked: None })
    }

    /// What there is to see where something begins. Blocks.
    pub(super) fn look(&mut self, target: Target, at: SystemTime) -> Scene {
        let windows = windows(&self.desktop);
        let window = match target {
            Target::At(point) => windows.iter().find(|window| window.is_visible && holds(window, point)),
            Target::Focus => windows.iter().find(|window| window.is_focused),
        };
        let change = window.and_then(|window| {
            if self.known.insert(window.id) {
                Some(WindowChange::Appeared)
            } else {
                // A click brings a window forward by itself.
                (target == Target::Focus && self.last != Some(window.id)).then_some(WindowChange::Focused)
            }
        });
        let id = window.map(|window| window.id);
        let point = match target {
            Target::At(point) => {
                self.clicked = Some(point);
                Some(point)
            }
            // A field is filled in where it was clicked into.
            Target::Focus => self.clicked.filter(|_| id.is_some() && id == self.last).or_else(|| window.map(middle)),
        };
        self.last = id;
        let seen = window.map(|window| WindowSeen { title: window.title.clone(), class: window.class.clone() });
        Scene { window: seen, change, picture: point.and_then(|point| self.picture(point, at)) }
    }

    fn picture(&self, point: Point, at: SystemTime) -> Option<(Picture, Vec<u8>)> {
        let shots = self.monitors.iter().filter_map(|sight| sight.before(at));
        let shot = shots.into_iter().find(|shot| shot.frame().region().contains(point.x, point.y))?;
        let screen = shot.frame().region();
        let (width, height) = (SIZE.0.min(screen.width), SIZE.1.min(screen.height));
        let left = corner(point.x - screen.x, width, screen.width);
        let top = corner(point.y - screen.y, height, screen.height);
        let part = shot.frame().crop(Region { x: left, y: top, width, height }).ok()?;
        let jpeg = part.encode(ImageFormat::Jpeg, QUALITY);
        let jpeg = jpeg.inspect_err(|error| tracing::warn!(%error, "a step has no picture")).ok()?;
        let (x, y) = (part.x(), part.y());
        let place = Picture { sha256: String::new(), x, y, width, height, target_x: point.x - x, target_y: point.y - y };
        Some((place, jpeg))
    }
}

/// The windows there are; none where they cannot be seen.
fn windows(desktop: &Desktop) -> Vec<Window> {
    let listed = desktop.windows().list(&Filter::default());
    listed.inspect_err(|error| tracing::debug!(%error, "a step is told without its window")).unwrap_or_default()
}

fn holds(window: &Window, point: Point) -> bool {
    Region { x: window.x, y: window.y, width: window.width, height: window.height }.contains(point.x, point.y)
}

fn middle(window: &Window) -> Point {
    let half = |length: u32| i32::try_from(length / 2).unwrap_or(i32::MAX);
    Point { x: window.x.saturating_add(half(window.width)), y: window.y.saturating_add(half(window.height)) }
}

/// Where a part of a screen begins that has `place` in its middle, as far as the screen goes.
fn corner(place: i32, length: u32, of: u32) -> i32 {
    let most = i32::try_from(of - length).unwrap_or(i32::MAX);
    place.saturating_sub(i32::try_from(length / 2).unwrap_or(0)).clamp(0, most)
}

#[cfg(test)]
mod tests {
    use super::corner;

    #[test]
    fn a_picture_stays_on_the_screen() {
        assert_eq!([corner(500, 320, 1000), corner(3, 320, 1000), corner(999, 320, 1000), corner(5, 320, 320)], [340, 0, 680, 0]);
    }
}

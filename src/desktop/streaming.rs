//! How a desktop is shown to those who watch it: what a stream is like that does not say otherwise, and where a point of the picture
//! lies on the screen.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::screen::{Look, Region, scaled_size};

/// How a desktop is shown.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Showing {
    /// Pictures a second, at most; 1–60.
    pub fps: u32,
    /// JPEG quality, 1–100.
    pub quality: u8,
    /// The size of the picture as a part of the screen's, 0.05–1.
    pub scale_factor: f64,
}

/// What is to be different; what is not named stays.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Change {
    /// Pictures a second.
    pub fps: Option<u32>,
    /// JPEG quality.
    pub quality: Option<u8>,
    /// The size of the picture.
    pub scale_factor: Option<f64>,
}

impl Default for Showing {
    fn default() -> Self {
        Self { fps: 5, quality: 80, scale_factor: 1.0 }
    }
}

impl Showing {
    /// The same with a change.
    #[must_use]
    pub fn with(self, change: &Change) -> Self {
        Self {
            fps: change.fps.unwrap_or(self.fps),
            quality: change.quality.unwrap_or(self.quality),
            scale_factor: change.scale_factor.unwrap_or(self.scale_factor),
        }
    }

    /// Quality and size.
    pub fn look(&self) -> Look {
        Look { quality: self.quality, scale: self.scale_factor }
    }

    /// The point of the screen that a point of a picture in this size shows.
    pub fn to_screen(&self, x: i32, y: i32) -> (i32, i32) {
        (stretch(x, 1.0 / self.scale_factor), stretch(y, 1.0 / self.scale_factor))
    }
}

impl Change {
    /// This change, and after it another one.
    #[must_use]
    pub fn then(self, other: &Self) -> Self {
        Self {
            fps: other.fps.or(self.fps),
            quality: other.quality.or(self.quality),
            scale_factor: other.scale_factor.or(self.scale_factor),
        }
    }
}

/// A picture of a part of the screen, as somebody sees it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// What it shows.
    pub area: Region,
    /// Its own width and height.
    pub size: (u32, u32),
}

impl View {
    /// The picture of `area` at a scale.
    pub fn new(area: Region, scale: f64) -> Self {
        Self { area, size: scaled_size((area.width, area.height), scale) }
    }

    /// The point of the screen that a point of the picture shows.
    pub fn to_screen(&self, x: i32, y: i32) -> (i32, i32) {
        let part =
            |at: i32, start: i32, length: u32, shown: u32| start.saturating_add(stretch(at, f64::from(length) / f64::from(shown.max(1))));
        (part(x, self.area.x, self.area.width, self.size.0), part(y, self.area.y, self.area.height, self.size.1))
    }

    /// The point of the picture that shows a point of the screen, if one does.
    pub fn of_screen(&self, x: i32, y: i32) -> Option<(i32, i32)> {
        let part = |at: i32, start: i32, length: u32, shown: u32| {
            let from = i64::from(at) - i64::from(start);
            i32::try_from(from * i64::from(shown) / i64::from(length.max(1))).unwrap_or(-1)
        };
        let Region { x: left, y: top, width, height } = self.area;
        self.area.contains(x, y).then(|| (part(x, left, width, self.size.0), part(y, top, height, self.size.1)))
    }

    /// Whether a point is one of the picture.
    pub fn contains(&self, x: i32, y: i32) -> bool {
        let inside = |at: i32, length: u32| u32::try_from(at).is_ok_and(|at| at < length);
        inside(x, self.size.0) && inside(y, self.size.1)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the cast saturates, and such a point is on no screen")]
fn stretch(value: i32, by: f64) -> i32 {
    (f64::from(value) * by).round() as i32
}

/// How the desktops are shown, and to how many.
#[derive(Debug)]
pub struct Streams {
    usual: watch::Sender<Showing>,
    clients: Arc<AtomicUsize>,
}

/// A stream under way, for the count.
#[derive(Debug)]
pub struct Client(Arc<AtomicUsize>);

impl Drop for Client {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self { usual: watch::channel(Showing::default()).0, clients: Arc::default() }
    }
}

impl Streams {
    /// What a stream is like that does not say otherwise.
    pub fn usual(&self) -> Showing {
        *self.usual.borrow()
    }

    /// Tells of every change of that.
    pub fn changes(&self) -> watch::Receiver<Showing> {
        self.usual.subscribe()
    }

    /// Changes what streams are like, also those under way where they have not said otherwise.
    pub fn configure(&self, change: &Change) -> Showing {
        self.usual.send_modify(|usual| *usual = usual.with(change));
        self.usual()
    }

    /// How many streams are under way.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Counts a stream as long as what this gives is kept.
    pub fn join(&self) -> Client {
        self.clients.fetch_add(1, Ordering::Relaxed);
        Client(Arc::clone(&self.clients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_of_a_picture_are_those_of_its_monitor() {
        let view = View::new(Region { x: 1920, y: -100, width: 1280, height: 1024 }, 0.5);
        assert_eq!(view.size, (640, 512));
        for (at, expected) in [((0, 0), (1920, -100)), ((100, 50), (2120, 0)), ((639, 511), (3198, 922))] {
            assert_eq!(view.to_screen(at.0, at.1), expected);
            assert_eq!(view.of_screen(expected.0, expected.1), Some(at));
        }
        assert_eq!((view.of_screen(1919, 0), view.of_screen(3200, 0), view.of_screen(1920, -101)), (None, None, None));
        assert!(view.contains(639, 511) && !view.contains(640, 0) && !view.contains(-1, 0) && !view.contains(0, i32::MAX));
    }

    #[test]
    fn every_point_of_a_picture_is_on_the_screen() {
        for scale in [0.05, 0.33, 0.8, 0.99, 1.0] {
            for length in [1, 7, 1079, 1920] {
                let view = View::new(Region { x: 0, y: 0, width: length, height: length }, scale);
                let last = i32::try_from(view.size.0).unwrap() - 1;
                let (x, _) = view.to_screen(last, 0);
                assert!(x < i32::try_from(length).unwrap(), "{length} at {scale}");
            }
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let streams = Streams::default();
        assert_eq!(streams.configure(&Change { fps: Some(10), ..Change::default() }), Showing { fps: 10, quality: 80, scale_factor: 1.0 });
        assert_eq!(streams.configure(&Change { scale_factor: Some(0.5), ..Change::default() }).fps, 10);
        assert_eq!(streams.usual().to_screen(100, 51), (200, 102));
        let client = streams.join();
        assert_eq!(streams.clients(), 1);
        drop(client);
        assert_eq!(streams.clients(), 0);
    }
}

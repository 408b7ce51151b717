//! The mouse: checks first, then acts; a button that was pressed is let go whatever happens.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::pause::{pause, seconds};
use super::{Area, Button, Click, Drag, Error, Hold, Input, Move, Point, Scroll, Wheel};

/// Time between two points of a slow movement: about what a mouse sends.
const STEP: Duration = Duration::from_millis(8);
/// The most steps of the wheel at once.
const WHEEL: i32 = 1000;
/// The most clicks at once.
const CLICKS: u32 = 100;

impl Input {
    /// Where the pointer is.
    ///
    /// # Errors
    /// [`Error::Unavailable`] where the display does not answer.
    pub fn position(&self) -> Result<Point, Error> {
        self.backend.position()
    }

    /// Moves the pointer, in a straight line where it is to take time.
    ///
    /// # Errors
    /// [`Error::OffScreen`] and [`Error::Range`] before anything moves; [`Error::Cancelled`] on the way.
    pub fn move_to(&self, action: &Move, cancel: &CancellationToken) -> Result<(), Error> {
        let duration = seconds(action.duration, "/duration", "the duration")?;
        let to = Point { x: action.x, y: action.y };
        self.on_screen(to, "/x")?;
        stopped(cancel)?;
        self.glide(to, duration, cancel)
    }

    /// Clicks at a point.
    ///
    /// # Errors
    /// [`Error::OffScreen`] and [`Error::Range`] before anything happens; [`Error::Cancelled`] between and during the clicks.
    pub fn click(&self, action: &Click, cancel: &CancellationToken) -> Result<(), Error> {
        let duration = seconds(action.duration, "/duration", "the duration")?;
        range("/clicks", "the number of clicks", f64::from(action.clicks), 1.0, f64::from(CLICKS))?;
        self.on_screen(Point { x: action.x, y: action.y }, "/x")?;
        stopped(cancel)?;
        self.backend.point(action.x, action.y)?;
        for _ in 0..action.clicks {
            stopped(cancel)?;
            let held = self.hold(action.button)?;
            if !duration.is_zero() {
                self.backend.flush()?;
                pause(duration, cancel)?;
            }
            held.release()?;
        }
        self.backend.flush()
    }

    /// Presses at one point and releases at another.
    ///
    /// # Errors
    /// [`Error::OffScreen`] and [`Error::Range`] before anything happens; [`Error::Cancelled`] on the way, with the button let go.
    pub fn drag(&self, action: &Drag, cancel: &CancellationToken) -> Result<(), Error> {
        let duration = seconds(action.duration, "/duration", "the duration")?;
        let to = Point { x: action.to_x, y: action.to_y };
        self.on_screen(Point { x: action.from_x, y: action.from_y }, "/from_x")?;
        self.on_screen(to, "/to_x")?;
        stopped(cancel)?;
        self.backend.point(action.from_x, action.from_y)?;
        let held = self.hold(action.button)?;
        self.backend.flush()?;
        self.glide(to, duration, cancel)?;
        held.release()?;
        self.backend.flush()
    }

    /// Turns the wheel.
    ///
    /// # Errors
    /// [`Error::OffScreen`], [`Error::HalfPoint`] and [`Error::Range`] before anything happens.
    pub fn scroll(&self, action: &Scroll) -> Result<(), Error> {
        let most = f64::from(WHEEL);
        range("/dx", "dx", action.dx.into(), -most, most)?;
        range("/dy", "dy", action.dy.into(), -most, most)?;
        self.place(action.x, action.y)?;
        let vertical = if action.dy < 0 { Wheel::Up } else { Wheel::Down };
        let horizontal = if action.dx < 0 { Wheel::Left } else { Wheel::Right };
        self.backend.wheel(vertical, action.dy.unsigned_abs())?;
        self.backend.wheel(horizontal, action.dx.unsigned_abs())?;
        self.backend.flush()
    }

    /// Presses a button and keeps it down.
    ///
    /// # Errors
    /// [`Error::OffScreen`] and [`Error::HalfPoint`] before anything happens.
    pub fn down(&self, action: &Hold) -> Result<(), Error> {
        self.place(action.x, action.y)?;
        // Noted first: what fails half-way is let go as well.
        self.held().note_button(action.button);
        self.backend.button(action.button, true)?;
        self.backend.flush()
    }

    /// Lets a button go.
    ///
    /// # Errors
    /// [`Error::OffScreen`] and [`Error::HalfPoint`] before anything happens.
    pub fn up(&self, action: &Hold) -> Result<(), Error> {
        self.place(action.x, action.y)?;
        self.backend.button(action.button, false)?;
        self.held().buttons.retain(|held| *held != action.button);
        self.backend.flush()
    }

    /// Moves to a point that may be left out.
    fn place(&self, x: Option<i32>, y: Option<i32>) -> Result<(), Error> {
        match (x, y) {
            // Asked for the sake of the question: it finds out whether the display is there before anything is sent to it.
            (None, None) => self.backend.position().map(|_| ()),
            (Some(x), Some(y)) => {
                self.on_screen(Point { x, y }, "/x")?;
                self.backend.point(x, y)
            }
            (Some(_), None) | (None, Some(_)) => Err(Error::HalfPoint),
        }
    }

    fn on_screen(&self, point: Point, path: &'static str) -> Result<(), Error> {
        let areas = self.backend.areas()?;
        if areas.iter().any(|area| area.contains(point.x, point.y)) {
            return Ok(());
        }
        Err(Error::OffScreen { point, areas: describe(&areas), path })
    }

    fn glide(&self, to: Point, duration: Duration, cancel: &CancellationToken) -> Result<(), Error> {
        if !duration.is_zero() {
            let from = self.backend.position()?;
            let start = Instant::now();
            loop {
                let part = start.elapsed().as_secs_f64() / duration.as_secs_f64();
                if part >= 1.0 {
                    break;
                }
                let at = between(from, to, part);
                self.backend.point(at.x, at.y)?;
                self.backend.flush()?;
                pause(STEP.min(duration.saturating_sub(start.elapsed())), cancel)?;
            }
        }
        self.backend.point(to.x, to.y)?;
        self.backend.flush()
    }

    fn hold(&self, button: Button) -> Result<Pressed<'_>, Error> {
        // Made before the press: a press that fails half-way is let go as well.
        let held = Pressed { input: self, button, down: true };
        self.backend.button(button, true)?;
        Ok(held)
    }
}

/// A button that is down, until it is released or dropped.
struct Pressed<'a> {
    input: &'a Input,
    button: Button,
    down: bool,
}

impl Pressed<'_> {
    fn release(mut self) -> Result<(), Error> {
        self.down = false;
        self.input.backend.button(self.button, false)
    }
}

impl Drop for Pressed<'_> {
    fn drop(&mut self) {
        if self.down {
            // On the way out of an error, which is the one to tell.
            let _ = self.input.backend.button(self.button, false).and_then(|()| self.input.backend.flush());
        }
    }
}

fn between(from: Point, to: Point, part: f64) -> Point {
    #[expect(clippy::cast_possible_truncation, reason = "a value between two i32")]
    let mix = |a: i32, b: i32| (f64::from(a) + (f64::from(b) - f64::from(a)) * part).round() as i32;
    Point { x: mix(from.x, to.x), y: mix(from.y, to.y) }
}

fn stopped(cancel: &CancellationToken) -> Result<(), Error> {
    if cancel.is_cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}

pub(super) fn range(path: &'static str, name: &'static str, value: f64, least: f64, most: f64) -> Result<(), Error> {
    if (least..=most).contains(&value) { Ok(()) } else { Err(Error::Range { path, name, value, least, most }) }
}

fn describe(areas: &[Area]) -> String {
    let each = areas
        .iter()
        .enumerate()
        .map(|(index, area)| format!("monitor {index} goes from ({}, {}) and is {}×{} large", area.x, area.y, area.width, area.height));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_at_the_edge_of_numbers_is_in_no_area() {
        let area = Area { x: 0, y: 0, width: 1920, height: 1080 };
        for (x, y, inside) in [(0, 0, true), (1919, 1079, true), (1920, 0, false), (-1, 0, false), (i32::MAX, i32::MIN, false)] {
            assert_eq!(area.contains(x, y), inside);
        }
        assert!(Area { x: i32::MAX, y: 0, width: u32::MAX, height: 1 }.contains(i32::MAX, 0));
    }

    #[test]
    fn a_way_between_far_points_does_not_wrap() {
        let (a, b) = (Point { x: i32::MIN, y: 0 }, Point { x: i32::MAX, y: 10 });
        assert_eq!(between(a, b, 0.0), a);
        assert_eq!(between(a, b, 1.0), b);
        assert_eq!(between(a, b, 0.5).y, 5);
    }

    #[test]
    fn seconds_are_finite_and_at_most_a_minute() {
        for bad in [-1.0, 60.1, f64::NAN, f64::INFINITY, 1e308] {
            assert!(seconds(bad, "/duration", "the duration").is_err());
        }
        assert_eq!(seconds(60.0, "/duration", "the duration").unwrap(), Duration::from_secs(60));
    }
}

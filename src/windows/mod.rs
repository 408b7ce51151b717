//! The windows on a desktop: which there are, and what a title bar and a task bar can do with them.
//!
//! [`Windows`] checks what is asked for and finds what is meant; two backends of the same shape, chosen in [`Windows::open`], do it: one
//! for X11 in the words that window managers agreed on (EWMH), and a portable one that can only look. What a window shows is for
//! `screen`.

mod error;
mod portable;
mod vnc;
mod words;
#[cfg(target_os = "linux")]
mod x11;
#[cfg(target_os = "linux")]
mod x11_act;
#[cfg(target_os = "linux")]
mod x11_look;

pub use error::Error;
pub use words::*;

use regex::RegexBuilder;
use tokio_util::sync::CancellationToken;

/// Sides that a window can be given.
const SIDES: std::ops::RangeInclusive<u32> = 1..=32_767;
/// Places that a window can be put at.
const PLACES: std::ops::RangeInclusive<i32> = -32_768..=32_767;

/// What a backend does.
trait Backend: Send + Sync {
    /// All windows, the top-most first.
    fn list(&self) -> Result<Vec<Window>, Error>;
    /// One of them.
    fn get(&self, id: u32) -> Result<Window, Error>;
    /// Does it, waits until it is done, and says what the window is like then; `None` where it is no longer there.
    fn act(&self, id: u32, act: Act, cancel: &CancellationToken) -> Result<Option<Window>, Error>;
}

/// The windows of one display. Safe to share; survives a restart of the display's server.
pub struct Windows {
    backend: Box<dyn Backend>,
}

impl std::fmt::Debug for Windows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Windows").finish_non_exhaustive()
    }
}

impl Windows {
    /// The windows of the X display named (`:99`), or with `None` of the platform's own. Connects at the first use.
    pub fn open(display: Option<&str>) -> Self {
        #[cfg(target_os = "linux")]
        if let Some(name) = display.map(str::to_owned).or_else(|| std::env::var("DISPLAY").ok().filter(|name| !name.is_empty())) {
            return Self { backend: Box::new(x11::X11::new(name)) };
        }
        let _ = display;
        Self { backend: Box::new(portable::Portable) }
    }

    /// Those of another machine, of which nothing is known.
    pub fn of_vnc() -> Self {
        Self { backend: Box::new(vnc::Remote) }
    }

    /// The windows that fit, the top-most first; those that are minimized last.
    ///
    /// # Errors
    /// [`Error::Pattern`]; [`Error::Unavailable`] where the display does not answer.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Window>, Error> {
        let fits = filter.compiled()?;
        let mut windows = self.backend.list()?;
        windows.retain(|window| fits(window));
        windows.sort_by_key(|window| window.is_minimized);
        Ok(windows)
    }

    /// One window.
    ///
    /// # Errors
    /// [`Error::Gone`] where there is none of this number; [`Error::Unavailable`] where the display does not answer.
    pub fn get(&self, id: u32) -> Result<Window, Error> {
        self.backend.get(id)
    }

    /// Does something with a window, waits until it is done, and says what the window is like then; `None` where it has closed. A window
    /// manager may round a size, keep a window where it is seen, or leave it as it was.
    ///
    /// # Errors
    /// [`Error::Gone`] where there is none of this number; [`Error::Range`] for what no window can have; [`Error::NoManager`] where
    /// nothing can do it; [`Error::Unavailable`] where the display does not answer; [`Error::Cancelled`].
    pub fn act(&self, id: u32, act: Act, cancel: &CancellationToken) -> Result<Option<Window>, Error> {
        let range = |path, value: i64, least: i64, most: i64| Error::Range { path, value, least, most };
        match act {
            Act::Move { x, y } => {
                for (path, value) in [("/x", x), ("/y", y)] {
                    if !PLACES.contains(&value) {
                        return Err(range(path, value.into(), (*PLACES.start()).into(), (*PLACES.end()).into()));
                    }
                }
            }
            Act::Resize { width, height } => {
                for (path, value) in [("/width", width), ("/height", height)] {
                    if !SIDES.contains(&value) {
                        return Err(range(path, value.into(), (*SIDES.start()).into(), (*SIDES.end()).into()));
                    }
                }
            }
            Act::Focus | Act::Minimize | Act::Maximize | Act::Restore | Act::Close => {}
        }
        self.backend.act(id, act, cancel)
    }
}

impl Filter {
    /// What says whether a window fits.
    fn compiled(&self) -> Result<impl Fn(&Window) -> bool + use<>, Error> {
        let Self { title, title_regex, class, pid } = self.clone();
        let title = title.map(|title| title.to_lowercase());
        let pattern = title_regex.map(|pattern| RegexBuilder::new(&pattern).size_limit(1 << 20).build()).transpose();
        let pattern = pattern.map_err(|error| Error::Pattern(error.to_string()))?;
        let class = class.map(|class| class.to_lowercase());
        Ok(move |window: &Window| {
            title.as_ref().is_none_or(|title| window.title.to_lowercase().contains(title))
                && pattern.as_ref().is_none_or(|pattern| pattern.is_match(&window.title))
                && class.as_ref().is_none_or(|class| [&window.class, &window.instance].iter().any(|name| name.to_lowercase() == *class))
                && pid.is_none_or(|pid| window.pid == Some(pid))
        })
    }
}

/// The number of the place that shows most of a rectangle (`x`, `y`, `width`, `height`).
fn most_of((x, y, width, height): Rectangle, places: &[Rectangle]) -> Option<usize> {
    let shared = |a: i32, long: u32, b: i32, wide: u32| {
        let end = (i64::from(a) + i64::from(long)).min(i64::from(b) + i64::from(wide));
        (end - i64::from(a.max(b))).max(0)
    };
    let areas = places.iter().map(|place| shared(x, width, place.0, place.2).saturating_mul(shared(y, height, place.1, place.3)));
    // The first of those that show as much.
    areas.enumerate().filter(|(_, area)| *area > 0).max_by_key(|(index, area)| (*area, std::cmp::Reverse(*index))).map(|(index, _)| index)
}

/// `x`, `y`, `width`, `height`.
type Rectangle = (i32, i32, u32, u32);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Classify, Kind};

    fn window(title: &str) -> Window {
        Window {
            id: 1,
            title: title.to_owned(),
            class: "XTerm".to_owned(),
            instance: "xterm".to_owned(),
            pid: Some(7),
            x: 0,
            y: 0,
            width: 1,
            height: 1,
            frame: Margins::default(),
            monitor: None,
            is_focused: false,
            is_visible: true,
            is_minimized: false,
            is_maximized: false,
            is_fullscreen: false,
        }
    }

    #[test]
    fn what_is_asked_for_must_fit_altogether() {
        let filter = |json: serde_json::Value| serde_json::from_value::<Filter>(json).unwrap().compiled().unwrap();
        let seen = window("Ärger – Order 4711");
        for (asked, fits) in [
            (serde_json::json!({}), true),
            (serde_json::json!({"title": "ärger"}), true),
            (serde_json::json!({"title": "order 47"}), true),
            (serde_json::json!({"title": "invoice"}), false),
            (serde_json::json!({"title_regex": r"Order \d+$"}), true),
            (serde_json::json!({"title_regex": r"^Order"}), false),
            (serde_json::json!({"class": "xterm"}), true),
            (serde_json::json!({"class": "xter"}), false),
            (serde_json::json!({"pid": 7, "title": "order"}), true),
            (serde_json::json!({"pid": 8, "title": "order"}), false),
        ] {
            assert_eq!(filter(asked.clone())(&seen), fits, "{asked}");
        }
        let bad = Filter { title_regex: Some("(".to_owned()), ..Filter::default() };
        assert_eq!(bad.compiled().err().unwrap().kind(), Kind::ValidationError);
        assert!(serde_json::from_value::<Filter>(serde_json::json!({"name": "x"})).is_err());
    }

    #[test]
    fn a_window_is_on_the_monitor_that_shows_most_of_it() {
        let two = [(500, 0, 500, 400), (0, 0, 500, 400)];
        assert_eq!(most_of((450, 10, 100, 100), &two), Some(0));
        assert_eq!(most_of((440, 10, 100, 100), &two), Some(1));
        assert_eq!(most_of((-90, -90, 100, 100), &two), Some(1));
        assert_eq!(most_of((2000, 0, 100, 100), &two), None);
        assert_eq!(most_of((i32::MAX, i32::MIN, u32::MAX, u32::MAX), &two), None);
    }
}

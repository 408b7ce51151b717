//! What this process itself does with a display's mouse and keyboard, for whoever listens to the display: what a script does must not be
//! taken for what a person does at it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Point;

/// A press that was not heard of for so long never will be: the server drops one of a key that is down already.
const HEARD: Duration = Duration::from_secs(1);

/// Where the pointer was put last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Aim {
    /// How often it was put anywhere.
    pub count: u64,
    /// Where; none before the first time.
    pub point: Option<Point>,
    /// It has arrived.
    pub landed: bool,
}

/// The traces of one display's input.
#[derive(Debug, Default)]
pub struct Footprints {
    aim: Mutex<Aim>,
    presses: Mutex<Presses>,
}

/// How often each key was pressed without that having been heard of.
#[derive(Debug, Default)]
struct Presses {
    open: HashMap<u8, u32>,
    last: Option<Instant>,
}

impl Footprints {
    /// The pointer is about to be put there.
    pub(super) fn point(&self, x: i32, y: i32) {
        let mut aim = self.lock_aim();
        *aim = Aim { count: aim.count + 1, point: Some(Point { x, y }), landed: false };
    }

    /// Everything so far has reached the display.
    pub(super) fn land(&self) {
        self.lock_aim().landed = true;
    }

    /// A key is about to be pressed.
    pub(super) fn press(&self, code: u8) {
        let mut presses = self.lock_presses();
        *presses.open.entry(code).or_default() += 1;
        presses.last = Some(Instant::now());
    }

    /// Where the pointer was put last.
    pub fn aim(&self) -> Aim {
        *self.lock_aim()
    }

    /// A press of that key was heard of: whether it was one of ours.
    pub fn claim(&self, code: u8) -> bool {
        let mut presses = self.lock_presses();
        if presses.last.is_some_and(|last| last.elapsed() > HEARD) {
            presses.open.clear();
        }
        match presses.open.get_mut(&code) {
            Some(open) if *open > 0 => {
                *open -= 1;
                true
            }
            _ => false,
        }
    }

    fn lock_aim(&self) -> MutexGuard<'_, Aim> {
        self.aim.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_presses(&self) -> MutexGuard<'_, Presses> {
        self.presses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_press_is_claimed_once() {
        let footprints = Footprints::default();
        assert!(!footprints.claim(38));
        footprints.press(38);
        footprints.press(38);
        assert!(footprints.claim(38) && footprints.claim(38) && !footprints.claim(38) && !footprints.claim(39));
    }

    #[test]
    fn the_pointer_lands_where_it_was_put_last() {
        let footprints = Footprints::default();
        assert_eq!(footprints.aim(), Aim::default());
        footprints.point(1, 2);
        assert!(!footprints.aim().landed);
        footprints.land();
        assert_eq!(footprints.aim(), Aim { count: 1, point: Some(Point { x: 1, y: 2 }), landed: true });
    }
}

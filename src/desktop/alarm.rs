//! Listens at an X display for a person who wants everything to stop: a hot key, or the pointer in a corner of the screen.
//!
//! It hears raw events (XInput 2), so that nothing is taken away from other programs, and looks at most every [`PACE`]: a mouse says a
//! thousand times a second where it goes. What this process does itself is told apart by its [`Footprints`]: a script may go to the corner.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use x11rb::connection::Connection as _;
use x11rb::errors::ReplyError;
use x11rb::protocol::Event;
use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::xinput::{ConnectionExt as _, EventMask, XIEventMask};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use super::control::{Corner, How};
use super::turn::Turn;
use crate::input::{Footprints, Point, Shortcut};

/// Time between two looks.
pub(super) const PACE: Duration = Duration::from_millis(25);
/// Time between two looks where nothing is heard, as long as there is something to stop.
pub(super) const LOOK: Duration = Duration::from_millis(200);
/// All pointers and keyboards that have a cursor, by XInput's number.
const ALL_MASTERS: u16 = 1;
/// How near to the corner, in pixels.
const NEAR: i32 = 2;

/// What it listens for, and whom it tells.
pub(super) struct Alarm {
    turn: Arc<Turn>,
    footprints: Arc<Footprints>,
    root: Window,
    hot_key: Option<Shortcut>,
    corner: Option<Corner>,
    /// For each key of the hot key the codes that it may have; none where the keyboard has changed since.
    codes: Option<Vec<Vec<u8>>>,
    /// Keys that are held down.
    down: HashSet<u8>,
    moved: bool,
    /// Somebody else has moved the pointer since this process put it anywhere.
    strange: Option<u64>,
    inside: bool,
    /// There was something to stop at the last look.
    armed: bool,
}

impl Alarm {
    /// Begins to listen, if there is anything to listen for.
    pub(super) fn set(connection: &RustConnection, screen: usize, turn: &Arc<Turn>, footprints: Option<Arc<Footprints>>) -> Option<Self> {
        let (hot_key, corner) = (turn.settings().hot_key.clone(), turn.settings().corner);
        let footprints = footprints.filter(|_| hot_key.is_some() || corner.is_some())?;
        let root = connection.setup().roots.get(screen)?.root;
        // Keys also where only the corner counts: that a script types is what says that there is something to stop.
        let mask = XIEventMask::RAW_KEY_PRESS | XIEventMask::RAW_KEY_RELEASE | XIEventMask::RAW_MOTION;
        if let Err(error) = select(connection, root, mask) {
            tracing::warn!(%error, "neither hot key nor corner of the screen are listened for: the display has no XInput 2.2");
            return None;
        }
        let turn = Arc::clone(turn);
        Some(Self {
            turn,
            footprints,
            root,
            hot_key,
            corner,
            codes: None,
            down: HashSet::new(),
            moved: false,
            strange: None,
            inside: false,
            armed: false,
        })
    }

    /// Takes note of what has happened.
    pub(super) fn hear(&mut self, connection: &RustConnection, event: &Event) -> Result<(), ReplyError> {
        match event {
            Event::XinputRawMotion(_) => self.moved = true,
            Event::MappingNotify(_) => self.codes = None,
            Event::XinputRawKeyPress(press) => {
                let Ok(code) = u8::try_from(press.detail) else { return Ok(()) };
                let ours = self.footprints.claim(code);
                // Whoever holds the others: a server does not tell of a key that is pressed while a script holds it down already.
                self.down.insert(code);
                if !ours {
                    self.pressed(connection, code)?;
                }
            }
            Event::XinputRawKeyRelease(release) => {
                if let Ok(code) = u8::try_from(release.detail) {
                    self.down.remove(&code);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// Whether that press completes the hot key.
    fn pressed(&mut self, connection: &RustConnection, code: u8) -> Result<(), ReplyError> {
        let Some(hot_key) = &self.hot_key else { return Ok(()) };
        if self.codes.is_none() {
            self.codes = Some(codes(connection, hot_key)?);
        }
        let Some(codes) = &self.codes else { return Ok(()) };
        let last = codes.last().is_some_and(|last| last.contains(&code));
        if last && codes.iter().all(|key| key.iter().any(|code| self.down.contains(code))) && self.turn.is_armed() {
            self.turn.emergency(How::HotKey, None);
        }
        Ok(())
    }

    /// Looks where the pointer is, if it has moved.
    pub(super) fn look(&mut self, connection: &RustConnection) -> Result<(), ReplyError> {
        let Some(corner) = self.corner.filter(|_| std::mem::take(&mut self.moved)) else { return Ok(()) };
        if !self.turn.is_armed() {
            (self.inside, self.strange, self.armed) = (false, None, false);
            return Ok(());
        }
        let before = self.footprints.aim();
        let pointer = connection.query_pointer(self.root)?.reply()?;
        let at = Point { x: pointer.root_x.into(), y: pointer.root_y.into() };
        let aim = self.footprints.aim();
        if before.count != aim.count || !aim.landed && aim.point.is_some() {
            // It is on its way to where this process puts it. Looked at once more, also where that was the last movement.
            self.moved = true;
            return Ok(());
        }
        let ours = aim.point == Some(at) && self.strange != Some(aim.count);
        if !ours {
            self.strange = Some(aim.count);
        }
        let inside = in_corner(&areas(connection, self.root)?, corner, at);
        // Where it rests already when something begins, it was not moved to stop that.
        let first = !std::mem::replace(&mut self.armed, true);
        if inside && !self.inside && !ours && !first {
            self.turn.emergency(How::Corner, None);
        }
        self.inside = inside && !ours;
        Ok(())
    }

    /// Whether the pointer is worth a look from time to time.
    pub(super) fn looks_again(&self) -> bool {
        self.corner.is_some() && self.turn.is_armed()
    }

    /// The pointer may have moved without an event.
    pub(super) fn doubt(&mut self) {
        self.moved = true;
    }

    /// Whether it has to look again although nothing happens.
    pub(super) fn is_waiting(&self) -> bool {
        self.moved
    }
}

fn select(connection: &RustConnection, root: Window, mask: XIEventMask) -> Result<(), ReplyError> {
    // From 2.2 on raw events also come while another program has grabbed the device.
    connection.xinput_xi_query_version(2, 2)?.reply()?;
    connection.xinput_xi_select_events(root, &[EventMask { deviceid: ALL_MASTERS, mask: vec![mask] }])?.check()
}

/// The codes of each key, whatever the level on which it has its symbol.
fn codes(connection: &RustConnection, hot_key: &Shortcut) -> Result<Vec<Vec<u8>>, ReplyError> {
    let setup = connection.setup();
    let (first, last) = (setup.min_keycode, setup.max_keycode);
    let reply = connection.get_keyboard_mapping(first, last - first + 1)?.reply()?;
    let each = usize::from(reply.keysyms_per_keycode.max(1));
    let with = |wanted: &Vec<u32>| {
        let keys = (first..=last).zip(reply.keysyms.chunks(each));
        keys.filter(|(_, symbols)| symbols.iter().any(|symbol| wanted.contains(symbol))).map(|(code, _)| code).collect()
    };
    Ok(hot_key.symbols().iter().map(with).collect())
}

/// Left, top, width and height of each monitor.
type Area = (i32, i32, i32, i32);

fn areas(connection: &RustConnection, root: Window) -> Result<Vec<Area>, ReplyError> {
    let monitors = connection.randr_get_monitors(root, true).map_err(ReplyError::from).and_then(|cookie| cookie.reply());
    let areas: Vec<Area> = monitors.map_or_else(
        |_| Vec::new(),
        |reply| reply.monitors.iter().map(|m| (m.x.into(), m.y.into(), m.width.into(), m.height.into())).collect(),
    );
    if !areas.is_empty() {
        return Ok(areas);
    }
    let root = connection.get_geometry(root)?.reply()?;
    Ok(vec![(0, 0, root.width.into(), root.height.into())])
}

/// Whether the point lies in that corner of a monitor beyond which there is no other one: between two monitors one only passes through.
fn in_corner(areas: &[Area], corner: Corner, at: Point) -> bool {
    let on_any = |x: i32, y: i32| {
        areas.iter().any(|(left, top, width, height)| (0..*width).contains(&(x - left)) && (0..*height).contains(&(y - top)))
    };
    areas.iter().any(|(left, top, width, height)| {
        let (x, outside_x) = if corner.is_left() { (at.x - left, left - 1) } else { (left + width - 1 - at.x, left + width) };
        let (y, outside_y) = if corner.is_top() { (at.y - top, top - 1) } else { (top + height - 1 - at.y, top + height) };
        (0..NEAR).contains(&x) && (0..NEAR).contains(&y) && !on_any(outside_x, at.y) && !on_any(at.x, outside_y)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corner_is_one_of_the_whole_screen() {
        let two = [(600, 100, 700, 600), (0, 0, 600, 500)];
        let inside = |corner, x, y| in_corner(&two, corner, Point { x, y });
        assert!(inside(Corner::TopLeft, 0, 0) && inside(Corner::TopLeft, 1, 1) && !inside(Corner::TopLeft, 2, 0));
        // The upper left corner of the right monitor lies beside the left one.
        assert!(!inside(Corner::TopLeft, 600, 100));
        assert!(inside(Corner::TopRight, 1299, 100) && inside(Corner::BottomRight, 1299, 699));
        // Below the left monitor there is none, but to its right there is.
        assert!(!inside(Corner::BottomRight, 599, 499) && inside(Corner::BottomLeft, 0, 499));
        assert!(!inside(Corner::TopLeft, -1, 0));
    }
}

//! What is done with a window of an X display: asked of its window manager where there is one, else of the X server.
//!
//! A window manager answers nothing. Whether it has done what was asked is seen at the window.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use x11rb::protocol::xproto::{
    self, AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt as _, EventMask, InputFocus, StackMode,
};

use super::x11::{Broken, Session};
use super::{Act, Error, Window};

/// How long a window manager, or the program itself, has for what it is asked.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a program has to close; it may ask a person first.
const LAST: Duration = Duration::from_secs(2);
/// How long a window must stay as it is where it became something else than it was asked to.
const STILL: Duration = Duration::from_millis(150);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// Says that it is asked by what stands for a person, not by the program itself.
const BY_A_PERSON: u32 = 2;
/// The `WM_STATE` that is asked for to put a window away.
const ICONIC: u32 = 3;
/// `_NET_WM_STATE`: take away, add.
const REMOVE: u32 = 0;
const ADD: u32 = 1;
/// `_NET_MOVERESIZE_WINDOW`: the point is the frame's corner, by whom it is asked, and which of the numbers count.
const CORNER: u32 = 1 | BY_A_PERSON << 12;
const PLACE: u32 = 0b0011 << 8;
const SIZE: u32 = 0b1100 << 8;

impl Session {
    /// Does it; `None` where the window is closed afterwards.
    pub(super) fn act(&self, id: xproto::Window, act: Act, cancel: &CancellationToken) -> Result<Option<Window>, Broken> {
        let managed = self.is_managed()?;
        let before = self.find(id)?.ok_or(Broken::Vanished)?;
        match act {
            Act::Focus => {
                if managed {
                    self.activate(id)?;
                } else {
                    self.raise(id)?;
                }
                self.until(id, None, cancel, |window| window.is_focused && window.is_visible).map(Some)
            }
            Act::Move { x, y } => {
                let before = self.loose(before, managed, cancel)?;
                if managed {
                    self.ask(id, self.atoms._NET_MOVERESIZE_WINDOW, [CORNER | PLACE, x.cast_unsigned(), y.cast_unsigned(), 0, 0])?;
                } else {
                    self.connection.configure_window(id, &ConfigureWindowAux::new().x(x).y(y))?.ignore_error();
                }
                self.until(id, Some(&before), cancel, |window| (window.x, window.y) == (x, y)).map(Some)
            }
            Act::Resize { width, height } => {
                let before = self.loose(before, managed, cancel)?;
                let frame = before.frame;
                let inner_width = width.saturating_sub(frame.left).saturating_sub(frame.right).max(1);
                let inner_height = height.saturating_sub(frame.top).saturating_sub(frame.bottom).max(1);
                if managed {
                    self.ask(id, self.atoms._NET_MOVERESIZE_WINDOW, [CORNER | SIZE, 0, 0, inner_width, inner_height])?;
                } else {
                    let wanted = ConfigureWindowAux::new().width(inner_width).height(inner_height);
                    self.connection.configure_window(id, &wanted)?.ignore_error();
                }
                self.until(id, Some(&before), cancel, |window| (window.width, window.height) == (width, height)).map(Some)
            }
            Act::Minimize => {
                self.needs(managed, "minimize")?;
                self.ask(id, self.atoms.WM_CHANGE_STATE, [ICONIC, 0, 0, 0, 0])?;
                self.until(id, None, cancel, |window| window.is_minimized).map(Some)
            }
            Act::Maximize => {
                self.needs(managed, "maximize")?;
                if before.is_minimized {
                    self.activate(id)?;
                }
                self.maximized(id, ADD)?;
                self.until(id, None, cancel, |window| window.is_maximized && window.is_visible)?;
                self.settled(id, cancel).map(Some)
            }
            Act::Restore => {
                self.needs(managed, "restore")?;
                if before.is_minimized {
                    self.activate(id)?;
                    self.until(id, None, cancel, |window| window.is_visible)?;
                    return self.settled(id, cancel).map(Some);
                }
                self.loose(before, managed, cancel).map(Some)
            }
            Act::Close => {
                if managed {
                    self.ask(id, self.atoms._NET_CLOSE_WINDOW, [x11rb::CURRENT_TIME, BY_A_PERSON, 0, 0, 0])?;
                } else {
                    self.delete(id)?;
                }
                let end = Instant::now() + LAST;
                loop {
                    let Some(window) = self.find(id)? else { return Ok(None) };
                    if Instant::now() >= end {
                        return Ok(Some(window));
                    }
                    rest(cancel)?;
                }
            }
        }
    }

    fn needs(&self, managed: bool, what: &'static str) -> Result<(), Broken> {
        if managed { Ok(()) } else { Err(Error::NoManager(what).into()) }
    }

    /// Takes from a window what would hold it in its place.
    fn loose(&self, window: Window, managed: bool, cancel: &CancellationToken) -> Result<Window, Broken> {
        if !managed || !(window.is_fullscreen || window.is_maximized) {
            return Ok(window);
        }
        if window.is_fullscreen {
            self.state(window.id, REMOVE, [self.atoms._NET_WM_STATE_FULLSCREEN, 0])?;
        } else {
            self.maximized(window.id, REMOVE)?;
        }
        let was_fullscreen = window.is_fullscreen;
        self.until(window.id, None, cancel, |window| if was_fullscreen { !window.is_fullscreen } else { !window.is_maximized })?;
        self.settled(window.id, cancel)
    }

    /// Waits until a window has come to rest: its state is told before its place.
    fn settled(&self, id: xproto::Window, cancel: &CancellationToken) -> Result<Window, Broken> {
        let mut since = Instant::now();
        let end = since + PATIENCE;
        let mut last = None;
        loop {
            let window = self.find(id)?.ok_or(Broken::Vanished)?;
            let now = Instant::now();
            if last.as_ref() != Some(&window) {
                (last, since) = (Some(window), now);
            } else if now.duration_since(since) >= STILL {
                return Ok(window);
            }
            // One that never comes to rest is told as it is.
            if now >= end
                && let Some(window) = last
            {
                return Ok(window);
            }
            rest(cancel)?;
        }
    }

    fn activate(&self, id: xproto::Window) -> Result<(), Broken> {
        self.ask(id, self.atoms._NET_ACTIVE_WINDOW, [BY_A_PERSON, x11rb::CURRENT_TIME, 0, 0, 0])
    }

    fn maximized(&self, id: xproto::Window, how: u32) -> Result<(), Broken> {
        self.state(id, how, [self.atoms._NET_WM_STATE_MAXIMIZED_HORZ, self.atoms._NET_WM_STATE_MAXIMIZED_VERT])
    }

    fn state(&self, id: xproto::Window, how: u32, [first, second]: [u32; 2]) -> Result<(), Broken> {
        self.ask(id, self.atoms._NET_WM_STATE, [how, first, second, BY_A_PERSON, 0])
    }

    /// Asks the window manager.
    fn ask(&self, id: xproto::Window, what: u32, numbers: [u32; 5]) -> Result<(), Broken> {
        let event = ClientMessageEvent::new(32, id, what, numbers);
        let listening = EventMask::SUBSTRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_REDIRECT;
        self.connection.send_event(false, self.root, listening, event)?.ignore_error();
        Ok(())
    }

    /// Raises a window and gives it the focus where nobody manages windows, or somebody who does not speak EWMH.
    fn raise(&self, id: xproto::Window) -> Result<(), Broken> {
        self.connection.map_window(id)?.ignore_error();
        let mut top = id;
        loop {
            let parent = self.connection.query_tree(top)?.reply()?.parent;
            if parent == self.root || parent == x11rb::NONE {
                break;
            }
            top = parent;
        }
        self.connection.configure_window(top, &ConfigureWindowAux::new().stack_mode(StackMode::ABOVE))?.ignore_error();
        self.connection.set_input_focus(InputFocus::PARENT, id, x11rb::CURRENT_TIME)?.ignore_error();
        Ok(())
    }

    /// Asks the program to close a window; one that cannot be asked is cut off, as window managers do.
    fn delete(&self, id: xproto::Window) -> Result<(), Broken> {
        let (protocols, delete) = (self.atoms.WM_PROTOCOLS, self.atoms.WM_DELETE_WINDOW);
        let understood = self.connection.get_property(false, id, protocols, AtomEnum::ATOM, 0, 256)?.reply()?;
        if understood.value32().is_some_and(|mut all| all.any(|protocol| protocol == delete)) {
            let event = ClientMessageEvent::new(32, id, protocols, [delete, x11rb::CURRENT_TIME, 0, 0, 0]);
            self.connection.send_event(false, id, EventMask::NO_EVENT, event)?.ignore_error();
        } else {
            self.connection.kill_client(id)?.ignore_error();
        }
        Ok(())
    }

    /// Looks at the window until it is as `wanted`, or has come to rest otherwise than it was `before`, or time is up.
    fn until(
        &self,
        id: xproto::Window,
        before: Option<&Window>,
        cancel: &CancellationToken,
        wanted: impl Fn(&Window) -> bool,
    ) -> Result<Window, Broken> {
        let end = Instant::now() + PATIENCE;
        let place = |window: &Window| (window.x, window.y, window.width, window.height);
        let (mut last, mut since) = (before.map(place), Instant::now());
        loop {
            let window = self.find(id)?.ok_or(Broken::Vanished)?;
            let now = Instant::now();
            if wanted(&window) || now >= end {
                return Ok(window);
            }
            if let Some(before) = before {
                if last != Some(place(&window)) {
                    (last, since) = (Some(place(&window)), now);
                } else if last != Some(place(before)) && now.duration_since(since) >= STILL {
                    return Ok(window);
                }
            }
            rest(cancel)?;
        }
    }
}

fn rest(cancel: &CancellationToken) -> Result<(), Broken> {
    if cancel.is_cancelled() {
        return Err(Error::Cancelled.into());
    }
    std::thread::sleep(LOOK);
    Ok(())
}

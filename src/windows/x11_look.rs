//! What the windows of an X display are like.

use x11rb::protocol::randr::ConnectionExt as _;
use x11rb::protocol::res::{ClientIdMask, ClientIdSpec, ConnectionExt as _};
use x11rb::protocol::xproto::{self, AtomEnum, ConnectionExt as _, MapState, WindowClass};

use super::x11::{Broken, Session};
use super::{Margins, Rectangle, Window, most_of};

/// Longest property that is read, in units of four bytes.
const LONG: u32 = 64 * 1024;
/// The `WM_STATE` of a window that is put away.
const ICONIC: u32 = 3;
/// How deep in its frame a window is looked for where the window manager keeps no list.
const DEEP: usize = 4;

/// What is the same for all windows of one look.
pub(super) struct Around {
    /// Where the monitors are, as the screen numbers them.
    monitors: Vec<Rectangle>,
    /// The window that has the focus, and those it is in.
    focus: Vec<xproto::Window>,
    managed: bool,
}

impl Session {
    /// All windows, the top-most first.
    pub(super) fn list(&self) -> Result<Vec<Window>, Broken> {
        let around = self.around()?;
        let mut windows = Vec::new();
        for id in self.ids(around.managed)? {
            match self.look(id, &around) {
                Ok(window) => windows.push(window),
                // Closed while the others were looked at.
                Err(Broken::Vanished) => {}
                Err(broken) => return Err(broken),
            }
        }
        Ok(windows)
    }

    /// One of them, if it is there.
    pub(super) fn find(&self, id: u32) -> Result<Option<Window>, Broken> {
        let around = self.around()?;
        if !self.ids(around.managed)?.contains(&id) {
            return Ok(None);
        }
        match self.look(id, &around) {
            Ok(window) => Ok(Some(window)),
            Err(Broken::Vanished) => Ok(None),
            Err(broken) => Err(broken),
        }
    }

    /// Whether a window manager is at work that speaks EWMH.
    pub(super) fn is_managed(&self) -> Result<bool, Broken> {
        let check = self.atoms._NET_SUPPORTING_WM_CHECK;
        let Some(&window) = self.numbers(self.root, check)?.first() else { return Ok(false) };
        // One that has died leaves its property at the root, but not the window that it names.
        match self.numbers(window, check) {
            Ok(itself) => Ok(itself.first() == Some(&window)),
            Err(Broken::Vanished) => Ok(false),
            Err(broken) => Err(broken),
        }
    }

    /// The numbers in a property.
    pub(super) fn numbers(&self, window: xproto::Window, property: xproto::Atom) -> Result<Vec<u32>, Broken> {
        let reply = self.connection.get_property(false, window, property, AtomEnum::ANY, 0, LONG)?.reply()?;
        Ok(reply.value32().map(Iterator::collect).unwrap_or_default())
    }

    fn around(&self) -> Result<Around, Broken> {
        let managed = self.is_managed()?;
        let focus = if managed { self.numbers(self.root, self.atoms._NET_ACTIVE_WINDOW)? } else { self.focus()? };
        Ok(Around { monitors: self.monitors()?, focus, managed })
    }

    /// Where keys go where nobody keeps a record of it, and all that is in.
    fn focus(&self) -> Result<Vec<xproto::Window>, Broken> {
        let mut window = self.connection.get_input_focus()?.reply()?.focus;
        let mut chain = Vec::new();
        // 0 and 1 are "nowhere" and "where the pointer is".
        while window > 1 && window != self.root {
            chain.push(window);
            window = match self.connection.query_tree(window)?.reply().map_err(Broken::from) {
                Ok(tree) => tree.parent,
                Err(Broken::Vanished) => break,
                Err(broken) => return Err(broken),
            };
        }
        Ok(chain)
    }

    fn monitors(&self) -> Result<Vec<Rectangle>, Broken> {
        let mut infos = if self.has_monitors { self.connection.randr_get_monitors(self.root, true)?.reply()?.monitors } else { Vec::new() };
        infos.retain(|info| info.width > 0 && info.height > 0);
        let root = self.connection.get_geometry(self.root)?.reply()?;
        if infos.is_empty() {
            return Ok(vec![(0, 0, root.width.into(), root.height.into())]);
        }
        // As the screen does it, which has none that lies outside of it.
        let overlaps = |start: i16, length: u16, end: u16| i32::from(start) < i32::from(end) && i32::from(start) + i32::from(length) > 0;
        infos.retain(|info| overlaps(info.x, info.width, root.width) && overlaps(info.y, info.height, root.height));
        infos.sort_by_key(|info| !info.primary);
        Ok(infos.iter().map(|info| (info.x.into(), info.y.into(), info.width.into(), info.height.into())).collect())
    }

    /// The numbers of all windows, the top-most first.
    fn ids(&self, managed: bool) -> Result<Vec<u32>, Broken> {
        if managed {
            let mut ids = self.numbers(self.root, self.atoms._NET_CLIENT_LIST_STACKING)?;
            if ids.is_empty() {
                ids = self.numbers(self.root, self.atoms._NET_CLIENT_LIST)?;
            }
            ids.reverse();
            return Ok(ids);
        }
        let mut ids = Vec::new();
        for child in self.connection.query_tree(self.root)?.reply()?.children.into_iter().rev() {
            match self.client(child) {
                Ok(found) => ids.extend(found),
                Err(Broken::Vanished) => {}
                Err(broken) => return Err(broken),
            }
        }
        Ok(ids)
    }

    /// The program's own window in a top-level one: itself, or what an older window manager has put into a frame.
    fn client(&self, top: xproto::Window) -> Result<Option<u32>, Broken> {
        let mut level = vec![top];
        for _ in 0..DEEP {
            let mut below = Vec::new();
            for window in level {
                if !self.numbers(window, self.atoms.WM_STATE)?.is_empty() {
                    return Ok(Some(window));
                }
                below.extend(self.connection.query_tree(window)?.reply()?.children);
            }
            level = below;
        }
        let attributes = self.connection.get_window_attributes(top)?.reply()?;
        let is_window =
            attributes.map_state == MapState::VIEWABLE && !attributes.override_redirect && attributes.class != WindowClass::INPUT_ONLY;
        Ok(is_window.then_some(top))
    }

    fn look(&self, id: xproto::Window, around: &Around) -> Result<Window, Broken> {
        let (connection, atoms) = (&self.connection, &self.atoms);
        let property = |name: u32, kind: AtomEnum| connection.get_property(false, id, name, kind, 0, LONG);
        // All asked before the first answer is waited for.
        let attributes = connection.get_window_attributes(id)?;
        let geometry = connection.get_geometry(id)?;
        let corner = connection.translate_coordinates(id, self.root, 0, 0)?;
        let names = [atoms._NET_WM_NAME, AtomEnum::WM_NAME.into(), atoms._NET_WM_VISIBLE_NAME];
        let [name, plain_name, shown_name] = names.map(|name| property(name, AtomEnum::ANY));
        let (name, plain_name, shown_name) = (name?, plain_name?, shown_name?);
        let class = property(AtomEnum::WM_CLASS.into(), AtomEnum::ANY)?;
        let pid = property(atoms._NET_WM_PID, AtomEnum::CARDINAL)?;
        let extents = property(atoms._NET_FRAME_EXTENTS, AtomEnum::CARDINAL)?;
        let states = property(atoms._NET_WM_STATE, AtomEnum::ATOM)?;
        let state = property(atoms.WM_STATE, AtomEnum::ANY)?;
        let spec = [ClientIdSpec { client: id, mask: ClientIdMask::LOCAL_CLIENT_PID }];
        let process = if self.knows_processes { Some(connection.res_query_client_ids(&spec)?) } else { None };

        let (attributes, geometry, corner) = (attributes.reply()?, geometry.reply()?, corner.reply()?);
        let (name, plain_name, shown_name) = (name.reply()?, plain_name.reply()?, shown_name.reply()?);
        // An old program's name in many alphabets is read best by its window manager.
        let is_compound = plain_name.type_ == atoms.COMPOUND_TEXT;
        let title = match (name.value.is_empty(), is_compound && !shown_name.value.is_empty()) {
            (false, _) => text(&name.value, false),
            (true, true) => text(&shown_name.value, false),
            (true, false) if is_compound => compound(&plain_name.value),
            (true, false) => text(&plain_name.value, true),
        };
        let class = class.reply()?.value;
        let mut names = class.split(|byte| *byte == 0).map(|name| text(name, true));
        let (instance, class) = (names.next().unwrap_or_default(), names.next().unwrap_or_default());
        let own = pid.reply()?.value32().and_then(|mut numbers| numbers.next());
        // Who was not told is looked for; an X server that cannot say is no reason to fail.
        let told = process.and_then(|process| process.reply().ok());
        let told = told.and_then(|reply| reply.ids.iter().find_map(|client| client.value.first().copied()));
        let extents: Vec<u32> = extents.reply()?.value32().map(Iterator::collect).unwrap_or_default();
        let border = u32::from(geometry.border_width);
        let frame = match extents[..] {
            [left, right, top, bottom] if around.managed => Margins { left, right, top, bottom },
            _ => Margins { left: border, right: border, top: border, bottom: border },
        };
        let states: Vec<u32> = states.reply()?.value32().map(Iterator::collect).unwrap_or_default();
        let is = |state: u32| states.contains(&state);
        let state = state.reply()?.value32().and_then(|mut numbers| numbers.next());
        let is_minimized = if around.managed { is(atoms._NET_WM_STATE_HIDDEN) } else { state == Some(ICONIC) };
        let before = |edge: i16, thick: u32| i32::from(edge).saturating_sub_unsigned(thick);
        let wide = |inner: u16, one: u32, other: u32| u32::from(inner).saturating_add(one).saturating_add(other);
        let (x, y) = (before(corner.dst_x, frame.left), before(corner.dst_y, frame.top));
        let (width, height) = (wide(geometry.width, frame.left, frame.right), wide(geometry.height, frame.top, frame.bottom));
        Ok(Window {
            id,
            title,
            class,
            instance,
            pid: told.or(own),
            x,
            y,
            width,
            height,
            frame,
            monitor: most_of((x, y, width, height), &around.monitors),
            is_focused: around.focus.contains(&id),
            is_visible: attributes.map_state == MapState::VIEWABLE && !is_minimized,
            is_minimized,
            is_maximized: is(atoms._NET_WM_STATE_MAXIMIZED_HORZ) && is(atoms._NET_WM_STATE_MAXIMIZED_VERT),
            is_fullscreen: is(atoms._NET_WM_STATE_FULLSCREEN),
        })
    }
}

/// A text that changes alphabets on its way: what is in UTF-8 or Latin-1 is read, of the others the number of bytes is told.
fn compound(bytes: &[u8]) -> String {
    let (mut read, mut rest, mut is_known) = (String::new(), bytes, true);
    while let Some((first, after)) = rest.split_first() {
        if let Some(utf8) = rest.strip_prefix(b"\x1b%G") {
            let end = utf8.windows(3).position(|three| three == b"\x1b%@").unwrap_or(utf8.len());
            let (inner, left) = utf8.split_at(end);
            read.push_str(&String::from_utf8_lossy(inner));
            rest = left.strip_prefix(b"\x1b%@").unwrap_or_default();
        } else if *first == 0x1b {
            // A change of alphabet: bytes in between, and a last one.
            let long = after.iter().take_while(|byte| (0x20..0x30).contains(*byte)).count();
            let (kind, left) = after.split_at_checked(long + 1).unwrap_or((after, &[]));
            // Which one the upper half is, or that the lower half is ASCII.
            is_known = matches!(kind, b"-A" | b"(B");
            rest = left;
        } else {
            read.push(if is_known { char::from(*first) } else { char::REPLACEMENT_CHARACTER });
            rest = after;
        }
    }
    read
}

/// A text as programs write it: UTF-8, or where X says so and it is none, one byte a letter.
fn text(bytes: &[u8], latin: bool) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.trim_end_matches('\0').to_owned(),
        Err(_) if latin => bytes.iter().map(|byte| char::from(*byte)).collect(),
        Err(_) => String::from_utf8_lossy(bytes).into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        assert_eq!(text("Ä – 1".as_bytes(), false), "Ä – 1");
        assert_eq!(text(b"\xc4rger", true), "Ärger");
        assert_eq!(text(b"\xc4rger", false), "\u{fffd}rger");
        assert_eq!(compound(b"Order \xc4"), "Order Ä");
        assert_eq!(compound(b"\x1b%G\xe2\x80\x93\x1b%@ a \x1b-A\xc4"), "– a Ä");
        assert_eq!(compound(b"\x1b$(B!=\x1b(B a"), "\u{fffd}\u{fffd} a");
        for cut in [&b"\x1b"[..], b"\x1b%", b"\x1b%G", b"\x1b%G\xe2", b"\x1b$("] {
            compound(cut);
        }
    }
}

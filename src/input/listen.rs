//! Hearing what mouse and keyboard do, whoever moves them: a hand, another program, or this one.
//!
//! What was done is told in this room's words ([`Heard`]): a key by what it types and by its name, a button by the point it was pressed at.
//! What that amounts to (a double click, a word) is for whoever listens.

use std::time::SystemTime;

use super::key::Key;
use super::{Button, Error, Input, Point};

/// What is called with everything that is heard, in order, on a thread of its own, which must not be kept waiting.
pub type Ear = Box<dyn FnMut(Heard) + Send>;

/// Something that mouse or keyboard did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// When it happened.
    pub at: SystemTime,
    /// Where the pointer was.
    pub point: Point,
    /// Modifiers that were down before it.
    pub held: Modifiers,
    /// What it was.
    pub deed: Deed,
}

/// What mouse or keyboard did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deed {
    /// A button went down (`true`) or up.
    Button(Button, bool),
    /// The wheel was turned one step: to the right, down.
    Wheel {
        /// −1, 0 or 1, to the right.
        dx: i32,
        /// −1, 0 or 1, down.
        dy: i32,
    },
    /// A key went down (`true`) or up.
    Key(Stroke, bool),
    /// It is over, and nothing more will be heard: the display has gone, for this reason; or with none, nobody listens any more.
    End(Option<String>),
}

/// A key that was struck.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stroke {
    /// The character it types, with layout, Shift, AltGr and the locks counted; a combining one for a dead key.
    pub types: Option<char>,
    /// What it is called, as PyAutoGUI spells it: `enter`, `f5`, `a`. A key without a name here has none.
    pub name: Option<String>,
    /// Whether it is a modifier.
    pub is_modifier: bool,
}

/// Modifiers that choose not a character but what a key does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Modifiers {
    /// Control.
    pub ctrl: bool,
    /// Alt.
    pub alt: bool,
    /// Shift.
    pub shift: bool,
    /// The Windows key.
    pub win: bool,
}

impl Modifiers {
    /// Their names, in the order in which they are pressed.
    pub fn names(self) -> Vec<&'static str> {
        let all = [(self.ctrl, "ctrl"), (self.alt, "alt"), (self.shift, "shift"), (self.win, "win")];
        all.into_iter().filter_map(|(down, name)| down.then_some(name)).collect()
    }

    /// Whether a key that is struck with them is a command and no text.
    pub fn command(self) -> bool {
        self.ctrl || self.alt || self.win
    }
}

/// Somebody who listens. Stops with it.
pub struct Listening(#[expect(dead_code, reason = "it is there to be dropped")] pub(super) Box<dyn Send + Sync>);

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening").finish_non_exhaustive()
    }
}

impl Input {
    /// Tells `ear` what mouse and keyboard do from now on, until what is given back is dropped. Nobody else hears less for it.
    ///
    /// # Errors
    /// [`Error::Lacking`] where the display has no way to listen; [`Error::Unavailable`] where it does not answer.
    pub fn listen(&self, ear: Ear) -> Result<Listening, Error> {
        self.backend.listen(ear)
    }
}

/// Keys of a number pad that have twins elsewhere, by both keysyms.
const TWINS: [(u32, u32); 12] = [
    (0xff8d, 0xff0d),
    (0xff95, 0xff50),
    (0xff96, 0xff51),
    (0xff97, 0xff52),
    (0xff98, 0xff53),
    (0xff99, 0xff54),
    (0xff9a, 0xff55),
    (0xff9b, 0xff56),
    (0xff9c, 0xff57),
    (0xff9e, 0xff63),
    (0xff9f, 0xffff),
    // Tab with Shift.
    (0xfe20, 0xff09),
];

/// Dead keys, and the combining characters that say what they do.
const DEAD: [(u32, char); 13] = [
    (0xfe50, '\u{300}'),
    (0xfe51, '\u{301}'),
    (0xfe52, '\u{302}'),
    (0xfe53, '\u{303}'),
    (0xfe54, '\u{304}'),
    (0xfe55, '\u{306}'),
    (0xfe56, '\u{307}'),
    (0xfe57, '\u{308}'),
    (0xfe58, '\u{30a}'),
    (0xfe59, '\u{30b}'),
    (0xfe5a, '\u{30c}'),
    (0xfe5b, '\u{327}'),
    (0xfe5c, '\u{328}'),
];

impl Stroke {
    /// The stroke of a key that has `symbol` now, and `plain` (the keysym that shortcuts know it by) without Shift and AltGr.
    pub(super) fn of(symbol: u32, plain: u32) -> Self {
        let twin = |symbol: u32| TWINS.iter().find(|(pad, _)| *pad == symbol).map_or(symbol, |(_, twin)| *twin);
        let (symbol, plain) = (twin(symbol), twin(plain));
        let dead = DEAD.iter().find(|(key, _)| *key == symbol).map(|(_, mark)| *mark);
        let types = dead.or_else(|| character(symbol));
        let name = match types {
            // What it is called does not depend on Shift, and is small: `ctrl`, `shift` and `t` make a shortcut, not `T`.
            Some(typed) => character(plain).map(|plain| plain.to_lowercase().collect()).or_else(|| Some(typed.to_string())),
            None => Key(symbol).name().map(str::to_owned),
        };
        Self { types, name, is_modifier: is_modifier(symbol) }
    }
}

/// The character of a keysym, also of the older ones that are not by code point; none for Return and the like.
fn character(symbol: u32) -> Option<char> {
    Key(symbol).character().or_else(|| xkeysym::Keysym::new(symbol).key_char().filter(|typed| !typed.is_control()))
}

/// Shift to Hyper, the locks, and the keys that choose a level or a group.
fn is_modifier(symbol: u32) -> bool {
    matches!(symbol, 0xffe1..=0xffee | 0xfe01..=0xfe13 | 0xff7e | 0xff7f)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_what_it_types_and_what_it_is_called() {
        for (symbol, plain, types, name) in [
            (0x61, 0x61, Some('a'), Some("a")),
            (0x41, 0x61, Some('A'), Some("a")),
            (0x21, 0x31, Some('!'), Some("1")),
            (0x20ac, 0x65, Some('€'), Some("e")),
            // Cyrillic and Polish letters of older layouts, and one by its code point.
            (0x6c6, 0x6c6, Some('ф'), Some("ф")),
            (0x1b3, 0x6c, Some('ł'), Some("l")),
            (0x0100_1e9e, 0xdf, Some('ẞ'), Some("ß")),
            (0xfe51, 0xfe51, Some('\u{301}'), Some("\u{301}")),
            (0xff0d, 0xff0d, None, Some("enter")),
            (0xff8d, 0xff8d, None, Some("enter")),
            (0xfe20, 0xff09, None, Some("tab")),
            (0xffb7, 0xff95, Some('7'), Some("7")),
            (0xff1b, 0xff1b, None, Some("esc")),
            (0xffff, 0xffff, None, Some("delete")),
            (0xffeb, 0xffeb, None, Some("win")),
            (0x1234_5678, 0, None, None),
        ] {
            let stroke = Stroke::of(symbol, plain);
            assert_eq!((stroke.types, stroke.name.as_deref()), (types, name), "{symbol:#x}");
        }
        for (symbol, is) in [(0xffe1, true), (0xffe4, true), (0xfe03, true), (0xff7f, true), (0x61, false), (0xff09, false)] {
            assert_eq!(Stroke::of(symbol, symbol).is_modifier, is, "{symbol:#x}");
        }
    }
}

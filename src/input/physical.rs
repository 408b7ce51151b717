//! Keys by where they are: the codes that browsers give them (`KeyboardEvent.code`), and the names that X keyboards have for the same
//! places. What such a key types is the business of the layout.

use super::{Error, Key};

/// A key by its place on the keyboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Physical(usize);

/// Code, the X keyboard's name of its place, the symbol there on a US keyboard.
type Place = (&'static str, &'static str, u32);

#[rustfmt::skip]
const PLACES: &[Place] = &[
    ("AltLeft", "LALT", 0xffe9), ("AltRight", "RALT", 0xffea),
    ("ArrowDown", "DOWN", 0xff54), ("ArrowLeft", "LEFT", 0xff51), ("ArrowRight", "RGHT", 0xff53), ("ArrowUp", "UP", 0xff52),
    ("Backquote", "TLDE", 0x60), ("Backslash", "BKSL", 0x5c), ("Backspace", "BKSP", 0xff08),
    ("BracketLeft", "AD11", 0x5b), ("BracketRight", "AD12", 0x5d),
    ("CapsLock", "CAPS", 0xffe5), ("Comma", "AB08", 0x2c), ("ContextMenu", "COMP", 0xff67),
    ("ControlLeft", "LCTL", 0xffe3), ("ControlRight", "RCTL", 0xffe4), ("Convert", "HENK", 0xff23), ("Delete", "DELE", 0xffff),
    ("Digit0", "AE10", 0x30), ("Digit1", "AE01", 0x31), ("Digit2", "AE02", 0x32), ("Digit3", "AE03", 0x33), ("Digit4", "AE04", 0x34),
    ("Digit5", "AE05", 0x35), ("Digit6", "AE06", 0x36), ("Digit7", "AE07", 0x37), ("Digit8", "AE08", 0x38), ("Digit9", "AE09", 0x39),
    ("End", "END", 0xff57), ("Enter", "RTRN", 0xff0d), ("Equal", "AE12", 0x3d), ("Escape", "ESC", 0xff1b),
    ("F1", "FK01", 0xffbe), ("F2", "FK02", 0xffbf), ("F3", "FK03", 0xffc0), ("F4", "FK04", 0xffc1), ("F5", "FK05", 0xffc2),
    ("F6", "FK06", 0xffc3), ("F7", "FK07", 0xffc4), ("F8", "FK08", 0xffc5), ("F9", "FK09", 0xffc6), ("F10", "FK10", 0xffc7),
    ("F11", "FK11", 0xffc8), ("F12", "FK12", 0xffc9), ("F13", "FK13", 0xffca), ("F14", "FK14", 0xffcb), ("F15", "FK15", 0xffcc),
    ("F16", "FK16", 0xffcd), ("F17", "FK17", 0xffce), ("F18", "FK18", 0xffcf), ("F19", "FK19", 0xffd0), ("F20", "FK20", 0xffd1),
    ("F21", "FK21", 0xffd2), ("F22", "FK22", 0xffd3), ("F23", "FK23", 0xffd4), ("F24", "FK24", 0xffd5),
    ("Home", "HOME", 0xff50), ("Insert", "INS", 0xff63), ("IntlBackslash", "LSGT", 0x3c), ("IntlRo", "AB11", 0x5c), ("IntlYen", "AE13", 0xa5),
    ("KanaMode", "HKTG", 0xff2d),
    ("KeyA", "AC01", 0x61), ("KeyB", "AB05", 0x62), ("KeyC", "AB03", 0x63), ("KeyD", "AC03", 0x64), ("KeyE", "AD03", 0x65),
    ("KeyF", "AC04", 0x66), ("KeyG", "AC05", 0x67), ("KeyH", "AC06", 0x68), ("KeyI", "AD08", 0x69), ("KeyJ", "AC07", 0x6a),
    ("KeyK", "AC08", 0x6b), ("KeyL", "AC09", 0x6c), ("KeyM", "AB07", 0x6d), ("KeyN", "AB06", 0x6e), ("KeyO", "AD09", 0x6f),
    ("KeyP", "AD10", 0x70), ("KeyQ", "AD01", 0x71), ("KeyR", "AD04", 0x72), ("KeyS", "AC02", 0x73), ("KeyT", "AD05", 0x74),
    ("KeyU", "AD07", 0x75), ("KeyV", "AB04", 0x76), ("KeyW", "AD02", 0x77), ("KeyX", "AB02", 0x78), ("KeyY", "AD06", 0x79),
    ("KeyZ", "AB01", 0x7a),
    ("Lang1", "HNGL", 0xff31), ("Lang2", "HJCV", 0xff34), ("MetaLeft", "LWIN", 0xffeb), ("MetaRight", "RWIN", 0xffec),
    ("Minus", "AE11", 0x2d), ("NonConvert", "MUHE", 0xff22), ("NumLock", "NMLK", 0xff7f),
    ("Numpad0", "KP0", 0xffb0), ("Numpad1", "KP1", 0xffb1), ("Numpad2", "KP2", 0xffb2), ("Numpad3", "KP3", 0xffb3),
    ("Numpad4", "KP4", 0xffb4), ("Numpad5", "KP5", 0xffb5), ("Numpad6", "KP6", 0xffb6), ("Numpad7", "KP7", 0xffb7),
    ("Numpad8", "KP8", 0xffb8), ("Numpad9", "KP9", 0xffb9), ("NumpadAdd", "KPAD", 0xffab), ("NumpadDecimal", "KPDL", 0xffae),
    ("NumpadDivide", "KPDV", 0xffaf), ("NumpadEnter", "KPEN", 0xff8d), ("NumpadEqual", "KPEQ", 0xffbd),
    ("NumpadMultiply", "KPMU", 0xffaa), ("NumpadSubtract", "KPSU", 0xffad),
    ("PageDown", "PGDN", 0xff56), ("PageUp", "PGUP", 0xff55), ("Pause", "PAUS", 0xff13), ("Period", "AB09", 0x2e),
    ("PrintScreen", "PRSC", 0xff61), ("Quote", "AC11", 0x27), ("ScrollLock", "SCLK", 0xff14), ("Semicolon", "AC10", 0x3b),
    ("ShiftLeft", "LFSH", 0xffe1), ("ShiftRight", "RTSH", 0xffe2), ("Slash", "AB10", 0x2f), ("Space", "SPCE", 0x20), ("Tab", "TAB", 0xff09),
];

impl Physical {
    /// The key of a code such as `KeyA`, `ShiftLeft` or `IntlBackslash`.
    ///
    /// # Errors
    /// [`Error::UnknownKey`].
    pub fn of_code(code: &str) -> Result<Self, Error> {
        PLACES.iter().position(|(known, ..)| *known == code).map(Self).ok_or_else(|| {
            let alike = |known: &str| known.eq_ignore_ascii_case(code) || (code.len() >= 2 && known.starts_with(code));
            let near = PLACES.iter().map(|(known, ..)| *known).filter(|known| alike(known)).take(3).collect();
            Error::UnknownKey { name: code.chars().take(32).collect(), near, path: "/code".to_owned() }
        })
    }

    fn place(self) -> Place {
        PLACES.get(self.0).copied().unwrap_or(("", "", 0))
    }

    /// Its code.
    pub fn code(self) -> &'static str {
        self.place().0
    }

    /// What an X keyboard calls its place.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "only X keyboards have such names"))]
    pub(super) fn xkb_name(self) -> [u8; 4] {
        let mut name = [0; 4];
        for (to, from) in name.iter_mut().zip(self.place().1.bytes()) {
            *to = from;
        }
        name
    }

    /// What it types on a US keyboard, without Shift.
    pub(super) fn on_us_keyboard(self) -> Key {
        Key(self.place().2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_place_is_named_once_and_in_order() {
        for part in [|place: &Place| place.0, |place: &Place| place.1] {
            let mut names: Vec<_> = PLACES.iter().map(part).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), PLACES.len());
        }
        assert_eq!(Physical::of_code("KeyZ").unwrap().xkb_name(), *b"AB01");
        assert_eq!(Physical::of_code("ArrowUp").unwrap().xkb_name(), *b"UP\0\0");
    }

    #[test]
    fn an_unknown_code_says_so() {
        for code in ["", "a", "keya", "Key", "KeyAA", "Unidentified", &"K".repeat(100_000)] {
            let error = Physical::of_code(code).unwrap_err();
            assert!(error.to_string().len() < 200, "{error}");
        }
        assert!(Physical::of_code("keya").unwrap_err().to_string().contains("KeyA"));
    }
}

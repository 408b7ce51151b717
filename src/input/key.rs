//! The names of keys, as PyAutoGUI spells them, and the X keysyms that they stand for.

use super::Error;

/// A key: an X keysym, on every platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key(pub(super) u32);

/// Keysyms above this are Unicode code points.
const UNICODE: u32 = 0x0100_0000;

/// Every name that is not a single character, in alphabetical order, with its keysym.
#[rustfmt::skip]
const NAMED: [(&str, u32); NAMES] = [
    ("accept", 0xff0d),
    ("add", 0xffab),
    ("alt", 0xffe9),
    ("altleft", 0xffe9),
    ("altright", 0xffea),
    ("apps", 0xff67),
    ("backspace", 0xff08),
    ("browserback", 0x1008ff26),
    ("browserfavorites", 0x1008ff30),
    ("browserforward", 0x1008ff27),
    ("browserhome", 0x1008ff18),
    ("browserrefresh", 0x1008ff29),
    ("browsersearch", 0x1008ff1b),
    ("browserstop", 0x1008ff28),
    ("capslock", 0xffe5),
    ("clear", 0xff0b),
    ("command", 0xffeb),
    ("convert", 0xff23),
    ("ctrl", 0xffe3),
    ("ctrlleft", 0xffe3),
    ("ctrlright", 0xffe4),
    ("decimal", 0xffae),
    ("del", 0xffff),
    ("delete", 0xffff),
    ("divide", 0xffaf),
    ("down", 0xff54),
    ("end", 0xff57),
    ("enter", 0xff0d),
    ("esc", 0xff1b),
    ("escape", 0xff1b),
    ("execute", 0xff62),
    ("f1", 0xffbe),
    ("f2", 0xffbf),
    ("f3", 0xffc0),
    ("f4", 0xffc1),
    ("f5", 0xffc2),
    ("f6", 0xffc3),
    ("f7", 0xffc4),
    ("f8", 0xffc5),
    ("f9", 0xffc6),
    ("f10", 0xffc7),
    ("f11", 0xffc8),
    ("f12", 0xffc9),
    ("f13", 0xffca),
    ("f14", 0xffcb),
    ("f15", 0xffcc),
    ("f16", 0xffcd),
    ("f17", 0xffce),
    ("f18", 0xffcf),
    ("f19", 0xffd0),
    ("f20", 0xffd1),
    ("f21", 0xffd2),
    ("f22", 0xffd3),
    ("f23", 0xffd4),
    ("f24", 0xffd5),
    ("final", 0xff3e),
    ("fn", 0x1008ff2b),
    ("hanguel", 0xff31),
    ("hangul", 0xff31),
    ("hanja", 0xff34),
    ("help", 0xff6a),
    ("home", 0xff50),
    ("insert", 0xff63),
    ("junja", 0xff38),
    ("kana", 0xff2d),
    ("kanji", 0xff21),
    ("launchapp1", 0x1008ff40),
    ("launchapp2", 0x1008ff41),
    ("launchmail", 0x1008ff19),
    ("launchmediaselect", 0x1008ff32),
    ("left", 0xff51),
    ("modechange", 0xff7e),
    ("multiply", 0xffaa),
    ("nexttrack", 0x1008ff17),
    ("nonconvert", 0xff22),
    ("num0", 0xffb0),
    ("num1", 0xffb1),
    ("num2", 0xffb2),
    ("num3", 0xffb3),
    ("num4", 0xffb4),
    ("num5", 0xffb5),
    ("num6", 0xffb6),
    ("num7", 0xffb7),
    ("num8", 0xffb8),
    ("num9", 0xffb9),
    ("numlock", 0xff7f),
    ("option", 0xffe9),
    ("optionleft", 0xffe9),
    ("optionright", 0xffea),
    ("pagedown", 0xff56),
    ("pageup", 0xff55),
    ("pause", 0xff13),
    ("pgdn", 0xff56),
    ("pgup", 0xff55),
    ("playpause", 0x1008ff14),
    ("prevtrack", 0x1008ff16),
    ("print", 0xff61),
    ("printscreen", 0xff61),
    ("prntscrn", 0xff61),
    ("prtsc", 0xff61),
    ("prtscr", 0xff61),
    ("return", 0xff0d),
    ("right", 0xff53),
    ("scrolllock", 0xff14),
    ("select", 0xff60),
    ("separator", 0xffac),
    ("shift", 0xffe1),
    ("shiftleft", 0xffe1),
    ("shiftright", 0xffe2),
    ("sleep", 0x1008ff2f),
    ("space", 0x0020),
    ("stop", 0x1008ff15),
    ("subtract", 0xffad),
    ("tab", 0xff09),
    ("up", 0xff52),
    ("volumedown", 0x1008ff11),
    ("volumemute", 0x1008ff12),
    ("volumeup", 0x1008ff13),
    ("win", 0xffeb),
    ("winleft", 0xffeb),
    ("winright", 0xffec),
    ("yen", 0x00a5),
];
const NAMES: usize = 122;

/// Every name that is not a single character; beside these, each character is a key of its own.
pub const KEY_NAMES: [&str; NAMES] = {
    let mut names = [""; NAMES];
    let mut index = 0;
    while index < NAMES {
        names[index] = NAMED[index].0;
        index += 1;
    }
    names
};

impl Key {
    pub(super) const RETURN: Self = Self(0xff0d);
    pub(super) const TAB: Self = Self(0xff09);

    /// The key that types a character; `None` for a control character other than a line break and a tab.
    pub(super) fn of_char(character: char) -> Option<Self> {
        match character {
            '\n' | '\r' => Some(Self::RETURN),
            '\t' => Some(Self::TAB),
            // Keysyms of their own by right; many layouts have them under these and not under their code points.
            '€' => Some(Self(0x20ac)),
            _ if character.is_control() => None,
            ' '..='~' | '\u{a0}'..='ÿ' => Some(Self(character.into())),
            _ => Some(Self(UNICODE + u32::from(character))),
        }
    }

    /// The character that the key types, if it is one of those that do.
    pub(super) fn character(self) -> Option<char> {
        match self.0 {
            0x20ac => Some('€'),
            0x20..=0x7e | 0xa0..=0xff => char::from_u32(self.0),
            code if code > UNICODE => char::from_u32(code - UNICODE),
            _ => None,
        }
    }

    /// The key of a name. A single character is itself; other names do not mind case, `_`, `-` and spaces.
    pub(super) fn named(name: &str, path: &str) -> Result<Self, Error> {
        let unknown = || Error::UnknownKey { name: shorten(name), near: near(name), path: path.to_owned() };
        let mut characters = name.chars();
        if let (Some(only), None) = (characters.next(), characters.next()) {
            return Self::of_char(only).ok_or_else(unknown);
        }
        let plain = plain(name).ok_or_else(unknown)?;
        NAMED.iter().find(|(known, _)| *known == plain).map(|(_, keysym)| Self(*keysym)).ok_or_else(unknown)
    }

    /// What it is called where it types no character: of several names the one that people use.
    pub(super) fn name(self) -> Option<&'static str> {
        let usual = [("enter", 0xff0d), ("delete", 0xffff), ("win", 0xffeb), ("hangul", 0xff31)];
        usual.iter().chain(&NAMED).find(|(_, keysym)| *keysym == self.0).map(|(name, _)| *name)
    }

    /// What to call it in a sentence.
    pub(super) fn describe(self) -> String {
        match self.character() {
            Some(character) => format!("the character {character:?}"),
            None => NAMED
                .iter()
                .find(|(_, keysym)| *keysym == self.0)
                .map_or_else(|| format!("keysym {:#x}", self.0), |(name, _)| format!("the key {name}")),
        }
    }
}

/// The name without what people put into it; `None` for what is too long to be one.
fn plain(name: &str) -> Option<String> {
    (name.len() <= 32).then(|| name.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).flat_map(char::to_lowercase).collect())
}

fn shorten(name: &str) -> String {
    name.chars().take(32).collect()
}

/// Up to three names that look like this one, the most similar first.
fn near(name: &str) -> Vec<&'static str> {
    let Some(name) = plain(name).filter(|name| !name.is_empty()) else { return Vec::new() };
    let allowed = if name.chars().count() <= 4 { 1 } else { 2 };
    let mut found: Vec<(usize, &str)> = KEY_NAMES
        .iter()
        .filter_map(|known| {
            let far = distance(&name, known);
            let kin = name.len() >= 3 && (known.starts_with(&name) || name.starts_with(known) && known.len() >= 3);
            (far <= allowed || kin).then_some((far, *known))
        })
        .collect();
    found.sort_by_key(|(far, _)| *far);
    found.into_iter().take(3).map(|(_, known)| known).collect()
}

/// How many letters must be changed, added or left out, or exchanged with their neighbour, to make one of the other.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let change = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut least = change.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(rows[i - 2][j - 2] + 1);
                }
                least
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Classify;

    #[test]
    fn names_mean_their_keys() {
        for (name, keysym) in [
            ("enter", 0xff0d),
            ("Page_Down", 0xff56),
            ("f24", 0xffd5),
            ("a", 0x61),
            ("Ä", 0xc4),
            ("€", 0x20ac),
            ("num9", 0xffb9),
            ("\t", 0xff09),
            ("ł", 0x0100_0142),
        ] {
            assert_eq!(Key::named(name, "/key").unwrap(), Key(keysym), "{name}");
        }
    }

    #[test]
    fn names_are_sorted_and_once_each() {
        let mut sorted: Vec<_> = KEY_NAMES.to_vec();
        sorted.sort_by_key(|name| (name.trim_end_matches(|c: char| c.is_ascii_digit()), name.len(), *name));
        sorted.dedup();
        assert_eq!(sorted.len(), KEY_NAMES.len());
    }

    #[test]
    fn an_unknown_name_suggests_its_neighbours() {
        for (wrong, right) in
            [("entr", "enter"), ("esape", "escape"), ("ctrll", "ctrl"), ("pagedwon", "pagedown"), ("control", "ctrl"), ("f25", "f2")]
        {
            let error = Key::named(wrong, "/key").unwrap_err();
            let text = error.to_string();
            if wrong != "control" {
                assert!(text.contains(right), "{text}");
            }
            assert_eq!(error.details().unwrap()["errors"][0]["path"], "/key");
        }
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for name in ["", "\0", "\u{1b}", "nope nope", &"x".repeat(100_000)] {
            assert!(Key::named(name, "/key").is_err());
        }
    }
}

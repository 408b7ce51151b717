//! Where keys are, for servers that go by that (as QEMU does for a machine's keyboard): as XT keyboards number them, and as they lie on
//! one from the United States, which is what such a machine believes to have.

/// Where a key is, and whether it stands for what is meant together with Shift alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) code: u8,
    pub(super) shift: bool,
}

/// The left Shift.
pub(super) const SHIFT: u32 = 0xffe1;

/// The rows of a keyboard, as they are and together with Shift; and the number of their first key.
const ROWS: [(&str, &str, u8); 4] = [
    ("1234567890-=", "!@#$%^&*()_+", 0x02),
    ("qwertyuiop[]", "QWERTYUIOP{}", 0x10),
    ("asdfghjkl;'`", "ASDFGHJKL:\"~", 0x1e),
    ("\\zxcvbnm,./", "|ZXCVBNM<>?", 0x2b),
];

/// Keys that stand for no letter: keysym and number. Those that came later than the rest have the highest bit set.
#[rustfmt::skip]
const NAMED: [(u32, u8); 56] = [
    (0x20, 0x39), (0xff08, 0x0e), (0xff09, 0x0f), (0xff0d, 0x1c), (0xff13, 0xc6), (0xff14, 0x46), (0xff1b, 0x01),
    (0xff50, 0xc7), (0xff51, 0xcb), (0xff52, 0xc8), (0xff53, 0xcd), (0xff54, 0xd0), (0xff55, 0xc9), (0xff56, 0xd1), (0xff57, 0xcf),
    (0xff61, 0xb7), (0xff63, 0xd2), (0xff67, 0xdd), (0xff7f, 0x45), (0xff8d, 0x9c), (0xffaa, 0x37), (0xffab, 0x4e), (0xffad, 0x4a),
    (0xffae, 0x53), (0xffaf, 0xb5), (0xffb0, 0x52), (0xffb1, 0x4f), (0xffb2, 0x50), (0xffb3, 0x51), (0xffb4, 0x4b), (0xffb5, 0x4c),
    (0xffb6, 0x4d), (0xffb7, 0x47), (0xffb8, 0x48), (0xffb9, 0x49), (0xffbe, 0x3b), (0xffbf, 0x3c), (0xffc0, 0x3d), (0xffc1, 0x3e),
    (0xffc2, 0x3f), (0xffc3, 0x40), (0xffc4, 0x41), (0xffc5, 0x42), (0xffc6, 0x43), (0xffc7, 0x44), (0xffc8, 0x57), (0xffc9, 0x58),
    (SHIFT, 0x2a), (0xffe2, 0x36), (0xffe3, 0x1d), (0xffe4, 0x9d), (0xffe5, 0x3a), (0xffe9, 0x38), (0xffea, 0xb8), (0xffeb, 0xdb), (0xffff, 0xd3),
];

/// Where the key of a keysym is; none for what is not on such a keyboard.
pub(super) fn code(keysym: u32) -> Option<Place> {
    if let Some((_, code)) = NAMED.iter().find(|(known, _)| *known == keysym) {
        return Some(Place { code: *code, shift: false });
    }
    let letter = char::from_u32(keysym).filter(char::is_ascii_graphic)?;
    ROWS.iter().find_map(|(plain, shifted, first)| {
        let place = |row: &str, shift| {
            let at = u8::try_from(row.find(letter)?).ok()?;
            Some(Place { code: first + at, shift })
        };
        place(plain, false).or_else(|| place(shifted, true))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_letter_of_such_a_keyboard_has_a_place_and_no_two_share_one() {
        let mut places: Vec<(u8, bool)> =
            (0x21..0x7f_u32).map(|keysym| code(keysym).map(|place| (place.code, place.shift)).unwrap()).collect();
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 94);
        for (letter, number, shift) in [('a', 0x1e, false), ('Z', 0x2c, true), ('`', 0x29, false), ('|', 0x2b, true), ('/', 0x35, false)] {
            assert_eq!(code(letter.into()), Some(Place { code: number, shift }), "{letter}");
        }
        assert_eq!((code(0xe4), code(0x20ac)), (None, None));
    }
}

//! What a session's terminal shows, for whoever looks: the bytes that came last, and a model of what they made of the terminal.
//!
//! The model reads when somebody wants to see it, or before what it has not read would be gone: each byte once, and in a flood most of
//! them never. Who comes new, or was too slow for what is kept of the bytes, gets the model's screen; all others get the bytes.

use std::borrow::Cow;

use super::model::{Model, Size};
use super::replay;
use super::ring::{KEPT, Ring};

/// Bytes handed out at once.
const CHUNK: usize = 64 * 1024;
/// A control sequence that is longer is not waited for.
pub(super) const LONGEST: usize = 64 * 1024;

pub(super) struct Screen {
    ring: Ring,
    model: Model,
    /// Up to where the model has read.
    read: u64,
}

/// What somebody who looks is to print.
pub(super) struct Next {
    pub(super) bytes: Vec<u8>,
    /// Where that leads to.
    pub(super) place: u64,
}

impl Screen {
    pub(super) fn new(size: Size) -> Self {
        Self { ring: Ring::default(), model: Model::new(size), read: 0 }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(KEPT / 4) {
            if self.unread().len() + part.len() > KEPT {
                self.catch_up();
            }
            self.ring.push(part);
        }
    }

    /// What follows `place`, or the whole screen where nobody was anywhere yet, or at a place that is no longer kept. Nothing where all
    /// is seen.
    pub(super) fn next(&mut self, place: Option<u64>) -> Option<Next> {
        match place.and_then(|place| Some((place, self.ring.after(place)?))) {
            Some((_, [])) => None,
            Some((place, more)) => {
                let bytes = more[..more.len().min(CHUNK)].to_vec();
                Some(Next { place: place + bytes.len() as u64, bytes })
            }
            None => {
                self.catch_up();
                Some(Next { bytes: replay::of(&mut self.model).into_bytes(), place: self.read })
            }
        }
    }

    /// What was printed after `place`, or as much of it as is kept, and the place where that begins.
    pub(super) fn since(&self, place: u64) -> (u64, &[u8]) {
        let from = place.clamp(self.ring.beginning(), self.ring.end());
        (from, self.ring.after(from).unwrap_or_default())
    }

    /// The place after everything that was printed.
    pub(super) fn end(&self) -> u64 {
        self.ring.end()
    }

    /// The model, as it is after everything that was printed.
    pub(super) fn model(&mut self) -> &mut Model {
        self.catch_up();
        &mut self.model
    }

    pub(super) fn size(&self) -> Size {
        self.model.size()
    }

    pub(super) fn resize(&mut self, size: Size) {
        self.model().resize(size);
    }

    fn unread(&self) -> &[u8] {
        self.ring.after(self.read).unwrap_or_default()
    }

    /// Lets the model read up to the end of the last whole character or control sequence.
    fn catch_up(&mut self) {
        let unread = self.ring.after(self.read).unwrap_or_default();
        let whole = match whole(unread) {
            whole if unread.len() - whole > LONGEST => unread.len(),
            whole => whole,
        };
        self.model.feed(&unread[..whole]);
        self.read += whole as u64;
    }
}

/// How many of the bytes do not end within a character or a control sequence: who begins to read behind them understands what follows.
pub(super) fn whole(bytes: &[u8]) -> usize {
    match bytes.iter().rposition(|byte| *byte == 0x1b) {
        Some(escape) if !is_complete(&bytes[escape + 1..]) => escape,
        _ => {
            let tail = bytes.len().saturating_sub(3);
            match std::str::from_utf8(&bytes[tail..]) {
                Err(error) if error.error_len().is_none() => tail + error.valid_up_to(),
                // The tail may begin within a character.
                Err(error) => {
                    let from = tail + error.valid_up_to() + error.error_len().unwrap_or(1);
                    match std::str::from_utf8(&bytes[from.min(bytes.len())..]) {
                        Err(error) if error.error_len().is_none() => from + error.valid_up_to(),
                        _ => bytes.len(),
                    }
                }
                Ok(_) => bytes.len(),
            }
        }
    }
}

/// Whether what follows an escape is all of the sequence that it begins.
fn is_complete(after: &[u8]) -> bool {
    let cancelled = |byte: &u8| matches!(byte, 0x18 | 0x1a);
    match after {
        [] => false,
        [b'[', rest @ ..] => rest.iter().any(|byte| (0x40..=0x7e).contains(byte) || cancelled(byte)),
        [b']', rest @ ..] => rest.iter().any(|byte| *byte == 0x07 || cancelled(byte)),
        [b'P' | b'X' | b'^' | b'_', rest @ ..] => rest.iter().any(cancelled),
        [0x20..=0x2f, rest @ ..] => rest.iter().any(|byte| (0x30..=0x7e).contains(byte) || cancelled(byte)),
        _ => true,
    }
}

/// As text that does nothing where it is shown: control sequences are left out, and so is what they hide.
pub(super) fn plain(bytes: &[u8]) -> String {
    let mut plain = Plain::default();
    plain.feed(bytes);
    plain.into_text()
}

/// Takes what was printed apart, bit by bit. Moving about becomes a blank or a new line, so that words do not run together.
#[derive(Debug, Default)]
pub(super) struct Plain {
    text: Vec<u8>,
    within: Within,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Within {
    #[default]
    Text,
    Escape,
    Intermediate,
    Sequence,
    Title,
    Hidden,
}

impl Plain {
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.byte(*byte));
    }

    /// What was read so far, with U+FFFD for what is not UTF-8.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.text)
    }

    /// Bytes that were kept.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// How many bytes were kept for so many bytes of the text.
    pub(super) fn bytes_of(&self, text: usize) -> usize {
        let (mut left, mut bytes) = (text, 0);
        for chunk in self.text.utf8_chunks() {
            if left <= chunk.valid().len() {
                return bytes + left;
            }
            bytes += chunk.valid().len() + chunk.invalid().len();
            left = left
                .saturating_sub(chunk.valid().len() + if chunk.invalid().is_empty() { 0 } else { char::REPLACEMENT_CHARACTER.len_utf8() });
        }
        bytes
    }

    pub(super) fn into_text(self) -> String {
        String::from_utf8_lossy(&self.text).chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect()
    }

    fn byte(&mut self, byte: u8) {
        self.within = match (self.within, byte) {
            (_, 0x1b) => Within::Escape,
            (_, 0x18 | 0x1a) => Within::Text,
            (Within::Text, b'\r') => Within::Text,
            (Within::Text, 0x08) => {
                self.text.pop_if(|last| *last != b'\n');
                Within::Text
            }
            (Within::Text, _) => {
                if byte >= b' ' && byte != 0x7f || matches!(byte, b'\n' | b'\t') {
                    self.text.push(byte);
                }
                Within::Text
            }
            (Within::Escape, b'[') => Within::Sequence,
            (Within::Escape, b']') => Within::Title,
            (Within::Escape, b'P' | b'X' | b'^' | b'_') => Within::Hidden,
            (Within::Escape | Within::Intermediate, 0x20..=0x2f) => Within::Intermediate,
            (Within::Escape | Within::Intermediate, _) => Within::Text,
            (Within::Sequence, 0x40..=0x7e) => {
                match byte {
                    b'A' | b'B' | b'E' | b'F' | b'H' | b'd' | b'f' => self.apart(b'\n'),
                    b'C' | b'G' => self.apart(b' '),
                    _ => {}
                }
                Within::Text
            }
            (Within::Title, 0x07) => Within::Text,
            (within, _) => within,
        };
    }

    fn apart(&mut self, by: u8) {
        if self.text.last().is_some_and(|last| !last.is_ascii_whitespace()) {
            self.text.push(by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { cols: 20, rows: 5 };

    fn shown(bytes: &[u8]) -> Screen {
        let mut screen = Screen::new(SIZE);
        screen.push(bytes);
        screen
    }

    #[test]
    fn who_comes_late_begins_behind_a_whole_sequence() {
        for (printed, held) in [
            ("abc", ""),
            ("abc\x1b", "\x1b"),
            ("abc\x1b[3", "\x1b[3"),
            ("abc\x1b[31m", ""),
            ("abc\x1b]0;tit", "\x1b]0;tit"),
            ("abc\x1b]0;title\x07", ""),
            ("abc\x1b]0;title\x1b\\", ""),
            ("abc\x1b(", "\x1b("),
            ("abc\x1b(B", ""),
        ] {
            assert_eq!(whole(printed.as_bytes()), printed.len() - held.len(), "{printed:?}");
            let mut screen = shown(printed.as_bytes());
            let first = screen.next(None).unwrap();
            let rest = screen.next(Some(first.place)).map(|next| next.bytes).unwrap_or_default();
            assert_eq!(rest, held.as_bytes(), "{printed:?}");
        }
        for cut in 1..4 {
            assert_eq!(whole(&"ab😀".as_bytes()[..2 + cut]), 2, "{cut} bytes of a character");
        }
        assert_eq!(whole(b"ab\xff"), 3);
    }

    #[test]
    fn a_slow_reader_misses_nothing_that_is_kept_and_gets_the_screen_for_the_rest() {
        let mut screen = shown(b"first");
        let seen = screen.next(None).unwrap();
        screen.push(&b"x".repeat(KEPT - 100));
        let (mut place, mut read) = (seen.place, 0);
        while let Some(next) = screen.next(Some(place)) {
            assert!(next.bytes.iter().all(|byte| *byte == b'x'));
            (place, read) = (next.place, read + next.bytes.len());
        }
        assert_eq!(read, KEPT - 100);
        for number in 0..200_000 {
            screen.push(format!("line {number}\r\n").as_bytes());
        }
        let missed = screen.next(Some(place)).unwrap();
        let text = String::from_utf8(missed.bytes).unwrap();
        assert!(text.starts_with(replay::RESET) && text.contains("line 199999\r\n"), "{}", text.len());
        assert!(!text.contains("line 198000\r\n") && text.contains("line 199100\r\n"));
        assert!(screen.next(Some(missed.place)).is_none());
        assert!(screen.ring.end() - screen.ring.beginning() <= 2 * KEPT as u64);
    }

    /// Printed before, and what is printed after somebody came anew: both must make the same of it.
    #[test]
    fn a_new_terminal_is_made_the_same() {
        let flood: String = (0..3000).map(|n| format!("line {n}\r\n")).collect();
        let long = "long ".repeat(30);
        for (before, after) in [
            ("$ echo a\r\na\r\n$ ", "more\r\n"),
            (flood.as_str(), "and more\r\n\x1b[31mred"),
            (long.as_str(), "x"),
            ("exactly twenty chars", "y"),
            ("\x1b[1;3;4;38;5;200;48;2;1;2;3mstyle\x1b[m \x1b[4:3mcurl\x1b[m \x1b[97;41mb\x1b[7mi", "z"),
            ("wide 漢字かな漢字かな漢字\r\ne\u{301}o\u{308} 👍 z\u{308}", "!"),
            ("\x1b[44m\x1b[2Jblue all over\x1b[5;3Hhere", "more"),
            ("\x1b[2;4r\x1b[2;1Ha\r\nb\r\nc\r\nd\r\ne", "\r\nf\r\ng\r\nh"),
            ("\x1b[2;4r\x1b[?6h\x1b[2;2Hin", "\x1b[1;1Htop\x1b[9;1Hbottom"),
            ("shell\r\n$ vim\x1b[?1049h\x1b[2J\x1b[Hfull\x1b[5;20Hx", "\x1b[3;3Hmore\x1b[?1049l$ back"),
            ("\x1b[?1h\x1b=\x1b[?2004h\x1b[?1002h\x1b[?1006h\x1b[?25l\x1b[5 q", "x"),
            ("\x1b[5;5H\x1b[32m\x1b7\x1b[1;1H\x1b[31mred", "\x1b8green"),
            ("\x1b[3g\x1b[1;4H\x1bH\x1b[1;11H\x1bH\r", "\ta\tb"),
            ("\x1b(0lqqk\x1b(B \x1b(0", "xx\x1b(Bend"),
            ("\x1b[?7lno wrap, no wrap, no wrap", "end"),
            ("\x1b[4hinsert\x1b[1;1H", "in"),
            ("12345678901234567890\x1b[41m", "\x1b[Kx"),
            ("a\tb\tc\r\n\r\n\r\n", "d"),
            ("title \x1b]0;mine\x07\x1b]52;c;aGk=\x07clip", "x"),
            ("漢字漢字漢字漢字漢字", "字"),
        ] {
            let mut one = shown(before.as_bytes());
            let replayed = one.next(None).unwrap();
            let mut other = shown(&replayed.bytes);
            same(&mut one, &mut other, before);
            one.push(after.as_bytes());
            other.push(after.as_bytes());
            same(&mut one, &mut other, &format!("{before:?} then {after:?}"));
        }
    }

    #[track_caller]
    fn same(one: &mut Screen, other: &mut Screen, what: &str) {
        let (one, other) = (one.model(), other.model());
        assert_eq!(one.text(true), other.text(true), "{what}");
        assert_eq!(one.cursor(), other.cursor(), "{what}");
        assert_eq!(one.term.mode(), other.term.mode(), "{what}");
        assert_eq!((one.region(), one.tabs()), (other.region(), other.tabs()), "{what}");
        assert_eq!(one.term.cursor_style(), other.term.cursor_style(), "{what}");
        let cells = |model: &Model| {
            use alacritty_terminal::grid::Dimensions;
            use alacritty_terminal::index::{Column, Line};
            let grid = model.term.grid();
            let mut cells = Vec::new();
            for line in -(grid.history_size() as i32)..grid.screen_lines() as i32 {
                for column in 0..grid.columns() {
                    let mut cell = grid[Line(line)][Column(column)].clone();
                    // A tabulator leaves a sign of itself in the cell that it skips.
                    cell.c = if cell.c == '\t' { ' ' } else { cell.c };
                    cells.push((line, column, cell));
                }
            }
            (cells, grid.cursor.template.clone(), grid.cursor.input_needs_wrap)
        };
        let (ours, theirs) = (cells(one), cells(other));
        assert_eq!(ours.1, theirs.1, "{what}");
        assert_eq!(ours.2, theirs.2, "{what}");
        for (one, other) in ours.0.iter().zip(&theirs.0) {
            assert_eq!(one, other, "{what}");
        }
        assert_eq!(one.with_primary(|grid| grid.cursor.point), other.with_primary(|grid| grid.cursor.point), "{what}");
    }

    #[test]
    fn a_flood_is_read_as_if_every_line_had_been() {
        let long = "long ".repeat(60);
        for (before, line) in [
            ("", "y"),
            ("\x1b[31m", "colour"),
            ("\x1b[2;4r\x1b[5;1H", "below"),
            ("\x1b[?1049h", "full"),
            ("", "long long long long long"),
            ("", long.as_str()),
            ("\x1b[?1049h", long.as_str()),
            ("\x1b[?7l", long.as_str()),
            ("\x1b[4h", long.as_str()),
            ("", "one\tof\tthem\tis\tlong"),
            ("", &long.replace(' ', "\r")),
            ("", &long.replace("ng", "\u{308}字")),
        ] {
            let mut all = String::from(before);
            for number in 0..(KEPT * 3 / 2 / line.len()).min(20_000) {
                all.push_str(&format!("{line} {number}\r\n"));
            }
            all.push_str("$ ");
            let mut at_once = shown(all.as_bytes());
            let mut bit_by_bit = Screen::new(SIZE);
            for piece in all.as_bytes().chunks(1000) {
                bit_by_bit.push(piece);
                bit_by_bit.model();
            }
            same(&mut at_once, &mut bit_by_bit, line);
        }
    }

    #[test]
    fn what_is_kept_as_text_does_nothing() {
        for (printed, text) in [
            ("a\x1b[31mb\x1b[m\r\n", "ab\n"),
            ("\x1b]52;c;aGk=\x07\x1b]0;title\x07\x1b[2J\x1b[H", ""),
            ("one\x1b[5;5Htwo\x1b[3Cthree", "one\ntwo three"),
            ("pass\x08\x08\x08\x08word", "word"),
            ("\x1bP$q m\x1b\\x\x1b(By\u{9b}31mz\0\x07", "xy31mz"),
            ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ] {
            assert_eq!(plain(printed.as_bytes()), text, "{printed:?}");
        }
        assert_eq!(plain(b"\xff\xfe ok"), "\u{fffd}\u{fffd} ok");
    }
}

//! What a session's terminal printed so far, for whoever looks: the last 256 KiB, kept once for all viewers.
//!
//! A viewer holds no more than its place in it. One that reads too slowly finds that the beginning is gone, and goes on from there.

use std::collections::VecDeque;

/// Bytes kept.
pub(super) const KEPT: usize = 256 * 1024;
/// Bytes handed out at once.
const CHUNK: usize = 64 * 1024;
/// How far to look for the beginning of a line, so that a picture does not begin within an escape sequence.
const LINE: usize = 4096;

/// The ring.
#[derive(Debug, Default)]
pub(super) struct Screen {
    kept: VecDeque<u8>,
    /// Bytes printed in all.
    printed: u64,
}

impl Screen {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(KEPT)..];
        let over = (self.kept.len() + bytes.len()).saturating_sub(KEPT);
        self.kept.drain(..over);
        self.kept.extend(bytes);
        self.printed += bytes.len() as u64;
    }

    /// Where a new viewer begins.
    pub(super) fn beginning(&self) -> u64 {
        let oldest = self.printed - self.kept.len() as u64;
        if self.kept.len() < KEPT {
            return oldest;
        }
        let line = self.kept.iter().take(LINE).position(|byte| *byte == b'\n').map_or(0, |at| at as u64 + 1);
        oldest + line
    }

    /// What follows `place`, and the place after it; and whether something before it was missed. Nothing where all is read.
    pub(super) fn after(&self, place: u64) -> Option<(Vec<u8>, u64, bool)> {
        let missed = place < self.printed - self.kept.len() as u64;
        let from = if missed { self.beginning() } else { place };
        let skip = self.kept.len() - usize::try_from(self.printed - from).unwrap_or_default().min(self.kept.len());
        let chunk: Vec<u8> = self.kept.range(skip..).take(CHUNK).copied().collect();
        let next = from + chunk.len() as u64;
        (!chunk.is_empty()).then_some((chunk, next, missed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_viewer_misses_the_beginning_and_nothing_else() {
        let mut screen = Screen::default();
        screen.push(b"first");
        let (chunk, place, missed) = screen.after(screen.beginning()).unwrap();
        assert_eq!((chunk.as_slice(), place, missed), (b"first".as_slice(), 5, false));
        assert!(screen.after(place).is_none());
        for number in 0..100_000 {
            screen.push(format!("line {number}\r\n").as_bytes());
        }
        let (chunk, mut place, missed) = screen.after(place).unwrap();
        assert!(missed && chunk.starts_with(b"line "), "a whole line first");
        let mut last = chunk;
        while let Some((chunk, next, missed)) = screen.after(place) {
            assert!(!missed);
            (last, place) = (chunk, next);
        }
        assert!(last.ends_with(b"line 99999\r\n"));
        assert!(screen.kept.len() <= KEPT);
    }
}

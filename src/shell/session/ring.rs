//! What a session's terminal printed last, byte for byte, kept once for all who read it.

/// Bytes that are kept at least. The model reads once in so many, and then what fills its screen and scrollback: some 80 kB.
pub(super) const KEPT: usize = 512 * 1024;

/// The ring. It lies in one piece: what is too old is let go once it is as much as is kept.
#[derive(Debug, Default)]
pub(super) struct Ring {
    bytes: Vec<u8>,
    /// Bytes before the first one that is kept.
    gone: u64,
}

impl Ring {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() > 2 * KEPT {
            let over = (self.bytes.len() + bytes.len()).saturating_sub(KEPT).min(self.bytes.len());
            self.bytes.drain(..over);
            self.gone += over as u64;
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// The place after the last byte.
    pub(super) fn end(&self) -> u64 {
        self.gone + self.bytes.len() as u64
    }

    /// The place of the first byte that is kept.
    pub(super) fn beginning(&self) -> u64 {
        self.gone
    }

    /// What follows `place`. Nothing where that is no longer kept.
    pub(super) fn after(&self, place: u64) -> Option<&[u8]> {
        let skipped = usize::try_from(place.checked_sub(self.gone)?).ok()?;
        self.bytes.get(skipped..)
    }
}

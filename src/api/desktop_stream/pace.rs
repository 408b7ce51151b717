//! How fast a binary stream may go: not faster than its client acknowledges what it was sent, so that on a slow link pictures come less
//! often, and not later.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::stream::ALIVE;

/// Updates that may be under way at a time.
const UPDATES: usize = 3;
/// With more bytes than this under way, none are added.
const BYTES: usize = 1 << 20;
/// After so long without a word the next update is sent all the same, at most.
const LONGEST: Duration = Duration::from_secs(32);

/// What is under way to a client.
#[derive(Debug)]
pub(super) struct Pace {
    sequence: u32,
    /// Numbers and sizes of what was not acknowledged yet.
    under_way: VecDeque<(u32, usize)>,
    sent: Option<Instant>,
    /// How long the client may be silent. Twice as long each time that it is.
    patience: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { sequence: 0, under_way: VecDeque::new(), sent: None, patience: ALIVE }
    }
}

impl Pace {
    /// Whether another update may be sent.
    pub(super) fn is_open(&self) -> bool {
        let bytes: usize = self.under_way.iter().map(|(_, bytes)| bytes).sum();
        self.under_way.is_empty() || self.under_way.len() < UPDATES && bytes < BYTES
    }

    /// When the next update may be sent even if none of those under way is acknowledged: acknowledgements may have been lost.
    pub(super) fn at_last(&self) -> Option<Instant> {
        self.sent.map(|sent| sent + self.patience)
    }

    /// The number of the last update.
    pub(super) fn last(&self) -> u32 {
        self.sequence
    }

    /// The number of the next update, which begins its way.
    pub(super) fn next(&mut self) -> u32 {
        if !self.is_open() {
            self.patience = (self.patience * 2).min(LONGEST);
            self.under_way.pop_front();
        }
        self.sequence = self.sequence.wrapping_add(1);
        self.under_way.push_back((self.sequence, 0));
        self.sent = Some(Instant::now());
        self.sequence
    }

    /// The update that has just begun its way has so many bytes.
    pub(super) fn weigh(&mut self, bytes: usize) {
        if let Some((_, weight)) = self.under_way.back_mut() {
            *weight = bytes;
        }
    }

    /// An update has come to its end, and all before it. One that is not under way counts for nothing.
    pub(super) fn acknowledged(&mut self, sequence: u32) {
        if let Some(index) = self.under_way.iter().position(|(known, _)| *known == sequence) {
            self.under_way.drain(..=index);
            self.patience = ALIVE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_updates_are_under_way_at_a_time() {
        let mut pace = Pace::default();
        for sequence in 1..=3 {
            assert!(pace.is_open());
            assert_eq!(pace.next(), sequence);
            pace.weigh(10);
        }
        assert!(!pace.is_open());
        for unknown in [0, 4, u32::MAX] {
            pace.acknowledged(unknown);
            assert!(!pace.is_open());
        }
        // The first two acknowledgements were lost.
        pace.acknowledged(3);
        assert!(pace.is_open() && pace.under_way.is_empty());
    }

    #[test]
    fn a_large_update_goes_alone() {
        let mut pace = Pace::default();
        pace.next();
        pace.weigh(BYTES);
        assert!(!pace.is_open());
        pace.acknowledged(1);
        assert!(pace.is_open());
    }

    #[test]
    fn who_says_nothing_is_sent_less_and_less() {
        let mut pace = Pace::default();
        for _ in 0..3 {
            pace.next();
        }
        let mut before = Duration::ZERO;
        for _ in 0..6 {
            assert!(pace.patience > before || pace.patience == LONGEST);
            before = pace.patience;
            pace.next();
            assert!(pace.under_way.len() <= UPDATES);
        }
        pace.acknowledged(pace.last());
        assert_eq!(pace.patience, ALIVE);
    }
}

//! Counting how long things take: adding costs a few nanoseconds, and what it comes to is worked out when somebody looks.
//!
//! Rooms tally what they do; `api` shows it to whoever watches over the server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The upper bounds of the classes, in seconds; above the last there is one more.
const BOUNDS: [f64; 16] = [0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0];

/// How often something happened, and how long it took.
#[derive(Debug, Default)]
pub struct Tally {
    classes: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// What a tally came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Totals {
    /// How often in each class: its upper bound in seconds, and how many.
    pub classes: Vec<(f64, u64)>,
    /// How often in all.
    pub count: u64,
    /// How long in all.
    pub seconds: f64,
}

impl Tally {
    /// Something took so long.
    pub fn add(&self, took: Duration) {
        let seconds = took.as_secs_f64();
        let class = BOUNDS.partition_point(|bound| *bound < seconds);
        if let Some(class) = self.classes.get(class) {
            class.fetch_add(1, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What it comes to so far.
    pub fn totals(&self) -> Totals {
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let classes: Vec<_> = bounds.zip(self.classes.iter().map(|class| class.load(Ordering::Relaxed))).collect();
        Totals {
            count: classes.iter().map(|(_, count)| count).sum(),
            classes,
            seconds: Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed)).as_secs_f64(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_counts_in_the_first_class_that_holds_it() {
        let tally = Tally::default();
        for micros in [0, 100, 101, 1_000_000, 3_600_000_000] {
            tally.add(Duration::from_micros(micros));
        }
        let totals = tally.totals();
        let in_class = |bound: f64| totals.classes.iter().find(|(known, _)| *known == bound).unwrap().1;
        assert_eq!((in_class(0.0001), in_class(0.0005), in_class(1.0), in_class(f64::INFINITY)), (2, 1, 1, 1));
        assert_eq!(totals.count, 5);
        assert!((totals.seconds - 3_601.000_201).abs() < 1e-9, "{}", totals.seconds);
    }
}

//! How much a place of a scene is like the picture that is looked for.

use super::{Match, Needle, Scene};

/// How far two pictures may differ in colour that have no shapes: more is nothing in common.
const FLAT: f64 = 64.0;
/// A place that is this like by its shapes is worth a look at its colours.
const WORTH: f64 = 0.2;

/// Sums over the pixels that count.
#[derive(Default)]
struct Sums {
    count: f64,
    wanted: f64,
    wanted_squares: f64,
    seen: f64,
    seen_squares: f64,
    products: f64,
}

impl Sums {
    /// Normalised correlation, −1–1. None where one of the two has no shapes.
    fn correlation(&self) -> Option<f64> {
        let spread = |sum: f64, squares: f64| squares - sum * sum / self.count;
        let (wanted, seen) = (spread(self.wanted, self.wanted_squares), spread(self.seen, self.seen_squares));
        // Less than one shade up or down.
        let flat = self.count;
        if wanted < flat || seen < flat {
            return None;
        }
        Some((self.products - self.wanted * self.seen / self.count) / (wanted * seen).sqrt())
    }
}

/// The shapes of both compared, every `step`th row of them.
fn sums(scene: &Scene<'_>, needle: &Needle, (x, y): (usize, usize), step: usize) -> Sums {
    let (gray, wide) = (scene.gray.as_raw().as_slice(), scene.gray.width() as usize);
    let mut all = Sums::default();
    for row in (0..needle.height).step_by(step) {
        let start = (y + row) * wide + x;
        let seen = gray.get(start..start + needle.width).unwrap_or_default();
        let wanted = needle.gray.get(row * needle.width..(row + 1) * needle.width).unwrap_or_default();
        let mut of_row = [0_u32; 6];
        let mut add = |wanted: u8, seen: u8, counts: u32| {
            let (wanted, seen) = (u32::from(wanted), u32::from(seen));
            of_row[0] += counts;
            of_row[1] += counts * wanted;
            of_row[2] += counts * wanted * wanted;
            of_row[3] += counts * seen;
            of_row[4] += counts * seen * seen;
            of_row[5] += counts * wanted * seen;
        };
        match &needle.mask {
            None => wanted.iter().zip(seen).for_each(|(wanted, seen)| add(*wanted, *seen, 1)),
            Some(mask) => {
                let mask = mask.get(row * needle.width..(row + 1) * needle.width).unwrap_or_default();
                wanted.iter().zip(seen).zip(mask).for_each(|((wanted, seen), counts)| add(*wanted, *seen, u32::from(*counts)));
            }
        }
        let [count, wanted, wanted_squares, seen, seen_squares, products] = of_row.map(f64::from);
        all.count += count;
        all.wanted += wanted;
        all.wanted_squares += wanted_squares;
        all.seen += seen;
        all.seen_squares += seen_squares;
        all.products += products;
    }
    all
}

/// How much a place is like what is looked for, 0–1: by its shapes, and by its colours.
pub(super) fn score(scene: &Scene<'_>, needle: &Needle, at: (usize, usize)) -> f64 {
    let shapes = sums(scene, needle, at, 1).correlation();
    if shapes.is_some_and(|shapes| shapes < WORTH) {
        return shapes.unwrap_or_default().max(0.0);
    }
    let (mut apart, mut count) = (0_u64, 0_u64);
    let (width, height) = needle.size();
    for y in 0..height {
        for x in 0..width {
            if !needle.counts(y as usize * needle.width + x as usize) {
                continue;
            }
            let (wanted, seen) = (needle.colour(x, y), (scene.colour)(narrow(at.0) + x, narrow(at.1) + y));
            apart += wanted.iter().zip(seen).map(|(wanted, seen)| u64::from(wanted.abs_diff(seen))).sum::<u64>();
            count += 3;
        }
    }
    let apart = apart as f64 / count.max(1) as f64;
    match shapes {
        Some(shapes) => (shapes * (1.0 - apart / 255.0)).clamp(0.0, 1.0),
        None => (1.0 - apart / FLAT).max(0.0),
    }
}

/// The best place at most so many pixels from another.
pub(super) fn best_around(scene: &Scene<'_>, needle: &Needle, (x, y): (usize, usize), around: usize) -> Option<Match> {
    let last = |whole: u32, part: usize| (whole as usize).checked_sub(part);
    let (last_x, last_y) = (last(scene.gray.width(), needle.width)?, last(scene.gray.height(), needle.height)?);
    let (x, y) = (x.min(last_x), y.min(last_y));
    let exact = score(scene, needle, (x, y));
    if exact > 0.999 || around == 0 {
        return Some(placed(needle, (x, y), exact));
    }
    let step = if needle.height >= 16 { 2 } else { 1 };
    let mut best = ((x, y), f64::MIN);
    for y in y.saturating_sub(around)..=(y + around).min(last_y) {
        for x in x.saturating_sub(around)..=(x + around).min(last_x) {
            let like = sums(scene, needle, (x, y), step).correlation().unwrap_or(0.0);
            if like > best.1 {
                best = ((x, y), like);
            }
        }
    }
    let score = score(scene, needle, best.0);
    Some(if score >= exact { placed(needle, best.0, score) } else { placed(needle, (x, y), exact) })
}

pub(super) fn placed(needle: &Needle, (x, y): (usize, usize), score: f64) -> Match {
    let (width, height) = needle.size();
    Match { x: narrow(x), y: narrow(y), width, height, score, scale: 1.0 }
}

fn narrow(side: usize) -> u32 {
    u32::try_from(side).unwrap_or(u32::MAX)
}

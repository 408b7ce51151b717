//! Places at which a picture stands exactly as it is, or nearly: told by a few of its pixels, and then by all of them.

use super::score::{placed, score};
use super::{Match, Needle, Scene};

/// Pixels that are looked at in each place: one from each field of a grid.
const GRID: (usize, usize) = (4, 3);
/// Shades by which each of them may be off, on average.
const OFF: usize = 8;
/// Shades by which all pixels may be off, on average.
const ALL_OFF: usize = 6;
/// Places that are looked at in full, at most: a picture that is everywhere need not be found more often.
const MOST: usize = 2000;

/// A pixel of the picture that tells much about it.
struct Probe {
    x: usize,
    y: usize,
    gray: u8,
}

/// The places, each with its score.
pub(super) fn places(scene: &Scene<'_>, needle: &Needle) -> Vec<Match> {
    let probes = chosen(needle);
    let (gray, wide) = (scene.gray.as_raw().as_slice(), scene.gray.width() as usize);
    let (columns, rows) = (wide - needle.width + 1, scene.gray.height() as usize - needle.height + 1);
    let limit = u8::try_from(probes.len() * OFF).unwrap_or(u8::MAX - 1);
    let mut off = vec![0_u8; columns];
    let mut found = Vec::new();
    for y in 0..rows {
        off.fill(0);
        for probe in &probes {
            let start = (y + probe.y) * wide + probe.x;
            let seen = gray.get(start..start + columns).unwrap_or_default();
            for (off, seen) in off.iter_mut().zip(seen) {
                *off = off.saturating_add(seen.abs_diff(probe.gray));
            }
        }
        // Whole rows without a place are the rule.
        if off.iter().fold(u8::MAX, |least, off| least.min(*off)) > limit {
            continue;
        }
        for (x, _) in off.iter().enumerate().filter(|(_, off)| **off <= limit) {
            if is_there(gray, wide, needle, (x, y)) {
                found.push(placed(needle, (x, y), score(scene, needle, (x, y))));
                if found.len() == MOST {
                    return found;
                }
            }
        }
    }
    found
}

/// Whether all pixels of a place are nearly those of the picture.
fn is_there(gray: &[u8], wide: usize, needle: &Needle, (x, y): (usize, usize)) -> bool {
    let budget = u32::try_from(ALL_OFF * needle.gray.len()).unwrap_or(u32::MAX);
    let mut off = 0;
    for row in 0..needle.height {
        let start = (y + row) * wide + x;
        let seen = gray.get(start..start + needle.width).unwrap_or_default();
        let own = row * needle.width;
        let wanted = needle.gray.get(own..own + needle.width).unwrap_or_default();
        // Written so that the compiler takes many pixels at once: a screen of text has thousands of places whose probes are right.
        off += match &needle.mask {
            None => wanted.iter().zip(seen).map(|(wanted, seen)| u32::from(wanted.abs_diff(*seen))).sum::<u32>(),
            Some(mask) => {
                let mask = mask.get(own..own + needle.width).unwrap_or_default();
                let apart = wanted.iter().zip(seen).map(|(wanted, seen)| u32::from(wanted.abs_diff(*seen)));
                apart.zip(mask).map(|(apart, counts)| apart * u32::from(*counts)).sum::<u32>()
            }
        };
        if off > budget {
            return false;
        }
    }
    true
}

/// From each field of a grid the pixel that stands out most from its surroundings: a lighter one and a darker one by turns, so that no plain
/// part of a screen, which may be most of it, looks like all of them.
fn chosen(needle: &Needle) -> Vec<Probe> {
    let mut probes = Vec::new();
    let (fields_x, fields_y) = GRID;
    for field_y in 0..fields_y {
        for field_x in 0..fields_x {
            let xs = needle.width * field_x / fields_x..needle.width * (field_x + 1) / fields_x;
            let ys = needle.height * field_y / fields_y..needle.height * (field_y + 1) / fields_y;
            let pixels = ys.flat_map(|y| xs.clone().map(move |x| (x, y))).filter(|(x, y)| needle.counts(y * needle.width + x));
            let lighter = (field_x + field_y) % 2 == 0;
            let best = pixels.max_by_key(|(x, y)| stands_out(needle, (*x, *y), lighter));
            probes.extend(best.map(|(x, y)| Probe { x, y, gray: at(needle, x, y) }));
        }
    }
    probes
}

/// By how much a pixel is lighter, or darker, than those beside it.
fn stands_out(needle: &Needle, (x, y): (usize, usize), lighter: bool) -> u32 {
    let own = at(needle, x, y);
    let more = |beside: u8| if lighter { own.saturating_sub(beside) } else { beside.saturating_sub(own) };
    let beside = [(x.wrapping_sub(1), y), (x + 1, y), (x, y.wrapping_sub(1)), (x, y + 1)];
    let inside = beside.into_iter().filter(|(x, y)| *x < needle.width && *y < needle.height);
    inside.map(|(x, y)| u32::from(more(at(needle, x, y)))).sum()
}

fn at(needle: &Needle, x: usize, y: usize) -> u8 {
    needle.gray.get(y * needle.width + x).copied().unwrap_or_default()
}

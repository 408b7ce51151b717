//! Finds a picture in another one, and says in what two pictures differ.
//!
//! A screen mostly shows a picture exactly as it is known: that is looked for first, by a few telling pixels ([`probes`]), which takes
//! milliseconds. Only where it is not there it is looked for by likeness ([`coarse`]): normalised correlation of both in small, and of the
//! best places in full ([`score`]). Where on a screen the picture is taken does not live here.

mod coarse;
mod difference;
mod error;
mod needle;
mod probes;
mod score;

pub use difference::{Difference, Rectangle, difference};
pub use error::Error;
pub use needle::Needle;

use image::GrayImage;

/// From this on a picture counts as the one that is looked for, and others that are only like it do not.
const THE_SAME: f64 = 0.97;
/// Places that one search gives, at most.
const MOST: usize = 1000;

/// A picture that is searched.
pub struct Scene<'a> {
    /// In grey.
    pub gray: GrayImage,
    /// Red, green and blue of a pixel of it.
    pub colour: &'a dyn Fn(u32, u32) -> [u8; 3],
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("size", &self.gray.dimensions()).finish_non_exhaustive()
    }
}

/// A place at which a picture was found, in pixels of the scene.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Match {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
    /// How much it is like what was looked for, 0–1.
    pub score: f64,
    /// By how much it is larger than what was looked for.
    pub scale: f64,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Matches {
    /// From the top, then from the left; where some are exactly what was looked for, only these.
    pub found: Vec<Match>,
    /// What comes closest, where nothing was found.
    pub nearest: Option<Match>,
}

/// Looks for a picture: at each of the scales, until it is found as it is.
pub fn find(scene: &Scene<'_>, needle: &Needle, least: f64, scales: &[f64]) -> Matches {
    let mut candidates = Vec::new();
    for scale in scales {
        let Some(scaled) = needle.scaled(*scale) else { continue };
        let fits = |side: usize, whole: u32| side <= whole as usize;
        if !fits(scaled.width, scene.gray.width()) || !fits(scaled.height, scene.gray.height()) {
            continue;
        }
        let mut places = probes::places(scene, &scaled);
        if !places.iter().any(|place| place.score >= THE_SAME.max(least)) {
            places.extend(coarse::places(scene, &scaled));
        }
        candidates.extend(places.into_iter().map(|place| Match { scale: *scale, ..place }));
        if candidates.iter().any(|place| place.score >= THE_SAME) {
            break;
        }
    }
    chosen(candidates, least)
}

/// Looks for a picture near the place at which it is expected, in the size in which it is. None where it is not there.
pub fn find_near(scene: &Scene<'_>, needle: &Needle, ((x, y), scale): ((u32, u32), f64), around: u32, least: f64) -> Option<Match> {
    let scaled;
    let needle = if scale == 1.0 {
        needle
    } else {
        scaled = needle.scaled(scale)?;
        &scaled
    };
    let fits = |side: usize, whole: u32| side <= whole as usize;
    if !fits(needle.width, scene.gray.width()) || !fits(needle.height, scene.gray.height()) {
        return None;
    }
    let place = score::best_around(scene, needle, (x as usize, y as usize), around as usize)?;
    (place.score >= THE_SAME.max(least)).then_some(Match { scale, ..place })
}

/// Those that are good enough, each place once.
fn chosen(mut candidates: Vec<Match>, least: f64) -> Matches {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let best = candidates.first().copied();
    let least = if best.is_some_and(|best| best.score >= THE_SAME) { least.max(THE_SAME) } else { least.max(f64::EPSILON) };
    let mut found: Vec<Match> = Vec::new();
    for place in candidates.into_iter().take_while(|place| place.score >= least) {
        if found.len() < MOST && !found.iter().any(|other| overlap(other, &place)) {
            found.push(place);
        }
    }
    found.sort_by_key(|place| (place.y, place.x));
    let nearest = best.filter(|_| found.is_empty());
    Matches { found, nearest }
}

/// Whether two places share more than half of the smaller one.
fn overlap(a: &Match, b: &Match) -> bool {
    let shared = |a: u32, long: u32, b: u32, wide: u32| u64::from((a + long).min(b + wide).saturating_sub(a.max(b)));
    let area = |place: &Match| u64::from(place.width) * u64::from(place.height);
    2 * shared(a.x, a.width, b.x, b.width) * shared(a.y, a.height, b.y, b.height) > area(a).min(area(b))
}

#[cfg(test)]
mod tests;

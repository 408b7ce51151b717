//! Places that are like a picture: found in small by normalised correlation, and looked at in full.

use super::score::best_around;
use super::{Match, Needle, Scene};

/// Places that are looked at in full.
const LOOKED_AT: usize = 16;
/// A place that is less like the picture is not.
const LEAST: f32 = 0.15;
/// Needles with longer sides than these are looked for in a quarter, and in half, of their size.
const QUARTER: usize = 40;
const HALF: usize = 16;

/// A picture in small, in floating point.
struct Small {
    width: usize,
    height: usize,
    values: Vec<f32>,
}

/// The best places, each with its score.
pub(super) fn places(scene: &Scene<'_>, needle: &Needle) -> Vec<Match> {
    let shortest = needle.width.min(needle.height);
    let factor = match shortest {
        QUARTER.. => 4,
        HALF.. => 2,
        _ => 1,
    };
    let mask: Option<Vec<u8>> = needle.mask.as_ref().map(|mask| mask.iter().map(|counts| if *counts { 255 } else { 0 }).collect());
    let large = Small::of(scene.gray.as_raw(), scene.gray.width() as usize, scene.gray.height() as usize, factor);
    let small = Small::of(&needle.gray, needle.width, needle.height, factor);
    let mask = mask.map(|mask| Small::of(&mask, needle.width, needle.height, factor));
    let weights: Vec<f32> = match &mask {
        // Only what lies in the mask with all that was smoothed into it.
        Some(mask) => mask.values.iter().map(|value| if *value > 250.0 { 1.0 } else { 0.0 }).collect(),
        None => vec![1.0; small.values.len()],
    };
    let Some(likeness) = correlated(&large, &small, &weights, mask.is_some()) else { return Vec::new() };
    let columns = large.width - small.width + 1;
    let peaks = peaks(&likeness, columns, (small.width / 2).max(1), (small.height / 2).max(1));
    let places = peaks.into_iter().filter_map(|(x, y)| best_around(scene, needle, (x * factor, y * factor), factor + 1));
    places.collect()
}

impl Small {
    /// Means of squares of `factor` pixels, smoothed, so that it matters little where the squares begin.
    fn of(gray: &[u8], width: usize, height: usize, factor: usize) -> Self {
        let (small_width, small_height) = (width / factor, height / factor);
        let mut values = vec![0.0; small_width * small_height];
        if factor == 1 {
            values = gray.iter().map(|value| f32::from(*value)).collect();
            return Self { width, height, values };
        }
        let area = (factor * factor) as f32;
        let mut sums = vec![0_u32; small_width];
        for (number, to) in values.chunks_exact_mut(small_width.max(1)).enumerate() {
            sums.fill(0);
            for row in gray.chunks_exact(width).skip(number * factor).take(factor) {
                for (sum, square) in sums.iter_mut().zip(row.chunks_exact(factor)) {
                    *sum += square.iter().map(|value| u32::from(*value)).sum::<u32>();
                }
            }
            for (to, sum) in to.iter_mut().zip(&sums) {
                *to = *sum as f32 / area;
            }
        }
        let mut this = Self { width: small_width, height: small_height, values };
        this.smooth();
        this
    }

    /// Each value becomes a mean of itself and those around it.
    fn smooth(&mut self) {
        for row in self.values.chunks_exact_mut(self.width.max(1)) {
            let mut before = row.first().copied().unwrap_or_default();
            for at in 0..row.len() {
                let own = row[at];
                let after = row.get(at + 1).copied().unwrap_or(own);
                row[at] = (before + 2.0 * own + after) / 4.0;
                before = own;
            }
        }
        let mut above: Vec<f32> = self.values.iter().take(self.width).copied().collect();
        for row in 0..self.height {
            let (start, end) = (row * self.width, (row + 1) * self.width);
            for (column, above) in above.iter_mut().enumerate() {
                let own = self.values[start + column];
                let below = self.values.get(end + column).copied().unwrap_or(own);
                self.values[start + column] = (*above + 2.0 * own + below) / 4.0;
                *above = own;
            }
        }
    }
}

/// Normalised correlation at every place, row by row. None where the picture has no shapes.
fn correlated(large: &Small, small: &Small, weights: &[f32], masked: bool) -> Option<Vec<f32>> {
    let (columns, rows) = ((large.width + 1).checked_sub(small.width)?, (large.height + 1).checked_sub(small.height)?);
    let count: f32 = weights.iter().sum();
    if count < 4.0 || columns == 0 || rows == 0 {
        return None;
    }
    let mean = small.values.iter().zip(weights).map(|(value, weight)| value * weight).sum::<f32>() / count;
    let kernel: Vec<f32> = small.values.iter().zip(weights).map(|(value, weight)| (value - mean) * weight).collect();
    let norm = kernel.iter().map(|value| value * value).sum::<f32>().sqrt();
    if norm * norm < count {
        return None;
    }
    let mut likeness = convolved(large, &kernel, (small.width, small.height), (columns, rows));
    let like = |product: f32, sum: f32, squares: f32| {
        let spread = squares - sum * sum / count;
        if spread < count { 0.0 } else { product / (norm * spread.sqrt()) }
    };
    if masked {
        let squares = Small { width: large.width, height: large.height, values: large.values.iter().map(|value| value * value).collect() };
        let of = |of: &Small| convolved(of, weights, (small.width, small.height), (columns, rows));
        let sums = of(large).into_iter().zip(of(&squares));
        likeness.iter_mut().zip(sums).for_each(|(to, (sum, squares))| *to = like(*to, sum, squares));
    } else {
        let mut windows = Windows::new(large, small.width, small.height);
        for row in likeness.chunks_exact_mut(columns) {
            windows.next_row();
            row.iter_mut().zip(windows.sums()).for_each(|(to, (sum, squares))| *to = like(*to, sum, squares));
        }
    }
    Some(likeness)
}

/// The kernel laid over every place.
fn convolved(large: &Small, kernel: &[f32], (width, height): (usize, usize), (columns, rows): (usize, usize)) -> Vec<f32> {
    let mut all = vec![0.0; columns * rows];
    for (y, sums) in all.chunks_exact_mut(columns).enumerate() {
        for (row, weights) in kernel.chunks_exact(width).take(height).enumerate() {
            let start = (y + row) * large.width;
            let line = large.values.get(start..start + large.width).unwrap_or_default();
            // Four at a time, so that each sum is fetched and put back four times less often.
            let mut at = 0;
            for four in weights.chunks(4) {
                if let &[a, b, c, d] = four {
                    let (first, second) = (line.get(at..).unwrap_or_default(), line.get(at + 1..).unwrap_or_default());
                    let (third, fourth) = (line.get(at + 2..).unwrap_or_default(), line.get(at + 3..).unwrap_or_default());
                    let lines = first.iter().zip(second).zip(third.iter().zip(fourth));
                    for (sum, ((first, second), (third, fourth))) in sums.iter_mut().zip(lines) {
                        *sum += a * first + b * second + c * third + d * fourth;
                    }
                } else {
                    for (more, weight) in four.iter().enumerate() {
                        for (sum, value) in sums.iter_mut().zip(line.get(at + more..).unwrap_or_default()) {
                            *sum += weight * value;
                        }
                    }
                }
                at += four.len();
            }
        }
    }
    all
}

/// The sum of a window's values, and of their squares, at every place: row by row, so that no more than sums of columns are kept.
struct Windows<'a> {
    large: &'a Small,
    width: usize,
    height: usize,
    /// Rows that are in the sums, or were.
    rows: usize,
    /// Of each column of the window's rows: its values, and their squares.
    columns: Vec<(f64, f64)>,
}

impl<'a> Windows<'a> {
    /// Above the first row.
    fn new(large: &'a Small, width: usize, height: usize) -> Self {
        let mut this = Self { large, width, height, rows: 0, columns: vec![(0.0, 0.0); large.width] };
        for row in 0..height.saturating_sub(1) {
            this.add(row, 1.0);
        }
        this.rows = height.saturating_sub(1);
        this
    }

    /// One row further down.
    fn next_row(&mut self) {
        self.add(self.rows, 1.0);
        self.rows += 1;
        if let Some(above) = self.rows.checked_sub(self.height + 1) {
            self.add(above, -1.0);
        }
    }

    fn add(&mut self, row: usize, sign: f64) {
        let line = self.large.values.get(row * self.large.width..).unwrap_or_default();
        for ((sum, squares), value) in self.columns.iter_mut().zip(line) {
            let value = f64::from(*value);
            *sum += sign * value;
            *squares += sign * value * value;
        }
    }

    /// Of this row, from the left.
    fn sums(&self) -> impl Iterator<Item = (f32, f32)> {
        let add = |(sum, squares): (f64, f64), (more, square): &(f64, f64)| (sum + more, squares + square);
        let first = self.columns.iter().take(self.width.saturating_sub(1)).fold((0.0, 0.0), add);
        let (leaves, enters) = (&self.columns, self.columns.get(self.width.saturating_sub(1)..).unwrap_or_default());
        enters.iter().zip(leaves).scan(first, move |sums, (enters, leaves)| {
            let all = add(*sums, enters);
            *sums = (all.0 - leaves.0, all.1 - leaves.1);
            #[expect(clippy::cast_possible_truncation, reason = "a sum of shades has far fewer digits than it can have")]
            Some((all.0 as f32, all.1 as f32))
        })
    }
}

/// The best places, none beside a better one.
fn peaks(likeness: &[f32], columns: usize, apart_x: usize, apart_y: usize) -> Vec<(usize, usize)> {
    let best = likeness.iter().copied().fold(0.0, f32::max);
    let floor = (best * 0.5).max(LEAST);
    let mut candidates: Vec<(f32, usize)> =
        likeness.iter().enumerate().filter(|(_, like)| **like >= floor).map(|(place, like)| (*like, place)).collect();
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut peaks: Vec<(usize, usize)> = Vec::new();
    for (_, place) in candidates {
        let (x, y) = (place % columns, place / columns);
        if !peaks.iter().any(|(other_x, other_y)| x.abs_diff(*other_x) < apart_x && y.abs_diff(*other_y) < apart_y) {
            peaks.push((x, y));
            if peaks.len() == LOOKED_AT {
                break;
            }
        }
    }
    peaks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_windows_are_those_of_their_values() {
        let (width, height) = (13, 9);
        let values: Vec<f32> = (0..width * height).map(|at| ((at * 37) % 256) as f32).collect();
        let large = Small { width, height, values };
        for (wide, high) in [(1, 1), (4, 3), (13, 9), (1, 9), (13, 1)] {
            let mut windows = Windows::new(&large, wide, high);
            for y in 0..=height - high {
                windows.next_row();
                let expected = (0..=width - wide).map(|x| {
                    let inside = (y..y + high).flat_map(|row| large.values[row * width + x..][..wide].iter());
                    inside.fold((0.0, 0.0), |(sum, squares), value| (sum + value, squares + value * value))
                });
                assert_eq!(windows.sums().collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{wide}×{high} at row {y}");
            }
        }
    }
}

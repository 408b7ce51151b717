//! Finding the lines of a picture: a network says of each pixel how likely it belongs to the inner part of a line, and what hangs together
//! is one line.
//!
//! A picture is looked at tile by tile, so that a large one needs no more memory than a small one and can be given up in between; what is
//! of one shade is not looked at. The tiles overlap, and are put together before lines are made of them. Lines are upright boxes: text that
//! leans is no matter of screens.

use image::GrayImage;

use super::runtime::Network;

/// Pixels of a tile's side, without what it sees beyond. The network wants multiples of 32.
const TILE: (u32, u32) = (960, 544);
const BEYOND: u32 = 32;
const MULTIPLE: u32 = 32;

/// From which likelihood on a pixel belongs to a line, of 255, and how likely its pixels must be on average.
const PIXEL: u8 = 77;
const LINE: f64 = 0.55;
/// The network marks the inner part of a line: the box grows by its area through its outline, times this.
const GROWS: f64 = 1.6;
/// Pixels of a line at least, each way.
const LEAST: u32 = 3;
/// How much the shades of a tile must differ for it to hold a text.
const DIFFERS: u8 = 16;

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Line {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
}

/// How likely each pixel belongs to the inner part of a line.
struct Map {
    width: usize,
    height: usize,
    of: Vec<u8>,
}

/// The lines of a picture, from top to bottom. `over` is asked before each tile whether to go on.
pub(super) fn lines(
    picture: &GrayImage,
    background: u8,
    network: &mut Network,
    over: &dyn Fn() -> bool,
) -> Result<Option<Vec<Line>>, String> {
    let (width, height) = picture.dimensions();
    let mut map = Map { width: width as usize, height: height as usize, of: vec![0; width as usize * height as usize] };
    for (top, rows) in spans(height, TILE.1) {
        for (left, columns) in spans(width, TILE.0) {
            if over() {
                return Ok(None);
            }
            tile(picture, (left, top), (columns, rows), background, network, &mut map)?;
        }
    }
    Ok(Some(map.lines()))
}

/// Parts of about the same length, none longer than `most`.
fn spans(length: u32, most: u32) -> Vec<(u32, u32)> {
    let parts = length.div_ceil(most).max(1);
    let each = length.div_ceil(parts);
    (0..parts).map(|part| (part * each, each.min(length.saturating_sub(part * each)))).filter(|(_, length)| *length > 0).collect()
}

fn tile(
    picture: &GrayImage,
    (left, top): (u32, u32),
    (columns, rows): (u32, u32),
    background: u8,
    network: &mut Network,
    map: &mut Map,
) -> Result<(), String> {
    let side = |length: u32| (length + 2 * BEYOND).next_multiple_of(MULTIPLE);
    let (wide, high) = (side(columns) as usize, side(rows) as usize);
    let mut seen = vec![background; wide * high];
    for (y, row) in seen.chunks_exact_mut(wide).enumerate() {
        // Its own row of the picture, where there is one.
        let Some(from) = (top + y as u32).checked_sub(BEYOND).filter(|y| *y < picture.height()) else { continue };
        let line = picture.as_raw().get(from as usize * map.width..).and_then(|rest| rest.get(..map.width)).unwrap_or_default();
        let (skipped, first) = if left >= BEYOND { (0, (left - BEYOND) as usize) } else { ((BEYOND - left) as usize, 0) };
        let there = line.get(first..).unwrap_or_default();
        row.iter_mut().skip(skipped).zip(there).for_each(|(to, shade)| *to = *shade);
    }
    let (least, most) = seen.iter().fold((u8::MAX, 0), |(least, most), shade| (least.min(*shade), most.max(*shade)));
    if most - least < DIFFERS {
        return Ok(());
    }
    // Grey is red, green and blue alike; the network was taught with shades from -1 to 1.
    let plane: Vec<f32> = seen.iter().map(|shade| f32::from(*shade) / 127.5 - 1.0).collect();
    let input = plane.repeat(3);
    network.run([1, 3, high, wide], &input, |shape, likely| {
        if shape != [1, 1, high, wide] {
            return Err(format!("the network that finds lines gave {shape:?} for a tile of {wide}×{high}"));
        }
        for (y, row) in likely.chunks_exact(wide).skip(BEYOND as usize).take(rows as usize).enumerate() {
            let start = (top as usize + y) * map.width + left as usize;
            let own = map.of.get_mut(start..start + columns as usize).unwrap_or_default();
            own.iter_mut().zip(row.iter().skip(BEYOND as usize)).for_each(|(to, likely)| *to = (likely * 255.0) as u8);
        }
        Ok(())
    })?
}

impl Map {
    /// What hangs together, as boxes around the whole of each line.
    fn lines(mut self) -> Vec<Line> {
        let mut lines = Vec::new();
        let mut waiting: Vec<usize> = Vec::new();
        for start in 0..self.of.len() {
            if self.of[start] < PIXEL {
                continue;
            }
            let (mut left, mut right, mut top, mut bottom) = (usize::MAX, 0, usize::MAX, 0);
            let (mut count, mut sum) = (0_u64, 0_u64);
            sum += u64::from(std::mem::take(&mut self.of[start]));
            waiting.push(start);
            while let Some(at) = waiting.pop() {
                let (x, y) = (at % self.width, at / self.width);
                (left, right, top, bottom) = (left.min(x), right.max(x), top.min(y), bottom.max(y));
                count += 1;
                for beside in self.around(x, y) {
                    if self.of[beside] >= PIXEL {
                        sum += u64::from(std::mem::take(&mut self.of[beside]));
                        waiting.push(beside);
                    }
                }
            }
            let sure = sum as f64 / count as f64 / 255.0;
            if sure >= LINE {
                lines.extend(self.grown(left, top, right + 1 - left, bottom + 1 - top));
            }
        }
        lines
    }

    /// The places around one, corners included.
    fn around(&self, x: usize, y: usize) -> impl Iterator<Item = usize> + use<> {
        let (width, height) = (self.width, self.height);
        let rows = y.saturating_sub(1)..=(y + 1).min(height - 1);
        rows.flat_map(move |y| (x.saturating_sub(1)..=(x + 1).min(width - 1)).map(move |x| y * width + x))
    }

    /// The box of a line whose inner part is this.
    fn grown(&self, x: usize, y: usize, width: usize, height: usize) -> Option<Line> {
        let (w, h) = (width as f64, height as f64);
        let by = (w * h * GROWS / (2.0 * (w + h))).round() as usize;
        let (left, top) = (x.saturating_sub(by), y.saturating_sub(by));
        let (right, bottom) = ((x + width + by).min(self.width), (y + height + by).min(self.height));
        let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let line = Line { x: side(left), y: side(top), width: side(right - left), height: side(bottom - top) };
        (line.width > LEAST && line.height > LEAST).then_some(line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(rows: &[&str]) -> Map {
        let of = rows
            .concat()
            .bytes()
            .map(|byte| {
                if byte == b'#' {
                    250
                } else if byte == b'+' {
                    90
                } else {
                    0
                }
            })
            .collect();
        Map { width: rows[0].len(), height: rows.len(), of }
    }

    #[test]
    fn what_hangs_together_is_one_line_and_grows_to_its_whole_height() {
        let lines = map(&[
            "..........",
            "..######..",
            "..######..",
            "..........",
            "..........",
            "..........",
            "#.........",
            ".#########",
            "..........",
        ])
        .lines();
        assert_eq!(lines.len(), 2, "{lines:?}");
        // 6×2: grows by 12 × 1.6 / 16 = 1.2.
        assert_eq!(lines[0], Line { x: 1, y: 0, width: 8, height: 4 });
        // It hangs together over a corner, and stays in the picture.
        assert_eq!((lines[1].x, lines[1].width, lines[1].y + lines[1].height), (0, 10, 9));
    }

    #[test]
    fn what_is_hardly_likely_is_no_line() {
        assert_eq!(map(&["++++++", "++++++", "++++++"]).lines(), []);
    }

    #[test]
    fn parts_cover_all_and_none_is_longer_than_it_may_be() {
        assert_eq!(spans(400, 960), [(0, 400)]);
        assert_eq!(spans(1920, 960), [(0, 960), (960, 960)]);
        for length in [1, 959, 961, 5000] {
            let parts = spans(length, 960);
            assert!(parts.iter().all(|(_, part)| *part <= 960 && *part > 0));
            assert_eq!(parts.iter().map(|(_, part)| part).sum::<u32>(), length);
        }
    }
}

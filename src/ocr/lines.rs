//! Where lines of text stand in a picture of a screen.
//!
//! A screen is drawn, not photographed: letters have sharp sides on an even ground, whatever is around them. So what changes from one pixel to
//! the next in a row is ink; what of it hangs together, nearly, is a word; and words side by side are a line. Frames, rules and the edges of
//! buttons are ink as well, but high and thin ([`Posts`]). What is none of that, such as a photograph, is a block: looking closer is left to Tesseract.

use image::GrayImage;

use super::posts::Posts;

/// What is read by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Area {
    pub(super) x: u32,
    pub(super) y: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    /// One line, and not a block that is laid out somehow.
    pub(super) line: bool,
}

/// Shades by which pixels side by side differ where there is ink: below are shadows, and what a camera's compression leaves behind.
const INK: u8 = 20;
/// Pixels between two letters of a word, at most.
const LETTERS_APART: u32 = 4;
/// Pixels of height between which a thing says how high text is in this picture.
const LETTERS: std::ops::RangeInclusive<u32> = 5..=64;
/// How high text is where nothing says it.
const USUAL: u32 = 10;
/// Pixels of height of one line, at most.
const HIGHEST: u32 = 160;
/// What is at most so wide and higher than this, and than 1.6 times the text, is a frame.
const THIN: u32 = 4;
const FRAME: u32 = 12;
/// Pixels of height of touching lines that are cut apart, at most.
const TOUCHING: u32 = 600;
/// How far apart words of a line stand, at most, in heights of it.
const WORDS_APART: f64 = 1.3;
/// What has at least this share of ink in its box, and is too high for a line, is a block.
const DENSE: f64 = 0.15;
/// Things in one picture at most: what has more is no text.
const MOST: usize = 10_000;

/// A box, right and bottom excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bounds {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

/// A thing that hangs together.
#[derive(Debug, Clone, Copy)]
struct Thing {
    bounds: Bounds,
    /// Pixels of ink.
    ink: u64,
}

/// The lines of a picture in reading order: in rows from the top, each from the left; and the posts that stand among them. Nothing found is one
/// block, the whole of it.
pub(super) fn find(picture: &GrayImage) -> (Vec<Vec<Area>>, Posts) {
    let whole = vec![vec![Area { x: 0, y: 0, width: picture.width(), height: picture.height(), line: false }]];
    let mut ink = Ink::of(picture);
    let Some(things) = ink.things() else { return (whole, Posts::default()) };
    let mut posts = Posts::taken(picture, &mut ink.of, usual_height(&things));
    let Some(things) = ink.things() else { return (whole, Posts::default()) };
    let usual = usual_height(&things);
    let (mut words, mut blocks, mut boxes) = (Vec::new(), Vec::new(), Vec::new());
    let mut parts: Vec<(Thing, Bounds)> = Vec::with_capacity(things.len());
    for thing in things {
        let own = match ink.beside_box(picture, thing.bounds, usual) {
            Some((filled, beside)) => {
                boxes.push(filled.area(false));
                beside
            }
            None => vec![thing.bounds],
        };
        parts.extend(own.into_iter().map(|part| (thing, part)));
    }
    for (thing, bounds) in parts {
        let (width, height) = (bounds.width(), bounds.height());
        if width <= THIN && height > FRAME && 10 * height > 16 * usual {
            continue;
        }
        if let Some(rows) = ink.rows(bounds, usual) {
            words.extend(rows);
        } else if height <= HIGHEST {
            words.push(bounds);
        } else if thing.ink as f64 >= DENSE * f64::from(width) * f64::from(height) {
            blocks.push(bounds);
        }
    }
    let within_block = |word: &Bounds| blocks.iter().any(|block| block.holds(word));
    words.retain(|word| !within_block(word));
    let mut lines = joined(words, usual, &posts);
    // A stroke that stands alone, higher than text, is where one would write; so is a box that is filled.
    let caret = |line: &Bounds| line.width() <= THIN && 10 * line.height() > 12 * usual;
    lines.retain(|line| line.height() >= 5 && line.width() >= 3 && !caret(line));
    boxes.extend(lines.extract_if(.., |line| line.filled(picture)).map(|filled| filled.area(false)));
    posts.add(&boxes);
    let mut areas: Vec<Area> = lines.iter().map(|line| line.area(true)).collect();
    areas.extend(blocks.iter().map(|block| block.area(false)));
    (if areas.is_empty() { whole } else { in_rows(areas) }, posts)
}

/// Areas in rows from the top, each from the left. One is in a row where its middle lies within that row's first one.
fn in_rows(mut areas: Vec<Area>) -> Vec<Vec<Area>> {
    let middle = |area: &Area| 2 * area.y + area.height;
    areas.sort_by_key(|area| (middle(area), area.x));
    let mut rows: Vec<Vec<Area>> = Vec::new();
    for area in areas {
        let belongs = |row: &Vec<Area>| row.first().is_some_and(|first| middle(&area) < 2 * (first.y + first.height.min(2 * area.height)));
        match rows.last_mut() {
            Some(row) if belongs(row) && area.line => row.push(area),
            _ => rows.push(vec![area]),
        }
    }
    rows.iter_mut().for_each(|row| row.sort_by_key(|area| area.x));
    rows
}

/// How high most things are that may be words.
fn usual_height(things: &[Thing]) -> u32 {
    let likely = things.iter().filter(|thing| thing.bounds.width() >= 4 && LETTERS.contains(&thing.bounds.height()));
    let mut heights: Vec<u32> = likely.map(|thing| thing.bounds.height()).collect();
    heights.sort_unstable();
    heights.get(heights.len() / 2).copied().unwrap_or(USUAL)
}

/// Words that stand side by side are a line, unless a post stands between them.
fn joined(mut words: Vec<Bounds>, usual: u32, posts: &Posts) -> Vec<Bounds> {
    // A point or a stroke goes with anything; what is as high as text only with its like.
    let alike = |one: u32, other: u32| 10 * one.min(other) < 6 * usual || 10 * one.max(other) <= 18 * one.min(other);
    let apart = |one: &Bounds, other: &Bounds| {
        let between = (one.right.min(other.right), one.left.max(other.left));
        posts.between(between, (one.top.max(other.top), one.bottom.min(other.bottom)))
    };
    words.sort_by_key(|word| (word.left, word.top, word.right));
    let mut lines: Vec<Bounds> = Vec::new();
    for word in words {
        let high = word.height();
        let fits = |line: &Bounds| {
            let gap = i64::from(word.left) - i64::from(line.right);
            let reach = f64::from(high.max(line.height()).max(8)) * WORDS_APART;
            let near = line.beside(&word) && alike(high, line.height()) && gap as f64 <= reach;
            (near && !apart(line, &word)).then_some(gap)
        };
        let nearest = lines.iter().enumerate().filter_map(|(place, line)| Some((fits(line)?, place))).min();
        match nearest.and_then(|(_, place)| lines.get_mut(place)) {
            Some(line) => *line = line.with(&word),
            None => lines.push(word),
        }
    }
    // Two that began apart may have grown into one.
    let same = |one: &Bounds, other: &Bounds| {
        let high = one.height().max(other.height());
        let gap = i64::from(one.left.max(other.left)) - i64::from(one.right.min(other.right));
        !apart(one, other)
            && one.beside(other)
            && gap <= i64::from(high)
            && 2 * one.with(other).height() <= 3 * high
            && alike(one.height(), other.height())
    };
    let mut settled: Vec<Bounds> = Vec::new();
    for mut line in lines {
        while let Some(place) = settled.iter().position(|other| same(&line, other)) {
            line = line.with(&settled.swap_remove(place));
        }
        settled.push(line);
    }
    settled
}

/// Which pixels of a picture are ink.
struct Ink {
    width: usize,
    of: Vec<bool>,
}

/// A run of ink in a row, gaps between letters included.
struct Run {
    left: usize,
    right: usize,
    ink: u64,
    thing: usize,
}

impl Ink {
    fn of(picture: &GrayImage) -> Self {
        let width = picture.width() as usize;
        let mut of = vec![false; picture.as_raw().len()];
        for (row, ink) in picture.as_raw().chunks_exact(width).zip(of.chunks_exact_mut(width)) {
            for (place, pair) in row.windows(2).enumerate() {
                if pair[0].abs_diff(pair[1]) > INK {
                    ink[place] = true;
                    ink[place + 1] = true;
                }
            }
        }
        Self { width, of }
    }

    /// What hangs together; nothing where that is too much to be text.
    fn things(&self) -> Option<Vec<Thing>> {
        let apart = LETTERS_APART as usize;
        let mut found: Vec<Thing> = Vec::new();
        // Which thing one has become part of.
        let mut part_of: Vec<usize> = Vec::new();
        let mut above: Vec<Run> = Vec::new();
        for (y, row) in self.of.chunks_exact(self.width).enumerate() {
            let mut runs: Vec<Run> = Vec::new();
            for x in row.iter().enumerate().filter_map(|(x, ink)| ink.then_some(x)) {
                match runs.last_mut() {
                    Some(run) if x <= run.right + apart => (run.right, run.ink) = (x + 1, run.ink + 1),
                    _ => runs.push(Run { left: x, right: x + 1, ink: 1, thing: usize::MAX }),
                }
            }
            let mut first = 0;
            for run in &mut runs {
                let (left, right, top) = (side(run.left), side(run.right), side(y));
                let mut own = Thing { bounds: Bounds { left, top, right, bottom: top + 1 }, ink: run.ink };
                while above.get(first).is_some_and(|before| before.right + apart <= run.left) {
                    first += 1;
                }
                for before in above.get(first..).unwrap_or_default() {
                    if before.left >= run.right + apart {
                        break;
                    }
                    let root = root(&mut part_of, before.thing);
                    if run.thing == usize::MAX {
                        run.thing = root;
                    } else if run.thing != root {
                        // The later one becomes part of the earlier.
                        let (one, other) = (run.thing.min(root), run.thing.max(root));
                        let more = found.get(other).copied()?;
                        found.get_mut(one)?.add(&more);
                        *part_of.get_mut(other)? = one;
                        run.thing = one;
                    }
                }
                if run.thing == usize::MAX {
                    run.thing = found.len();
                    found.push(own);
                    part_of.push(run.thing);
                } else {
                    std::mem::swap(&mut own, found.get_mut(run.thing)?);
                    found.get_mut(run.thing)?.add(&own);
                }
            }
            above = runs;
        }
        let whole: Vec<Thing> =
            found.iter().zip(&part_of).enumerate().filter(|(place, (_, of))| place == *of).map(|(_, (thing, _))| *thing).collect();
        (whole.len() <= MOST).then_some(whole)
    }

    /// A filled box, and what of a thing it touches: a terminal's cursor stands right below a letter, or above one. Its rows are all alike.
    fn beside_box(&self, picture: &GrayImage, bounds: Bounds, usual: u32) -> Option<(Bounds, Vec<Bounds>)> {
        let as_text = |height: u32| 6 * usual <= 10 * height && 10 * height <= 18 * usual;
        // The longest stretch of such rows.
        let (mut top, mut longest) = (bounds.top, (bounds.top, bounds.top));
        for y in bounds.top + 1..=bounds.bottom {
            if y == bounds.bottom || self.row(bounds, y) != self.row(bounds, top) {
                if y - top > longest.1 - longest.0 {
                    longest = (top, y);
                }
                top = y;
            }
        }
        let (above, below) = (Bounds { bottom: longest.0, ..bounds }, Bounds { top: longest.1, ..bounds });
        let parts: Vec<Bounds> = [above, below].into_iter().filter(|part| part.height() > 0).collect();
        let filled = self.inked(Bounds { top: longest.0, bottom: longest.1, ..bounds })?;
        let is_box = as_text(filled.height()) && 5 * filled.width() >= 2 * filled.height() && filled.filled(picture);
        let beside = !parts.is_empty() && parts.iter().all(|part| 6 * usual <= 10 * part.height());
        (is_box && beside).then(|| (filled, parts.into_iter().filter_map(|part| self.inked(part)).collect()))
    }

    /// As much of some rows as has ink.
    fn inked(&self, rows: Bounds) -> Option<Bounds> {
        let inked = |x: &u32| (rows.top..rows.bottom).any(|y| self.row(rows, y).get((x - rows.left) as usize) == Some(&true));
        let (left, right) = ((rows.left..rows.right).find(inked)?, (rows.left..rows.right).rev().find(inked)?);
        Some(Bounds { left, right: right + 1, ..rows })
    }

    /// The lines of which a thing consists, where letters of one touch those of the next: between them there is hardly any ink.
    fn rows(&self, bounds: Bounds, usual: u32) -> Option<Vec<Bounds>> {
        let (high, usual) = (f64::from(bounds.height()), f64::from(usual));
        let count = ((high - usual) / (1.25 * usual)).round() + 1.0;
        if count < 2.0 || bounds.width() < 6 || bounds.height() > TOUCHING {
            return None;
        }
        let inked: Vec<u32> = (bounds.top..bounds.bottom).map(|y| side(self.row(bounds, y).iter().filter(|ink| **ink).count())).collect();
        let mut cuts = vec![0];
        for number in 1..count as u32 {
            let (about, around) = (high * f64::from(number) / count, 0.3 * high / count);
            let from = (about - around).max(f64::from(cuts.last().copied().unwrap_or_default()) + 3.0) as usize;
            let to = (about + around).min(high - 3.0) as usize + 1;
            let least = inked.get(from..to)?.iter().enumerate().min_by_key(|(_, ink)| **ink)?;
            cuts.push(side(from + least.0));
        }
        cuts.push(bounds.height());
        let ranges: Vec<(u32, u32)> = cuts.iter().copied().zip(cuts.iter().copied().skip(1)).collect();
        let mean = |(from, to): (u32, u32)| {
            let rows = inked.get(from as usize..to as usize).unwrap_or_default();
            f64::from(rows.iter().sum::<u32>()) / f64::from((to - from).max(1))
        };
        let apart = ranges.windows(2).all(|pair| {
            let between = inked.get(pair[0].1 as usize).copied().unwrap_or_default();
            f64::from(between) <= 0.4 * mean(pair[0]).min(mean(pair[1]))
        });
        let part = |(from, to): (u32, u32)| self.inked(Bounds { top: bounds.top + from, bottom: bounds.top + to, ..bounds });
        apart.then(|| ranges.into_iter().filter_map(part).collect())
    }

    fn row(&self, bounds: Bounds, y: u32) -> &[bool] {
        let start = y as usize * self.width;
        self.of.get(start + bounds.left as usize..start + bounds.right as usize).unwrap_or_default()
    }
}

/// What a thing has become part of in the end.
fn root(part_of: &mut [usize], thing: usize) -> usize {
    let mut at = thing;
    while let Some(next) = part_of.get(at).copied().filter(|next| *next != at) {
        // Half the way for the next one who asks.
        let beyond = part_of.get(next).copied().unwrap_or(next);
        if let Some(place) = part_of.get_mut(at) {
            *place = beyond;
        }
        at = next;
    }
    at
}

fn side(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

impl Thing {
    fn add(&mut self, other: &Self) {
        self.bounds = self.bounds.with(&other.bounds);
        self.ink += other.ink;
    }
}

impl Bounds {
    fn width(&self) -> u32 {
        self.right - self.left
    }

    fn height(&self) -> u32 {
        self.bottom - self.top
    }

    /// The least box around both.
    fn with(&self, other: &Self) -> Self {
        let (left, top) = (self.left.min(other.left), self.top.min(other.top));
        Self { left, top, right: self.right.max(other.right), bottom: self.bottom.max(other.bottom) }
    }

    /// Whether the lower of both stands by half of it, at least, on the height of the other.
    fn beside(&self, other: &Self) -> bool {
        let common = i64::from(self.bottom.min(other.bottom)) - i64::from(self.top.max(other.top));
        2 * common >= i64::from(self.height().min(other.height()))
    }

    fn holds(&self, other: &Self) -> bool {
        let (x, y) = (other.left.midpoint(other.right), other.top.midpoint(other.bottom));
        (self.left..self.right).contains(&x) && (self.top..self.bottom).contains(&y)
    }

    /// Whether it is of one shade, and another than what it stands on; a stroke may be that as well.
    fn filled(&self, picture: &GrayImage) -> bool {
        if self.width() < 7 || self.height() < 7 || 3 * self.width() < self.height() {
            return false;
        }
        let shade = |x: u32, y: u32| picture.get_pixel(x, y).0[0];
        let (x, y) = (self.left + 2, self.top + 2);
        let first = shade(x, y);
        let like = |shade: u8| shade.abs_diff(first) <= INK;
        // A pixel of what it stands on is ink as well, on one side at least.
        let other = !like(shade(self.left, y)) || !like(shade(self.right - 1, y));
        other && (x..self.right - 2).all(|x| (y..self.bottom - 2).all(|y| like(shade(x, y))))
    }

    fn area(&self, line: bool) -> Area {
        Area { x: self.left, y: self.top, width: self.width(), height: self.height(), line }
    }
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;

    const PAPER: u8 = 240;

    fn paper(width: u32, height: u32) -> GrayImage {
        GrayImage::from_pixel(width, height, Luma([PAPER]))
    }

    /// Letters like fences: strokes of two pixels, two apart.
    fn word(picture: &mut GrayImage, (x, y): (u32, u32), letters: u32, high: u32) {
        for stroke in 0..letters {
            for (dx, dy) in (0..2).flat_map(|dx| (0..high).map(move |dy| (dx, dy))) {
                picture.put_pixel(x + 4 * stroke + dx, y + dy, Luma([20]));
            }
        }
    }

    fn boxes(picture: &GrayImage) -> Vec<(u32, u32, u32, u32)> {
        find(picture).0.iter().flatten().filter(|area| area.line).map(|area| (area.x, area.y, area.width, area.height)).collect()
    }

    #[test]
    fn words_side_by_side_are_one_line_and_columns_are_not() {
        let mut picture = paper(300, 60);
        word(&mut picture, (10, 10), 8, 10);
        word(&mut picture, (50, 12), 8, 8);
        word(&mut picture, (180, 11), 8, 10);
        word(&mut picture, (10, 30), 8, 10);
        // A pixel beside a stroke is ink as well.
        assert_eq!(boxes(&picture), [(9, 10, 72, 10), (179, 11, 32, 10), (9, 30, 32, 10)]);
    }

    #[test]
    fn frames_and_rules_are_no_text() {
        let mut picture = paper(300, 60);
        word(&mut picture, (20, 20), 10, 10);
        for y in 10..40 {
            picture.put_pixel(10, y, Luma([90]));
            picture.put_pixel(290, y, Luma([90]));
        }
        for x in 10..290 {
            picture.put_pixel(x, 10, Luma([90]));
            picture.put_pixel(x, 40, Luma([90]));
        }
        let lines = boxes(&picture);
        assert!(lines.iter().all(|line| line.0 >= 19 && line.0 + line.2 <= 62 || line.3 < 5), "{lines:?}");
        assert!(lines.contains(&(19, 20, 40, 10)), "{lines:?}");
    }

    #[test]
    fn lines_whose_letters_touch_are_cut_apart() {
        let mut picture = paper(300, 120);
        for row in 0..3 {
            word(&mut picture, (10, 70 + 14 * row), 12, 10);
        }
        word(&mut picture, (10, 10), 12, 10);
        word(&mut picture, (10, 24), 12, 10);
        // A letter that reaches down to the next line.
        word(&mut picture, (30, 10), 1, 20);
        assert_eq!(boxes(&picture).iter().map(|line| line.0).collect::<Vec<_>>(), [9; 5]);
    }

    #[test]
    fn a_cursor_that_touches_a_letter_is_no_part_of_its_line() {
        let mut picture = paper(300, 120);
        for y in [10, 34, 80] {
            word(&mut picture, (10, y), 12, 10);
            word(&mut picture, (100, y), 12, 10);
            word(&mut picture, (200, y), 12, 10);
        }
        // Below a letter that reaches down to it and above another, and below the last one.
        word(&mut picture, (14, 10), 1, 12);
        word(&mut picture, (14, 80), 1, 12);
        for (x, y) in (10..17).flat_map(|x| (22..34).chain(92..104).map(move |y| (x, y))) {
            picture.put_pixel(x, y, Luma([20]));
        }
        let first: Vec<_> = boxes(&picture).into_iter().filter(|line| line.0 < 60).collect();
        assert_eq!(first, [(9, 10, 48, 12), (9, 34, 48, 10), (9, 80, 48, 12)]);
        assert_eq!(boxes(&picture).len(), 9);
    }

    #[test]
    fn a_photograph_is_a_block_and_nothing_is_everything() {
        let mut picture = paper(400, 300);
        word(&mut picture, (10, 10), 20, 10);
        for (x, y) in (100..380).flat_map(|x| (60..280).map(move |y| (x, y))) {
            picture.put_pixel(x, y, Luma([((x * 7919 + y * 104_729) % 251) as u8]));
        }
        let areas = find(&picture).0.concat();
        assert_eq!(areas.iter().map(|area| area.line).collect::<Vec<_>>(), [true, false], "{areas:?}");
        assert!(areas[1].width >= 270 && areas[1].height >= 210);
        let whole = Area { x: 0, y: 0, width: 40, height: 30, line: false };
        assert_eq!(find(&paper(40, 30)).0, [[whole]]);
        assert_eq!(find(&paper(1, 1)).0.len(), 1);
    }
}

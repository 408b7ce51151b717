//! From lines that were read to words with boxes, in reading order.

use image::GrayImage;

use super::super::Word;
use super::super::prepare::{Prepared, median};
use super::detect::Line;
use super::recognise::{Character, Read};

/// How a line's strip was turned before it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Turn {
    /// Not at all.
    #[default]
    Upright,
    /// By 180°.
    Half,
    /// By 90°, whichever way: its words have the line's whole box.
    Quarter,
}

/// A line and what it says.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    pub(super) line: Line,
    pub(super) read: Read,
    pub(super) turn: Turn,
    /// Pixels of the picture for one of the strip, and how wide the strip was.
    pub(super) scale: f64,
    pub(super) width: f64,
}

/// Lines that are read with less confidence are no lines.
const SURE: f64 = 0.5;
/// How much a shade must differ from the background to be ink, of the most that any does.
const INK: f64 = 0.4;

impl Found {
    /// How sure its characters are on average; 0 without any.
    pub(super) fn sure(&self) -> f64 {
        let own: Vec<f64> = self.read.iter().filter(|one| one.text != " ").map(|one| one.sure).collect();
        if own.is_empty() { 0.0 } else { own.iter().sum::<f64>() / own.len() as f64 }
    }

    /// Its words: the characters and the box of each.
    fn words(&self, picture: &GrayImage) -> Vec<(String, f64, Line)> {
        let parts = self.read.split(|one| one.text.trim().is_empty()).filter(|part| !part.is_empty());
        parts
            .map(|part| {
                let text: String = part.iter().map(|one| one.text.as_str()).collect();
                let sure = part.iter().map(|one| one.sure).sum::<f64>() / part.len() as f64;
                (text, sure, tightened(picture, self.part(part)))
            })
            .collect()
    }

    /// Where some of its characters stand. A column of the network's answer says about where a character's middle is: half the way to the
    /// next one belongs to it.
    fn part(&self, part: &[Character]) -> Line {
        let (Some(first), Some(last)) = (part.first(), part.last()) else { return self.line };
        if self.turn == Turn::Quarter {
            return self.line;
        }
        let apart = if part.len() > 1 { (last.x - first.x) / (part.len() - 1) as f64 } else { 24.0 };
        let (mut from, mut to) = ((first.x - apart * 0.6).max(0.0), (last.x + apart * 0.6).min(self.width));
        if self.turn == Turn::Half {
            (from, to) = (self.width - to, self.width - from);
        }
        let (from, to) = ((from * self.scale).floor() as u32, (to * self.scale).ceil() as u32);
        let from = from.min(self.line.width.saturating_sub(1));
        Line { x: self.line.x + from, width: to.clamp(from + 1, self.line.width.max(1)) - from, ..self.line }
    }
}

/// What of a box has ink in it; all of it where nothing has.
pub(super) fn tightened(picture: &GrayImage, line: Line) -> Line {
    let part = image::imageops::crop_imm(picture, line.x, line.y, line.width, line.height).to_image();
    let background = i32::from(median(&part));
    let apart = |shade: u8| (i32::from(shade) - background).unsigned_abs();
    let most = part.iter().map(|shade| apart(*shade)).max().unwrap_or_default();
    let least = (f64::from(most) * INK).max(12.0) as u32;
    let ink = part.enumerate_pixels().filter(|(_, _, pixel)| apart(pixel.0[0]) > least);
    let found = ink.fold(None, |found: Option<[u32; 4]>, (x, y, _)| {
        let [left, top, right, bottom] = found.unwrap_or([x, y, x, y]);
        Some([left.min(x), top.min(y), right.max(x), bottom.max(y)])
    });
    found.map_or(line, |[left, top, right, bottom]| Line {
        x: line.x + left,
        y: line.y + top,
        width: right + 1 - left,
        height: bottom + 1 - top,
    })
}

/// Lines in rows from the top, each from the left: what stands on the same height is one row.
fn rows(mut found: Vec<Found>) -> Vec<Vec<Found>> {
    let middle = |found: &Found| 2 * found.line.y + found.line.height;
    found.sort_by_key(|found| (middle(found), found.line.x));
    let mut rows: Vec<Vec<Found>> = Vec::new();
    for one in found {
        let beside = rows.last().and_then(|row| row.last()).is_some_and(|before| {
            let (a, b) = (before.line, one.line);
            let shared = (a.y + a.height).min(b.y + b.height).saturating_sub(a.y.max(b.y));
            2 * shared > a.height.min(b.height)
        });
        match rows.last_mut() {
            Some(row) if beside => row.push(one),
            _ => rows.push(vec![one]),
        }
    }
    rows.iter_mut().for_each(|row| row.sort_by_key(|found| found.line.x));
    rows
}

/// The text, its mean confidence, the words.
pub(super) fn assembled(found: Vec<Found>, picture: &Prepared<'_>) -> (String, f64, Vec<Word>) {
    let mut words: Vec<Word> = Vec::new();
    let mut lines: Vec<String> = Vec::new();
    for row in rows(found.into_iter().filter(|found| found.sure() >= SURE).collect()) {
        let number = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        let of_row: Vec<Word> = row
            .iter()
            .flat_map(|found| found.words(&picture.image))
            .map(|(text, confidence, at)| {
                let (x, y, width, height) = picture.back(at.x, at.y, at.width, at.height);
                Word { text, confidence, x, y, width, height, line: number }
            })
            .collect();
        if !of_row.is_empty() {
            lines.push(of_row.iter().map(|word| word.text.as_str()).collect::<Vec<_>>().join(" "));
            words.extend(of_row);
        }
    }
    let confidence = if words.is_empty() { 0.0 } else { words.iter().map(|word| word.confidence).sum::<f64>() / words.len() as f64 };
    (lines.join("\n"), confidence, words)
}

#[cfg(test)]
mod tests {
    use super::super::super::{Preprocess, prepare};
    use super::*;

    fn found(text: &str, x: u32, y: u32) -> Found {
        let read =
            text.chars().enumerate().map(|(place, one)| Character { text: one.to_string(), sure: 0.9, x: place as f64 * 20.0 + 10.0 });
        let width = text.len() as u32 * 10;
        Found {
            line: Line { x, y, width, height: 20 },
            read: read.collect(),
            turn: Turn::Upright,
            scale: 0.5,
            width: f64::from(width) * 2.0,
        }
    }

    #[test]
    fn what_stands_on_one_height_is_one_line_from_the_left() {
        let picture = GrayImage::from_pixel(600, 200, image::Luma([255]));
        let ready = prepare::prepared(&picture, &Preprocess::None, &[]);
        let mut faint = found("ghost", 10, 150);
        faint.read.iter_mut().for_each(|one| one.sure = 0.3);
        let (text, confidence, words) =
            assembled(vec![found("right", 300, 12), found("below it", 20, 60), found("left", 20, 16), faint], &ready);
        assert_eq!(text, "left right\nbelow it");
        assert!((confidence - 0.9).abs() < 1e-9);
        assert_eq!(words.iter().map(|word| word.line).collect::<Vec<_>>(), [0, 0, 1, 1]);
        assert_eq!((words[2].x, words[3].x, words[3].width), (20, 79, 21));
    }

    #[test]
    fn a_word_has_the_box_of_its_ink() {
        let mut picture = GrayImage::from_pixel(100, 40, image::Luma([30]));
        (20..30).for_each(|x| (10..18).for_each(|y| picture.put_pixel(x, y, image::Luma([200]))));
        let all = Line { x: 5, y: 2, width: 90, height: 36 };
        assert_eq!(tightened(&picture, all), Line { x: 20, y: 10, width: 10, height: 8 });
        let none = Line { x: 50, y: 2, width: 30, height: 30 };
        assert_eq!(tightened(&picture, none), none);
    }

    #[test]
    fn a_line_that_was_turned_counts_from_the_other_end() {
        let half = Found { turn: Turn::Half, ..found("ab cd", 100, 0) };
        let parts: Vec<&[Character]> = half.read.split(|one| one.text == " ").collect();
        assert!(half.part(parts[0]).x > half.part(parts[1]).x);
        let quarter = Found { turn: Turn::Quarter, ..half.clone() };
        assert_eq!(quarter.part(&quarter.read[..2]), quarter.line);
    }
}

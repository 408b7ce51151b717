//! Rules and the sides of frames, boxes and buttons: they stand close to letters, look like some, and are none.

use image::{GrayImage, Luma};

use super::lines::Area;
use super::prepare;

/// So many pixels of ink on end, and twice the text's height, are a rule, which may touch letters.
const HIGH: u32 = 24;
/// Pixels beside it that are ground in most rows.
const AWAY: u32 = 8;
/// So many pixels on end may be the side of a box: one that is this many times as wide as high, which a letter is not.
const SIDE: u32 = 16;
const WIDER: f64 = 1.5;
/// Pixels that a box's corner takes across and down where it is round.
const CORNER: u32 = 7;
/// Shades by which a box's edge differs from what is above or below, at least, and from itself, at most.
const EDGE: u8 = 20;
const EVEN: u8 = 12;

/// A column of ink, its end excluded.
#[derive(Debug, Clone, Copy)]
struct Post {
    x: u32,
    top: u32,
    bottom: u32,
}

/// The posts of a picture, from the left.
#[derive(Debug, Default)]
pub(super) struct Posts(Vec<Post>);

impl Posts {
    /// Takes the posts out of a picture's ink, whose text is usually that high.
    pub(super) fn taken(picture: &GrayImage, ink: &mut [bool], usual: u32) -> Self {
        let (width, height) = picture.dimensions();
        let at = |x: u32, y: u32| y as usize * width as usize + x as usize;
        let most = (2 * usual).max(HIGH);
        let mut posts = Vec::new();
        for x in 0..width {
            let mut top = 0;
            for y in 0..=height {
                let inked = |x: u32, y: u32| x < width && y < height && ink.get(at(x, y)) == Some(&true);
                // A terminal's rows may leave one between the parts of a rule.
                if inked(x, y) || y > top && inked(x, y + 1) {
                    continue;
                }
                let post = Post { x, top, bottom: y };
                // Letters touch it in some rows; a photograph is ink all over.
                let beside = |y: &u32| x.checked_sub(AWAY).is_some_and(|left| inked(left, *y)) || inked(x + AWAY, *y);
                let free = || 2 * (top..y).filter(beside).count() < post.height() as usize;
                if post.height() > most && free() || post.height() >= SIDE && post.of_box(picture) {
                    posts.push(post);
                    (top..y).for_each(|y| ink.get_mut(at(x, y)).into_iter().for_each(|ink| *ink = false));
                }
                top = y + 1;
            }
        }
        Self(posts)
    }

    /// Adds filled boxes, such as a terminal's cursor: each is its columns.
    pub(super) fn add(&mut self, boxes: &[Area]) {
        let columns = |filled: &Area| {
            let (top, bottom) = (filled.y, filled.y + filled.height);
            (filled.x..filled.x + filled.width).map(move |x| Post { x, top, bottom })
        };
        self.0.extend(boxes.iter().flat_map(columns));
        self.0.sort_by_key(|post| post.x);
    }

    /// Whether one stands between two columns, over all of the rows from the one to the other.
    pub(super) fn between(&self, (left, right): (u32, u32), (top, bottom): (u32, u32)) -> bool {
        let first = self.0.partition_point(|post| post.x < left);
        let near = self.0.get(first..).unwrap_or_default().iter().take_while(|post| post.x < right);
        top < bottom && near.into_iter().any(|post| post.top <= top && post.bottom >= bottom)
    }

    /// Paints a line that was cut out at a place with its own ground wherever a post stands, and from the nearest one, or the nearest edge above
    /// or below, outwards.
    pub(super) fn paint_over(&self, cut: &mut GrayImage, (left, top): (u32, u32), area: &Area) {
        let (width, height) = cut.dimensions();
        let (first, last) = (area.x - left, (area.x - left + area.width).min(width));
        let (upper, lower) = (area.y - top, (area.y - top + area.height).min(height));
        let own = image::imageops::crop_imm(cut, first, upper, last - first, lower - upper).to_image();
        let ground = Luma([prepare::median(&own)]);
        // Looked for before anything is painted.
        let even_edge = |y: u32, from: u32| {
            let edge = (0..width).filter(|x| cut.get_pixel(*x, y).0[0].abs_diff(cut.get_pixel(*x, from).0[0]) > EDGE).count();
            10 * edge >= 9 * width as usize
        };
        let above = (1..=upper).rev().find(|y| even_edge(y - 1, *y)).unwrap_or(0);
        let below = (lower..height).find(|y| even_edge(*y, y - 1)).unwrap_or(height);
        let (mut start, mut end) = (0, width);
        let from = self.0.partition_point(|post| post.x < left);
        for post in self.0.get(from..).unwrap_or_default().iter().take_while(|post| post.x < left + width) {
            let x = post.x - left;
            let (from, to) = (post.top.max(top) - top, post.bottom.min(top + height).saturating_sub(top));
            (from..to).for_each(|y| cut.put_pixel(x, y, ground));
            if 2 * to.saturating_sub(from) >= area.height {
                match x {
                    x if x < first => start = x + 1,
                    x if x >= last => end = end.min(x),
                    _ => {}
                }
            }
        }
        for (x, y, pixel) in cut.enumerate_pixels_mut() {
            if !(start..end).contains(&x) || !(above..below).contains(&y) {
                *pixel = ground;
            }
        }
    }
}

impl Post {
    fn height(&self) -> u32 {
        self.bottom - self.top
    }

    /// Whether edges that are long enough go from both of its ends to the same side.
    fn of_box(&self, picture: &GrayImage) -> bool {
        let length = (WIDER * f64::from(self.height())) as u32;
        let (width, height) = picture.dimensions();
        let shade = |x: u32, y: u32| picture.get_pixel(x, y).0[0];
        let edge = |y: u32, from: u32, to: u32| {
            let even = |x: u32| shade(x, y).abs_diff(shade(from, y)) <= EVEN;
            (from..to).all(|x| even(x) && shade(x, y).abs_diff(shade(x, y - 1)) > EDGE)
        };
        let near = |end: u32| end.saturating_sub(CORNER).max(1)..(end + CORNER).min(height);
        let both = |from: u32, to: u32| to <= width && [self.top, self.bottom].into_iter().all(|end| near(end).any(|y| edge(y, from, to)));
        both(self.x + CORNER, self.x + length) || self.x >= length && both(self.x - length, self.x - CORNER)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture with strokes and rules of one pixel: left, top, right and bottom, the ends excluded.
    fn drawn(strokes: &[(u32, u32, u32, u32)]) -> (GrayImage, Vec<bool>) {
        let mut picture = GrayImage::from_pixel(200, 80, Luma([240]));
        for (left, top, right, bottom) in strokes {
            for (x, y) in (*left..*right).flat_map(|x| (*top..*bottom).map(move |y| (x, y))) {
                picture.put_pixel(x, y, Luma([60]));
            }
        }
        let ink = |x: u32, y: u32| {
            let differs = |from: u32, to: u32| to < 200 && picture.get_pixel(from, y).0[0] != picture.get_pixel(to, y).0[0];
            differs(x, x + 1) || x > 0 && differs(x - 1, x)
        };
        let ink = (0..80).flat_map(|y| (0..200).map(move |x| (x, y))).map(|(x, y)| ink(x, y)).collect();
        (picture, ink)
    }

    fn columns(strokes: &[(u32, u32, u32, u32)]) -> Vec<u32> {
        let (picture, mut ink) = drawn(strokes);
        Posts::taken(&picture, &mut ink, 10).0.iter().map(|post| post.x).collect()
    }

    #[test]
    fn rules_and_the_sides_of_boxes_are_posts_and_letters_are_none() {
        // A rule, also where a row of it is left out.
        assert_eq!(columns(&[(20, 10, 21, 36)]), [19, 20, 21]);
        assert_eq!(columns(&[(20, 10, 21, 26), (20, 27, 21, 44)]), [19, 20, 21]);
        // What may be a letter of a higher line.
        assert!(columns(&[(20, 10, 21, 30)]).is_empty());
        // As high, but sides of a box; and a letter with arms.
        assert_eq!(columns(&[(20, 10, 21, 30), (100, 10, 101, 30), (20, 10, 101, 11), (20, 29, 101, 30)]), [19, 20, 21, 99, 100, 101]);
        assert!(columns(&[(20, 10, 21, 30), (20, 10, 35, 11), (20, 29, 35, 30)]).is_empty());
    }

    #[test]
    fn posts_part_what_stands_on_their_height_and_are_painted_over_from_there_outwards() {
        let word = (26, 20, 28, 30);
        let (picture, mut ink) = drawn(&[(22, 10, 23, 40), word, (10, 32, 60, 33)]);
        let posts = Posts::taken(&picture, &mut ink, 10);
        assert!(posts.between((15, 25), (20, 30)) && !posts.between((24, 40), (20, 30)) && !posts.between((15, 25), (20, 60)));
        let mut cut = image::imageops::crop_imm(&picture, 20, 17, 16, 16).to_image();
        posts.paint_over(&mut cut, (20, 17), &Area { x: 25, y: 20, width: 7, height: 10, line: true });
        let left: Vec<_> = cut.enumerate_pixels().filter(|(_, _, pixel)| pixel.0[0] != 240).map(|(x, y, _)| (x + 20, y + 17)).collect();
        let expected: Vec<_> = (word.1..word.3).flat_map(|y| (word.0..word.2).map(move |x| (x, y))).collect();
        assert_eq!(left, expected);
    }
}

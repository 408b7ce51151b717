//! In what two pictures differ.

use super::Error;

/// The side of the squares in which differences are told.
const SQUARE: usize = 16;
/// Rectangles that are told at most; more are told as the one around them.
const MOST: usize = 200;

/// A part of a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rectangle {
    /// Left edge.
    pub x: u32,
    /// Top edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

/// In what two pictures differ.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Pixels that differ.
    pub pixels: u64,
    /// As a part of all, 0–1.
    pub part: f64,
    /// Around what differs, from the top.
    pub regions: Vec<Rectangle>,
}

/// Compares two pictures, given as rows of four bytes a pixel of which the last means nothing. A pixel differs where red, green or blue
/// does by more than `tolerance`.
///
/// # Errors
/// [`Error::Sizes`] for pictures of different sizes.
pub fn difference<'a>(
    (first, first_size): (impl Iterator<Item = &'a [u8]>, (u32, u32)),
    (second, second_size): (impl Iterator<Item = &'a [u8]>, (u32, u32)),
    tolerance: u8,
) -> Result<Difference, Error> {
    if first_size != second_size {
        return Err(Error::Sizes(first_size, second_size));
    }
    let (width, height) = (first_size.0 as usize, first_size.1 as usize);
    let columns = width.div_ceil(SQUARE).max(1);
    let mut pixels = 0;
    let mut squares = vec![false; columns * height.div_ceil(SQUARE).max(1)];
    for (y, (first, second)) in first.zip(second).enumerate() {
        if first == second {
            continue;
        }
        for (x, (a, b)) in first.chunks_exact(4).zip(second.chunks_exact(4)).enumerate() {
            if a.iter().zip(b).take(3).any(|(a, b)| a.abs_diff(*b) > tolerance) {
                pixels += 1;
                if let Some(square) = squares.get_mut(y / SQUARE * columns + x / SQUARE) {
                    *square = true;
                }
            }
        }
    }
    let all = (width as u64 * height as u64).max(1);
    Ok(Difference { pixels, part: pixels as f64 / all as f64, regions: regions(&mut squares, columns, first_size) })
}

/// Squares that touch, as the rectangle around them.
fn regions(squares: &mut [bool], columns: usize, (width, height): (u32, u32)) -> Vec<Rectangle> {
    let mut found = Vec::new();
    for start in 0..squares.len() {
        if !squares.get(start).copied().unwrap_or(false) {
            continue;
        }
        let (mut left, mut top, mut right, mut bottom) = (start % columns, start / columns, start % columns, start / columns);
        let mut open = vec![start];
        while let Some(place) = open.pop() {
            let Some(square) = squares.get_mut(place).filter(|square| **square) else { continue };
            *square = false;
            let (x, y) = (place % columns, place / columns);
            (left, top, right, bottom) = (left.min(x), top.min(y), right.max(x), bottom.max(y));
            open.extend((x > 0).then(|| place - 1));
            open.extend((x + 1 < columns).then_some(place + 1));
            open.extend(place.checked_sub(columns));
            open.push(place + columns);
        }
        let side = |from: usize, to: usize, whole: u32| {
            let narrow = |squares: usize| u32::try_from(squares * SQUARE).unwrap_or(u32::MAX).min(whole);
            (narrow(from), narrow(to + 1) - narrow(from))
        };
        let ((x, width), (y, height)) = (side(left, right, width), side(top, bottom, height));
        found.push(Rectangle { x, y, width, height });
    }
    if found.len() <= MOST {
        return found;
    }
    let (x, y) = (found.iter().map(|part| part.x).min().unwrap_or(0), found.iter().map(|part| part.y).min().unwrap_or(0));
    let right = found.iter().map(|part| part.x + part.width).max().unwrap_or(0);
    let bottom = found.iter().map(|part| part.y + part.height).max().unwrap_or(0);
    vec![Rectangle { x, y, width: right - x, height: bottom - y }]
}

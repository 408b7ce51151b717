//! Making a screen look like print, which is what Tesseract was taught: large dark letters on white.

use std::borrow::Cow;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::GrayImage;

use super::Preprocess;

/// Pixels of a side at most: Tesseract keeps coordinates in 16 bits.
pub(super) const LONGEST: u32 = 32_000;

/// Pixels of an enlarged picture at most; larger ones are read as they are.
const ENLARGED: u64 = 100_000_000;

/// Width of the border, in the picture's own background: letters at the very edge are missed otherwise, and a border of
/// another shade is taken for a frame with letters in it.
const BORDER: u32 = 10;

/// A picture as Tesseract gets it, and how to get back from it.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) image: Cow<'a, GrayImage>,
    /// Pixels an inch, so that Tesseract need not guess.
    pub(super) resolution: i32,
    scale: u32,
    border: u32,
    original: (u32, u32),
}

/// How a picture is segmented that says nothing else: one block, or sparse text where it is as large as a screen.
pub(super) fn default_segmentation(width: u32, height: u32) -> u8 {
    if u64::from(width) * u64::from(height) > 640 * 480 { 11 } else { 6 }
}

/// Does what `how` says.
pub(super) fn prepared(picture: &GrayImage, how: Preprocess) -> Prepared<'_> {
    let original = picture.dimensions();
    if how == Preprocess::None {
        return Prepared { image: Cow::Borrowed(picture), resolution: 96, scale: 1, border: 0, original };
    }
    let (scale, mut large) = match enlarged(picture) {
        Some(large) => (2, large),
        None => (1, picture.clone()),
    };
    let mut background = median(picture);
    if background < 128 {
        // Light letters on a dark theme.
        large.iter_mut().for_each(|pixel| *pixel = 255 - *pixel);
        background = 255 - background;
    }
    let image = bordered(&large, background);
    Prepared { image: Cow::Owned(image), resolution: if scale == 2 { 192 } else { 96 }, scale, border: BORDER, original }
}

/// Row by row: pixel by pixel would cost more than the enlarging.
fn bordered(picture: &GrayImage, background: u8) -> GrayImage {
    let (width, height) = (picture.width() + 2 * BORDER, picture.height() + 2 * BORDER);
    let (wide, border, inner) = (width as usize, BORDER as usize, picture.width() as usize);
    let mut pixels = vec![background; wide * height as usize];
    for (to, from) in pixels.chunks_exact_mut(wide).skip(border).zip(picture.as_raw().chunks_exact(inner)) {
        to[border..border + inner].copy_from_slice(from);
    }
    // There are exactly as many as it has pixels.
    GrayImage::from_raw(width, height, pixels).unwrap_or_default()
}

fn enlarged(picture: &GrayImage) -> Option<GrayImage> {
    let (width, height) = (picture.width() * 2, picture.height() * 2);
    if width.max(height) > LONGEST || u64::from(width) * u64::from(height) > ENLARGED {
        return None;
    }
    let from = ImageRef::new(picture.width(), picture.height(), picture.as_raw(), PixelType::U8).ok()?;
    let mut to = Image::new(width, height, PixelType::U8);
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Lanczos3));
    Resizer::new().resize(&from, &mut to, &options).ok()?;
    GrayImage::from_raw(width, height, to.into_vec())
}

/// The shade that half of the pixels are darker than: nearly always the background's.
fn median(picture: &GrayImage) -> u8 {
    let mut counts = [0_usize; 256];
    picture.iter().for_each(|pixel| counts[usize::from(*pixel)] += 1);
    let mut seen = 0;
    (0..=u8::MAX)
        .find(|shade| {
            seen += counts[usize::from(*shade)];
            seen * 2 > picture.len()
        })
        .unwrap_or(u8::MAX)
}

impl Prepared<'_> {
    /// A box of this picture in pixels of the one that was given.
    pub(super) fn back(&self, left: u32, top: u32, width: u32, height: u32) -> (i32, i32, u32, u32) {
        let span = |start: u32, length: u32, limit: u32| {
            let end = (start.saturating_add(length).saturating_sub(self.border)).div_ceil(self.scale).clamp(1, limit.max(1));
            let start = (start.saturating_sub(self.border) / self.scale).min(end - 1);
            (i32::try_from(start).unwrap_or(i32::MAX), end - start)
        };
        let (x, width) = span(left, width, self.original.0);
        let (y, height) = span(top, height, self.original.1);
        (x, y, width, height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_come_back_in_the_pixels_that_were_given() {
        let picture = GrayImage::from_pixel(100, 50, image::Luma([255]));
        let ready = prepared(&picture, Preprocess::Auto);
        assert_eq!(ready.image.dimensions(), (220, 120));
        assert_eq!(ready.back(30, 50, 40, 20), (10, 20, 20, 10));
        // In the border, and over the edge: inside the picture all the same.
        assert_eq!(ready.back(0, 0, 5, 5), (0, 0, 1, 1));
        assert_eq!(ready.back(0, 0, 220, 120), (0, 0, 100, 50));
        assert_eq!(prepared(&picture, Preprocess::None).back(30, 40, 40, 5), (30, 40, 40, 5));
    }

    #[test]
    fn dark_themes_are_turned_to_dark_on_white() {
        let mut picture = GrayImage::from_pixel(40, 40, image::Luma([20]));
        picture.put_pixel(20, 20, image::Luma([240]));
        let ready = prepared(&picture, Preprocess::Auto);
        assert!(ready.image.get_pixel(15, 15).0[0] > 200);
        assert_eq!(prepared(&picture, Preprocess::None).image.get_pixel(0, 0).0[0], 20);
    }
}

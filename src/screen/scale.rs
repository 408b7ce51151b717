//! A picture as it is shown: smaller than the screen, and as a JPEG.

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use super::frame::{PIXEL, Pixels};
use super::{Error, Frame, ImageFormat, Region};

/// How a picture is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Look {
    /// JPEG quality, 1–100.
    pub quality: u8,
    /// Its size as a part of the screen's, more than 0 and at most 1.
    pub scale: f64,
}

/// The size of a picture of `width`×`height` pixels at a scale: at least one pixel each.
pub fn scaled_size((width, height): (u32, u32), scale: f64) -> (u32, u32) {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a u32 is one, and the cast saturates")]
    let part = |side: u32| ((f64::from(side) * scale).round() as u32).clamp(1, side.max(1));
    (part(width), part(height))
}

impl Frame {
    /// The picture as it is to be shown, with its width and height.
    ///
    /// # Errors
    /// [`Error::Quality`] out of range; [`Error::Encode`] where the encoder gives up.
    pub fn show(&self, look: Look) -> Result<(Vec<u8>, u32, u32), Error> {
        let (width, height) = scaled_size((self.width(), self.height()), look.scale);
        Ok((self.scaled(look.scale)?.encode(ImageFormat::Jpeg, look.quality.into())?, width, height))
    }

    /// The picture at a scale. Its place on the screen is that of its corner.
    ///
    /// # Errors
    /// [`Error::Encode`] where it cannot be made smaller.
    pub fn scaled(&self, scale: f64) -> Result<Self, Error> {
        let (width, height) = scaled_size((self.width(), self.height()), scale);
        if (width, height) == (self.width(), self.height()) { Ok(self.clone()) } else { self.resized(width, height) }
    }

    /// The picture in another size.
    fn resized(&self, width: u32, height: u32) -> Result<Self, Error> {
        let failed = |reason: String| Error::Encode { format: ImageFormat::Jpeg, reason };
        let joined: Vec<u8>;
        let bytes = match self.contiguous() {
            Some(bytes) => bytes,
            None => {
                joined = self.rows().flatten().copied().collect();
                &joined
            }
        };
        let source = TypedImageRef::<U8x4>::from_buffer(self.width(), self.height(), bytes).map_err(|error| failed(error.to_string()))?;
        let mut scaled = vec![0; width as usize * height as usize * PIXEL];
        let mut target = TypedImage::<U8x4>::from_buffer(width, height, &mut scaled).map_err(|error| failed(error.to_string()))?;
        // The fourth byte means nothing; taken for transparency it would turn the picture black.
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        // For one kind of pixel: `resize` would compile them all.
        Resizer::new().resize_typed(&source, &mut target, &options).map_err(|error| failed(error.to_string()))?;
        Self::new(Pixels::Owned(scaled), Region { x: self.x(), y: self.y(), width, height })
    }

    /// Where this picture differs from an earlier one of the same size: a rectangle for each band of rows in which something does.
    pub fn differences(&self, before: &Self) -> Vec<Region> {
        const BAND: usize = 64;
        let rows: Vec<(&[u8], &[u8])> = self.rows().zip(before.rows()).collect();
        let mut found = Vec::new();
        for (number, band) in rows.chunks(BAND).enumerate() {
            let (mut left, mut right) = (usize::MAX, 0);
            for (now, then) in band.iter().filter(|(now, then)| now != then) {
                let differs = |(a, b): (&[u8], &[u8])| a.get(..3) != b.get(..3);
                let mut pixels = now.chunks_exact(PIXEL).zip(then.chunks_exact(PIXEL)).map(differs);
                let Some(first) = pixels.position(|differs| differs) else { continue };
                let count = now.len() / PIXEL;
                let last = now.chunks_exact(PIXEL).zip(then.chunks_exact(PIXEL)).rposition(differs).unwrap_or(count - 1);
                left = left.min(first);
                right = right.max(last + 1);
            }
            if left < right {
                let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
                let offset = |start: i32, by: usize| start.saturating_add(i32::try_from(by).unwrap_or(i32::MAX));
                found.push(Region {
                    x: offset(self.x(), left),
                    y: offset(self.y(), number * BAND),
                    width: narrow(right - left),
                    height: narrow(band.len()),
                });
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(colour: [u8; 4], (width, height): (u32, u32)) -> Frame {
        let bytes = (0..width * height).flat_map(|_| colour).collect();
        Frame::new(Pixels::Owned(bytes), Region { x: 5, y: 7, width, height }).unwrap()
    }

    #[test]
    fn a_smaller_picture_keeps_its_colours() {
        let (jpeg, width, height) = plain([10, 20, 200, 0], (64, 32)).show(Look { quality: 90, scale: 0.5 }).unwrap();
        let back = image::load_from_memory(&jpeg).unwrap().to_rgb8();
        assert_eq!((width, height, back.width(), back.height()), (32, 16, 32, 16));
        let [r, g, b] = back.get_pixel(16, 8).0;
        assert!(r.abs_diff(200) < 6 && g.abs_diff(20) < 6 && b.abs_diff(10) < 6, "{r} {g} {b}");
    }

    #[test]
    fn a_part_of_a_picture_can_be_made_smaller() {
        let part = plain([0, 0, 255, 0], (100, 100)).crop(Region { x: 10, y: 10, width: 90, height: 90 }).unwrap();
        assert_eq!(part.show(Look { quality: 80, scale: 0.1 }).unwrap().1, 9);
    }

    #[test]
    fn sizes_never_vanish_or_grow() {
        for (side, scale, expected) in [(1920, 0.5, 960), (1, 0.05, 1), (10, 0.05, 1), (1080, 1.0, 1080), (u32::MAX, 1.0, u32::MAX)] {
            assert_eq!(scaled_size((side, side), scale), (expected, expected));
        }
    }

    #[test]
    fn differences_are_found_where_they_are() {
        let before = plain([1, 2, 3, 0], (200, 200));
        assert_eq!(before.differences(&before.clone()), []);
        let mut bytes: Vec<u8> = before.rows().flatten().copied().collect();
        for (x, y) in [(20usize, 70usize), (30, 80), (199, 199)] {
            bytes[(y * 200 + x) * PIXEL] = 99;
        }
        // The fourth byte means nothing.
        bytes[3] = 77;
        let after = Frame::new(Pixels::Owned(bytes), before.region()).unwrap();
        assert_eq!(
            after.differences(&before),
            [Region { x: 25, y: 71, width: 11, height: 64 }, Region { x: 204, y: 199, width: 1, height: 8 }]
        );
    }
}

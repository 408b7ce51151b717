//! A picture of the screen: pixels as the display has them, and the ways to write them down.

use std::hash::Hasher as _;
use std::sync::Arc;

use image::{ExtendedColorType, GrayImage, ImageEncoder, RgbImage, codecs};
use rustc_hash::FxHasher;

use super::{Error, ImageFormat, Region};

/// Bytes of a pixel: blue, green, red, and one that means nothing.
pub(super) const PIXEL: usize = 4;

/// Where pixels live.
pub(super) enum Pixels {
    /// In memory of our own.
    Owned(Vec<u8>),
    /// In memory shared with the display's server, which goes back to its pool with the last frame that shows it.
    #[cfg(target_os = "linux")]
    Shared(super::segment::Lent),
}

impl Pixels {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Owned(bytes) => bytes,
            #[cfg(target_os = "linux")]
            Self::Shared(lent) => lent.bytes(),
        }
    }
}

/// A picture of a part of the screen. Cloning copies no pixels.
#[derive(Clone)]
pub struct Frame {
    pixels: Arc<Pixels>,
    /// Bytes before the first pixel.
    offset: usize,
    /// Bytes from one row to the next.
    stride: usize,
    region: Region,
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Frame").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Frame {
    /// A frame of rows that follow each other without gaps.
    pub(super) fn new(pixels: Pixels, region: Region) -> Result<Self, Error> {
        let stride = region.width as usize * PIXEL;
        let needed = stride.checked_mul(region.height as usize);
        let given = pixels.bytes().len();
        if needed.is_none_or(|needed| given < needed) || stride == 0 || region.height == 0 {
            return Err(Error::Failed(format!("{given} bytes came for {}×{} pixels", region.width, region.height)));
        }
        Ok(Self { pixels: Arc::new(pixels), offset: 0, stride, region })
    }

    /// A frame of bytes, for a test of another room.
    #[cfg(test)]
    pub(crate) fn of_bgrx(bytes: Vec<u8>, (width, height): (u32, u32)) -> Self {
        Self::new(Pixels::Owned(bytes), Region { x: 0, y: 0, width, height }).unwrap()
    }

    /// The left edge on the virtual screen.
    pub fn x(&self) -> i32 {
        self.region.x
    }

    /// The top edge on the virtual screen.
    pub fn y(&self) -> i32 {
        self.region.y
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.region.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.region.height
    }

    /// Its place on the virtual screen.
    pub fn region(&self) -> Region {
        self.region
    }

    /// Red, green and blue of a pixel, counted from the frame's own corner; `None` outside of it.
    pub fn pixel(&self, x: u32, y: u32) -> Option<[u8; 3]> {
        if x >= self.width() || y >= self.height() {
            return None;
        }
        let at = self.offset + y as usize * self.stride + x as usize * PIXEL;
        match self.pixels.bytes().get(at..at + 3) {
            Some(&[b, g, r]) => Some([r, g, b]),
            _ => None,
        }
    }

    /// A part of it, counted from the frame's own corner. A large part shares the pixels; a small one copies them, so that it does not
    /// keep the memory of a whole screen.
    ///
    /// # Errors
    /// [`Error::EmptyRegion`] and [`Error::OffScreen`] for a part that is not there.
    pub fn crop(&self, part: Region) -> Result<Self, Error> {
        let shown = self.lend(part)?;
        if shown.size() * 2 > self.pixels.bytes().len() {
            return Ok(shown);
        }
        let mut bytes = Vec::with_capacity(shown.size());
        shown.rows().for_each(|row| bytes.extend_from_slice(row));
        Self::new(Pixels::Owned(bytes), shown.region)
    }

    /// A part of it without a copy, counted from the frame's own corner, for as long as a call lasts.
    ///
    /// # Errors
    /// As [`Frame::crop`].
    pub(super) fn lend(&self, part: Region) -> Result<Self, Error> {
        let own = Region { x: 0, y: 0, width: self.width(), height: self.height() };
        let region = part.within(own, (self.x(), self.y()), "the picture")?;
        // Not negative: it was just found to lie within a rectangle that begins at 0.
        let (x, y) = (part.x.unsigned_abs() as usize, part.y.unsigned_abs() as usize);
        Ok(Self { pixels: Arc::clone(&self.pixels), offset: self.offset + y * self.stride + x * PIXEL, stride: self.stride, region })
    }

    /// The rows of a part.
    ///
    /// # Errors
    /// As [`Frame::crop`].
    pub(super) fn part(&self, part: Region) -> Result<impl Iterator<Item = &[u8]>, Error> {
        let own = Region { x: 0, y: 0, width: self.width(), height: self.height() };
        part.within(own, (0, 0), "the picture")?;
        let (x, y) = (part.x.unsigned_abs() as usize * PIXEL, part.y.unsigned_abs() as usize);
        let width = part.width as usize * PIXEL;
        let rows = self.visible().chunks(self.stride).skip(y).take(part.height as usize);
        Ok(rows.map(move |row| row.get(x..x + width).unwrap_or_default()))
    }

    /// Bytes of its pixels.
    fn size(&self) -> usize {
        self.width() as usize * self.height() as usize * PIXEL
    }

    /// All its pixels in one piece, where its rows follow each other without gaps.
    pub(super) fn contiguous(&self) -> Option<&[u8]> {
        (self.stride == self.width() as usize * PIXEL).then(|| self.visible())
    }

    /// Rows of BGRX bytes, from the top.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        let width = self.width() as usize * PIXEL;
        self.visible().chunks(self.stride).map(move |row| row.get(..width).unwrap_or(row))
    }

    /// From the first byte of the first row to the last of the last.
    fn visible(&self) -> &[u8] {
        let end = self.offset + (self.height() as usize - 1) * self.stride + self.width() as usize * PIXEL;
        self.pixels.bytes().get(self.offset..end).unwrap_or_default()
    }

    /// The picture in grey, by how bright the eye finds red, green and blue.
    pub fn to_gray(&self) -> GrayImage {
        let width = self.width() as usize;
        let mut gray = vec![0; width * self.height() as usize];
        for (to, row) in gray.chunks_exact_mut(width.max(1)).zip(self.rows()) {
            // Written so that the compiler takes many pixels at once.
            for (to, p) in to.iter_mut().zip(row.chunks_exact(PIXEL)) {
                [_, *to] = (u16::from(p[0]) * 29 + u16::from(p[1]) * 150 + u16::from(p[2]) * 77).to_le_bytes();
            }
        }
        GrayImage::from_raw(self.width(), self.height(), gray).unwrap_or_default()
    }

    /// A number for its size and pixels: the same for the same ones. Not against somebody who makes two alike on purpose: their own screen is all
    /// they would see.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = FxHasher::default();
        hasher.write_u32(self.width());
        self.rows().for_each(|row| hasher.write(row));
        hasher.finish()
    }

    /// The picture in red, green and blue.
    pub fn to_rgb(&self) -> RgbImage {
        RgbImage::from_raw(self.width(), self.height(), self.rgb_bytes()).unwrap_or_default()
    }

    fn rgb_bytes(&self) -> Vec<u8> {
        let mut rgb = vec![0; self.width() as usize * self.height() as usize * 3];
        let source = self.rows().flat_map(|row| row.chunks_exact(PIXEL));
        for (to, from) in rgb.chunks_exact_mut(3).zip(source) {
            to.copy_from_slice(&[from[2], from[1], from[0]]);
        }
        rgb
    }

    /// Writes the picture down. `quality` (1–100) counts for JPEG and is checked for all formats.
    ///
    /// # Errors
    /// [`Error::Quality`] out of range; [`Error::Encode`] where the encoder gives up.
    pub fn encode(&self, format: ImageFormat, quality: u32) -> Result<Vec<u8>, Error> {
        if !(1..=100).contains(&quality) {
            return Err(Error::Quality(quality));
        }
        let failed = |reason: String| Error::Encode { format, reason };
        match format {
            ImageFormat::Jpeg => self.jpeg(quality).map_err(|error| failed(error.to_string())),
            ImageFormat::Png => {
                let mut bytes = Vec::new();
                // Screens are flat areas and text: the fast setting is within a tenth of the best one's size.
                let (compression, filter) = (codecs::png::CompressionType::Fast, codecs::png::FilterType::Adaptive);
                codecs::png::PngEncoder::new_with_quality(&mut bytes, compression, filter)
                    .write_image(&self.rgb_bytes(), self.width(), self.height(), ExtendedColorType::Rgb8)
                    .map_err(|error| failed(error.to_string()))?;
                Ok(bytes)
            }
            ImageFormat::Webp => {
                let mut bytes = Vec::new();
                codecs::webp::WebPEncoder::new_lossless(&mut bytes)
                    .write_image(&self.rgb_bytes(), self.width(), self.height(), ExtendedColorType::Rgb8)
                    .map_err(|error| failed(error.to_string()))?;
                Ok(bytes)
            }
        }
    }

    fn jpeg(&self, quality: u32) -> turbojpeg::Result<Vec<u8>> {
        let image = turbojpeg::Image {
            pixels: self.visible(),
            width: self.width() as usize,
            pitch: self.stride,
            height: self.height() as usize,
            format: turbojpeg::PixelFormat::BGRX,
        };
        let mut compressor = turbojpeg::Compressor::new()?;
        compressor.set_quality(i32::try_from(quality).unwrap_or(100))?;
        compressor.set_subsamp(turbojpeg::Subsamp::Sub2x2)?;
        compressor.compress_to_vec(image)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Classify, Kind};

    /// 4×3, blue = x, green = y, red = 200.
    fn frame() -> Frame {
        let bytes = (0..3u8).flat_map(|y| (0..4u8).flat_map(move |x| [x, y, 200, 0])).collect();
        Frame::new(Pixels::Owned(bytes), Region { x: 100, y: 50, width: 4, height: 3 }).unwrap()
    }

    #[test]
    fn pixels_are_red_green_blue() {
        assert_eq!(frame().pixel(3, 2), Some([200, 2, 3]));
        assert_eq!(frame().pixel(4, 0), None);
        assert_eq!(frame().pixel(0, u32::MAX), None);
    }

    #[test]
    fn a_crop_knows_its_place() {
        let crop = frame().crop(Region { x: 1, y: 1, width: 2, height: 2 }).unwrap();
        assert_eq!(crop.region(), Region { x: 101, y: 51, width: 2, height: 2 });
        assert_eq!(crop.pixel(1, 1), Some([200, 2, 2]));
        assert_eq!(crop.to_rgb().get_pixel(0, 1).0, [200, 2, 1]);
        let inner = crop.crop(Region { x: 1, y: 1, width: 1, height: 1 }).unwrap();
        assert_eq!(inner.pixel(0, 0), Some([200, 2, 2]));
        assert_eq!(inner.rows().count(), 1);
    }

    #[test]
    fn a_small_crop_does_not_keep_the_whole() {
        let whole = frame();
        let large = whole.crop(Region { x: 0, y: 0, width: 4, height: 2 }).unwrap();
        assert!(Arc::ptr_eq(&whole.pixels, &large.pixels));
        let small = whole.crop(Region { x: 1, y: 1, width: 3, height: 2 }).unwrap();
        assert!(!Arc::ptr_eq(&whole.pixels, &small.pixels));
        assert_eq!((small.pixels.bytes().len(), small.pixel(2, 1)), (24, Some([200, 2, 3])));
    }

    #[test]
    fn a_crop_outside_is_refused() {
        for (x, y, width, height) in [(0, 0, 5, 1), (-1, 0, 1, 1), (0, 3, 1, 1), (0, 0, 0, 1), (i32::MAX, 0, u32::MAX, 1)] {
            assert_eq!(frame().crop(Region { x, y, width, height }).unwrap_err().kind(), Kind::ValidationError);
        }
    }

    #[test]
    fn lossless_formats_give_the_pixels_back() {
        for (format, guessed) in [(ImageFormat::Png, image::ImageFormat::Png), (ImageFormat::Webp, image::ImageFormat::WebP)] {
            let bytes = frame().encode(format, 80).unwrap();
            assert_eq!(image::guess_format(&bytes).unwrap(), guessed);
            assert_eq!(image::load_from_memory(&bytes).unwrap().to_rgb8(), frame().to_rgb());
        }
    }

    #[test]
    fn jpeg_of_a_crop_shows_the_crop() {
        let bytes = frame().crop(Region { x: 2, y: 0, width: 2, height: 3 }).unwrap().encode(ImageFormat::Jpeg, 95).unwrap();
        let back = image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!((back.width(), back.height()), (2, 3));
        assert!(back.get_pixel(0, 0).0[0].abs_diff(200) < 12);
    }

    #[test]
    fn quality_is_checked() {
        for quality in [0, 101, u32::MAX] {
            assert_eq!(frame().encode(ImageFormat::Jpeg, quality).unwrap_err().kind(), Kind::ValidationError);
        }
        for quality in [1, 100] {
            assert!(frame().encode(ImageFormat::Jpeg, quality).is_ok());
        }
    }

    #[test]
    fn grey_weighs_green_most() {
        let bytes = vec![0, 255, 0, 0, 255, 0, 0, 0, 255, 255, 255, 0];
        let gray = Frame::new(Pixels::Owned(bytes), Region { x: 0, y: 0, width: 3, height: 1 }).unwrap().to_gray();
        assert!(gray.as_raw()[0] > gray.as_raw()[1]);
        assert_eq!(gray.as_raw()[2], 255);
    }

    #[test]
    fn too_few_bytes_are_not_a_frame() {
        assert!(Frame::new(Pixels::Owned(vec![0; 15]), Region { x: 0, y: 0, width: 2, height: 2 }).is_err());
        assert!(Frame::new(Pixels::Owned(vec![]), Region { x: 0, y: 0, width: 0, height: 0 }).is_err());
    }
}

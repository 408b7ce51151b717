//! A picture that is looked for.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::Cursor;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x4;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::{ImageReader, Limits, RgbaImage};

use super::Error;

/// Pixels of a side, at most.
const LONGEST: u32 = 4096;
/// Pixels of a side, at least: less than that is everywhere.
const SHORTEST: usize = 4;
/// Bytes of a file with one, at most.
const LARGEST: usize = 16 << 20;
/// Less opaque pixels are no part of it.
const OPAQUE: u8 = 128;

/// From this shade on a pixel of a mask is light: what it stands for counts.
const LIGHT: u8 = 128;

/// A picture that is looked for. What is transparent in it may be anything.
#[derive(Debug, Clone)]
pub struct Needle {
    picture: RgbaImage,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Row by row.
    pub(super) gray: Vec<u8>,
    /// Row by row, where not all of it counts.
    pub(super) mask: Option<Vec<bool>>,
}

impl Needle {
    /// Of a file: PNG, JPEG or WebP.
    ///
    /// # Errors
    /// [`Error::Picture`] for what is none, is too small or too large, or is transparent altogether.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > LARGEST {
            return Err(Error::Picture(format!("its file is larger than {LARGEST} bytes")));
        }
        let wrong = |error: image::ImageError| Error::Picture(format!("{error}; give a PNG, JPEG or WebP"));
        let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| Error::Picture(error.to_string()))?;
        let mut limits = Limits::default();
        limits.max_image_width = Some(LONGEST);
        limits.max_image_height = Some(LONGEST);
        reader.limits(limits);
        Self::new(reader.decode().map_err(wrong)?.into_rgba8())
    }

    /// Of a `data:` URL with a file in base64. None for what is no such URL.
    pub fn of_url(url: &str) -> Option<Result<Self, Error>> {
        let text = url.strip_prefix("data:")?;
        let wrong = || Error::Picture("write it as data:image/png;base64,…".to_owned());
        let bytes = text.split_once(";base64,").and_then(|(_, data)| STANDARD.decode(data).ok()).ok_or_else(wrong);
        Some(bytes.and_then(|bytes| Self::decode(&bytes)))
    }

    /// Of pixels.
    ///
    /// # Errors
    /// As [`Needle::decode`].
    pub fn new(picture: RgbaImage) -> Result<Self, Error> {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        if width < SHORTEST || height < SHORTEST || picture.width().max(picture.height()) > LONGEST {
            return Err(Error::Picture(format!("it is {width}×{height} pixels large: each side must have {SHORTEST} to {LONGEST}")));
        }
        let gray = picture.pixels().map(|pixel| gray(pixel.0)).collect();
        let solid: Vec<bool> = picture.pixels().map(|pixel| pixel.0[3] >= OPAQUE).collect();
        let counted = solid.iter().filter(|solid| **solid).count();
        if counted < SHORTEST * SHORTEST {
            return Err(Error::Picture("next to nothing of it is opaque".to_owned()));
        }
        let mask = (counted < solid.len()).then_some(solid);
        Ok(Self { picture, width, height, gray, mask })
    }

    /// The same, of which only a part counts: where another picture of its size is dark or transparent it may be anything.
    ///
    /// # Errors
    /// [`Error::Mask`] for one of another size; [`Error::Picture`] where next to nothing is left.
    pub fn masked(mut self, mask: &Self) -> Result<Self, Error> {
        if mask.size() != self.size() {
            return Err(Error::Mask(mask.size(), self.size()));
        }
        for (index, pixel) in self.picture.pixels_mut().enumerate() {
            let light = mask.gray.get(index).is_some_and(|shade| *shade >= LIGHT);
            if !light || !mask.counts(index) {
                pixel.0[3] = 0;
            }
        }
        Self::new(self.picture)
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (u32, u32) {
        self.picture.dimensions()
    }

    /// Its rows, four bytes a pixel: red, green, blue, and how opaque.
    pub fn rows(&self) -> impl Iterator<Item = &[u8]> {
        self.picture.as_raw().chunks_exact(self.width * 4)
    }

    /// A number that stands for its pixels.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        hasher.write_u32(self.picture.width());
        hasher.write(self.picture.as_raw());
        hasher.finish()
    }

    /// The same in another size. None where too little of it would be left, or too much.
    pub(super) fn scaled(&self, scale: f64) -> Option<Self> {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the cast saturates, and the result is checked")]
        let side = |side: u32| (f64::from(side) * scale).round() as u32;
        let (width, height) = (side(self.picture.width()), side(self.picture.height()));
        if (width, height) == self.picture.dimensions() {
            return Some(self.clone());
        }
        if width.max(height) > LONGEST || (width.min(height) as usize) < SHORTEST {
            return None;
        }
        let source = TypedImageRef::<U8x4>::from_buffer(self.picture.width(), self.picture.height(), self.picture.as_raw()).ok()?;
        let mut scaled = RgbaImage::new(width, height);
        let mut target = TypedImage::<U8x4>::from_buffer(width, height, &mut scaled).ok()?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
        // For one kind of pixel: `resize` would compile them all.
        Resizer::new().resize_typed(&source, &mut target, &options).ok()?;
        Self::new(scaled).ok()
    }

    /// Whether a pixel counts.
    pub(super) fn counts(&self, index: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask.get(index).copied().unwrap_or(false))
    }

    /// Red, green and blue of a pixel.
    pub(super) fn colour(&self, x: u32, y: u32) -> [u8; 3] {
        let [red, green, blue, _] = self.picture.get_pixel(x, y).0;
        [red, green, blue]
    }
}

/// As a screen's picture is made grey: by how bright the eye finds red, green and blue.
fn gray([red, green, blue, _]: [u8; 4]) -> u8 {
    let weighted = u32::from(blue) * 29 + u32::from(green) * 150 + u32::from(red) * 77;
    u8::try_from(weighted >> 8).unwrap_or(u8::MAX)
}

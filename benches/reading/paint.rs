//! Drawing what a screen shows: boxes, and text in fonts of Debian's packages.

use std::path::Path;

use ab_glyph::{Font, FontVec, PxScale, ScaleFont, point};
use image::{Rgb, RgbImage};

use crate::score::Piece;

/// Fonts of `fonts-dejavu-core`, `fonts-liberation` and `fonts-open-sans`.
const PROPORTIONAL: [&str; 6] = [
    "dejavu/DejaVuSans.ttf",
    "liberation/LiberationSans-Regular.ttf",
    "open-sans/OpenSans-Regular.ttf",
    "dejavu/DejaVuSans-Bold.ttf",
    "liberation/LiberationSerif-Regular.ttf",
    "liberation/LiberationSans-Bold.ttf",
];
const MONOSPACE: [&str; 2] = ["dejavu/DejaVuSansMono.ttf", "liberation/LiberationMono-Regular.ttf"];

pub struct Fonts {
    pub proportional: Vec<FontVec>,
    pub monospace: Vec<FontVec>,
}

impl Fonts {
    pub fn load() -> Self {
        let load = |name: &&str| {
            let bytes = std::fs::read(Path::new("/usr/share/fonts/truetype").join(name));
            let bytes =
                bytes.unwrap_or_else(|error| panic!("{name}: {error}; apt-get install fonts-dejavu-core fonts-liberation fonts-open-sans"));
            FontVec::try_from_vec(bytes).unwrap()
        };
        Self { proportional: PROPORTIONAL.iter().map(load).collect(), monospace: MONOSPACE.iter().map(load).collect() }
    }
}

/// A picture, and what was written in it.
pub struct Canvas {
    pub picture: RgbImage,
    pub truth: Vec<Piece>,
}

impl Canvas {
    pub fn new(width: u32, height: u32, colour: [u8; 3]) -> Self {
        Self { picture: RgbImage::from_pixel(width, height, Rgb(colour)), truth: Vec::new() }
    }

    pub fn fill(&mut self, (x, y, width, height): (i32, i32, i32, i32), colour: [u8; 3]) {
        for y in y.max(0)..(y + height).min(self.picture.height() as i32) {
            for x in x.max(0)..(x + width).min(self.picture.width() as i32) {
                self.picture.put_pixel(x as u32, y as u32, Rgb(colour));
            }
        }
    }

    pub fn frame(&mut self, (x, y, width, height): (i32, i32, i32, i32), colour: [u8; 3]) {
        self.fill((x, y, width, 1), colour);
        self.fill((x, y + height - 1, width, 1), colour);
        self.fill((x, y, 1, height), colour);
        self.fill((x + width - 1, y, 1, height), colour);
    }

    /// Writes a text of so many pixels an em, its line's top at `y`. Gives its width.
    pub fn write(&mut self, font: &FontVec, size: f32, (x, y): (i32, i32), text: &str, colour: [u8; 3]) -> i32 {
        let scaled = font.as_scaled(scale(font, size));
        let (mut pen, baseline) = (x as f32, y as f32 + scaled.ascent().round());
        let mut before = None;
        for letter in text.chars() {
            let id = scaled.glyph_id(letter);
            assert!(id.0 != 0, "the font has no {letter:?}");
            pen += before.map_or(0.0, |before| scaled.kern(before, id));
            let glyph = id.with_scale_and_position(scaled.scale(), point(pen, baseline));
            if let Some(outline) = font.outline_glyph(glyph) {
                let bounds = outline.px_bounds();
                outline.draw(|dx, dy, covered| {
                    let (x, y) = (bounds.min.x as i32 + dx as i32, bounds.min.y as i32 + dy as i32);
                    if x >= 0 && y >= 0 && x < self.picture.width() as i32 && y < self.picture.height() as i32 {
                        let pixel = self.picture.get_pixel_mut(x as u32, y as u32);
                        let covered = covered.clamp(0.0, 1.0);
                        for (shade, ink) in pixel.0.iter_mut().zip(colour) {
                            *shade = (f32::from(*shade) * (1.0 - covered) + f32::from(ink) * covered).round() as u8;
                        }
                    }
                });
            }
            pen += scaled.h_advance(id);
            before = Some(id);
        }
        let (width, height) = (pen - x as f32, scaled.height());
        self.truth.push(Piece { text: text.to_owned(), x: x.into(), y: y.into(), width: width.into(), height: height.into() });
        width.ceil() as i32
    }
}

fn scale(font: &FontVec, size: f32) -> PxScale {
    PxScale::from(size * font.height_unscaled() / font.units_per_em().unwrap_or(1000.0))
}

/// How wide a text is.
pub fn width(font: &FontVec, size: f32, text: &str) -> i32 {
    let scaled = font.as_scaled(scale(font, size));
    text.chars().map(|letter| scaled.h_advance(scaled.glyph_id(letter))).sum::<f32>().ceil() as i32
}

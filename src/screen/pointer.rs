//! The mouse pointer: where it is and what it looks like. Pictures of the screen do not show it.

use std::sync::Arc;

use image::{ExtendedColorType, ImageEncoder as _, codecs};

use super::{Error, ImageFormat};

/// The mouse pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// The point of the virtual screen that it points at.
    pub x: i32,
    /// The same, from above.
    pub y: i32,
    /// What it looks like.
    pub shape: Arc<Shape>,
}

/// What a pointer looks like.
#[derive(Clone, PartialEq, Eq)]
pub struct Shape {
    /// Its number; another shape has another one.
    pub id: u32,
    /// Width and height in pixels; none where it is invisible.
    pub size: (u32, u32),
    /// The pixel that points, from its left and from above.
    pub hotspot: (u32, u32),
    /// Red, green, blue and how opaque it is, for each pixel.
    pub rgba: Vec<u8>,
}

impl std::fmt::Debug for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shape").field("id", &self.id).field("size", &self.size).finish_non_exhaustive()
    }
}

impl Shape {
    /// Of pixels as X has them: one number each, of which colours are darkened by how transparent they are.
    #[cfg(target_os = "linux")]
    pub(super) fn of_argb(id: u32, size: (u32, u32), hotspot: (u32, u32), pixels: &[u32]) -> Self {
        let straight = |part: u8, alpha: u8| match alpha {
            0 => 0,
            alpha => u8::try_from((u32::from(part) * 255 + u32::from(alpha) / 2) / u32::from(alpha)).unwrap_or(u8::MAX),
        };
        let rgba = pixels.iter().flat_map(|pixel| {
            let [b, g, r, a] = pixel.to_le_bytes();
            [straight(r, a), straight(g, a), straight(b, a), a]
        });
        Self { id, size, hotspot, rgba: rgba.collect() }
    }

    /// It as a PNG.
    ///
    /// # Errors
    /// [`Error::Encode`] where the encoder gives up, as for a shape without pixels.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        let failed = |reason: String| Error::Encode { format: ImageFormat::Png, reason };
        if self.rgba.len() != self.size.0 as usize * self.size.1 as usize * 4 {
            return Err(failed("the pointer has other pixels than its size says".to_owned()));
        }
        let mut bytes = Vec::new();
        codecs::png::PngEncoder::new(&mut bytes)
            .write_image(&self.rgba, self.size.0, self.size.1, ExtendedColorType::Rgba8)
            .map_err(|error| failed(error.to_string()))?;
        Ok(bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn colours_are_those_that_were_meant() {
        let shape = Shape::of_argb(7, (2, 1), (0, 0), &[0xff10_2030, 0x8040_0000]);
        assert_eq!(shape.rgba, [0x10, 0x20, 0x30, 0xff, 0x80, 0, 0, 0x80]);
        let back = image::load_from_memory(&shape.png().unwrap()).unwrap().to_rgba8();
        assert_eq!(back.into_raw(), shape.rgba);
        assert!(Shape::of_argb(7, (2, 2), (0, 0), &[0]).png().is_err());
    }
}

//! A picture that stands in an error: small, and complete in itself.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::desktop::Desktop;
use crate::screen::{Capture, Frame, ImageFormat, Region};

/// Pixels that are shown around what is meant.
const AROUND: i32 = 24;
/// Width of a picture at most; a wider one is made smaller.
const WIDEST: u32 = 640;
/// Bytes of it at most.
const LARGEST: usize = 32 << 10;

/// What a part of a desktop shows now, with a little of what is around it, as a `data:` URL. None where it cannot be seen.
pub(super) fn on_desktop(desktop: &Desktop, part: Region) -> Option<String> {
    let around = around(part).overlap(desktop.screen().bounds().ok()?)?;
    shown(&desktop.screen().capture(&Capture { monitor: None, region: Some(around) }).ok()?)
}

fn around(part: Region) -> Region {
    let more = AROUND.unsigned_abs() * 2;
    Region {
        x: part.x.saturating_sub(AROUND),
        y: part.y.saturating_sub(AROUND),
        width: part.width.saturating_add(more),
        height: part.height.saturating_add(more),
    }
}

fn shown(frame: &Frame) -> Option<String> {
    let scale = (f64::from(WIDEST) / f64::from(frame.width())).min(1.0);
    let small = frame.scaled(scale).ok()?;
    let ways = [(1.0, ImageFormat::Png, 80), (1.0, ImageFormat::Jpeg, 70), (0.5, ImageFormat::Jpeg, 50), (0.25, ImageFormat::Jpeg, 40)];
    // What was made smaller is not as it was anyhow, and a PNG of it takes longest and is mostly too large.
    let exact = usize::from(scale < 1.0);
    ways.into_iter().skip(exact).find_map(|(scale, format, quality)| {
        let bytes = small.scaled(scale).ok()?.encode(format, quality).ok()?;
        let kind = if format == ImageFormat::Png { "png" } else { "jpeg" };
        (bytes.len() <= LARGEST).then(|| format!("data:image/{kind};base64,{}", STANDARD.encode(bytes)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stripes of many colours, which no coding makes small at once.
    fn colourful(width: u32, height: u32) -> Frame {
        let pixel = |at: u32| [at.wrapping_mul(31), at / 3, at / 5, 0].map(|shade| shade.to_le_bytes()[0]);
        Frame::of_bgrx((0..width * height).flat_map(pixel).collect(), (width, height))
    }

    fn decoded(url: &str) -> image::RgbImage {
        let (_, base64) = url.split_once(',').unwrap();
        image::load_from_memory(&STANDARD.decode(base64).unwrap()).unwrap().to_rgb8()
    }

    #[test]
    fn a_small_part_is_shown_as_it_is() {
        let frame = colourful(60, 40);
        let url = shown(&frame).unwrap();
        assert!(url.starts_with("data:image/png;base64,"), "{url}");
        assert_eq!(decoded(&url), frame.to_rgb());
    }

    #[test]
    fn a_whole_screen_is_made_small() {
        for frame in [colourful(1920, 1080), colourful(4000, 20)] {
            let url = shown(&frame).unwrap();
            assert!(url.starts_with("data:image/jpeg;base64,"), "{:.40}", url);
            let (width, height) = decoded(&url).dimensions();
            assert!(width <= WIDEST && url.len() <= LARGEST * 4 / 3 + 64, "{width}×{height}, {} bytes", url.len());
        }
    }
}

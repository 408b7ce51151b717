//! Making a screen look like print, which is what Tesseract was taught: large dark letters on white.

use std::borrow::Cow;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use image::GrayImage;

use super::{Error, Preprocess, Step};

/// Pixels an inch of a screen.
const INCH: i32 = 96;

/// The border of a line that was cut out, in pixels.
const LINE_BORDER: u32 = 10;

/// Pixels of a side at most: Tesseract keeps coordinates in 16 bits.
pub(super) const LONGEST: u32 = 32_000;

/// Pixels of an enlarged picture at most; larger ones are read as they are.
const ENLARGED: u64 = 100_000_000;

/// Pixels of height that hold a few lines at most.
const FEW_LINES: u32 = 64;

/// Steps of one pipeline at most, how much it may enlarge, and how wide a border may be.
const MOST: usize = 16;
const SCALES: std::ops::RangeInclusive<u32> = 1..=4;
const WIDEST: u32 = 200;

/// What is done for Tesseract where nobody says. Letters at the very edge are missed without a border, and a border of another shade than the background
/// is taken for a frame with letters in it.
pub(super) const AUTO: [Step; 3] = [Step::Scale(2), Step::InvertDark, Step::Border(10)];

/// A picture as an engine gets it, and how to get back from it.
#[derive(Debug)]
pub(super) struct Prepared<'a> {
    pub(super) image: Cow<'a, GrayImage>,
    /// Pixels an inch, so that Tesseract need not guess.
    pub(super) resolution: i32,
    /// A pixel of the picture that was given is so many here, across and down, and begins so far from the corner.
    scale: (f64, f64),
    offset: f64,
    original: (u32, u32),
}

/// How a picture is segmented that says nothing else. A few lines are one block (6): the smaller a picture, the more likely a closer look at
/// its layout takes it for no text at all. What is larger is text of several sizes (4): as one block, a form or a table loses whole rows to
/// its frames. What is as large as a screen is sparse text (11).
pub(super) fn default_segmentation(width: u32, height: u32) -> u8 {
    if u64::from(width) * u64::from(height) > 640 * 480 {
        11
    } else if height > FEW_LINES {
        4
    } else {
        6
    }
}

/// What is wrong with a pipeline for a picture of a size.
pub(super) fn check(how: Option<&Preprocess>, (width, height): (u32, u32)) -> Result<(), Error> {
    let Some(Preprocess::Steps(steps)) = how else { return Ok(()) };
    if steps.len() > MOST {
        return Err(Error::Invalid(format!("preprocess has {} steps; at most {MOST} are possible", steps.len())));
    }
    let mut size = (u64::from(width), u64::from(height));
    for step in steps {
        match step {
            Step::Scale(by) if !SCALES.contains(by) => return Err(Error::Invalid(format!("a picture is enlarged 1 to 4 times, not {by}"))),
            Step::Border(width) if *width > WIDEST => {
                return Err(Error::Invalid(format!("a border has 0 to {WIDEST} pixels, not {width}")));
            }
            Step::Scale(by) => size = (size.0 * u64::from(*by), size.1 * u64::from(*by)),
            Step::Border(width) => size = (size.0 + 2 * u64::from(*width), size.1 + 2 * u64::from(*width)),
            _ => continue,
        }
        if size.0.max(size.1) > u64::from(LONGEST) || size.0 * size.1 > ENLARGED {
            return Err(Error::Invalid(format!(
                "preprocess would make a picture of {}×{} of this one of {width}×{height}; at most {LONGEST} a side and {ENLARGED} pixels are \
                 possible: read a part of it, or enlarge it less",
                size.0, size.1
            )));
        }
    }
    Ok(())
}

/// Does what `how` says, and `auto` where that is left to the engine.
pub(super) fn prepared<'a>(picture: &'a GrayImage, how: &Preprocess, auto: &[Step]) -> Prepared<'a> {
    let steps: &[Step] = match how {
        Preprocess::None => &[],
        Preprocess::Auto => auto,
        Preprocess::Steps(steps) => steps,
    };
    let original = picture.dimensions();
    let mut ready = Prepared { image: Cow::Borrowed(picture), resolution: INCH, scale: (1.0, 1.0), offset: 0.0, original };
    for step in steps {
        ready.apply(*step);
    }
    ready.resolution = (f64::from(INCH) * ready.scale.1) as i32;
    ready
}

/// The same for one line that was cut out, so many times as large across and down.
pub(super) fn line(picture: &GrayImage, (across, down): (f64, f64)) -> Prepared<'_> {
    let original = picture.dimensions();
    let size = |length: u32, by: f64| (f64::from(length) * by).round().max(1.0) as u32;
    let (width, height) = (size(original.0, across), size(original.1, down));
    let mut ready = Prepared { image: Cow::Borrowed(picture), resolution: INCH, scale: (1.0, 1.0), offset: 0.0, original };
    if let Some(resized) = resized(picture, (width, height)).filter(|_| (width, height) != original) {
        ready.image = Cow::Owned(resized);
        ready.scale = (f64::from(width) / f64::from(original.0), f64::from(height) / f64::from(original.1));
    }
    ready.apply(Step::InvertDark);
    ready.apply(Step::Border(LINE_BORDER));
    ready.resolution = (f64::from(INCH) * down) as i32;
    ready
}

/// Row by row: pixel by pixel would cost more than the enlarging.
fn bordered(picture: &GrayImage, border: u32, background: u8) -> GrayImage {
    let (width, height) = (picture.width() + 2 * border, picture.height() + 2 * border);
    let (wide, border, inner) = (width as usize, border as usize, picture.width() as usize);
    let mut pixels = vec![background; wide * height as usize];
    for (to, from) in pixels.chunks_exact_mut(wide).skip(border).zip(picture.as_raw().chunks_exact(inner)) {
        to[border..border + inner].copy_from_slice(from);
    }
    // There are exactly as many as it has pixels.
    GrayImage::from_raw(width, height, pixels).unwrap_or_default()
}

/// Spreads the shades so that a hundredth of the pixels is black, and one white.
fn spread(picture: &mut GrayImage) {
    let counts = counts(picture);
    let cut = picture.len() / 100;
    let darkest = shade_at(&counts, cut);
    let lightest = shade_at(&counts, picture.len().saturating_sub(cut + 1));
    if lightest <= darkest {
        return;
    }
    let (from, span) = (i32::from(darkest), i32::from(lightest) - i32::from(darkest));
    picture.iter_mut().for_each(|pixel| {
        let shade = (i32::from(*pixel) - from) * 255 / span;
        *pixel = u8::try_from(shade.clamp(0, 255)).unwrap_or(u8::MAX);
    });
}

/// How many dark spots there are that are apart, as far as that shows from one row to the next: those that branch upwards count several times.
pub(super) fn spots(picture: &GrayImage) -> usize {
    let threshold = best_threshold(picture);
    let mut above = vec![false; picture.width() as usize];
    let mut spots = 0;
    for row in picture.as_raw().chunks_exact(above.len().max(1)) {
        // The run of dark pixels that goes on, and whether there is one above it.
        let mut run: Option<bool> = None;
        for (shade, above) in row.iter().zip(&mut above) {
            let dark = *shade <= threshold;
            run = match run {
                Some(_) if !dark => {
                    spots += usize::from(run == Some(false));
                    None
                }
                Some(joined) => Some(joined || *above),
                None => dark.then_some(*above),
            };
            *above = dark;
        }
        spots += usize::from(run == Some(false));
    }
    spots
}

/// The shade that parts the pixels so that those on either side are most alike (Otsu's).
fn best_threshold(picture: &GrayImage) -> u8 {
    let counts = counts(picture);
    let total = picture.len() as f64;
    let whole: f64 = counts.iter().enumerate().map(|(shade, count)| shade as f64 * *count as f64).sum();
    let (mut below, mut sum, mut best) = (0.0, 0.0, (0.0, 127));
    for (shade, count) in (0..=u8::MAX).zip(counts) {
        below += count as f64;
        sum += f64::from(shade) * count as f64;
        let above = total - below;
        if below > 0.0 && above > 0.0 {
            let apart = sum / below - (whole - sum) / above;
            let between = below * above * apart * apart;
            if between > best.0 {
                best = (between, shade);
            }
        }
    }
    best.1
}

fn enlarged(picture: &GrayImage, by: u32) -> Option<GrayImage> {
    resized(picture, (picture.width().checked_mul(by)?, picture.height().checked_mul(by)?))
}

/// By Lanczos' filter; nothing where that would be too large.
fn resized(picture: &GrayImage, (width, height): (u32, u32)) -> Option<GrayImage> {
    if width.max(height) > LONGEST || u64::from(width) * u64::from(height) > ENLARGED {
        return None;
    }
    convolved(picture, (width, height), FilterType::Lanczos3)
}

/// A picture in another size.
pub(super) fn convolved(picture: &GrayImage, (width, height): (u32, u32), filter: FilterType) -> Option<GrayImage> {
    let from = TypedImageRef::<U8>::from_buffer(picture.width(), picture.height(), picture.as_raw()).ok()?;
    let mut target = GrayImage::new(width, height);
    let mut to = TypedImage::<U8>::from_buffer(width, height, &mut target).ok()?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter));
    // For one kind of pixel: `resize` would compile them all.
    Resizer::new().resize_typed(&from, &mut to, &options).ok()?;
    Some(target)
}

/// The shade that half of the pixels are darker than: nearly always the background's.
pub(super) fn median(picture: &GrayImage) -> u8 {
    shade_at(&counts(picture), picture.len() / 2)
}

/// How many pixels each shade has.
fn counts(picture: &GrayImage) -> [usize; 256] {
    let mut counts = [0; 256];
    picture.iter().for_each(|pixel| counts[usize::from(*pixel)] += 1);
    counts
}

/// The shade of the pixel of that number, the darkest first.
fn shade_at(counts: &[usize; 256], number: usize) -> u8 {
    let mut seen = 0;
    let found = (0..=u8::MAX).find(|shade| {
        seen += counts[usize::from(*shade)];
        seen > number
    });
    found.unwrap_or(u8::MAX)
}

impl Prepared<'_> {
    fn apply(&mut self, step: Step) {
        match step {
            Step::Grey => {}
            Step::Invert => self.image.to_mut().iter_mut().for_each(|pixel| *pixel = 255 - *pixel),
            // Light letters on a dark theme.
            Step::InvertDark if median(&self.image) < 128 => self.apply(Step::Invert),
            Step::InvertDark => {}
            Step::Contrast => spread(self.image.to_mut()),
            Step::Threshold => {
                let threshold = best_threshold(&self.image);
                self.image.to_mut().iter_mut().for_each(|pixel| *pixel = if *pixel > threshold { 255 } else { 0 });
            }
            // One that would be too large stays as it is.
            Step::Scale(by) => {
                if let Some(large) = enlarged(&self.image, by).filter(|_| by > 1) {
                    self.image = Cow::Owned(large);
                    let by = f64::from(by);
                    (self.scale, self.offset) = ((self.scale.0 * by, self.scale.1 * by), self.offset * by);
                }
            }
            Step::Border(width) => {
                let fits = self.image.width().max(self.image.height()) + 2 * width <= LONGEST;
                if width > 0 && fits {
                    self.image = Cow::Owned(bordered(&self.image, width, median(&self.image)));
                    self.offset += f64::from(width);
                }
            }
        }
    }

    /// A box of this picture in pixels of the one that was given.
    pub(super) fn back(&self, left: u32, top: u32, width: u32, height: u32) -> (i32, i32, u32, u32) {
        let span = |start: u32, length: u32, limit: u32, scale: f64| {
            let given = |place: u32| (f64::from(place) - self.offset).max(0.0) / scale;
            // What the arithmetic adds is no pixel.
            let end = ((given(start.saturating_add(length)) - 1e-6).ceil() as u32).clamp(1, limit.max(1));
            let start = ((given(start) + 1e-6) as u32).min(end - 1);
            (i32::try_from(start).unwrap_or(i32::MAX), end - start)
        };
        let (x, width) = span(left, width, self.original.0, self.scale.0);
        let (y, height) = span(top, height, self.original.1, self.scale.1);
        (x, y, width, height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_come_back_in_the_pixels_that_were_given() {
        let picture = GrayImage::from_pixel(100, 50, image::Luma([255]));
        let ready = prepared(&picture, &Preprocess::Auto, &AUTO);
        assert_eq!(ready.image.dimensions(), (220, 120));
        assert_eq!(ready.back(30, 50, 40, 20), (10, 20, 20, 10));
        // In the border, and over the edge: inside the picture all the same.
        assert_eq!(ready.back(0, 0, 5, 5), (0, 0, 1, 1));
        assert_eq!(ready.back(0, 0, 220, 120), (0, 0, 100, 50));
        assert_eq!(prepared(&picture, &Preprocess::None, &AUTO).back(30, 40, 40, 5), (30, 40, 40, 5));
    }

    #[test]
    fn dark_themes_are_turned_to_dark_on_white() {
        let mut picture = GrayImage::from_pixel(40, 40, image::Luma([20]));
        picture.put_pixel(20, 20, image::Luma([240]));
        let ready = prepared(&picture, &Preprocess::Auto, &AUTO);
        assert!(ready.image.get_pixel(15, 15).0[0] > 200);
        assert_eq!(prepared(&picture, &Preprocess::None, &AUTO).image.get_pixel(0, 0).0[0], 20);
    }

    #[test]
    fn steps_are_done_one_after_the_other_and_boxes_come_back_through_all_of_them() {
        let picture = GrayImage::from_fn(40, 20, |x, _| image::Luma([if x < 30 { 100 } else { 140 }]));
        let steps = |steps: &[Step]| Preprocess::Steps(steps.to_vec());
        let ready = prepared(&picture, &steps(&[Step::Border(5), Step::Scale(3), Step::Border(2)]), &AUTO);
        assert_eq!(ready.image.dimensions(), (154, 94));
        assert_eq!(ready.back(17 + 30, 17 + 15, 30, 15), (10, 5, 10, 5));
        let shades = |how: &[Step]| {
            let ready = prepared(&picture, &steps(how), &AUTO);
            [ready.image.get_pixel(0, 0).0[0], ready.image.get_pixel(39, 0).0[0]]
        };
        assert_eq!(shades(&[Step::Contrast]), [0, 255]);
        assert_eq!(shades(&[Step::Threshold, Step::Invert]), [255, 0]);
        assert_eq!(shades(&[Step::InvertDark, Step::Grey]), [155, 115]);
        assert_eq!(shades(&[]), [100, 140]);
    }

    #[test]
    fn a_pipeline_is_written_as_a_word_or_as_steps() {
        let read = |text: &str| serde_json::from_str::<Preprocess>(text);
        assert_eq!(read("\"auto\"").unwrap(), Preprocess::Auto);
        let steps = Preprocess::Steps(vec![Step::Scale(3), Step::InvertDark, Step::Border(4)]);
        assert_eq!(read(r#"[{"scale": 3}, "invert_dark", {"border": 4}]"#).unwrap(), steps);
        assert_eq!(serde_json::to_string(&steps).unwrap(), r#"[{"scale":3},"invert_dark",{"border":4}]"#);
        assert!(read("\"best\"").unwrap_err().to_string().contains("invert_dark"));
        for wrong in [Step::Scale(0), Step::Scale(5), Step::Border(1000)] {
            assert!(check(Some(&Preprocess::Steps(vec![wrong])), (10, 10)).is_err(), "{wrong:?}");
        }
        assert!(check(Some(&Preprocess::Steps(vec![Step::Invert; 17])), (10, 10)).is_err());
    }

    #[test]
    fn steps_that_would_make_a_picture_too_large_are_refused() {
        let fault = |steps: &[Step], size| check(Some(&Preprocess::Steps(steps.to_vec())), size).err().map(|error| error.to_string());
        assert_eq!(fault(&[Step::Scale(4), Step::Border(200)], (2000, 2000)), None);
        let wide = fault(&[Step::Invert, Step::Scale(4), Step::Border(200)], (7950, 10)).unwrap();
        assert!(wide.contains("32200×440") && wide.contains("7950×10"), "{wide}");
        assert!(fault(&[Step::Scale(4)], (8000, 800)).is_some(), "as many pixels as are possible, and some more");
        assert!(fault(&[Step::Scale(2), Step::Scale(2), Step::Scale(2)], (5000, 10)).is_some());
    }

    #[test]
    fn spots_that_are_apart_are_counted_once_for_each_of_their_tips() {
        let drawn = |rows: &[&str]| {
            let width = rows[0].len() as u32;
            GrayImage::from_fn(width, rows.len() as u32, |x, y| {
                image::Luma([if rows[y as usize].as_bytes()[x as usize] == b'#' { 0 } else { 255 }])
            })
        };
        assert_eq!(spots(&drawn(&["....", "...."])), 0);
        assert_eq!(spots(&drawn(&["#..#", "#..#", "####"])), 2);
        assert_eq!(spots(&drawn(&[".##.", "####", "#..#"])), 1);
        assert_eq!(spots(&drawn(&["#.#.", ".#.#", "#.#."])), 6);
    }
}

//! A part of a picture as it is sent to somebody who shows it: of one colour, with few colours, with many, or as a JPEG. All but the
//! last give the pixels back as they were, and can be read with what every browser has.

use std::collections::HashMap;

use flate2::{Compress, Compression, FlushCompress, Status};

use super::frame::{Frame, PIXEL};
use super::{Error, ImageFormat, Region};

/// More colours than this are many.
const FEW: usize = 256;

/// How a part of a picture is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// As a JPEG of this quality (1–100).
    Jpeg(u8),
    /// Without loss.
    Exact,
}

/// A part of a picture, written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Coded {
    /// A JPEG.
    Jpeg(Vec<u8>),
    /// How many colours but one; red, green and blue of each; then a zlib stream of their numbers, row by row, in 1, 2, 4 or 8 bits
    /// each (for at most 2, 4, 16 and 256 colours), the first in the highest bits, each row beginning with a byte of its own.
    Few(Vec<u8>),
    /// A zlib stream of red, green and blue, row by row, each less its left neighbour's (at the left edge: less the one above it).
    Many(Vec<u8>),
    /// Red, green and blue of all pixels.
    Plain([u8; 3]),
}

/// What a tile looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// With few colours, as text and drawings are.
    Drawn,
    /// With many, and flat all the same, as drawings with shades are.
    Shaded,
    /// With many, as photographs and films.
    Seen,
}

impl Frame {
    /// What a part looks like, by some of its rows. A part that is not there is flat.
    pub fn nature(&self, part: Region) -> Nature {
        let Ok(rows) = self.part(part) else { return Nature::Drawn };
        let mut known = Palette::new(FEW / 2);
        let (mut pixels, mut changes, mut many) = (0_usize, 0_usize, false);
        for row in rows.step_by(4) {
            let mut last = None;
            for pixel in row.chunks_exact(PIXEL).map(colour) {
                pixels += 1;
                if last != Some(pixel) {
                    changes += 1;
                    last = Some(pixel);
                    many = many || known.number(pixel).is_none();
                }
            }
        }
        // Text with smooth edges has many colours and still large flat areas.
        match many {
            false => Nature::Drawn,
            true if changes * 2 > pixels => Nature::Seen,
            true => Nature::Shaded,
        }
    }

    /// Writes a part down.
    ///
    /// # Errors
    /// [`Error::OffScreen`] for a part that is not there; [`Error::Encode`] where the encoder gives up.
    pub fn code(&self, part: Region, coding: Coding) -> Result<Coded, Error> {
        if let Coding::Jpeg(quality) = coding {
            return Ok(Coded::Jpeg(self.lend(part)?.encode(ImageFormat::Jpeg, quality.into())?));
        }
        match self.indexed(part)? {
            Some(Indexed { colours, .. }) if colours.len() == 1 => Ok(Coded::Plain(rgb(colours.first().copied().unwrap_or_default()))),
            Some(indexed) => indexed.coded(part.width as usize).map(Coded::Few),
            None => self.many(part).map(Coded::Many),
        }
    }

    /// The numbers of a part's colours, where they are few.
    fn indexed(&self, part: Region) -> Result<Option<Indexed>, Error> {
        let mut palette = Palette::new(FEW);
        let mut numbers = Vec::with_capacity(part.width as usize * part.height as usize);
        for row in self.part(part)? {
            let (mut last, mut number) = (None, 0);
            for pixel in row.chunks_exact(PIXEL).map(colour) {
                if last != Some(pixel) {
                    last = Some(pixel);
                    match palette.number(pixel) {
                        Some(found) => number = found,
                        None => return Ok(None),
                    }
                }
                numbers.push(number);
            }
        }
        Ok(Some(Indexed { colours: palette.colours, numbers }))
    }

    fn many(&self, part: Region) -> Result<Vec<u8>, Error> {
        let mut raw = Vec::with_capacity(part.width as usize * part.height as usize * 3);
        let mut above = [0; 3];
        for row in self.part(part)? {
            let mut left = above;
            for (index, pixel) in row.chunks_exact(PIXEL).enumerate() {
                let now = rgb(colour(pixel));
                if index == 0 {
                    above = now;
                }
                raw.extend(now.iter().zip(left).map(|(now, left)| now.wrapping_sub(left)));
                left = now;
            }
        }
        let mut out = Vec::new();
        deflate(&raw, &mut out)?;
        Ok(out)
    }
}

/// Blue, green and red as one number. The fourth byte means nothing.
fn colour(pixel: &[u8]) -> u32 {
    pixel.try_into().map_or(0, u32::from_le_bytes) & 0x00ff_ffff
}

fn rgb(colour: u32) -> [u8; 3] {
    let [b, g, r, _] = colour.to_le_bytes();
    [r, g, b]
}

/// The colours of a part, numbered as they were met.
struct Palette {
    most: usize,
    colours: Vec<u32>,
    /// By a number of twelve bits that is made of the colour: its number and one, or nothing, where another has the place.
    quick: Vec<u16>,
    others: HashMap<u32, u8>,
}

impl Palette {
    fn new(most: usize) -> Self {
        Self { most, colours: Vec::with_capacity(most), quick: vec![0; 4096], others: HashMap::new() }
    }

    /// The colour's number; none where there are too many.
    fn number(&mut self, colour: u32) -> Option<u8> {
        let place = self.quick.get_mut((colour.wrapping_mul(0x9e37_79b1) >> 20) as usize)?;
        if let Some(number) = place.checked_sub(1) {
            let number = u8::try_from(number).ok()?;
            if self.colours.get(usize::from(number)) == Some(&colour) {
                return Some(number);
            }
            if let Some(number) = self.others.get(&colour) {
                return Some(*number);
            }
        }
        if self.colours.len() >= self.most {
            return None;
        }
        let number = u8::try_from(self.colours.len()).ok()?;
        self.colours.push(colour);
        if *place == 0 {
            *place = u16::from(number) + 1;
        } else {
            self.others.insert(colour, number);
        }
        Some(number)
    }
}

/// A part with few colours.
struct Indexed {
    colours: Vec<u32>,
    numbers: Vec<u8>,
}

impl Indexed {
    fn coded(&self, width: usize) -> Result<Vec<u8>, Error> {
        let mut out = vec![u8::try_from(self.colours.len().saturating_sub(1)).unwrap_or(u8::MAX)];
        self.colours.iter().for_each(|colour| out.extend(rgb(*colour)));
        let bits = match self.colours.len() {
            0..=2 => 1,
            3..=4 => 2,
            5..=16 => 4,
            _ => {
                deflate(&self.numbers, &mut out)?;
                return Ok(out);
            }
        };
        let mut packed = Vec::with_capacity(self.numbers.len() * bits / 8 + self.numbers.len() / width.max(1));
        for row in self.numbers.chunks(width.max(1)) {
            let bytes = row.chunks(8 / bits).map(|group| {
                let joined = group.iter().fold(0_u8, |joined, number| joined << bits | number);
                joined << (bits * (8 / bits - group.len()))
            });
            packed.extend(bytes);
        }
        deflate(&packed, &mut out)?;
        Ok(out)
    }
}

/// Adds a zlib stream of `raw`.
fn deflate(raw: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
    let failed = |reason: String| Error::Failed(format!("a part of the picture could not be written down: {reason}"));
    let mut compress = Compress::new(Compression::fast(), true);
    out.reserve(raw.len() / 4 + 64);
    loop {
        let taken = usize::try_from(compress.total_in()).unwrap_or(usize::MAX);
        let rest = raw.get(taken..).unwrap_or_default();
        match compress.compress_vec(rest, out, FlushCompress::Finish).map_err(|error| failed(error.to_string()))? {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError => out.reserve(out.capacity().max(1024)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::frame::Pixels;
    use super::*;

    fn frame((width, height): (u32, u32), pixel: impl Fn(u32, u32) -> [u8; 3]) -> Frame {
        let at = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        let bytes = at.map(|(x, y)| pixel(x, y)).enumerate().flat_map(|(index, [r, g, b])| [b, g, r, (index % 7) as u8]).collect();
        Frame::new(Pixels::Owned(bytes), Region { x: 3, y: 4, width, height }).unwrap()
    }

    fn inflated(bytes: &[u8]) -> Vec<u8> {
        let mut raw = Vec::new();
        flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut raw).unwrap();
        raw
    }

    /// The pixels again, as a client works them out.
    fn decoded(coded: &Coded, (width, height): (usize, usize)) -> Vec<[u8; 3]> {
        match coded {
            Coded::Plain(colour) => vec![*colour; width * height],
            Coded::Few(bytes) => {
                let count = usize::from(bytes[0]) + 1;
                let colours: Vec<[u8; 3]> = bytes[1..=count * 3].chunks(3).map(|colour| colour.try_into().unwrap()).collect();
                let bits = match count {
                    1..=2 => 1,
                    3..=4 => 2,
                    5..=16 => 4,
                    _ => 8,
                };
                let raw = inflated(&bytes[1 + count * 3..]);
                let row = (width * bits).div_ceil(8);
                let number = |x: usize, y: usize| raw[y * row + x * bits / 8] >> (8 - bits - x * bits % 8) & (0xff >> (8 - bits));
                (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| colours[usize::from(number(x, y))]).collect()
            }
            Coded::Many(bytes) => {
                let mut pixels: Vec<[u8; 3]> = Vec::new();
                for (index, less) in inflated(bytes).chunks(3).enumerate() {
                    let before = match index % width {
                        0 => index.checked_sub(width).map_or([0; 3], |above| pixels[above]),
                        _ => pixels[index - 1],
                    };
                    pixels.push([0, 1, 2].map(|part| less[part].wrapping_add(before[part])));
                }
                pixels
            }
            Coded::Jpeg(bytes) => image::load_from_memory(bytes).unwrap().to_rgb8().pixels().map(|pixel| pixel.0).collect(),
        }
    }

    #[test]
    fn every_number_of_colours_comes_back_exactly() {
        for (colours, few) in
            [(1_u32, true), (2, true), (3, true), (4, true), (16, true), (17, true), (256, true), (257, false), (9000, false)]
        {
            let pixel = |x: u32, y: u32| {
                let number = (y * 97 + x) % colours;
                [u8::try_from(number % 256).unwrap(), u8::try_from(number / 256).unwrap(), 7]
            };
            let frame = frame((101, 97), pixel);
            let part = Region { x: 1, y: 2, width: 99, height: 95 };
            let coded = frame.code(part, Coding::Exact).unwrap();
            match &coded {
                Coded::Plain(_) => assert_eq!(colours, 1),
                Coded::Few(_) => assert!(few && colours > 1, "{colours}"),
                Coded::Many(_) => assert!(!few, "{colours}"),
                Coded::Jpeg(_) => panic!("{colours}"),
            }
            let expected: Vec<[u8; 3]> = (2..97).flat_map(|y| (1..100).map(move |x| (x, y))).map(|(x, y)| pixel(x, y)).collect();
            assert_eq!(decoded(&coded, (99, 95)), expected, "{colours} colours");
        }
    }

    #[test]
    fn a_jpeg_is_one_of_the_part_only() {
        let frame = frame((300, 40), |x, _| if x < 100 { [255, 0, 0] } else { [0, 0, 255] });
        let coded = frame.code(Region { x: 120, y: 0, width: 64, height: 33 }, Coding::Jpeg(90)).unwrap();
        assert!(decoded(&coded, (64, 33)).iter().all(|[r, g, b]| *r < 6 && *g < 6 && *b > 245));
    }

    #[test]
    fn text_is_drawn_and_noise_is_seen() {
        let all = Region { x: 0, y: 0, width: 64, height: 64 };
        let noise = |x: u32, y: u32| (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca6b)).wrapping_mul(0xc2b2_ae35).to_le_bytes();
        let random = frame((64, 64), |x, y| [noise(x, y)[1], noise(x, y)[2], noise(x, y)[3]]);
        assert_eq!(random.nature(all), Nature::Seen);
        assert_eq!(frame((64, 64), |x, y| [u8::from(x % 3 == y % 5) * 200; 3]).nature(all), Nature::Drawn);
        // Smooth from top to bottom: many colours, and they change seldom.
        assert_eq!(frame((64, 64), |x, y| [u8::try_from(y).unwrap(), u8::try_from(x / 4).unwrap(), 0]).nature(all), Nature::Shaded);
    }

    #[test]
    fn a_part_that_is_not_there_is_refused() {
        let frame = frame((10, 10), |_, _| [0; 3]);
        for coding in [Coding::Exact, Coding::Jpeg(80)] {
            assert!(frame.code(Region { x: 5, y: 5, width: 6, height: 1 }, coding).is_err());
            assert!(frame.code(Region { x: 0, y: 0, width: 0, height: 1 }, coding).is_err());
        }
    }
}

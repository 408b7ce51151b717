//! A client of the binary stream, written by its description (`src/api/desktop_stream/protocol.md`) and by nothing else.

use std::collections::BTreeMap;
use std::io::Read as _;

/// The picture as a client has it.
#[derive(Default)]
pub struct Painted {
    pub width: usize,
    pub height: usize,
    /// Red, green and blue, row by row.
    pub pixels: Vec<[u8; 3]>,
}

/// What a message said.
#[derive(Debug)]
pub struct Told {
    pub sequence: u32,
    pub whole: bool,
    pub exact: bool,
    pub timestamp: f64,
    /// How many rectangles of each kind.
    pub kinds: BTreeMap<u8, usize>,
    /// Pixels of each kind.
    pub areas: BTreeMap<u8, usize>,
    pub bytes: usize,
}

pub const MOVED: u8 = 0;
pub const JPEG: u8 = 1;
pub const FEW: u8 = 2;

impl Told {
    /// A sign of life.
    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }
}

struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn u8(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn u16(&mut self) -> usize {
        u16::from_le_bytes(self.take(2).try_into().unwrap()).into()
    }

    fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take(4).try_into().unwrap())
    }
}

impl Painted {
    /// Applies a message.
    pub fn apply(&mut self, message: &[u8]) -> Told {
        let mut bytes = Bytes(message);
        assert_eq!(bytes.u8(), 1);
        let flags = bytes.u8();
        let count = bytes.u16();
        let sequence = bytes.u32();
        let timestamp = f64::from_le_bytes(bytes.take(8).try_into().unwrap());
        let size = (bytes.u16(), bytes.u16());
        assert_eq!((flags & !3, bytes.u32()), (0, 0));
        let whole = flags & 1 != 0;
        if whole {
            (self.width, self.height) = size;
            self.pixels = vec![[255, 0, 255]; size.0 * size.1];
        }
        assert_eq!(size, (self.width, self.height), "another size without a whole picture");
        let (mut kinds, mut areas) = (BTreeMap::new(), BTreeMap::new());
        for _ in 0..count {
            let (kind, zero) = (bytes.u8(), bytes.u8());
            let (x, y, width, height) = (bytes.u16(), bytes.u16(), bytes.u16(), bytes.u16());
            assert_eq!((zero, bytes.u16()), (0, 0));
            assert!(width > 0 && height > 0 && x + width <= self.width && y + height <= self.height, "{x} {y} {width} {height}");
            let length = bytes.u32() as usize;
            let payload = bytes.take(length);
            *kinds.entry(kind).or_insert(0) += 1;
            *areas.entry(kind).or_insert(0) += width * height;
            let pixels = self.decode(kind, payload, width, height);
            assert_eq!(pixels.len(), width * height);
            for (row, line) in pixels.chunks(width).enumerate() {
                let at = (y + row) * self.width + x;
                self.pixels[at..at + width].copy_from_slice(line);
            }
        }
        assert!(bytes.0.is_empty(), "{} bytes too many", bytes.0.len());
        Told { sequence, whole, exact: flags & 2 != 0, timestamp, kinds, areas, bytes: message.len() }
    }

    fn decode(&self, kind: u8, payload: &[u8], width: usize, height: usize) -> Vec<[u8; 3]> {
        let mut bytes = Bytes(payload);
        match kind {
            MOVED => {
                let (left, top) = (bytes.u16(), bytes.u16());
                let rows = top..top + height;
                rows.flat_map(|y| self.pixels[y * self.width + left..][..width].to_vec()).collect()
            }
            JPEG => {
                let picture = image::load_from_memory_with_format(payload, image::ImageFormat::Jpeg).unwrap().to_rgb8();
                assert_eq!((picture.width() as usize, picture.height() as usize), (width, height));
                picture.pixels().map(|pixel| pixel.0).collect()
            }
            FEW => {
                let count = usize::from(bytes.u8()) + 1;
                let colours: Vec<[u8; 3]> = bytes.take(count * 3).chunks(3).map(|colour| colour.try_into().unwrap()).collect();
                let bits = [(2, 1), (4, 2), (16, 4), (256, 8)].into_iter().find(|(most, _)| count <= *most).unwrap().1;
                let raw = inflated(bytes.0);
                let stride = (width * bits).div_ceil(8);
                assert_eq!(raw.len(), stride * height);
                let mut pixels = Vec::new();
                for row in raw.chunks(stride) {
                    for x in 0..width {
                        let number = row[x * bits / 8] >> (8 - bits - x * bits % 8) & ((1_u16 << bits) - 1) as u8;
                        pixels.push(colours[usize::from(number)]);
                    }
                }
                pixels
            }
            3 => {
                let raw = inflated(payload);
                let mut pixels: Vec<[u8; 3]> = Vec::new();
                for (index, less) in raw.chunks(3).enumerate() {
                    let before = match (index % width, index / width) {
                        (0, 0) => [0; 3],
                        (0, _) => pixels[index - width],
                        _ => pixels[index - 1],
                    };
                    pixels.push([0, 1, 2].map(|part| before[part].wrapping_add(less[part])));
                }
                pixels
            }
            4 => vec![payload.try_into().unwrap(); width * height],
            other => panic!("kind {other}"),
        }
    }

    /// Whether it shows exactly this.
    pub fn is(&self, picture: &image::RgbImage) -> bool {
        (picture.width() as usize, picture.height() as usize) == (self.width, self.height)
            && picture.as_raw().chunks_exact(3).eq(self.pixels.iter().map(|pixel| &pixel[..]))
    }
}

fn inflated(bytes: &[u8]) -> Vec<u8> {
    let mut raw = Vec::new();
    flate2::read::ZlibDecoder::new(bytes).read_to_end(&mut raw).unwrap();
    raw
}

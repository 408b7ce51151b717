//! A fingerprint of a picture, by which two pictures are compared without their pixels: a number for each piece of a row that is as
//! wide as a tile. It is far smaller than the picture, and rows that have moved are found by it.

use super::frame::{Frame, PIXEL};
use super::{Error, Region};

/// The side of a tile in pixels: what a picture is compared, judged and sent in.
pub const TILE: u32 = 64;

/// A row of a tile in bytes.
const PIECE: usize = TILE as usize * PIXEL;

/// The fingerprint of a picture. Equal numbers stand for equal pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cells {
    size: (u32, u32),
    /// One column of tiles after the other, each from the top row to the bottom.
    numbers: Vec<u64>,
}

impl Cells {
    /// Of a picture.
    pub fn of(frame: &Frame) -> Self {
        let size = (frame.width(), frame.height());
        let mut this = Self { size, numbers: vec![0; size.0.div_ceil(TILE) as usize * size.1 as usize] };
        this.look(frame, Region { x: 0, y: 0, width: size.0, height: size.1 });
        this
    }

    /// Of a picture of the same size of which only some rectangles, counted from its corner, can differ from this one's.
    ///
    /// # Errors
    /// [`Error::Failed`] for one of another size.
    pub fn after(&self, frame: &Frame, changed: &[Region]) -> Result<Self, Error> {
        if self.size != (frame.width(), frame.height()) {
            return Err(Error::Failed("pictures of different sizes were compared".to_owned()));
        }
        let mut this = self.clone();
        changed.iter().for_each(|part| this.look(frame, *part));
        Ok(this)
    }

    /// Width and height of the picture.
    pub fn size(&self) -> (u32, u32) {
        self.size
    }

    /// The numbers of each column of tiles, from the left, each from the top.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &[u64]> {
        self.numbers.chunks_exact(self.size.1.max(1) as usize)
    }

    fn look(&mut self, frame: &Frame, part: Region) {
        let height = self.size.1 as usize;
        let clamp = |value: i64, most: u32| usize::try_from(value.clamp(0, most.into())).unwrap_or_default();
        let (top, bottom) = (clamp(part.y.into(), self.size.1), clamp(part.bottom(), self.size.1));
        let (left, right) = (clamp(part.x.into(), self.size.0), clamp(part.right(), self.size.0));
        if top >= bottom || left >= right {
            return;
        }
        let (first, last) = (left / TILE as usize, right.div_ceil(TILE as usize));
        for (y, row) in frame.rows().enumerate().take(bottom).skip(top) {
            let pieces = row.chunks(PIECE).enumerate().take(last).skip(first);
            for (column, piece) in pieces {
                if let Some(number) = self.numbers.get_mut(column * height + y) {
                    *number = number_of(piece);
                }
            }
        }
    }
}

/// The number of a piece of a row: products of 128 bits, folded, which mix every bit of both factors.
fn number_of(piece: &[u8]) -> u64 {
    const ODD: [u64; 4] = [0xa076_1d64_78bd_642f, 0xe703_7ed1_a0b4_28db, 0x8ebc_6af0_9c88_c6e3, 0x5899_65cc_7537_4cc3];
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
        let halves = (product as u64, (product >> 64) as u64);
        halves.0 ^ halves.1
    };
    let word = |bytes: &[u8]| bytes.try_into().map_or(0, u64::from_le_bytes);
    let (mut one, mut two) = (ODD[0], ODD[1] ^ piece.len() as u64);
    let blocks = piece.chunks_exact(32);
    let rest = blocks.remainder();
    for block in blocks {
        one = fold(word(&block[..8]) ^ ODD[2], word(&block[8..16]) ^ one);
        two = fold(word(&block[16..24]) ^ ODD[3], word(&block[24..32]) ^ two);
    }
    for pixel in rest.chunks_exact(PIXEL) {
        one = fold(u64::from(pixel.try_into().map_or(0, u32::from_le_bytes)) ^ ODD[2], one ^ ODD[3]);
    }
    fold(one ^ ODD[1], two ^ ODD[0])
}

#[cfg(test)]
mod tests {
    use super::super::frame::Pixels;
    use super::*;

    fn frame((width, height): (u32, u32), pixel: impl Fn(u32, u32) -> u8) -> Frame {
        let bytes = (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| [pixel(x, y), 1, 2, 0]).collect();
        Frame::new(Pixels::Owned(bytes), Region { x: 9, y: 9, width, height }).unwrap()
    }

    #[test]
    fn equal_rows_have_equal_numbers_wherever_they_are() {
        let cells = Cells::of(&frame((150, 40), |_, y| u8::try_from(y % 20).unwrap()));
        assert_eq!(cells.columns().len(), 3);
        for column in cells.columns() {
            assert_eq!(column.len(), 40);
            assert_eq!(column[..20], column[20..]);
            let distinct: std::collections::BTreeSet<_> = column.iter().collect();
            assert_eq!(distinct.len(), 20);
        }
    }

    #[test]
    fn only_what_may_have_changed_is_looked_at() {
        let size = (200, 100);
        let before = Cells::of(&frame(size, |_, _| 0));
        let now = frame(size, |x, y| u8::from((x, y) == (70, 50) || (x, y) == (199, 99)));
        let all = Cells::of(&now);
        assert_eq!(before.columns().zip(all.columns()).map(|(a, b)| (0..100).filter(|y| a[*y] != b[*y]).count()).sum::<usize>(), 2);
        assert_eq!(
            before.after(&now, &[Region { x: 64, y: 40, width: 8, height: 20 }, Region { x: 190, y: 99, width: 900, height: 9 }]).unwrap(),
            all
        );
        assert_ne!(before.after(&now, &[Region { x: 0, y: 0, width: 64, height: 100 }]).unwrap(), all);
        assert!(before.after(&frame((199, 100), |_, _| 0), &[]).is_err());
    }
}

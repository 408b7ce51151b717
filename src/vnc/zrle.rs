//! ZRLE: tiles of 64×64 pixels, by palettes and runs, in one zlib stream that goes on from rectangle to rectangle.

use flate2::{Decompress, FlushDecompress, Status};
use tokio::io::AsyncRead;

use super::Shared;
use super::picture::{Area, PIXEL};
use super::wire::{Broken, Incoming};

const TILE: u32 = 64;
/// Bytes of a pixel here: the one that means nothing is left out.
const SHORT: usize = 3;
/// Bytes that there is always room for.
const ROOM: usize = 4096;
/// Bytes that a tile may have beside its pixels, and a compressed stream beside what it holds.
const BESIDE: usize = 512;

/// Draws a rectangle that lies in the picture.
pub(super) async fn decode<R: AsyncRead + Unpin>(
    shared: &Shared,
    stream: &mut Decompress,
    area: Area,
    server: &mut Incoming<R>,
) -> Result<(), Broken> {
    let pixels = area.width as usize * area.height as usize;
    let tiles = area.width.div_ceil(TILE) as usize * area.height.div_ceil(TILE) as usize;
    // A run of one pixel has a byte more than the pixel.
    let most = pixels * (SHORT + 1) + tiles * BESIDE;
    let length = server.u32().await? as usize;
    if length > most + BESIDE {
        return Err(format!("the server says that {pixels} pixels are {length} bytes when compressed"));
    }
    let compressed = server.bytes(length).await?;
    let bytes = inflate(stream, &compressed, most)?;
    let mut source = Source(&bytes);
    for y in (area.y..area.y + area.height).step_by(TILE as usize) {
        for x in (area.x..area.x + area.width).step_by(TILE as usize) {
            let tile = Area { x, y, width: TILE.min(area.x + area.width - x), height: TILE.min(area.y + area.height - y) };
            let drawn = draw(&mut source, tile).ok_or("the server sent pixels that are none")?;
            let mut state = shared.lock();
            for (line, row) in (y..).zip(drawn.chunks_exact(tile.width as usize * PIXEL)) {
                state.picture.write(x, line, row);
            }
        }
    }
    Ok(())
}

/// What is compressed, up to so many bytes.
fn inflate(stream: &mut Decompress, compressed: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    let mut bytes = Vec::new();
    let begin = stream.total_in();
    loop {
        let used = usize::try_from(stream.total_in() - begin).unwrap_or(usize::MAX);
        let rest = compressed.get(used..).unwrap_or_default();
        if bytes.len() > most {
            return Err("the server sent more pixels than it said".to_owned());
        }
        // No more than is allowed, and a little, which is how it is found out that it is more.
        bytes.reserve((rest.len() * 4).min(most) + ROOM);
        let before = (stream.total_in(), bytes.len());
        let status = stream.decompress_vec(rest, &mut bytes, FlushDecompress::Sync);
        let status = status.map_err(|error| format!("the server sent what cannot be decompressed: {error}"))?;
        if status == Status::StreamEnd {
            return Err("the server ended a stream that has to go on".to_owned());
        }
        // Nothing more comes, and nothing more is there.
        if before == (stream.total_in(), bytes.len()) {
            return if bytes.len() > most { Err("the server sent more pixels than it said".to_owned()) } else { Ok(bytes) };
        }
    }
}

/// Bytes, from their beginning.
struct Source<'a>(&'a [u8]);

impl<'a> Source<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn pixel(&mut self) -> Option<[u8; PIXEL]> {
        match self.take(SHORT)? {
            &[blue, green, red] => Some([blue, green, red, 0]),
            _ => None,
        }
    }

    /// The length of a run: what all its bytes sum up to, and one; the last is below 255.
    fn run(&mut self, most: usize) -> Option<usize> {
        let mut length = 1;
        loop {
            let byte = self.byte()?;
            length += usize::from(byte);
            if length > most {
                return None;
            }
            if byte < 255 {
                return Some(length);
            }
        }
    }
}

/// The pixels of a tile; none where they make no sense.
fn draw(source: &mut Source<'_>, tile: Area) -> Option<Vec<u8>> {
    let count = tile.width as usize * tile.height as usize;
    let mut pixels = Vec::with_capacity(count * PIXEL);
    let kind = source.byte()?;
    let (runs, colours) = (kind & 128 != 0, usize::from(kind & 127));
    match (runs, colours) {
        (false, 0) => {
            for _ in 0..count {
                pixels.extend_from_slice(&source.pixel()?);
            }
        }
        (false, 1) => pixels = source.pixel()?.repeat(count),
        (false, 2..=16) => {
            let palette = (0..colours).map(|_| source.pixel()).collect::<Option<Vec<_>>>()?;
            let bits = match colours {
                2 => 1,
                3..=4 => 2,
                _ => 4,
            };
            for _ in 0..tile.height {
                let row = source.take((tile.width as usize * bits).div_ceil(8))?;
                for column in 0..tile.width as usize {
                    let at = column * bits;
                    let packed = usize::from(*row.get(at / 8)?);
                    let number = (packed >> (8 - bits - at % 8)) & ((1 << bits) - 1);
                    pixels.extend_from_slice(palette.get(number)?);
                }
            }
        }
        (true, 0) => {
            while pixels.len() < count * PIXEL {
                let colour = source.pixel()?;
                let length = source.run(count - pixels.len() / PIXEL)?;
                pixels.extend(colour.repeat(length));
            }
        }
        (true, 2..) => {
            let palette = (0..colours).map(|_| source.pixel()).collect::<Option<Vec<_>>>()?;
            while pixels.len() < count * PIXEL {
                let number = source.byte()?;
                let colour = palette.get(usize::from(number & 127))?;
                let length = if number & 128 == 0 { 1 } else { source.run(count - pixels.len() / PIXEL)? };
                pixels.extend(colour.repeat(length));
            }
        }
        _ => return None,
    }
    Some(pixels)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tile(bytes: &[u8], width: u32, height: u32) -> Option<Vec<u8>> {
        let drawn = draw(&mut Source(bytes), Area { x: 0, y: 0, width, height })?;
        Some(drawn.chunks_exact(PIXEL).map(|pixel| pixel[0]).collect())
    }

    #[test]
    fn each_kind_of_tile_is_drawn() {
        for (what, bytes, drawn) in [
            ("as it is", vec![0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4], vec![1, 2, 3, 4]),
            ("one colour", vec![1, 9, 9, 9], vec![9; 4]),
            ("two colours, a bit each, rows by themselves", vec![2, 1, 1, 1, 2, 2, 2, 0b1000_0000, 0b0100_0000], vec![2, 1, 1, 2]),
            ("three colours, two bits each", vec![3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0b1000_0000, 0b0001_0000], vec![3, 1, 1, 2]),
            ("runs", vec![128, 1, 1, 1, 0, 2, 2, 2, 2], vec![1, 2, 2, 2]),
            ("runs of a palette", vec![130, 1, 1, 1, 2, 2, 2, 1, 128, 2], vec![2, 1, 1, 1]),
        ] {
            assert_eq!(tile(&bytes, 2, 2), Some(drawn), "{what}");
        }
        // 255 says that the length goes on.
        assert_eq!(tile(&[128, 7, 7, 7, 255, 0], 16, 16), Some(vec![7; 256]));
    }

    #[test]
    fn what_makes_no_sense_is_none() {
        for bytes in [
            &[][..],
            &[0, 1, 1],
            &[17],
            &[127],
            &[129, 1, 1, 1, 0],
            &[128, 1, 1, 1, 4],
            &[128, 1, 1, 1, 255, 255, 255],
            &[130, 1, 1, 1, 2, 2, 2, 2],
            &[3, 1, 1, 1, 2, 2, 2, 3, 3, 3, 0b1100_0000, 0],
        ] {
            assert_eq!(tile(bytes, 2, 2), None, "{bytes:?}");
        }
    }
}

//! The bytes of an update. What they mean is told to clients in `protocol.md`, beside this file, which the API's description shows.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::desktop::Update;
use crate::screen::{Coded, Region};

/// The first byte of every message.
const UPDATE: u8 = 1;
const WHOLE: u8 = 1;
const EXACT: u8 = 2;
/// Bytes before the first rectangle.
const HEAD: usize = 24;
/// Bytes of a rectangle before its own.
const RECTANGLE: usize = 16;

const MOVED: u8 = 0;
const JPEG: u8 = 1;
const FEW: u8 = 2;
const MANY: u8 = 3;
const PLAIN: u8 = 4;

/// An update as it is sent.
pub(super) fn update(sequence: u32, update: &Update) -> Vec<u8> {
    let size: usize = update.painted.iter().map(|(_, coded)| RECTANGLE + bytes(coded).len()).sum();
    let mut out = Vec::with_capacity(HEAD + size + update.moved.len() * (RECTANGLE + 4));
    let flags = if update.whole { WHOLE } else { 0 } | if update.exact { EXACT } else { 0 };
    head(&mut out, flags, sequence, update.taken, update.size, update.moved.len() + update.painted.len());
    for moved in &update.moved {
        rectangle(&mut out, MOVED, moved.to, 4);
        out.extend(low(moved.to.x).to_le_bytes());
        out.extend(low(moved.from_y).to_le_bytes());
    }
    for (area, coded) in &update.painted {
        let codec = match **coded {
            Coded::Jpeg(_) => JPEG,
            Coded::Few(_) => FEW,
            Coded::Many(_) => MANY,
            Coded::Plain(_) => PLAIN,
        };
        let bytes = bytes(coded);
        rectangle(&mut out, codec, *area, bytes.len());
        out.extend_from_slice(bytes);
    }
    out
}

/// A sign of life: nothing has changed since the update of that number.
pub(super) fn alive(sequence: u32, exact: bool, size: (u32, u32)) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEAD);
    head(&mut out, if exact { EXACT } else { 0 }, sequence, SystemTime::now(), size, 0);
    out
}

fn head(out: &mut Vec<u8>, flags: u8, sequence: u32, taken: SystemTime, size: (u32, u32), count: usize) {
    let short = |value: u32| u16::try_from(value).unwrap_or(u16::MAX);
    out.extend([UPDATE, flags]);
    out.extend(u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes());
    out.extend(sequence.to_le_bytes());
    out.extend(taken.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64().to_le_bytes());
    out.extend(short(size.0).to_le_bytes());
    out.extend(short(size.1).to_le_bytes());
    out.extend([0; 4]);
}

fn rectangle(out: &mut Vec<u8>, codec: u8, area: Region, length: usize) {
    out.extend([codec, 0]);
    for value in [low(area.x), low(area.y), high(area.width), high(area.height)] {
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 2]);
    out.extend(u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn bytes(coded: &Coded) -> &[u8] {
    match coded {
        Coded::Jpeg(bytes) | Coded::Few(bytes) | Coded::Many(bytes) => bytes,
        Coded::Plain(colour) => colour,
    }
}

/// No picture is larger than a screen, and no screen than X can express.
fn low(value: i32) -> u16 {
    u16::try_from(value.max(0)).unwrap_or(u16::MAX)
}

fn high(value: u32) -> u16 {
    u16::try_from(value).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::desktop::Moved;

    #[test]
    fn every_byte_is_where_the_description_says() {
        let area = |x, y, width, height| Region { x, y, width, height };
        let told = Update {
            size: (0x0780, 0x0438),
            whole: false,
            exact: true,
            taken: UNIX_EPOCH + Duration::from_millis(1500),
            moved: vec![Moved { to: area(64, 0, 128, 1000), from_y: 13 }],
            painted: vec![(area(0, 0x3ff, 0x780, 13), Arc::new(Coded::Plain([1, 2, 3])))],
        };
        let bytes = update(0x0102_0304, &told);
        let mut expected = vec![1, 2, 2, 0, 4, 3, 2, 1];
        expected.extend(1.5_f64.to_le_bytes());
        expected.extend([0x80, 7, 0x38, 4, 0, 0, 0, 0]);
        expected.extend([0, 0, 64, 0, 0, 0, 128, 0, 0xe8, 3, 0, 0, 4, 0, 0, 0, 64, 0, 13, 0]);
        expected.extend([4, 0, 0, 0, 0xff, 3, 0x80, 7, 13, 0, 0, 0, 3, 0, 0, 0, 1, 2, 3]);
        assert_eq!(bytes, expected);
        assert_eq!(alive(7, true, (1, 2))[..8], [1, 2, 0, 0, 7, 0, 0, 0]);
        assert_eq!(alive(7, false, (1, 2)).len(), HEAD);
    }
}

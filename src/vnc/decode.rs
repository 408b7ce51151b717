//! What a server says: messages, and the rectangles that updates of the picture consist of. Decoding reads from anything that bytes come
//! from, so that it can be fed with whatever bytes there are.

use std::sync::Arc;

use flate2::Decompress;
use tokio::io::AsyncRead;

use super::handshake::check_size;
use super::picture::{Area, PIXEL, Picture};
use super::wire::{Broken, Incoming, update_request};
use super::{Cursor, Shared, clip, hextile, zrle};

/// Encodings, as RFB numbers them.
const RAW: i32 = 0;
const COPY: i32 = 1;
const HEXTILE: i32 = 5;
const ZRLE: i32 = 16;
/// What is said by rectangles that show nothing.
const DESKTOP_SIZE: i32 = -223;
const LAST: i32 = -224;
const CURSOR: i32 = -239;
const KEY_CODES: i32 = -258;
const EXTENDED_DESKTOP_SIZE: i32 = -308;
const EXTENDED_CLIPBOARD: i32 = 0xc0a1_e5ce_u32.cast_signed();
/// The largest pointer.
const LARGEST_CURSOR: u32 = 512;

/// The message that asks for pixels of four bytes: blue, green, red, and one that means nothing.
pub(super) fn pixel_format() -> Vec<u8> {
    vec![0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]
}

/// The message that says what is understood here, what is liked best first.
pub(super) fn encodings() -> Vec<u8> {
    const KNOWN: [i32; 10] = [COPY, ZRLE, HEXTILE, RAW, EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE, LAST, CURSOR, KEY_CODES, EXTENDED_CLIPBOARD];
    let mut message = vec![2, 0, 0, u8::try_from(KNOWN.len()).unwrap_or(0)];
    message.extend(KNOWN.iter().flat_map(|encoding| encoding.to_be_bytes()));
    message
}

/// What has to be known from one message to the next.
pub(super) struct Decoder {
    shared: Arc<Shared>,
    zrle: Decompress,
}

impl Decoder {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, zrle: Decompress::new(true) }
    }

    /// Deals with one message, whose first byte was read already.
    pub(super) async fn message<R: AsyncRead + Unpin>(&mut self, kind: u8, server: &mut Incoming<R>) -> Result<(), Broken> {
        match kind {
            0 => self.update(server).await,
            // Colours by number, which were not asked for.
            1 => {
                server.skip(3).await?;
                let count = usize::from(server.u16().await?);
                server.skip(count * 6).await
            }
            // A bell.
            2 => Ok(()),
            3 => clip::heard(&self.shared, server).await,
            _ => Err(format!("the server sent a message of the unknown kind {kind}")),
        }
    }

    async fn update<R: AsyncRead + Unpin>(&mut self, server: &mut Incoming<R>) -> Result<(), Broken> {
        server.skip(1).await?;
        let mut drawn = false;
        for _ in 0..server.u16().await? {
            let (x, y) = (u32::from(server.u16().await?), u32::from(server.u16().await?));
            let (width, height) = (u32::from(server.u16().await?), u32::from(server.u16().await?));
            let area = Area { x, y, width, height };
            let encoding = i32::from_be_bytes(server.array().await?);
            if encoding == LAST {
                break;
            }
            drawn |= self.rectangle(encoding, area, server).await?;
        }
        let mut state = self.shared.lock();
        if drawn {
            state.updates += 1;
            state.asked = false;
            if !state.watchers.is_empty() {
                state.ask(&self.shared).map_err(|error| error.to_string())?;
            }
        } else {
            // A server tells what it can do, and its size, in updates that show nothing, also at each request that is not for changes
            // alone; to some that is the answer to whatever was asked. What was to be shown counts as changed, and is asked for again.
            let again = update_request(true, state.picture.size());
            state.send(&self.shared, again).map_err(|error| error.to_string())?;
            state.asked = true;
        }
        state.wake();
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    /// Deals with one; says whether it showed something.
    async fn rectangle<R: AsyncRead + Unpin>(&mut self, encoding: i32, area: Area, server: &mut Incoming<R>) -> Result<bool, Broken> {
        match encoding {
            DESKTOP_SIZE => return self.resize((area.width, area.height)).map(|()| false),
            EXTENDED_DESKTOP_SIZE => {
                let screens = usize::from(server.u8().await?);
                server.skip(3 + screens * 16).await?;
                // The answer to somebody who asked for another size, and did not get it.
                let is_refusal = area.x == 1 && area.y != 0;
                let resized = if is_refusal { Ok(()) } else { self.resize((area.width, area.height)) };
                return resized.map(|()| false);
            }
            CURSOR => return self.cursor(area, server).await.map(|()| false),
            KEY_CODES => {
                self.shared.lock().key_codes = true;
                return Ok(false);
            }
            _ => {}
        }
        let size = self.shared.lock().picture.size();
        if !area.within(size) {
            let Area { x, y, width, height } = area;
            return Err(format!("the server sent {width}×{height} pixels at ({x}, {y}) of a screen of {}×{}", size.0, size.1));
        }
        if area.width > 0 && area.height > 0 {
            match encoding {
                RAW => self.raw(area, server).await?,
                COPY => {
                    let from = (u32::from(server.u16().await?), u32::from(server.u16().await?));
                    if !(Area { x: from.0, y: from.1, ..area }).within(size) {
                        return Err("the server moved pixels from outside of its screen".to_owned());
                    }
                    self.shared.lock().picture.copy(from, area);
                }
                HEXTILE => hextile::decode(&self.shared, area, server).await?,
                ZRLE => zrle::decode(&self.shared, &mut self.zrle, area, server).await?,
                _ => return Err(format!("the server wrote pixels down in the way {encoding}, which it was not asked to")),
            }
        }
        self.shared.lock().note(area);
        Ok(true)
    }

    async fn raw<R: AsyncRead + Unpin>(&self, area: Area, server: &mut Incoming<R>) -> Result<(), Broken> {
        let mut row = vec![0; area.width as usize * PIXEL];
        for line in 0..area.height {
            server.fill(&mut row).await?;
            self.shared.lock().picture.write(area.x, area.y + line, &row);
        }
        Ok(())
    }

    /// The screen has another size.
    fn resize(&self, size: (u32, u32)) -> Result<(), Broken> {
        check_size(size, self.shared.settings.max_size)?;
        let mut state = self.shared.lock();
        if state.picture.size() == size {
            return Ok(());
        }
        state.picture = Picture::new(size);
        state.note(Area { x: 0, y: 0, width: size.0, height: size.1 });
        // What is on it comes anew.
        state.send(&self.shared, update_request(false, size)).map_err(|error| error.to_string())
    }

    /// The pointer: where it points, its pixels, and which of them are there, one bit each.
    async fn cursor<R: AsyncRead + Unpin>(&self, area: Area, server: &mut Incoming<R>) -> Result<(), Broken> {
        let Area { x, y, width, height } = area;
        if width > LARGEST_CURSOR || height > LARGEST_CURSOR {
            return Err(format!("the server says that its pointer is {width}×{height} large"));
        }
        let pixels = server.bytes(width as usize * height as usize * PIXEL).await?;
        let line = width.div_ceil(8) as usize;
        let mask = server.bytes(line * height as usize).await?;
        let mut rgba = Vec::with_capacity(pixels.len());
        for (index, pixel) in pixels.chunks_exact(PIXEL).enumerate() {
            let (column, row) = (index % width.max(1) as usize, index / width.max(1) as usize);
            let is_there = mask.get(row * line + column / 8).is_some_and(|bits| bits & (0x80 >> (column % 8)) != 0);
            rgba.extend_from_slice(&[pixel[2], pixel[1], pixel[0], if is_there { 255 } else { 0 }]);
        }
        let mut state = self.shared.lock();
        state.cursors = state.cursors.wrapping_add(1);
        let hotspot = (x.min(width.saturating_sub(1)), y.min(height.saturating_sub(1)));
        state.cursor = Some(Arc::new(Cursor { id: state.cursors, size: (width, height), hotspot, rgba }));
        state.watchers.values_mut().for_each(|seen| seen.pointer = true);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use proptest::prelude::*;
    use tokio_util::sync::CancellationToken;

    use super::super::{Settings, State, Trust};
    use super::*;

    /// A decoder of a desktop of 40×40 pixels, of which 64×64 are allowed; and what is sent to its server.
    fn decoder() -> (Decoder, tokio::sync::mpsc::Receiver<Vec<u8>>) {
        let (out, sent) = tokio::sync::mpsc::channel(1024);
        let settings = Settings {
            name: "test".to_owned(),
            address: "vnc://nowhere".parse().unwrap(),
            username: None,
            password: None,
            trust: Trust::Unencrypted,
            max_size: (64, 64),
        };
        let state = State { out: Some(out), picture: Picture::new((40, 40)), ..State::default() };
        let shared = Shared { settings, state: Mutex::new(state), changed: Condvar::new(), stop: CancellationToken::new() };
        (Decoder::new(Arc::new(shared)), sent)
    }

    fn feed(decoder: &mut Decoder, bytes: &[u8]) -> Result<(), Broken> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut server = Incoming::new(bytes);
            while let Ok(kind) = server.first().await {
                decoder.message(kind, &mut server).await?;
            }
            Ok(())
        })
    }

    /// Left, top, width, height, encoding, and what is encoded.
    type Rectangle<'a> = (u16, u16, u16, u16, i32, &'a [u8]);

    fn update(rectangles: &[Rectangle<'_>]) -> Vec<u8> {
        let mut bytes = vec![0, 0];
        bytes.extend(u16::try_from(rectangles.len()).unwrap().to_be_bytes());
        for (x, y, width, height, encoding, content) in rectangles {
            [x, y, width, height].iter().for_each(|number| bytes.extend(number.to_be_bytes()));
            bytes.extend(encoding.to_be_bytes());
            bytes.extend_from_slice(content);
        }
        bytes
    }

    fn at(decoder: &Decoder, x: u32, y: u32) -> [u8; 3] {
        let pixel = decoder.shared.lock().picture.part(Area { x, y, width: 1, height: 1 }).unwrap();
        [pixel[0], pixel[1], pixel[2]]
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        use std::io::Write as _;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.flush().unwrap();
        let compressed = encoder.get_ref().clone();
        [&u32::try_from(compressed.len()).unwrap().to_be_bytes()[..], &compressed].concat()
    }

    #[test]
    fn rectangles_are_drawn_as_they_are_written_down() {
        let (mut decoder, _sent) = decoder();
        let raw = [[1, 2, 3, 0], [4, 5, 6, 0]].concat();
        // A tile with a background, and one small rectangle of a colour of its own.
        let hextile = [&[2 | 8 | 16][..], &[7, 7, 7, 0], &[1], &[9, 9, 9, 0, 0x11, 0x21]].concat();
        // One tile of one colour; then one of runs of a palette: two pixels of the second colour, the rest of the first.
        let zrle = zlib(&[&[1, 10, 20, 30][..]].concat());
        feed(
            &mut decoder,
            &update(&[
                (0, 0, 2, 1, RAW, &raw),
                (4, 0, 2, 1, COPY, &[0, 0, 0, 0]),
                (0, 8, 8, 8, HEXTILE, &hextile),
                (20, 20, 8, 8, ZRLE, &zrle),
            ]),
        )
        .unwrap();
        assert_eq!(
            (at(&decoder, 0, 0), at(&decoder, 1, 0), at(&decoder, 4, 0), at(&decoder, 5, 0)),
            ([1, 2, 3], [4, 5, 6], [1, 2, 3], [4, 5, 6])
        );
        assert_eq!(
            (at(&decoder, 0, 8), at(&decoder, 1, 9), at(&decoder, 3, 10), at(&decoder, 4, 9)),
            ([7, 7, 7], [9, 9, 9], [9, 9, 9], [7, 7, 7])
        );
        assert_eq!((at(&decoder, 20, 20), at(&decoder, 27, 27), at(&decoder, 28, 28)), ([10, 20, 30], [10, 20, 30], [0, 0, 0]));
        assert_eq!(decoder.shared.lock().updates, 1);
    }

    #[test]
    fn what_cannot_be_ends_the_connection() {
        let many = [0xff, 0xff, 0xff, 0xff];
        for (what, message) in [
            ("a kind of message", vec![9]),
            ("outside", update(&[(39, 0, 2, 1, RAW, &[0; 8])])),
            ("outside, far", update(&[(65535, 65535, 65535, 65535, RAW, &[])])),
            ("from outside", update(&[(0, 0, 2, 2, COPY, &[0, 39, 0, 0])])),
            ("a way of writing down", update(&[(0, 0, 1, 1, 7, &[0; 64])])),
            ("too large a screen", update(&[(0, 0, 65, 1, DESKTOP_SIZE, &[])])),
            ("no screen", update(&[(0, 0, 0, 0, DESKTOP_SIZE, &[])])),
            ("the largest screen", update(&[(0, 0, 65535, 65535, EXTENDED_DESKTOP_SIZE, &[0, 0, 0, 0])])),
            ("too large a pointer", update(&[(0, 0, 60000, 60000, CURSOR, &[])])),
            ("too much compressed", update(&[(0, 0, 8, 8, ZRLE, &many)])),
            ("compressed nonsense", update(&[(0, 0, 8, 8, ZRLE, &[0, 0, 0, 4, 1, 2, 3, 4])])),
            ("a bomb", update(&[(0, 0, 8, 8, ZRLE, &zlib(&vec![0; 10_000_000]))])),
            ("too long a text", [&[3, 0, 0, 0][..], &[0x7f, 0xff, 0xff, 0xff]].concat()),
            ("half a message", update(&[(0, 0, 40, 40, RAW, &[0; 100])])),
            ("a tile outside of its rectangle", update(&[(0, 0, 8, 8, HEXTILE, &[8 | 16, 1, 1, 1, 1, 0, 0x77, 0xff])])),
        ] {
            let (mut decoder, _sent) = decoder();
            assert!(feed(&mut decoder, &message).is_err(), "{what}");
            assert_eq!(decoder.shared.lock().picture.size(), (40, 40), "{what}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_bytes_come_it_ends(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let (mut decoder, _sent) = decoder();
            let _ = feed(&mut decoder, &bytes);
        }

        #[test]
        fn whatever_a_rectangle_holds_it_ends(
            area in (0u16..48, 0u16..48, 0u16..48, 0u16..48),
            encoding in proptest::sample::select(vec![RAW, COPY, HEXTILE, ZRLE, DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE, CURSOR]),
            compressed in any::<bool>(),
            content in proptest::collection::vec(any::<u8>(), 0..400),
        ) {
            let (mut decoder, _sent) = decoder();
            let content = if compressed { zlib(&content) } else { content };
            let (x, y, width, height) = area;
            let _ = feed(&mut decoder, &update(&[(x, y, width, height, encoding, &content)]));
        }
    }
}

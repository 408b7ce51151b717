//! A client of a VNC server behind websockify, as a browser's is: it asks for updates, unpacks them, and asks again.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use flate2::{Decompress, FlushDecompress};
use tokio_tungstenite::tungstenite::{self, Bytes, Message, WebSocket};

/// What noVNC asks for: copies, Tight, then anything; JPEG of quality 6, compression 2; changes of the size.
const ENCODINGS: [i32; 6] = [1, 7, 0, -32 + 6, -256 + 2, -223];

/// A client that shows what it is sent.
pub struct Rfb {
    socket: WebSocket<TcpStream>,
    heard: Vec<u8>,
    at: usize,
    bytes: usize,
    width: usize,
    height: usize,
    pixels: Vec<[u8; 3]>,
    streams: [Decompress; 4],
    jpeg: turbojpeg::Decompressor,
    pace: Duration,
    asked: Instant,
}

impl Rfb {
    /// Connects to a websockify at this port; asks for at most `fps` updates a second.
    pub fn open(port: u16, fps: u32) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        let request = tungstenite::http::Request::builder()
            .uri(format!("ws://127.0.0.1:{port}/"))
            .header("Host", "127.0.0.1")
            .header("Connection", "Upgrade")
            .header("Upgrade", "websocket")
            .header("Sec-WebSocket-Version", "13")
            .header("Sec-WebSocket-Key", tungstenite::handshake::client::generate_key())
            .header("Sec-WebSocket-Protocol", "binary")
            .body(())
            .unwrap();
        let socket = tungstenite::client(request, stream).unwrap().0;
        let streams = std::array::from_fn(|_| Decompress::new(true));
        let (pace, asked) = (Duration::from_secs(1) / fps, Instant::now());
        let jpeg = turbojpeg::Decompressor::new().unwrap();
        let (heard, pixels) = (Vec::new(), Vec::new());
        let mut this = Self { socket, heard, at: 0, bytes: 0, width: 0, height: 0, pixels, streams, jpeg, pace, asked };
        this.greet();
        this
    }

    fn greet(&mut self) {
        assert_eq!(&self.take(12)[..4], b"RFB ");
        self.say(b"RFB 003.008\n");
        let count = usize::from(self.take(1)[0]);
        assert!(self.take(count).contains(&1), "a server without a password");
        self.say(&[1]);
        assert_eq!(self.take(4), [0; 4]);
        self.say(&[1]);
        let server = self.take(24);
        (self.width, self.height) = (two(&server), two(&server[2..]));
        let name = four(&server[20..]);
        self.take(name);
        self.pixels = vec![[0; 3]; self.width * self.height];
        // Four bytes a pixel: blue, green, red.
        self.say(&[0, 0, 0, 0, 32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0]);
        let mut encodings = vec![2, 0, 0, u8::try_from(ENCODINGS.len()).unwrap()];
        encodings.extend(ENCODINGS.iter().flat_map(|encoding| encoding.to_be_bytes()));
        self.say(&encodings);
        self.ask(false);
    }

    fn ask(&mut self, incremental: bool) {
        std::thread::sleep(self.pace.saturating_sub(self.asked.elapsed()));
        self.asked = Instant::now();
        let side = |length: usize| u16::try_from(length).unwrap().to_be_bytes();
        let ([a, b], [c, d]) = (side(self.width), side(self.height));
        self.say(&[3, u8::from(incremental), 0, 0, 0, 0, a, b, c, d]);
    }

    fn say(&mut self, bytes: &[u8]) {
        self.socket.send(Message::Binary(Bytes::copy_from_slice(bytes))).unwrap();
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        while self.heard.len() - self.at < count {
            if let Message::Binary(bytes) = self.socket.read().unwrap() {
                self.heard.drain(..self.at);
                self.at = 0;
                self.bytes += bytes.len();
                self.heard.extend_from_slice(&bytes);
            }
        }
        self.at += count;
        self.heard[self.at - count..self.at].to_vec()
    }

    /// A pixel as it is shown.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// The next update, unpacked, and the next one asked for: whether it changed anything, and its bytes.
    pub fn next(&mut self) -> (bool, usize) {
        loop {
            match self.take(1)[0] {
                0 => break,
                // Colours of a palette, a bell, a text that was cut.
                1 => {
                    let count = two(&self.take(5)[3..]);
                    self.take(count * 6);
                }
                2 => {}
                3 => {
                    let count = four(&self.take(7)[3..]);
                    self.take(count);
                }
                other => panic!("a message of type {other}"),
            }
        }
        let before = self.bytes - (self.heard.len() - self.at);
        let count = two(&self.take(3)[1..]);
        let mut changed = false;
        for _ in 0..count {
            let head = self.take(12);
            let (x, y, width, height) = (two(&head), two(&head[2..]), two(&head[4..]), two(&head[6..]));
            changed = true;
            match i32::from_be_bytes([head[8], head[9], head[10], head[11]]) {
                0 => {
                    let raw = self.take(width * height * 4);
                    let colours = raw.chunks_exact(4).map(|p| [p[2], p[1], p[0]]).collect();
                    self.paint(x, y, width, colours);
                }
                1 => {
                    let from = self.take(4);
                    let (from_x, from_y) = (two(&from), two(&from[2..]));
                    let rows = (from_y..from_y + height).map(|row| row * self.width + from_x);
                    let copy = rows.flat_map(|start| self.pixels[start..start + width].to_vec()).collect();
                    self.paint(x, y, width, copy);
                }
                7 => self.tight(x, y, width, height),
                -223 => changed = false,
                other => panic!("the encoding {other}"),
            }
        }
        let used = self.bytes - (self.heard.len() - self.at) - before;
        self.ask(true);
        (changed, used)
    }

    fn paint(&mut self, x: usize, y: usize, width: usize, colours: Vec<[u8; 3]>) {
        for (row, line) in colours.chunks_exact(width).enumerate() {
            let start = (y + row) * self.width + x;
            self.pixels[start..start + width].copy_from_slice(line);
        }
    }

    fn length(&mut self) -> usize {
        let mut length = 0;
        for place in 0..3 {
            let byte = usize::from(self.take(1)[0]);
            length |= if place == 2 { byte << 14 } else { (byte & 127) << (7 * place) };
            if byte & 128 == 0 {
                break;
            }
        }
        length
    }

    /// Bytes of a rectangle: as they are where there are few, else packed in one of the streams.
    fn unpacked(&mut self, stream: usize, size: usize) -> Vec<u8> {
        if size < 12 {
            return self.take(size);
        }
        let length = self.length();
        let packed = self.take(length);
        let mut out = Vec::with_capacity(size + 64);
        let unpack = &mut self.streams[stream];
        let mut from = &packed[..];
        while out.len() < size {
            let (read, had) = (unpack.total_in(), out.len());
            out.reserve(4096);
            unpack.decompress_vec(from, &mut out, FlushDecompress::Sync).unwrap();
            from = &from[usize::try_from(unpack.total_in() - read).unwrap()..];
            assert!(out.len() > had || !from.is_empty(), "a rectangle that is cut");
        }
        out
    }

    fn tight(&mut self, x: usize, y: usize, width: usize, height: usize) {
        let control = self.take(1)[0];
        for (index, stream) in self.streams.iter_mut().enumerate() {
            if control >> index & 1 == 1 {
                stream.reset(true);
            }
        }
        let colours = match control >> 4 {
            8 => {
                let colour = self.take(3);
                vec![[colour[0], colour[1], colour[2]]; width * height]
            }
            9 => {
                let length = self.length();
                let jpeg = self.take(length);
                let header = self.jpeg.read_header(&jpeg).unwrap();
                let mut rgb = vec![0; header.width * header.height * 3];
                let (pitch, format) = (header.width * 3, turbojpeg::PixelFormat::RGB);
                let image = turbojpeg::Image { pixels: &mut rgb[..], width: header.width, pitch, height: header.height, format };
                self.jpeg.decompress(&jpeg, image).unwrap();
                rgb.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect()
            }
            kind => {
                let stream = usize::from(kind & 3);
                let filter = if kind & 4 == 4 { self.take(1)[0] } else { 0 };
                self.filtered(filter, stream, width, height)
            }
        };
        self.paint(x, y, width, colours);
    }

    fn filtered(&mut self, filter: u8, stream: usize, width: usize, height: usize) -> Vec<[u8; 3]> {
        let rgb = |bytes: &[u8]| bytes.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect::<Vec<_>>();
        match filter {
            0 => rgb(&self.unpacked(stream, width * height * 3)),
            1 => {
                let count = usize::from(self.take(1)[0]) + 1;
                let palette = rgb(&self.take(count * 3));
                if count > 2 {
                    return self.unpacked(stream, width * height).into_iter().map(|index| palette[usize::from(index)]).collect();
                }
                let stride = width.div_ceil(8);
                let bits = self.unpacked(stream, stride * height);
                let of = |row: usize, column: usize| usize::from(bits[row * stride + column / 8] >> (7 - column % 8) & 1);
                (0..height)
                    .flat_map(|row| (0..width).map(move |column| (row, column)))
                    .map(|(row, column)| palette[of(row, column)])
                    .collect()
            }
            2 => {
                let mut colours = rgb(&self.unpacked(stream, width * height * 3));
                for place in 0..colours.len() {
                    let mut colour = colours[place];
                    for (part, value) in colour.iter_mut().enumerate() {
                        let at = |back: usize, fits: bool| if fits { i32::from(colours[place - back][part]) } else { 0 };
                        let (is_left, is_top) = (place % width > 0, place >= width);
                        let guess = at(1, is_left) + at(width, is_top) - at(width + 1, is_left && is_top);
                        let guess = u8::try_from(guess.clamp(0, 255)).unwrap();
                        *value = value.wrapping_add(guess);
                    }
                    colours[place] = colour;
                }
                colours
            }
            other => panic!("the filter {other}"),
        }
    }
}

fn two(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[0], bytes[1]]))
}

fn four(bytes: &[u8]) -> usize {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize
}

/// A websockify before a VNC server. Ended when dropped.
pub struct Bridge {
    child: std::process::Child,
    pub port: u16,
}

impl Bridge {
    pub fn to(vnc: u16) -> Result<Self, String> {
        let port = free_port();
        let child = std::process::Command::new("websockify")
            .args([format!("127.0.0.1:{port}"), format!("127.0.0.1:{vnc}")])
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .map_err(|error| format!("websockify: {error}"))?;
        let this = Self { child, port };
        wait_for(port, "websockify")?;
        Ok(this)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn wait_for(port: u16, who: &str) -> Result<(), String> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
            // Whoever says something first is heard, lest it be taken aback.
            let _ = stream.set_read_timeout(Some(Duration::from_millis(200)));
            let _ = stream.read(&mut [0; 16]);
            let _ = stream.write_all(b"");
            return Ok(());
        }
        if Instant::now() > patience {
            return Err(format!("{who} does not answer"));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

//! What a session's shell says in its terminal beside what people see: where a command's output begins and ends.
//!
//! These are the marks of OSC 133, as terminals know them, with a nonce that only the shell was told: `ESC ] 133 ; C ; <nonce> ; <n> BEL`.
//! A program that prints marks without it, or with another, only prints.

use std::borrow::Cow;

/// The longest mark, in bytes: a command line that was typed is told in one.
const LONGEST: usize = 128 * 1024;
const BEGIN: &[u8] = b"\x1b]133;";
const BELL: u8 = 0x07;
const ESCAPE: u8 = 0x1b;

/// What the shell said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mark {
    /// Output begins: of the numbered command, or of one that was typed.
    Begin(Option<u64>),
    /// A command is over, with its exit code; a number stands where the shell knows which.
    End(i32, Option<u64>),
    /// The last line of the shell's own history, behind its number.
    Line(String),
    /// The shell wants more lines of what was typed.
    More,
}

/// One piece of what came out of the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// What people see.
    Printed(Cow<'a, [u8]>),
    /// What they do not.
    Said(Mark),
}

/// Tells marks from what is printed, however the stream is cut.
#[derive(Debug, Default)]
pub(super) struct Marks {
    nonce: Vec<u8>,
    /// The beginning of what may become a mark.
    held: Vec<u8>,
}

impl Marks {
    pub(super) fn new(nonce: &str) -> Self {
        Self { nonce: nonce.as_bytes().to_vec(), held: Vec::new() }
    }

    /// Hands on the pieces of `bytes`, in order. What may be the beginning of a mark is held until the rest has come; all else is handed
    /// on as it lies there, up to the next escape at once.
    pub(super) fn feed<'a>(&mut self, bytes: &'a [u8], mut take: impl FnMut(Piece<'a>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.held.is_empty() {
                let plain = memchr::memchr(ESCAPE, rest).unwrap_or(rest.len());
                let (printed, after) = rest.split_at(plain);
                if !printed.is_empty() {
                    take(Piece::Printed(Cow::Borrowed(printed)));
                }
                let Some((escape, after)) = after.split_first() else { return };
                self.held.push(*escape);
                rest = after;
                continue;
            }
            let (byte, after) = (rest[0], &rest[1..]);
            rest = after;
            // An escape begins anew whatever was held, unless it ends a mark (ESC \\).
            if byte == ESCAPE && !self.ends_with_terminator() {
                take(Piece::Printed(Cow::Owned(std::mem::take(&mut self.held))));
            }
            self.held.push(byte);
            if !self.may_become_a_mark() {
                take(Piece::Printed(Cow::Owned(std::mem::take(&mut self.held))));
            } else if let Some(body) = self.whole() {
                match read(body, &self.nonce) {
                    Some(mark) => {
                        self.held.clear();
                        take(Piece::Said(mark));
                    }
                    None => take(Piece::Printed(Cow::Owned(std::mem::take(&mut self.held)))),
                }
            }
        }
    }

    /// What is held when nothing more will come.
    pub(super) fn rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// `E` marks carry what was typed, which may hold escapes itself.
    fn ends_with_terminator(&self) -> bool {
        self.held.len() > BEGIN.len() + 2 + self.nonce.len() && self.is_ours()
    }

    fn is_ours(&self) -> bool {
        let nonce = self.held.get(BEGIN.len() + 2..);
        nonce.is_some_and(|rest| rest.starts_with(&self.nonce))
    }

    fn may_become_a_mark(&self) -> bool {
        let held = self.held.len();
        if held <= BEGIN.len() {
            return BEGIN.starts_with(&self.held);
        }
        // The kind, a semicolon, the nonce: as soon as one of them differs, it is not ours.
        let nonce_at = BEGIN.len() + 2;
        if held > BEGIN.len() + 1 && self.held[BEGIN.len() + 1] != b';' {
            return false;
        }
        let of_nonce = &self.held[nonce_at.min(held)..held.min(nonce_at + self.nonce.len())];
        self.nonce.starts_with(of_nonce) && held <= LONGEST
    }

    /// The body of a mark that is complete.
    fn whole(&self) -> Option<&[u8]> {
        let body = self.held.get(BEGIN.len()..)?;
        body.strip_suffix(&[BELL]).or_else(|| body.strip_suffix(&[ESCAPE, b'\\']))
    }
}

/// Reads `<kind>;<nonce>[;<fields>]`.
fn read(body: &[u8], nonce: &[u8]) -> Option<Mark> {
    let text = String::from_utf8_lossy(body.get(2..)?.strip_prefix(nonce)?).into_owned();
    let fields = text.strip_prefix(';').unwrap_or(&text);
    match body.first()? {
        b'C' if fields.is_empty() => Some(Mark::Begin(None)),
        b'C' => Some(Mark::Begin(Some(fields.parse().ok()?))),
        b'D' => {
            let (code, number) = fields.split_once(';').map_or((fields, None), |(code, number)| (code, number.parse().ok()));
            // PowerShell tells codes as Windows does, without a sign.
            let code = code.trim().parse::<i64>().ok()?;
            Some(Mark::End(i32::try_from(code).unwrap_or(code as u32 as i32), number))
        }
        b'E' => Some(Mark::Line(fields.to_owned())),
        b'M' => Some(Mark::More),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(text: &str) -> Piece<'_> {
        Piece::Printed(text.as_bytes().into())
    }

    fn joined<'a>(chunks: &[&'a [u8]]) -> Vec<Piece<'a>> {
        let mut marks = Marks::new("n0");
        let mut pieces: Vec<Piece> = Vec::new();
        let mut add = |piece| match (pieces.last_mut(), piece) {
            (Some(Piece::Printed(before)), Piece::Printed(more)) => before.to_mut().extend_from_slice(&more),
            (_, piece) => pieces.push(piece),
        };
        for chunk in chunks {
            marks.feed(chunk, &mut add);
        }
        let rest = marks.rest();
        if !rest.is_empty() {
            add(Piece::Printed(rest.into()));
        }
        pieces
    }

    #[test]
    fn marks_are_found_however_the_stream_is_cut() {
        let stream = b"$ \x1b]133;C;n0;7\x07out\x1b[31mput\x1b]133;D;n0;3;7\x07\x1b]133;D;n0;130\x1b\\rest\x1b]133;E;n0;  5  ls\n-la\x07";
        let whole = joined(&[stream]);
        assert_eq!(
            whole,
            [
                printed("$ "),
                Piece::Said(Mark::Begin(Some(7))),
                printed("out\x1b[31mput"),
                Piece::Said(Mark::End(3, Some(7))),
                Piece::Said(Mark::End(130, None)),
                printed("rest"),
                Piece::Said(Mark::Line("  5  ls\n-la".to_owned())),
            ]
        );
        for at in 0..stream.len() {
            assert_eq!(joined(&[&stream[..at], &stream[at..]]), whole, "cut at {at}");
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(joined(&single), whole);
    }

    #[test]
    fn what_does_not_know_the_nonce_only_prints() {
        for text in [
            "\x1b]133;D;0\x07",
            "\x1b]133;D;n1;0\x07",
            "\x1b]133;D;n;0\x07",
            "\x1b]133;\x07",
            "\x1b]133;C;\x1b]133;A\x07",
            "\x1b\x1b\x1b]0;title\x07",
            "\x1b]133;X;n0\x07",
            "\x1b]133;D;n0;many\x07",
            "\x1b]133;D;n0",
            "\x1b]52;c;aGk=\x07\x1b[2J",
        ] {
            assert_eq!(joined(&[text.as_bytes()]), [printed(text)], "{text:?}");
        }
    }
}

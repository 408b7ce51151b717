//! A text as it reads once a way of writing is undone, and where each of its bytes stands in the text itself.

use std::borrow::Cow;
use std::ops::Range;

/// The bytes of a text, or of what it says.
pub(super) struct View<'a> {
    bytes: Cow<'a, [u8]>,
    /// Where each byte begins and ends in the text itself. None where the bytes are the text.
    places: Option<Vec<(u32, u32)>>,
}

/// One step of a reading: so many bytes of the text come to these, none or up to four.
type Step = (usize, [u8; 4], usize);

impl<'a> View<'a> {
    /// A text as it is. No more than 4 GiB of it are looked at.
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { bytes: Cow::Borrowed(text.get(..u32::MAX as usize).unwrap_or(text)), places: None }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where a range of these bytes stands in the text itself.
    pub(super) fn place(&self, range: Range<usize>) -> Range<usize> {
        let Some(places) = &self.places else { return range };
        let start = places.get(range.start).map_or(0, |(start, _)| *start as usize);
        let end = range.end.checked_sub(1).and_then(|last| places.get(last)).map_or(start, |(_, end)| *end as usize);
        start..end
    }

    /// What it reads as with each way of writing undone that could be in it.
    pub(super) fn readings(&self) -> impl Iterator<Item = View<'static>> {
        let has = |byte: u8| self.bytes.contains(&byte);
        let (breaks, escapes, percents) = (has(b'\n') || has(b'\r'), has(b'\\'), has(b'%'));
        let form = (percents && has(b'+')).then(|| self.read(form));
        let breaks = breaks.then(|| self.read(unbroken));
        let escapes = escapes.then(|| self.read(unescaped));
        let percents = percents.then(|| self.read(decoded));
        [breaks, escapes, percents, form].into_iter().flatten()
    }

    fn read(&self, step: fn(&[u8]) -> Step) -> View<'static> {
        let mut bytes = Vec::with_capacity(self.bytes.len());
        let mut places = Vec::with_capacity(self.bytes.len());
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (taken, given, count) = step(rest);
            let taken = taken.max(1);
            let place = self.place(at..at + taken);
            // What a text can be that is looked at fits.
            let place = (u32::try_from(place.start).unwrap_or(u32::MAX), u32::try_from(place.end).unwrap_or(u32::MAX));
            for byte in given.into_iter().take(count) {
                bytes.push(byte);
                places.push(place);
            }
            at += taken;
        }
        View { bytes: Cow::Owned(bytes), places: Some(places) }
    }
}

/// The bytes without line breaks and the blanks that indent what follows.
pub(super) fn without_breaks(bytes: &[u8]) -> Vec<u8> {
    View::of(bytes).read(unbroken).bytes.into_owned()
}

fn same(rest: &[u8]) -> Step {
    (1, [rest.first().copied().unwrap_or_default(), 0, 0, 0], 1)
}

fn unbroken(rest: &[u8]) -> Step {
    if !matches!(rest.first(), Some(b'\n' | b'\r')) {
        return same(rest);
    }
    (rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count(), [0; 4], 0)
}

/// JSON's escapes, which most other languages share.
fn unescaped(rest: &[u8]) -> Step {
    let [b'\\', kind, ..] = rest else { return same(rest) };
    let plain = |byte: u8| (2, [byte, 0, 0, 0], 1);
    match kind {
        b'n' => plain(b'\n'),
        b'r' => plain(b'\r'),
        b't' => plain(b'\t'),
        b'b' => plain(8),
        b'f' => plain(12),
        b'"' | b'\\' | b'/' | b'\'' => plain(*kind),
        b'u' => unicode(rest).unwrap_or_else(|| same(rest)),
        _ => same(rest),
    }
}

/// `\u00e4`, or a pair of surrogates.
fn unicode(rest: &[u8]) -> Option<Step> {
    let unit = |at: usize| {
        let digits = rest.get(at..at + 6)?.strip_prefix(b"\\u")?;
        u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let first = unit(0)?;
    let (taken, code) = match (first, unit(6)) {
        (0xd800..=0xdbff, Some(second @ 0xdc00..=0xdfff)) => (12, 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)),
        _ => (6, first),
    };
    let mut buffer = [0; 4];
    let count = char::from_u32(code)?.encode_utf8(&mut buffer).len();
    Some((taken, buffer, count))
}

fn decoded(rest: &[u8]) -> Step {
    let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    match (rest.first(), digit(1), digit(2)) {
        (Some(b'%'), Some(high), Some(low)) => (3, [u8::try_from(high * 16 + low).unwrap_or_default(), 0, 0, 0], 1),
        _ => same(rest),
    }
}

/// As forms are sent, where a blank is a plus.
fn form(rest: &[u8]) -> Step {
    if rest.first() == Some(&b'+') { (1, [b' ', 0, 0, 0], 1) } else { decoded(rest) }
}

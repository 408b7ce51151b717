//! The clipboard: in Latin letters as of old, and in UTF-8 (the extended clipboard) where the server offers that.

use std::io::Write as _;

use flate2::{Decompress, FlushDecompress};
use tokio::io::AsyncRead;

use super::Shared;
use super::wire::{Broken, Incoming};

/// The longest text, in bytes.
pub(super) const LONGEST: usize = 1 << 20;
/// A longer one is passed over; one that is said to be longer than this ends the connection.
const PASSED_OVER: u32 = 64 << 20;

/// Flags of the extended clipboard: plain text, and what is to be done.
const TEXT: u32 = 1;
const CAPABILITIES: u32 = 1 << 24;
const REQUEST: u32 = 1 << 25;
const PEEK: u32 = 1 << 26;
const NOTIFY: u32 = 1 << 27;
const PROVIDE: u32 = 1 << 28;

/// Deals with what a server says of its clipboard.
pub(super) async fn heard<R: AsyncRead + Unpin>(shared: &Shared, server: &mut Incoming<R>) -> Result<(), Broken> {
    server.skip(3).await?;
    let said = i32::from_be_bytes(server.array().await?);
    let length = said.unsigned_abs();
    if length > PASSED_OVER {
        return Err(format!("the server says that the text on its clipboard has {length} bytes"));
    }
    if length as usize > LONGEST {
        return server.skip(length as usize).await;
    }
    let bytes = server.bytes(length as usize).await?;
    if said >= 0 {
        shared.lock().copy(bytes.iter().map(|byte| char::from(*byte)).collect());
        return Ok(());
    }
    let Some((flags, content)) = bytes.split_first_chunk::<4>().map(|(flags, content)| (u32::from_be_bytes(*flags), content)) else {
        return Err("the server sent a part of a message of its clipboard".to_owned());
    };
    let mut state = shared.lock();
    let answer = if flags & CAPABILITIES != 0 {
        state.extended_clipboard = true;
        let sizes = u32::try_from(LONGEST).unwrap_or(0).to_be_bytes();
        Some(message(CAPABILITIES | REQUEST | PEEK | NOTIFY | PROVIDE | TEXT, &sizes))
    } else if flags & TEXT == 0 {
        None
    } else if flags & NOTIFY != 0 {
        Some(message(REQUEST | TEXT, &[]))
    } else if flags & PEEK != 0 {
        state.offered.is_some().then(notify)
    } else if flags & REQUEST != 0 {
        state.offered.as_deref().and_then(provide)
    } else {
        if flags & PROVIDE != 0
            && let Some(text) = provided(content)
        {
            state.copy(text);
        }
        None
    };
    match answer {
        Some(answer) => state.send(shared, answer).map_err(|error| error.to_string()),
        None => Ok(()),
    }
}

/// Says that there is a text; the server asks for it when somebody wants it.
pub(super) fn notify() -> Vec<u8> {
    message(NOTIFY | TEXT, &[])
}

/// A text in Latin letters; none where it has others.
pub(super) fn latin(text: &str) -> Option<Vec<u8>> {
    let letters = text.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect::<Option<Vec<u8>>>()?;
    let mut message = vec![6, 0, 0, 0];
    message.extend(u32::try_from(letters.len()).ok()?.to_be_bytes());
    message.extend(letters);
    Some(message)
}

fn message(flags: u32, content: &[u8]) -> Vec<u8> {
    let length = i32::try_from(content.len() + 4).unwrap_or(4);
    [&[6, 0, 0, 0][..], &(-length).to_be_bytes(), &flags.to_be_bytes(), content].concat()
}

fn provide(text: &str) -> Option<Vec<u8>> {
    let text = text.replace('\n', "\r\n");
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    let length = u32::try_from(text.len() + 1).ok()?.to_be_bytes();
    [&length[..], text.as_bytes(), &[0]].iter().try_for_each(|part| encoder.write_all(part)).ok()?;
    Some(message(PROVIDE | TEXT, &encoder.finish().ok()?))
}

/// The text that a server gives; none where it is too long, or none.
fn provided(compressed: &[u8]) -> Option<String> {
    // Its length, the text, and a zero. What does not fit is not looked at.
    let mut bytes = Vec::with_capacity(LONGEST + 8);
    Decompress::new(true).decompress_vec(compressed, &mut bytes, FlushDecompress::Sync).ok()?;
    let (length, text) = bytes.split_first_chunk::<4>()?;
    let text = text.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    let text = text.strip_suffix(&[0]).unwrap_or(text);
    Some(String::from_utf8_lossy(text).replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_go_there_and_back() {
        let given = provide("Grüße €\nzweite").unwrap();
        assert_eq!(provided(&given[12..]).as_deref(), Some("Grüße €\nzweite"));
        assert_eq!(provided(b"nonsense"), None);
        assert_eq!(latin("ä"), Some(vec![6, 0, 0, 0, 0, 0, 0, 1, 0xe4]));
        assert_eq!(latin("€"), None);
    }
}

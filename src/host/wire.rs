//! How messages travel between the server and a runner: a length in four bytes, little end first, then JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// No message is larger: what a runner says is not trusted, and what a script handles is bounded by its memory anyway.
pub const MAX_MESSAGE: usize = 128 << 20;

/// Appends `message` to `buffer`.
pub fn encode(buffer: &mut Vec<u8>, message: &impl Serialize) -> Result<(), WireError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 4]);
    let written = serde_json::to_writer(&mut *buffer, message);
    let length = buffer.len() - start - 4;
    if let Err(error) = written {
        buffer.truncate(start);
        return Err(WireError::Malformed(error));
    }
    if length > MAX_MESSAGE {
        buffer.truncate(start);
        return Err(WireError::TooLong(length));
    }
    let prefix = u32::try_from(length).map_err(|_| WireError::TooLong(length))?.to_le_bytes();
    for (place, byte) in buffer.iter_mut().skip(start).zip(prefix) {
        *place = byte;
    }
    Ok(())
}

/// Takes messages out of a stream of bytes.
#[derive(Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    read: usize,
}

impl Decoder {
    /// Where the next bytes go.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        if self.read > 0 && self.read == self.bytes.len() {
            self.bytes.clear();
            self.read = 0;
        } else if self.read > 1 << 16 {
            self.bytes.drain(..self.read);
            self.read = 0;
        }
        &mut self.bytes
    }

    /// The next whole message, if it is there.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, WireError> {
        let waiting = self.bytes.get(self.read..).unwrap_or_default();
        let Some((prefix, rest)) = waiting.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*prefix) as usize;
        if length > MAX_MESSAGE {
            return Err(WireError::TooLong(length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = serde_json::from_slice(body).map_err(WireError::Malformed)?;
        self.read += 4 + length;
        Ok(Some(message))
    }
}

/// What can be wrong with a message.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// Longer than any message may be.
    #[error("a message of {0} bytes is longer than the {MAX_MESSAGE} allowed")]
    TooLong(usize),
    /// Not a message of this protocol.
    #[error("a message does not follow the protocol: {0}")]
    Malformed(serde_json::Error),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_however_they_arrive() {
        let mut bytes = Vec::new();
        encode(&mut bytes, &"one").unwrap();
        encode(&mut bytes, &vec![1, 2, 3]).unwrap();
        let mut decoder = Decoder::default();
        let mut seen = Vec::new();
        for byte in bytes {
            decoder.buffer().push(byte);
            while let Some(value) = decoder.take::<serde_json::Value>().unwrap() {
                seen.push(value.to_string());
            }
        }
        assert_eq!(seen, [r#""one""#, "[1,2,3]"]);
    }

    #[test]
    fn an_absurd_length_is_refused_before_anything_is_reserved() {
        let mut decoder = Decoder::default();
        decoder.buffer().extend_from_slice(&u32::MAX.to_le_bytes());
        assert!(matches!(decoder.take::<serde_json::Value>(), Err(WireError::TooLong(_))));
    }
}

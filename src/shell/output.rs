//! What a command prints: read to its end, kept up to a limit.

use tokio::io::{AsyncRead, AsyncReadExt};

/// Bytes kept of each stream.
pub(super) const LIMIT: usize = 1024 * 1024;

/// What was kept of one stream.
#[derive(Debug, Default, Clone)]
pub(super) struct Kept {
    bytes: Vec<u8>,
    total: u64,
}

impl Kept {
    /// Whether more was printed than is kept.
    pub(super) fn truncated(&self) -> bool {
        self.total > LIMIT as u64
    }

    /// What was kept, as it was printed.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// As text. What is not UTF-8 becomes U+FFFD; a character that the limit cut in two is left out.
    pub(super) fn into_text(self) -> String {
        let cut = self.truncated();
        let mut bytes = self.bytes;
        if cut
            && let Err(error) = std::str::from_utf8(&bytes)
            && error.error_len().is_none()
        {
            bytes.truncate(error.valid_up_to());
        }
        let mut text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        if text.len() > LIMIT {
            text.truncate(text.floor_char_boundary(LIMIT));
        }
        text
    }

    pub(super) fn add(&mut self, bytes: &[u8]) {
        let room = LIMIT - self.bytes.len().min(LIMIT);
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.total += bytes.len() as u64;
    }
}

/// Reads until the end. What is over the limit is read as well, or the command would block on a full pipe.
pub(super) async fn drain(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Kept) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(read @ 1..) = pipe.read(&mut buffer).await {
        kept.add(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_character_at_the_limit_is_left_out_whole() {
        let printed = format!("{}€ and more", "x".repeat(LIMIT - 1));
        let mut kept = Kept::default();
        drain(Some(printed.as_bytes()), &mut kept).await;
        assert!(kept.truncated());
        assert_eq!(kept.into_text(), "x".repeat(LIMIT - 1));
    }

    #[tokio::test]
    async fn bytes_that_are_no_text_do_not_grow_past_the_limit() {
        let printed = vec![0xff; LIMIT];
        let mut kept = Kept::default();
        drain(Some(printed.as_slice()), &mut kept).await;
        assert!(!kept.truncated());
        assert!(kept.into_text().len() <= LIMIT);
    }
}

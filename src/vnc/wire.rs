//! Reading and writing numbers: within time, and no more at once than was allowed.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};

/// How long a message that has begun may take to go on.
pub(super) const GO_ON: Duration = Duration::from_secs(15);

/// Why a connection ends, for people.
pub(super) type Broken = String;

/// What comes from the server. Each read ends in time.
pub(super) struct Incoming<R> {
    inner: R,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner }
    }

    /// The stream itself.
    pub(super) fn into_inner(self) -> R {
        self.inner
    }

    /// The same, for who writes to it.
    pub(super) fn stream(&mut self) -> &mut R {
        &mut self.inner
    }

    /// Fills `buffer`.
    pub(super) async fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Broken> {
        match tokio::time::timeout(GO_ON, self.inner.read_exact(buffer)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Err("the server closed the connection".to_owned()),
            Ok(Err(error)) => Err(format!("the connection broke: {error}")),
            Err(_) => Err(format!("the server stopped in the middle of a message for {} s", GO_ON.as_secs())),
        }
    }

    /// The first byte of a message, however long that takes. May be dropped while it waits.
    pub(super) async fn first(&mut self) -> Result<u8, Broken> {
        let mut byte = [0];
        match self.inner.read(&mut byte).await {
            Ok(0) => Err("the server closed the connection".to_owned()),
            Ok(_) => Ok(byte[0]),
            Err(error) => Err(format!("the connection broke: {error}")),
        }
    }

    pub(super) async fn array<const N: usize>(&mut self) -> Result<[u8; N], Broken> {
        let mut bytes = [0; N];
        self.fill(&mut bytes).await?;
        Ok(bytes)
    }

    pub(super) async fn u8(&mut self) -> Result<u8, Broken> {
        Ok(self.array::<1>().await?[0])
    }

    pub(super) async fn u16(&mut self) -> Result<u16, Broken> {
        Ok(u16::from_be_bytes(self.array().await?))
    }

    pub(super) async fn u32(&mut self) -> Result<u32, Broken> {
        Ok(u32::from_be_bytes(self.array().await?))
    }

    /// So many bytes, which the caller has found to be few enough.
    pub(super) async fn bytes(&mut self, length: usize) -> Result<Vec<u8>, Broken> {
        let mut bytes = vec![0; length];
        self.fill(&mut bytes).await?;
        Ok(bytes)
    }

    /// Reads so many bytes and forgets them.
    pub(super) async fn skip(&mut self, mut length: usize) -> Result<(), Broken> {
        let mut chunk = [0; 4096];
        while length > 0 {
            let now = length.min(chunk.len());
            self.fill(chunk.get_mut(..now).unwrap_or_default()).await?;
            length -= now;
        }
        Ok(())
    }

    /// A text that the server sends by length, cut to what is worth showing.
    pub(super) async fn reason(&mut self) -> Result<String, Broken> {
        const SHOWN: usize = 500;
        let length = self.u32().await? as usize;
        if length > 1 << 16 {
            return Err(format!("the server gave a reason of {length} bytes"));
        }
        let bytes = self.bytes(length.min(SHOWN)).await?;
        self.skip(length.saturating_sub(SHOWN)).await?;
        Ok(String::from_utf8_lossy(&bytes).chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
    }
}

/// Asks for the picture from its corner: what has changed, or all of it.
pub(super) fn update_request(changes: bool, (width, height): (u32, u32)) -> Vec<u8> {
    let side = |length: u32| u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes();
    let ([w1, w2], [h1, h2]) = (side(width), side(height));
    vec![3, u8::from(changes), 0, 0, 0, 0, w1, w2, h1, h2]
}

/// Where the pointer is, and which buttons are down.
pub(super) fn pointer(buttons: u8, (x, y): (u16, u16)) -> Vec<u8> {
    let ([x1, x2], [y1, y2]) = (x.to_be_bytes(), y.to_be_bytes());
    vec![5, buttons, x1, x2, y1, y2]
}

/// A key is pressed or released: by its keysym, and by where it is, where that is known.
pub(super) fn key(keysym: u32, code: Option<u8>, down: bool) -> Vec<u8> {
    let [a, b, c, d] = keysym.to_be_bytes();
    match code {
        None => vec![4, u8::from(down), 0, 0, a, b, c, d],
        Some(code) => vec![255, 0, 0, u8::from(down), a, b, c, d, 0, 0, 0, code],
    }
}

//! Learning that a display has something to say, without a thread that waits for it.

pub use imp::Signal;

#[cfg(target_os = "linux")]
mod imp {
    use std::io::ErrorKind;
    use std::os::fd::BorrowedFd;

    use tokio::io::Interest;
    use tokio::net::UnixStream;

    /// Rings when a display says something.
    #[derive(Debug)]
    pub struct Signal(UnixStream);

    impl Signal {
        /// Of the connection to a display, which somebody else reads.
        pub(in crate::screen) fn new(connection: BorrowedFd<'_>) -> std::io::Result<Self> {
            // It is only waited on, for which one over TCP is the same.
            let socket = std::os::unix::net::UnixStream::from(connection.try_clone_to_owned()?);
            socket.set_nonblocking(true)?;
            Ok(Self(UnixStream::from_std(socket)?))
        }

        /// Forgets what was said: what comes from here on rings.
        pub fn clear(&self) {
            let nothing: std::io::Result<()> = self.0.try_io(Interest::READABLE, || Err(ErrorKind::WouldBlock.into()));
            drop(nothing);
        }

        /// Resolves once something was said.
        pub async fn rings(&self) {
            // Where it cannot be known, whoever waits looks.
            drop(self.0.readable().await);
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    /// There is none here.
    #[derive(Debug)]
    pub struct Signal(std::convert::Infallible);

    impl Signal {
        /// Never called.
        pub fn clear(&self) {
            match self.0 {}
        }

        /// Never called.
        pub async fn rings(&self) {
            match self.0 {}
        }
    }
}

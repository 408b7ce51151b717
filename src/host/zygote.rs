//! Where runners come from: a process that has loaded the binary and its libraries, and does nothing but fork.
//!
//! Loading takes ten times as long as all the rest that a runner does before it serves. So it is done once, by the zygote, and each runner
//! begins as a copy of it: with nothing in it that belongs to a run, one thread, and no file but what it is handed.

use std::io::{Error, ErrorKind, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::wire::{Decoder, encode};
use crate::system::{Protection, System};

/// What a zygote is asked, one thing after the other; each is answered.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// A new runner. Its socket and its standard error come with the message.
    Fork,
    /// The end of a runner, and what its process came to.
    Bury {
        /// Which.
        pid: u32,
        /// One that is about to end by itself is given a moment to do so.
        patient: bool,
    },
}

/// What it answers.
#[derive(Debug, Serialize, Deserialize)]
pub enum Done {
    /// The runner's process.
    Forked(u32),
    /// The status that the kernel gave; none where there was no such process.
    Buried(Option<i32>),
    /// Why there is no runner.
    Failed(String),
}

/// An end of the socket between the server and its zygote: messages, and the files that come with them.
pub struct Control {
    socket: UnixStream,
    incoming: Decoder,
}

impl Control {
    /// No message brings more.
    const FILES: usize = 2;

    /// Speaks through `socket`.
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, incoming: Decoder::default() }
    }

    /// Sends a message, and files with it.
    ///
    /// # Errors
    /// Where the other end is gone.
    pub fn send(&self, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let mut bytes = Vec::new();
        encode(&mut bytes, message).map_err(Error::other)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(Self::FILES))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(files)) {
            return Err(Error::other("too many files for one message"));
        }
        // One piece: it is far smaller than what a socket takes at once.
        let sent = sendmsg(&self.socket, &[IoSlice::new(&bytes)], &mut ancillary, SendFlags::empty())?;
        if sent == bytes.len() { Ok(()) } else { Err(ErrorKind::WriteZero.into()) }
    }

    /// The next message, and what came with it; none once the other end is gone.
    ///
    /// # Errors
    /// Where it says what nobody understands.
    pub fn receive<T: DeserializeOwned>(&mut self) -> Result<Option<(T, Vec<OwnedFd>)>, Error> {
        let mut files = Vec::new();
        loop {
            if let Some(message) = self.incoming.take().map_err(Error::other)? {
                return Ok(Some((message, files)));
            }
            let mut chunk = [0; 1024];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(Self::FILES))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let received = match recvmsg(&self.socket, &mut [IoSliceMut::new(&mut chunk)], &mut ancillary, flags()) {
                Err(rustix::io::Errno::INTR) => continue,
                received => received?,
            };
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(rights) = message {
                    files.extend(rights);
                }
            }
            match chunk.get(..received.bytes) {
                None | Some([]) => return Ok(None),
                Some(bytes) => self.incoming.buffer().extend_from_slice(bytes),
            }
        }
    }
}

/// Files that come with a message are not for programs that are started meanwhile.
fn flags() -> RecvFlags {
    #[cfg(target_os = "linux")]
    {
        RecvFlags::CMSG_CLOEXEC
    }
    #[cfg(not(target_os = "linux"))]
    {
        RecvFlags::empty()
    }
}

/// A runner's process, as the server holds it.
pub(super) struct Born {
    pub(super) pid: u32,
    pub(super) socket: UnixStream,
    pub(super) stderr: OwnedFd,
}

/// A zygote that runs, as the server holds it. Dropped, it ends, and its runners with it.
pub(super) struct Zygote {
    child: Child,
    control: Control,
    _protection: Protection,
}

impl Zygote {
    /// Starts one.
    pub(super) fn start(program: &Path, system: &Arc<System>) -> Result<Self, Error> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = Command::new(program)
            .arg("runner")
            .env_clear()
            // One heap: each further one reserves 64 MiB of the address space that the memory limit counts.
            .env("MALLOC_ARENA_MAX", "1")
            .current_dir("/")
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let protection = system.protect(child.id());
        Ok(Self { child, control: Control::new(ours), _protection: protection })
    }

    /// A new runner. It is ready when it first answers; what is sent before waits in its socket.
    pub(super) fn fork(&mut self) -> Result<Born, Error> {
        let (ours, theirs) = UnixStream::pair()?;
        let (stderr, said) = std::io::pipe()?;
        self.control.send(&Order::Fork, &[theirs.as_fd(), said.as_fd()])?;
        match self.answer()? {
            Done::Forked(pid) => Ok(Born { pid, socket: ours, stderr: stderr.into() }),
            Done::Failed(why) => Err(Error::other(why)),
            Done::Buried(_) => Err(ErrorKind::InvalidData.into()),
        }
    }

    /// Ends a runner; what its process came to.
    pub(super) fn bury(&mut self, pid: u32, patient: bool) -> Result<Option<ExitStatus>, Error> {
        self.control.send(&Order::Bury { pid, patient }, &[])?;
        match self.answer()? {
            Done::Buried(status) => Ok(status.map(ExitStatus::from_raw)),
            Done::Forked(_) | Done::Failed(_) => Err(ErrorKind::InvalidData.into()),
        }
    }

    fn answer(&mut self) -> Result<Done, Error> {
        self.control.receive()?.map(|(done, _)| done).ok_or_else(|| ErrorKind::UnexpectedEof.into())
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_message_brings_its_files() {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (ours, mut theirs) = (Control::new(ours), Control::new(theirs));
        let (read, mut write) = std::io::pipe().unwrap();
        ours.send(&Order::Fork, &[write.as_fd(), read.as_fd()]).unwrap();
        ours.send(&Order::Bury { pid: 7, patient: true }, &[]).unwrap();
        let (order, files) = theirs.receive::<Order>().unwrap().unwrap();
        assert!(matches!(order, Order::Fork) && files.len() == 2, "{order:?}");
        write.write_all(b"x").unwrap();
        let mut through = std::fs::File::from(files.into_iter().nth(1).unwrap());
        let mut byte = [0];
        through.read_exact(&mut byte).unwrap();
        assert_eq!(byte, *b"x");
        let (order, files) = theirs.receive::<Order>().unwrap().unwrap();
        assert!(matches!(order, Order::Bury { pid: 7, patient: true }) && files.is_empty(), "{order:?}");
        drop(ours);
        assert!(theirs.receive::<Order>().unwrap().is_none());
    }
}

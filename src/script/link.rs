//! A runner's end of the socket: records pile up and travel with the next thing that needs an answer.

use std::cell::RefCell;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::RecvFlags;

use crate::error::{Failure, Kind};
use crate::host::protocol::{Answer, Asked, FromRunner, Record, Reply, ToRunner};
use crate::host::wire::{Decoder, encode};

/// Records are sent on their own once they are this long, so that a busy run is seen to move and memory stays small.
const FLUSH_BYTES: usize = 16 << 10;
/// … or this old.
const FLUSH_AFTER: Duration = Duration::from_millis(20);
/// Somebody waits for an answer; but most runs that give one end right after it, and both then travel together.
const ANSWER_AFTER: Duration = Duration::from_millis(1);

/// An answer is looked for so long before this thread sleeps: to be woken takes longer than most calls do. Whoever else has work to do goes
/// first, the server above all.
const EAGER: Duration = Duration::from_micros(50);

/// The runner's connection to the server.
pub(super) struct Link {
    stream: UnixStream,
    inner: RefCell<Inner>,
}

struct Inner {
    outgoing: Vec<u8>,
    flushed: Instant,
    /// Since when an answer is among what waits.
    answered: Option<Instant>,
    incoming: Decoder,
}

impl Link {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            inner: RefCell::new(Inner { outgoing: Vec::new(), flushed: Instant::now(), answered: None, incoming: Decoder::default() }),
        }
    }

    /// Puts a record on its way; nobody waits for it.
    pub(super) fn record(&self, record: Record) {
        self.queue(&FromRunner::Record(record));
        self.flush_if_due();
    }

    /// Puts the answer for a webhook's caller on its way.
    pub(super) fn respond(&self, answer: Answer) {
        self.queue(&FromRunner::Respond(answer));
        self.inner.borrow_mut().answered.get_or_insert_with(Instant::now);
    }

    /// Sends a message and everything that was recorded before it.
    pub(super) fn send(&self, message: &FromRunner) {
        self.queue(message);
        self.flush();
    }

    /// Sends what was recorded, if it is long or old.
    pub(super) fn flush_if_due(&self) {
        let due = {
            let inner = self.inner.borrow();
            let old = || inner.flushed.elapsed() > FLUSH_AFTER || inner.answered.is_some_and(|since| since.elapsed() > ANSWER_AFTER);
            !inner.outgoing.is_empty() && (inner.outgoing.len() > FLUSH_BYTES || old())
        };
        if due {
            self.flush();
        }
    }

    /// Asks the server to do something, and waits until it has. Says for how long of that a person held the run up.
    pub(super) fn call(&self, asked: Asked) -> (Reply, Duration) {
        self.send(&FromRunner::Call(asked));
        let until = Instant::now() + EAGER;
        match self.next(|| Instant::now() < until) {
            Some(ToRunner::Reply { reply, stood }) => (reply, stood),
            Some(_) => (Reply::Failed(Failure::new(Kind::Internal, "the server answered a call with something else")), Duration::ZERO),
            // The server is gone, and with it everyone who could want the result.
            None => std::process::exit(0),
        }
    }

    /// The next message; none once the server is gone.
    pub(super) fn receive(&self) -> Option<ToRunner> {
        self.next(|| false)
    }

    /// The same; as long as it is `eager`, without sleeping.
    fn next(&self, eager: impl Fn() -> bool) -> Option<ToRunner> {
        let mut inner = self.inner.borrow_mut();
        let mut chunk = [0u8; 16 << 10];
        loop {
            if let Some(message) = inner.incoming.take().ok()? {
                return Some(message);
            }
            let flags = if eager() { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
            let length = match rustix::net::recv(&self.stream, &mut chunk, flags) {
                Ok((_, 0)) => return None,
                Ok((_, length)) => length,
                Err(Errno::AGAIN) => {
                    rustix::thread::sched_yield();
                    continue;
                }
                Err(Errno::INTR) => continue,
                Err(_) => return None,
            };
            inner.incoming.buffer().extend_from_slice(chunk.get(..length)?);
        }
    }

    fn queue(&self, message: &FromRunner) {
        // A message that cannot be written down (a value nested too deep to serialise) is one the run cannot go on without.
        if encode(&mut self.inner.borrow_mut().outgoing, message).is_err() {
            std::process::exit(70);
        }
    }

    fn flush(&self) {
        let mut inner = self.inner.borrow_mut();
        if (&self.stream).write_all(&inner.outgoing).is_err() {
            std::process::exit(0);
        }
        inner.outgoing.clear();
        inner.flushed = Instant::now();
        inner.answered = None;
    }
}

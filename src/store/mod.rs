//! The database: the only room that says SQLite.
//!
//! One thread writes, and commits everything that waits in one transaction; a few connections read beside it. What is written is
//! plain rows ([`runs`], [`workflows`], [`keys`], …); what they mean is the business of the rooms above.

mod error;
pub mod keys;
mod queue;
mod readers;
pub mod runs;
mod schema;
pub mod workflows;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

pub use error::Error;
use queue::{Item, Queue, Task};
use readers::Readers;

/// The database. Clones share it; the last one to go writes what waits.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    queue: Arc<Queue>,
    readers: Option<Readers>,
    thread: Mutex<Option<JoinHandle<()>>>,
    last_key: AtomicI64,
}

impl Store {
    /// Opens the database at `path`, or creates it. Whatever it refuses it leaves untouched.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Foreign`] (another program's, or a newer version's), [`Error::Open`], [`Error::Full`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = schema::open(path)?;
        Self::start(connection, Some(Readers::new(path)))
    }

    /// A database that is gone with the last clone: for tests, and for runs nobody wants to keep.
    ///
    /// # Errors
    /// [`Error::Sqlite`], where there is no memory.
    pub fn in_memory() -> Result<Self, Error> {
        Self::start(schema::open_in_memory()?, None)
    }

    fn start(connection: Connection, readers: Option<Readers>) -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .spawn(move || writer::work(connection, &theirs))
            .map_err(|error| Error::Sqlite(format!("its thread did not start: {error}")))?;
        let inner = Inner { queue, readers, thread: Mutex::new(Some(thread)), last_key: AtomicI64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Queues a row, in order. Does not wait for the disk.
    ///
    /// # Errors
    /// [`Error::Full`] once the disk is full and much waits already; [`Error::Closed`].
    pub fn write(&self, write: runs::Write) -> Result<(), Error> {
        self.inner.queue.write(write)
    }

    /// Resolves once everything queued before is committed.
    ///
    /// # Errors
    /// [`Error::Full`]: it is not, but is kept and written as soon as there is room. [`Error::Closed`].
    pub async fn durable(&self) -> Result<(), Error> {
        let (reply, committed) = oneshot::channel();
        self.inner.queue.ask(Item::Barrier(reply));
        committed.await.unwrap_or(Err(Error::Closed))
    }

    /// Why nothing can be committed at the moment, if so.
    pub fn failing(&self) -> Option<Error> {
        self.inner.queue.failing()
    }

    /// Writes what waits and ends the thread. Later writes are refused. Blocks.
    pub fn close(&self) {
        self.inner.close();
    }

    /// A key for a new run: grows with time, also across restarts.
    pub(crate) fn next_key(&self, now: i64) -> runs::RunKey {
        // 11 bits below the microsecond: room for what is created within one, and for another process's clock.
        let fresh = now << 11 | i64::from(std::process::id() & 0x3ff);
        let step = |last: i64| Some(if fresh > last { fresh } else { last + 1 });
        let last = self.inner.last_key.fetch_update(Ordering::Relaxed, Ordering::Relaxed, step).unwrap_or_default();
        runs::RunKey(step(last).unwrap_or(fresh))
    }

    /// Does `work` in the next transaction; resolves after its commit. An error undoes it, and nothing else.
    async fn transact<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        let (reply, committed) = oneshot::channel();
        let task = WorkFor { work: Some(work), value: None, reply };
        self.inner.queue.ask(Item::Task(Box::new(task)));
        committed.await.unwrap_or(Err(Error::Closed))
    }

    /// Reads what is committed.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        match &self.inner.readers {
            Some(readers) => readers.read(work).await,
            None => self.transact(work).await,
        }
    }
}

impl Inner {
    fn close(&self) {
        // The last connection to close tidies the write-ahead log away, and only the writer can.
        if let Some(readers) = &self.readers {
            readers.close();
        }
        self.queue.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("the database's thread ended in a panic");
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.close();
    }
}

/// A closure on its way to the writing thread, and its value on the way back.
struct WorkFor<F, T> {
    work: Option<F>,
    value: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T: Send, F: FnOnce(&Connection) -> Result<T, Error> + Send> Task for WorkFor<F, T> {
    fn run(&mut self, connection: &Connection) -> Result<(), Error> {
        if let Some(work) = self.work.take() {
            self.value = Some(work(connection)?);
        }
        Ok(())
    }

    fn done(self: Box<Self>, committed: Result<(), Error>) {
        let Self { value, reply, .. } = *self;
        drop(reply.send(committed.and_then(|()| value.ok_or(Error::Closed))));
    }
}

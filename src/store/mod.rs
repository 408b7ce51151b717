//! The database: the only room that says SQLite.
//!
//! One thread writes, and commits everything that waits in one transaction; a few connections read beside it. What is written is
//! plain rows ([`audit`], [`runs`], [`workflows`], [`keys`], [`node_configs`], [`recordings`], [`secrets`], [`shell`], [`snapshots`], [`templates`], [`triggers`],
//! [`versions`]); what they mean is the business of the rooms above.

pub mod audit;
mod blobs;
mod error;
mod fold;
pub mod keys;
pub mod node_configs;
mod queue;
mod readers;
pub mod recordings;
pub mod retention;
pub mod runs;
mod schema;
mod search;
pub mod secrets;
pub mod shell;
pub mod snapshots;
mod targets;
pub mod templates;
pub mod triggers;
pub mod trust;
pub mod versions;
pub mod workflows;
mod writer;
mod zones;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use blobs::Blobs;
pub use blobs::{Apart, Content};
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
    /// Where it lies; none for one in memory.
    path: Option<PathBuf>,
    readers: Option<Readers>,
    /// What is too large for a row; none for a database in memory, which keeps everything in rows.
    blobs: Option<Arc<Blobs>>,
    thread: Mutex<Option<Writer>>,
    last_key: AtomicI64,
    /// Damage that was found while it was in use: nothing more is written.
    damaged: OnceLock<Error>,
}

/// The thread that writes.
struct Writer {
    handle: JoinHandle<()>,
    crashed: CancellationToken,
}

/// How large the database is, in bytes, and what waits for it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Size {
    /// The database itself.
    pub database: u64,
    /// What was written and is not folded in yet.
    pub log: u64,
    /// Rows and requests that wait to be written.
    pub waiting: usize,
}

impl Store {
    /// Opens the database at `path`, or creates it. Whatever it refuses it leaves untouched.
    ///
    /// # Errors
    /// [`Error::Corrupt`], [`Error::Foreign`] (another program's, or a newer version's), [`Error::Open`], [`Error::Full`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = schema::open(path)?;
        Self::new(connection, Some(path))
    }

    /// A database that is gone with the last clone: for tests, and for runs nobody wants to keep.
    ///
    /// # Errors
    /// [`Error::Sqlite`], where there is no memory.
    pub fn in_memory() -> Result<Self, Error> {
        Self::new(schema::open_in_memory()?, None)
    }

    fn new(connection: Connection, path: Option<&Path>) -> Result<Self, Error> {
        let queue = Arc::new(Queue::default());
        let blobs = path.map(|path| Arc::new(Blobs::beside(path)));
        let writer = Writer::start(connection, &queue, blobs.as_ref(), path)?;
        let inner = Inner {
            queue,
            blobs,
            path: path.map(Path::to_path_buf),
            readers: path.map(Readers::new),
            thread: Mutex::new(Some(writer)),
            last_key: AtomicI64::new(0),
            damaged: OnceLock::new(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Writes what waits, folds the write-ahead log into the database and closes its connections. What is to be written after that waits
    /// for [`Store::wake`]: nothing is lost or refused. One in memory goes on. Blocks.
    pub fn rest(&self) {
        if self.inner.path.is_some() {
            self.inner.queue.rest();
            self.inner.end_thread();
        }
    }

    /// Opens the connections again, after [`Store::rest`] or after the writing thread died. Does nothing while that one lives. Blocks.
    ///
    /// # Errors
    /// As [`Store::open`]; what waits to be written goes on waiting.
    pub fn wake(&self) -> Result<(), Error> {
        let Some(path) = &self.inner.path else { return self.failing().map_or(Ok(()), Err) };
        let mut thread = self.inner.thread();
        if thread.as_ref().is_some_and(|writer| !writer.crashed.is_cancelled()) || self.inner.queue.is_closed() {
            return Ok(());
        }
        if let Some(dead) = thread.take() {
            // Its panic was reported when it happened.
            drop(dead.handle.join());
        }
        let connection = schema::open(path).inspect_err(|error| self.inner.queue.down(error))?;
        self.inner.queue.begin();
        *thread = Some(Writer::start(connection, &self.inner.queue, self.inner.blobs.as_ref(), Some(path))?);
        Ok(())
    }

    /// Resolves when the writing thread has died. A thread that was told to end did not die.
    pub async fn crashed(&self) {
        let crashed = self.inner.thread().as_ref().map(|writer| writer.crashed.clone());
        match crashed {
            Some(crashed) => crashed.cancelled().await,
            None => std::future::pending().await,
        }
    }

    /// How large it is, and what waits.
    pub fn size(&self) -> Size {
        let bytes = |suffix: &str| {
            let path = self.inner.path.as_ref().map(|path| format!("{}{suffix}", path.display()));
            path.and_then(|path| std::fs::metadata(path).ok()).map_or(0, |data| data.len())
        };
        Size { database: bytes(""), log: bytes("-wal"), waiting: self.inner.queue.waiting() }
    }

    /// Queues a row, in order. Does not wait for the disk.
    ///
    /// # Errors
    /// [`Error::Full`] once the disk is full and much waits already; [`Error::Closed`].
    pub fn write(&self, write: runs::Write) -> Result<(), Error> {
        if let Some(damage) = self.inner.damaged.get() {
            return Err(damage.clone());
        }
        self.inner.queue.write(write)
    }

    /// Resolves once everything queued before is committed.
    ///
    /// # Errors
    /// [`Error::Full`]: it is not, but is kept and written as soon as there is room. [`Error::Closed`].
    pub async fn durable(&self) -> Result<(), Error> {
        let (reply, committed) = oneshot::channel();
        self.when_durable(|result| drop(reply.send(result)));
        committed.await.unwrap_or(Err(Error::Closed))
    }

    /// Calls `then` once everything queued before is committed, or with the reason why it is not, as [`Store::durable`] says it. It is
    /// called on the thread that writes, which must not be kept waiting; not at all where that thread is gone.
    pub fn when_durable(&self, then: impl FnOnce(Result<(), Error>) + Send + 'static) {
        if let Some(damage) = self.inner.damaged.get() {
            return then(Err(damage.clone()));
        }
        self.inner.queue.ask(Item::Barrier(Box::new(then)));
    }

    /// Why nothing can be committed at the moment, if so.
    pub fn failing(&self) -> Option<Error> {
        self.inner.damaged.get().cloned().or_else(|| self.inner.queue.failing())
    }

    /// Looks through a database that was too large for that when it was opened, until `end`. Where it is damaged, nothing more is
    /// written to it from then on, and whoever wants something written hears why.
    ///
    /// # Errors
    /// [`Error::Corrupt`].
    pub async fn examine(&self, end: &CancellationToken) -> Result<(), Error> {
        let Some(path) = self.inner.path.clone().filter(|_| self.size().database > schema::CHECKED_WHOLE) else { return Ok(()) };
        let (started, handle) = oneshot::channel();
        let looking = self.read(move |connection| {
            drop(started.send(connection.get_interrupt_handle()));
            Ok(schema::damage(connection))
        });
        let stopped = async {
            match handle.await {
                Ok(handle) => {
                    end.cancelled().await;
                    handle.interrupt();
                }
                Err(_) => end.cancelled().await,
            }
        };
        let found = tokio::select! {
            found = looking => found?,
            () = stopped => return Ok(()),
        };
        let reason = match found {
            Ok(None) => return Ok(()),
            Ok(Some(reason)) => reason,
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseCorrupt) => error.to_string(),
            Err(error) => return Err(error.into()),
        };
        let error = Error::Corrupt { path, reason };
        Err(self.inner.damaged.get_or_init(|| error).clone())
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
        self.ask(work).await.unwrap_or(Err(Error::Closed))
    }

    /// Has `work` done in the next transaction, before what is asked for later; tells after its commit.
    fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, Error>> {
        let (reply, committed) = oneshot::channel();
        if let Some(damage) = self.inner.damaged.get() {
            drop(reply.send(Err(damage.clone())));
            return committed;
        }
        let task = WorkFor { work: Some(work), value: None, reply };
        self.inner.queue.ask(Item::Task(Box::new(task)));
        committed
    }

    /// Reads what is committed.
    async fn read<T: Send + 'static>(&self, work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
        match &self.inner.readers {
            Some(readers) => readers.read(work).await,
            None => self.transact(work).await,
        }
    }
}

impl Writer {
    fn start(connection: Connection, queue: &Arc<Queue>, blobs: Option<&Arc<Blobs>>, path: Option<&Path>) -> Result<Self, Error> {
        let (queue, blobs, path, crashed) = (Arc::clone(queue), blobs.cloned(), path.map(Path::to_path_buf), CancellationToken::new());
        let theirs = crashed.clone();
        let work = move || writer::work(connection, &queue, blobs.as_deref(), path.as_deref(), theirs);
        let thread = std::thread::Builder::new().name("store".to_owned()).spawn(work);
        let handle = thread.map_err(|error| Error::Sqlite(format!("its thread did not start: {error}")))?;
        Ok(Self { handle, crashed })
    }
}

impl Inner {
    fn thread(&self) -> MutexGuard<'_, Option<Writer>> {
        self.thread.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self) {
        let resting = self.thread().is_none();
        self.queue.close();
        self.end_thread();
        // Rows that came while it rested: there is no thread to write them.
        if let (true, Some(path)) = (resting && self.queue.waiting() > 0, &self.path) {
            match schema::open(path) {
                Ok(connection) => writer::work(connection, &self.queue, self.blobs.as_deref(), None, CancellationToken::new()),
                Err(error) => tracing::error!(%error, "the last records of the runs could not be written"),
            }
        }
    }

    /// Waits for the thread that was told to end.
    fn end_thread(&self) {
        // The last connection to close tidies the write-ahead log away, and only the writer can.
        if let Some(readers) = &self.readers {
            readers.close();
        }
        let writer = self.thread().take();
        // What [`Store::when_durable`] calls may be the last to hold the store, and no thread can wait for itself.
        if let Some(writer) = writer
            && writer.handle.thread().id() != std::thread::current().id()
            && writer.handle.join().is_err()
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

#[cfg(test)]
mod tests;

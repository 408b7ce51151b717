//! Memory shared with the display's server: a picture lands in it without being copied, and it is used again for the next one.
//!
//! A segment belongs to one capture at a time. The last frame that shows it gives it back to the pool; the pool keeps a few and
//! lets the rest go, so that a burst of pictures held at once does not stay in memory for ever.

use std::sync::{Arc, Mutex, PoisonError};

use memmap2::MmapMut;
use rustix::fs::{MemfdFlags, SealFlags};
use x11rb::connection::{Connection, RequestConnection as _};
use x11rb::protocol::shm::{self, ConnectionExt as _};
use x11rb::rust_connection::RustConnection;

use super::{Region, Serial};

/// How many segments wait for the next capture: one for a picture that is taken while another is still looked at.
const IDLE: usize = 2;
/// Segments are this large at least, so that small regions share them.
const SMALLEST: usize = 64 * 1024;

/// Why there is no segment. The caller falls back to a capture without one.
#[derive(Debug, thiserror::Error)]
#[error("no memory can be shared with the display: {0}")]
pub(super) struct NotShared(String);

impl NotShared {
    fn because(reason: impl std::fmt::Display) -> Self {
        Self(reason.to_string())
    }
}

/// A piece of memory that the server can write to.
struct Segment {
    id: shm::Seg,
    map: MmapMut,
    /// The picture of a series that all of it shows.
    shows: Option<(Region, Serial)>,
}

/// The segments of one connection.
pub(super) struct Pool {
    connection: Arc<RustConnection>,
    idle: Mutex<Vec<Segment>>,
}

/// A segment in use; back in its pool when dropped.
pub(super) struct Lent {
    segment: Option<Segment>,
    used: usize,
    pool: Arc<Pool>,
}

impl Pool {
    /// A pool, where the server can take memory by file descriptor.
    pub(super) fn new(connection: Arc<RustConnection>) -> Result<Self, NotShared> {
        if connection.extension_information(shm::X11_EXTENSION_NAME).map_err(NotShared::because)?.is_none() {
            return Err(NotShared("the server has no MIT-SHM".to_owned()));
        }
        let version = connection.shm_query_version().map_err(NotShared::because)?.reply().map_err(NotShared::because)?;
        if (version.major_version, version.minor_version) < (1, 2) {
            return Err(NotShared("the server's MIT-SHM is older than 1.2".to_owned()));
        }
        let pool = Self { connection, idle: Mutex::default() };
        // A server on another machine has the extension but cannot share memory: find out once, here.
        let first = pool.create(SMALLEST)?;
        pool.keep(first);
        Ok(pool)
    }

    /// A segment of at least `size` bytes.
    pub(super) fn lend(self: &Arc<Self>, size: usize) -> Result<Lent, NotShared> {
        let found = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            // The smallest that fits, so that a small region does not take the whole screen's; one that is of no more use, if there is.
            let fits = idle.iter().enumerate().filter(|(_, s)| s.map.len() >= size);
            let best = fits.min_by_key(|(_, s)| (s.map.len(), s.shows.map(|(_, serial)| serial.number))).map(|(i, _)| i);
            best.map(|index| idle.swap_remove(index))
        };
        let segment = match found {
            Some(segment) => Segment { shows: None, ..segment },
            None => self.create(size.max(SMALLEST))?,
        };
        Ok(Lent { segment: Some(segment), used: size, pool: Arc::clone(self) })
    }

    /// A segment that shows a picture of the series, the newest there is, and the number of that picture.
    pub(super) fn lend_shown(self: &Arc<Self>, region: Region, series: u64, size: usize) -> Option<(Lent, u64)> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let of_series = idle.iter().enumerate().filter_map(|(index, segment)| {
            let (shown, serial) = segment.shows?;
            (shown == region && serial.series == series).then_some((serial.number, index))
        });
        let (number, index) = of_series.max()?;
        let mut segment = idle.swap_remove(index);
        // Until it is wholly brought up to date.
        segment.shows = None;
        Some((Lent { segment: Some(segment), used: size, pool: Arc::clone(self) }, number))
    }

    fn create(&self, size: usize) -> Result<Segment, NotShared> {
        let file = rustix::fs::memfd_create(c"trae-screen", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).map_err(NotShared::because)?;
        rustix::fs::ftruncate(&file, size as u64).map_err(NotShared::because)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL).map_err(NotShared::because)?;
        let map = map(&file).map_err(NotShared::because)?;
        let id = self.connection.generate_id().map_err(NotShared::because)?;
        self.connection.shm_attach_fd(id, file, false).map_err(NotShared::because)?.check().map_err(NotShared::because)?;
        Ok(Segment { id, map, shows: None })
    }

    fn keep(&self, segment: Segment) {
        let surplus = {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(segment);
            (idle.len() > IDLE).then(|| idle.remove(0))
        };
        if let Some(segment) = surplus {
            // A lost connection has let go of it by itself.
            let _ = self.connection.shm_detach(segment.id).map(x11rb::cookie::VoidCookie::ignore_error);
        }
    }
}

/// Maps the whole file.
#[expect(
    unsafe_code,
    reason = "mapping a file is unsafe because others could change it: this one is sealed against shrinking, and only \
the display's server has it, which writes to it only when asked for a capture, and then no one here holds a reference to its bytes"
)]
fn map(file: &rustix::fd::OwnedFd) -> std::io::Result<MmapMut> {
    // SAFETY: as said above; a segment is lent to one capture at a time, and its bytes are read only after the server's answer.
    unsafe { MmapMut::map_mut(file) }
}

impl Lent {
    /// The name that the server knows it by.
    pub(super) fn id(&self) -> shm::Seg {
        self.segment.as_ref().map_or(x11rb::NONE, |segment| segment.id)
    }

    /// Notes which picture it shows, all of it.
    pub(super) fn show(&mut self, region: Region, serial: Serial) {
        if let Some(segment) = &mut self.segment {
            segment.shows = Some((region, serial));
        }
    }

    /// The bytes asked for.
    pub(super) fn bytes(&self) -> &[u8] {
        self.segment.as_ref().and_then(|segment| segment.map.get(..self.used)).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(segment) = self.segment.take() {
            self.pool.keep(segment);
        }
    }
}

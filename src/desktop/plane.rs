//! A picture of a monitor at a size: its pixels, its fingerprint, and each part of it that somebody was sent, written down once for all.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

use super::Error;
use super::delta::Delta;
use super::shot::{Counts, Shot};
use crate::screen::{Cells, Coded, Coding, Frame, Nature, Region, TILE};

/// A plane that is made once, by whoever wants it first.
type Made = Arc<OnceCell<Arc<Plane>>>;

/// A part of a picture and how it is written down.
type Part = ((i32, i32, u32, u32), Coding);

/// Something that is made once while others wait.
type Slot<T> = Arc<Mutex<Option<Arc<T>>>>;

/// The sizes at which somebody watches a picture.
#[derive(Default)]
pub(super) struct Planes(Mutex<Vec<(u64, Made)>>);

/// A picture at a size.
pub(super) struct Plane {
    frame: Frame,
    generation: u64,
    cells: Arc<Cells>,
    natures: Mutex<HashMap<(i32, i32), Nature>>,
    /// What makes this picture of an earlier one, by that one's generation.
    deltas: Mutex<HashMap<u64, Slot<Delta>>>,
    parts: Mutex<HashMap<Part, Slot<Coded>>>,
    counts: Arc<Counts>,
}

impl Planes {
    fn place(&self, scale: f64) -> Made {
        let mut planes = locked(&self.0);
        if let Some((_, made)) = planes.iter().find(|(known, _)| *known == scale.to_bits()) {
            return Arc::clone(made);
        }
        let made = Made::default();
        planes.push((scale.to_bits(), Arc::clone(&made)));
        made
    }
}

impl Shot {
    /// The picture at a scale. `known` is an earlier one's fingerprint at that scale, and its generation: it saves looking at what has
    /// not changed since.
    ///
    /// # Errors
    /// [`Error::Screen`] where it cannot be made smaller.
    pub(super) async fn plane(self: &Arc<Self>, scale: f64, known: Option<(Arc<Cells>, u64)>) -> Result<Arc<Plane>, Error> {
        let place = self.planes().place(scale);
        let made = place.get_or_try_init(|| async {
            let shot = Arc::clone(self);
            let work = tokio::task::spawn_blocking(move || Plane::of(&shot, scale, known).map(Arc::new));
            work.await.map_err(|_| Error::Ended("comparing pictures"))?
        });
        made.await.map(Arc::clone)
    }
}

impl Plane {
    fn of(shot: &Shot, scale: f64, known: Option<(Arc<Cells>, u64)>) -> Result<Self, Error> {
        let frame = shot.frame().scaled(scale)?;
        let size = (frame.width(), frame.height());
        let cells = match known.filter(|(cells, _)| cells.size() == size) {
            Some((cells, generation)) => {
                let whole = (shot.frame().width(), shot.frame().height());
                let changed: Vec<Region> = shot.changed_since(generation).into_iter().map(|part| scaled(part, whole, size)).collect();
                if changed.is_empty() { cells } else { Arc::new(cells.after(&frame, &changed)?) }
            }
            None => Arc::new(Cells::of(&frame)),
        };
        Ok(Self {
            frame,
            generation: shot.generation(),
            cells,
            natures: Mutex::default(),
            deltas: Mutex::default(),
            parts: Mutex::default(),
            counts: Arc::clone(shot.counts()),
        })
    }

    /// Its fingerprint.
    pub(super) fn cells(&self) -> &Arc<Cells> {
        &self.cells
    }

    /// The picture's number.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.frame.width(), self.frame.height())
    }

    /// What makes it of an earlier picture.
    pub(super) fn since(&self, before: &Cells, generation: u64) -> Arc<Delta> {
        let slot = Arc::clone(locked(&self.deltas).entry(generation).or_default());
        let mut made = locked(&slot);
        Arc::clone(made.get_or_insert_with(|| Arc::new(Delta::between(before, &self.cells))))
    }

    /// What the tile looks like in which a part lies.
    pub(super) fn nature(&self, part: Region) -> Nature {
        let side = i32::try_from(TILE).unwrap_or(i32::MAX);
        let (x, y) = (part.x / side * side, part.y / side * side);
        if let Some(known) = locked(&self.natures).get(&(x, y)) {
            return *known;
        }
        let room = |at: i32, length: u32| TILE.min(length.saturating_sub(at.unsigned_abs()));
        let tile = Region { x, y, width: room(x, self.frame.width()), height: room(y, self.frame.height()) };
        let nature = self.frame.nature(tile);
        locked(&self.natures).insert((x, y), nature);
        nature
    }

    /// A part of it, written down. Takes a while; who asks for the same waits for it.
    pub(super) fn coded(&self, part: Region, coding: Coding) -> Result<Arc<Coded>, Error> {
        let key = ((part.x, part.y, part.width, part.height), coding);
        let slot = Arc::clone(locked(&self.parts).entry(key).or_default());
        let mut made = locked(&slot);
        if let Some(made) = made.as_ref() {
            return Ok(Arc::clone(made));
        }
        self.counts.encoded.fetch_add(1, Ordering::Relaxed);
        let coded = Arc::new(self.frame.code(part, coding)?);
        *made = Some(Arc::clone(&coded));
        Ok(coded)
    }
}

/// Where a part of a picture lies in the same picture of another size, and all that its pixels have to do with there.
fn scaled(part: Region, from: (u32, u32), to: (u32, u32)) -> Region {
    if from == to {
        return part;
    }
    // A smooth reduction mixes a pixel into its neighbours.
    const MARGIN: i64 = 2;
    let span = |start: i64, end: i64, from: u32, to: u32| {
        let (from, to) = (i64::from(from.max(1)), i64::from(to));
        let start = (start * to / from - MARGIN).clamp(0, to);
        let end = ((end * to + from - 1) / from + MARGIN).clamp(0, to);
        (i32::try_from(start).unwrap_or(i32::MAX), u32::try_from(end - start).unwrap_or_default())
    };
    let (x, width) = span(part.x.into(), part.right(), from.0, to.0);
    let (y, height) = span(part.y.into(), part.bottom(), from.1, to.1);
    Region { x, y, width, height }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

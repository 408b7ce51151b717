//! The picture that one viewer has before them, as far as it is known here, and what they have to be sent to have the newest.
//!
//! Of the pixels only the fingerprint is kept, so that a viewer who has fallen behind costs little, and still gets what lies between as one
//! change. Tiles that went as JPEGs are noted, and painted without loss once they have come to rest.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::delta::{Delta, Moved};
use super::plane::Plane;
use super::{Error, Shot};
use crate::screen::{Cells, Coded, Coding, Look, Nature, Region, TILE};

/// A tile that has not changed for so long is at rest.
const REST: Duration = Duration::from_millis(250);
/// Not more tiles than this are made sharp at a time.
const SHARP: usize = 48;
/// A smaller part of a tile is painted without loss, whatever it shows.
const SMALL: u32 = 512;
/// Larger areas are written down in several parts, on as many cores.
const LARGE: u32 = 1 << 18;
/// Together smaller than this, they are not worth another thread.
const FEW: u32 = 1 << 16;

/// The picture that a viewer has.
#[derive(Debug, Default)]
pub struct Canvas {
    had: Option<Had>,
}

#[derive(Debug)]
struct Had {
    cells: Arc<Cells>,
    generation: u64,
    scale: f64,
    /// For each tile, row by row: since when it shows a JPEG.
    rough: Vec<Option<Instant>>,
}

/// What a viewer is to be sent.
#[derive(Debug)]
pub struct Update {
    /// Width and height of the picture.
    pub size: (u32, u32),
    /// It stands for itself: nothing of what the viewer has counts any more.
    pub whole: bool,
    /// After it the viewer has the very pixels of the screen.
    pub exact: bool,
    /// When the screen looked like that.
    pub taken: SystemTime,
    /// What is to be moved, in this order, before anything is painted.
    pub moved: Vec<Moved>,
    /// What is to be painted.
    pub painted: Vec<(Region, Arc<Coded>)>,
}

impl Update {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.moved.is_empty() && self.painted.is_empty()
    }
}

impl Canvas {
    /// Forgets what the viewer has: the next update stands for itself.
    pub fn forget(&mut self) {
        self.had = None;
    }

    /// When something of it will be at rest that has to be made sharp then.
    pub fn rests(&self) -> Option<Instant> {
        self.had.as_ref()?.rough.iter().flatten().min().map(|since| *since + REST)
    }

    /// What the viewer has to be sent to have this picture; it counts as sent. Worked out where it holds nobody up.
    ///
    /// # Errors
    /// [`Error::Screen`] where a picture cannot be encoded.
    pub async fn update(mut self, shot: Arc<Shot>, look: Look) -> Result<(Self, Update), Error> {
        let had = self.had.as_ref().filter(|had| had.scale.to_bits() == look.scale.to_bits());
        let plane = shot.plane(look.scale, had.map(|had| (Arc::clone(&had.cells), had.generation))).await?;
        let taken = shot.taken();
        drop(shot);
        let work = tokio::task::spawn_blocking(move || {
            let plan = self.plan(&plane, look, Instant::now());
            let all: u32 = plan.areas.iter().map(|(area, _)| area.width.saturating_mul(area.height)).fold(0, u32::saturating_add);
            let parts = if all <= FEW { coded(&plane, &plan.areas).map(Some)? } else { None };
            Ok::<_, Error>((self, plane, plan, parts))
        });
        let (canvas, plane, plan, parts) = work.await.map_err(|_| Error::Ended("comparing pictures"))??;
        let painted = match parts {
            Some(parts) => parts,
            None => spread(&plane, plan.areas).await?,
        };
        let exact = canvas.rests().is_none();
        Ok((canvas, Update { size: plane.size(), whole: plan.whole, exact, taken, moved: plan.moved, painted }))
    }

    fn plan(&mut self, plane: &Plane, look: Look, now: Instant) -> Plan {
        let scale = look.scale;
        let (width, height) = plane.size();
        let grid = Grid { columns: width.div_ceil(TILE) as usize, size: (width, height) };
        let had = self.had.take().filter(|had| had.scale.to_bits() == scale.to_bits() && had.cells.size() == (width, height));
        let whole = had.is_none();
        let (delta, mut rough) = match had {
            Some(had) => (plane.since(&had.cells, had.generation), had.rough),
            None => (Arc::new(Delta::whole(plane.cells())), vec![None; grid.columns * height.div_ceil(TILE) as usize]),
        };
        for moved in &delta.moved {
            grid.carry(&mut rough, moved, now);
        }
        let mut wanted: Vec<Part> = Vec::with_capacity(delta.painted.len());
        for part in &delta.painted {
            let small = part.width.saturating_mul(part.height) < SMALL;
            let nature = plane.nature(*part);
            let coding = if small || nature != Nature::Seen { Coding::Exact } else { Coding::Jpeg(look.quality) };
            if let Some(mark) = rough.get_mut(grid.tile_at(part.x, part.y)) {
                let covered = grid.tile(part.x, part.y) == *part;
                *mark = match coding {
                    Coding::Jpeg(_) => Some(now),
                    Coding::Exact if covered => None,
                    Coding::Exact => mark.map(|_| now),
                };
            }
            wanted.push((*part, (coding, nature)));
        }
        let rested = rough.iter_mut().enumerate().filter(|(_, mark)| mark.is_some_and(|since| since + REST <= now)).take(SHARP);
        for (index, mark) in rested {
            *mark = None;
            wanted.push((grid.nth(index), (Coding::Exact, Nature::Seen)));
        }
        self.had = Some(Had { cells: Arc::clone(plane.cells()), generation: plane.generation(), scale, rough });
        Plan { whole, moved: delta.moved.clone(), areas: joined(wanted) }
    }
}

/// A part of the picture, and what it can be painted with at once: what is written down alike, and has about as many colours.
type Part = (Region, (Coding, Nature));

/// What is to be done.
struct Plan {
    whole: bool,
    moved: Vec<Moved>,
    areas: Vec<(Region, Coding)>,
}

/// The tiles of a picture.
struct Grid {
    columns: usize,
    size: (u32, u32),
}

impl Grid {
    fn tile_at(&self, x: i32, y: i32) -> usize {
        (y.unsigned_abs() / TILE) as usize * self.columns + (x.unsigned_abs() / TILE) as usize
    }

    fn nth(&self, index: usize) -> Region {
        let pixels = |tiles: usize| i32::try_from(tiles * TILE as usize).unwrap_or(i32::MAX);
        self.tile(pixels(index % self.columns.max(1)), pixels(index / self.columns.max(1)))
    }

    /// The tile that a point lies in.
    fn tile(&self, x: i32, y: i32) -> Region {
        let (left, top) = (x.unsigned_abs() / TILE * TILE, y.unsigned_abs() / TILE * TILE);
        let (width, height) = (TILE.min(self.size.0.saturating_sub(left)), TILE.min(self.size.1.saturating_sub(top)));
        Region { x: i32::try_from(left).unwrap_or(i32::MAX), y: i32::try_from(top).unwrap_or(i32::MAX), width, height }
    }

    /// What is rough stays so where it is moved to.
    fn carry(&self, rough: &mut [Option<Instant>], moved: &Moved, now: Instant) {
        let tile = TILE as usize;
        let columns = moved.to.x.unsigned_abs() as usize / tile..(moved.to.x.unsigned_abs() + moved.to.width).div_ceil(TILE) as usize;
        let rows = |top: i32| top.unsigned_abs() as usize / tile..(top.unsigned_abs() + moved.to.height).div_ceil(TILE) as usize;
        for column in columns {
            let at = |row: usize| row * self.columns + column;
            if rows(moved.from_y).any(|row| rough.get(at(row)).is_some_and(Option::is_some)) {
                for row in rows(moved.to.y) {
                    if let Some(mark) = rough.get_mut(at(row)) {
                        *mark = Some(now);
                    }
                }
            }
        }
    }
}

/// Joins neighbours, first those beside each other, then those on top of each other. What lies between may be painted as well.
fn joined(parts: Vec<Part>) -> Vec<(Region, Coding)> {
    let area = |region: &Region| u64::from(region.width) * u64::from(region.height);
    let mut rows: Vec<Part> = Vec::with_capacity(parts.len());
    for (part, kind) in parts {
        if let Some((left, of)) = rows.last_mut()
            && *of == kind
            && left.right() == i64::from(part.x)
            && left.y.unsigned_abs() / TILE == part.y.unsigned_abs() / TILE
        {
            let (top, bottom) = (left.y.min(part.y), left.bottom().max(part.bottom()));
            let height = u32::try_from(bottom - i64::from(top)).unwrap_or_default();
            let both = Region { x: left.x, y: top, width: left.width + part.width, height };
            if area(&both) <= (area(left) + area(&part)) * 3 / 2 {
                *left = both;
                continue;
            }
        }
        rows.push((part, kind));
    }
    let mut found: Vec<Part> = Vec::with_capacity(rows.len());
    for (part, kind) in rows {
        let fits = |above: &Region| {
            above.x == part.x
                && above.width == part.width
                && above.bottom() == i64::from(part.y)
                && area(above) + area(&part) <= u64::from(LARGE)
        };
        match found.iter_mut().rev().find(|(above, of)| *of == kind && fits(above)) {
            Some((above, _)) => above.height += part.height,
            None => found.push((part, kind)),
        }
    }
    found.into_iter().map(|(part, (coding, _))| (part, coding)).collect()
}

fn coded(plane: &Plane, areas: &[(Region, Coding)]) -> Result<Vec<(Region, Arc<Coded>)>, Error> {
    areas.iter().map(|(area, coding)| Ok((*area, plane.coded(*area, *coding)?))).collect()
}

/// The same on as many cores as there are.
async fn spread(plane: &Arc<Plane>, areas: Vec<(Region, Coding)>) -> Result<Vec<(Region, Arc<Coded>)>, Error> {
    let works: Vec<_> = areas
        .into_iter()
        .map(|(area, coding)| {
            let plane = Arc::clone(plane);
            tokio::task::spawn_blocking(move || Ok::<_, Error>((area, plane.coded(area, coding)?)))
        })
        .collect();
    let mut parts = Vec::with_capacity(works.len());
    for work in works {
        parts.push(work.await.map_err(|_| Error::Ended("encoding a picture"))??);
    }
    Ok(parts)
}

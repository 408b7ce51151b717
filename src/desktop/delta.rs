//! What has to be done to one picture to make another of it: what has moved up or down, as when text scrolls, and which tiles have to be
//! painted anew. Found by the pictures' fingerprints alone.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;

use crate::screen::{Cells, Region, TILE};

/// Fewer rows than this are painted rather than moved.
const FEWEST: usize = 16;

/// Something that has moved up or down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// Where it is now.
    pub to: Region,
    /// The row where it was.
    pub from_y: i32,
}

/// What makes one picture of another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Delta {
    /// To be done first, in this order, as one may take what another covers afterwards.
    pub(super) moved: Vec<Moved>,
    /// The parts of tiles to be painted: at most one for each tile, row by row of tiles.
    pub(super) painted: Vec<Region>,
}

/// Rows in a column that have come from somewhere else.
#[derive(Clone, PartialEq, Eq)]
struct Run {
    rows: Range<usize>,
    /// How many rows further down they were; less than none for further up.
    by: isize,
}

impl Delta {
    /// What makes a picture out of nothing.
    pub(super) fn whole(now: &Cells) -> Self {
        let (width, height) = now.size();
        let all = |count: usize| vec![0..height as usize; count];
        Self { moved: Vec::new(), painted: painted((width, height), &all(now.columns().len()), |_, rows| Some(rows)) }
    }

    /// What makes `now` out of `before`; pictures of one size.
    pub(super) fn between(before: &Cells, now: &Cells) -> Self {
        let size = now.size();
        if before.size() != size {
            return Self::whole(now);
        }
        let mut columns: Vec<Vec<u64>> = Vec::with_capacity(now.columns().len());
        let mut runs: Vec<Vec<Run>> = Vec::with_capacity(columns.capacity());
        for (before, now) in before.columns().zip(now.columns()) {
            let mut column = if before == now { Vec::new() } else { before.to_vec() };
            let found = if column.is_empty() { Vec::new() } else { scrolled(&column, now) };
            for Run { rows, by } in &found {
                let from = rows.start.saturating_add_signed(*by);
                column.copy_within(from..from + rows.len(), rows.start);
            }
            columns.push(column);
            runs.push(found);
        }
        let nows: Vec<&[u64]> = now.columns().collect();
        let differs = |column: usize, rows: Range<usize>| {
            let (had, wants) = (columns.get(column)?.get(rows.clone())?, nows.get(column)?.get(rows.clone())?);
            let first = had.iter().zip(wants).position(|(had, wants)| had != wants)?;
            let last = had.iter().zip(wants).rposition(|(had, wants)| had != wants)?;
            Some(rows.start + first..rows.start + last + 1)
        };
        let spans: Vec<Range<usize>> = nows.iter().map(|now| 0..now.len()).collect();
        Self { moved: moved(size.0, &runs), painted: painted(size, &spans, differs) }
    }
}

/// The parts of tiles that `wanted` names, as rectangles.
fn painted(
    (width, height): (u32, u32),
    columns: &[Range<usize>],
    wanted: impl Fn(usize, Range<usize>) -> Option<Range<usize>>,
) -> Vec<Region> {
    let mut found = Vec::new();
    let tile = TILE as usize;
    for top in (0..height as usize).step_by(tile) {
        for column in 0..columns.len() {
            if let Some(rows) = wanted(column, top..(top + tile).min(height as usize)) {
                found.push(area(width, column..column + 1, &rows));
            }
        }
    }
    found
}

/// Columns of tiles and rows of pixels as a rectangle.
fn area(width: u32, columns: Range<usize>, rows: &Range<usize>) -> Region {
    let narrow = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let left = narrow(columns.start).saturating_mul(TILE);
    Region {
        x: i32::try_from(left).unwrap_or(i32::MAX),
        y: i32::try_from(rows.start).unwrap_or(i32::MAX),
        width: narrow(columns.len()).saturating_mul(TILE).min(width.saturating_sub(left)),
        height: narrow(rows.len()),
    }
}

/// The runs of all columns; those that neighbours share are one.
fn moved(width: u32, runs: &[Vec<Run>]) -> Vec<Moved> {
    let mut found = Vec::new();
    let mut column = 0;
    while let Some(here) = runs.get(column) {
        let alike = runs.iter().skip(column).take_while(|there| *there == here).count().max(1);
        for Run { rows, by } in here {
            let from = i32::try_from(rows.start.saturating_add_signed(*by)).unwrap_or_default();
            found.push(Moved { to: area(width, column..column + alike, rows), from_y: from });
        }
        column += alike;
    }
    found
}

/// What has moved within a column, in the order in which it can be moved in place.
fn scrolled(before: &[u64], now: &[u64]) -> Vec<Run> {
    let differs = |y: &usize| before.get(*y) != now.get(*y);
    let (Some(first), Some(last)) = ((0..now.len()).find(differs), (0..now.len()).rfind(differs)) else { return Vec::new() };
    if last + 1 - first < FEWEST {
        return Vec::new();
    }
    let Some(by) = distance(before, now, first..last + 1) else { return Vec::new() };
    let came = |y: usize| y.checked_add_signed(by).and_then(|from| before.get(from)) == now.get(y);
    let mut runs = Vec::new();
    let mut y = first;
    while y <= last {
        let length = (y..=last).take_while(|y| came(*y)).count();
        let rows = y..y + length;
        // Worth it where more than a few rows are other than they were.
        if length >= FEWEST && rows.clone().filter(differs).count() >= FEWEST / 2 {
            runs.push(Run { rows, by });
        }
        y += length.max(1);
    }
    if by < 0 {
        runs.reverse();
    }
    runs
}

/// How far most rows have moved, by those that there is only one of in either picture.
fn distance(before: &[u64], now: &[u64], span: Range<usize>) -> Option<isize> {
    let sole = |rows: &[u64]| {
        let mut places: HashMap<u64, Option<usize>, BuildHasherDefault<AsItIs>> = HashMap::default();
        places.reserve(rows.len());
        for (index, number) in rows.iter().enumerate() {
            places.entry(*number).and_modify(|place| *place = None).or_insert(Some(index + span.start));
        }
        places
    };
    let (had, has) = (sole(before.get(span.clone())?), sole(now.get(span.clone())?));
    let mut votes: HashMap<isize, usize> = HashMap::new();
    for (number, place) in has {
        if let (Some(to), Some(Some(from))) = (place, had.get(&number)) {
            *votes.entry(from.checked_signed_diff(to)?).or_default() += 1;
        }
    }
    let (by, votes) = votes.into_iter().max_by_key(|(by, votes)| (*votes, *by))?;
    (by != 0 && votes >= 3).then_some(by)
}

/// Takes numbers that are well mixed already as they are.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |all, byte| all.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }
}

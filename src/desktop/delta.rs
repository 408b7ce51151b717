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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::screen::Frame;

    const WIDTH: u32 = 150;

    /// A picture of rows that each have one colour.
    fn rows(colours: &[u32]) -> Frame {
        picture(colours.len(), |_, y| colours[y])
    }

    fn picture(height: usize, colour: impl Fn(u32, usize) -> u32) -> Frame {
        let bytes = (0..height).flat_map(|y| (0..WIDTH).map(move |x| (x, y))).flat_map(|(x, y)| colour(x, y).to_le_bytes()).collect();
        Frame::of_bgrx(bytes, (WIDTH, u32::try_from(height).unwrap()))
    }

    fn pixels(frame: &Frame) -> Vec<Vec<u8>> {
        frame.rows().map(<[u8]>::to_vec).collect()
    }

    /// What a viewer has who had `before` and was sent the difference; the pixels that were sent.
    fn applied(before: &Frame, now: &Frame) -> (Delta, Vec<Vec<u8>>, usize) {
        let delta = Delta::between(&Cells::of(before), &Cells::of(now));
        let (mut shown, wanted) = (pixels(before), pixels(now));
        let span = |region: &Region| {
            let (x, y) = (usize::try_from(region.x).unwrap(), usize::try_from(region.y).unwrap());
            (x * 4..(x + region.width as usize) * 4, y..y + region.height as usize)
        };
        for moved in &delta.moved {
            let (columns, to) = span(&moved.to);
            let from = usize::try_from(moved.from_y).unwrap();
            let taken: Vec<_> = (from..from + to.len()).map(|y| shown[y][columns.clone()].to_vec()).collect();
            to.zip(taken).for_each(|(y, row)| shown[y][columns.clone()].copy_from_slice(&row));
        }
        let mut sent = 0;
        for part in &delta.painted {
            let (columns, rows) = span(part);
            sent += columns.len() / 4 * rows.len();
            rows.for_each(|y| shown[y][columns.clone()].copy_from_slice(&wanted[y][columns.clone()]));
        }
        (delta, shown, sent)
    }

    #[test]
    fn what_scrolls_is_moved_and_only_the_rest_is_painted() {
        let text: Vec<u32> = (0..400).map(|row| row * 7919 % 65_521).collect();
        for by in [1, 13, 150] {
            for (before, now) in [(0, by), (by, 0)] {
                let (before, now) = (rows(&text[before..before + 200]), rows(&text[now..now + 200]));
                let (delta, shown, sent) = applied(&before, &now);
                assert_eq!(shown, pixels(&now));
                assert_eq!((delta.moved.len(), sent), (1, by * WIDTH as usize), "{delta:?}");
            }
        }
    }

    #[test]
    fn a_window_that_scrolls_beside_a_still_one_is_moved_alone() {
        let (still, text) = (|y: usize| u32::try_from(y).unwrap() * 31, |y: usize| u32::try_from(y).unwrap() * 7919 % 65_521);
        let of = |by: usize| picture(200, move |x, y| if x < 64 || !(20..180).contains(&y) { still(y) } else { text(y + by) });
        let (delta, shown, sent) = applied(&of(0), &of(30));
        assert_eq!(shown, pixels(&of(30)));
        assert_eq!(delta.moved, [Moved { to: Region { x: 64, y: 20, width: 86, height: 130 }, from_y: 50 }]);
        assert_eq!(sent, 30 * 86);
    }

    #[test]
    fn what_only_changes_is_painted() {
        let before = picture(200, |_, _| 5);
        let now = picture(200, |x, y| if x == 70 && (100..104).contains(&y) { 9 } else { 5 });
        let (delta, shown, _) = applied(&before, &now);
        assert_eq!(shown, pixels(&now));
        assert_eq!((delta.moved.len(), &delta.painted[..]), (0, &[Region { x: 64, y: 100, width: 64, height: 4 }][..]));
        assert_eq!(Delta::between(&Cells::of(&now), &Cells::of(&now)), Delta::default());
        assert_eq!(Delta::between(&Cells::of(&picture(199, |_, _| 5)), &Cells::of(&now)), Delta::whole(&Cells::of(&now)));
    }

    proptest! {
        #[test]
        fn whatever_happens_the_picture_comes_out(
            text in proptest::collection::vec(0_u32..40, 260),
            (by, up) in (0_usize..60, any::<bool>()),
            changes in proptest::collection::vec((0_u32..WIDTH, 0_usize..200, 40_u32..50), 0..6),
        ) {
            let column = |x: u32, y: usize| text[y] * (1 + x / 64);
            let still = picture(200, |x, y| if up { column(x, y + by) } else { column(x, y) });
            let moved = picture(200, |x, y| {
                let changed = changes.iter().find(|change| (change.0, change.1) == (x, y)).map(|change| change.2);
                changed.unwrap_or_else(|| if up { column(x, y) } else { column(x, y + by) })
            });
            let (_, shown, _) = applied(&still, &moved);
            prop_assert_eq!(shown, pixels(&moved));
        }
    }
}

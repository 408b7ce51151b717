//! Which parts of a picture changed when: the picture in tiles, each with the generation of its last change. However many pictures a
//! viewer has missed, what changed since the one it has is known, and takes no more room.

use crate::screen::{Region, TILE};

/// The tiles of a picture.
#[derive(Debug, Clone)]
pub(super) struct Tiles {
    area: Region,
    columns: usize,
    generations: Vec<u64>,
}

impl Tiles {
    /// The tiles of a picture of `area`, all of them changed in `generation`.
    pub(super) fn new(area: Region, generation: u64) -> Self {
        let count = |side: u32| side.div_ceil(TILE) as usize;
        let columns = count(area.width);
        Self { area, columns, generations: vec![generation; columns * count(area.height)] }
    }

    /// What the picture shows.
    pub(super) fn area(&self) -> Region {
        self.area
    }

    /// Notes that something changed in a rectangle of the virtual screen; says whether that is in the picture at all.
    pub(super) fn mark(&mut self, changed: &Region, generation: u64) -> bool {
        let Some((columns, rows)) = self.touched(changed) else { return false };
        for row in rows {
            for column in columns.clone() {
                if let Some(tile) = self.generations.get_mut(row * self.columns + column) {
                    *tile = generation;
                }
            }
        }
        true
    }

    /// The generation of the last change in a rectangle of the virtual screen; `None` where it is not in the picture.
    pub(super) fn newest(&self, of: &Region) -> Option<u64> {
        let (columns, rows) = self.touched(of)?;
        let row = |row: usize| self.generations.get(row * self.columns + columns.start..row * self.columns + columns.end);
        rows.filter_map(row).flatten().max().copied()
    }

    /// The tiles that a rectangle touches, as columns and rows.
    fn touched(&self, changed: &Region) -> Option<(std::ops::Range<usize>, std::ops::Range<usize>)> {
        let span = |start: i32, end: i64, own_start: i32, own_length: u32| {
            let from = (i64::from(start) - i64::from(own_start)).max(0);
            let to = (end - i64::from(own_start)).min(own_length.into());
            let tile = i64::from(TILE);
            let tiles = usize::try_from(from / tile).ok()?..usize::try_from((to + tile - 1) / tile).ok()?;
            (from < to).then_some(tiles)
        };
        let columns = span(changed.x, changed.right(), self.area.x, self.area.width)?;
        let rows = span(changed.y, changed.bottom(), self.area.y, self.area.height)?;
        Some((columns, rows))
    }

    /// What changed after `generation`, as rectangles counted from the picture's corner, that do not overlap.
    pub(super) fn changed_since(&self, generation: u64) -> Vec<Region> {
        let mut found: Vec<Region> = Vec::new();
        for (row, tiles) in self.generations.chunks(self.columns.max(1)).enumerate() {
            let mut column = 0;
            while column < tiles.len() {
                let run = tiles.iter().skip(column).take_while(|tile| **tile > generation).count();
                if run > 0 {
                    found.push(self.rectangle(column, row, run));
                }
                column += run.max(1);
            }
        }
        merge_rows(found)
    }

    fn rectangle(&self, column: usize, row: usize, run: usize) -> Region {
        let pixels = |tiles: usize| u32::try_from(tiles).unwrap_or(u32::MAX).saturating_mul(TILE);
        let (left, top) = (pixels(column), pixels(row));
        Region {
            x: i32::try_from(left).unwrap_or(i32::MAX),
            y: i32::try_from(top).unwrap_or(i32::MAX),
            width: pixels(run).min(self.area.width.saturating_sub(left)),
            height: TILE.min(self.area.height.saturating_sub(top)),
        }
    }
}

/// Joins rectangles that stand exactly on top of each other.
fn merge_rows(rectangles: Vec<Region>) -> Vec<Region> {
    let mut merged: Vec<Region> = Vec::with_capacity(rectangles.len());
    for rectangle in rectangles {
        let above = merged
            .iter_mut()
            .rev()
            .find(|above| above.x == rectangle.x && above.width == rectangle.width && above.bottom() == i64::from(rectangle.y));
        match above {
            Some(above) => above.height += rectangle.height,
            None => merged.push(rectangle),
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn region(x: i32, y: i32, width: u32, height: u32) -> Region {
        Region { x, y, width, height }
    }

    #[test]
    fn what_changed_is_told_whatever_was_missed() {
        let mut tiles = Tiles::new(region(100, 0, 200, 130), 1);
        assert_eq!(tiles.changed_since(0), [region(0, 0, 200, 130)]);
        assert_eq!(tiles.changed_since(1), []);
        assert!(tiles.mark(&region(110, 10, 5, 5), 2));
        assert!(tiles.mark(&region(295, 60, 1000, 10), 3));
        assert_eq!(tiles.changed_since(1), [region(0, 0, 64, 64), region(192, 0, 8, 128)]);
        assert_eq!(tiles.changed_since(2), [region(192, 0, 8, 128)]);
        assert_eq!(tiles.changed_since(3), []);
    }

    #[test]
    fn the_last_change_in_a_part_is_known() {
        let mut tiles = Tiles::new(region(100, 0, 200, 130), 1);
        tiles.mark(&region(110, 10, 5, 5), 4);
        assert_eq!(tiles.newest(&region(100, 0, 200, 130)), Some(4));
        assert_eq!(tiles.newest(&region(164, 0, 10, 10)), Some(1));
        assert_eq!(tiles.newest(&region(120, 60, 10, 10)), Some(4));
        assert_eq!(tiles.newest(&region(300, 0, 10, 10)), None);
    }

    #[test]
    fn what_lies_outside_is_none_of_it() {
        let mut tiles = Tiles::new(region(100, 100, 64, 64), 1);
        for outside in [region(0, 0, 100, 1000), region(164, 100, 10, 10), region(100, 164, 1, 1), region(i32::MIN, i32::MIN, 1, 1)] {
            assert!(!tiles.mark(&outside, 2), "{outside:?}");
        }
        assert!(tiles.mark(&region(i32::MIN, i32::MIN, u32::MAX, u32::MAX), 2));
    }
}

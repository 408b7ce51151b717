//! Arithmetic of rectangles. All of it in `i64`, where sums of `i32` and `u32` cannot wrap.

use super::{Error, Monitor, Region};

impl Region {
    /// One past the right edge.
    pub fn right(&self) -> i64 {
        i64::from(self.x) + i64::from(self.width)
    }

    /// One past the bottom edge.
    pub fn bottom(&self) -> i64 {
        i64::from(self.y) + i64::from(self.height)
    }

    /// Whether the point lies in it.
    pub fn contains(&self, x: i32, y: i32) -> bool {
        x >= self.x && y >= self.y && i64::from(x) < self.right() && i64::from(y) < self.bottom()
    }

    /// Whether `other` lies in it entirely.
    pub fn encloses(&self, other: &Region) -> bool {
        other.x >= self.x && other.y >= self.y && other.right() <= self.right() && other.bottom() <= self.bottom()
    }

    /// This region, checked to lie in `bounds`, then moved by `offset` (the corner that it counted from).
    pub(super) fn within(self, bounds: Region, offset: (i32, i32), of: &str) -> Result<Region, Error> {
        if self.width == 0 || self.height == 0 {
            return Err(Error::EmptyRegion);
        }
        let off = || Error::OffScreen { asked: self, bounds, of: of.to_owned() };
        if !bounds.encloses(&self) {
            return Err(off());
        }
        let x = self.x.checked_add(offset.0).ok_or_else(off)?;
        let y = self.y.checked_add(offset.1).ok_or_else(off)?;
        Ok(Region { x, y, ..self })
    }

    /// What both have in common.
    pub fn overlap(self, other: Region) -> Option<Region> {
        let (x, y) = (self.x.max(other.x), self.y.max(other.y));
        let span = |end: i64, start: i32| u32::try_from(end - i64::from(start)).ok().filter(|length| *length > 0);
        let (width, height) = (span(self.right().min(other.right()), x)?, span(self.bottom().min(other.bottom()), y)?);
        Some(Region { x, y, width, height })
    }

    /// The smallest region around both.
    pub fn union(self, other: Region) -> Region {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let span = |end: i64, start: i32| u32::try_from(end - i64::from(start)).unwrap_or(u32::MAX);
        Region { x, y, width: span(self.right().max(other.right()), x), height: span(self.bottom().max(other.bottom()), y) }
    }
}

impl Monitor {
    /// Its place on the virtual screen.
    pub fn region(&self) -> Region {
        Region { x: self.x, y: self.y, width: self.width, height: self.height }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{Classify, Kind};

    const fn region(x: i32, y: i32, width: u32, height: u32) -> Region {
        Region { x, y, width, height }
    }

    #[test]
    fn only_what_lies_inside_passes() {
        let screen = region(0, 0, 800, 600);
        let cases = [
            (region(0, 0, 800, 600), true),
            (region(799, 599, 1, 1), true),
            (region(0, 0, 801, 600), false),
            (region(-1, 0, 10, 10), false),
            (region(799, 0, 2, 1), false),
            (region(800, 0, 1, 1), false),
            (region(40_000, 40_000, 1, 1), false),
            (region(0, 0, 0, 10), false),
            (region(0, 0, 10, 0), false),
            (region(i32::MAX, 0, u32::MAX, 1), false),
            (region(i32::MIN, i32::MIN, u32::MAX, u32::MAX), false),
            (region(1, 1, u32::MAX, u32::MAX), false),
        ];
        for (asked, inside) in cases {
            let answer = asked.within(screen, (0, 0), "the screen");
            assert_eq!(answer.is_ok(), inside, "{asked:?}");
            if let Err(error) = answer {
                assert_eq!(error.kind(), Kind::ValidationError);
                assert_eq!(error.details().unwrap()["errors"][0]["path"], "/region");
            }
        }
    }

    #[test]
    fn the_error_names_the_bounds() {
        let error = region(700, 0, 200, 10).within(region(0, 0, 800, 600), (0, 0), "the screen").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the region 200×10 at (700, 0) does not lie on the screen, which is 800×600 at (0, 0): choose one inside it"
        );
    }

    #[test]
    fn a_region_of_a_monitor_counts_from_its_corner() {
        let own = region(0, 0, 1280, 1024);
        assert_eq!(region(10, 20, 5, 5).within(own, (1920, -100), "monitor 1").unwrap(), region(1930, -80, 5, 5));
        assert!(region(i32::MAX - 1, 0, 1, 1).within(region(0, 0, u32::MAX, 10), (10, 0), "monitor 1").is_err());
    }

    #[test]
    fn a_union_of_far_corners_does_not_wrap() {
        let all = region(i32::MIN, 0, 1, 1).union(region(i32::MAX, 0, u32::MAX, 1));
        assert_eq!((all.x, all.width), (i32::MIN, u32::MAX));
    }
}

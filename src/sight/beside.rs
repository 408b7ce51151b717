//! Where one thing on the screen stands as seen from another.

use crate::screen::Region;

/// How something stands to what it is looked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    /// Anywhere around it.
    Near,
    /// On the same height, to its right.
    RightOf,
    /// On the same height, to its left.
    LeftOf,
    /// In the same column, above it.
    Above,
    /// In the same column, below it.
    Below,
}

impl Relation {
    /// As the option is called, in prose.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::RightOf => "right of",
            Self::LeftOf => "left of",
            Self::Above => "above",
            Self::Below => "below",
        }
    }

    /// The part of a zone in which something stands so to `anchor`, as far as that is certain; none where there is no room for anything.
    pub(super) fn side(self, anchor: &Region, zone: &Region) -> Option<Region> {
        let narrow = |place: i64| i32::try_from(place).unwrap_or(i32::MAX);
        let between = |from: i64, to: i64| u32::try_from(to - from).ok().filter(|length| *length > 0);
        let (left, top) = (i64::from(zone.x), i64::from(zone.y));
        let half = i64::from(anchor.height / 2);
        // Higher letters than those of the anchor are to be seen whole.
        let row = ((i64::from(anchor.y) - half).max(top), (anchor.bottom() + half).min(zone.bottom()));
        let (across, down) = match self {
            Self::Near => ((left, zone.right()), (top, zone.bottom())),
            Self::RightOf => ((anchor.right(), zone.right()), row),
            Self::LeftOf => ((left, i64::from(anchor.x)), row),
            Self::Above => ((left, zone.right()), (top, i64::from(anchor.y))),
            Self::Below => ((left, zone.right()), (anchor.bottom(), zone.bottom())),
        };
        let (width, height) = (between(across.0, across.1)?, between(down.0, down.1)?);
        Some(Region { x: narrow(across.0), y: narrow(down.0), width, height })
    }

    /// How many pixels are between the two, where `what` stands so to `anchor`.
    pub(super) fn distance(self, what: &Region, anchor: &Region) -> Option<i64> {
        let beside = i64::from(what.y) < anchor.bottom() && what.bottom() > i64::from(anchor.y);
        let over = i64::from(what.x) < anchor.right() && what.right() > i64::from(anchor.x);
        let middle = |start: i32, end: i64| (i64::from(start) + end) / 2;
        let (x, y) = (middle(what.x, what.right()), middle(what.y, what.bottom()));
        let right = i64::from(what.x) - anchor.right();
        let left = i64::from(anchor.x) - what.right();
        let below = i64::from(what.y) - anchor.bottom();
        let above = i64::from(anchor.y) - what.bottom();
        let (holds, distance) = match self {
            Self::Near => (what != anchor, right.max(left).max(0) + below.max(above).max(0)),
            Self::RightOf => (beside && x > anchor.right(), right),
            Self::LeftOf => (beside && x < i64::from(anchor.x), left),
            Self::Above => (over && y < i64::from(anchor.y), above),
            Self::Below => (over && y > anchor.bottom(), below),
        };
        holds.then_some(distance.max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(x: i32, y: i32) -> Region {
        Region { x, y, width: 40, height: 10 }
    }

    #[test]
    fn what_is_beside_is_a_part_of_the_zone_without_the_anchor() {
        let zone = Region { x: 10, y: 20, width: 300, height: 200 };
        let part = |x, y, width, height| Some(Region { x, y, width, height });
        for (relation, anchor, side) in [
            (Relation::RightOf, at(100, 100), part(140, 95, 170, 20)),
            (Relation::LeftOf, at(100, 100), part(10, 95, 90, 20)),
            (Relation::Above, at(100, 100), part(10, 20, 300, 80)),
            (Relation::Below, at(100, 100), part(10, 110, 300, 110)),
            (Relation::Near, at(100, 100), Some(zone)),
            (Relation::RightOf, at(100, 20), part(140, 20, 170, 15)),
            (Relation::RightOf, at(270, 100), None),
            (Relation::Above, at(100, 20), None),
        ] {
            assert_eq!(relation.side(&anchor, &zone), side, "{relation:?} {anchor:?}");
        }
    }

    #[test]
    fn what_stands_beside_is_told_from_what_stands_above_and_below() {
        use Relation::{Above, Below, LeftOf, Near, RightOf};
        let anchor = at(100, 100);
        for (relation, what, distance) in [
            (RightOf, at(150, 103), Some(10)),
            (RightOf, at(138, 100), Some(0)),
            (RightOf, at(150, 120), None),
            (RightOf, at(20, 100), None),
            (LeftOf, at(20, 95), Some(40)),
            (LeftOf, at(150, 100), None),
            (Below, at(90, 130), Some(20)),
            (Below, at(10, 130), None),
            (Below, at(100, 70), None),
            (Above, at(110, 70), Some(20)),
            (Near, at(150, 130), Some(30)),
            (Near, anchor, None),
        ] {
            assert_eq!(relation.distance(&what, &anchor), distance, "{relation:?} {what:?}");
        }
    }
}

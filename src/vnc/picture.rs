//! The picture of another machine's screen, and areas of it. Whatever is written into it is checked against its size.

/// Bytes of a pixel: blue, green, red, and one that means nothing.
pub(super) const PIXEL: usize = 4;

/// A part of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Area {
    /// Left edge.
    pub x: u32,
    /// Upper edge.
    pub y: u32,
    /// Width.
    pub width: u32,
    /// Height.
    pub height: u32,
}

impl Area {
    /// The smallest one that holds both.
    pub(super) fn around(self, other: Self) -> Self {
        let (x, y) = (self.x.min(other.x), self.y.min(other.y));
        let right = (self.x + self.width).max(other.x + other.width);
        let bottom = (self.y + self.height).max(other.y + other.height);
        Self { x, y, width: right - x, height: bottom - y }
    }

    /// Whether it lies in a picture of this size. Its edges are 16 bits each where they come from a server: the sums do not overflow.
    pub(super) fn within(&self, (width, height): (u32, u32)) -> bool {
        let fits = |start: u32, length: u32, whole: u32| start.checked_add(length).is_some_and(|end| end <= whole);
        fits(self.x, self.width, width) && fits(self.y, self.height, height)
    }
}

/// The picture.
#[derive(Default)]
pub(super) struct Picture {
    size: (u32, u32),
    pixels: Vec<u8>,
}

impl Picture {
    /// A black one. The size was checked against what is allowed.
    pub(super) fn new(size: (u32, u32)) -> Self {
        Self { size, pixels: vec![0; size.0 as usize * size.1 as usize * PIXEL] }
    }

    pub(super) fn size(&self) -> (u32, u32) {
        self.size
    }

    /// Where a row of an area begins and ends.
    fn row(&self, x: u32, y: u32, width: u32) -> std::ops::Range<usize> {
        let start = (y as usize * self.size.0 as usize + x as usize) * PIXEL;
        start..start + width as usize * PIXEL
    }

    /// A copy of an area; none where it does not lie in the picture.
    pub(super) fn part(&self, area: Area) -> Option<Vec<u8>> {
        if !area.within(self.size) {
            return None;
        }
        let mut bytes = Vec::with_capacity(area.width as usize * area.height as usize * PIXEL);
        for y in area.y..area.y + area.height {
            bytes.extend_from_slice(self.pixels.get(self.row(area.x, y, area.width))?);
        }
        Some(bytes)
    }

    /// Writes a row of pixels. What does not lie in the picture is left out.
    pub(super) fn write(&mut self, x: u32, y: u32, row: &[u8]) {
        let width = u32::try_from(row.len() / PIXEL).unwrap_or(u32::MAX);
        if (Area { x, y, width, height: 1 }).within(self.size) {
            let place = self.row(x, y, width);
            if let Some(target) = self.pixels.get_mut(place) {
                target.copy_from_slice(row);
            }
        }
    }

    /// Gives an area one colour.
    pub(super) fn fill(&mut self, area: Area, colour: [u8; PIXEL]) {
        if !area.within(self.size) {
            return;
        }
        for y in area.y..area.y + area.height {
            let place = self.row(area.x, y, area.width);
            for pixel in self.pixels.get_mut(place).unwrap_or_default().chunks_exact_mut(PIXEL) {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    /// Copies an area from elsewhere in the picture; the two may overlap. Both lie in it.
    pub(super) fn copy(&mut self, (from_x, from_y): (u32, u32), area: Area) {
        let source = Area { x: from_x, y: from_y, ..area };
        if !area.within(self.size) || !source.within(self.size) {
            return;
        }
        let mut one = |line: u32| {
            let from = self.row(from_x, from_y + line, area.width);
            let to = self.row(area.x, area.y + line, area.width).start;
            self.pixels.copy_within(from, to);
        };
        if from_y < area.y { (0..area.height).rev().for_each(&mut one) } else { (0..area.height).for_each(&mut one) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4×4, blue = x, green = y.
    fn picture() -> Picture {
        let mut picture = Picture::new((4, 4));
        for y in 0..4u8 {
            let row: Vec<u8> = (0..4u8).flat_map(|x| [x, y, 0, 0]).collect();
            picture.write(0, y.into(), &row);
        }
        picture
    }

    fn at(picture: &Picture, x: u32, y: u32) -> [u8; 2] {
        let pixel = picture.part(Area { x, y, width: 1, height: 1 }).unwrap();
        [pixel[0], pixel[1]]
    }

    #[test]
    fn what_is_copied_onto_itself_is_as_it_was_before() {
        for (from, to) in [((0, 0), (1, 1)), ((1, 1), (0, 0)), ((1, 0), (0, 0)), ((0, 0), (1, 0))] {
            let mut picture = picture();
            picture.copy(from, Area { x: to.0, y: to.1, width: 3, height: 3 });
            for (x, y) in [(0, 0), (1, 2), (2, 2)] {
                assert_eq!(at(&picture, to.0 + x, to.1 + y).map(u32::from), [from.0 + x, from.1 + y]);
            }
        }
    }

    #[test]
    fn what_lies_outside_changes_nothing() {
        let mut picture = picture();
        let before = picture.part(Area { x: 0, y: 0, width: 4, height: 4 });
        picture.write(3, 0, &[9; 8]);
        picture.write(0, 4, &[9; 4]);
        picture.fill(Area { x: 3, y: 3, width: 2, height: 1 }, [9; 4]);
        picture.fill(Area { x: u32::MAX, y: 0, width: 2, height: 1 }, [9; 4]);
        picture.copy((2, 2), Area { x: 0, y: 0, width: 3, height: 3 });
        assert_eq!(picture.part(Area { x: 0, y: 0, width: 4, height: 4 }), before);
        assert_eq!(picture.part(Area { x: 2, y: 0, width: 3, height: 1 }), None);
    }
}

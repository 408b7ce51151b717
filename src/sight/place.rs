//! Which part of a desktop is looked at.

use std::sync::Arc;

use super::error::{Nearest, NoAnchor};
use super::text::region_of;
use super::waiting::Patience;
use super::zones::{Anchor, Zones, anchor};
use super::{Error, Inner, WindowChoice, Zone, picture};
use crate::desktop::Desktop;
use crate::ocr::{Hit, Reading, Text};
use crate::screen::{Capture, Region};
use crate::windows::{Filter, Window};

/// Titles that an error shows at most.
const TITLES: usize = 20;

/// A part of a desktop: of the virtual screen, of a monitor, of a window, or of a zone that has a name.
#[derive(Clone)]
pub(super) struct Place {
    of: Of,
    part: Option<Region>,
}

#[derive(Clone)]
enum Of {
    Screen,
    Monitor(usize),
    Window(WindowChoice),
    Zone(Arc<Named>),
}

/// A zone that has a name, understood.
struct Named {
    name: String,
    /// What its anchor is looked for in, or what it is a part of.
    base: Place,
    part: Option<Region>,
    anchor: Option<Anchor>,
    /// How it is read.
    reading: Reading,
}

impl Place {
    /// What a zone means.
    pub(super) fn new(zone: &Zone, zones: &Zones) -> Result<Self, Error> {
        let Some(name) = &zone.zone else { return Self::unnamed(zone) };
        if zone.monitor.is_some() || zone.window.is_some() {
            return Err(Error::invalid("/zone", "a zone says itself where it is: leave out monitor and window"));
        }
        let known = zones.get(name)?;
        let own = known.own_place();
        let named = Named {
            name: name.clone(),
            base: Self { part: None, ..Self::unnamed(&own)? },
            part: own.part()?,
            anchor: anchor(&known)?,
            reading: known.reading(),
        };
        Ok(Self { of: Of::Zone(Arc::new(named)), part: zone.part()? })
    }

    /// The same for one that names no other.
    pub(super) fn unnamed(zone: &Zone) -> Result<Self, Error> {
        let of = match (zone.monitor, &zone.window) {
            (Some(_), Some(_)) => return Err(Error::invalid("/window", "give a monitor or a window, not both")),
            (Some(monitor), None) => Of::Monitor(monitor),
            (None, Some(window)) => Of::Window(window.clone()),
            (None, None) => Of::Screen,
        };
        Ok(Self { of, part: zone.part()? })
    }

    /// How what is there is read: as was asked for, and else as its zone says.
    pub(super) fn reading(&self, asked: Reading) -> Reading {
        let Of::Zone(named) = &self.of else { return asked };
        asked.or(named.reading.clone())
    }

    /// Where that is on the virtual screen now: as much of it as is on the screen.
    pub(super) fn on(&self, inner: &Inner, desktop: &Desktop, patience: &Patience) -> Result<Region, Error> {
        match &self.of {
            Of::Screen => return Ok(desktop.screen().region(&Capture { monitor: None, region: self.part })?),
            Of::Monitor(monitor) => return Ok(desktop.screen().region(&Capture { monitor: Some(*monitor), region: self.part })?),
            Of::Window(_) | Of::Zone(_) => {}
        }
        let (whole, unseen) = self.whole(inner, desktop, patience)?;
        inside(whole, self.part)?.overlap(desktop.screen().bounds()?).ok_or(unseen)
    }

    /// Where what it is a part of is, over the edge of the screen or not; and what is wrong where nothing of the part can be seen.
    fn whole(&self, inner: &Inner, desktop: &Desktop, patience: &Patience) -> Result<(Region, Error), Error> {
        let whole = match &self.of {
            Of::Screen => desktop.screen().bounds()?,
            Of::Monitor(monitor) => desktop.screen().region(&Capture { monitor: Some(*monitor), region: None })?,
            Of::Window(choice) => {
                let window = window(desktop, choice)?;
                let whole = Region { x: window.x, y: window.y, width: window.width, height: window.height };
                let unseen = Error::Unseen { id: window.id, title: window.title };
                return if window.is_visible { Ok((whole, unseen)) } else { Err(unseen) };
            }
            Of::Zone(named) => named.on(inner, desktop, patience)?,
        };
        Ok((whole, Error::Outside(whole)))
    }
}

impl Named {
    /// Where it is, over the edge of the screen or not.
    fn on(&self, inner: &Inner, desktop: &Desktop, patience: &Patience) -> Result<Region, Error> {
        let Some(anchor) = &self.anchor else {
            return inside(self.base.whole(inner, desktop, patience)?.0, self.part);
        };
        let base = self.base.on(inner, desktop, patience)?;
        let missed = |anchor: String, seen: Option<&Text>, nearest: Option<Nearest>| {
            let (zone, seen) = (self.name.clone(), seen.map(|text| text.text.clone()));
            Error::NoAnchor(Box::new(NoAnchor { zone, anchor, place: base, seen, nearest, image: None }))
        };
        let beside = match anchor {
            Anchor::Text(text, pattern) => {
                let (read, _) = inner.memory.read(&inner.ocr, desktop, base, &self.reading_of_anchor(), patience)?;
                let hits = inner.memory.find(pattern, &read);
                let nearest = |hit: &Hit| Nearest { text: Some(hit.text.clone()), score: hit.score, place: region_of(hit) };
                let missed = || missed(format!("the text {text:?}"), Some(&read), hits.nearest.as_ref().map(nearest));
                hits.found.first().map(region_of).ok_or_else(missed)?
            }
            Anchor::Picture(needle) => {
                picture::place_of(inner, desktop, base, needle)?.map_err(|nearest| missed("its picture".to_owned(), None, nearest))?
            }
        };
        // Beside its anchor it may be anywhere.
        Ok(moved(beside, self.part))
    }

    /// What is read to find the text beside which it stands is more than the zone.
    fn reading_of_anchor(&self) -> Reading {
        let Reading { language, preprocess, engine, timeout, .. } = self.reading.clone();
        Reading { language, preprocess, engine, timeout, ..Reading::default() }
    }
}

/// A part that counts from the corner of another, or all of that one.
fn moved(whole: Region, part: Option<Region>) -> Region {
    let placed = |part: Region| Region { x: whole.x.saturating_add(part.x), y: whole.y.saturating_add(part.y), ..part };
    part.map_or(whole, placed)
}

/// The same for one that lies in it.
fn inside(whole: Region, part: Option<Region>) -> Result<Region, Error> {
    if part.is_some_and(|part| part.width == 0 || part.height == 0) {
        return Err(crate::screen::Error::EmptyRegion.into());
    }
    let wanted = moved(whole, part);
    if whole.encloses(&wanted) { Ok(wanted) } else { Err(Error::Beyond { part: wanted, whole }) }
}

impl Zone {
    /// The part that is meant, of whatever it is a part of.
    ///
    /// # Errors
    /// [`Error::Invalid`] where only some of its four numbers are given.
    pub fn part(&self) -> Result<Option<Region>, Error> {
        match (self.x, self.y, self.width, self.height) {
            (None, None, None, None) => Ok(None),
            (Some(x), Some(y), Some(width), Some(height)) => Ok(Some(Region { x, y, width, height })),
            _ => Err(Error::invalid("/x", "a part needs x, y, width and height together")),
        }
    }

    /// The same of a picture, which has nothing else to be a part of.
    ///
    /// # Errors
    /// [`Error::Invalid`] as well where a monitor, a window or a zone is named.
    pub fn part_of_picture(&self) -> Result<Option<Region>, Error> {
        if self.monitor.is_some() || self.window.is_some() || self.zone.is_some() {
            return Err(Error::invalid("/window", "a picture has no monitors, windows and zones: give x, y, width and height, or nothing"));
        }
        self.part()
    }
}

/// The window that is meant: the top-most of those that fit.
fn window(desktop: &Desktop, choice: &WindowChoice) -> Result<Window, Error> {
    let filter = match choice {
        WindowChoice::Id(id) => return Ok(desktop.windows().get(*id)?),
        WindowChoice::Title(title) => Filter { title: Some(title.clone()), ..Filter::default() },
        WindowChoice::Fits(filter) => filter.clone(),
    };
    let found = desktop.windows().list(&filter)?.into_iter().next();
    found.ok_or_else(|| {
        let there = desktop.windows().list(&Filter::default()).unwrap_or_default();
        let titles = there.into_iter().map(|window| window.title).take(TITLES).collect();
        Error::NoWindow { wanted: serde_json::to_string(&filter).unwrap_or_default(), titles }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ocr::Preprocess;

    #[test]
    fn what_is_asked_for_counts_more_than_what_the_zone_says() {
        let own = Reading { preprocess: Some(Preprocess::None), language: Some("deu".to_owned()), ..Reading::default() };
        let base = Place { of: Of::Screen, part: None };
        let named = Named { name: "total".to_owned(), base, part: None, anchor: None, reading: own.clone() };
        let place = Place { of: Of::Zone(Arc::new(named)), part: None };
        assert_eq!(place.reading(Reading::default()), own);
        let auto = Reading { preprocess: Some(Preprocess::Auto), ..Reading::default() };
        assert_eq!(place.reading(auto).preprocess, Some(Preprocess::Auto));
    }
}
